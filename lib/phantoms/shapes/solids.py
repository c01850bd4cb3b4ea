"""Solids as signed distances in millimetres, and the grids on which they are sampled.

A ``Shape`` answers how far a point lies from its surface (negative inside) and names a box that
holds it, so that a bone costs only the voxels around it. Distances are exact for spheres, rods of
constant radius and half-spaces, and exact to first order near the surface of everything else.
Frames are RAS: x to the patient's right, y to the front, z to the head.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from lib.phantoms.shapes.geometry import Pose, transformed

FAR = 1e4  # mm; half-spaces and other shapes without bounds
TABLE_STEP = 0.02  # mm between the tabulated sections of a loft


class Points(NamedTuple):
    """Coordinates in mm; the three tensors broadcast against each other."""

    x: Tensor
    y: Tensor
    z: Tensor


class Shape(NamedTuple):
    """A solid: its signed distance (mm, negative inside) and the corners of a box around it."""

    distance: Callable[[Points], Tensor]
    low: np.ndarray
    high: np.ndarray


def local(pose: Pose, points: Points) -> Points:
    """Points of the world in the frame that ``pose`` leads out of."""
    back = pose.inverse()
    return Points(
        *(
            sum(float(c) * p for c, p in zip(row, points, strict=True) if c) + float(shift)
            for row, shift in zip(back.matrix, back.shift, strict=True)
        )
    )


# --- primitives ----------------------------------------------------------------------------------


def ellipsoid(centre: Sequence[float], radii: Sequence[float] | float, square=0.0) -> Shape:
    """Axis-aligned ellipsoid; ``square`` in [0, 1) pushes it towards a box (a sphere is exact)."""
    centre = np.asarray(centre, float)
    radii = np.broadcast_to(np.asarray(radii, float), 3)

    def distance(p: Points) -> Tensor:
        scaled = [(q - float(c)) / float(r) for q, c, r in zip(p, centre, radii, strict=True)]
        return _level(scaled, [float(r) for r in radii], square)

    return Shape(distance, centre - radii, centre + radii)


def _level(scaled: list[Tensor], radii: list, square: float) -> Tensor:
    """First-order distance to the unit level of a rounded box whose half-sides are ``radii``."""
    squares = [s * s for s in scaled]
    length = sum(squares).sqrt()
    slope = sum(q / (r * r) for q, r in zip(squares, radii, strict=True)).sqrt()
    level = length
    if square:
        # Fernandez-Guasti squircle in two or three variables: 0 is round, 1 is a box.
        pairs = squares[0] * squares[1]
        if len(squares) == 3:
            pairs = pairs + (squares[0] + squares[1]) * squares[2]
        total = length * length
        level = ((total + (total * total - 4 * square * pairs).clamp(min=0).sqrt()) / 2).sqrt()
    return (level - 1) * (length + 1e-3) / (slope + 1e-3 / radii[0])


def rod(start, end, radius: float, end_radius: float | None = None, stretch=(1, 1, 1)) -> Shape:
    """Round-ended rod whose radius goes linearly from one end to the other.

    ``stretch`` (each >= 1) widens it along the axes: (3, 1, 1) makes a band three times as wide
    in x. Distances are then too small along the wide directions, never too large.
    """
    stretch = np.asarray(stretch, float)
    a, b = np.asarray(start, float) / stretch, np.asarray(end, float) / stretch
    axis, r0, r1 = b - a, radius, radius if end_radius is None else end_radius
    length2 = max(float(axis @ axis), 1e-9)

    def distance(p: Points) -> Tensor:
        q = [c / float(s) - float(o) for c, s, o in zip(p, stretch, a, strict=True)]
        t = (sum(c * float(d) for c, d in zip(q, axis, strict=True)) / length2).clamp(0, 1)
        gap = sum((c - t * float(d)) ** 2 for c, d in zip(q, axis, strict=True)).sqrt()
        return gap - (r0 + (r1 - r0) * t)

    ends, reach = np.stack([a, b]) * stretch, max(r0, r1) * stretch
    return Shape(distance, ends.min(0) - reach, ends.max(0) + reach)


def tube(path, radii, stretch=(1, 1, 1), pieces: int = 6) -> list[Shape]:
    """Rods along a smooth curve through the points of ``path``, with radii given at the points."""
    path = np.asarray(path, float)
    station = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.linspace(0, station[-1], pieces + 1)
    points = PchipInterpolator(station, path)(at)
    width = np.interp(at, station, np.broadcast_to(radii, len(path)))
    steps = zip(pairwise(points), pairwise(width), strict=True)
    return [rod(p, q, a, b, stretch) for (p, q), (a, b) in steps]


def loft(axis: str, stations, low, high, low2, high2, square=0.0, ends=4.0) -> Shape:
    """Body with an oval section that changes along an axis.

    Args:
        axis: "x", "y" or "z"; the section lies in the other two, in alphabetical order.
        stations: positions along the axis, mm, rising.
        low, high: extent of the section in its first direction at every station, mm.
        low2, high2: the same in its second direction.
        square: 0 for elliptic sections, towards 1 for rectangles.
        ends: rounding of the two flat ends, mm.
    """
    along = "xyz".index(axis)
    across = [i for i in range(3) if i != along]
    first, last = stations[0], stations[-1]
    profiles = [
        np.broadcast_to(np.asarray(v, float), len(stations)) for v in (low, high, low2, high2)
    ]
    at = np.arange(first, last + TABLE_STEP, TABLE_STEP)
    low, high, low2, high2 = (PchipInterpolator(stations, p)(at) for p in profiles)
    half, half2 = (high - low) / 2, (high2 - low2) / 2
    slope = np.gradient((half + half2) / 2, TABLE_STEP)
    columns = ((high + low) / 2, (high2 + low2) / 2, half, half2, 1 / np.sqrt(1 + slope**2))
    table = torch.tensor(np.stack(columns), dtype=torch.float32)

    def distance(p: Points) -> Tensor:
        row = ((p[along] - first) * (1 / TABLE_STEP)).clamp(0, len(at) - 1).round().long()
        c, c2, h, h2, upright = (column.to(row.device)[row] for column in table)
        x, y = p[across[0]], p[across[1]]
        side = _level([(x - c) / h, (y - c2) / h2], [h, h2], square) * upright
        caps = torch.maximum(first - p[along], p[along] - last)
        return smooth_max(side, caps, ends)

    corners = np.zeros((2, 3))
    corners[:, along] = first, last
    corners[:, across[0]] = low.min(), high.max()
    corners[:, across[1]] = low2.min(), high2.max()
    return Shape(distance, *corners)


def half_space(point: Sequence[float], outward: Sequence[float]) -> Shape:
    """Everything behind a plane through ``point``."""
    normal = np.asarray(outward, float) / np.linalg.norm(outward)
    offset = float(normal @ np.asarray(point, float))

    def distance(p: Points) -> Tensor:
        return sum(float(n) * q for n, q in zip(normal, p, strict=True) if n) - offset

    return Shape(distance, np.full(3, -FAR), np.full(3, FAR))


# --- combinations --------------------------------------------------------------------------------


def smooth_min(a: Tensor, b: Tensor, blend: float) -> Tensor:
    """Minimum with the crease filled over ``blend`` mm (quadratic; lowers it by blend / 4)."""
    if blend <= 0:
        return torch.minimum(a, b)
    overlap = (blend - (a - b).abs()).clamp(min=0)
    return torch.minimum(a, b) - overlap * overlap / (4 * blend)


def smooth_max(a: Tensor, b: Tensor, blend: float) -> Tensor:
    return -smooth_min(-a, -b, blend)


def union(*shapes: Shape, blend: float = 3.0) -> Shape:
    """All solids together, creases filled over ``blend`` mm."""

    def distance(p: Points) -> Tensor:
        total = shapes[0].distance(p)
        for shape in shapes[1:]:
            total = smooth_min(total, shape.distance(p), blend)
        return total

    low = np.min([s.low for s in shapes], axis=0) - blend / 4
    return Shape(distance, low, np.max([s.high for s in shapes], axis=0) + blend / 4)


def cut(body: Shape, *tools: Shape, blend: float = 1.0) -> Shape:
    """The body without the tools, edges rounded over ``blend`` mm."""

    def distance(p: Points) -> Tensor:
        left = body.distance(p)
        for tool in tools:
            left = smooth_max(left, -tool.distance(p), blend)
        return left

    return Shape(distance, body.low, body.high)


def common(body: Shape, other: Shape, blend: float = 1.0) -> Shape:
    """What two solids share, edges rounded."""

    def distance(p: Points) -> Tensor:
        return smooth_max(body.distance(p), other.distance(p), blend)

    return Shape(distance, np.maximum(body.low, other.low), np.minimum(body.high, other.high))


def grown(shape: Shape, by: float) -> Shape:
    """The solid with its surface moved outwards by ``by`` mm (inwards if negative)."""
    return Shape(lambda p: shape.distance(p) - by, shape.low - by, shape.high + by)


@transformed.register
def _(shape: Shape, pose: Pose) -> Shape:
    corners = pose.point(list(product(*zip(shape.low, shape.high, strict=True))))

    def distance(p: Points) -> Tensor:
        return shape.distance(local(pose, p)) * pose.scale

    return Shape(distance, corners.min(0), corners.max(0))
