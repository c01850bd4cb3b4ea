"""Which trials the pediatric study consists of: nothing here changes a number.

Three stages per joint and fold: auto-encoders of masks, networks that may start from them, and the
evaluation of every method, which has one network or one per bone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lib.engine.code import Entry
from lib.engine.study import Request
from lib.engine.trials import Trial, stored_config, trial_from_json
from lib.models.pediatric_encoders import IMAGENET, imagenet_weights
from lib.models.pediatric_networks import NETWORKS
from lib.studies.pediatric.joints import JOINTS
from lib.studies.pediatric.methods import EXTRA, METHODS, PLAIN, PROPOSED, REGULARISATIONS

# Minutes of 1000 slices of 96 x 96 on one core, at the quick widths: measured
MINUTES = {"att_unet": 0.26, "vgg_unet": 0.28, "res_unet": 0.33, "dense_unet": 0.53}
AUTOENCODER_MINUTES = 0.05
GPU_SHARE = 0.02  # guessed


@dataclass(frozen=True, kw_only=True)
class PediatricTrial(Trial):
    """What all three kinds have.

    Attributes:
        image_size: side of the slices in pixels.
        normalisation: mean 0 and SD 1 over the "volume" or every "slice".
        strategy: "individual", "global" or "multi".
    """

    study: ClassVar[str] = "pediatric"

    image_size: int
    normalisation: str
    strategy: str

    @property
    def bones(self) -> tuple[str, ...]:
        """Those of the joint, which is the variant."""
        return JOINTS[self.variant]


@dataclass(frozen=True, kw_only=True)
class Training(PediatricTrial):
    """What both kinds that train have.

    Attributes:
        bone: of the individual strategy; "" in the others.
        steps: of an epoch; None: one pass over the slices.
        schedule: of the learning rate: "constant" or "linear".
        batch_size, learning_rate: of Adam.
        autoencoder_width: channels of the first level of the auto-encoder.
    """

    bone: str
    steps: int | None
    schedule: str
    batch_size: int
    learning_rate: float
    autoencoder_width: int

    @property
    def structures(self) -> tuple[str, ...]:
        """The one bone (individual), the union of all (global) or all bones (multi)."""
        if self.strategy == "individual":
            return (self.bone,)
        return ("union",) if self.strategy == "global" else self.bones


@dataclass(frozen=True, kw_only=True)
class AutoencoderTrial(Training):
    """An auto-encoder of masks."""

    kind: ClassVar[str] = "autoencoder"

    @property
    def keeps_weights(self) -> bool:
        """Networks with a shape prior start from them."""
        return True


@dataclass(frozen=True, kw_only=True)
class NetworkTrial(Training):
    """A segmentation network, which may learn beside discriminators.

    Attributes:
        backbone, regularisation: names in ``NETWORKS`` and ``REGULARISATIONS``.
        width: channels of the network's first level.
        discriminator_width, discriminator_learning_rate: of each discriminator.
        reading: of the shape loss: "mean" or "sum".
        selection: of the epoch: "last", or "best" by the validation's Dice.
        autoencoder: folder of the trained auto-encoder; "" where no shape code is used.
        weights: the encoder starts from: "imagenet" or "none".
    """

    kind: ClassVar[str] = "network"
    machine: ClassVar[tuple[str, ...]] = ("autoencoder", "weights")

    backbone: str
    regularisation: str
    width: int
    discriminator_width: int
    discriminator_learning_rate: float
    reading: str
    selection: str
    autoencoder: str
    weights: str

    @property
    def needs(self) -> tuple[str, ...]:
        """The auto-encoder."""
        return (self.autoencoder,) if self.autoencoder else ()

    @property
    def keeps_weights(self) -> bool:
        """Two networks per joint are kept, to label images with."""
        return self.method in (PROPOSED, PLAIN) and self.fold == 0


@dataclass(frozen=True, kw_only=True)
class EvaluationTrial(PediatricTrial):
    """A method on the examination that was left out.

    Attributes:
        networks: folders of its networks.
    """

    kind: ClassVar[str] = "evaluation"
    machine: ClassVar[tuple[str, ...]] = ("networks",)

    networks: tuple[str, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """Its networks."""
        return self.networks


def list_trials(request: Request) -> list[list[Any]]:
    """Auto-encoders, networks and evaluations of every joint that there are data of."""
    stages: list[list[Any]] = [[], [], []]
    for joint in JOINTS:
        cases = request.sources[joint].cases if joint in request.sources else 0
        for fold in range(min(request.settings["folds"] or cases, cases)):
            for stage, trials in zip(stages, _of_fold(request, joint, fold), strict=True):
                stage += trials
    return stages


def _of_fold(request: Request, joint: str, fold: int) -> tuple[list, list, list]:
    settings = request.settings
    shared = {"variant": joint, "fold": fold, "seed": request.seed, "device": request.device}
    shared |= {key: settings[key] for key in ("image_size", "normalisation")}
    parts = [("multi", ""), ("global", ""), *(("individual", bone) for bone in JOINTS[joint])]
    encoders = {
        (strategy, bone): AutoencoderTrial(
            method=_of_bone(f"autoencoder/{strategy}", bone),
            **shared | settings["learning"] | settings["autoencoder"],
            **{"strategy": strategy, "bone": bone},
        )
        for strategy, bone in parts
    }
    folders = {part: request.folder_name(trial) for part, trial in encoders.items()}
    networks, evaluations = [], []
    for method in (*METHODS, *EXTRA):
        strategy = method.split("/")[1]
        of_method = [
            _network(request, shared, method, part, folders[part])
            for part in parts
            if part[0] == strategy
        ]
        names = tuple(request.folder_name(trial) for trial in of_method)
        networks += of_method
        evaluations.append(
            EvaluationTrial(method=method, strategy=strategy, networks=names, epochs=1, **shared)
        )
    return list(encoders.values()), networks, evaluations


def _network(
    request: Request, shared: dict, method: str, part: tuple[str, str], autoencoder: str
) -> NetworkTrial:
    """One network of a method, for a part: strategy and bone."""
    settings, (strategy, bone) = request.settings, part
    backbone, _, regularisation = method.split("/")
    learning = settings["learning"] | settings["networks"][backbone]
    return NetworkTrial(
        method=_of_bone(method, bone),
        strategy=strategy,
        bone=bone,
        backbone=backbone,
        regularisation=regularisation,
        discriminator_width=settings["discriminator_width"],
        discriminator_learning_rate=settings["discriminator_share"] * learning["learning_rate"],
        reading=settings["reading"],
        selection=settings["selection"],
        autoencoder=autoencoder if REGULARISATIONS[regularisation].needs_prior else "",
        weights=_weights(settings["weights"], backbone, learning["width"]),
        **shared | learning,
    )


def _of_bone(method: str, bone: str) -> str:
    return f"{method}-{bone}" if bone else method


def _weights(wanted: str, backbone: str, width: int) -> str:
    """Published weights are for the paper's widths; they are taken where they can be had."""
    fits = backbone in IMAGENET and width == NETWORKS[backbone].paper_width
    if wanted == "imagenet" and fits and imagenet_weights(backbone) is not None:
        return "imagenet"
    return "none"


