"""Things inside soft tissue: fat between muscles, tendons, ligaments."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lib.phantoms.shapes.geometry import Frame, chord

COLLAGEN = 0.06  # a tendon's attenuation above muscle's
MOST = 0.85  # share of the soft tissue on a ray that fat may replace


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
