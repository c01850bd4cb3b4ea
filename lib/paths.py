"""Folders, anchored at the repository so that nothing depends on the working directory."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
DATA = ROOT / "data"
REFERENCE = DATA / "reference"
# Tests and read-only installations may send what is generated elsewhere.
TRIALS = Path(os.environ.get("OSTEOBOOK_TRIALS", DATA / "trials"))
FIGURES = Path(os.environ.get("OSTEOBOOK_FIGURES", ROOT / "figures"))
EXECUTED = FIGURES / "executed"
