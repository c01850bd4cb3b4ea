"""A voxel grid on which solids are painted as water and fat.

Partial volume: along the slice by sub-slices that are averaged, in plane by a coverage that falls
from 1 to 0 over one pixel across a surface. What is painted later covers what was there.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib.phantoms.physics.mr import TISSUES, Sequence, combined, water_and_fat
from lib.phantoms.shapes.solids import Points, Shape

DIRECTION = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
FINE_MM = 0.9  # pixels below which soft tissue is computed at every second one
BLOCK = 4  # voxels; side of the blocks that are searched for a bone
Box = tuple[slice, slice, slice, slice]  # slices, sub-slices, rows, columns


class Grid(NamedTuple):
    """Voxels slice x row x column; ``affine`` takes their indices to RAS millimetres."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    affine: np.ndarray

    def axis(self, voxel_axis: int) -> tuple[int, np.ndarray]:
        """World axis (0 to 2) along a voxel axis, and the voxel centres on it in mm."""
        world = int(np.argmax(np.abs(self.affine[:3, voxel_axis])))
        step = self.affine[world, voxel_axis]
        return world, self.affine[world, 3] + step * np.arange(self.shape[voxel_axis])


def centred_grid(shape, spacing_mm, orientation: str, centre=(0, 0, 0)) -> Grid:
    """Grid about a point; ``orientation`` names where slices, rows and columns lead, as "RIP"."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for voxel_axis, (letter, step) in enumerate(zip(orientation, spacing_mm, strict=True)):
        world, sign = DIRECTION[letter]
        affine[world, voxel_axis] = sign * step
    middle = (np.asarray(shape) - 1) / 2
    affine[:3, 3] = np.asarray(centre, float) - affine[:3, :3] @ middle
    return Grid(tuple(int(n) for n in shape), tuple(float(s) for s in spacing_mm), affine)


def noise(grid: Grid, cell_mm: float | tuple, rng: np.random.Generator, smooth=False) -> Tensor:
    """Random field of unit variance, the same in millimetres at every resolution.

    Cells below the size of a voxel become voxels with the variance of their mean.

    Args:
        cell_mm: size of its cells, one number or one per voxel axis.
        smooth: cubic instead of linear between the cells, for what bends a surface.
    """
    spacing = np.array(grid.spacing_mm)
    asked_mm, cell_mm = cell_mm, np.maximum(cell_mm, spacing)
    left = float(np.sqrt(np.prod(asked_mm / cell_mm)))
    counts = np.multiply(grid.shape, spacing) / cell_mm
    field = torch.from_numpy(
        rng.standard_normal(np.floor(counts + 1e-4).astype(int) + 4, dtype=np.float32)
    )
    for axis in (2, 1, 0):  # the volume is large only while whole slices are mixed
        at = (np.arange(grid.shape[axis]) + 0.5) * spacing[axis] / cell_mm[axis]
        first = np.floor(at).astype(int)  # with one knot before it, and two after it
        weights = np.stack(_between_knots(at - first, smooth))
        weights /= np.linalg.norm(weights, axis=0)  # keeps the variance
        field = _mixed(field, axis, first, torch.from_numpy(weights).float())
    return field * left if left < 1 else field


def _mixed(field: Tensor, axis: int, first: np.ndarray, weights: Tensor) -> Tensor:
    """Weighted sum of neighbours along an axis, the first of them given by its index."""
    mixed = None
    for knot, weight in enumerate(weights):
        if weight.any():
            part = field.index_select(axis, torch.from_numpy(first + knot))
            part *= weight.view([-1 if i == axis else 1 for i in range(3)])
            mixed = part if mixed is None else mixed.add_(part)
    return mixed


def _between_knots(t: np.ndarray, smooth: bool) -> tuple[np.ndarray, ...]:
    """Weights of four knots at a share t from the second to the third: linear, or Catmull-Rom."""
    if not smooth:
        return 0 * t, 1 - t, t, 0 * t
    return (
        (-(t**3) + 2 * t**2 - t) / 2,
        (3 * t**3 - 5 * t**2 + 2) / 2,
        (-3 * t**3 + 4 * t**2 + t) / 2,
        (t**3 - t**2) / 2,
    )


class Patch(NamedTuple):
    """Water and fat of some voxels with their sub-slices: views of a canvas, or copies."""

    water: Tensor
    fat: Tensor


class Canvas:
    """Water and fat signal of a volume while it is painted, D x sub-slices x H x W.

    Args:
        grid: the voxels.
        sequence: decides how bright every tissue is.
        warp: D x H x W displacement (mm) of anatomy along x, y and z, or None.
    """

    def __init__(self, grid: Grid, sequence: Sequence, warp=None, device="cpu"):
        self.grid, self.sequence, self.device = grid, sequence, device
        self.warp = None if warp is None else [w.to(device)[:, None] for w in warp]
        self.reach = 0.0 if warp is None else max(float(w.abs().max()) for w in warp)
        depth, height, width = grid.shape
        self.water = torch.zeros(depth, 1, height, width, device=device)
        self.fat = torch.zeros_like(self.water)
        self.pixel_mm = float(np.sqrt(grid.spacing_mm[1] * grid.spacing_mm[2]))
        self.signals = {name: water_and_fat(t, sequence) for name, t in TISSUES.items()}

    def split(self, subslices: int) -> None:
        """From now on paint every slice as that many thinner ones."""
        self.water = self.water.repeat(1, subslices, 1, 1)
        self.fat = self.fat.repeat(1, subslices, 1, 1)

    # --- where -----------------------------------------------------------------------------------

    def box(self, shape: Shape, margin_mm: float) -> Box | None:
        """Slices, all sub-slices, rows and columns that a shape can touch; None if outside."""
        box = []
        for voxel_axis in range(3):
            world, at = self.grid.axis(voxel_axis)
            margin = margin_mm + self.reach + self.grid.spacing_mm[voxel_axis]
            low, high = shape.low[world] - margin, shape.high[world] + margin
            inside = np.flatnonzero((at > low) & (at < high))
            if not len(inside):
                return None
            box.append(slice(int(inside[0]), int(inside[-1]) + 1))
        return box[0], slice(None), box[1], box[2]

    def _points(self, index: list[Tensor], subslice_axis: int) -> Points:
        """Warped anatomical coordinates (mm) of voxels whose three indices broadcast."""
        world = [None] * 3
        for voxel_axis, voxels in enumerate(index):
            name, at = self.grid.axis(voxel_axis)
            world[name] = float(at[0]) + float(at[1] - at[0]) * voxels.float()
            if voxel_axis == 0:
                count = self.water.shape[1]
                offset = (torch.arange(count, device=self.device) + 0.5) / count - 0.5
                shape = [-1 if i == subslice_axis else 1 for i in range(world[name].dim())]
                world[name] = world[name] + offset.view(shape) * float(at[1] - at[0])
        if self.warp is not None:
            inside = [i.clamp(max=n - 1) for i, n in zip(index, self.grid.shape, strict=True)]
            world = [
                w + shift[:, 0][tuple(inside)] for w, shift in zip(world, self.warp, strict=True)
            ]
        return Points(*world)

    def points(self, box: Box, stride: int = 1) -> Points:
        """Coordinates of a box as D x sub-slices x H x W.

        With a stride, of every so many voxels from the first until the last is reached or passed.
        """
        index = []
        for axis, part in zip((0, 2, 3), (box[0], box[2], box[3]), strict=True):
            steps = -(-(part.stop - part.start - 1) // stride) + 1
            voxels = part.start + stride * torch.arange(steps, device=self.device)
            index.append(voxels.view([-1 if i == axis else 1 for i in range(4)]))
        return self._points(index, subslice_axis=1)

    def near(self, shape: Shape, margin_mm: float) -> tuple[Tensor, Tensor, Tensor] | None:
        """Indices (slice, row, column) of the voxels no further than a margin from a solid.

        Blocks of voxels are left out by the distance of their first one, which holds because a
        shape never overstates distances by more than the smooth blends of its parts.
        """
        box = self.box(shape, margin_mm)
        if box is None:
            return None
        diagonal = float(np.linalg.norm(self.grid.spacing_mm)) * BLOCK
        first = shape.distance(self.points(box, BLOCK)).amin(1) < margin_mm + diagonal
        blocks = first.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
        starts = [box[i].start for i in (0, 2, 3)]
        d, h, w = (box[i].stop - box[i].start for i in (0, 2, 3))
        near = blocks.repeat_interleave(BLOCK, 2)[:d, :h, :w].nonzero(as_tuple=True)
        return tuple(i + start for i, start in zip(near, starts, strict=True))

    def points_of(self, voxels: tuple[Tensor, Tensor, Tensor]) -> Points:
        """Coordinates of single voxels as N x sub-slices."""
        return self._points([i[:, None] for i in voxels], subslice_axis=1)

    # --- what ------------------------------------------------------------------------------------

    def distance(self, shape: Shape, box: Box) -> Tensor:
        """Signed distance of a shape on a box, from every second voxel where these are fine.

        For soft tissue only: between the voxels it is linear, so edges sharper than 1 mm blur.
        """
        if self.pixel_mm >= FINE_MM or self.water.shape[1] > 1:
            return shape.distance(self.points(box))
        coarse = shape.distance(self.points(box, 2))[:, 0]
        d, h, w = (box[i].stop - box[i].start for i in (0, 2, 3))
        full = torch.nn.functional.interpolate(
            coarse[None, None], size=[2 * n - 1 for n in coarse.shape],
            mode="trilinear", align_corners=True,
        )[0, 0]  # fmt: skip
        return full[:d, None, :h, :w]

    def coverage(self, distance: Tensor) -> Tensor:
        """Share of a pixel inside a surface at this distance, in [0, 1]."""
        return (0.5 - distance / self.pixel_mm).clamp_(0, 1)

    def paint(self, where: Box | Patch, coverage: Tensor, tissue, gain: Tensor | float = 1.0):
        """Cover voxels with a tissue's name or (water, fat), times a gain, as far as it reaches."""
        patch = where if isinstance(where, Patch) else Patch(self.water[where], self.fat[where])
        values = self.signals[tissue] if isinstance(tissue, str) else tissue
        for channel, value in zip(patch, values, strict=True):
            value = torch.as_tensor(value * gain, device=self.device, dtype=torch.float32)
            channel.lerp_(value.expand_as(channel) if value.dim() else value, coverage)

    def fill(self, shape: Shape, tissue: str) -> None:
        """Paint a solid with one tissue."""
        box = self.box(shape, self.pixel_mm)
        if box is not None:
            self.paint(box, self.coverage(self.distance(shape, box)), tissue)

    def magnitude(self) -> Tensor:
        """D x H x W signal of the slices: the mean of their sub-slices."""
        return combined(self.water.mean(1), self.fat.mean(1), self.sequence)
