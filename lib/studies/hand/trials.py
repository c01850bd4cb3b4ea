"""Which trainings the hand study consists of: nothing here changes a number."""

from dataclasses import dataclass
from typing import ClassVar

from lib.base.errors import SettingError
from lib.engine.code import Entry
from lib.engine.study import Request
from lib.engine.trials import Trial
from lib.models.pretrained import imagenet_weights
from lib.models.view_encoder import ENCODERS
from lib.phantoms.readers import READERS
from lib.studies.hand.methods import MASKED, METHODS, MIXTURE, SEGMENTERS, SUPERVISED, VARIANTS

QUICK_MINUTES = {  # of one quick training: measured, guessed
    "mose": {"cpu": 9.5, "cuda": 0.5},
    "unet": {"cpu": 3.6, "cuda": 0.3},
    "learning": {"cpu": 0.9, "cuda": 0.1},
}
READER_COUNTS = (1, len(READERS))
OPTIONS = {"readers": 1}
SEGMENTATION = {  # field of a trial -> setting of the profile
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


@dataclass(frozen=True, kw_only=True)
class SegmentationTrial(Trial):
    """One training of a segmenter of the seven bones; the seed decides the split as well.

    Attributes:
        image_size: side of the network's input in pixels.
        widths: channels of the mixture's levels.
        unet_width: channels of the U-Net's first level.
        samples: of each noise module while the mixture learns.
        patience: epochs without progress before the rate falls and the row cap rises; None: both
            follow the schedule of a short training.
        batch_size, learning_rate: of Adam.
        patch_side: pixels of the patches that are cut.
        readers: annotations per image: 1 as in the paper, or 3 weighted ones.
    """

    study: ClassVar[str] = "hand"
    kind: ClassVar[str] = "segmentation"
    options: ClassVar[tuple[str, ...]] = tuple(OPTIONS)

    image_size: int
    widths: tuple[int, ...]
    unet_width: int
    samples: int
    patience: int | None
    batch_size: int
    learning_rate: float
    patch_side: int
    readers: int

    def __post_init__(self) -> None:
        if self.readers not in READER_COUNTS:
            raise SettingError(f"readers: found {self.readers!r}; expected one of {READER_COUNTS}.")

    @property
    def keeps_weights(self) -> bool:
        """Always: the cortical index and the prediction need them."""
        return True


@dataclass(frozen=True, kw_only=True)
class PatchTrial(Trial):
    """A training on the patches that a mixture has cut.

    Attributes:
        segmentation: folder of the mixture.
        encoder: name of the network.
        weights: the encoder starts from: "imagenet" or "none".
        batch_size, steps: patches of a step, and steps of an epoch.
        whole_side: pixels of a whole patch as it is classified.
    """

    study: ClassVar[str] = "hand"
    machine: ClassVar[tuple[str, ...]] = ("segmentation", "weights")

    segmentation: str
    encoder: str
    weights: str
    batch_size: int
    steps: int
    whole_side: int

    @property
    def needs(self) -> tuple[str, ...]:
        """The mixture."""
        return (self.segmentation,)

    @property
    def first_weights(self) -> str | None:
        """As the encoder takes them: None for random ones."""
        return None if self.weights == "none" else self.weights


@dataclass(frozen=True, kw_only=True)
class LearningTrial(PatchTrial):
    """One pre-training, with a linear classifier on the frozen encoder.

    Attributes:
        view_sizes: sides of the global and the local crops in pixels.
        learning_rate: highest one of LARC.
        probe_epochs: of the classifier.
    """

    kind: ClassVar[str] = "learning"

    view_sizes: tuple[int, int]
    learning_rate: float
    probe_epochs: int


@dataclass(frozen=True, kw_only=True)
class SupervisedTrial(PatchTrial):
    """The same encoder, learnt with its classifier from labelled patches alone."""

    kind: ClassVar[str] = "supervised"


SHARED = ("encoder", "batch_size", "epochs", "steps", "whole_side")
LEARNING = ("view_sizes", "learning_rate", "probe_epochs")


def list_trials(request: Request) -> list[list[Trial]]:
    """Segmenters for every seed, then the trainings on the patches of each mixture."""
    settings, seed = request.settings, request.seed
    shared = {field: settings[name] for field, name in SEGMENTATION.items()}
    shared |= {"readers": request.options["readers"], "device": request.device}
    segmentation = [
        SegmentationTrial(variant="segmentation", method=method, seed=each, **shared)
        for each in range(seed, seed + settings["seeds"])
        for method in SEGMENTERS
    ]
    mixtures = [trial for trial in segmentation if trial.method == MIXTURE]
    return [segmentation, _patch_trials(request, mixtures)]


def _patch_trials(request: Request, mixtures: list[SegmentationTrial]) -> list[Trial]:
    settings = request.settings
    wanted = settings["weights"] == "imagenet"
    pretrained = wanted and imagenet_weights(settings["encoder"]) is not None
    shared = {name: settings[name] for name in SHARED} | {"device": request.device}
    shared["weights"] = "imagenet" if pretrained else "none"
    learning = {name: settings[name] for name in LEARNING}
    trials: list[Trial] = []
    for mixture in mixtures:
        own = shared | {"seed": mixture.seed, "segmentation": request.folder_name(mixture)}
        trials += [
            LearningTrial(variant=variant, method=method, **own, **learning)
            for variant in VARIANTS
            for method in METHODS
        ]
        trials.append(SupervisedTrial(variant=MASKED, method=SUPERVISED, **own))
    return trials


def segmentation_uses(trial: SegmentationTrial) -> list[Entry]:
    """The network."""
    return [(SEGMENTERS, trial.method)]


def supervised_uses(trial: PatchTrial) -> list[Entry]:
    """The encoder, and which patches it sees."""
    return [(ENCODERS, trial.encoder), (VARIANTS, trial.variant)]


def learning_uses(trial: LearningTrial) -> list[Entry]:
    """The encoder, which patches it sees, and the pre-training."""
    return [*supervised_uses(trial), (METHODS, trial.method)]


def segmentation_estimate(trial: SegmentationTrial) -> tuple[float, float]:
    """Minutes on one core (or one GPU) and megabytes on disk before anything was measured."""
    work = trial.epochs / 76 * (trial.image_size / 128) ** 2
    minutes = QUICK_MINUTES.get(trial.method, QUICK_MINUTES[MIXTURE])[trial.device]
    return minutes * work, 20.0 * (trial.patch_side / 96) ** 2


def learning_estimate(trial: LearningTrial) -> tuple[float, float]:
    """As ``segmentation_estimate``."""
    return _patch_minutes(trial) * (trial.view_sizes[0] / 48) ** 2, 2.0


def supervised_estimate(trial: SupervisedTrial) -> tuple[float, float]:
    """As ``segmentation_estimate``."""
    return _patch_minutes(trial) * (trial.whole_side / 96) ** 2, 2.0


def _patch_minutes(trial: PatchTrial) -> float:
    work = trial.epochs * trial.steps / 80 * trial.batch_size / 64
    return QUICK_MINUTES["learning"][trial.device] * work
