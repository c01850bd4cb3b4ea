"""Runs the study notebooks; ``./run_all.sh`` calls it as ``python -m lib.app.run``.

Options are answered with the standard library alone, so that they are checked before the
environment exists.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from lib.app.checks import PARTS as CHECKS, run_checks
from lib.app.interrupts import no_orphans
from lib.base import paths
from lib.base.errors import OsteoBookError, SettingError
from lib.base.files import explained
from lib.engine.notebooks import check_parameters, execute, make_key, output, why_run
from lib.engine.profiles import NAMES as PROFILES

DEVICES = ("auto", "cpu", "cuda")
LARGEST_SEED = 2**32 - 1  # numpy's limit
FREE_MEGABYTES = 200
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: error: {message.rstrip('.')}. See {self.prog} --help\n")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line, and ``notebooks``, the notebook of each chosen study.

    A wrong option exits with status 2 and one line that names it.
    """
    parser = _Parser(
        prog="run_all.sh",
        allow_abbrev=False,
        description="Execute the study notebooks; what is up to date is skipped.",
        epilog="Exit code: the number of notebooks that failed; 2 also for a wrong option, "
        "130 when interrupted. OSTEOBOOK_ENV=conda|venv chooses the kind of environment.",
    )
    add = parser.add_argument
    add("--profile", choices=PROFILES, default="quick", help="size of the study (default: quick)")
    known = ", ".join(paths.notebooks())
    add("--only", type=_studies, metavar="STUDIES", help=f"comma-separated: {known}")
    add(
        "--methods",
        type=_names,
        default=(),
        metavar="METHODS",
        help="comma-separated: train these alone and print their scores; no notebook is run",
    )
    add("--data-root", type=_folder, default=None, metavar="DIR", help="your data, in DIR/<study>/")
    add("--device", choices=DEVICES, default="auto", help="where to train (default: auto)")
    add("--seed", type=_seed, default=42, metavar="N", help="of every random choice (default: 42)")
    add("--figures-only", action="store_true", help="redraw from stored results, train nothing")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--dry-run", action="store_true", help="tell what would run, why, how long"
    )
    instead.add_argument(
        "--test",
        nargs="?",
        const="all",
        choices=(*CHECKS, "all"),
        help="check style, library and notebooks, or one of the three",
    )
    instead.add_argument("--clean", action="store_true", help="delete results that nothing uses")
    options = parser.parse_args(arguments)
    chosen = paths.notebooks()
    options.notebooks = {
        study: chosen[study] for study in chosen if study in (options.only or chosen)
    }
    if options.methods and not options.only:
        parser.error("--methods: found no --only; expected the studies whose methods these are")
    return options


def _studies(text: str) -> list[str]:
    chosen, known = _names(text), paths.notebooks()
    for name in chosen:
        if name not in known:
            raise argparse.ArgumentTypeError(
                f"found study {name!r}; expected some of {', '.join(known) or '(no notebook)'}"
            )
    return chosen


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _folder(text: str) -> str:
    if not text or not Path(text).expanduser().is_dir():
        raise argparse.ArgumentTypeError(
            f"found no folder {text!r}; expected one with a folder for each study"
        )
    return str(Path(text).expanduser().resolve())


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"found {text!r}; expected 0 to {LARGEST_SEED}")
    return int(text)


def notebook_parameters(options: argparse.Namespace) -> dict:
    """What papermill hands to every notebook."""
    return {
        "profile": options.profile,
        "seed": options.seed,
        "device": options.device,
        "data_root": options.data_root or "",
        "figures_only": options.figures_only,
    }


def run(options: argparse.Namespace) -> int:
    """Execute the chosen notebooks that are not up to date; returns how many failed.

    Raises:
        OsteoBookError: before anything is computed, if it could not be.
    """
    parameters = notebook_parameters(options)
    for notebook in options.notebooks.values():
        check_parameters(notebook, parameters)
    for folder in (paths.EXECUTED, paths.TRIALS):
        check_writable(folder)
    if options.profile == "paper" and not options.figures_only:
        _announce_hours(options.notebooks, parameters)
    jobs = [
        (study, notebook, parameters, f"[{position}/{len(options.notebooks)}]")
        for position, (study, notebook) in enumerate(options.notebooks.items(), 1)
    ]
    together = options.figures_only and len(jobs) > 1  # trainings would use all cores themselves
    failures = sum(_redraw(jobs) if together else [_run_one(*job) for job in jobs])
    if failures:
        print(f"{failures} of {len(options.notebooks)} notebooks failed", file=sys.stderr)
    _publish(complete=options.profile != "smoke" and not failures)
    return failures


def _publish(complete: bool) -> None:
    """Bring audit, ledger, checklists and README up to date if ``complete``; write the book."""
    from lib.app.report import audit, checklists, ledger
    from lib.app.report.book import write_book

    if complete:
        for path in (*audit.write(), *ledger.write(), *checklists.write()):
            print(f"written: {path}")
    print(f"the book: {write_book()}", flush=True)


def _announce_hours(studies: Iterable[str], parameters: dict) -> None:
    minutes = 0.0
    for study in studies:
        try:
            minutes += _plan(study, parameters)["minutes"].sum()
        except OsteoBookError as error:
            print(f"{study}: its trials are unknown: {error}")
    print(f"paper profile: an estimated {minutes / 60:.1f} hours of training", flush=True)


