"""One place for versions, and run_all.sh with stand-ins for Python, pip and conda."""

import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from lib.app.checks import PARTS
from lib.base.paths import ROOT

REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s#]+) +# \S.*")


def requirements(pattern: str = "requirements*.txt") -> list[str]:
    """Lines of the requirements files that name a package."""
    files = sorted(ROOT.glob(pattern))
    lines = [line for file in files for line in file.read_text().splitlines()]
    return [line for line in lines if line.strip() and not line.startswith("#")]


def pins() -> dict[str, str]:
    """Version of each requirement under its normalised name."""
    matches = [REQUIREMENT.fullmatch(line) for line in requirements()]
    return {normal(match["name"]): match["version"] for match in matches if match}


def locked() -> dict[str, str]:
    """Version of every package of the closure."""
    return dict(line.split("==") for line in requirements("requirements.lock"))


def hashed() -> dict[str, str]:
    """Version of every package that is installed by hash."""
    lines = requirements("requirements-hashed.lock")
    matches = [re.fullmatch(r"(\S+)==(\S+) --hash=sha256:[0-9a-f]{64}", line) for line in lines]
    return {match[1]: match[2] for match in matches}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- versions ------------------------------------------------------------------------------------


def test_every_requirement_is_pinned_and_explained():
    assert [line for line in requirements() if not REQUIREMENT.fullmatch(line)] == []


def test_conda_adds_nothing_that_requirements_do_not_pin():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    files = ["-r requirements.txt", "-r requirements-notebooks.txt", "-r requirements-test.txt"]
    assert pip == {"pip": ["-c requirements.lock", *files, "-e ."]}


def test_the_python_version_is_the_same_everywhere():
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    steps = workflow["jobs"]["test"]["steps"]
    assert [s["with"]["python-version"] for s in steps if "python" in s.get("uses", "")] == ["3.11"]
    assert 'requires-python = "==3.11.*"' in (ROOT / "pyproject.toml").read_text()
    assert "(3, 11)" in (ROOT / "run_all.sh").read_text()


def test_the_lock_holds_every_requirement():
    """A requirement that is not in it: the lock was not written anew (.ci/lock.py)."""
    assert pins().items() <= locked().items()


def test_hashes_are_of_locked_files_that_are_the_same_everywhere():
    assert hashed().items() <= locked().items()
    assert not {"torch", "torchvision", "numpy"} & hashed().keys()
    assert {"albumentations", "timm", "jupyterlab"} <= hashed().keys()
    assert not [name for name in locked() if name.startswith(("nvidia", "cuda", "triton"))]


def test_this_environment_is_the_locked_one():
    installed = {name: metadata.version(name).split("+")[0] for name in locked()}
    assert installed == locked()


def entry(name: str, version: str, file: str) -> dict:
    """A package as pip reports it."""
    info = {"url": f"https://files/{file}", "archive_info": {"hashes": {"sha256": "ab" * 32}}}
    return {"metadata": {"name": name, "version": version}, "download_info": info}


def test_the_lock_is_written_from_what_pip_reports(tmp_path, monkeypatch):
    lock = runpy.run_path(str(ROOT / ".ci" / "lock.py"))
    report = [
        entry("torch", "2.13.0+cpu", "torch-2.13.0-cp311-linux_x86_64.whl"),
        entry("Numpy", "2.0", "numpy-2.0-cp311-linux_x86_64.whl"),
        entry("nvidia-nccl", "1", "nvidia_nccl-1-py3-none-any.whl"),
        entry("ruamel.yaml", "3.0", "ruamel_yaml-3.0-py3-none-any.whl"),
        entry("old", "0.1", "old-0.1.tar.gz"),
    ]
    variables = lock["main"].__globals__
    monkeypatch.setitem(variables, "resolve", lambda: report)
    monkeypatch.setitem(variables, "ROOT", tmp_path)
    lock["main"]()
    versions = (tmp_path / "requirements.lock").read_text().splitlines()[1:]
    assert versions == ["numpy==2.0", "old==0.1", "ruamel-yaml==3.0", "torch==2.13.0"]
    lines = (tmp_path / "requirements-hashed.lock").read_text().splitlines()[1:]
    hashes = f"--hash=sha256:{'ab' * 32}"
    assert lines == [f"old==0.1 {hashes}", f"ruamel-yaml==3.0 {hashes}"]


def test_files_of_a_user_are_refused():
    refused = runpy.run_path(str(ROOT / ".ci" / "guard.py"))["refused"]
    kept = [
        "data/README.md",
        "data/reference/claims_all.csv",
        "lib/studies/wrist/data.py",
        "figures/wrist/private.csv",
        "private",
    ]
    wrong = ["figures/wrist/private/a.png", "data/wrist/cases.csv", "data/hip/images/1.png"]
    assert refused([*kept, *wrong]) == wrong


