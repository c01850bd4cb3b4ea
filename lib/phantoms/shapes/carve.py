"""Bones carved and broken in closed form: joint surfaces, sockets and fracture surfaces.

A convex solid meets every ray in one stretch. Planes, balls and ellipsoids shorten it (joint
surfaces) or are taken out of it (sockets), and cracks divide it into fragments, which can then be
transformed like any solid. Chords and masks are exact in any pose in which the solid's own are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lib.phantoms.shapes.geometry import FAR, Ellipsoid, Frame, Section, chord, common_bounds

FAR_MM = 3.0  # beyond the highest waves, where only the side of a crack matters
NEAR_MM = 28.0  # from a crack's middle to its rim at most
Ends = tuple[Tensor, Tensor]  # where a ray enters and leaves, H x W in mm


@dataclass(frozen=True)
class Plane:
    """Half of space: all points on the side that the normal points away from."""

    point: np.ndarray
    normal: np.ndarray
    POINTS, DIRECTIONS = ("point",), ("normal",)

    def shifted(self, distance_mm: float) -> "Plane":
        return replace(self, point=np.asarray(self.point) + distance_mm * self.unit)

    @property
    def unit(self) -> np.ndarray:
        return np.asarray(self.normal, float) / np.linalg.norm(self.normal)

    def reach(self, x: Tensor, y: Tensor) -> Ends:
        nx, ny, nz = (float(v) for v in self.unit)
        px, py, pz = (float(v) for v in self.point)
        height = nx * (x - px) + ny * (y - py)
        slope = nz if abs(nz) > 1e-4 else 1e-4
        meets = pz - height / slope
        never = torch.full_like(meets, FAR)
        return (-never, meets) if slope > 0 else (meets, never)


@dataclass(frozen=True)
class Ball:
    """All points within ``radius`` mm of the centre."""

    centre: np.ndarray
    radius: float
    POINTS = ("centre",)

    def shifted(self, distance_mm: float) -> "Ball":
        return replace(self, radius=self.radius + distance_mm)

    def bounds(self) -> tuple[float, float, float, float]:
        (x, y), r = self.centre[:2], self.radius
        return x - r, x + r, y - r, y + r

    def reach(self, x: Tensor, y: Tensor) -> Ends:
        cx, cy, cz = (float(v) for v in self.centre)
        dx, dy = x - cx, y - cy
        half = (float(self.radius) ** 2 - dx * dx - dy * dy).clamp(min=0).sqrt()
        return cz - half, cz + half


@dataclass(frozen=True)
class Crack:
    """A fracture surface: a plane with waves, sum of amplitude * sin(fu * u + fv * v + phase).

    u, v: mm in the plane; waves: rows (fu, fv, phase, amplitude), frequencies in radians per mm.
    The line where it meets the bone's surface is the same in every view; in between, the surface
    is ruled along the rays.
    """

    point: np.ndarray
    normal: np.ndarray
    u_axis: np.ndarray
    v_axis: np.ndarray
    waves: Sequence[Sequence[float]] = ()
    POINTS, DIRECTIONS = ("point",), ("normal", "u_axis", "v_axis")

    def distance(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Signed distance in mm along the normal, at points of view coordinates."""
        dx, dy, dz = (w - float(p) for w, p in zip((x, y, z), self.point, strict=True))
        height, u, v = (
            dx * float(a[0]) + dy * float(a[1]) + dz * float(a[2])
            for a in (self.normal, self.u_axis, self.v_axis)
        )
        rows = _rows(height.abs() < sum(wave[3] for wave in self.waves) + FAR_MM)
        u, v = u[rows], v[rows]
        for fu, fv, phase, amplitude in self.waves:
            height[rows] -= amplitude * torch.sin(fu * u + fv * v + phase)
        return height


