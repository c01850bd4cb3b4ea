"""Real development images, which are never committed: where they are, and tests that need them."""

import os
from pathlib import Path

import pytest

from lib.base.paths import ROOT

REAL = Path(os.environ.get("OSTEOBOOK_REAL", ROOT.parent / "shared" / "real"))


def needs_real(name: str) -> pytest.MarkDecorator:
    """Skip a test where the folder ``name`` of the real images is not at hand."""
    folder = REAL / name
    reason = f"no real images in {folder} (set OSTEOBOOK_REAL)"
    return pytest.mark.skipif(not folder.is_dir(), reason=reason)
