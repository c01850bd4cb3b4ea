"""The runner on tiny notebooks: what runs, what is skipped, what is told, what is left behind."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import psutil
import pytest

from lib import engine
from lib.app import checks as runner_checks, run as runner
from lib.app.report.readme import markers
from lib.base import paths
from lib.base.errors import DataError, OsteoBookError, SettingError
from lib.engine import notebooks as executing
from lib.training.loop import pick_device

PARAMETERS = (
    'profile = "smoke"\nseed = 0\ndevice = "auto"\ndata_root = ""\nfigures_only = False  # as it is'
)


def write_notebook(path: Path, *cells: str, parameters: str = PARAMETERS) -> Path:
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    others = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=[first, *others]), path)
    return path


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Every folder of the runner in a temporary one."""
    import_module("lib.app.report.checklists")  # which finds its texts when it is imported
    for name in ("NOTEBOOKS", "FIGURES", "TRIALS", "DATA"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
        (tmp_path / name.lower()).mkdir()
    monkeypatch.setattr(paths, "EXECUTED", tmp_path / "figures" / "executed")
    monkeypatch.delenv("OSTEOBOOK_DATA_ROOT", raising=False)
    return tmp_path


@pytest.fixture
def fake_trials(monkeypatch):
    """Stands for ``lib.engine.plans``: three trials, half an hour each where not cached."""
    calls = []

    def plan(study, **parameters):
        calls.append((study.name, parameters))
        columns = ["name", "status", "why", "minutes", "megabytes"]
        rows = [
            ("first", "cached", "already computed", 0.0, 0.0),
            ("second", "continue", "was interrupted", 30.0, 2.0),
            ("third", "run", "never run", 30.0, 2.0),
        ]
        return pd.DataFrame(rows, columns=columns)

    module = SimpleNamespace(plan=plan, calls=calls, clean=lambda studies: [(Path("old"), 1.5)])
    monkeypatch.setitem(sys.modules, "lib.engine.plans", module)
    monkeypatch.setattr(engine, "plans", module, raising=False)
    return module


def record_figure(place: Path, study: str) -> Path:
    folder = place / "figures" / study
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "curve.png").touch()
    (folder / "provenance.json").write_text(json.dumps({"curve": {"files": ["curve.png"]}}))
    return folder / "curve.png"


def drawing(place: Path, study: str) -> str:
    """A cell that draws a figure and records it, as notebooks do."""
    record = json.dumps({"curve": {"files": ["curve.png"]}})
    return (
        f"import pathlib; f = pathlib.Path({str(place / 'figures' / study)!r})\n"
        "f.mkdir(parents=True, exist_ok=True); (f / 'curve.png').touch()\n"
        f"(f / 'provenance.json').write_text({record!r})"
    )


def adding(folder: Path, name: str, entry: dict) -> str:
    """A cell that writes one figure and records it beside the others, as ``lib.figures`` does."""
    return (
        f"import json, pathlib; r = pathlib.Path({str(folder / 'provenance.json')!r})\n"
        f"[(r.parent / file).write_text('drawn') for file in {entry['files']!r}]\n"
        "old = json.loads(r.read_text()) if r.exists() else {}\n"
        f"text = json.dumps(old | {{{name!r}: {entry!r}}}, indent=2, sort_keys=True)\n"
        "r.write_text(text + '\\n')"
    )


def left_over(place: Path) -> set[str]:
    return {path.name for path in (place / "figures" / "executed").glob("*")}


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--frobnicate"], "--frobnicate"),
        (["--prof", "smoke"], "--prof"),
        (["--profile", "tiny"], "tiny"),
        (["--only", "wrist,foot"], "foot"),
        (["--only", "knee"], "knee"),
        (["--only", ""], "''"),
        (["--data-root", "no/such/folder"], "no/such/folder"),
        (["--data-root", ""], "''"),
        (["--seed", "-1"], "-1"),
        (["--seed", "4294967296"], "4294967296"),
        (["--test", "--clean"], "--clean"),
        (["--test", "style"], "style"),
    ],
)
def test_wrong_options_exit_2_with_one_line(place, capsys, arguments, named):
    write_notebook(paths.NOTEBOOKS / "02_wrist_linear_weighting.ipynb")
    with pytest.raises(SystemExit) as exit_:
        runner.main(arguments)
    message = capsys.readouterr().err
    assert exit_.value.code == 2
    assert message.count("\n") == 1 and named in message


