"""Trials: computed once, kept whole, continued when interrupted, named by what matters."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
import torch

from lib.base import paths
from lib.base.errors import OsteoBookError, SettingError
from lib.base.files import locked, replacing, write_table
from lib.data.manifest import SYNTHETIC_MARK
from lib.engine import plans, study as study_module, trials, workers
from lib.engine.code import Code
from lib.engine.profiles import NAMES
from lib.engine.study import Kind, Source, Study


@dataclass(frozen=True, kw_only=True)
class FakeTrial(trials.Trial):
    """A trial without settings of its own."""

    study: ClassVar[str] = "fake"


TRIAL = FakeTrial(variant="v", method="m", seed=1, device="cuda", epochs=2)
CALLS: list[str] = []


def train(trial, data_root, folder):
    """Write one number; the calls are recorded."""
    CALLS.append(trial.method)
    if trial.method == "broken":
        raise ValueError("no such thing")
    rows = trials.tidy_rows(trial, "s", "c", "bone", [("dice", "fraction", 0.1 + 0.2)])
    write_table(pd.DataFrame(rows), folder / "metrics.csv")
    write_table(pd.DataFrame({"epoch": [0, 1]}), folder / "history.csv")
    (folder / "checkpoint.safetensors").touch()


def guess(trial):
    return 1.5, 2.0


def list_trials(request):
    return [[replace(TRIAL, epochs=request.settings["epochs"], method=m) for m in ("m", "n")]]


def describe_data(data_root, variant, seed):
    return data_root, 1


STUDY = Study(
    name="fake",
    profiles=dict.fromkeys(NAMES, {"epochs": 2}),
    kinds=(Kind(FakeTrial, train, guess),),
    list_trials=list_trials,
    describe_data=describe_data,
    scenes={"": "wrist"},
    find_data=lambda data_root, profile: {"": data_root},
)
CODE = Code("code", {"lib.losses": "1"})


def sources(fingerprint="data-a", root=""):
    return {"": Source(root, fingerprint, 1)}


def run(*listed, fingerprint="data-a", root="", **options):
    return trials.run_trials(STUDY, list(listed), sources(fingerprint, root), **options)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Trials are computed in this process: another one would not know the study of this file."""
    CALLS.clear()
    monkeypatch.setattr(paths, "TRIALS", tmp_path)
    monkeypatch.setattr(study_module, "code_of", lambda *roots, entries=None: CODE)

    def one_by_one(function, jobs, *_, **labels):
        return [function(*job) for job in jobs]

    monkeypatch.setattr(trials, "run_in_processes", one_by_one)


def test_a_trial_is_computed_once_and_leaves_only_its_results(capsys):
    (folder,) = run(TRIAL)
    run(TRIAL)
    assert CALLS == ["m"]
    kept = ["config.json", "data.json", "history.csv", "metrics.csv", "timing.json"]
    assert sorted(p.name for p in folder.iterdir()) == kept
    assert sorted(p.name for p in folder.parent.iterdir()) == [".locks", folder.name]
    assert "1 of 1 trials already computed" in capsys.readouterr().out


def test_a_trial_tells_its_data_but_is_not_named_by_what_they_are(tmp_path):
    root = tmp_path / "root"
    (root / "fake").mkdir(parents=True)
    (folder,) = run(TRIAL, root=str(root))
    own = {"synthetic": False, "note": "", "fingerprint": "data-a"}
    assert json.loads((folder / trials.DATA_RECORD).read_text()) == own
    (root / "fake" / SYNTHETIC_MARK).write_text("Drawn.\n")
    assert run(TRIAL, root=str(root)) == [folder]
    (other,) = run(replace(TRIAL, seed=2), root=str(root))
    drawn = own | {"synthetic": True, "note": "Drawn."}
    assert json.loads((other / trials.DATA_RECORD).read_text()) == drawn


def test_what_a_run_took_is_the_sum_of_its_trials():
    folders = run(*(replace(TRIAL, seed=n) for n in (5, 3)))
    for folder, seconds in zip(folders, (90, 33), strict=True):
        (folder / "timing.json").write_text(json.dumps({"seconds": seconds}))
    assert trials.run_record(folders) == {"seeds": [3, 5], "minutes": 2.0}  # 2.05 to the even


