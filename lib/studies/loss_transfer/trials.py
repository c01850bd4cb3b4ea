"""Which trainings the loss transfer consists of, and on which phantoms: changes no number."""

from lib.base.errors import SettingError
from lib.data.cases import find_cases
from lib.data.manifest import fingerprint
from lib.engine.profiles import PROFILES, profile_settings
from lib.engine.synthetic import phantom_root
from lib.studies.loss_transfer.data import TASKS
from lib.studies.loss_transfer.learn import IDEAS
from lib.training.loop import pick_device

QUICK_MINUTES = {"cpu": 0.16, "cuda": 0.05}  # of one quick training: measured, guessed
# Not those of the studies (0): on them learning rate, depth and start of the output were chosen
PHANTOM_SEED = 1
ANKLES = 36  # of the study's 17 six would be tested, too few to pass Holm over 35 cells


def find_data(profile: str) -> dict[str, str]:
    """Root of each task's phantoms, of the size that its study uses in the same profile."""
    roots = {}
    for name, task in TASKS.items():
        settings = profile_settings(task.study, profile)
        count = settings.get("phantoms", ANKLES)
        roots[name] = str(phantom_root(task.scene, count, settings["phantom_size"], PHANTOM_SEED))
    return roots


def fingerprints(roots: dict[str, str]) -> dict[str, str]:
    """What identifies the data of each task."""
    return {name: fingerprint(find_cases(root, TASKS[name].study)) for name, root in roots.items()}


def trials(profile: str, seed: int, device: str = "cpu") -> list[dict]:
    """Every training: tasks x ideas x seeds, each a plain dict.

    Args:
        profile: smoke, quick or paper.
        seed: of the split and the first training; further ones count up.
        device: cpu or cuda.

    Raises:
        SettingError: if profile or seed cannot be used.
    """
    settings = profile_settings("loss_transfer", profile)
    if not isinstance(seed, int) or seed < 0:
        raise SettingError(f"seed: found {seed!r}; expected a whole number from 0. Fix: seed=42.")
    shared = {key: value for key, value in settings.items() if key != "seeds"}
    shared |= {"study": "loss_transfer", "fold": 0, "split_seed": seed, "device": device}
    return [
        shared | {"dataset": task, "method": idea, "seed": s, "data_of": TASKS[task].study}
        for task in TASKS
        for idea in IDEAS
        for s in range(seed, seed + settings["seeds"])
    ]


def is_listed(trial: dict) -> bool:
    """Whether some profile still asks for this trial; ``trial_plans.clean`` keeps those."""
    return any(
        trial in trials(profile, trial["split_seed"], trial["device"])
        for profile in PROFILES["loss_transfer"]
    )


def trials_and_fingerprint(profile: str, data_root: str, seed: int, device: str):  # noqa: ARG001
    """What ``lib.engine.trial_plans.plan`` asks of a study; it always uses the phantoms."""
    return trials(profile, seed, pick_device(device)), fingerprints(find_data(profile))


def estimate(trial: dict) -> tuple[float, float]:
    """Minutes on one core (or one GPU) and megabytes on disk before anything was measured."""
    steps = trial["epochs"] * trial["steps"] / 300
    work = steps * (trial["image_size"] / 64) ** 2 * (trial["width"] / 8) ** 1.6
    return QUICK_MINUTES[trial["device"]] * work, 0.1
