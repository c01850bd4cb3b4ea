"""Wrist fractures: Dice + BCE under linearly scheduled weights."""

from lib.studies.wrist.learn import train

__all__ = ["train"]
