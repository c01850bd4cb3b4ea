"""Bones that have partly ossified, and the soft tissue around them, painted on a canvas."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from lib.phantoms.shapes.canvas import Canvas, Patch
from lib.phantoms.shapes.geometry import Pose, transformed
from lib.phantoms.shapes.solids import Points, Shape, common, grown, local

Field = Callable[[Points], Tensor | float]


class Plate(NamedTuple):
    """Growth plate about the surface where ``height`` (mm, in the bone's frame) is 0."""

    height: Field
    thickness_mm: float


class Bone(NamedTuple):
    """A bone in its own frame; the fields take points of that frame.

    outline: surface of bone and cartilage together.
    mantle: cartilage over the ossified part, world mm; 0 where periosteum covers the bone.
    cortex: dark shell of the ossified part, world mm.
    red: share of red marrow, [0, 1].
    """

    name: str
    outline: Shape
    mantle: Field
    cortex: Field
    red: Field
    plates: tuple[Plate, ...] = ()


class Textures(NamedTuple):
    """Random fields of unit variance, D x 1 x H x W: trabeculae, streaks, lobules, wide patches."""

    fine: Tensor
    streaks: Tensor
    lobes: Tensor
    wide: Tensor


def ramp(value: Tensor, low: float, high: float, width: float) -> Tensor:
    """From ``low`` to ``high`` as ``value`` passes 0, over about four times ``width``."""
    return low + (high - low) * torch.sigmoid(value / width)


def paint_bone(canvas: Canvas, bone: Bone, pose: Pose, textures: Textures) -> dict[str, Tensor]:
    """Paint a bone: cartilage, then cortex, marrow and growth plates inside it.

    Returns:
        D x H x W masks: "bone" is what has ossified with the plates inside it (the contour that a
        reader draws along the cortex), "cartilage" is the rest of the outline.
    """
    masks = {
        part: torch.zeros(canvas.grid.shape, dtype=torch.bool, device=canvas.device)
        for part in ("bone", "cartilage")
    }
    voxels = canvas.near(transformed(bone.outline, pose), canvas.pixel_mm + 0.5)
    if voxels is None:
        return masks
    d, h, w = voxels
    patch = Patch(canvas.water[d, :, h, w], canvas.fat[d, :, h, w])
    fine, wide = textures.fine[d, :, h, w], textures.wide[d, :, h, w]
    p = local(pose, canvas.points_of(voxels))
    outer = bone.outline.distance(p) * pose.scale
    ossified = outer + bone.mantle(p)
    canvas.paint(patch, 0.8 * canvas.coverage(outer - 0.35), "fascia")  # perichondrium
    canvas.paint(patch, canvas.coverage(outer), "cartilage", 1 + 0.04 * fine)
    canvas.paint(patch, canvas.coverage(ossified), "cortical bone")
    # Islands of red marrow and trabeculae vary the brightness of the marrow.
    red = (torch.as_tensor(bone.red(p), device=canvas.device) + 0.06 * wide).clamp(0, 1)
    yellow, other = canvas.signals["yellow marrow"], canvas.signals["red marrow"]
    mixed = [y + (r - y) * red for y, r in zip(yellow, other, strict=True)]
    canvas.paint(patch, canvas.coverage(ossified + bone.cortex(p)), mixed, 1 + 0.07 * fine)
    for plate in bone.plates:
        _plate(canvas, patch, plate.height(p) * pose.scale, plate.thickness_mm, ossified)
    canvas.water[d, :, h, w], canvas.fat[d, :, h, w] = patch
    masks["bone"][voxels] = ossified.mean(1) < 0
    masks["cartilage"][voxels] = (outer.mean(1) < 0) & (ossified.mean(1) >= 0)
    return masks


def _plate(canvas: Canvas, patch, height: Tensor, thickness_mm: float, ossified: Tensor) -> None:
    """A bright layer of cartilage between two dark ones of calcified cartilage and bone."""
    across = height.abs() - thickness_mm / 2
    dark = canvas.coverage(torch.maximum(across - 0.7, ossified))
    canvas.paint(patch, dark, "calcified cartilage")
    canvas.paint(patch, canvas.coverage(torch.maximum(across, ossified)), "growth plate")


def paint_skin_and_fat(canvas: Canvas, envelope: Shape, textures: Textures) -> None:
    """The body's surface: 1.2 mm of skin, then fat in lobules with thin septa."""
    box = canvas.box(envelope, 2)
    depth = canvas.distance(envelope, box)
    canvas.paint(box, canvas.coverage(depth), "skin")
    canvas.paint(box, canvas.coverage(depth + 1.2), "fat", 1 + 0.05 * textures.wide[box])
    septa = torch.maximum(_septa(textures, box), depth + 1.8)
    canvas.paint(box, 0.3 * canvas.coverage(septa), "fascia")


def _septa(textures: Textures, box) -> Tensor:
    """Distance to thin sheets between lobules of fat, here and there."""
    absent = (0.5 - textures.wide[box]).clamp(min=0)
    return (textures.lobes[box].abs() - 0.08) * 4 + absent


def paint_loose(canvas: Canvas, compartment: Shape, textures: Textures, share: float) -> None:
    """Inside the deep fascia: fat mixed with ``share`` of connective tissue."""
    box = canvas.box(compartment, 2)
    if box is None:
        return
    depth = canvas.distance(compartment, box)
    inside = canvas.coverage(depth)
    mixed = (share + 0.07 * textures.wide[box]).clamp(0, 0.8)
    canvas.paint(box, inside * mixed, "ligament")
    canvas.paint(box, 0.4 * inside * canvas.coverage(_septa(textures, box)), "fascia")
    canvas.paint(box, 0.7 * canvas.coverage(depth.abs() - 0.3), "fascia")


def paint_muscle(
    canvas: Canvas, shape: Shape, within: Shape, textures: Textures, fatty: float
) -> None:
    """A muscle in its fascia, kept inside the deep compartment.

    ``fatty`` moves streaks of fat into it: 0 for a lean muscle, 1 for a wasted one.
    """
    box = canvas.box(shape, 1.5)
    if box is None:
        return
    distance = canvas.distance(common(shape, grown(within, -0.8)), box)
    streaks = textures.streaks[box]
    canvas.paint(box, 0.8 * canvas.coverage(distance - 0.5), "fascia")
    canvas.paint(box, canvas.coverage(distance), "muscle", 1 + 0.07 * streaks)
    fat = (streaks - 2.6 + 2.0 * fatty).clamp(0, 1)
    canvas.paint(box, 0.55 * fat * canvas.coverage(distance + 1), "fat")


def paint_all(canvas: Canvas, shapes: Iterable[Shape], tissue: str) -> None:
    """Tendons, vessels and the like."""
    for shape in shapes:
        canvas.fill(shape, tissue)
