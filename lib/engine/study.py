"""What a study is to the engine and to the commands: one ``STUDY`` in the package of each.

A study says where its data are, which trials it consists of, how each kind of trial is computed,
and how a trained network is used on any image; everything else is done here, the same for all.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lib.base import paths
from lib.base.errors import SettingError
from lib.engine.code import Entry, code_of, library_versions
from lib.engine.profiles import NAMES, Settings
from lib.engine.synthetic import phantom_root
from lib.engine.trials import (
    Trial,
    run_trial,
    run_trials,
    stored_config,
    trial_folder,
    trial_from_json,
)
from lib.engine.workers import start_worker
from lib.phantoms import SCENES

PHANTOM_SEED = 0  # the same phantoms for every seed of a study


class Source(NamedTuple):
    """Data of a study, or of one of its variants.

    Attributes:
        root: data root, the folder that holds the study's.
        fingerprint: of the data's content.
        cases: how many there are.
    """

    root: str
    fingerprint: str
    cases: int


Sources = dict[str, Source]  # by variant; under "" what holds for every variant


class Request(NamedTuple):
    """What a study lists its trials for.

    Attributes:
        settings: of the profile.
        seed: of the run.
        device: cpu or cuda.
        sources: where the data are.
        options: the study's own parameters, each with a value.
        folder_name: earlier trial -> the name of its folder, for the trials that start from it.
    """

    settings: Settings
    seed: int
    device: str
    sources: Sources
    options: dict[str, Any]
    folder_name: Callable[[Trial], str]


def no_entries(trial: Trial) -> list[Entry]:
    """For a kind of trial whose code reads no registry."""
    del trial
    return []


@dataclass(frozen=True)
class Kind:
    """One kind of trial.

    Attributes:
        trial: its dataclass.
        train: (trial, data root, folder) -> None: compute it and leave the results in the folder.
        estimate: trial -> minutes on one core (or one GPU) and megabytes on disk, a guess that
            serves until one was measured.
        uses: trial -> the entries of registries that its code reads: its method, its network.
        gpu_gigabytes: trial -> memory that it takes of a GPU, so that several can share one; None:
            it gets the GPU for itself.
    """

    trial: type[Trial]
    train: Callable[[Any, str, Path], None]
    estimate: Callable[[Any], tuple[float, float]]
    uses: Callable[[Any], list[Entry]] = no_entries
    gpu_gigabytes: Callable[[Any], float] | None = None


@dataclass(frozen=True)
class Study:
    """A study, as the engine and the commands see it.

    Attributes:
        name: of its folders of data, trials and figures.
        profiles: profile -> settings (``read_profiles``).
        kinds: of its trials.
        list_trials: request -> its trials in stages, each of which may start from earlier ones.
        describe_data: data root, variant, seed -> the data's fingerprint and the number of cases.
        scenes: variant -> scene of its phantoms, "" for all variants.
        variants: data root of a user -> those variants of ``scenes`` that it has data of.
        options: the study's own parameters with their defaults.
        problems: (folder, cases, whether each is a negative) -> what forbids running the study on a
            user's folder, one line each.
        reader: how a trained network is used on any image (``lib.studies.common.reader``); None
            for a study without images of its own.
        find_data: replaces ``roots`` for a study with another rule.
    """

    name: str
    profiles: Mapping[str, Settings]
    kinds: tuple[Kind, ...]
    list_trials: Callable[[Request], list[list[Any]]]
    describe_data: Callable[[str, str, int], tuple[str, int]]
    scenes: Mapping[str, str]
    variants: Callable[[str], Iterable[str]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    problems: Callable[[Path, pd.DataFrame, pd.Series], list[str]] | None = None
    reader: Any = None
    find_data: Callable[[str, str], dict[str, str]] | None = None

    def __post_init__(self) -> None:
        wrong = [kind.trial.__name__ for kind in self.kinds if kind.trial.study != self.name]
        if wrong or not self.kinds:
            raise SettingError(
                f"{self.name}: found trials {', '.join(wrong) or '(none)'}; expected some whose "
                f"`study` is {self.name!r}."
            )
        if not callable(getattr(self.reader, "prepare", None)) and self.reader is not None:
            raise SettingError(
                f"{self.name}: found a reader without `prepare`; expected the road from pixels to "
                "the network. Fix: see lib/studies/common/reader.py."
            )

    # --- settings and data -----------------------------------------------------------------------

    def settings(self, profile: str) -> Settings:
        """Settings of a profile, as a copy; SettingError if there is no such profile."""
        if profile not in self.profiles:
            raise SettingError(
                f"profile: found {profile!r}; expected one of {', '.join(self.profiles)}."
            )
        return copy(self.profiles[profile])

    def roots(self, data_root: str, profile: str) -> dict[str, str]:
        """Data root of every variant: the user's where there are some, else phantoms.

        Args:
            data_root: folder that holds the study's folder; "" for data/<study> if it exists.
            profile: decides the number and size of the phantoms.
        """
        self.settings(profile)  # known, or it says which are
        if self.find_data is not None:
            return self.find_data(data_root, profile)
        if paths.has_own_data(data_root, self.name):
            root = str(paths.data_root(data_root))
            return dict.fromkeys(self.variants(root) if self.variants else self.scenes, root)
        return self.phantoms(profile)

    def phantoms(self, profile: str) -> dict[str, str]:
        """Data root of every variant's phantoms, of the profile's number and size."""
        settings = self.settings(profile)
        return {
            variant: str(
                phantom_root(
                    scene,
                    settings.get("phantoms", SCENES[scene].cases),
                    settings["phantom_size"],
                    PHANTOM_SEED,
                )
            )
            for variant, scene in self.scenes.items()
        }

    def sources(self, data_root: str, profile: str, seed: int) -> Sources:
        """Roots, fingerprints and sizes of the data of every variant."""
        return {
            variant: Source(root, *self.describe_data(root, variant, seed))
            for variant, root in self.roots(data_root, profile).items()
        }

    def source(self, trial: Trial, sources: Sources) -> Source:
        """The data of one trial."""
        return sources.get(trial.variant) or sources[""]

    # --- trials ----------------------------------------------------------------------------------

    def trials(
        self, profile: str, seed: int, device: str, sources: Sources, **options: Any
    ) -> list[list[Any]]:
        """Every trial of the study in stages: those of one stage may start from earlier ones.

        Args:
            profile: smoke, quick or paper.
            seed: of the run.
            device: cpu or cuda.
            sources: of ``sources``.
            **options: the study's own parameters; the others keep their defaults.

        Raises:
            SettingError: if profile, seed or options cannot be used.
        """
        name = partial(self._folder_name, sources)
        return self._listed(profile, seed, device, sources, options, name)

    def _listed(
        self,
        profile: str,
        seed: int,
        device: str,
        sources: Sources,
        options: Mapping[str, Any],
        folder_name: Callable[[Trial], str],
    ) -> list[list[Any]]:
        if not isinstance(seed, int) or seed < 0:
            raise SettingError(
                f"seed: found {seed!r}; expected a whole number from 0. Fix: seed=42."
            )
        if unknown := set(options) - set(self.options):
            known = ", ".join(self.options) or "none"
            raise SettingError(f"options: found {', '.join(unknown)}; expected {known}.")
        chosen = dict(self.options) | options
        settings = self.settings(profile)
        return self.list_trials(Request(settings, seed, device, sources, chosen, folder_name))

    def narrowed(
        self, stages: list[list[Any]], sources: Sources, methods: Iterable[str]
    ) -> list[list[Any]]:
        """The trials of some methods, and those that they start from.

        A method is named as its trials name it (``deeplabv3plus/ce2``) or by one of its parts
        (``ce2``).

        Raises:
            SettingError: for a method that no trial has.
        """
        listed = [trial for stage in stages for trial in stage]
        chosen: list[Any] = []
        for method in methods:
            named = [t for t in listed if t.method == method or method in t.method.split("/")]
            if not named:
                known = ", ".join(dict.fromkeys(trial.method for trial in listed))
                raise SettingError(f"methods: found {method!r}; expected some of {known}.")
            chosen += named
        kept, needed = set(chosen), {name for trial in chosen for name in trial.needs}
        for trial in reversed(listed):
            if trial not in kept and self._folder_name(sources, trial) in needed:
                kept.add(trial)
                needed |= set(trial.needs)
        return [[trial for trial in stage if trial in kept] for stage in stages]

    def run(
        self,
        stages: list[list[Any]],
        sources: Sources,
        workers: int | None = None,
        cached_only: bool = False,
    ) -> list[list[Path]]:
        """Compute what is missing, stage after stage; folders of all trials, in their order.

        Args and errors as ``lib.engine.trials.run_trials``.
        """
        return [run_trials(self, stage, sources, workers, cached_only) for stage in stages]

    def kind_of(self, trial: Trial) -> Kind:
        """How this trial is computed."""
        return next(kind for kind in self.kinds if kind.trial is type(trial))

    def describe(self, trial: Trial, sources: Sources) -> dict:
        """What decides a trial's result; ``modules`` only tells which code that is."""
        return self.describe_for(trial, self.source(trial, sources).fingerprint)

    def describe_for(self, trial: Trial, fingerprint: str) -> dict:
        """``describe`` for data with this fingerprint."""
        kind = self.kind_of(trial)
        # how a worker computes (threads, kernels) counts as well
        code = code_of(kind.train, run_trial, start_worker, entries=kind.uses(trial))
        return {
            "name": trial.name,
            "trial": trial.to_json(),
            "data": fingerprint,
            "code": code.key,
            "modules": code.modules,
            "versions": library_versions(),
        }

    def folder(self, trial: Trial, sources: Sources) -> Path:
        """Where the results of a trial are kept."""
        return trial_folder(self.describe(trial, sources))

    def _folder_name(self, sources: Sources, trial: Trial) -> str:
        return self.folder(trial, sources).name

    def read_trial(self, stored: dict[str, Any]) -> Any:
        """The trial that a ``config.json`` holds under "trial"."""
        return trial_from_json(stored, [kind.trial for kind in self.kinds])

    def stored_trial(self, folder: Path) -> Any:
        """The trial whose results a folder holds."""
        return self.read_trial(stored_config(folder)["trial"])

    def is_current_trial(self, trial: Trial, fingerprint: str) -> bool:
        """Whether some profile would ask for this trial today."""
        source = Source("", fingerprint, trial.fold + 1)
        sources = {trial.variant: source, "": source}
        options = {name: getattr(trial, name) for name in trial.options}
        seed = getattr(trial, "split_seed", trial.seed)
        return any(
            _is_same(trial, listed)
            for profile in NAMES
            for stage in self._listed(profile, seed, trial.device, sources, options, _unnamed)
            for listed in stage
        )


def _unnamed(trial: Trial) -> str:
    """Instead of its folder's name, which takes time and is not compared."""
    del trial
    return ""


def _is_same(trial: Trial, other: Trial) -> bool:
    """Whether both were asked for alike; what the machine decides may differ."""
    left_out = trial.machine
    kept, wanted = trial.to_json(), other.to_json()
    return {k: v for k, v in kept.items() if k not in left_out} == {
        k: v for k, v in wanted.items() if k not in left_out
    }
