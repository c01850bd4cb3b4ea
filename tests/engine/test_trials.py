"""Trials: computed once, kept whole, continued when interrupted, named by what matters."""

import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pandas as pd
import pytest
import torch

from lib.base import paths
from lib.base.errors import OsteoBookError, SettingError
from lib.base.files import locked, replacing, write_table
from lib.data.manifest import SYNTHETIC_MARK
from lib.engine import code, trial_plans, trials, workers

TRIAL = {
    **{"study": "fake", "dataset": "d", "method": "m", "fold": 0, "seed": 1},
    **{"epochs": 2, "device": "cuda"},
}


@pytest.fixture
def fake_study(tmp_path, monkeypatch):
    """A study whose training writes one number; it records its calls."""
    monkeypatch.setattr(paths, "TRIALS", tmp_path)
    module = types.ModuleType("lib.studies.fake")
    module.calls = []

    def train(trial, data_root, folder):
        module.calls.append(trial["method"])
        if trial["method"] == "broken":
            raise ValueError("no such thing")
        row = {k: trial[k] for k in ("study", "dataset", "method", "fold", "seed")}
        write_table(pd.DataFrame([row | {"value": 0.1 + 0.2}]), folder / "metrics.csv")
        write_table(pd.DataFrame({"epoch": [0, 1]}), folder / "history.csv")
        (folder / "checkpoint.safetensors").touch()

    module.train = train
    module.estimate = lambda trial: (1.5, 2.0)
    module.is_listed = lambda trial: trial["epochs"] == 2
    module.trials_and_fingerprint = lambda **parameters: ([TRIAL], parameters["data_root"])
    monkeypatch.setitem(sys.modules, "lib.studies.fake", module)
    monkeypatch.setitem(sys.modules, "lib.studies.fake_trials", module)
    # in this process: another one would not know the fake study
    monkeypatch.setattr(
        trials, "run_in_processes", lambda f, jobs, *_, **labels: [f(*job) for job in jobs]
    )
    return module


def test_a_trial_is_computed_once_and_leaves_only_its_results(fake_study, capsys):
    (folder,) = trials.run_trials([TRIAL], "", "data-a")
    trials.run_trials([TRIAL], "", "data-a")
    assert fake_study.calls == ["m"]
    kept = ["config.json", "data.json", "history.csv", "metrics.csv", "timing.json"]
    assert sorted(p.name for p in folder.iterdir()) == kept
    assert sorted(p.name for p in folder.parent.iterdir()) == [".locks", folder.name]
    assert "1 of 1 trials already computed" in capsys.readouterr().out


def test_a_trial_tells_its_data_but_is_not_named_by_what_they_are(fake_study, tmp_path):
    root = tmp_path / "root"
    (root / "fake").mkdir(parents=True)
    (folder,) = trials.run_trials([TRIAL], str(root), "data-a")
    own = {"synthetic": False, "note": "", "fingerprint": "data-a"}
    assert json.loads((folder / trials.DATA_RECORD).read_text()) == own
    (root / "fake" / SYNTHETIC_MARK).write_text("Drawn.\n")
    assert trials.run_trials([TRIAL], str(root), "data-a") == [folder]
    (other,) = trials.run_trials([TRIAL | {"seed": 2}], str(root), "data-a")
    drawn = own | {"synthetic": True, "note": "Drawn."}
    assert json.loads((other / trials.DATA_RECORD).read_text()) == drawn


def test_what_a_run_took_is_the_sum_of_its_trials(fake_study):
    folders = trials.run_trials([TRIAL | {"seed": n} for n in (5, 3)], "", "data-a")
    for folder, seconds in zip(folders, (90, 33), strict=True):
        (folder / "timing.json").write_text(json.dumps({"seconds": seconds}))
    assert trials.run_record(folders) == {"seeds": [3, 5], "minutes": 2.0}  # 2.05 to the even


def test_floats_keep_every_digit(fake_study):
    folders = trials.run_trials([TRIAL], "", "data-a")
    assert trials.collect(folders, "metrics")["value"].item() == 0.1 + 0.2
    assert "0.30000000000000004" in (folders[0] / "metrics.csv").read_text()


@pytest.mark.parametrize("name", ["NA", "None", "nan", "null", "007"])
def test_names_that_look_like_gaps_are_collected_as_they_are(fake_study, name):
    (folder,) = trials.run_trials([TRIAL], "", "data-a")
    table = pd.DataFrame({"case": [name, "a", ""], "subject": ["b", name, "c"]})
    write_table(table.assign(value=[0.5, None, 1.0]), folder / "metrics.csv")
    found = trials.collect([folder], "metrics")
    assert found["case"][:2].tolist() == [name, "a"] and found["subject"][1] == name
    assert found[["case", "value"]].isna().to_numpy().tolist() == [
        [False, False], [False, True], [True, False],
    ]  # fmt: skip