@dataclass(frozen=True)
class Carved:
    """A convex solid within ``keep``, without ``cut``, on one side of its cracks.

    keep: planes, balls, ellipsoids it lies in; cut: those taken out; both leave a wall of
    ``cortex`` mm. sides: (crack, -1 below it or +1 above it); a crack leaves no wall.
    within: an ellipsoid known to hold it, only to spare work.
    """

    solid: object
    keep: Sequence[Plane | Ball | Ellipsoid] = ()
    cut: Sequence[Ball | Ellipsoid] = ()
    cortex: float = 0.6
    sides: Sequence[tuple[Crack, float]] = ()
    within: Ellipsoid | None = None
    PARTS = ("solid", "keep", "cut", "sides", "within")

    def bounds(self) -> tuple[float, float, float, float]:
        x0, x1, y0, y1 = self.solid.bounds()
        for piece in (*self.keep, self.within):
            if isinstance(piece, Ellipsoid | Ball):
                a0, a1, b0, b1 = piece.bounds()
                x0, x1, y0, y1 = max(x0, a0), min(x1, a1), max(y0, b0), min(y1, b1)
        return x0, x1, y0, y1

    def crack_bounds(self) -> tuple[float, float, float, float]:
        """Bounds of what lies near a crack of it."""
        x0, x1, y0, y1 = self.bounds()
        middles = np.array([crack.point[:2] for crack, _ in self.sides])
        low, high = middles.min(0) - NEAR_MM, middles.max(0) + NEAR_MM
        return max(x0, low[0]), min(x1, high[0]), max(y0, low[1]), min(y1, high[1])

    def section(self, x: Tensor, y: Tensor) -> Section:
        base, outer, core = self._kept(x, y)
        for crack, side in self.sides:
            line = _line(crack, side, outer, x, y)
            outer, core = _below(line, outer), _below(line, core)
        outer, core = self._hollowed(outer, core, x, y)
        return base._replace(outer=outer, core=core)

    def _hollowed(self, outer: Ends, core: Ends, x: Tensor, y: Tensor) -> list[Ends]:
        """Stretches as long as what ``cut`` leaves, which is all that a chord needs."""
        lengths = [high - low for low, high in (outer, core)]
        if self.cut:
            at = _inside(common_bounds(self.cut), x, y)
            xs, ys = x[:, at[1]], y[at[0]]
            holes = zip(*(_both(p, self.cortex, xs, ys, cut=True) for p in self.cut), strict=True)
            for length, (low, high), taken in zip(lengths, (outer, core), holes, strict=True):
                clipped = [_common((low[at], high[at]), hole) for hole in taken]
                length[at] -= chord(tuple(map(torch.stack, zip(*clipped, strict=True))))
        return [_stretch(e[0], length) for e, length in zip((outer, core), lengths, strict=True)]

    def zone(self, x: Tensor, y: Tensor, margin_mm: float) -> Tensor:
        """Rays that pass the solid's crack surfaces at ``margin_mm`` or less, bool H x W."""
        _, whole, _ = self._kept(x, y)
        near = torch.zeros_like(whole[0], dtype=torch.bool)
        for chosen, _ in self.sides:
            ends = whole
            for crack, side in self.sides:
                if crack is not chosen:
                    ends = _below(_line(crack, side, whole, x, y), ends)
            first, last = (chosen.distance(x, y, z) for z in ends)
            close = torch.minimum(first.abs(), last.abs()) <= margin_mm
            near |= (ends[1] > ends[0]) & (close | (first * last < 0))
        return near

    def _kept(self, x: Tensor, y: Tensor) -> tuple[Section, Ends, Ends]:
        base = self.solid.section(x, y)
        outer, core = ((low[0], high[0]) for low, high in (base.outer, base.core))
        for piece in self.keep:
            near, deep = _both(piece, self.cortex, x, y, cut=False)
            outer, core = _common(outer, near), _common(core, deep)
        return base, outer, core