def test_options_need_only_the_standard_library():
    command = [sys.executable, "-S", "-P", "-m", "lib.app.run"]
    environment = {"PYTHONPATH": str(paths.ROOT), "PATH": os.environ["PATH"]}
    kept = {"capture_output": True, "text": True, "env": environment}
    assert subprocess.run([*command, "--help"], **kept).stdout.startswith("usage: run_all.sh")
    assert subprocess.run([*command, "--nonsense"], **kept).returncode == 2


def test_notebooks_are_chosen_in_the_order_of_their_numbers(place):
    for name in (
        "05_hand_ssl_osteoporosis.ipynb",
        "02_wrist_linear_weighting.ipynb",
        "04_knee_dual_level_ce.ipynb",
    ):
        write_notebook(paths.NOTEBOOKS / name)
    assert list(runner.parse([]).notebooks) == ["wrist", "knee", "hand"]
    assert list(runner.parse(["--only", "knee, wrist"]).notebooks) == ["wrist", "knee"]


def test_the_data_root_may_be_relative_to_the_callers_directory(place, monkeypatch):
    monkeypatch.chdir(place)
    options = runner.parse(["--data-root", "data"])
    assert runner.notebook_parameters(options)["data_root"] == str((place / "data").resolve())


def test_no_notebook_at_all_is_an_error(place, capsys):
    assert runner.main([]) == 2
    assert "found no notebook" in capsys.readouterr().err


# --- parameters ----------------------------------------------------------------------------------


def test_unknown_parameters_are_refused_with_the_known_ones(place):
    notebook = write_notebook(
        place / "x.ipynb", "foreign = 1", parameters="alpha = 1\nbeta: int = 2"
    )
    executing.check_parameters(notebook, {"alpha": 5, "beta": 1})
    with pytest.raises(SettingError, match="'foreign'; expected one of alpha, beta"):
        executing.check_parameters(notebook, {"foreign": 5})


def test_a_notebook_without_the_runners_parameters_is_not_run(place, capsys):
    write_notebook(
        paths.NOTEBOOKS / "02_wrist_linear_weighting.ipynb", parameters="profile = 'smoke'"
    )
    assert runner.main([]) == 2
    assert "'seed'" in capsys.readouterr().err


def test_a_broken_notebook_is_named(place):
    (place / "x.ipynb").write_text("{")
    with pytest.raises(SettingError, match=r"x\.ipynb: found no notebook"):
        executing.check_parameters(place / "x.ipynb", {})


# --- execution -----------------------------------------------------------------------------------


def test_a_notebook_runs_once_with_its_parameters_at_the_repository_root(place, capfd):
    runs = place / "runs"
    write_notebook(
        paths.NOTEBOOKS / "02_wrist_linear_weighting.ipynb",
        f"import os; open({str(runs)!r}, 'a').write(f'{{profile}} {{seed}} {{os.getcwd()}}\\n')",
        "import sys; sys.stderr.write('epoch 1\\repoch 2\\n'); print('shown')",
        drawing(place, "smoke/wrist"),
    )
    record_figure(place, "smoke/wrist").unlink()  # of an earlier version, drawn no more
    (place / "figures/smoke/wrist/provenance.json").write_text('{"old": {"files": ["old.png"]}}')
    command = ["--profile", "smoke", "--seed", "7"]

    assert runner.main(command) == 0
    assert runs.read_text() == f"smoke 7 {paths.ROOT}\n"
    assert left_over(place) == {
        "02_wrist_linear_weighting.ipynb",
        "02_wrist_linear_weighting.html",
        "02_wrist_linear_weighting.key.json",
    }
    assert (
        "<title>02_wrist_linear_weighting</title>"
        in (paths.EXECUTED / "02_wrist_linear_weighting.html").read_text()
    )
    shown = capfd.readouterr()
    assert (
        "[1/1] 02_wrist_linear_weighting: running (never completed)" in shown.out
        and "shown" in shown.out
    )
    assert "epoch 1\repoch 2" in shown.err
    stored = (paths.EXECUTED / "02_wrist_linear_weighting.ipynb").read_text()
    assert "epoch 2" in stored and '"epoch 1' not in stored  # a bar is stored as it ended

    assert runner.main(command) == 0
    assert "02_wrist_linear_weighting: up to date, nothing to do" in capfd.readouterr().out
    assert runs.read_text().count("\n") == 1

    assert runner.main(["--profile", "smoke", "--seed", "8"]) == 0
    assert "running (changed: seed)" in capfd.readouterr().out


