"""Which trainings the hand study consists of, and on which data: changes no number."""

import json
from pathlib import Path

from lib.base import paths
from lib.base.errors import SettingError
from lib.base.files import digest
from lib.data.manifest import fingerprint
from lib.engine.profiles import PROFILES, profile_settings
from lib.engine.synthetic import phantom_root
from lib.engine.trials import describe, run_trials, trial_folder
from lib.models.pretrained import imagenet_weights
from lib.studies.hand.data import DATASETS, LABEL, METHODS, READER_COUNTS, SEGMENTERS, load_cases
from lib.training.loop import pick_device

QUICK_MINUTES = {  # of one quick training: measured, guessed
    "mose": {"cpu": 9.5, "cuda": 0.5},
    "unet": {"cpu": 3.6, "cuda": 0.3},
    "learning": {"cpu": 0.9, "cuda": 0.1},
}
PHANTOM_SEED = 0  # the same phantoms for every seed of the study
SUPERVISED = "supervised"
SEGMENTATION = {  # key of a trial -> key of the profile
    "image_size": "image_size",
    "widths": "widths",
    "unet_width": "unet_width",
    "samples": "samples",
    "patience": "segmentation_patience",
    "epochs": "segmentation_epochs",
    "batch_size": "segmentation_batch",
    "learning_rate": "segmentation_lr",
    "patch_side": "patch_side",
}
LEARNING = ("encoder", "view_sizes", "batch_size", "epochs", "steps", "learning_rate")
LEARNING += ("probe_epochs", "patch_side", "whole_side")


def find_data(data_root: str, profile: str) -> str:
    """Data root: the user's where one is given or data/hand exists, else phantoms."""
    if paths.has_own_data(data_root, "hand"):
        return str(paths.data_root(data_root))
    settings = profile_settings("hand", profile)
    root = phantom_root("hand", settings["phantoms"], settings["phantom_size"], PHANTOM_SEED)
    return str(root)


def segmentation_trials(
    profile: str, seed: int, device: str = "cpu", readers: int = 1
) -> list[dict]:
    """Mixture and U-Net for every seed, which changes split and training.

    Args:
        profile: smoke, quick or paper.
        seed: the first of the profile's seeds.
        device: cpu or cuda.
        readers: 1 annotation an image as in the paper, or 3 weighted ones (phantom readers).

    Raises:
        SettingError: if profile, seed or readers cannot be used.
    """
    settings = profile_settings("hand", profile)
    if not isinstance(seed, int) or seed < 0:
        raise SettingError(f"seed: found {seed!r}; expected a whole number from 0. Fix: seed=42.")
    if readers not in READER_COUNTS:
        raise SettingError(f"readers: found {readers!r}; expected one of {READER_COUNTS}.")
    shared = {"study": "hand", "kind": "segmentation", "dataset": "segmentation", "fold": 0}
    shared |= {key: settings[name] for key, name in SEGMENTATION.items()}
    shared |= {"readers": readers, "device": device}
    return [
        _plain(shared | {"method": method, "seed": each, "split_seed": each})
        for each in range(seed, seed + settings["seeds"])
        for method in SEGMENTERS
    ]


def learning_trials(segmentation: list[dict], data: str, profile: str) -> list[dict]:
    """Pre-trainings and the supervised network on the patches that each mixture has cut.

    Args:
        segmentation: trials of ``segmentation_trials``.
        data: fingerprint of the data.
        profile: smoke, quick or paper.
    """
    settings = profile_settings("hand", profile)
    wanted = settings["weights"] == "imagenet"
    pretrained = wanted and imagenet_weights(settings["encoder"]) is not None
    shared = {"study": "hand", "kind": "learning", "fold": 0}
    shared |= {key: settings[key] for key in LEARNING}
    shared["weights"] = "imagenet" if pretrained else "none"
    pairs = [(dataset, method) for dataset in DATASETS for method in METHODS]
    pairs.append((DATASETS[0], SUPERVISED))
    listed = []
    for mixture in (trial for trial in segmentation if trial["method"] == SEGMENTERS[0]):
        source = trial_folder(describe(mixture, data)).name
        own = {key: mixture[key] for key in ("seed", "split_seed", "device")}
        listed += [
            _plain(shared | own | {"segmentation": source, "dataset": dataset, "method": method})
            for dataset, method in pairs
        ]
    return listed


def study_trials(
    profile: str, seed: int, device: str, data: str, readers: int = 1
) -> tuple[list[dict], list[dict]]:
    """Both stages: segmentation, then learning; ``data`` is the data's fingerprint."""
    segmentation = segmentation_trials(profile, seed, device, readers)
    return segmentation, learning_trials(segmentation, data, profile)


def run_study(
    profile: str,
    data_root: str,
    seed: int,
    device: str = "auto",
    workers: int | None = None,
    cached_only: bool = False,
    readers: int = 1,
) -> dict[str, list[Path]]:
    """Compute what is missing of both stages; folders of "segmentation" and "learning".

    Args:
        profile, data_root, seed, device, readers: of the run.
        workers, cached_only: as for ``run_trials``.

    Raises:
        OsteoBookError: as ``run_trials``.
    """
    root = find_data(data_root, profile)
    data = data_fingerprint(root, profile)
    stages = study_trials(profile, seed, pick_device(device), data, readers)
    names = ("segmentation", "learning")
    return {
        name: run_trials(trials, root, data, workers, cached_only)
        for name, trials in zip(names, stages, strict=True)
    }


def is_listed(trial: dict) -> bool:
    """Whether some profile still asks for this trial; ``lib.engine.trial_plans.clean`` keeps those.

    Where the patches come from depends on data and code, so it is not compared.
    """
    left_out = ("segmentation", "weights")
    wanted = {k: v for k, v in trial.items() if k not in left_out}
    counts = [trial["readers"]] if "readers" in trial else [1]
    return any(
        wanted == {k: v for k, v in listed.items() if k not in left_out}
        for profile in PROFILES["hand"]
        for readers in counts
        for stage in study_trials(profile, trial["seed"], trial["device"], "", readers)
        for listed in stage
    )


def data_fingerprint(data_root: str, profile: str) -> str:
    """What identifies the study's data: files, splits and labels."""
    cases = load_cases(find_data(data_root, profile))
    return digest(fingerprint(cases), ",".join(map(str, cases[LABEL])))


def trials_and_fingerprint(profile: str, data_root: str, seed: int, device: str):
    """What ``trial_plans.plan`` asks of a study: its trials, and what identifies its data."""
    data = data_fingerprint(data_root, profile)
    segmentation, learning = study_trials(profile, seed, pick_device(device), data)
    return [*segmentation, *learning], data


def estimate(trial: dict) -> tuple[float, float]:
    """Minutes on one core (or one GPU) and megabytes on disk before anything was measured."""
    if trial["kind"] == "segmentation":
        work = trial["epochs"] / 76 * (trial["image_size"] / 128) ** 2
        minutes = QUICK_MINUTES[trial["method"]][trial["device"]]
        return minutes * work, 20.0 * (trial["patch_side"] / 96) ** 2
    work = trial["epochs"] * trial["steps"] / 80 * trial["batch_size"] / 64
    minutes = QUICK_MINUTES["learning"][trial["device"]]
    return minutes * work * (trial["view_sizes"][0] / 48) ** 2, 2.0


def _plain(trial: dict) -> dict:
    """As a file of JSON gives it back, so that stored and listed trials compare."""
    return json.loads(json.dumps(trial))
