"""What the MR scenes share: the grid of an examination, its textures, and the finished image."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from lib.phantoms.physics.mr import bias_field, with_motion_ghosts, with_rician_noise
from lib.phantoms.shapes.canvas import Canvas, Grid, centred_grid, noise
from lib.phantoms.shapes.geometry import Pose
from lib.phantoms.shapes.tissue import Bone, Textures, paint_bone

PAPER_SIZE = 256  # pixels to which the study reduces every slice


def subject_name(joint: str, index: int, examinations: int, pathological: int) -> str:
    """The paper's names, as A_P,1 and on for patients, then A_H,1 and on for healthy subjects.

    After the paper's ``examinations`` come further ones in the same mix, and names count on.
    """
    turn, number = divmod(index, examinations)
    if number < pathological:
        return f"{joint}_P,{turn * pathological + number + 1}"
    healthy = examinations - pathological
    return f"{joint}_H,{turn * healthy + number - pathological + 1}"


def examination_grid(extent_mm, slice_mm: float, size, orientation: str, centre) -> Grid:
    """Grid over a fixed field of view.

    Args:
        extent_mm: slices x rows x columns, mm.
        slice_mm: slice thickness at the study's 256 x 256.
        size: None for 256, pixels per row and column (slices in proportion), or all three counts.
    """
    if isinstance(size, tuple):
        shape = size
    else:
        pixels = size or PAPER_SIZE
        slices = max(4, round(extent_mm[0] / slice_mm * pixels / PAPER_SIZE))
        shape = (slices, pixels, pixels)
    spacing = [extent / n for extent, n in zip(extent_mm, shape, strict=True)]
    return centred_grid(shape, spacing, orientation, centre)


def smooth_warp(grid: Grid, cell_mm: float, amplitude_mm: float, rng) -> list[torch.Tensor]:
    """Displacement along x, y and z that bends all of an anatomy a little."""
    return [noise(grid, cell_mm, rng, smooth=True) * amplitude_mm for _ in range(3)]


def draw_textures(grid: Grid, along_fibres_mm, rng: np.random.Generator, device: str) -> Textures:
    """Random fields; ``along_fibres_mm`` are the cells of muscle streaks, per voxel axis."""
    fields = (
        noise(grid, 0.9, rng),
        noise(grid, along_fibres_mm, rng),
        noise(grid, 7, rng, smooth=True),
        noise(grid, 9, rng, smooth=True),
    )
    return Textures(*(field.to(device)[:, None] for field in fields))


def examined(
    canvas: Canvas,
    bones: Iterable[tuple[Bone, Pose]],
    structures: Sequence[str],
    textures: Textures,
    subject: dict,
    rng: np.random.Generator,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Paint the bones over the soft tissue and take the image.

    Masks: the bone of each structure, then each structure's "<structure>_cartilage".
    """
    parts = {bone.name: paint_bone(canvas, bone, place, textures) for bone, place in bones}
    masks = {name: parts[name]["bone"] for name in structures}
    masks |= {f"{name}_cartilage": parts[name]["cartilage"] for name in structures}
    masks = {name: mask.cpu().numpy() for name, mask in masks.items()}
    return _finished(canvas, rng, subject), masks


def _finished(canvas: Canvas, rng: np.random.Generator, subject: dict) -> np.ndarray:
    """Coil shading, ghosts if the patient moved, Rician noise; fat is about 1000."""
    fat = float(np.hypot(*canvas.signals["fat"]))
    shading = bias_field(canvas.grid.shape, rng, subject["bias"]).to(canvas.device)
    signal = canvas.magnitude() * (1000 / fat) * shading
    if motion_px := subject.get("motion_px"):
        signal = with_motion_ghosts(signal, motion_px, float(rng.uniform(6, 11)), rng)
    return with_rician_noise(signal, 1000 * subject["noise"], rng).cpu().numpy()
