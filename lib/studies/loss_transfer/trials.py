"""Which trainings the loss transfer consists of: nothing here changes a number."""

from dataclasses import dataclass
from typing import ClassVar

from lib.engine.code import Entry
from lib.engine.study import Request
from lib.engine.trials import Trial
from lib.studies.loss_transfer.ideas import IDEAS
from lib.studies.loss_transfer.tasks import TASKS

QUICK_MINUTES = {"cpu": 0.16, "cuda": 0.05}  # of one quick training: measured, guessed


@dataclass(frozen=True, kw_only=True)
class TransferTrial(Trial):
    """One loss on one task, which is its variant.

    Attributes:
        image_size: side of the network's input in pixels.
        width: of the U-Net.
        steps: of an epoch.
        split_seed: of the division by subject.
    """

    study: ClassVar[str] = "loss_transfer"

    image_size: int
    width: int
    steps: int
    split_seed: int

    @property
    def data_of(self) -> str:
        """The study whose task it is."""
        return TASKS[self.variant].study


def list_trials(request: Request) -> list[list[TransferTrial]]:
    """Tasks x ideas x seeds; the seeds count up from the run's, which is that of the split."""
    settings, seed = request.settings, request.seed
    shared = {key: value for key, value in settings.items() if key != "seeds"}
    return [
        [
            TransferTrial(
                variant=task,
                method=idea,
                seed=s,
                split_seed=seed,
                device=request.device,
                **shared,
            )
            for task in TASKS
            for idea in IDEAS
            for s in range(seed, seed + settings["seeds"])
        ]
    ]


def uses(trial: TransferTrial) -> list[Entry]:
    """The entries of registries that a training reads."""
    return [(IDEAS, trial.method), (TASKS, trial.variant)]


def estimate(trial: TransferTrial) -> tuple[float, float]:
    """Minutes on one core (or one GPU) and megabytes on disk before anything was measured."""
    steps = trial.epochs * trial.steps / 300
    work = steps * (trial.image_size / 64) ** 2 * (trial.width / 8) ** 1.6
    return QUICK_MINUTES[trial.device] * work, 0.1