def test_a_failing_notebook_is_told_and_the_others_run(place, capfd):
    bad = paths.NOTEBOOKS / "01_humerus_loss_study.ipynb"
    write_notebook(bad, "x = 1", "def half(n):\n    return n / 0\nhalf(1)")
    write_notebook(
        paths.NOTEBOOKS / "02_wrist_linear_weighting.ipynb", "raise ValueError('no such bone')"
    )
    write_notebook(paths.NOTEBOOKS / "03_pediatric_regularization.ipynb", "print('fine')")

    assert runner.main([]) == 2
    told = capfd.readouterr().err
    assert "  ZeroDivisionError: division by zero\n" in told
    assert "return n / 0" in told and "no such bone" in told and "2 of 3 notebooks failed" in told
    assert "\x1b" not in told.split("failed after")[1]
    assert left_over(place) == {
        "01_humerus_loss_study.failed.ipynb",
        "02_wrist_linear_weighting.failed.ipynb",
        "03_pediatric_regularization.ipynb",
        "03_pediatric_regularization.html",
        "03_pediatric_regularization.key.json",
    }

    write_notebook(bad, "x = 1")
    assert runner.main(["--only", "humerus"]) == 0
    assert "01_humerus_loss_study.failed.ipynb" not in left_over(place)


def test_a_failure_outdates_the_run_before(place, capfd):
    flag = place / "flag"
    write_notebook(
        paths.NOTEBOOKS / "01_humerus_loss_study.ipynb",
        f"import pathlib; assert not pathlib.Path({str(flag)!r}).exists()",
        drawing(place, "humerus"),
    )
    assert runner.main([]) == 0
    flag.touch()
    assert runner.main(["--seed", "1"]) == 1
    flag.unlink()
    assert runner.main([]) == 0
    assert "up to date" not in capfd.readouterr().out


EARLIER = {"scores": {"files": ["scores.csv"], "seed": 1}, "gone": {"files": ["gone.csv"]}}


def record_earlier(folder: Path) -> Path:
    """What a run before has recorded of its figures."""
    folder.mkdir(parents=True)
    record = folder / "provenance.json"
    record.write_text(json.dumps(EARLIER, indent=2, sort_keys=True) + "\n")
    return record


def test_a_failure_forgets_no_figure(place):
    """The ledger takes what a study has found from there."""
    record = record_earlier(place / "figures" / "humerus")
    private = record_earlier(place / "figures" / "humerus" / "private")
    before, redrawn = record.read_bytes(), {"files": ["curve.png"], "seed": 2}
    notebook = paths.NOTEBOOKS / "01_humerus_loss_study.ipynb"
    write_notebook(notebook, "1 / 0")
    assert runner.main([]) == 1
    assert record.read_bytes() == before == private.read_bytes()
    write_notebook(notebook, adding(record.parent, "scores", redrawn), "1 / 0")
    assert runner.main([]) == 1
    assert json.loads(record.read_text()) == EARLIER | {"scores": redrawn}
    assert private.read_bytes() == before


def test_a_success_forgets_what_is_drawn_no_more(place):
    record = record_earlier(place / "figures" / "humerus")
    private = record_earlier(place / "figures" / "humerus" / "private")
    cell = adding(record.parent, "scores", EARLIER["scores"])  # the same again
    write_notebook(paths.NOTEBOOKS / "01_humerus_loss_study.ipynb", cell)
    assert runner.main([]) == 0
    assert json.loads(record.read_text()) == {"scores": EARLIER["scores"]}
    assert not private.exists()


