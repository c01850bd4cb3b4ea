"""Which trainings the knee study consists of: nothing here changes a number."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from lib.engine.code import Entry
from lib.engine.study import Request
from lib.engine.trials import Trial
from lib.models.knee_networks import NETWORKS, encoder_of
from lib.models.pretrained import imagenet_weights
from lib.studies.knee.losses import EXTRA, LOSSES, MIXES, VARIANTS

QUICK_MINUTES = {"cpu": 0.6, "cuda": 0.05}  # of one quick training: measured, guessed
GPU_GIGABYTES = 24  # of one training of 16 frames of 512 x 512: guessed
SPLITS = ("frame_split", "case_split")  # the variants
# Trained with the case split as well, which measures the leakage: simplest, weighted, best
LEAKAGE = ("ce1", "ce2", "ce2_dice_bd_50_25_25")
FINAL = "deeplabv3plus/ce2_dice_bd_50_25_25"  # the paper's best model


@dataclass(frozen=True, kw_only=True)
class KneeTrial(Trial):
    """One training.

    Attributes:
        network, loss: of the method ``network/loss``.
        image_size: side of the network's input in pixels.
        frame_step: every how many frames of a film one is used.
        width: of the network: "paper" or "quick".
        batch_size, learning_rate, weight_decay: of AdamW.
        epochs: evaluations, at most.
        per_evaluation: iterations between two of them.
        warm_up, polynomial: iterations of the first two stages of the learning rate.
        split_seed: of the split.
        weights: the encoder starts from: "imagenet" or "none".
    """

    study: ClassVar[str] = "knee"
    machine: ClassVar[tuple[str, ...]] = ("weights",)

    network: str
    loss: str
    image_size: int
    frame_step: int
    width: str
    batch_size: int
    per_evaluation: int
    learning_rate: float
    weight_decay: float
    warm_up: int
    polynomial: int
    split_seed: int
    weights: str

    @property
    def keeps_weights(self) -> bool:
        """The paper's best model."""
        return self.method == FINAL and self.variant == SPLITS[0]


def grid(networks: Iterable[str] = NETWORKS, losses: Iterable[str] = LOSSES) -> list[tuple]:
    """(network, loss) of the paper's 55 models, in its order; or of fewer or more."""
    return [(network, loss) for network in networks for loss in losses]


def list_trials(request: Request) -> list[list[KneeTrial]]:
    """The grid with the frame split, and what measures it.

    On one network (in the paper profile: all) the leakage's counterparts with the case split, the
    extra losses and the other readings.
    """
    others = request.settings["others"]
    listed = [(SPLITS[0], *pair) for pair in grid()]
    listed += [(SPLITS[1], *pair) for pair in grid(others, LEAKAGE)]
    listed += [(SPLITS[0], *pair) for pair in grid(others, (*EXTRA, *VARIANTS))]
    return [[trial_for(request, *which) for which in listed]]


def trial_for(request: Request, variant: str, network: str, loss: str) -> KneeTrial:
    """One training of a run.

    Raises:
        SettingError: if there is no such network or loss.
    """
    MIXES[loss]  # known, or it says which are
    settings = request.settings
    encoder = encoder_of(network, settings["width"])
    wanted = settings["weights"] == "imagenet" and encoder is not None
    pretrained = wanted and imagenet_weights(encoder) is not None
    keys = ("image_size", "frame_step", "width", "batch_size", "epochs", "per_evaluation")
    keys += ("learning_rate", "weight_decay", "warm_up", "polynomial")
    return KneeTrial(
        variant=variant,
        method=f"{network}/{loss}",
        network=network,
        loss=loss,
        seed=request.seed,
        split_seed=request.seed,
        device=request.device,
        weights="imagenet" if pretrained else "none",
        **{key: settings[key] for key in keys},
    )


def uses(trial: KneeTrial) -> list[Entry]:
    """The entries of registries that a training reads."""
    return [(NETWORKS, trial.network), (MIXES, trial.loss)]


def gpu_gigabytes(trial: KneeTrial) -> float:
    """Memory of a GPU that a training takes, so that several can share it."""
    frames = trial.batch_size / 16 * (trial.image_size / 512) ** 2
    return 1 + GPU_GIGABYTES * frames  # 1: what CUDA itself takes in each process


def estimate(trial: KneeTrial) -> tuple[float, float]:
    """Minutes on one core (or one GPU) and megabytes on disk before anything was measured."""
    frames = trial.epochs * trial.per_evaluation * trial.batch_size
    work = frames / 2000 * (trial.image_size / 96) ** 2
    work *= 5 if trial.width == "paper" else 1
    return QUICK_MINUTES[trial.device] * work, 1.0
