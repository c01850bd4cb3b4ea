"""The checks of ``./run_all.sh --test``; every one runs, even if an earlier one fails."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.base import paths

PARTS = ("lint", "unit", "notebooks")
CELL_TIMEOUT_SECONDS = 600
THREADS = 2  # more do not help networks this small, and the results stay comparable
MOST_WORKERS = 8  # of the tests, one thread each: each takes a gigabyte
SOURCES = ("lib", "tests", "notebooks", ".ci")


def run_checks(part: str = "all") -> int:
    """Run one of ``PARTS``, or all; returns 1 and names what failed at the end."""
    with tempfile.TemporaryDirectory(prefix="osteobook-") as folder:
        checks = _checks(Path(folder))
        chosen = PARTS if part == "all" else (part,)
        failed = [
            name
            for one in chosen
            for name, (command, environment) in checks[one].items()
            if not _passes(name, command, environment)
        ]
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed", flush=True)
    return 1 if failed else 0


def _checks(folder: Path) -> dict[str, dict[str, tuple[list[str], dict[str, str]]]]:
    """Command and additional environment of each check, by part and name.

    Notebooks are checked on phantoms made anew, and a user's data and results stay untouched.
    """
    python, tools = [sys.executable, "-m"], Path(sys.executable).parent
    lint = {
        "ruff check": [*python, "ruff", "check", *SOURCES],
        "ruff format": [*python, "ruff", "format", "--check", *SOURCES],
        "imports": [str(tools / "lint-imports"), "--no-cache", "--no-logo"],
        "types": [*python, "mypy", "--cache-dir", os.devnull],
        "spelling": [*python, "codespell_lib"],
        "guard": [sys.executable, ".ci/guard.py"],
    }
    workers = str(min(MOST_WORKERS, os.cpu_count() or 1))
    unit = {"pytest": [*python, "pytest", "-q", "-n", workers, "--dist", "loadfile"]}
    timeout = f"--nbval-cell-timeout={CELL_TIMEOUT_SECONDS}"
    notebooks = {"notebooks": [*python, "pytest", "-q", "--nbval", timeout, "notebooks"]}
    data = {
        "OSTEOBOOK_DATA_ROOT": paths.PHANTOMS_ONLY,
        "OSTEOBOOK_PHANTOMS": str(folder / "phantoms"),
        "OSTEOBOOK_TRIALS": str(folder / "trials"),
        "OSTEOBOOK_FIGURES": str(folder / "figures"),
    }
    return {
        "lint": {name: (command, {}) for name, command in lint.items()},
        "unit": {name: (command, {"OMP_NUM_THREADS": "1"}) for name, command in unit.items()},
        "notebooks": {name: (command, data) for name, command in notebooks.items()},
    }


def _passes(name: str, command: list[str], environment: dict[str, str]) -> bool:
    print(f"== {name}", flush=True)
    threads = str(min(THREADS, os.cpu_count() or 1))
    defaults = {"OMP_NUM_THREADS": threads, "JUPYTER_PREFER_ENV_PATH": "1"}
    finished = subprocess.run(command, cwd=paths.ROOT, env=defaults | os.environ | environment)
    return finished.returncode == 0
