"""The loss configurations of the knee study: one table, and the loss that a row of it means."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lib.base.registry import Registry
from lib.losses.boundary import boundary_loss, edge_cross_entropy
from lib.losses.dual_level import (
    PRINTED_WEIGHTS,
    dual_level_cross_entropy,
    foreground_class_weights,
    region_area_weights,
)
from lib.losses.overlap import dice_loss

AUXILIARY = 0.4  # weight of the auxiliary head's cross-entropy, as in the paper's framework


class Mix(NamedTuple):
    """Weights of the three terms (equations 7 to 12), and how each of them is built.

    Attributes:
        ce, dice, boundary: weights of the terms.
        region: external weights: "equal" (CE1), "area" (CE2), "printed" (CE2, the paper's).
        internal: "balanced" [A] or "ones".
        form: of the boundary term: "raw" [A], "scaled", "shifted", or "edge" cross-entropy.
        everywhere: external weights inside Dice and boundary too.
        group: "paper" (the eleven of the grid), "extra" (beyond the paper: its first stated
            limitation, area weights inside Dice and boundary as well) or "reading" (another
            reading of what the paper leaves open).
        other: any further loss of logits and target, added with weight 1.
    """

    ce: float = 0.0
    dice: float = 0.0
    boundary: float = 0.0
    region: str = "area"
    internal: str = "balanced"
    form: str = "raw"
    everywhere: bool = False
    group: str = "paper"
    other: Callable[[Tensor, Tensor], Tensor] | None = None


# A loss of the library alone is a line such as
# ("focal", Mix(other=focal_loss, group="extra")).
MIXES = Registry(
    "loss",
    ("ce1", Mix(1.0, region="equal")),
    ("ce2", Mix(1.0)),
    ("ce2_dice_90_10", Mix(0.9, 0.1)),
    ("ce2_dice_50_50", Mix(0.5, 0.5)),
    ("ce2_dice_10_90", Mix(0.1, 0.9)),
    ("ce2_bd_90_10", Mix(0.9, 0.0, 0.1)),
    ("ce2_bd_50_50", Mix(0.5, 0.0, 0.5)),
    ("ce2_bd_10_90", Mix(0.1, 0.0, 0.9)),
    ("ce2_dice_bd_80_10_10", Mix(0.8, 0.1, 0.1)),
    ("ce2_dice_bd_34_33_33", Mix(0.34, 0.33, 0.33)),
    ("ce2_dice_bd_50_25_25", Mix(0.5, 0.25, 0.25)),
    ("area_dice_50_50", Mix(0.5, 0.5, everywhere=True, group="extra")),
    ("area_bd_50_50", Mix(0.5, 0.0, 0.5, everywhere=True, group="extra")),
    ("area_dice_bd_50_25_25", Mix(0.5, 0.25, 0.25, everywhere=True, group="extra")),
    ("ce2_printed", Mix(1.0, region="printed", group="reading")),
    ("ce1_ones", Mix(1.0, region="equal", internal="ones", group="reading")),
    ("ce2_ones", Mix(1.0, internal="ones", group="reading")),
    ("ce2_bd_50_50_scaled", Mix(0.5, 0.0, 0.5, form="scaled", group="reading")),
    ("ce2_bd_50_50_shifted", Mix(0.5, 0.0, 0.5, form="shifted", group="reading")),
    ("ce2_bd_50_50_edge", Mix(0.5, 0.0, 0.5, form="edge", group="reading")),
)
LOSSES, EXTRA, VARIANTS = (
    tuple(name for name, mix in MIXES.items() if mix.group == group)
    for group in ("paper", "extra", "reading")
)


def needs_distance(mix: Mix) -> bool:
    """Whether the loss asks for signed distances of the augmented masks."""
    return mix.boundary > 0 and mix.form != "edge"


def region_weights(mix: Mix, areas: Tensor) -> Tensor:
    """External weights of the structures, from their areas in the training labels."""
    if mix.region == "equal":
        return torch.full_like(areas, 1 / len(areas), dtype=torch.float32)
    if mix.region == "printed":
        return torch.tensor(PRINTED_WEIGHTS, device=areas.device)
    return region_area_weights(areas)


class Terms:
    """Callable loss of one configuration with its weights on the device.

    Args:
        mix: the configuration.
        fractions: K shares of the training pixels that the structures cover.
    """

    def __init__(self, mix: Mix, fractions: Tensor):
        self.mix = mix
        self.region = region_weights(mix, fractions)
        self.classes = foreground_class_weights(fractions) if mix.internal == "balanced" else None
        self.inside = self.region if mix.everywhere else None

    def __call__(
        self, logits: Tensor, target: Tensor, distance: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Total under "loss", and each term that takes part, before its weight."""
        terms = {}
        if self.mix.ce:
            terms["ce"] = self.cross_entropy(logits, target)
        if self.mix.dice:
            terms["dice"] = dice_loss(logits, target, exponent=2, region_weights=self.inside)
        if self.mix.boundary:
            terms["boundary"] = self._boundary(logits, target, distance)
        total = sum(getattr(self.mix, name) * value for name, value in terms.items())
        if self.mix.other is not None:
            terms["other"] = self.mix.other(logits, target)
            total = total + terms["other"]
        return {"loss": total} | {f"{name}_loss": value for name, value in terms.items()}

    def cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        """CE1 or CE2; the auxiliary head is trained with it alone [A]."""
        return dual_level_cross_entropy(logits, target, self.region, self.classes)

    def _boundary(self, logits: Tensor, target: Tensor, distance: Tensor | None) -> Tensor:
        form = self.mix.form
        if form == "edge":
            return edge_cross_entropy(logits, target)
        if form == "scaled":
            distance = distance / logits.shape[-1]
        return boundary_loss(logits, target, distance, form != "shifted", self.inside)