def test_whatever_is_imported_is_pinned():
    imported = set()
    for file in [*(ROOT / "lib").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.partition(".")[0])
    foreign = imported - sys.stdlib_module_names - {"lib", "tests"}
    providers = metadata.packages_distributions()
    unpinned = {
        module
        for module in foreign
        if not {normal(name) for name in providers.get(module, [module])} & pins().keys()
    }
    assert unpinned == set()


def test_the_checks_of_a_push_are_the_checks_of_a_user():
    assert (ROOT / ".ci/run").read_text().split("\n", 1)[1].strip() == (
        'exec "$(dirname -- "$0")/../run_all.sh" --test'
    )
    text = (ROOT / ".github/workflows/test.yml").read_text()
    assert re.findall(r"run: (.*)", text) == ["./run_all.sh --test ${{ matrix.part }}"]
    assert yaml.safe_load(text)["jobs"]["test"]["strategy"]["matrix"] == {"part": list(PARTS)}
    assert os.access(ROOT / ".ci/run", os.X_OK) and os.access(ROOT / "run_all.sh", os.X_OK)


# --- run_all.sh ----------------------------------------------------------------------------------

# Writes its arguments to $CALLS; checks versions and options for real where it plays Python 3.11.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    "-c import sys; sys.exit(sys.version_info"*) exit {other_version} ;;
    "-P -c "*) exec "{real}" "$@" ;;
    "-P -m lib.app.run --help") exec "{real}" "$@" ;;
esac
echo "python $*${{OSTEOBOOK_FIGURES:+ to $OSTEOBOOK_FIGURES}}" >> "$CALLS"
case "$*" in
    "-m venv "*)
        for place in "$@"; do :; done
        mkdir -p "$place/bin" && cp "{good}" "$place/bin/python" ;;
    "-m pip install "*) [ ! -e "$CALLS.offline" ] ;;