def test_while_a_notebook_runs_the_record_before_it_can_be_read(place):
    record = record_earlier(place / "figures" / "humerus")
    cell = f"import shutil; shutil.copy({str(record)!r}, {str(place / 'seen.json')!r})"
    write_notebook(paths.NOTEBOOKS / "01_humerus_loss_study.ipynb", cell)
    assert runner.main([]) == 0
    seen = json.loads((place / "seen.json").read_text())["scores"]  # so it survives a power cut
    assert EARLIER["scores"].items() <= seen.items()


def test_a_damaged_record_is_drawn_anew(place):
    record = record_earlier(place / "figures" / "humerus")
    record.write_text("{")
    cell = adding(record.parent, "scores", EARLIER["scores"])
    write_notebook(paths.NOTEBOOKS / "01_humerus_loss_study.ipynb", cell)
    assert runner.main([]) == 0
    assert json.loads(record.read_text()) == {"scores": EARLIER["scores"]}


def test_a_dead_kernel_is_a_failure_like_others(place, capfd):
    write_notebook(paths.NOTEBOOKS / "01_humerus_loss_study.ipynb", "import os; os._exit(1)")
    assert runner.main([]) == 1
    assert "memory" in capfd.readouterr().err


# --- what a run leaves for readers ---------------------------------------------------------------


@pytest.fixture
def published(place, monkeypatch):
    """The repository's root, README and figures in a temporary folder; returns the README."""
    monkeypatch.setattr(paths, "ROOT", place)
    (place / "requirements.txt").touch()
    readme = place / "README.md"
    readme.write_text("\n".join(markers("ledger")))
    return readme


def test_a_complete_run_writes_book_ledger_audit_and_readme(published, place, capfd):
    write_notebook(paths.NOTEBOOKS / "02_wrist_linear_weighting.ipynb", "print('shown')")
    assert runner.main([]) == 0
    assert "shown" in (place / "figures/book/02_wrist_linear_weighting.html").read_text()
    assert str(place / "figures/book/index.html") in capfd.readouterr().out
    assert (place / "figures/audit.csv").exists()
    assert "41 claims" in published.read_text() and (place / "figures/ledger.csv").exists()


@pytest.mark.parametrize(
    ("cell", "command"), [("x = 1", ["--profile", "smoke"]), ("x = 1 / 0", ["--profile", "quick"])]
)
def test_smoke_runs_and_failures_write_the_book_alone(published, place, cell, command):
    write_notebook(paths.NOTEBOOKS / "02_wrist_linear_weighting.ipynb", cell)
    before = published.read_text()
    failed = runner.main(command)
    index = (place / "figures/book/index.html").read_text()
    assert ("ZeroDivisionError" in index) == bool(failed)
    assert published.read_text() == before
    assert not (place / "figures/ledger.csv").exists()
    assert not (place / "figures/audit.csv").exists()


DRIVER = """
import sys
from pathlib import Path
import lib.studies.registry  # which asks for a notebook of every study
from lib.base import paths
paths.NOTEBOOKS = Path(sys.argv[1])
from lib.app.run import main
if __name__ == "__main__":
    sys.exit(main(["--profile", "smoke", *sys.argv[2:]]))
"""

# One worker as libraries start them, one in a session of its own that ignores polite signals.
BUSY_CELL = """
import os, subprocess, sys, time
stubborn = "import signal, time; signal.signal(2, 1); signal.signal(15, 1); time.sleep(600)"
workers = [
    subprocess.Popen(["sleep", "600"]),
    subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True),
]
time.sleep(0.5)
with open({pids!r}, "w") as file:
    print(os.getpid(), *(worker.pid for worker in workers), file=file, flush=True)
time.sleep(600)
"""


