"""Bones in children's MR: shape priors and adversarial training."""

from lib.studies.pediatric.learn import train

__all__ = ["train"]
