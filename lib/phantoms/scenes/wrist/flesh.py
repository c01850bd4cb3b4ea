"""Soft tissue of the forearm and hand in three dimensions, and plaster around it."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib.phantoms.physics.texture import smooth_field
from lib.phantoms.scenes.wrist.bones import Build
from lib.phantoms.shapes.body import Limb, soft_tissue
from lib.phantoms.shapes.geometry import Frame, Pose
from lib.phantoms.shapes.tube import Tube

PADDING_MM = 3.5  # wool under a cast


class Flesh(NamedTuple):
    """Soft tissue along an axis: 3-D ends, half-widths across the palm and half-depths, in mm."""

    start: np.ndarray
    end: np.ndarray
    width: tuple[float, float]
    depth: tuple[float, float]

    def seen(self, place: Pose, grow_mm: float = 0.0) -> Limb:
        """As it appears after a turn about its axis by any angle."""
        lean = float(np.clip(abs(place.direction([1.0, 0, 0])[2]), 0, 1))
        flat = (1 - lean * lean) ** 0.5
        pairs = list(zip(self.width, self.depth, strict=True))
        across = tuple(float(np.hypot(w * flat, d * lean)) + grow_mm for w, d in pairs)
        through = tuple(float(np.hypot(w * lean, d * flat)) + grow_mm for w, d in pairs)
        return Limb(place.point(self.start), place.point(self.end), across, through)


def flesh(build: Build, tubes: dict[str, Tube]) -> tuple[list[Flesh], list[Flesh]]:
    """Around the forearm, and around the hand (before it is turned on the forearm)."""
    scale, size = build.size * build.flesh, build.size

    def piece(start, end, width, depth) -> Flesh:
        ends = (np.array(end_mm, float) * size for end_mm in (start, end))
        return Flesh(*ends, *(tuple(scale * v for v in pair) for pair in (width, depth)))

    forearm = [
        piece((-5, -270, 0), (-5, -150, 0), (43, 37), (36, 29)),
        piece((-5, -150, 0), (-5, -70, 0), (37, 29), (29, 22)),
        piece((-5, -70, 0), (-3, -18, 0), (29, 28), (22, 19)),
    ]
    hand = [
        piece((-3, -18, -1), (-1, 20, -3), (28, 31), (19, 18)),
        piece((-1, 20, -3), (-1, 58, -3), (31, 38), (18, 15)),
        piece((-1, 58, -3), (-1, 72, -3), (38, 37), (15, 12)),
        piece((12, -2, -10), (24, 14, -14), (13, 15), (12, 14)),
    ]
    for name, tube in tubes.items():
        reach = 15 if name == "M1" else 11 if name[1] == "1" else 9.5
        if name == "M1" or name[0] == "P":
            pair = (scale * reach, scale * (reach - 1.5))
            hand.append(Flesh(tube.start, tube.end, pair, pair))
    return forearm, hand


def plaster(
    rng: np.random.Generator, frame: Frame, pieces, thick_mm: float, splint: bool
) -> Tensor:
    """Millimetres of plaster around pieces [(flesh, place)], a ring or a splint on the back.

    The edge lies at the end of the last piece.
    """
    padding, outside = (
        soft_tissue(frame, [piece.seen(place, grow) for piece, place in pieces], 8.0, 0.0)[0]
        for grow in (PADDING_MM, PADDING_MM + thick_mm)
    )
    last, place = pieces[-1]
    window, end = frame.whole(), place.point(last.end)
    axis = place.point(last.end) - place.point(last.start)
    axis /= np.linalg.norm(axis)
    dx, dy = window.x - float(end[0]), window.y - float(end[1])
    along = dx * float(axis[0]) + dy * float(axis[1])
    layers = smooth_field(rng, frame.height, frame.width, 16, frame.device)
    turns = torch.sin(along * float(2 * np.pi / rng.uniform(9, 16)) + 0.8 * layers)
    share = torch.sigmoid(-(along + 3 * layers) / 0.6)
    if splint:
        back = place.direction([0, 0, 1.0])[:2]
        side = dx * float(back[0]) + dy * float(back[1])
        share = share * torch.sigmoid(side * float(np.hypot(*back)) / 3)
    return (outside - padding).clamp(min=0) * share * (1 + 0.06 * turns + 0.08 * layers)