def test_history_is_collected_with_the_names_of_its_trial(fake_study):
    history = trials.collect(trials.run_trials([TRIAL], "", "data-a"), "history")
    assert list(history) == ["study", "dataset", "method", "fold", "seed", "epoch"]
    assert history["method"].tolist() == ["m", "m"]
    with pytest.raises(SettingError, match="metrics, history"):
        trials.collect([], "metric")


@pytest.mark.parametrize("change", ["trial", "data", "code", "versions"])
def test_whatever_changes_the_result_changes_the_folder(fake_study, monkeypatch, change):
    before = trials.trial_folder(trials.describe(TRIAL, "data-a"))
    trial, fingerprint = TRIAL, "data-a"
    if change == "trial":
        trial = TRIAL | {"epochs": 3}
    elif change == "data":
        fingerprint = "data-b"
    elif change == "code":
        monkeypatch.setattr(trials, "closure_digests", lambda module: {"lib/losses.py": "1"})
    else:
        monkeypatch.setattr(trials, "library_versions", lambda: {"torch": "0"})
    assert trials.trial_folder(trials.describe(trial, fingerprint)) != before


def test_plan_says_what_would_run_and_why(fake_study, monkeypatch):
    def planned(data_root="data-a"):
        return trial_plans.plan("fake", data_root=data_root).iloc[0].to_dict()

    assert planned() == {
        "name": "d-m-fold0-seed1",
        "status": "run",
        "why": "never run",
        "minutes": 1.5,
        "megabytes": 2.0,
    }
    trials.run_trials([TRIAL], "", "data-a")
    assert (planned()["status"], planned()["minutes"]) == ("cached", 0)
    assert planned("data-b")["why"] == "changed: data"
    assert planned("data-b")["minutes"] < 0.1, "a measured time replaces the estimate"
    real = trials.closure_digests
    edited = {"lib/losses/overlap.py": "1"}
    monkeypatch.setattr(trials, "closure_digests", lambda module: real(module) | edited)
    assert planned()["why"] == "changed: lib/losses/overlap.py"
    folder = trials.trial_folder(trials.describe(TRIAL, "data-a"))
    trials.partial_folder(folder).mkdir()
    assert planned()["status"] == "continue"


def test_a_failing_trial_keeps_its_partial_folder_and_never_looks_complete(fake_study):
    with pytest.raises(ValueError, match="no such thing"):
        trials.run_trials([TRIAL | {"method": "broken"}], "", "data-a")
    assert [p.name[-8:] for p in (paths.TRIALS / "fake").glob("[!.]*")] == [".partial"]


def end_at_once(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_the_system_ends_is_one_clear_error(fake_study, monkeypatch):
    """As when memory runs out: every job fails, whichever took too much."""

    def run(_, jobs, *__, names):
        return workers.run_in_processes(end_at_once, jobs, 1, names=names)

    monkeypatch.setattr(trials, "run_in_processes", run)
    with pytest.raises(OsteoBookError) as told:
        trials.run_trials([TRIAL, TRIAL | {"method": "n"}], "", "data-a", workers=1)
    message = str(told.value)
    assert "a process that was ended, most often for want of memory" in message
    assert "2 of 2 trainings are missing, what is finished is kept. Fix: run again" in message
    assert "smaller profile or fewer workers" in message and "d-m" not in message


def test_other_failures_are_told_as_they_are(fake_study, monkeypatch):
    def run(*_, **__):
        raise OsteoBookError("training: 1 of 1 jobs failed") from ValueError("no such thing")

    monkeypatch.setattr(trials, "run_in_processes", run)
    with pytest.raises(OsteoBookError, match="1 of 1 jobs failed"):
        trials.run_trials([TRIAL], "", "data-a", workers=1)


def test_figures_only_refuses_to_train(fake_study):
    with pytest.raises(OsteoBookError, match="Fix: run once without"):
        trials.run_trials([TRIAL], "", "data-a", cached_only=True)
    assert fake_study.calls == []


def test_clean_frees_what_the_present_code_would_not_use(fake_study, monkeypatch):
    kept = trials.run_trials([TRIAL, TRIAL | {"method": "n"}], "", "data-a")
    stale = trials.run_trials([TRIAL | {"epochs": 9}], "", "data-a")  # of an old profile
    with monkeypatch.context() as other:
        other.setattr(trials, "library_versions", lambda: {"torch": "0"})
        stale += trials.run_trials([TRIAL], "", "data-a")
    stale.append(kept[0].with_name("empty.partial"))
    stale[-1].mkdir()
    assert {folder for folder, _ in trial_plans.clean()} == set(stale)
    assert all(folder.exists() for folder in kept)
    assert not any(folder.exists() for folder in stale)
    assert trial_plans.clean() == []


def test_a_result_folder_that_cannot_be_made_is_one_clear_error(fake_study):
    (paths.TRIALS / "fake").write_text("a file where a folder should be")
    with pytest.raises(OsteoBookError, match="a file stands where a folder is expected"):
        trials.run_trials([TRIAL], "", "data-a")


# --- code and versions


def test_code_digest_ignores_comments_and_docstrings_but_not_numbers(tmp_path):
    def digest_of(text):
        path = tmp_path / "module.py"
        path.write_text(text)
        return code._digest_and_imports.__wrapped__(path, 0)[0]

    base = digest_of('def f(x):\n    """Doc."""\n    return x + 1\n')
    assert digest_of("def f(x):\n    # why\n\n    return x + 1\n") == base
    assert digest_of("def f(x):\n    return x + 2\n") != base


def test_closure_holds_what_is_imported_and_nothing_else():
    assert list(code.closure_digests("lib.training.loop")) == [
        *("lib/training/checkpoints.py", "lib/base/files.py", "lib/training/loop.py")
    ]


def test_a_study_is_retrained_only_for_what_its_training_uses():
    used = set(code.closure_digests("lib.studies.wrist.learn"))
    assert {"lib/losses/overlap.py", "lib/models/unet.py", "lib/data/crop.py"} <= used
    unused = (
        "figures",
        "claims",
        "statistics",
        "trials",
        "workers",
        "profiles",
        "runner",
        "audits",
    )
    assert not [name for name in used if name.startswith(tuple(f"lib/{x}" for x in unused))]
    assert "lib/engine/workers.py" in trials.describe(TRIAL, "")["code"], (
        "it sets threads and kernels"
    )
    assert "lib/losses/__init__.py" not in used, "it would bring in every loss"


# --- files


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "words"), [(28, "disk is full"), (13, "no permission"), (30, "read-only")]
)
def test_refusals_of_the_system_are_explained(tmp_path, number, words):
    with pytest.raises(OsteoBookError, match=words), replacing(tmp_path / "x"):
        raise OSError(number, os.strerror(number))


