"""The scene ``shoulder_mr``."""