def start_runner(place: Path, *options: str) -> subprocess.Popen:
    """The runner in a process of its own, on the notebooks in ``place``."""
    (place / "driver.py").write_text(DRIVER)
    environment = {
        **os.environ,
        "PYTHONPATH": str(paths.ROOT),
        "OSTEOBOOK_FIGURES": str(place / "figures"),
        "OSTEOBOOK_TRIALS": str(place / "trials"),
    }
    return subprocess.Popen(
        [sys.executable, str(place / "driver.py"), str(place / "notebooks"), *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("number", "options"),
    [(signal.SIGINT, ()), (signal.SIGTERM, ()), (signal.SIGINT, ("--figures-only",))],
)
def test_an_interrupted_run_leaves_no_files_and_no_processes(tmp_path, number, options):
    notebooks, pids, figures = (tmp_path / name for name in ("notebooks", "pids", "figures"))
    notebooks.mkdir()
    write_notebook(notebooks / "02_wrist_linear_weighting.ipynb", BUSY_CELL.format(pids=str(pids)))
    waiting = "import time; time.sleep(600)"
    write_notebook(notebooks / "03_pediatric_regularization.ipynb", waiting)
    record = record_earlier(figures / "smoke" / "wrist")
    before = record.read_bytes()
    run = start_runner(tmp_path, *options)
    while not (pids.exists() and pids.read_text().endswith("\n")):
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.1)
    run.send_signal(number)
    told = run.communicate(timeout=120)[1]

    assert run.returncode == 130
    assert "interrupted" in told and "Traceback" not in told
    assert list((figures / "executed").iterdir()) == []
    assert record.read_bytes() == before  # what the run before has drawn
    _, alive = psutil.wait_procs(
        [
            psutil.Process(int(pid))
            for pid in pids.read_text().split()
            if psutil.pid_exists(int(pid))
        ],
        timeout=10,
    )
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_notebooks_that_only_draw_run_side_by_side(tmp_path):
    """Each waits for the other to have started: one after the other would never end."""
    (tmp_path / "notebooks").mkdir()
    meet = (
        "import pathlib, time\n"
        "here = pathlib.Path({here!r})\n"
        "(here / {own!r}).touch()\n"
        "while not (here / {other!r}).exists():\n"
        "    time.sleep(0.05)\n"
        "print('shown to nobody'); {last}"
    )
    wrist, pediatric = "02_wrist_linear_weighting", "03_pediatric_regularization"
    for own, other, last in ((wrist, pediatric, "1 / 0"), (pediatric, wrist, "")):
        cell = meet.format(here=str(tmp_path), own=own, other=other, last=last)
        write_notebook(tmp_path / "notebooks" / f"{own}.ipynb", cell)
    run = start_runner(tmp_path, "--figures-only")
    shown, told = run.communicate(timeout=120)
    assert run.returncode == 1, told
    assert f"{wrist}: failed" in told and "ZeroDivisionError" in told
    assert f"{pediatric}: done" in shown and "shown to nobody" not in shown
    left = {path.name for path in (tmp_path / "figures" / "executed").iterdir()}
    done = {f"{pediatric}{suffix}" for suffix in (".ipynb", ".html", ".key.json")}
    assert left == done | {f"{wrist}.failed.ipynb"}


# --- up to date ----------------------------------------------------------------------------------


@pytest.fixture
def finished(place):
    """A notebook with everything that a finished run leaves."""
    notebook = write_notebook(paths.NOTEBOOKS / "02_wrist_linear_weighting.ipynb", "x = 1")
    (place / "data" / "wrist").mkdir()
    (place / "data" / "wrist" / "a.png").write_text("image")
    record_figure(place, "wrist/own")
    paths.EXECUTED.mkdir()
    for suffix in (".ipynb", ".html"):
        executing.output(notebook, suffix).touch()
    key = executing.make_key("wrist", notebook, runner.notebook_parameters(runner.parse([])))
    executing.output(notebook, ".key.json").write_text(json.dumps(key))
    return notebook


def reason(notebook: Path, *arguments: str) -> str:
    parameters = runner.notebook_parameters(runner.parse(list(arguments)))
    key = executing.make_key("wrist", notebook, parameters)
    return executing.why_run("wrist", notebook, key)


def test_nothing_changed(finished):
    assert reason(finished) == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--profile", "paper"], "changed: profile"),
        (["--device", "cpu", "--figures-only"], "changed: device, figures_only"),
    ],
)
def test_changed_parameters(finished, arguments, expected):
    assert reason(finished, *arguments) == expected


