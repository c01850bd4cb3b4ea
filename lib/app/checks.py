"""The checks of ``./run_all.sh --test``; every one runs, even if an earlier one fails."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.base import paths

CELL_TIMEOUT_SECONDS = 600
THREADS = 2  # more do not help networks this small, and the results stay comparable


def run_checks() -> int:
    """Check style, library and notebooks; returns 1 and says what at the end if anything fails."""
    with tempfile.TemporaryDirectory(prefix="osteobook-") as folder:
        failed = [
            name for name, check in _checks(Path(folder)).items() if not _passes(name, *check)
        ]
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed", flush=True)
    return 1 if failed else 0


def _checks(folder: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Command and additional environment of each check, by name.

    Notebooks are checked on phantoms made anew, and a user's data and results stay untouched.
    """
    sources = ["lib", "tests", "notebooks"]
    data = {
        "OSTEOBOOK_DATA_ROOT": paths.PHANTOMS_ONLY,
        "OSTEOBOOK_PHANTOMS": str(folder / "phantoms"),
        "OSTEOBOOK_TRIALS": str(folder / "trials"),
        "OSTEOBOOK_FIGURES": str(folder / "figures"),
    }
    checks = {
        "ruff check": (["ruff", "check", *sources], {}),
        "ruff format": (["ruff", "format", "--check", *sources], {}),
        "pytest": (["pytest", "-q"], {}),
    }
    if list(paths.NOTEBOOKS.glob("*.ipynb")):
        timeout = f"--nbval-cell-timeout={CELL_TIMEOUT_SECONDS}"
        checks |= {
            "notebooks": (["pytest", "-q", "--nbval", timeout, "notebooks"], data),
        }
    return checks


def _passes(name: str, command: list[str], environment: dict[str, str]) -> bool:
    print(f"== {name}", flush=True)
    threads = str(min(THREADS, os.cpu_count() or 1))
    defaults = {"OMP_NUM_THREADS": threads, "JUPYTER_PREFER_ENV_PATH": "1"}
    finished = subprocess.run(
        [sys.executable, "-m", *command], cwd=paths.ROOT, env=defaults | os.environ | environment
    )
    return finished.returncode == 0
