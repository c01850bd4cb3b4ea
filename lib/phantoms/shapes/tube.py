"""Long bones: generalised cylinders with closed-form chords."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lib.phantoms.shapes.geometry import Section, curve_table, stretch

CAP_EXPONENT = 2.6  # superellipse of a rounded bone end: 2 is a circle, larger is flatter


@dataclass(frozen=True)
class Tube:
    """Long bone: elliptical sections along a straight axis with bow, rounded and sheared ends.

    start, end: 3-D points in mm. profile: rows (t, right, left, front, back) of half-widths in mm,
    or (t, width, depth) for symmetric ones; t runs 0..1 from start to end. cortex: rows (t, mm).
    trabecular: rows (t, relative density). caps: length in mm over which either end rounds off.
    slope: mm per mm by which either end leans along ``right``; notch: mm by which either end is
    hollowed in its middle. bow: mm by which the shaft's middle moves (right, front).
    right, front: unit vectors of the section; by default right of the axis, and towards the X-ray
    tube. A tilted axis raises ValueError beyond 78 degrees.
    """

    start: np.ndarray
    end: np.ndarray
    profile: Sequence[Sequence[float]]
    cortex: Sequence[Sequence[float]] = ((0.0, 0.8), (1.0, 0.8))
    trabecular: Sequence[Sequence[float]] = ((0.0, 1.0), (1.0, 1.0))
    caps: tuple[float, float] = (3.0, 3.0)
    slope: tuple[float, float] = (0.0, 0.0)
    notch: tuple[float, float] = (0.0, 0.0)
    bow: tuple[float, float] = (0.0, 0.0)
    right: np.ndarray | None = None
    front: np.ndarray | None = None
    POINTS, DIRECTIONS = ("start", "end"), ("right", "front")

    def __post_init__(self) -> None:
        start, end = np.asarray(self.start, float), np.asarray(self.end, float)
        axis = (end - start) / np.linalg.norm(end - start)
        right = np.cross(axis, [0, 0, 1.0]) if self.right is None else np.asarray(self.right, float)
        right = right - axis * (right @ axis)
        right = right / np.linalg.norm(right)
        front = np.cross(right, axis) if self.front is None else np.asarray(self.front, float)
        for name, value in (("start", start), ("end", end), ("right", right), ("front", front)):
            object.__setattr__(self, name, value)

    @property
    def length_mm(self) -> float:
        return float(np.linalg.norm(self.end - self.start))

    @property
    def axis(self) -> np.ndarray:
        return (self.end - self.start) / self.length_mm

    def point(self, t: float, right_mm: float = 0.0, front_mm: float = 0.0) -> np.ndarray:
        """A 3-D point in the bone's coordinates, to hang other bones on (bow not included)."""
        base = self.start + t * (self.end - self.start)
        return base + right_mm * self.right + front_mm * self.front

    def bounds(self) -> tuple[float, float, float, float]:
        reach = np.abs(np.asarray(self.profile)[:, 1:]).max() + np.abs(self.bow).max() + 2
        low = np.minimum(self.start, self.end) - reach
        high = np.maximum(self.start, self.end) + reach
        return low[0], high[0], low[1], high[1]

    def table(self) -> np.ndarray:
        """256 rows over t: half-width, half-depth, their centres, cortex in mm, density."""
        profile = np.asarray(self.profile, float)
        if profile.shape[1] == 3:
            profile = profile[:, [0, 1, 1, 2, 2]]
        right, left, front, back = curve_table(profile).T
        t = np.linspace(0, 1, len(right))
        bow = 4 * t * (1 - t)
        centres = (right - left) / 2 + self.bow[0] * bow, (front - back) / 2 + self.bow[1] * bow
        walls = curve_table(self.cortex)[:, 0], curve_table(self.trabecular)[:, 0]
        return np.stack([(right + left) / 2, (front + back) / 2, *centres, *walls], 1)

    def section(self, x: Tensor, y: Tensor) -> Section:
        axis = self.axis
        run = float(np.hypot(axis[0], axis[1]))  # cosine of the tilt towards the rays
        if run < 0.2:
            raise ValueError(
                f"tube axis: found {axis.round(2)}, almost along the rays; expected a tilt below "
                "78 degrees. Fix: use a Volume for bones seen end on."
            )
        ex, ey = float(axis[0]) / run, float(axis[1]) / run
        dx, dy = x - float(self.start[0]), y - float(self.start[1])
        along, across = (dx * ex + dy * ey) / run, dx * ey - dy * ex
        normal = np.array([ey, -ex, 0])
        turn = [float(v) for v in (normal @ self.right, self.right[2])]
        turn += [float(v) for v in (normal @ self.front, self.front[2])]
        # both ends lean and are hollowed as functions of the distance from the axis
        low, high = self._ends(across * turn[0])
        t = (along - low) / (high - low)
        width, depth, side, out, wall, density = self._look_up(t)
        outer = _ellipse(
            across, turn, width, depth, side, out, self._cap(along - low, high - along)
        )
        ends = self.cortex[0][1], self.cortex[-1][1]
        cap = self._cap(along - low - ends[0], high - along - ends[1])
        core = _ellipse(across, turn, width - wall, depth - wall, side, out, cap)
        middle = float(self.start[2]) + along * float(axis[2])
        outer, core = ((middle + offset, half) for offset, half in (outer, core))
        # texture runs along whichever side of the section the view shows better
        seen, centre = (turn[0], side) if abs(turn[0]) >= abs(turn[2]) else (turn[2], out)
        shift = across * seen - centre
        return Section(stretch(*outer), stretch(*core), along, shift, density)

    def _ends(self, side: Tensor) -> tuple[Tensor, Tensor]:
        spread = 0.55 * float(np.asarray(self.profile)[:, 1].mean())
        dip = torch.exp(-((side / spread) ** 2))
        low = self.slope[0] * side + self.notch[0] * dip
        return low, self.length_mm + self.slope[1] * side - self.notch[1] * dip

    def _look_up(self, t: Tensor) -> Tensor:
        table = torch.as_tensor(self.table(), dtype=torch.float32, device=t.device).T.contiguous()
        last = table.shape[1] - 1
        place = (t * last).clamp(0, last - 1e-3)
        row = place.long().flatten()
        below, above = table.index_select(1, row), table.index_select(1, row + 1)
        return torch.lerp(below, above, place.flatten() - row).view(-1, *t.shape)

    def _cap(self, from_start: Tensor, from_end: Tensor) -> Tensor:
        """Factor 0..1 by which a section shrinks near the ends: a superellipse."""
        factor = 1.0
        for distance, length in zip((from_start, from_end), self.caps, strict=True):
            missing = (1 - distance / max(length, 1e-3)).clamp(0, 1)
            factor = factor * (1 - missing**CAP_EXPONENT).sqrt()
        return factor


def _ellipse(across, turn, width, depth, side, out, cap) -> tuple[Tensor, Tensor]:
    """Middle and half length along z of ((s1 - side) / w)^2 + ((s2 - out) / d)^2 <= 1."""
    a1, b1, a2, b2 = turn  # s1 = a1 * across + b1 * z, s2 = a2 * across + b2 * z
    width, depth = (width * cap).clamp(min=1e-3), (depth * cap).clamp(min=1e-3)
    p1, p2 = (a1 * across - side) / width, (a2 * across - out) / depth
    q1, q2 = b1 / width, b2 / depth
    a = q1 * q1 + q2 * q2
    b = q1 * p1 + q2 * p2
    room = b * b - a * (p1 * p1 + p2 * p2 - 1)
    half = room.clamp(min=0).sqrt() / a
    return -b / a, torch.where(cap > 0, half, 0.0)