def test_floats_keep_every_digit():
    folders = run(TRIAL)
    assert trials.collect(folders, "metrics")["value"].item() == 0.1 + 0.2
    assert "0.30000000000000004" in (folders[0] / "metrics.csv").read_text()


@pytest.mark.parametrize("name", ["NA", "None", "nan", "null", "007"])
def test_names_that_look_like_gaps_are_collected_as_they_are(name):
    (folder,) = run(TRIAL)
    table = pd.DataFrame({"case": [name, "a", ""], "subject": ["b", name, "c"]})
    write_table(table.assign(value=[0.5, None, 1.0]), folder / "metrics.csv")
    found = trials.collect([folder], "metrics")
    assert found["case"][:2].tolist() == [name, "a"] and found["subject"][1] == name
    assert found[["case", "value"]].isna().to_numpy().tolist() == [
        [False, False], [False, True], [True, False],
    ]  # fmt: skip


def test_history_is_collected_with_the_names_of_its_trial():
    history = trials.collect(run(TRIAL), "history")
    assert list(history) == ["study", "dataset", "method", "fold", "seed", "epoch"]
    assert history["method"].tolist() == ["m", "m"]
    with pytest.raises(SettingError, match="metrics, history"):
        trials.collect([], "metric")


@pytest.mark.parametrize("change", ["trial", "data", "code", "versions"])
def test_whatever_changes_the_result_changes_the_folder(monkeypatch, change):
    before = STUDY.folder(TRIAL, sources())
    trial, fingerprint = TRIAL, "data-a"
    if change == "trial":
        trial = replace(TRIAL, epochs=3)
    elif change == "data":
        fingerprint = "data-b"
    elif change == "code":
        other = Code("other", CODE.modules)
        monkeypatch.setattr(study_module, "code_of", lambda *roots, entries=None: other)
    else:
        monkeypatch.setattr(study_module, "library_versions", lambda: {"torch": "0"})
    assert STUDY.folder(trial, sources(fingerprint)) != before


def test_where_the_code_stands_changes_no_folder(monkeypatch):
    before = STUDY.folder(TRIAL, sources())
    elsewhere = Code(CODE.key, {"lib.moved.losses": "1"})
    monkeypatch.setattr(study_module, "code_of", lambda *roots, entries=None: elsewhere)
    assert STUDY.folder(TRIAL, sources()) == before


def test_a_trial_comes_back_from_its_file():
    assert STUDY.read_trial(TRIAL.to_json()) == TRIAL
    with pytest.raises(SettingError, match="found fake .* Fix: run the study again"):
        STUDY.read_trial(TRIAL.to_json() | {"width": 3})


def test_plan_says_what_would_run_and_why(monkeypatch):
    def planned(data_root="data-a", place=0):
        table = plans.plan(STUDY, "quick", data_root, 1, "cuda")
        return table.iloc[place].to_dict()

    assert planned() == {
        "name": "v-m-fold0-seed1",
        "status": "run",
        "why": "never run",
        "minutes": 1.5,
        "megabytes": 2.0,
    }
    run(TRIAL)
    assert (planned()["status"], planned()["minutes"]) == ("cached", 0)
    assert planned("data-b")["why"] == "changed: data"
    assert planned("data-b")["minutes"] < 0.1, "a measured time replaces the estimate"
    edited = Code("edited", {"lib.losses": "2"})
    monkeypatch.setattr(study_module, "code_of", lambda *roots, entries=None: edited)
    assert planned()["why"] == "changed: lib.losses"
    trials.partial_folder(STUDY.folder(TRIAL, sources())).mkdir()
    assert planned()["status"] == "continue"


def test_some_methods_can_be_run_alone():
    stages = STUDY.trials("quick", 1, "cpu", sources())
    assert [t.method for t in STUDY.narrowed(stages, sources(), ["n"])[0]] == ["n"]
    with pytest.raises(SettingError, match="methods: found 'o'; expected some of m, n"):
        STUDY.narrowed(stages, sources(), ["o"])


