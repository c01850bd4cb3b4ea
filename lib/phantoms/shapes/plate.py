"""Irregular bones: a closed outline in a plane, thickness falling off at a rounded rim."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor
from torch.nn import functional as F

from lib.phantoms.shapes.geometry import Section, stretch

TABLE_CELLS = 72  # cells of the distance table along the longer side of the outline
MARGIN_MM = 2.0


def closed_spline(points: np.ndarray, per_point: int = 8) -> np.ndarray:
    """Smooth closed curve through N x 2 points: (N * per_point) x 2, without the repeated end."""
    points = np.asarray(points, float)
    loop = np.concatenate([points, points[:1]])
    steps = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(loop, axis=0), axis=1) ** 0.5)])
    curve = CubicSpline(steps, loop, bc_type="periodic")
    t = np.linspace(0, 1, per_point, endpoint=False)
    return curve((steps[:-1, None] + np.diff(steps)[:, None] * t).ravel())


def ribbon_outline(path: np.ndarray, half_widths: Sequence[float], samples: int = 40) -> np.ndarray:
    """Closed outline around a smooth open path (N x 2), with half-widths at its points, round tips.

    For ribs, clavicle, coracoid, tendons: ``Plate(ribbon_outline(...), smooth=False)``.
    """
    path = np.asarray(path, float)
    knots = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    curve = CubicSpline(knots, path)
    s = np.linspace(0, knots[-1], samples)
    tangent = curve(s, 1) / np.linalg.norm(curve(s, 1), axis=1, keepdims=True)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
    width = np.interp(s, knots, half_widths)[:, None]
    bend = np.linspace(-np.pi / 2, np.pi / 2, 9)[1:-1, None]
    tip = curve(s[-1]) - width[-1] * (np.sin(bend) * normal[-1] - np.cos(bend) * tangent[-1])
    tail = curve(0) + width[0] * (np.sin(bend) * normal[0] - np.cos(bend) * tangent[0])
    left, right = curve(s) + width * normal, curve(s) - width * normal
    return np.concatenate([left, tip, right[::-1], tail])


def signed_distance(points: Tensor, outline: np.ndarray) -> Tensor:
    """Distance in mm to a closed polygon, positive inside; points ... x 2, outline N x 2.

    Brute force over the sides, so for small tables of points. Inside by the crossing rule.
    """
    x, y = points.unbind(-1)
    inside = torch.zeros_like(x, dtype=torch.bool)
    nearest = torch.full_like(x, torch.inf)
    corners = np.asarray(outline, float).tolist()
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        dx, dy, sx, sy = x - ax, y - ay, bx - ax, by - ay
        share = (dx * sx).add_(dy, alpha=sy).div_(max(sx * sx + sy * sy, 1e-12)).clamp_(0, 1)
        gap_x, gap_y = torch.sub(dx, share, alpha=sx), torch.sub(dy, share, alpha=sy)
        torch.minimum(nearest, gap_x.square_().add_(gap_y.square_()), out=nearest)
        if sy != 0:
            crosses = (y < ay) != (y < by)  # the same comparison on both sides of a corner
            inside ^= crosses & (dx < dy * (sx / sy))
    return torch.where(inside, nearest.sqrt(), -nearest.sqrt())


@dataclass(frozen=True)
class Plate:
    """Flat or rounded bone given by its outline.

    outline: N x 2 points (u, v) in mm in the plate's plane, any sense of rotation; joined by a
    smooth closed curve unless ``smooth`` is False. half_thickness: mm, or a function of (u, v)
    tensors. rim: mm over which the thickness falls off elliptically to zero at the outline (the
    half-thickness for a pebble, a few mm for a flat bone with a marked edge).
    origin, u_axis, v_axis: 3-D place of the plane; default: the view plane itself.
    """

    outline: np.ndarray
    half_thickness: float | Callable[[Tensor, Tensor], Tensor]
    rim: float
    cortex: float = 0.6
    trabecular: float | Callable[[Tensor, Tensor], Tensor] = 1.0
    smooth: bool = True
    origin: np.ndarray = field(default_factory=lambda: np.zeros(3))
    u_axis: np.ndarray = field(default_factory=lambda: np.array([1.0, 0, 0]))
    v_axis: np.ndarray = field(default_factory=lambda: np.array([0, 1.0, 0]))
    POINTS, DIRECTIONS = ("origin",), ("u_axis", "v_axis")

    @cached_property
    def curve(self) -> np.ndarray:
        """The outline as drawn: M x 2 in the plate's plane."""
        return closed_spline(self.outline, 5) if self.smooth else np.asarray(self.outline, float)

    def point(self, u_mm: float, v_mm: float) -> np.ndarray:
        """A 3-D point in the plate's plane."""
        return self.origin + u_mm * self.u_axis + v_mm * self.v_axis

    def bounds(self) -> tuple[float, float, float, float]:
        edge = self.origin + self.curve @ np.stack([self.u_axis, self.v_axis])
        low, high = edge.min(0), edge.max(0)
        return low[0], high[0], low[1], high[1]

    def section(self, x: Tensor, y: Tensor) -> Section:
        into = np.linalg.inv(np.stack([self.u_axis[:2], self.v_axis[:2]], 1))
        dx, dy = x - float(self.origin[0]), y - float(self.origin[1])
        u, v = (dx * float(row[0]) + dy * float(row[1]) for row in into)
        middle = float(self.origin[2]) + u * float(self.u_axis[2]) + v * float(self.v_axis[2])
        lean = 1 / abs(float(np.cross(self.u_axis, self.v_axis)[2]))  # rays cross a tilted plate
        depth = self._distance(u, v)
        outer, core = (self._half(u, v, depth, inset) * lean for inset in (0.0, self.cortex))
        density = self.trabecular(u, v) if callable(self.trabecular) else self.trabecular
        return Section(stretch(middle, outer), stretch(middle, core), v, u, density)

    def _half(self, u: Tensor, v: Tensor, depth: Tensor, inset: float) -> Tensor:
        thick = self.half_thickness
        thick = (thick(u, v) if callable(thick) else thick) - inset
        rim = max(self.rim - inset, 0.3)
        return thick * (1 - (1 - ((depth - inset) / rim).clamp(0, 1)) ** 2).sqrt()

    def _distance(self, u: Tensor, v: Tensor) -> Tensor:
        """Distance to the outline, from a table: bilinear, exact where the outline is straight."""
        low, cell, table = self._table
        table = table.to(u.device)
        size = [(n - 1) / 2 * cell for n in table.shape]
        place = [((w - low[i]) / size[i]) - 1 for i, w in enumerate((u, v))]
        grid = torch.stack([place[1], place[0]], -1)[None]
        return F.grid_sample(table[None, None], grid, padding_mode="border", align_corners=True)[
            0, 0
        ]

    @cached_property
    def _table(self) -> tuple[list[float], float, Tensor]:
        low, high = self.curve.min(0) - MARGIN_MM, self.curve.max(0) + MARGIN_MM
        cell = float((high - low).max()) / TABLE_CELLS
        sides = [
            torch.arange(int(np.ceil(s / cell)) + 1) * cell + float(start)
            for s, start in zip(high - low, low, strict=True)
        ]
        points = torch.stack(torch.meshgrid(*sides, indexing="ij"), -1)
        return [float(v) for v in low], cell, signed_distance(points, self.curve)
