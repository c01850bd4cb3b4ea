"""Bones as closed shapes in millimetres, and the length of an X-ray inside them.

View coordinates: x to the right, y up, z towards the X-ray tube; rays run along z. A solid answers
``section(x, y)`` with the stretch of each ray inside its outer and its medullary surface, in closed
form, so that ``chord > 0`` is the exact mask and no voxel grid is needed. Solids are immutable;
``transformed(solid, pose)`` gives the same bone in another place.

A solid whose own plane or axis is tilted towards the rays is cut by planes that contain them: it is
sheared, not foreshortened along z. Untilted solids and ellipsoids in any pose are exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, singledispatch
from typing import NamedTuple

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from torch import Tensor

FAR = 1e6  # mm; a ray that misses has the empty stretch [FAR, FAR]


class Frame(NamedTuple):
    """Detector pixels in the object plane; the image's centre lies at (x_mm, y_mm)."""

    height: int
    width: int
    pixel_mm: float
    x_mm: float = 0.0
    y_mm: float = 0.0
    device: str = "cpu"

    def window(self, bounds: Sequence[float], margin_mm: float = 1.0) -> "Window | None":
        """Pixels that cover bounds (x0, x1, y0, y1) in mm; None where all lie outside the image."""
        x0, x1, y0, y1 = (float(bound) for bound in bounds)
        left, right = (self._column(x0 - margin_mm), self._column(x1 + margin_mm) + 2)
        top, bottom = (self._row(y1 + margin_mm), self._row(y0 - margin_mm) + 2)
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, self.width), min(bottom, self.height)
        if right <= left or bottom <= top:
            return None
        columns = torch.arange(left, right, device=self.device, dtype=torch.float32)
        rows = torch.arange(top, bottom, device=self.device, dtype=torch.float32)
        x = float(self.x_mm) + (columns - (self.width - 1) / 2) * float(self.pixel_mm)
        y = float(self.y_mm) - (rows - (self.height - 1) / 2) * float(self.pixel_mm)
        return Window(slice(top, bottom), slice(left, right), x[None], y[:, None])

    def whole(self) -> "Window":
        """All pixels."""
        half_x, half_y = self.width * self.pixel_mm / 2, self.height * self.pixel_mm / 2
        x, y = self.x_mm, self.y_mm
        return self.window((x - half_x, x + half_x, y - half_y, y + half_y))

    def pixels(self, points_mm: np.ndarray) -> np.ndarray:
        """(column, row) of N x 2 or N x 3 points, as cv2 wants them; fractions allowed."""
        points = np.asarray(points_mm, float)
        column = (points[:, 0] - self.x_mm) / self.pixel_mm + (self.width - 1) / 2
        row = (self.y_mm - points[:, 1]) / self.pixel_mm + (self.height - 1) / 2
        return np.stack([column, row], 1)

    def _column(self, x_mm: float) -> int:
        return int(np.floor((x_mm - self.x_mm) / self.pixel_mm + (self.width - 1) / 2))

    def _row(self, y_mm: float) -> int:
        return int(np.floor((self.y_mm - y_mm) / self.pixel_mm + (self.height - 1) / 2))


class Window(NamedTuple):
    """A rectangle of a frame: slices into the image, and its pixel centres in mm."""

    rows: slice
    columns: slice
    x: Tensor  # 1 x W
    y: Tensor  # H x 1

    def along(self, origin, axis) -> tuple[Tensor, Tensor]:
        """Millimetres from an origin along a 2-D unit vector and to its right, H x W each."""
        dx, dy = self.x - float(origin[0]), self.y - float(origin[1])
        ax, ay = float(axis[0]), float(axis[1])
        return dx * ax + dy * ay, dx * ay - dy * ax


