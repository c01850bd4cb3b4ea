"""From named bones and soft tissue to millimetres of each material along every ray."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lib.phantoms.physics.texture import sample_tile
from lib.phantoms.shapes.geometry import Frame, chord
from lib.phantoms.shapes.plate import closed_spline, signed_distance

CORTEX_GRAIN = 0.05  # relative density changes of compact bone
MARROW_FAT = 0.6  # share of fat in the marrow of an adult's limbs
COLLAGEN = 0.06  # a tendon's attenuation above muscle's
MOST = 0.85  # share of the soft tissue on a ray that fat may replace
PROXIMITY_MM = 6.0  # a piece of soft tissue lends its thickness to about this distance


class Bone(NamedTuple):
    """A named solid. ``structure`` is the mask it belongs to ("" for none).

    density: share of the interior filled with bone where the solid's relative density is 1.
    grain: relative standard deviation of that density (trabecular texture at full resolution).
    """

    name: str
    solid: object
    structure: str = ""
    density: float = 0.25
    grain: float = 0.45
    PARTS = ("solid",)


class Projection(NamedTuple):
    """Line integrals in mm, H x W: compact bone, all that bones occupy; masks by structure."""

    mineral: Tensor
    occupied: Tensor
    masks: dict[str, Tensor]


def project_bones(
    frame: Frame,
    bones: Sequence[Bone],
    tile: Tensor,
    rng: np.random.Generator,
    structures: Sequence[str] = (),
) -> Projection:
    """Sum the bones' chords. Masks hold every named structure, empty where it is out of view."""
    names = [*structures, *(bone.structure for bone in bones if bone.structure)]
    blank = torch.zeros(frame.height, frame.width, device=frame.device)
    mineral, occupied = blank.clone(), blank.clone()
    masks = {name: torch.zeros_like(blank, dtype=torch.bool) for name in names}
    for bone in bones:
        place = rng.uniform(0, 70, 4)  # each bone its own part of the tile, in view or not
        window = frame.window(bone.solid.bounds())
        if window is None:
            continue
        section = bone.solid.section(window.x, window.y)
        outer = chord(section.outer)
        at = (window.rows, window.columns)
        mineral[at] += _mineral(bone, section, outer, tile, [float(p) for p in place])
        occupied[at] += outer
        if bone.structure:
            masks[bone.structure][at] |= outer > 0
    return Projection(mineral, occupied, masks)


def _mineral(bone: Bone, section, outer: Tensor, tile: Tensor, place: list[float]) -> Tensor:
    """Compact-bone equivalent of the cortex and of the trabeculae between, mm."""
    core = torch.minimum(chord(section.core), outer)
    u, v = section.along, section.across
    struts = 1 + bone.grain * sample_tile(tile, u + place[0], v + place[1])
    pores = 1 + CORTEX_GRAIN * sample_tile(tile, 0.6 * u + place[2], 2 * v + place[3])
    filled = (bone.density * section.trabecular * struts).clip(0, 1)
    return (outer - core) * pores + core * filled


class Limb(NamedTuple):
    """Soft tissue around an axis: 2-D or 3-D ends, half-widths in the image, half-depths (mm)."""

    start: Sequence[float]
    end: Sequence[float]
    radius: tuple[float, float]
    depth: tuple[float, float]
    POINTS = ("start", "end")


class Sheet(NamedTuple):
    """Soft tissue inside an outline: N x 2 points in mm, half-thickness, width of its rim."""

    outline: np.ndarray
    half_thickness: float
    rim: float
    POINTS = ("outline",)