def test_changed_code_data_and_versions(finished, monkeypatch, place):
    write_notebook(finished, "x = 2")
    assert reason(finished) == "changed: notebook"
    (place / "data" / "wrist" / "b.png").touch()
    assert reason(finished) == "changed: data, notebook"
    (place / "lib").mkdir()
    (place / "requirements.txt").touch()
    monkeypatch.setattr(paths, "ROOT", place)
    assert reason(finished) == "changed: data, library, notebook, requirements, settings"


def test_changed_settings_of_its_own_study(finished, monkeypatch, place):
    studies = place / "lib" / "studies"
    for study in ("wrist", "knee"):
        (studies / study).mkdir(parents=True)
        (studies / study / "profiles.yaml").write_text("paper: {epochs: 2}")
    monkeypatch.setattr(paths, "ROOT", place)
    key = executing.make_key("wrist", finished, {"data_root": ""})
    (studies / "knee" / "profiles.yaml").write_text("paper: {epochs: 3}")
    assert executing.make_key("wrist", finished, {"data_root": ""}) == key
    (studies / "wrist" / "profiles.yaml").write_text("paper: {epochs: 3}")
    after = executing.make_key("wrist", finished, {"data_root": ""})
    assert {name for name in key if key[name] != after[name]} == {"settings"}


def test_stored_outputs_are_no_change(finished):
    notebook = nbformat.read(finished, as_version=4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="1")]
    nbformat.write(notebook, finished)
    assert reason(finished) == ""


@pytest.mark.parametrize("name", ["wrist/own/curve.png", "executed/02_wrist_linear_weighting.html"])
def test_a_missing_output(finished, place, name):
    (place / "figures" / name).unlink()
    assert reason(finished) == f"missing: {Path(name).name}"


def test_private_figures_count_too(finished, place):
    curve = record_figure(place, "wrist/own/private")
    assert reason(finished) == ""
    curve.unlink()
    assert reason(finished) == "missing: curve.png"


def test_the_listing_sees_size_name_time_and_links(tmp_path):
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    seen = [executing.listing(folder)]
    (folder / "a").write_text("1")
    os.utime(folder / "a", ns=(1, 1))
    seen.append(executing.listing(folder))
    os.utime(folder / "a", ns=(2, 2))
    seen.append(executing.listing(folder))
    (folder / "a").rename(folder / "b")
    seen.append(executing.listing(folder))
    (folder / "link").symlink_to(elsewhere)
    (elsewhere / "c").touch()
    seen.append(executing.listing(folder))
    assert len(set(seen)) == len(seen)
    assert executing.listing(folder) == seen[-1]
    assert executing.listing(tmp_path / "none") == seen[0]


# --- the output folder ---------------------------------------------------------------------------


