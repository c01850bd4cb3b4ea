"""Which trainings the pediatric study consists of, in which order, and on which data."""

from collections.abc import Callable, Iterable
from pathlib import Path

from lib.base import paths
from lib.base.errors import DataError, SettingError
from lib.base.files import digest
from lib.data.manifest import fingerprint
from lib.engine.profiles import PROFILES, profile_settings
from lib.engine.synthetic import phantom_root
from lib.engine.trials import describe, run_trials, trial_folder
from lib.models.pediatric_encoders import imagenet_weights
from lib.models.pediatric_networks import PAPER_WIDTHS
from lib.phantoms import SCENES
from lib.studies.pediatric.learn import EXTRA, JOINTS, METHODS, examinations
from lib.studies.pediatric.learning import REGULARISATIONS
from lib.training.loop import pick_device

KINDS = ("autoencoder", "network", "evaluation")
# Names of folders depend on data and code, weights on what can be had: no profile lists them
FOUND = ("autoencoder", "networks", "weights")
PHANTOM_SEED = 0  # the same phantoms for every seed of the study
# Minutes of 1000 slices of 96 x 96 on one core, at the quick widths: measured
MINUTES = {"att_unet": 0.26, "vgg_unet": 0.28, "res_unet": 0.33, "dense_unet": 0.53, "": 0.05}
GPU_SHARE = 0.02  # guessed


def find_data(data_root: str, profile: str) -> dict[str, str]:
    """Data root of every joint: the user's where one is given or data/pediatric exists, and then
    only of the joints it has examinations of; else phantoms of both.

    Raises:
        DataError: if the user's folder cannot be used or has no examination of either joint.
    """
    if not paths.has_own_data(data_root, "pediatric"):
        size = profile_settings("pediatric", profile)["phantom_size"]
        scenes = {joint: f"{joint}_mr" for joint in JOINTS}
        return {
            joint: str(phantom_root(scene, SCENES[scene].cases, size, PHANTOM_SEED))
            for joint, scene in scenes.items()
        }
    root = str(paths.data_root(data_root))
    found = {joint: root for joint in JOINTS if len(examinations(root, joint))}
    if not found:
        raise DataError(
            f"{root}/pediatric: found no row of a joint; expected {' or '.join(JOINTS)} in a "
            "column joint, or masks of all bones of one. Fix: see data/README.md."
        )
    return found


def data_fingerprint(data_root: str, joint: str) -> str:
    """What identifies a joint's data: volumes, masks, and what decides who validates."""
    cases = examinations(data_root, joint)
    masks = [f"mask_{bone}" for bone in JOINTS[joint]]
    kept = cases[["case", "subject", "split", "image", "labels", *masks]]
    return digest(fingerprint(kept), cases["pathology"].to_csv())


def study_trials(profile: str, data_root: str, seed: int, device: str = "cpu") -> dict:
    """All trials of the study: {joint: {"autoencoder": [...], "network": [...], ...}}.

    Args:
        profile: smoke, quick or paper.
        data_root: "" for the user's own folder where there is one, else phantoms.
        seed: of every training.
        device: cpu or cuda.

    Raises:
        SettingError: if profile or seed cannot be used.
        DataError: as ``find_data``.
    """
    found = {}
    for joint, root in find_data(data_root, profile).items():
        data, count = data_fingerprint(root, joint), len(examinations(root, joint))
        folds = range(min(profile_settings("pediatric", profile)["folds"] or count, count))
        found[joint] = joint_trials(profile, joint, folds, seed, device, _namer(data))
    return found


def _namer(data: str) -> Callable[[dict], str]:
    return lambda trial: trial_folder(describe(trial, data)).name


def joint_trials(
    profile: str, joint: str, folds: Iterable[int], seed: int, device: str,
    name: Callable[[dict], str] = lambda trial: "",
) -> dict[str, list[dict]]:  # fmt: skip
    """Trials of one joint by kind; ``name`` tells the folder of an earlier one, for the later."""
    if not isinstance(seed, int) or seed < 0:
        raise SettingError(f"seed: found {seed!r}; expected a whole number from 0. Fix: seed=42.")
    settings = profile_settings("pediatric", profile)
    shared = {key: settings[key] for key in ("image_size", "normalisation")}
    shared |= {"study": "pediatric", "dataset": joint, "seed": seed, "device": device}
    found: dict[str, list[dict]] = {kind: [] for kind in KINDS}
    for fold in folds:
        made = _of_fold(settings, shared | {"fold": fold}, joint, name)
        for kind, listed in zip(KINDS, made, strict=True):
            found[kind] += listed
    return found


