"""Random textures: trabeculae in bone coordinates, and slow density changes of soft tissue."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

TILE_PIXELS = 400
TILE_PIXEL_MM = 0.15
# Trabecular pattern: power falls as frequency^-1.6 between 0.3 and 2.2 cycles per mm, as in
# radiographs of trabecular bone, and a net of thin bright struts 0.4-0.8 mm apart; both are
# stretched along the bone.
EXPONENT, LOWEST, HIGHEST, STRETCH = 1.6, 0.3, 2.2, 2.2
STRUTS_PER_MM, STRUT_SHARE = 1.2, 0.6


def trabecular_tile(
    rng: np.random.Generator,
    pixel_mm: float,
    stretch: float = STRETCH,
    exponent: float = EXPONENT,
    device: str = "cpu",
) -> Tensor:
    """Periodic texture of mean 0 and, at full resolution, standard deviation 1.

    TILE_PIXELS square of TILE_PIXEL_MM; rows run along the bone. What ``pixel_mm`` cannot show is
    filtered out instead of aliased, so coarse images have less texture, as in life.
    """
    along = np.fft.fftfreq(TILE_PIXELS, TILE_PIXEL_MM)[:, None].astype(np.float32)
    across = np.fft.rfftfreq(TILE_PIXELS, TILE_PIXEL_MM)[None].astype(np.float32)
    frequency = np.hypot(along * stretch, across) + np.float32(1e-6)
    cloudy = frequency ** (-exponent / 2) * (1 - np.exp(-((frequency / LOWEST) ** 2)))
    clouds = _coloured(rng, cloudy * np.exp(-((frequency / HIGHEST) ** 2)))
    net = _coloured(rng, np.exp(-(((frequency - STRUTS_PER_MM) / 0.35) ** 2)))
    struts = np.exp(-((net / 0.45) ** 2))  # bright where a smooth field crosses zero
    struts = (struts - struts.mean()) / struts.std()
    shown = np.exp(-((np.hypot(along, across) * pixel_mm / 0.45) ** 4))
    tile = np.sqrt(1 - STRUT_SHARE) * clouds + np.sqrt(STRUT_SHARE) * struts
    tile = np.fft.irfft2(np.fft.rfft2(tile) * shown, s=tile.shape)
    return torch.as_tensor(tile.astype(np.float32), device=device)


def _coloured(rng: np.random.Generator, amplitude: np.ndarray) -> np.ndarray:
    """Gaussian field of standard deviation 1 with the given spectrum (half plane)."""
    noise = np.fft.rfft2(rng.standard_normal((TILE_PIXELS, TILE_PIXELS), dtype=np.float32))
    field = np.fft.irfft2(noise * amplitude, s=(TILE_PIXELS, TILE_PIXELS))
    return field / field.std()


def sample_tile(tile: Tensor, along_mm: Tensor, across_mm: Tensor) -> Tensor:
    """Bilinear look-up of a periodic tile at bone coordinates in mm, any shape H x W."""
    padded = F.pad(tile[None, None], (0, 1, 0, 1), mode="circular")
    size = TILE_PIXELS * TILE_PIXEL_MM
    place = [torch.remainder(w, size) * (2 / size) - 1 for w in (across_mm, along_mm)]
    return F.grid_sample(padded, torch.stack(place, -1)[None], align_corners=True)[0, 0]


def smooth_field(
    rng: np.random.Generator, height: int, width: int, cells: int, device: str = "cpu"
) -> Tensor:
    """Slow random field (height x width, SD about 0.7) with ``cells`` bumps along the height."""
    columns = max(2, round(cells * width / height))
    coarse = torch.as_tensor(rng.standard_normal((cells, columns), dtype=np.float32), device=device)
    return F.interpolate(coarse[None, None], (height, width), mode="bicubic")[0, 0]