def test_a_file_in_the_place_of_the_output_folder(place, capsys):
    write_notebook(
        paths.NOTEBOOKS / "02_wrist_linear_weighting.ipynb", f"open({str(place / 'ran')!r}, 'w')"
    )
    paths.EXECUTED.write_text("in the way")
    assert runner.main([]) == 2
    told = capsys.readouterr().err
    assert str(paths.EXECUTED) in told and "Fix:" in told and told.count("\n") == 1
    assert not (place / "ran").exists()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_cannot_be_written(place, monkeypatch, code):
    def refuse(**_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(runner.tempfile, "TemporaryFile", refuse)
    with pytest.raises(OsteoBookError, match=r"figures.*Fix:"):
        runner.check_writable(paths.FIGURES)


def test_a_nearly_full_disk(place, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(runner.shutil, "disk_usage", lambda _: usage(free=5e6))
    with pytest.raises(OsteoBookError, match="found 5 MB free"):
        runner.check_writable(paths.FIGURES)


# --- dry run, hours, clean -----------------------------------------------------------------------


def test_a_dry_run_tells_and_runs_nothing(finished, place, capsys, fake_trials):
    write_notebook(paths.NOTEBOOKS / "04_knee_dual_level_ce.ipynb")
    before = sorted(place.rglob("*"))
    assert runner.main(["--dry-run", "--seed", "3"]) == 0
    told = capsys.readouterr().out
    assert "02_wrist_linear_weighting: would run (changed: seed)" in told
    assert "04_knee_dual_level_ce: would run (never completed)" in told
    assert "  run       third  (never run)" in told
    assert "3 trials: 1 cached, 1 continue, 1 run; about 60.0 min and 4 MB" in told
    expected = {"profile": "quick", "data_root": "", "seed": 3, "methods": ()}
    expected["device"] = pick_device("auto")
    assert fake_trials.calls == [("wrist", expected), ("knee", expected)]
    assert sorted(place.rglob("*")) == before


def test_a_dry_run_of_figures_only_has_no_trials(finished, capsys, fake_trials):
    assert runner.main(["--dry-run", "--figures-only"]) == 0
    assert "no trial would run" in capsys.readouterr().out
    assert fake_trials.calls == []


def test_a_dry_run_goes_on_where_data_is_missing(finished, capsys, fake_trials, monkeypatch):
    def plan(study, **_):
        raise DataError("data/wrist: found nothing")

    monkeypatch.setattr(fake_trials, "plan", plan)
    assert runner.main(["--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "02_wrist_linear_weighting: up to date" in told and "data/wrist: found nothing" in told


def test_the_paper_profile_tells_its_hours_first(finished, capsys, fake_trials, monkeypatch):
    monkeypatch.setattr(runner, "execute", lambda *_: print("executing") or "")
    monkeypatch.setattr(runner, "_publish", lambda **_: None)
    assert runner.main(["--profile", "paper"]) == 0
    told = capsys.readouterr().out
    assert told.index("an estimated 1.0 hours") < told.index("executing")


def test_clean_tells_what_it_deleted(place, capsys, fake_trials):
    assert runner.main(["--clean"]) == 0
    assert capsys.readouterr().out == "deleted old (1.5 MB)\n1.5 MB freed\n"


# --- checks --------------------------------------------------------------------------------------

CHECKS = {
    "lint": ["ruff check", "ruff format", "imports", "types", "spelling", "guard"],
    "unit": ["pytest"],
    "notebooks": ["notebooks"],
}


@pytest.fixture
def ran(monkeypatch):
    """(command, environment) of each check, none of which is really run."""
    calls = []

    def fake_run(command, cwd, env):
        calls.append((command, env))
        return SimpleNamespace(returncode=int(calls.failing in command))

    class Calls(list):
        failing = ""

    calls = Calls()
    monkeypatch.setattr(runner_checks.subprocess, "run", fake_run)
    return calls


@pytest.mark.parametrize(
    ("failing", "expected"),
    [
        ("", "all checks passed"),
        ("ruff", "failed: ruff check, ruff format"),
        ("pytest", "failed: pytest, notebooks"),
    ],
)
def test_every_check_runs_even_after_a_failure(capsys, ran, failing, expected):
    ran.failing = failing
    assert runner.main(["--test"]) == bool(failing)
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == expected
    assert told[:-1] == [f"== {name}" for part in CHECKS.values() for name in part]
    assert len(ran) == len(told) - 1


@pytest.mark.parametrize("part", CHECKS)
def test_one_part_of_the_checks_can_be_chosen(capsys, ran, part):
    assert runner.main(["--test", part]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [*(f"== {name}" for name in CHECKS[part]), "all checks passed"]


def test_checks_of_notebooks_leave_what_a_user_has_alone(monkeypatch, ran):
    monkeypatch.setenv("OSTEOBOOK_TRIALS", "mine")
    runner.main(["--test"])
    *others, (command, environment) = ran
    assert "--nbval" in command
    assert environment["OSTEOBOOK_DATA_ROOT"] == paths.PHANTOMS_ONLY
    assert environment["OSTEOBOOK_TRIALS"] != "mine"
    assert all(kept["OSTEOBOOK_TRIALS"] == "mine" for _, kept in others)
    assert not Path(environment["OSTEOBOOK_PHANTOMS"]).parent.exists()  # the folder is gone
