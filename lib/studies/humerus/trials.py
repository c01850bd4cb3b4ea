"""Which trainings the humerus study consists of: nothing here changes a number."""

from dataclasses import dataclass, replace
from typing import ClassVar

from lib.engine.code import Entry
from lib.engine.study import Request
from lib.engine.trials import Trial
from lib.models.mobilenet import imagenet_weights
from lib.studies.humerus.methods import BASE, FORMS, METHODS

QUICK_MINUTES = {"cpu": 1.0, "cuda": 0.01}  # of one quick training: measured, guessed
VARIANTS = ("by_patient", "by_image", "nested")  # how the images are divided into folds
# Other ways to fold are there to measure their effect: on the best and the simplest method
COMPARED = ("bce", BASE)
OPTIONS = {"head": "lraspp", "boundary": "shifted"}
STARTS = {method.start for method in METHODS.values() if method.start}


@dataclass(frozen=True, kw_only=True)
class HumerusTrial(Trial):
    """One training, from pre-trained or random weights or from an earlier training.

    Attributes:
        image_size: side of the network's input in pixels.
        batch_size: images of a step.
        patience: epochs without progress before the training ends.
        plateau: epochs without progress before the learning rates are halved.
        n_folds, split_seed: of the folds.
        backbone_lr, head_lr, weight_decay: of AdamW.
        head: of the network: "lraspp", "deeplab" or "unet".
        boundary: form of the boundary loss: "shifted", "raw" or "diagonal".
        weights: the backbone starts from: "imagenet" or "none".
        start: folder of the training that is fine-tuned; "" for the others.
    """

    study: ClassVar[str] = "humerus"
    options: ClassVar[tuple[str, ...]] = tuple(OPTIONS)
    machine: ClassVar[tuple[str, ...]] = ("start", "weights")

    image_size: int
    batch_size: int
    patience: int
    plateau: int
    n_folds: int
    split_seed: int
    backbone_lr: float
    head_lr: float
    weight_decay: float
    head: str
    boundary: str
    weights: str
    start: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """The training that is fine-tuned."""
        return (self.start,) if self.start else ()

    @property
    def keeps_weights(self) -> bool:
        """Where fine-tuning starts, and the final model of the first fold."""
        first = self.fold == 0 and self.variant == VARIANTS[0]
        return self.method in STARTS or (first and bool(METHODS[self.method].start))


def list_trials(request: Request) -> list[list[HumerusTrial]]:
    """Trainings from pre-trained or random weights, then the fine-tunings that start from them."""
    base = _base_trials(request)
    chosen = [t for t in base if t.method == BASE and t.variant == VARIANTS[0]]
    return [base, _fine_trials(request, chosen)]


def _base_trials(request: Request) -> list[HumerusTrial]:
    settings = request.settings
    pretrained = settings["weights"] == "imagenet" and imagenet_weights() is not None
    keys = ("image_size", "batch_size", "epochs", "patience", "plateau", "n_folds")
    shared = {key: settings[key] for key in (*keys, "backbone_lr", "head_lr", "weight_decay")}
    shared |= {"seed": request.seed, "split_seed": request.seed, "device": request.device}
    shared |= request.options | {"weights": "imagenet" if pretrained else "none"}
    return [
        HumerusTrial(variant=variant, method=name, fold=fold, **shared)
        for variant in VARIANTS
        for name, method in METHODS.items()
        if not method.start and (variant == VARIANTS[0] or name in COMPARED)
        for fold in range(settings["folds_run"])
    ]


def _fine_trials(request: Request, starts: list[HumerusTrial]) -> list[HumerusTrial]:
    """Each names the folder of the training whose weights it starts from."""
    settings = request.settings
    rates = (settings["fine_backbone_lr"], settings["fine_head_lr"])
    trials = []
    for name, method in METHODS.items():
        for trial in starts if method.start else []:
            backbone_lr, head_lr = reversed(rates) if method.swapped else rates
            trials.append(
                replace(
                    trial,
                    method=name,
                    start=request.folder_name(trial),
                    epochs=settings["fine_epochs"],
                    patience=settings["fine_patience"],
                    backbone_lr=backbone_lr,
                    head_lr=head_lr,
                )
            )
    return trials


def uses(trial: HumerusTrial) -> list[Entry]:
    """The entries of registries that a training reads."""
    methods = [trial.method, METHODS[trial.method].start]
    return [(FORMS, trial.boundary), *((METHODS, method) for method in methods if method)]


def estimate(trial: HumerusTrial) -> tuple[float, float]:
    """Minutes on one core (or one GPU) and megabytes on disk before anything was measured."""
    work = trial.epochs / 12 * (trial.image_size / 128) ** 2
    return QUICK_MINUTES[trial.device] * work, 13.0 if trial.keeps_weights else 0.4