def uses(trial: NetworkTrial) -> list[Entry]:
    """The entries of registries that a network's training reads."""
    return [(NETWORKS, trial.backbone), (REGULARISATIONS, trial.regularisation)]


def stored_trial(folder: Path) -> Any:
    """The trial of any kind whose results a folder holds."""
    kinds = (AutoencoderTrial, NetworkTrial, EvaluationTrial)
    return trial_from_json(stored_config(folder)["trial"], kinds)


def estimate_training(trial: AutoencoderTrial | NetworkTrial) -> tuple[float, float]:
    """Minutes on one core (or one GPU) and megabytes on disk before anything was measured."""
    network = isinstance(trial, NetworkTrial)
    minutes = MINUTES[trial.backbone] if network else AUTOENCODER_MINUTES
    thousands = trial.epochs * (trial.steps or 50) * trial.batch_size / 1000
    work = thousands * (trial.image_size / 96) ** 2
    if trial.image_size == 256:
        work *= 15  # the paper's widths
    share = GPU_SHARE if trial.device == "cuda" else 1
    return minutes * work * share, 13.0 if trial.image_size == 256 else 0.7


def estimate_evaluation(trial: EvaluationTrial) -> tuple[float, float]:
    """As ``estimate_training``."""
    del trial
    return 0.02, 0.1
