"""What a hand may wear or lie under when it is X-rayed: ring, watch, bangle, dressing, cable.

Everything is drawn before any pixel, so that it is the same at every size, and is added to the
paths of the materials. The tables below say how often each thing is there.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib.phantoms.physics.artefacts import cable, ring
from lib.phantoms.shapes.geometry import Frame
from lib.phantoms.shapes.tube import Tube

# Things that exclude each other: name -> share of the pictures below which it is there
FINGER = {"ring": 0.22}
WRIST = {"watch": 0.05, "bangle": 0.10}
DRESSING = {"splint": 0.05, "bandage": 0.15}
LEAD = {"cable": 0.06}  # of a pulse oximeter, say


class Worn(NamedTuple):
    """Names of the things ("" for none) and 16 uniform numbers that say how they lie."""

    finger: str
    wrist: str
    dressing: str
    lead: str
    shares: np.ndarray

    def within(self, number: int, low: float, high: float) -> float:
        """The place of one of the numbers between two limits."""
        return float(low + (high - low) * self.shares[number])


def worn_things(drawn: dict[str, float], rng: np.random.Generator) -> Worn:
    """drawn: "finger", "wrist", "dressing", "lead" -> a number that chooses by the shares above."""
    choices = {"finger": FINGER, "wrist": WRIST, "dressing": DRESSING, "lead": LEAD}
    chosen = {kind: _chosen(things, drawn[kind]) for kind, things in choices.items()}
    return Worn(**chosen, shares=rng.uniform(size=16))


def _chosen(things: dict[str, float], number: float) -> str:
    return next((name for name, share in things.items() if number < share), "")


def put_on(
    paths: dict[str, Tensor], frame: Frame, worn: Worn, tubes: dict[str, Tube], soft: Tensor
) -> dict[str, Tensor]:
    """Paths (mm of each material, H x W) with the things added; soft: mm of the hand itself."""
    added = [_on_finger(frame, worn, tubes)] if worn.finger else []
    added += _on_wrist(frame, worn, tubes) if worn.wrist else []
    added += _dressing(frame, worn, tubes, soft) if worn.dressing else []
    added += [("iron", _lead(frame, worn))] if worn.lead else []
    for material, path in added:
        paths = paths | {material: paths.get(material, 0.0) + path}
    return paths


def _on_finger(frame: Frame, worn: Worn, tubes: dict[str, Tube]) -> tuple[str, Tensor]:
    finger = tubes["P31" if worn.shares[0] < 0.3 else "P41"]
    centre, wide = finger.point(worn.within(1, 0.3, 0.5)), worn.within(2, 2.0, 6.0)
    return "gold", ring(frame, centre, finger.axis, radius_mm=9.6, width_mm=wide, wall_mm=1.3)


def _on_wrist(frame: Frame, worn: Worn, tubes: dict[str, Tube]) -> list[tuple[str, Tensor]]:
    """A watch lies on the back of the wrist; its strap and a bangle are rings seen edge on."""
    t = worn.within(3, 0.82, 0.93)
    centre = (tubes["radius"].point(t) + tubes["ulna"].point(t)) / 2
    around = float(np.hypot(*(tubes["radius"].point(t) - tubes["ulna"].point(t))[:2])) / 2 + 15.0
    axis = tubes["radius"].axis
    if worn.wrist == "bangle":
        lean = worn.within(4, -0.25, 0.25)
        axis = np.array([axis[0] - lean * axis[1], axis[1] + lean * axis[0]])
        return [("gold", ring(frame, centre, axis, around + 3, worn.within(5, 2.0, 6.0), 1.2))]
    strap = ring(frame, centre, axis, around, worn.within(5, 14.0, 20.0), 2.0)
    along, across = frame.whole().along(centre, axis[:2] / np.linalg.norm(axis[:2]))
    away, radius = torch.hypot(along, across), worn.within(6, 12.0, 18.0)
    case = ((radius - away) / frame.pixel_mm + 0.5).clamp(0, 1) * 1.5
    rim = case * (away > radius - 2.5)
    steel = worn.shares[4] < 0.5
    return [("iron", case + rim), ("iron" if steel else "soft", (0.25 if steel else 1.0) * strap)]


def _dressing(
    frame: Frame, worn: Worn, tubes: dict[str, Tube], soft: Tensor
) -> list[tuple[str, Tensor]]:
    """Crossed turns of a bandage round wrist and palm, over a slab of plaster if it is a splint."""
    axis = tubes["M3"].axis + tubes["radius"].axis
    axis = axis[:2] / np.linalg.norm(axis[:2])
    along, across = frame.whole().along(tubes["M3"].start, axis)
    far, near = worn.within(7, 25.0, 55.0), worn.within(8, 25.0, 90.0)
    share = torch.sigmoid((far - along) / 0.7) * torch.sigmoid((along + near) / 0.7)
    pitch_mm, turns = worn.within(9, 30.0, 60.0), torch.zeros_like(soft)
    for slant in (0.4, -0.4):
        turn = (along + slant * across) * (2 * np.pi / pitch_mm)
        turns += 1 + torch.sigmoid(8 * torch.sin(turn + worn.within(10, 0.0, 6.28)))
    gauze = worn.within(11, 0.3, 0.9) * turns * share * (soft / 4).clamp(0, 1)
    if worn.dressing == "bandage":
        return [("soft", gauze)]
    half = worn.within(12, 22.0, 32.0) + 1.5 * torch.sin(along / 9.0)
    layers = 1 + 0.5 * torch.sigmoid((half - 9.0 - across.abs()) / 1.5)
    slab = torch.sigmoid((half - across.abs()) / 0.8) * torch.sigmoid((far - along) / 1.0)
    return [("soft", gauze), ("plaster", worn.within(13, 1.5, 4.0) * layers * slab)]


def _lead(frame: Frame, worn: Worn) -> Tensor:
    """A thin wire that crosses the picture from side to side."""
    heights = worn.shares[12:16] - 0.5
    places = np.stack([np.linspace(-0.45, 0.45, 4), 0.9 * heights], 1)
    reach = frame.height * frame.pixel_mm
    return 0.15 * cable(frame, np.array([frame.x_mm, frame.y_mm]) + reach * places, 1.2)
