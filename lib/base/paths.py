"""Folders, anchored at the repository so that nothing depends on the working directory."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
DATA = ROOT / "data"
REFERENCE = DATA / "reference"
# Tests and read-only installations may send what is generated elsewhere.
TRIALS = Path(os.environ.get("OSTEOBOOK_TRIALS", DATA / "trials"))
PHANTOMS = Path(os.environ.get("OSTEOBOOK_PHANTOMS", DATA / "phantoms"))
FIGURES = Path(os.environ.get("OSTEOBOOK_FIGURES", ROOT / "figures"))
EXECUTED = FIGURES / "executed"


def notebooks() -> dict[str, Path]:
    """Notebook of each study, in the order of their numbers: ``NN_<study>_<title>.ipynb``."""
    files = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    return {file.stem.split("_")[1]: file for file in files}


def figure_place(study: str, profile: str, own_data: bool) -> str:
    """Where below FIGURES a study's figures go, so that none overwrites those of another kind."""
    if profile == "smoke":
        return f"smoke/{study}"
    return f"{study}/own" if own_data else study


PHANTOMS_ONLY = "phantoms"  # as OSTEOBOOK_DATA_ROOT: do not look for the user's own data


def data_root(parameter: str) -> Path:
    """Folder with one folder per study: the parameter, else OSTEOBOOK_DATA_ROOT, else data/."""
    return Path(parameter or os.environ.get("OSTEOBOOK_DATA_ROOT") or DATA).expanduser().resolve()


def has_own_data(parameter: str, study: str) -> bool:
    """Whether the user gave data for a study: a data root, or a folder of that name in data/."""
    named = parameter or os.environ.get("OSTEOBOOK_DATA_ROOT")
    return named != PHANTOMS_ONLY and (bool(named) or (DATA / study).exists())
