"""Which trainings the wrist study consists of, and on which data: nothing here changes a number."""

from lib.base import paths
from lib.base.errors import SettingError
from lib.data.manifest import fingerprint
from lib.engine.profiles import PROFILES, profile_settings
from lib.engine.synthetic import phantom_root
from lib.studies.wrist import learn as wrist
from lib.training.loop import pick_device

QUICK_MINUTES = {"cpu": 0.95, "cuda": 0.006}  # of one quick training: measured, guessed
PHANTOM_SEED = 0  # the same phantoms for every seed of the study


def find_data(data_root: str, profile: str) -> str:
    """Data root: the user's where one is given or data/wrist exists, else phantoms."""
    if paths.has_own_data(data_root, "wrist"):
        return str(paths.data_root(data_root))
    settings = profile_settings("wrist", profile)
    root = phantom_root("wrist", settings["phantoms"], settings["phantom_size"], PHANTOM_SEED)
    return str(root)


def trials(
    profile: str,
    seed: int,
    device: str = "cpu",
    equalisation: str = "histogram",
    otsu_channel: bool = False,
    keep_negatives: bool = True,
) -> list[dict]:
    """Every training of the study: datasets x methods x seeds, each a plain dict.

    Args:
        profile: smoke, quick or paper.
        seed: of the splits, the tight crops and the first training; further ones count up.
        device: cpu or cuda.
        equalisation: "histogram" (the paper) or "clahe".
        otsu_channel: give the multilevel Otsu levels to the network as a second channel.
        keep_negatives: train and test on images without a box, too; a tight crop needs a box.

    Raises:
        SettingError: if profile or seed cannot be used.
    """
    settings = profile_settings("wrist", profile)
    if not isinstance(seed, int) or seed < 0:
        raise SettingError(f"seed: found {seed!r}; expected a whole number from 0. Fix: seed=42.")
    sizes = {"whole": settings["image_size"], "tight": settings["tight_size"]}
    shared = {key: settings[key] for key in ("width", "epochs", "batch_size", "learning_rate")}
    shared |= {"study": "wrist", "fold": 0, "split_seed": seed, "device": device}
    shared |= {"equalisation": equalisation, "otsu_channel": otsu_channel}
    return [
        {**shared, "dataset": dataset, "image_size": sizes[dataset], "method": method, "seed": s}
        | {"keep_negatives": keep_negatives and dataset == "whole"}
        for dataset in wrist.DATASETS
        for method in wrist.METHODS
        for s in range(seed, seed + settings["seeds"])
    ]


def is_listed(trial: dict) -> bool:
    """Whether some profile still asks for this trial; ``trial_plans.clean`` keeps those."""
    options = ("device", "equalisation", "otsu_channel")
    chosen = {key: trial[key] for key in options}
    return any(
        trial in trials(profile, trial["split_seed"], keep_negatives=keep, **chosen)
        for profile in PROFILES["wrist"]
        for keep in (True, False)
    )


def trials_and_fingerprint(profile: str, data_root: str, seed: int, device: str):
    """What ``trial_plans.plan`` asks of a study: its trials, and what identifies its data."""
    listed = trials(profile, seed, pick_device(device))
    return listed, fingerprint(wrist.split_cases(find_data(data_root, profile), seed))


def estimate(trial: dict) -> tuple[float, float]:
    """Minutes on one core (or one GPU) and megabytes on disk before anything was measured."""
    pixels = trial["epochs"] / 60 * (trial["image_size"] / 96) ** 2
    minutes = QUICK_MINUTES[trial["device"]] * pixels * (trial["width"] / 8) ** 1.6
    megabytes = 124 * (trial["width"] / 64) ** 2 if wrist.keeps_weights(trial) else 0.1
    return minutes, megabytes