def _of_fold(settings: dict, shared: dict, joint: str, name) -> tuple[list, list, list]:
    parts = [("multi", ""), ("global", ""), *(("individual", bone) for bone in JOINTS[joint])]
    learning = shared | settings["learning"]
    encoders = {part: _autoencoder(settings, learning, *part) for part in parts}
    named = {part: name(trial) for part, trial in encoders.items()}
    networks, evaluations = [], []
    for method in (*METHODS, *EXTRA):
        backbone, strategy, regularisation = method.split("/")
        keys = {"strategy": strategy, "regularisation": regularisation, "backbone": backbone}
        players = []
        for part in (part for part in parts if part[0] == strategy):
            prior = named[part] if REGULARISATIONS[regularisation].prior else ""
            trial = learning | {"kind": "network", "method": _of_bone(method, part[1])} | keys
            trial |= settings["networks"][backbone] | {"bone": part[1], "autoencoder": prior}
            trial |= {key: settings[key] for key in ("reading", "selection")}
            trial["discriminator_width"] = settings["discriminator_width"]
            share = settings["discriminator_share"]
            trial["discriminator_learning_rate"] = share * trial["learning_rate"]
            players.append(trial | {"weights": _weights(settings, backbone, trial["width"])})
        networks += players
        trial = shared | {"kind": "evaluation", "method": method, "strategy": strategy}
        trial |= {"bones": list(JOINTS[joint]), "epochs": 1}
        evaluations.append(trial | {"networks": [name(player) for player in players]})
    return list(encoders.values()), networks, evaluations


def _autoencoder(settings: dict, learning: dict, strategy: str, bone: str) -> dict:
    trial = learning | {"kind": "autoencoder", "strategy": strategy, "bone": bone}
    return trial | {"method": _of_bone(f"autoencoder/{strategy}", bone)} | settings["autoencoder"]


def _of_bone(method: str, bone: str) -> str:
    return f"{method}-{bone}" if bone else method


def _weights(settings: dict, backbone: str, width: int) -> str:
    wanted = settings["weights"] == "imagenet" and backbone != "att_unet"
    wanted = wanted and width == PAPER_WIDTHS[backbone]
    return "imagenet" if wanted and imagenet_weights(backbone) is not None else "none"


def run_study(
    profile: str,
    data_root: str,
    seed: int,
    device: str = "cpu",
    workers: int | None = None,
    cached_only: bool = False,
) -> dict[str, dict[str, list[Path]]]:
    """Compute what is missing, stage after stage: {joint: {kind: folders of its trials}}.

    Args:
        profile, data_root, seed: as ``study_trials``.
        device: auto, cpu or cuda.
        workers, cached_only: as ``lib.engine.trials.run_trials``.
    """
    listed = study_trials(profile, data_root, seed, pick_device(device))
    roots = find_data(data_root, profile)
    data = {joint: data_fingerprint(root, joint) for joint, root in roots.items()}
    found: dict[str, dict[str, list[Path]]] = {joint: {} for joint in listed}
    for kind in KINDS:
        trials = [trial for joint in listed for trial in listed[joint][kind]]
        folders = run_trials(trials, roots, data, workers, cached_only)
        for joint in listed:
            found[joint][kind] = [
                f for f, t in zip(folders, trials, strict=True) if t["dataset"] == joint
            ]
    return found


def is_listed(trial: dict) -> bool:
    """Whether some profile still asks for this trial; ``trial_plans.clean`` keeps those."""
    fold, wanted = trial["fold"], {k: v for k, v in trial.items() if k not in FOUND}
    for profile, settings in PROFILES["pediatric"].items():
        if settings["folds"] is not None and fold >= settings["folds"]:
            continue
        made = joint_trials(profile, trial["dataset"], [fold], trial["seed"], trial["device"])
        for listed in made[trial["kind"]]:
            if wanted == {k: v for k, v in listed.items() if k not in FOUND}:
                return True
    return False


def trials_and_fingerprint(profile: str, data_root: str, seed: int, device: str):
    """What ``trial_plans.plan`` asks of a study: its trials, and what identifies their data."""
    listed = study_trials(profile, data_root, seed, pick_device(device))
    roots = find_data(data_root, profile)
    data = {joint: data_fingerprint(roots[joint], joint) for joint in listed}
    trials = [trial for kind in KINDS for joint in listed for trial in listed[joint][kind]]
    return trials, data


def estimate(trial: dict) -> tuple[float, float]:
    """Minutes on one core (or one GPU) and megabytes on disk before anything was measured."""
    if trial["kind"] == "evaluation":
        return 0.02, 0.1
    slices = trial["epochs"] * (trial["steps"] or 50) * trial["batch_size"] / 1000
    work = slices * (trial["image_size"] / 96) ** 2
    if trial["image_size"] == 256:
        work *= 15  # the paper's widths
    share = GPU_SHARE if trial["device"] == "cuda" else 1
    megabytes = 13.0 if trial["image_size"] == 256 else 0.7
    return MINUTES[trial.get("backbone", "")] * work * share, megabytes
