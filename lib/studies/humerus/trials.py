"""Which trainings the humerus study consists of, and on which data: changes no number."""

from lib.base import paths
from lib.base.errors import SettingError
from lib.data.cases import find_cases
from lib.data.manifest import fingerprint
from lib.engine.profiles import PROFILES, profile_settings
from lib.engine.synthetic import phantom_root
from lib.engine.trials import describe, trial_folder
from lib.models.mobilenet import imagenet_weights
from lib.studies.humerus import learn as humerus
from lib.studies.humerus.learner import BASE, METHODS
from lib.training.loop import pick_device

QUICK_MINUTES = {"cpu": 1.0, "cuda": 0.01}  # of one quick training: measured, guessed
PHANTOM_SEED = 0  # the same phantoms for every seed of the study
# Other ways to fold are there to measure their effect: on the best and the simplest method
COMPARED = ("bce", BASE)


def find_data(data_root: str, profile: str) -> str:
    """Data root: the user's where one is given or data/humerus exists, else phantoms."""
    if paths.has_own_data(data_root, "humerus"):
        return str(paths.data_root(data_root))
    settings = profile_settings("humerus", profile)
    root = phantom_root("shoulder", settings["phantoms"], settings["phantom_size"], PHANTOM_SEED)
    return str(root)


def base_trials(
    profile: str, seed: int, device: str = "cpu", head: str = "lraspp", boundary: str = "shifted"
) -> list[dict]:
    """Every training that starts from pre-trained or random weights.

    Args:
        profile: smoke, quick or paper.
        seed: of the folds and of every training.
        device: cpu or cuda.
        head: "lraspp", "deeplab" or "unet".
        boundary: "shifted", "raw" or "diagonal" form of the boundary loss.

    Raises:
        SettingError: if profile or seed cannot be used.
    """
    settings = profile_settings("humerus", profile)
    if not isinstance(seed, int) or seed < 0:
        raise SettingError(f"seed: found {seed!r}; expected a whole number from 0. Fix: seed=42.")
    pretrained = settings["weights"] == "imagenet" and imagenet_weights() is not None
    keys = ("image_size", "batch_size", "epochs", "patience", "plateau", "n_folds")
    shared = {"study": "humerus", "device": device, "seed": seed, "split_seed": seed, "start": ""}
    shared |= {key: settings[key] for key in (*keys, "backbone_lr", "head_lr", "weight_decay")}
    shared |= {"head": head, "boundary": boundary, "weights": "imagenet" if pretrained else "none"}
    return [
        shared | {"dataset": scheme, "method": name, "fold": fold}
        for scheme in humerus.SCHEMES
        for name, method in METHODS.items()
        if not method.start and (scheme == humerus.SCHEMES[0] or name in COMPARED)
        for fold in range(settings["folds_run"])
    ]


def fine_trials(base: list[dict], data: str, profile: str) -> list[dict]:
    """The fine-tunings that follow the trials ``base`` on data with the fingerprint ``data``.

    Each names the folder of the training whose weights it starts from.
    """
    settings = profile_settings("humerus", profile)
    rates = (settings["fine_backbone_lr"], settings["fine_head_lr"])
    schedule = {"epochs": settings["fine_epochs"], "patience": settings["fine_patience"]}
    chosen = [t for t in base if t["method"] == BASE and t["dataset"] == humerus.SCHEMES[0]]
    listed = []
    for name, method in METHODS.items():
        for trial in chosen if method.start else []:
            backbone_lr, head_lr = reversed(rates) if method.swapped else rates
            start = trial_folder(describe(trial, data)).name
            rest = {"method": name, "start": start, "backbone_lr": backbone_lr, "head_lr": head_lr}
            listed.append(trial | schedule | rest)
    return listed


def is_listed(trial: dict) -> bool:
    """Whether some profile still asks for this trial; ``lib.engine.trial_plans.clean`` keeps those.

    Where a fine-tuning starts depends on data and code, so it is not compared.
    """
    options = {key: trial[key] for key in ("device", "head", "boundary")}
    wanted = {k: v for k, v in trial.items() if k not in ("start", "weights")}
    for profile in PROFILES["humerus"]:
        base = base_trials(profile, trial["seed"], **options)
        for listed in (*base, *fine_trials(base, "", profile)):
            if wanted == {k: v for k, v in listed.items() if k not in ("start", "weights")}:
                return True
    return False


def data_fingerprint(data_root: str, profile: str) -> str:
    """What identifies the study's data."""
    return fingerprint(find_cases(find_data(data_root, profile), "humerus"))


def trials_and_fingerprint(profile: str, data_root: str, seed: int, device: str):
    """What ``trial_plans.plan`` asks of a study: its trials, and what identifies its data."""
    base = base_trials(profile, seed, pick_device(device))
    data = data_fingerprint(data_root, profile)
    return [*base, *fine_trials(base, data, profile)], data


def estimate(trial: dict) -> tuple[float, float]:
    """Minutes on one core (or one GPU) and megabytes on disk before anything was measured."""
    work = trial["epochs"] / 12 * (trial["image_size"] / 128) ** 2
    return QUICK_MINUTES[trial["device"]] * work, 13.0 if humerus.keeps_weights(trial) else 0.4