class Pose(NamedTuple):
    """point -> matrix @ point + shift; the matrix is a rotation times one scale, or its mirror."""

    matrix: np.ndarray
    shift: np.ndarray

    def point(self, points: Sequence) -> np.ndarray:
        """Where points (3 or N x 3) go; those with two coordinates lie in the plane z = 0."""
        points = np.asarray(points, float)
        if points.shape[-1] == 2:
            points = np.concatenate([points, np.zeros_like(points[..., :1])], -1)
        return points @ self.matrix.T + self.shift

    def direction(self, vectors: np.ndarray) -> np.ndarray:
        return np.asarray(vectors, float) @ self.matrix.T

    def after(self, first: "Pose") -> "Pose":
        """One pose that does the first, then this one."""
        return Pose(self.matrix @ first.matrix, self.point(first.shift))

    def inverse(self) -> "Pose":
        back = np.linalg.inv(self.matrix)
        return Pose(back, -back @ self.shift)

    @property
    def scale(self) -> float:
        return float(abs(np.linalg.det(self.matrix)) ** (1 / 3))


def pose(x_deg=0.0, y_deg=0.0, z_deg=0.0, shift=(0, 0, 0), about=(0, 0, 0), mirror=False) -> Pose:
    """Mirror x, turn about the x, y and z axes through ``about`` (right-handed), then shift."""
    turn = np.diag([-1.0 if mirror else 1.0, 1.0, 1.0])
    for axis, degrees in enumerate((x_deg, y_deg, z_deg)):
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        step, (i, j) = np.eye(3), ((1, 2), (2, 0), (0, 1))[axis]
        step[i, i], step[i, j], step[j, i], step[j, j] = cos, -sin, sin, cos
        turn = step @ turn
    about = np.asarray(about, float)
    return Pose(turn, about + np.asarray(shift, float) - turn @ about)


@singledispatch
def transformed(thing, pose: Pose):
    """The same solid, bone or piece of flesh in another place; also all those in a list or dict.

    A class names the fields that change: POINTS move with the pose, DIRECTIONS turn with it, and
    PARTS are themselves transformed.
    """
    if type(thing) in (list, tuple):
        return [transformed(part, pose) for part in thing]
    if isinstance(thing, dict):
        return {name: transformed(part, pose) for name, part in thing.items()}
    changed = {name: pose.point(getattr(thing, name)) for name in getattr(thing, "POINTS", ())}
    for name in getattr(thing, "DIRECTIONS", ()):
        changed[name] = pose.direction(getattr(thing, name))
    for name in getattr(thing, "PARTS", ()):
        changed[name] = transformed(getattr(thing, name), pose)
    if not changed:
        return thing
    return thing._replace(**changed) if isinstance(thing, tuple) else replace(thing, **changed)


class Section(NamedTuple):
    """Where rays cross a solid, and where they do so in the bone's own coordinates.

    outer, core: (low, high) depths in mm, each N x H x W, one row per convex part; low = high where
        a ray misses. ``core`` is the surface inset by the cortex.
    along, across: mm in the bone, H x W, for texture; trabecular: relative density of the interior.
    """

    outer: tuple[Tensor, Tensor]
    core: tuple[Tensor, Tensor]
    along: Tensor
    across: Tensor
    trabecular: Tensor | float


def chord(stretch: tuple[Tensor, Tensor]) -> Tensor:
    """Length of the union of a ray's stretches, N x H x W -> H x W in mm; overlaps count once."""
    low, high = stretch
    if len(low) == 1:
        return high[0] - low[0]
    low, high = _by_start(low, high)
    length, reach = high[0] - low[0], high[0]
    for start, end in zip(low[1:], high[1:], strict=True):
        length = length + (end - torch.maximum(start, reach)).clamp(min=0)
        reach = torch.maximum(reach, end)
    return length


