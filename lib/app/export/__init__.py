"""A trained model as ONNX, with its card."""
