"""Refuses files that must never enter the repository: a user's images and pictures of them.

Given file names (by pre-commit), checks those; without any, every file that git knows.
"""

import subprocess
import sys
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ("reference", "published")  # folders of data/; every other one is a user's or generated


def refused(files: list[str]) -> list[str]:
    """Those of ``files``, relative to the root, that show or hold a user's own images."""
    parts = [PurePosixPath(file).parts for file in files]
    return [
        file
        for file, (first, *others) in zip(files, parts, strict=True)
        if "private" in others[:-1]
        or (first == "data" and len(others) > 1 and others[0] not in PUBLISHED)
    ]


def tracked() -> list[str]:
    """Every file that git knows; none where this is no checkout."""
    if not (ROOT / ".git").exists():
        return []
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return listed.stdout.decode().split("\0")[:-1]


def main(files: list[str]) -> int:
    """Print what is refused; returns 1 if anything is."""
    problems = refused(files or tracked())
    for file in problems:
        print(f"{file}: a user's own images stay out of the repository. Fix: git rm --cached it.")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