def _by_start(low: Tensor, high: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Stretches in the order of their starts; swapping two is three times as fast as sorting."""
    if len(low) > 2:
        low, order = low.sort(dim=0)
        return low, high.gather(0, order)
    late = low[1] < low[0]
    return tuple([torch.where(late, e[1 - i], e[i]) for i in range(2)] for e in (low, high))


def curve_table(knots: Sequence[Sequence[float]], samples: int = 256) -> np.ndarray:
    """Monotone cubic (no overshoot) through knots (t, values...), sampled on t = 0..1; read-only.

    Cached: the views and frames of a subject and the fragments of a bone share their curves.
    """
    return _curve_table(tuple(tuple(map(float, knot)) for knot in knots), samples)


@lru_cache(maxsize=256)
def _curve_table(knots: tuple[tuple[float, ...], ...], samples: int) -> np.ndarray:
    table = np.array(knots)
    t = np.clip(np.linspace(0, 1, samples), table[0, 0], table[-1, 0])
    values = PchipInterpolator(table[:, 0], table[:, 1:])(t)
    values.setflags(write=False)
    return values


def stretch(middle: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """(low, high) of one convex part from middle and half length; half <= 0 where a ray misses."""
    hit = half > 0
    low = torch.where(hit, middle - half, FAR)
    return low[None], torch.where(hit, middle + half, FAR)[None]


@dataclass(frozen=True)
class Ellipsoid:
    """Exact in any pose: centre, radii in mm along the columns of ``axes``; cortex in mm."""

    centre: np.ndarray
    radii: Sequence[float]
    axes: np.ndarray = field(default_factory=lambda: np.eye(3))
    cortex: float = 0.6
    trabecular: float = 1.0

    def bounds(self) -> tuple[float, float, float, float]:
        reach = np.sqrt(((self.axes * np.asarray(self.radii, float)) ** 2).sum(1))
        low, high = np.asarray(self.centre) - reach, np.asarray(self.centre) + reach
        return low[0], high[0], low[1], high[1]

    def section(self, x: Tensor, y: Tensor) -> Section:
        dx, dy = x - float(self.centre[0]), y - float(self.centre[1])
        outer, core = (stretch(*self._roots(dx, dy, inset)) for inset in (0.0, self.cortex))
        place = [dx * float(axis[0]) + dy * float(axis[1]) for axis in np.asarray(self.axes).T[:2]]
        return Section(outer, core, place[1], place[0], self.trabecular)

    def _roots(self, dx: Tensor, dy: Tensor, inset: float) -> tuple[Tensor, Tensor]:
        """Middle and half length of a ray inside, from the quadratic form of the ellipsoid."""
        radii = np.maximum(np.asarray(self.radii, float) - inset, 1e-3)
        form = (self.axes / radii**2) @ self.axes.T
        xx, yy, zz = (float(form[i, i]) for i in range(3))
        xy, xz, yz = float(form[0, 1]), float(form[0, 2]), float(form[1, 2])
        b = xz * dx + yz * dy
        c = xx * dx * dx + 2 * xy * dx * dy + yy * dy * dy - 1
        half = (b * b - zz * c).clamp(min=0).sqrt() / zz
        return float(self.centre[2]) - b / zz, half


@transformed.register
def _(solid: Ellipsoid, pose: Pose) -> Ellipsoid:
    return replace(solid, centre=pose.point(solid.centre), axes=pose.matrix @ solid.axes)


def common_bounds(solids: Sequence) -> tuple[float, float, float, float]:
    """x0, x1, y0, y1 in mm around all of several solids."""
    x0, x1, y0, y1 = zip(*(solid.bounds() for solid in solids), strict=True)
    return min(x0), max(x1), min(y0), max(y1)


@dataclass(frozen=True)
class Union:
    """One bone made of several convex parts: where they overlap, bone counts once.

    The first part gives the coordinates and the density of the interior.
    """

    parts: Sequence
    PARTS = ("parts",)

    def bounds(self) -> tuple[float, float, float, float]:
        return common_bounds(self.parts)

    def section(self, x: Tensor, y: Tensor) -> Section:
        sections = [part.section(x, y) for part in self.parts]
        outer, core = (
            tuple(torch.cat(ends) for ends in zip(*surfaces, strict=True))
            for surfaces in zip(*((s.outer, s.core) for s in sections), strict=True)
        )
        return sections[0]._replace(outer=outer, core=core)
