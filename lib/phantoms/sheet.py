"""Contact sheets: many cases of a scene in one picture, for the eye."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lib.phantoms import load_scene
from lib.phantoms.phantom import Phantom

# One colour per structure, in order (red, green, blue), safe for the colour-blind (Okabe and Ito)
COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66),
    (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip


def picture(phantom: Phantom, height: int, outlines: bool = False) -> np.ndarray:
    """One case as height x W x 3 uint8: the radiograph, or a volume's slice with most bone.

    Width in proportion to the millimetres shown; outlines in the structures' colours on request.
    """
    image, masks = phantom.image, phantom.masks
    if image.ndim == 3:
        best = int(sum(mask.sum((1, 2)) for mask in masks.values()).argmax())
        image, masks = image[best], {name: mask[best] for name, mask in masks.items()}
        image = np.clip(image / max(float(np.quantile(image, 0.995)), 1e-6), 0, 1)
    row_mm, column_mm = phantom.spacing_mm[-2:]
    width = max(1, round(image.shape[1] * column_mm / (image.shape[0] * row_mm) * height))
    shrinks = height < image.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    grey = cv2.resize(np.float32(image), (width, height), interpolation=method)
    colour = np.repeat((np.clip(grey, 0, 1) * 255).astype(np.uint8)[..., None], 3, 2)
    for mask, shade in zip(masks.values() if outlines else (), COLOURS * 3, strict=False):
        small = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        edges, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        colour = cv2.drawContours(np.ascontiguousarray(colour), edges, -1, shade, 1)
    return colour


def contact_sheet(pictures: Sequence[np.ndarray], columns: int = 6, gap: int = 4) -> np.ndarray:
    """Pictures of one height in rows, centred in cells of the widest one; R x C x 3 uint8."""
    height = pictures[0].shape[0]
    width = max(p.shape[1] for p in pictures)
    rows = -(-len(pictures) // columns)
    columns = min(columns, len(pictures))
    sheet = np.zeros((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), np.uint8)
    for place, image in enumerate(pictures):
        row, column = divmod(place, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        left += (width - image.shape[1]) // 2
        sheet[top : top + height, left : left + image.shape[1]] = image
    return sheet


def draw_scene(
    scene: str, n: int, seed: int, size: int, path: Path, device="cpu", outlines=False
) -> Path:
    """Write a contact sheet of the first n cases of a scene as PNG.

    Raises:
        SettingError: if there is no such scene.
        OSError: if the file cannot be written.
    """
    generate = load_scene(scene).generate
    cases = (generate(seed, index, size, device) for index in range(n))
    sheet = contact_sheet([picture(case, size, outlines) for case in cases])
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), sheet[..., ::-1]):
        raise OSError(f"{path}: could not be written; expected a name that ends in .png.")
    return path
