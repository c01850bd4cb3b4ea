"""Hand: segmentation, self-supervision, osteoporosis."""

from lib.studies.hand.study import train

__all__ = ["train"]
