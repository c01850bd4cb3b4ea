"""Seconds to import modules of ``lib`` in a fresh process, against pandas and torch alone.

python -m tests.benchmarks.bench_import
"""

import statistics
import subprocess
import sys

from lib.base import paths

MODULES = (
    "lib",
    "lib.app.run",
    "lib.metrics",
    "lib.evidence.claims",
    "lib.figures",
    "lib.data.cases",
)
PEERS = ("pandas", "torch")
ROUNDS = 5
TIMED = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def seconds(module: str) -> float:
    """Time of one import in a process of its own."""
    command = [sys.executable, "-c", TIMED.format(module)]
    return float(subprocess.run(command, capture_output=True, check=True, cwd=paths.ROOT).stdout)


def main():
    """Print the table of tests/benchmarks/README.md."""
    times = {module: [] for module in (*MODULES, *PEERS)}
    for _ in range(ROUNDS):
        for module, found in times.items():
            found.append(seconds(module))
    print("| module | import, s |")
    print("|---|---|")
    for module, found in times.items():
        print(f"| {module} | {statistics.median(found):.2f} |")


if __name__ == "__main__":
    main()
