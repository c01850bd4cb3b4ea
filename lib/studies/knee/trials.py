"""Which trainings the knee study consists of, and on which data: changes no number."""

from collections.abc import Iterable

from lib.base import paths
from lib.base.errors import SettingError
from lib.data.cases import find_cases
from lib.data.manifest import fingerprint
from lib.engine.profiles import PROFILES, profile_settings
from lib.engine.synthetic import phantom_root
from lib.models.knee_networks import NETWORKS, encoder_of
from lib.models.pretrained import imagenet_weights
from lib.studies.knee.learn import SPLITS
from lib.studies.knee.losses import EXTRA, LOSSES, VARIANTS, mix_of
from lib.training.loop import pick_device

QUICK_MINUTES = {"cpu": 0.6, "cuda": 0.05}  # of one quick training: measured, guessed
GPU_GIGABYTES = 24  # of one training of 16 frames of 512 x 512: guessed
PHANTOM_SEED = 0  # the same phantoms for every seed of the study
# Trained with the case split as well, which measures the leakage: simplest, weighted, best
LEAKAGE = ("ce1", "ce2", "ce2_dice_bd_50_25_25")


def find_data(data_root: str, profile: str) -> str:
    """Data root: the user's where one is given or data/knee exists, else phantoms."""
    if paths.has_own_data(data_root, "knee"):
        return str(paths.data_root(data_root))
    settings = profile_settings("knee", profile)
    root = phantom_root("knee", settings["phantoms"], settings["phantom_size"], PHANTOM_SEED)
    return str(root)


def grid(networks: Iterable[str] = NETWORKS, losses: Iterable[str] = tuple(LOSSES)) -> list[tuple]:
    """(network, loss) of the paper's 55 models, in its order; or of fewer or more."""
    return [(network, loss) for network in networks for loss in losses]


def study_trials(
    profile: str, seed: int, device: str = "cpu", models: list[tuple] | None = None
) -> list[dict]:
    """Every training of the study.

    The grid with the frame split; on one network (in the paper profile: all) the leakage's
    counterparts with the case split, the extra losses and the variants.

    Args:
        profile: smoke, quick or paper.
        seed: of the split and of every training.
        device: cpu or cuda.
        models: (network, loss) pairs instead of the paper's grid.

    Raises:
        SettingError: if profile, seed, network or loss cannot be used.
    """
    settings = profile_settings("knee", profile)
    if not isinstance(seed, int) or seed < 0:
        raise SettingError(f"seed: found {seed!r}; expected a whole number from 0. Fix: seed=42.")
    others = settings["others"]
    listed = [(SPLITS[0], *pair) for pair in (grid() if models is None else models)]
    listed += [(SPLITS[1], *pair) for pair in grid(others, LEAKAGE)]
    listed += [(SPLITS[0], *pair) for pair in grid(others, (*EXTRA, *VARIANTS))]
    return [_trial(settings, seed, device, *which) for which in listed]


def _trial(settings: dict, seed: int, device: str, dataset: str, network: str, loss: str) -> dict:
    mix_of(loss)
    encoder = encoder_of(network, settings["width"])
    wanted = settings["weights"] == "imagenet" and encoder is not None
    pretrained = wanted and imagenet_weights(encoder) is not None
    trial = {"study": "knee", "dataset": dataset, "method": f"{network}/{loss}"}
    trial |= {"network": network, "loss": loss, "fold": 0, "seed": seed, "split_seed": seed}
    keys = ("image_size", "frame_step", "width", "batch_size", "epochs", "per_evaluation")
    keys += ("learning_rate", "weight_decay", "warm_up", "polynomial")
    trial |= {key: settings[key] for key in keys}
    return trial | {"weights": "imagenet" if pretrained else "none", "device": device}


def is_listed(trial: dict) -> bool:
    """Whether some profile still asks for this trial; ``trial_plans.clean`` keeps those."""
    wanted = {k: v for k, v in trial.items() if k != "weights"}
    return any(
        wanted == {k: v for k, v in listed.items() if k != "weights"}
        for profile in PROFILES["knee"]
        for listed in study_trials(profile, trial["seed"], trial["device"])
    )


def data_fingerprint(data_root: str, profile: str) -> str:
    """What identifies the study's data."""
    return fingerprint(find_cases(find_data(data_root, profile), "knee"))


def trials_and_fingerprint(profile: str, data_root: str, seed: int, device: str):
    """What ``trial_plans.plan`` asks of a study: its trials, and what identifies its data."""
    trials = study_trials(profile, seed, pick_device(device))
    return trials, data_fingerprint(data_root, profile)


def gpu_gigabytes(trial: dict) -> float:
    """Memory of a GPU that a training takes, so that several can share it."""
    frames = trial["batch_size"] / 16 * (trial["image_size"] / 512) ** 2
    return 1 + GPU_GIGABYTES * frames  # 1: what CUDA itself takes in each process


def estimate(trial: dict) -> tuple[float, float]:
    """Minutes on one core (or one GPU) and megabytes on disk before anything was measured."""
    frames = trial["epochs"] * trial["per_evaluation"] * trial["batch_size"]
    work = frames / 2000 * (trial["image_size"] / 96) ** 2
    work *= 5 if trial["width"] == "paper" else 1
    return QUICK_MINUTES[trial["device"]] * work, 1.0
