"""Processes: what a caller's script must look like for them."""

import subprocess
import sys

from lib.base.paths import ROOT

SCRIPT = """
import math
from lib.engine.workers import run_in_processes
{guard}print(run_in_processes(math.sqrt, [(4,), (9,)], 2))
"""


def run(text: str, tmp_path, from_file: bool) -> subprocess.CompletedProcess:
    script = tmp_path / "script.py"
    script.write_text(text)
    call = {"args": [sys.executable, script]} if from_file else {"args": [sys.executable, "-"]}
    call |= {"input": None if from_file else text, "env": {"PYTHONPATH": str(ROOT)}}
    return subprocess.run(**call, capture_output=True, text=True, timeout=120, check=False)


def test_a_guarded_script_gets_its_results(tmp_path):
    done = run(SCRIPT.format(guard='if __name__ == "__main__": '), tmp_path, True)
    assert done.returncode == 0, done.stderr
    assert "[2.0, 3.0]" in done.stdout


def test_an_unguarded_script_is_told_what_is_missing_and_does_not_hang(tmp_path):
    done = run(SCRIPT.format(guard=""), tmp_path, True)
    assert done.returncode == 1
    assert 'expected a file that works under `if __name__ == "__main__":`' in done.stderr


def test_a_script_that_is_no_file_is_refused_at_once(tmp_path):
    done = run(SCRIPT.format(guard=""), tmp_path, False)
    assert done.returncode == 1
    assert "found a script read from <stdin>" in done.stderr
