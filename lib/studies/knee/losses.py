"""The loss configurations of the knee study: one table, and the loss that a row of it means."""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
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
Loss = Callable[[Tensor, Tensor], Tensor]  # logits, target -> scalar


def equal_weights(areas: Tensor) -> Tensor:
    """External weights of CE1."""
    return torch.full_like(areas, 1 / len(areas), dtype=torch.float32)


def printed_weights(areas: Tensor) -> Tensor:
    """The external weights that the paper prints, whatever the areas."""
    return torch.tensor(PRINTED_WEIGHTS, device=areas.device)


def raw_boundary(logits: Tensor, target: Tensor, distance: Tensor, inside: Tensor | None) -> Tensor:
    """Signed distance in pixels times probability; below 0 for a good mask [A]."""
    return boundary_loss(logits, target, distance, raw=True, region_weights=inside)


def scaled_boundary(
    logits: Tensor, target: Tensor, distance: Tensor, inside: Tensor | None
) -> Tensor:
    """Distances in sides of the image."""
    return raw_boundary(logits, target, distance / logits.shape[-1], inside)


def shifted_boundary(
    logits: Tensor, target: Tensor, distance: Tensor, inside: Tensor | None
) -> Tensor:
    """0 for a perfect mask."""
    return boundary_loss(logits, target, distance, raw=False, region_weights=inside)


def edge_boundary(
    logits: Tensor, target: Tensor, distance: Tensor | None, inside: Tensor | None
) -> Tensor:
    """Cross-entropy of the pixels along the contour; takes no distances."""
    del distance, inside
    return edge_cross_entropy(logits, target)


class Mix(NamedTuple):
    """Weights of the terms (equations 7 to 12), and how each of them is built.

    Attributes:
        ce, dice, boundary: weights of the terms.
        region: areas of the structures -> external weights; equal ones are CE1, else CE2.
        internal: shares of the pixels -> internal weights [A]; None for ones.
        form: of the boundary term: (logits, target, signed distance, external weights).
        everywhere: external weights inside Dice and boundary too.
        group: "paper" (the eleven of the grid), "extra" (beyond the paper: its first stated
            limitation, area weights inside Dice and boundary as well) or "reading" (another
            reading of what the paper leaves open).
        other: any further loss, added with weight 1; the auxiliary head keeps its cross-entropy.
    """

    ce: float = 0.0
    dice: float = 0.0
    boundary: float = 0.0
    region: Callable[[Tensor], Tensor] = region_area_weights
    internal: Callable[[Tensor], Tensor] | None = foreground_class_weights
    form: Callable[..., Tensor] = raw_boundary
    everywhere: bool = False
    group: str = "paper"
    other: Loss | None = None


# A loss of the library alone is a line such as
# ("focal", Mix(other=focal_loss, group="extra")).
MIXES = Registry(
    "loss",
    ("ce1", Mix(1.0, region=equal_weights)),
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
    ("ce2_printed", Mix(1.0, region=printed_weights, group="reading")),
    ("ce1_ones", Mix(1.0, region=equal_weights, internal=None, group="reading")),
    ("ce2_ones", Mix(1.0, internal=None, group="reading")),
    ("ce2_bd_50_50_scaled", Mix(0.5, 0.0, 0.5, form=scaled_boundary, group="reading")),
    ("ce2_bd_50_50_shifted", Mix(0.5, 0.0, 0.5, form=shifted_boundary, group="reading")),
    ("ce2_bd_50_50_edge", Mix(0.5, 0.0, 0.5, form=edge_boundary, group="reading")),
)
LOSSES, EXTRA, VARIANTS = (
    tuple(name for name, mix in MIXES.items() if mix.group == group)
    for group in ("paper", "extra", "reading")
)


def needs_distance(mix: Mix) -> bool:
    """Whether the loss asks for signed distances of the augmented masks."""
    return mix.boundary > 0 and mix.form is not edge_boundary


def loss_table() -> pd.DataFrame:
    """Every loss by its parts, one row each; functions by their names."""
    rows = [[getattr(part, "__name__", part) for part in mix] for mix in MIXES.values()]
    return pd.DataFrame(rows, list(MIXES), Mix._fields)


class Terms:
    """Callable loss of one configuration with its weights on the device.

    Args:
        mix: the configuration.
        fractions: K shares of the training pixels that the structures cover.
    """

    def __init__(self, mix: Mix, fractions: Tensor):
        self.mix = mix
        self.region = mix.region(fractions)
        self.classes = mix.internal(fractions) if mix.internal else None
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
            terms["boundary"] = self.mix.form(logits, target, distance, self.inside)
        total = sum(getattr(self.mix, name) * value for name, value in terms.items())
        if self.mix.other is not None:
            terms["other"] = self.mix.other(logits, target)
            total = total + terms["other"]
        return {"loss": total} | {f"{name}_loss": value for name, value in terms.items()}

    def cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        """CE1 or CE2; the auxiliary head is trained with it alone [A]."""
        return dual_level_cross_entropy(logits, target, self.region, self.classes)