def test_two_processes_never_work_in_one_folder(tmp_path):
    script = (
        "import sys,time,pathlib; from lib.base.files import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): print('in', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "t")]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=paths.ROOT)
    assert first.stdout.readline() == b"in\n"
    second = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=paths.ROOT)
    try:
        time.sleep(0.5)
        os.set_blocking(second.stdout.fileno(), False)
        assert second.stdout.read() is None, "the second must wait"
        first.kill()
        os.set_blocking(second.stdout.fileno(), True)
        assert second.stdout.readline() == b"in\n", "a killed process must let go"
    finally:
        first.kill(), second.kill(), first.wait(), second.wait()
    with locked(tmp_path / "t"):
        pass


# --- processes


def square(x):
    if x < 0:
        raise ValueError("negative")
    return x * x


def test_jobs_return_in_order_and_failures_are_told_after_the_rest():
    assert workers.run_in_processes(square, [(3,), (1,), (2,)], 2) == [9, 1, 4]
    with pytest.raises(OsteoBookError, match="1 of 2 .* First: job 0: ValueError: negative"):
        workers.run_in_processes(square, [(-1,), (1,)], 1)
    assert workers.run_in_processes(square, []) == []


def how_a_worker_computes(_):
    return torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()


def test_workers_are_deterministic_and_use_one_thread():
    assert workers.run_in_processes(how_a_worker_computes, [(0,), (1,)]) == [(1, True)] * 2


def sleep_forever(pid_file):
    Path(pid_file).write_text(str(os.getpid()))
    time.sleep(600)


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path, how):
    script = (
        "import sys; from lib.engine.workers import run_in_processes\n"
        "from tests.test_trials import sleep_forever\n"
        "if __name__ == '__main__': run_in_processes(sleep_forever, [(sys.argv[1],)])"
    )
    pid_file = tmp_path / "pid"
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(pid_file)], cwd=paths.ROOT, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not pid_file.exists() or not pid_file.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    parent.send_signal(how)
    parent.wait(30)
    while alive(int(pid_file.read_text())):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.1)
    assert json.loads(pid_file.read_text()) > 0


# --- sharing a GPU


@pytest.mark.parametrize(
    ("free_gb", "need_gb", "cores", "expected"),
    [(80, 25, 16, 3), (139, 25, 16, 4), (139, 25, 2, 2), (20, 25, 16, 1), (80, None, 16, 1)],
)
def test_a_gpu_takes_as_many_trainings_as_its_memory_holds(
    monkeypatch, free_gb, need_gb, cores, expected
):
    module = types.ModuleType("lib.studies.fake_trials")
    if need_gb is not None:
        module.gpu_gigabytes = lambda trial: need_gb / (1 + trial["fold"])  # the largest counts
    monkeypatch.setitem(sys.modules, "lib.studies.fake_trials", module)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free_gb * 10**9, 140 * 10**9))
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    listed = [TRIAL | {"fold": fold} for fold in (2, 0, 1)]
    assert trials.default_workers(listed) == expected
    assert trials.default_workers([trial | {"device": "cpu"} for trial in listed]) == cores
