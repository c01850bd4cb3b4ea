"""The hand study's trials: of which kind each is, and how it is computed."""

from pathlib import Path

from lib.studies.hand import learning, segmentation

KINDS = {"segmentation": segmentation, "learning": learning}


def train(trial: dict, data_root: str, folder: Path) -> None:
    """One trial of either kind."""
    KINDS[trial["kind"]].train(trial, data_root, folder)