def soft_tissue(
    frame: Frame,
    pieces: Sequence[Limb | Sheet],
    blend_mm: float = 5.0,
    fat_mm: float = 2.0,
    step_mm: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Thickness in mm of all soft tissue and of its layer of fat under the skin, H x W each.

    The skin is the smooth union of the pieces' outlines; creases fill over ``blend_mm``.
    """
    coarse = max(frame.pixel_mm, step_mm)
    size = [int(np.ceil(n * frame.pixel_mm / coarse)) + 2 for n in (frame.height, frame.width)]
    grid = Frame(*size, coarse, frame.x_mm, frame.y_mm, frame.device).whole()
    x, y = torch.broadcast_tensors(grid.x, grid.y)
    skin, weights, depths, rims = torch.full_like(x, -1e3), 1e-9, 0.0, 0.0
    for piece in pieces:
        distance, depth, rim = (
            _limb(piece, x, y) if isinstance(piece, Limb) else _sheet(piece, x, y)
        )
        near = (blend_mm - (skin - distance).abs()).clamp(min=0)
        skin = torch.maximum(skin, distance) + near * near / (4 * max(blend_mm, 1e-3))
        weight = torch.exp(distance.clamp(-30, 20) / PROXIMITY_MM)
        weights, depths, rims = weights + weight, depths + weight * depth, rims + weight * rim
    skin, depth, rim = _resample(frame, coarse, [skin, depths / weights, rims / weights])
    total, lean = (_pillow(skin - inset, depth - inset, rim - inset) for inset in (0.0, fat_mm))
    return total, (total - lean).clamp(min=0)


def _limb(limb: Limb, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    (x0, y0), (x1, y1) = ([float(v) for v in end[:2]] for end in (limb.start, limb.end))
    dx, dy = x1 - x0, y1 - y0
    share = (((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy)).clamp(0, 1)
    gap = torch.hypot(x - x0 - share * dx, y - y0 - share * dy)
    radius, depth = (float(a) + share * float(b - a) for a, b in (limb.radius, limb.depth))
    return radius - gap, depth, radius


def _sheet(sheet: Sheet, x: Tensor, y: Tensor) -> tuple[Tensor, float, float]:
    distance = signed_distance(torch.stack([x, y], -1), closed_spline(sheet.outline[:, :2], 8))
    return distance, float(sheet.half_thickness), float(sheet.rim)


def _resample(frame: Frame, coarse: float, fields: list[Tensor]) -> Tensor:
    """Coarse fields at the frame's pixels: 1 mm suffices for skin, its edge stays sharp."""
    height, width = fields[0].shape
    rows = torch.arange(frame.height, device=frame.device) - (frame.height - 1) / 2
    columns = torch.arange(frame.width, device=frame.device) - (frame.width - 1) / 2
    ratio = frame.pixel_mm / coarse
    v, u = rows * (2 * ratio / (height - 1)), columns * (2 * ratio / (width - 1))
    place = torch.stack(torch.broadcast_tensors(u[None], v[:, None]), -1)[None]
    return F.grid_sample(torch.stack(fields)[None], place.float(), align_corners=True)[0]


def _pillow(depth: Tensor, half: Tensor, rim: Tensor) -> Tensor:
    inside = (depth / rim.clamp(min=0.5)).clamp(0, 1)
    return 2 * half.clamp(min=0) * (1 - (1 - inside) ** 2).sqrt()


def materials(projection: Projection, soft_mm: Tensor, fat_mm: Tensor) -> dict[str, Tensor]:
    """Millimetres of bone, fat and soft tissue; marrow is shared between the last two.

    Bones displace soft tissue; where they reach beyond it, the skin is taken to follow them.
    """
    marrow = (projection.occupied - projection.mineral).clamp(min=0)
    fat = torch.minimum(fat_mm, soft_mm)
    muscle = (soft_mm - fat - projection.occupied).clamp(min=0)
    return {
        "bone": projection.mineral,
        "fat": fat + MARROW_FAT * marrow,
        "soft": muscle + (1 - MARROW_FAT) * marrow,
    }


def thickness(frame: Frame, solids: Sequence) -> Tensor:
    """Millimetres inside the solids along every ray, H x W; overlaps take the thickest."""
    total = torch.zeros(frame.height, frame.width, device=frame.device)
    for solid in solids:
        window = frame.window(solid.bounds())
        if window is not None:
            at = (window.rows, window.columns)
            total[at] = torch.maximum(total[at], chord(solid.section(window.x, window.y).outer))
    return total


def exchange_fat(paths: dict, pads_mm: Tensor, tendons_mm: Tensor) -> dict:
    """Fat pads take the place of muscle, tendons that of the pads; a tendon is denser than both."""
    fat = torch.minimum((pads_mm - tendons_mm).clamp(min=0), MOST * paths["soft"])
    soft = paths["soft"] - fat + COLLAGEN * torch.minimum(tendons_mm, paths["soft"])
    return paths | {"soft": soft, "fat": paths["fat"] + fat}
