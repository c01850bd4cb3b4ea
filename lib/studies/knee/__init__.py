"""Knee in motion: dual-level weighted cross-entropy."""

from lib.studies.knee.learn import train

__all__ = ["train"]
