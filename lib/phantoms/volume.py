"""Bones that need a volume: signed-distance shapes, smooth unions, and their projection.

Shapes take points ... x 3 in mm and give the distance, negative inside. They are shared by MR
volumes and by bones too irregular for a closed form.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from lib.phantoms.geometry import Pose, Section, stretch

Shape = Callable[[Tensor], Tensor]


def _vector(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.as_tensor(np.asarray(values, float), dtype=torch.float32, device=like.device)


def ellipsoid(points: Tensor, centre, radii, axes: np.ndarray | None = None) -> Tensor:
    """Distance to an ellipsoid (first order); radii along the columns of ``axes``."""
    local = points - _vector(centre, points)
    if axes is not None:
        local = local @ _vector(axes, points)
    radii = _vector(radii, points)
    level = (local / radii).norm(dim=-1)
    return level * (level - 1) / (local / radii**2).norm(dim=-1).clamp(min=1e-6)


def capsule(points: Tensor, start, end, start_radius: float, end_radius: float) -> Tensor:
    """Distance to a cone with round ends; exact for equal radii."""
    start, axis = _vector(start, points), _vector(end, points) - _vector(start, points)
    share = ((points - start) @ axis / (axis @ axis)).clamp(0, 1)
    radius = float(start_radius) + share * float(end_radius - start_radius)
    return (points - start - share[..., None] * axis).norm(dim=-1) - radius


def rounded_box(points: Tensor, centre, halves, rounding: float, axes=None) -> Tensor:
    """Distance to a box of half-sides ``halves`` (rounding included)."""
    local = points - _vector(centre, points)
    if axes is not None:
        local = local @ _vector(axes, points)
    excess = local.abs() - (_vector(halves, points) - float(rounding))
    return excess.clamp(min=0).norm(dim=-1) + excess.amax(-1).clamp(max=0) - float(rounding)


def half_space(points: Tensor, point, normal) -> Tensor:
    """Distance to a plane, negative on the side away from its normal."""
    normal = np.asarray(normal, float) / np.linalg.norm(normal)
    return (points - _vector(point, points)) @ _vector(normal, points)


def smooth_union(*distances: Tensor, blend_mm: float) -> Tensor:
    """Union whose concave creases are filled over ``blend_mm``; zero is a plain union."""
    return reduce(lambda a, b: _smooth_minimum(a, b, blend_mm), distances)


def smooth_difference(shape: Tensor, cut: Tensor, blend_mm: float) -> Tensor:
    """``shape`` without ``cut``, with a rounded edge."""
    return -_smooth_minimum(-shape, cut, blend_mm)


def _smooth_minimum(a: Tensor, b: Tensor, blend: float) -> Tensor:
    if blend <= 0:
        return torch.minimum(a, b)
    near = (blend - (a - b).abs()).clamp(min=0) / blend
    return torch.minimum(a, b) - near * near * blend / 4


@dataclass(frozen=True)
class Volume:
    """A shape as a bone: its chords by midpoint sums over ``depth_mm`` steps along the rays.

    shape: function of points in bone coordinates. box: (x0, x1, y0, y1, z0, z1) in mm around it.
    Not for ``Union``: join shapes with ``smooth_union`` instead.
    """

    shape: Shape
    box: Sequence[float]
    cortex: float = 0.6
    trabecular: float = 1.0
    depth_mm: float = 0.6
    pose: Pose = Pose(np.eye(3), np.zeros(3))

    def moved(self, pose: Pose) -> "Volume":
        both = Pose(pose.rotation @ self.pose.rotation, pose.point(self.pose.shift))
        return Volume(self.shape, self.box, self.cortex, self.trabecular, self.depth_mm, both)

    def corners(self) -> np.ndarray:
        x, y, z = np.asarray(self.box, float).reshape(3, 2)
        grid = np.stack(np.meshgrid(x, y, z), -1).reshape(-1, 3)
        return self.pose.point(grid)

    def bounds(self) -> tuple[float, float, float, float]:
        low, high = self.corners().min(0), self.corners().max(0)
        return low[0], high[0], low[1], high[1]

    def section(self, x: Tensor, y: Tensor) -> Section:
        depth = self.corners()[:, 2]
        steps = int(np.ceil((depth.max() - depth.min()) / self.depth_mm))
        dz = float(depth.max() - depth.min()) / steps
        z = float(depth.min()) + (torch.arange(steps, device=x.device) + 0.5) * dz
        view = torch.stack(torch.broadcast_tensors(x[..., None], y[..., None], z), -1)
        turn = _vector(self.pose.rotation, view)
        points = (view - _vector(self.pose.shift, view)) @ turn  # inverse of a rotation
        distance = self.shape(points)
        lengths = [
            (0.5 - (distance + inset) / dz).clamp(0, 1).sum(-1) * dz for inset in (0.0, self.cortex)
        ]
        outer, core = (stretch(torch.zeros_like(length), length / 2) for length in lengths)
        place = points[:, :, steps // 2]
        return Section(outer, core, place[..., 1], place[..., 0], self.trabecular)
