"""Humerus: losses of a MobileNetV3 segmenter, their weighting, and fine-tuning."""

from lib.studies.humerus.learn import train

__all__ = ["train"]
