"""Networks that no library has, and builders for those that one has.

unet                        U-Net of any width (wrist, hand, loss transfer)
mobilenet                   MobileNetV3-Large with three heads (humerus)
pediatric_networks, _encoders, shape_autoencoder, discriminator   pediatric
knee_networks, fcn_unet, knee_parameters                          knee
mixture_segmenter, view_encoder                                   hand
pretrained, states          where ImageNet weights come from, and files of weights
depthwise, pooling, torchvision_cpu   layers and schemas that torch lacks on some devices
"""

from lib.models.unet import UNet, count_parameters

__all__ = ["UNet", "count_parameters"]
