"""Networks that no library has, and one builder for those that do."""

from lib.models.unet import UNet, count_parameters

__all__ = ["UNet", "count_parameters"]
