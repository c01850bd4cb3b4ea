"""Writes requirements.lock and requirements-hashed.lock from what pip would install today.

Run it with the Python of the environment after any change to a requirements file::

    .venv/bin/python .ci/lock.py

pip resolves the requirements as for an empty environment and reports every package with its file.
``requirements.lock`` pins all of them (run_all.sh and environment.yml use it as constraints).
``requirements-hashed.lock`` repeats those whose file is the same on every machine, wheels of pure
Python and sources, with its hash: pip accepts hashes only where every package has one.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ("requirements.txt", "requirements-notebooks.txt", "requirements-test.txt")
CUDA = re.compile(r"nvidia-|cuda-|triton$")  # what only a CUDA build of torch pulls in
BUILDS = ("torch", "torchvision")  # differ between CPU and CUDA under one version
HEADER = "# Written by .ci/lock.py, not by hand. "


def main() -> None:
    """Write both files beside the requirements."""
    packages = [entry for entry in resolve() if not CUDA.match(name_of(entry))]
    packages.sort(key=name_of)
    hashed = [entry for entry in packages if is_same_everywhere(entry)]
    pins = [pin(entry) for entry in packages]
    write("requirements.lock", "Versions of everything, as constraints.", pins)
    lines = [f"{pin(entry)} --hash=sha256:{sha256(entry)}" for entry in hashed]
    write("requirements-hashed.lock", "Files that are the same on every machine.", lines)
    print(f"{len(pins)} packages, {len(lines)} of them with a hash")


def resolve() -> list[dict]:
    """pip's report of every package an empty environment would get."""
    files = [argument for name in REQUIREMENTS for argument in ("-r", str(ROOT / name))]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["-qq", "--dry-run", "--ignore-installed", "--report", str(report)]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *files], check=True)
        return json.loads(report.read_text(encoding="utf-8"))["install"]


def name_of(entry: dict) -> str:
    """Normalised name."""
    return re.sub(r"[-_.]+", "-", entry["metadata"]["name"]).lower()


def pin(entry: dict) -> str:
    """``name==version`` without what tells a CPU build from a CUDA build (``+cpu``)."""
    return f"{name_of(entry)}=={entry['metadata']['version'].partition('+')[0]}"


def is_same_everywhere(entry: dict) -> bool:
    """Whether every machine gets this very file."""
    file = entry["download_info"]["url"].rpartition("/")[2]
    return name_of(entry) not in BUILDS and file.endswith(("-none-any.whl", ".tar.gz", ".zip"))


def sha256(entry: dict) -> str:
    """Hash of the file that pip would install."""
    return entry["download_info"]["archive_info"]["hashes"]["sha256"]


def write(name: str, what: str, lines: list[str]) -> None:
    """One line per package under a header."""
    (ROOT / name).write_text("\n".join([HEADER + what, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