esac
"""

FAKE_CONDA = """#!/bin/sh
echo "{name} $*" >> "$CALLS"
while [ "$1" != --prefix ]; do shift; done
[ ! -e "$CALLS.offline" ] && mkdir -p "$2/bin" && cp "{good}" "$2/bin/python"
"""

SETTINGS = (
    "requirements.txt",
    "requirements-notebooks.txt",
    "requirements-test.txt",
    "requirements.lock",
    "requirements-hashed.lock",
    "environment.yml",
    "pyproject.toml",
)
TOOLS = ("bash", "cat", "cksum", "cp", "dirname", "mkdir", "rm", "sh")
INSTALL = [
    "python -m pip install --require-hashes --no-deps -r {0}/requirements-hashed.lock",
    "python -m pip install -c {0}/requirements.lock -r {0}/requirements.txt"
    " -r {0}/requirements-notebooks.txt -r {0}/requirements-test.txt",
    "python -m pip install --no-deps -e {0}",
]


class Machine:
    """A copy of what run_all.sh needs, and a PATH that holds nothing but what is put there."""

    def __init__(self, folder: Path):
        self.root, self.bin, self.calls = folder / "clone", folder / "bin", folder / "calls"
        self.good = folder / "good_python"
        (self.root / "notebooks").mkdir(parents=True)
        self.bin.mkdir()
        for name in ("run_all.sh", *SETTINGS):
            shutil.copy(ROOT / name, self.root)
        shutil.copytree(ROOT / "lib", self.root / "lib")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.add(self.good, FAKE_PYTHON)

    def add(self, path: Path, text: str, other_version: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        values = {"real": sys.executable, "good": self.good, "name": path.name}
        path.write_text(text.format(other_version=other_version, **values))
        path.chmod(0o755)

    def python(self, name: str, other_version: bool = False) -> None:
        self.add(self.bin / name, FAKE_PYTHON, int(other_version))

    def conda(self, name: str) -> None:
        self.add(self.bin / name, FAKE_CONDA)

    def offline(self, yes: bool = True) -> None:
        marker = self.calls.with_suffix(".offline")
        marker.touch() if yes else marker.unlink()

    def run(self, *arguments: str, cwd: Path | None = None, **environment: str):
        self.calls.write_text("")
        return subprocess.run(
            [self.bin / "bash", self.root / "run_all.sh", *arguments],
            cwd=cwd,
            env={"PATH": str(self.bin), "CALLS": str(self.calls), **environment},
            capture_output=True,
            text=True,
        )

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()

    def install(self) -> list[str]:
        return [line.format(self.root) for line in INSTALL]


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("name", ["python3.11", "python3"])
def test_set_up_with_pip_happens_once(machine, name):
    machine.python(name)
    first = machine.run("--seed", "5")
    create = f"python -m venv {machine.root}/.venv"
    run = "python -P -m lib.app.run --seed 5"
    assert first.returncode == 0, first.stderr
    assert machine.called() == [create, *machine.install(), run]

    second = machine.run("--seed", "5")
    assert machine.called() == [run]
    assert "environment up to date (.venv)" in second.stdout


@pytest.mark.parametrize("name", SETTINGS)
def test_a_change_sets_up_again(machine, name):
    machine.python("python3.11")
    machine.run()
    with (machine.root / name).open("a") as file:
        file.write("# changed\n")
    machine.run()
    assert machine.called()[1:-1] == machine.install()
    machine.run()
    assert len(machine.called()) == 1


def test_a_moved_clone_is_set_up_again(machine):
    machine.python("python3.11")
    machine.run()
    machine.root = machine.root.rename(machine.root.with_name("moved"))
    machine.run()
    assert machine.called()[1:-1] == machine.install()


def test_an_interrupted_set_up_is_completed(machine):
    machine.python("python3.11")
    machine.offline()
    assert machine.run().returncode != 0
    assert not any("lib.app.run" in call for call in machine.called())
    (machine.root / ".venv" / "kept").touch()

    machine.offline(False)
    assert machine.run().returncode == 0
    assert machine.called()[1:-1] == machine.install()
    assert (machine.root / ".venv" / "kept").exists()


def test_a_failed_renewal_is_not_taken_for_the_old_environment(machine):
    machine.python("python3.11")
    machine.run()
    before = (machine.root / "requirements.txt").read_text()
    (machine.root / "requirements.txt").write_text("numpy==0")
    machine.offline()
    machine.run()
    (machine.root / "requirements.txt").write_text(before)
    machine.offline(False)
    machine.run()
    assert machine.called()[1:-1] == machine.install()


def test_an_environment_of_another_python_is_replaced(machine):
    machine.python("python3.11")
    machine.add(machine.root / ".venv/bin/python", FAKE_PYTHON, other_version=1)
    machine.run()
    assert machine.called()[0] == f"python -m venv --clear {machine.root}/.venv"


@pytest.mark.parametrize(
    ("tools", "command"),
    [
        (["conda"], "conda env create"),
        (["conda", "mamba"], "mamba env create"),
        (["conda", "mamba", "micromamba"], "micromamba create"),
    ],
)
def test_conda_is_taken_where_it_is_present(machine, tools, command):
    machine.python("python3.11")
    for tool in tools:
        machine.conda(tool)
    assert machine.run().returncode == 0
    create = f"{command} --prefix {machine.root}/.conda-env --file {machine.root}/environment.yml"
    assert machine.called() == [create, "python -P -m lib.app.run"]
    assert "environment up to date (.conda-env)" in machine.run().stdout
    assert machine.called() == ["python -P -m lib.app.run"]


def test_conda_alone_is_enough(machine):
    machine.conda("micromamba")
    assert machine.run("--dry-run").returncode == 0
    assert machine.called()[-1] == "python -P -m lib.app.run --dry-run"


def test_a_failure_of_conda_names_the_way_out(machine):
    machine.conda("conda")
    machine.offline()
    failed = machine.run()
    assert failed.returncode == 2 and "OSTEOBOOK_ENV=venv" in failed.stderr
    assert len(machine.called()) == 1


def test_the_kind_of_environment_can_be_chosen(machine):
    machine.python("python3.11")
    machine.conda("conda")
    machine.run(OSTEOBOOK_ENV="venv")
    assert machine.called()[0] == f"python -m venv {machine.root}/.venv"
    (machine.bin / "conda").unlink()
    for value in ("conda", "docker"):
        refused = machine.run(OSTEOBOOK_ENV=value)
        assert refused.returncode == 2 and "OSTEOBOOK_ENV" in refused.stderr
        assert refused.stderr.count("\n") == 1 and machine.called() == []


def test_no_python_311_is_one_clear_error(machine):
    machine.python("python3", other_version=True)
    refused = machine.run()
    assert refused.returncode == 2 and machine.called() == []
    assert "Python 3.11" in refused.stderr and refused.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [("--nonsense",), ("--only", "foot"), ("--only", "knee")])
def test_wrong_options_are_answered_before_any_set_up(machine, arguments):
    machine.python("python3.11")
    machine.conda("conda")
    refused = machine.run(*arguments)
    assert refused.returncode == 2 and machine.called() == []
    assert arguments[-1] in refused.stderr and refused.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_needs_no_set_up(machine, option):
    machine.python("python3.11")
    told = machine.run("--seed", "1", option)
    assert told.returncode == 0 and machine.called() == []
    assert told.stdout.startswith("usage: run_all.sh")


def test_any_working_directory_will_do(machine, tmp_path):
    """Even one with a package of the same name, and with a data root relative to it."""
    machine.python("python3.11")
    elsewhere = tmp_path / "else where"
    (elsewhere / "lib").mkdir(parents=True)
    (elsewhere / "lib" / "__init__.py").write_text("raise SystemExit('the wrong lib')")
    (elsewhere / "images").mkdir()
    told = machine.run("--data-root", "images", cwd=elsewhere)
    assert told.returncode == 0, told.stderr
    assert machine.run("--data-root", "other", cwd=elsewhere).returncode == 2


@pytest.mark.parametrize("named", ["out put", "/out put"])
def test_output_folders_may_be_relative(machine, tmp_path, named):
    machine.python("python3.11")
    machine.run(cwd=tmp_path, OSTEOBOOK_FIGURES=named)
    assert machine.called()[-1] == f"python -P -m lib.app.run to {tmp_path / named}"