def _redraw(jobs: list[tuple]) -> list[bool]:
    """Execute notebooks that train nothing side by side; which of them failed."""
    from lib.engine.workers import run_in_processes

    names = [notebook.stem for _, notebook, *_ in jobs]
    at_once = (os.cpu_count() or 1) + 1  # one more than cores: each waits for its files at times
    shown = {"what": "redrawing", "unit": "notebook", "names": names}
    try:
        return run_in_processes(_redraw_one, jobs, at_once, **shown)
    finally:
        for _, notebook, *_ in jobs:  # a process that was killed could not
            output(notebook, ".partial.ipynb").unlink(missing_ok=True)


def _redraw_one(*job) -> bool:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C: the parent ends this
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that wait leave the cores to the others
    return _run_one(*job, shown=False)


def _run_one(
    study: str, notebook: Path, parameters: dict, position: str, shown: bool = True
) -> bool:
    """Execute one notebook if needed and report it; True if it failed.

    With ``shown``, what its cells print is printed as it comes.
    """
    key = make_key(study, notebook, parameters)
    reason = why_run(study, notebook, key)
    if not reason:
        print(f"{position} {notebook.stem}: up to date, nothing to do", flush=True)
        return False
    print(f"{position} {notebook.stem}: running ({reason})", flush=True)
    start = time.monotonic()
    error = execute(study, notebook, parameters, key, shown)
    minutes = (time.monotonic() - start) / 60
    if error:
        print(f"{position} {notebook.stem}: failed after {minutes:.1f} min", file=sys.stderr)
        print(f"  {error}\n  its copy: {output(notebook, '.failed.ipynb')}", file=sys.stderr)
        return True
    print(f"{position} {notebook.stem}: done in {minutes:.1f} min; {output(notebook, '.html')}")
    return False


def check_writable(folder: Path) -> None:
    """Find out before hours of computing whether results can be kept.

    Raises:
        OsteoBookError: if ``folder`` cannot be written or its disk is nearly full.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(1_000_000))
    free = shutil.disk_usage(folder).free / 1e6
    if free < FREE_MEGABYTES:
        raise OsteoBookError(
            f"{folder}: found {free:.0f} MB free; expected {FREE_MEGABYTES} MB. Fix: make space."
        )


def dry_run(options: argparse.Namespace) -> None:
    """Print what a run would execute, why, and how long it would take."""
    parameters = notebook_parameters(options)
    for study, notebook in options.notebooks.items():
        if options.methods:
            print(f"{study}, {', '.join(options.methods)}:")
            _tell_trials(_plan(study, parameters, options.methods))
            continue
        check_parameters(notebook, parameters)
        reason = why_run(study, notebook, make_key(study, notebook, parameters))
        print(f"{notebook.stem}: {f'would run ({reason})' if reason else 'up to date'}")
        if options.figures_only:
            print("  figures only: no trial would run")
            continue
        try:
            _tell_trials(_plan(study, parameters))
        except OsteoBookError as error:
            print(f"  its trials are unknown: {error}")


def _plan(study: str, parameters: dict, methods=()):
    from lib.engine import plans
    from lib.studies.registry import STUDIES
    from lib.training.loop import pick_device

    chosen = {name: parameters[name] for name in ("profile", "data_root", "seed")}
    return plans.plan(
        STUDIES[study], device=pick_device(parameters["device"]), methods=methods, **chosen
    )


def run_methods(options: argparse.Namespace) -> None:
    """Train some methods of the chosen studies alone, and print their mean scores.

    Raises:
        OsteoBookError: if a method is unknown or a training fails.
    """
    from lib.engine.trials import collect
    from lib.studies.registry import STUDIES
    from lib.training.loop import pick_device

    device, chosen = pick_device(options.device), []
    for name in options.notebooks:  # unknown methods are told before the first training
        study = STUDIES[name]
        sources = study.sources(options.data_root or "", options.profile, options.seed)
        stages = study.trials(options.profile, options.seed, device, sources)
        chosen.append((study, sources, study.narrowed(stages, sources, options.methods)))
    for study, sources, stages in chosen:
        finished = study.run(stages, sources, cached_only=options.figures_only)
        folders = [folder for stage in finished for folder in stage]
        scored = [folder for folder in folders if (folder / "metrics.csv").exists()]
        means = collect(scored, "metrics").groupby(["dataset", "method", "structure", "metric"])
        print(f"{study.name}, {options.profile} profile, means over {len(folders)} trainings:")
        print(means["value"].mean().unstack("metric").round(4).to_string())


def _tell_trials(trials) -> None:
    """Print one line per trial, and the totals."""
    for trial in trials.itertuples():
        print(f"  {trial.status:8}  {trial.name}  ({trial.why})")
    counts = ", ".join(f"{sum(trials.status == s)} {s}" for s in ("cached", "continue", "run"))
    minutes, megabytes = trials.minutes.sum(), trials.megabytes.sum()
    print(f"  {len(trials)} trials: {counts}; about {minutes:.1f} min and {megabytes:.0f} MB")


def clean() -> None:
    """Delete the trials that nothing refers to and print how much space that freed."""
    from lib.engine import plans
    from lib.studies.registry import EVERY

    freed = plans.clean(EVERY)
    for folder, megabytes in freed:
        print(f"deleted {folder} ({megabytes:.1f} MB)")
    print(f"{sum(megabytes for _, megabytes in freed):.1f} MB freed")


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks; returns the exit code."""
    options = parse(arguments)
    try:
        with no_orphans():
            if options.test:
                return run_checks(options.test)
            if options.clean:
                clean()
                return 0
            if not options.notebooks:
                raise SettingError(f"{paths.NOTEBOOKS}: found no notebook. Fix: restore the files.")
            if options.dry_run:
                dry_run(options)
                return 0
            if options.methods:
                run_methods(options)
                return 0
            return run(options)
    except OsteoBookError as error:
        print(f"run_all.sh: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; what is complete is kept, run again to continue", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