def test_what_a_method_starts_from_is_run_with_it():
    @dataclass(frozen=True, kw_only=True)
    class Later(FakeTrial):
        start: str

        @property
        def needs(self):
            return (self.start,)

    study = replace(STUDY, kinds=(*STUDY.kinds, Kind(Later, train, guess)))
    first = replace(TRIAL, method="first")
    name = study.folder(first, sources()).name
    later = Later(variant="v", method="later", seed=1, device="cpu", epochs=1, start=name)
    stages = [[TRIAL, first], [later]]
    assert study.narrowed(stages, sources(), ["later"]) == [[first], [later]]


def test_a_failing_trial_keeps_its_partial_folder_and_never_looks_complete():
    with pytest.raises(ValueError, match="no such thing"):
        run(replace(TRIAL, method="broken"))
    assert [p.name[-8:] for p in (paths.TRIALS / "fake").glob("[!.]*")] == [".partial"]


def end_at_once(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_the_system_ends_is_one_clear_error(monkeypatch):
    """As when memory runs out: every job fails, whichever took too much."""

    def killed(_, jobs, *__, names):
        return workers.run_in_processes(end_at_once, jobs, 1, names=names)

    monkeypatch.setattr(trials, "run_in_processes", killed)
    with pytest.raises(OsteoBookError) as told:
        run(TRIAL, replace(TRIAL, method="n"), workers=1)
    message = str(told.value)
    assert "a process that was ended, most often for want of memory" in message
    assert "2 of 2 trainings are missing, what is finished is kept. Fix: run again" in message
    assert "smaller profile or fewer workers" in message and "v-m" not in message


def test_other_failures_are_told_as_they_are(monkeypatch):
    def failing(*_, **__):
        raise OsteoBookError("training: 1 of 1 jobs failed") from ValueError("no such thing")

    monkeypatch.setattr(trials, "run_in_processes", failing)
    with pytest.raises(OsteoBookError, match="1 of 1 jobs failed"):
        run(TRIAL, workers=1)


def test_figures_only_refuses_to_train():
    with pytest.raises(OsteoBookError, match="Fix: run once without"):
        run(TRIAL, cached_only=True)
    assert CALLS == []


def test_clean_frees_what_the_present_code_would_not_use(monkeypatch):
    kept = run(TRIAL, replace(TRIAL, method="n"))
    stale = run(replace(TRIAL, epochs=9))  # of an old profile
    with monkeypatch.context() as other:
        other.setattr(study_module, "library_versions", lambda: {"torch": "0"})
        stale += run(TRIAL)
    stale.append(kept[0].with_name("empty.partial"))
    stale[-1].mkdir()
    assert {folder for folder, _ in plans.clean({"fake": STUDY})} == set(stale)
    assert all(folder.exists() for folder in kept)
    assert not any(folder.exists() for folder in stale)
    assert plans.clean({"fake": STUDY}) == []


def test_a_result_folder_that_cannot_be_made_is_one_clear_error():
    (paths.TRIALS / "fake").write_text("a file where a folder should be")
    with pytest.raises(OsteoBookError, match="a file stands where a folder is expected"):
        run(TRIAL)


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
        "from tests.engine.test_trials import sleep_forever\n"
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
    kind = STUDY.kinds[0]
    if need_gb is not None:  # the largest counts
        kind = replace(kind, gpu_gigabytes=lambda trial: need_gb / (1 + trial.fold))
    study = replace(STUDY, kinds=(kind,))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free_gb * 10**9, 140 * 10**9))
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    listed = [replace(TRIAL, fold=fold) for fold in (2, 0, 1)]
    assert trials.default_workers(study, listed) == expected
    on_cpu = [replace(trial, device="cpu") for trial in listed]
    assert trials.default_workers(study, on_cpu) == cores


def test_a_broken_config_and_an_unknown_field_are_named(tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text('{"trial": {')
    with pytest.raises(SettingError, match=r"broken.config.json: found no JSON .*delete broken"):
        trials.stored_config(folder)
    stored = TRIAL.to_json() | {"colour": 1}
    del stored["epochs"]
    with pytest.raises(SettingError, match="with colour more and epochs less; expected one"):
        trials.trial_from_json(stored, [FakeTrial])