@dataclass(frozen=True)
class Broken:
    """One bone in fragments. Where they overlap, each counts: impacted bone is denser."""

    fragments: Sequence
    PARTS = ("fragments",)

    def bounds(self) -> tuple[float, float, float, float]:
        return common_bounds(self.fragments)

    def section(self, x: Tensor, y: Tensor) -> Section:
        sums = torch.zeros(5, y.shape[0], x.shape[1], device=x.device)
        most = torch.zeros_like(sums[0])
        for fragment in self.fragments:
            at = _inside(fragment.bounds(), x, y)
            part = fragment.section(x[:, at[1]], y[at[0]])
            outer = chord(part.outer)
            sums[0][at] += outer
            sums[1][at] += torch.minimum(chord(part.core), outer)
            wins = outer > most[at]
            most[at] = torch.where(wins, outer, most[at])
            for target, value in zip(sums[2:], part[2:], strict=True):
                target[at] = torch.where(wins, torch.as_tensor(value), target[at])
        zero = torch.zeros_like(most)
        outer, core = (_stretch(zero, length) for length in sums[:2])
        return Section(outer, core, *sums[2:])


def crack_zone(frame: Frame, fragments: Sequence[Carved], margin_mm: float) -> Tensor:
    """Where fracture surfaces project, widened by ``margin_mm`` along their normals; bool H x W."""
    zone = torch.zeros(frame.height, frame.width, dtype=torch.bool, device=frame.device)
    for fragment in fragments:
        window = frame.window(fragment.crack_bounds())
        if window is not None:
            near = fragment.zone(window.x, window.y, margin_mm)
            zone[window.rows, window.columns] |= near
    return zone


def _both(piece, cortex: float, x: Tensor, y: Tensor, cut: bool) -> tuple[Ends, Ends]:
    """A piece's own ends, and those of the surface that leaves a wall on the bone's side."""
    if not isinstance(piece, Ellipsoid):
        deep = piece.shifted(cortex if cut else -cortex)
        return piece.reach(x, y), deep.reach(x, y)
    grown = np.asarray(piece.radii, float) + (cortex if cut else 0.0)
    section = replace(piece, radii=grown, cortex=cortex).section(x, y)
    outer, core = ((low[0], high[0]) for low, high in (section.outer, section.core))
    return (core, outer) if cut else (outer, core)


def _common(a: Ends, b: Ends) -> Ends:
    low, high = torch.maximum(a[0], b[0]), torch.minimum(a[1], b[1])
    return low, torch.maximum(low, high)


def _line(crack: Crack, side: float, ends: Ends, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(value at z = 0, slope) of the distance from the kept side, linear between the ends."""
    first, last = (-side * crack.distance(x, y, z) for z in ends)
    slope = (last - first) / (ends[1] - ends[0]).clamp(min=1e-3)
    slope = torch.where(slope.abs() < 1e-5, 1e-5, slope)
    return first - slope * ends[0], slope


def _below(line: tuple[Tensor, Tensor], ends: Ends) -> Ends:
    value, slope = line
    meets = -value / slope
    rises = slope > 0
    low = torch.where(rises, ends[0], torch.maximum(ends[0], meets))
    high = torch.where(rises, torch.minimum(ends[1], meets), ends[1])
    return low, torch.maximum(low, high)


def _stretch(low: Tensor, length: Tensor) -> Ends:
    """One stretch of a given length, 1 x H x W."""
    low = torch.where(length > 1e-4, low, FAR)
    return low[None], torch.where(length > 1e-4, low + length, low)[None]


def _rows(near: Tensor) -> slice:
    """The rows from the first to the last with any pixel set."""
    rows = torch.nonzero(near.any(1))[:, 0]
    return slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)


def _inside(bounds, x: Tensor, y: Tensor) -> tuple[slice, slice]:
    """Rows and columns of a window that the bounds need, with 2 mm around."""
    x0, x1, y0, y1 = (float(b) for b in bounds)
    rows, columns = (y >= y0 - 2) & (y <= y1 + 2), (x >= x0 - 2) & (x <= x1 + 2)
    return _rows(rows), _rows(columns.T)
