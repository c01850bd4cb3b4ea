"""Every study's loss on every other study's task."""

from lib.studies.loss_transfer.learn import train

__all__ = ["train"]
