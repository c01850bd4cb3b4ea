"""For all tests: the markers ``fast`` and ``slow``, and one thread per process on any machine."""

import os
from pathlib import Path

import pytest

# Before torch and numpy start their threads; processes that a test starts inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TESTS = Path(__file__).parent
# Modules that train, render phantoms at full size, start processes or execute notebooks.
SLOW = (
    "app/test_run.py",
    "app/test_export.py",
    "app/test_check_data.py",
    "app/predict/*.py",
    "app/phantom_validation/*.py",
    "engine/test_synthetic.py",
    "engine/test_trials.py",
    "engine/test_workers.py",
    "phantoms/scenes/*.py",
    "studies/*/test_study.py",
    "studies/hand/test_audit.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whole modules ``slow``; whatever is not slow then is ``fast``."""
    slow = {path for pattern in SLOW for path in TESTS.glob(pattern)}
    for item in items:
        if item.path in slow:
            item.add_marker("slow")
        if item.get_closest_marker("slow") is None:
            item.add_marker("fast")
