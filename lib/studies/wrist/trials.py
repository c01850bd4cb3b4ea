"""Which trainings the wrist study consists of: nothing here changes a number."""

from dataclasses import dataclass
from typing import ClassVar

from lib.engine.code import Entry
from lib.engine.study import Request
from lib.engine.trials import Trial
from lib.studies.wrist.methods import METHODS

QUICK_MINUTES = {"cpu": 0.95, "cuda": 0.006}  # of one quick training: measured, guessed
VARIANTS = ("whole", "tight")  # the whole limb, and a crop tight around the labelled box
OPTIONS = {"equalisation": "histogram", "otsu_channel": False, "keep_negatives": True}


@dataclass(frozen=True, kw_only=True)
class WristTrial(Trial):
    """One training.

    Attributes:
        image_size: side of the network's input in pixels.
        width, batch_size, learning_rate: of the U-Net and its optimiser.
        split_seed: of the splits and the tight crops.
        equalisation: "histogram" (the paper) or "clahe".
        otsu_channel: the multilevel Otsu levels are a second channel of the input.
        keep_negatives: images without a box take part; a tight crop needs a box.
    """

    study: ClassVar[str] = "wrist"
    options: ClassVar[tuple[str, ...]] = tuple(OPTIONS)

    image_size: int
    width: int
    batch_size: int
    learning_rate: float
    split_seed: int
    equalisation: str
    otsu_channel: bool
    keep_negatives: bool

    @property
    def keeps_weights(self) -> bool:
        """Weights are kept where the overlays need them: first seed only."""
        return self.seed == self.split_seed


def list_trials(request: Request) -> list[list[WristTrial]]:
    """Variants x methods x seeds; the seeds count up from the run's, which is that of the split."""
    settings, seed = request.settings, request.seed
    sizes = {"whole": settings["image_size"], "tight": settings["tight_size"]}
    shared = {key: settings[key] for key in ("width", "epochs", "batch_size", "learning_rate")}
    shared |= {"split_seed": seed, "device": request.device}
    shared |= {key: request.options[key] for key in ("equalisation", "otsu_channel")}
    return [
        [
            WristTrial(
                variant=variant,
                method=method,
                seed=s,
                image_size=sizes[variant],
                keep_negatives=request.options["keep_negatives"] and variant == "whole",
                **shared,
            )
            for variant in VARIANTS
            for method in METHODS
            for s in range(seed, seed + settings["seeds"])
        ]
    ]


def uses(trial: WristTrial) -> list[Entry]:
    """The entries of registries that a training reads."""
    return [(METHODS, trial.method)]


def estimate(trial: WristTrial) -> tuple[float, float]:
    """Minutes on one core (or one GPU) and megabytes on disk before anything was measured."""
    pixels = trial.epochs / 60 * (trial.image_size / 96) ** 2
    minutes = QUICK_MINUTES[trial.device] * pixels * (trial.width / 8) ** 1.6
    return minutes, 124 * (trial.width / 64) ** 2 if trial.keeps_weights else 0.1
