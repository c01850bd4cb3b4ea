"""Radiographs from line integrals: spectrum, attenuation, scatter, detector, vendor processing.

Mass attenuation coefficients: Hubbell and Seltzer, Tables of X-Ray Mass Attenuation Coefficients,
NISTIR 5632 (NIST Standard Reference Database 126); tissues after ICRU Report 44.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# keV; the tables below hold mu / rho in cm2 / g at these energies
ENERGIES = (15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0)
# material -> (density in g / cm3, mu / rho): plaster is calcium sulphate dihydrate mixed from
# its elements, at the density of a dry cast
TABLE = {
    "bone": (1.92, (9.032, 4.001, 1.331, 0.6655, 0.4242, 0.3148, 0.2229)),
    "soft": (1.06, (1.699, 0.8230, 0.3790, 0.2688, 0.2264, 0.2048, 0.1823)),
    "fat": (0.95, (1.083, 0.5677, 0.3063, 0.2396, 0.2123, 0.1974, 0.1800)),
    "water": (1.00, (1.673, 0.8096, 0.3756, 0.2683, 0.2269, 0.2059, 0.1837)),
    "aluminium": (2.699, (7.955, 3.441, 1.128, 0.5685, 0.3681, 0.2778, 0.2018)),
    "iron": (7.874, (57.08, 25.68, 8.176, 3.629, 1.958, 1.205, 0.5952)),
    "gold": (19.32, (163.7, 78.83, 27.52, 12.98, 7.256, 4.528, 2.185)),
    "lead": (11.35, (111.6, 86.36, 30.32, 14.36, 8.041, 5.021, 2.419)),
    "plaster": (0.95, (10.93, 4.780, 1.563, 0.7620, 0.4729, 0.3425, 0.2340)),
}
# Caesium iodide, the detector: has the K edges of iodine (33.17) and caesium (35.98 keV)
IODIDE_KEV = (15.0, 20.0, 30.0, 33.16, 33.17, 35.98, 35.99, 40.0, 50.0, 60.0, 80.0)
IODIDE = (58.15, 26.86, 9.045, 6.923, 21.22, 17.19, 30.27, 22.97, 12.87, 7.921, 3.677)
IODIDE_G_CM2 = 0.18  # 0.5 mm of columns, four fifths filled, 4.51 g / cm3


class Spectrum(NamedTuple):
    """Energies in keV and the share of the detector's open-field signal that each carries."""

    kev: np.ndarray
    weight: np.ndarray


class Exposure(NamedTuple):
    """How a radiograph is taken; every scene documents the ranges it draws these from."""

    kvp: float = 55.0
    filter_mm: float = 2.5  # aluminium
    scatter: float = 0.12  # share of scatter in the open-field signal
    scatter_mm: float = 25.0  # its spread (standard deviation)
    blur_mm: float = 0.12  # focal spot and detector together (standard deviation)
    quanta_per_mm2: float = 8000.0  # detected in the open field
    electronic: float = 2.0  # noise of the electronics, in quanta per pixel (standard deviation)


class Look(NamedTuple):
    """Vendor processing from signal to grey levels."""

    flatten: float = 0.4  # share of the slow changes taken away
    flatten_mm: float = 18.0
    sharpen: float = 0.5
    sharpen_mm: float = 0.6
    low: float = 0.01  # quantile of the whole image shown black
    high: float = 0.998  # quantile of the body shown white
    gamma: float = 0.9


def attenuation(material: str, kev: np.ndarray) -> np.ndarray:
    """Linear attenuation coefficient per mm at energies of 15-80 keV; log-log interpolation."""
    density, values = TABLE[material]
    return np.exp(np.interp(np.log(kev), np.log(ENERGIES), np.log(values))) * density / 10


def spectrum(kvp: float, filter_mm: float = 2.5, bins: int = 7) -> Spectrum:
    """Bremsstrahlung after Kramers, N(E) ~ kvp / E - 1, behind aluminium, seen by the detector.

    The detector absorbs in caesium iodide and integrates energy. kvp 35-80.
    """
    edges = np.linspace(15.0, kvp, bins + 1)
    kev = (edges[1:] + edges[:-1]) / 2
    photons = (kvp / kev - 1) * np.exp(-attenuation("aluminium", kev) * filter_mm)
    iodide = np.exp(np.interp(np.log(kev), np.log(IODIDE_KEV), np.log(IODIDE)))
    signal = photons * kev * (1 - np.exp(-iodide * IODIDE_G_CM2))
    return Spectrum(kev, signal / signal.sum())


def transmission(paths_mm: dict[str, Tensor], beam: Spectrum) -> Tensor:
    """Primary signal relative to the open field: Beer-Lambert, summed over the spectrum."""
    total = 0.0
    for kev, weight in zip(beam.kev, beam.weight, strict=True):
        depth = sum(float(attenuation(name, kev)) * path for name, path in paths_mm.items())
        total = total + float(weight) * torch.exp(-depth)
    return total


def blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian of ``sigma`` pixels with reflected borders, H x W; wide ones on a reduced image."""
    if sigma < 0.05:
        return image
    step = max(1, int(sigma / 3))
    if step > 1 and min(image.shape) > 2 * step:
        return _blur_reduced(image, sigma, step)
    for _ in range(2):
        image = _blur_columns(image, sigma).T
    return image


def _blur_reduced(image: Tensor, sigma: float, step: int) -> Tensor:
    """The same on ``step`` times larger pixels, which blur by themselves: box and interpolation."""
    height, width = image.shape
    padded = F.pad(image[None, None], (0, -width % step, 0, -height % step), mode="replicate")
    small = blur(F.avg_pool2d(padded, step)[0, 0], float(np.sqrt(sigma**2 - step**2 / 4)) / step)
    large = F.interpolate(small[None, None], padded.shape[2:], mode="bilinear")
    return large[0, 0, :height, :width]


def _blur_columns(image: Tensor, sigma: float) -> Tensor:
    reach = min(int(np.ceil(3 * sigma)), image.shape[0] - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = F.pad(image[None, None], (0, 0, reach, reach), mode="reflect")[0, 0]
    result = torch.zeros_like(image)
    for offset, share in enumerate(kernel):
        result.add_(padded[offset : offset + len(image)], alpha=float(share))
    return result


def expose(
    paths_mm: dict[str, Tensor], pixel_mm: float, exposure: Exposure, rng: np.random.Generator
) -> Tensor:
    """Detector signal relative to the open field, H x W, with scatter, blur and noise."""
    primary = transmission(paths_mm, spectrum(exposure.kvp, exposure.filter_mm))
    return capture(primary, pixel_mm, exposure, rng)


def capture(
    primary: Tensor, pixel_mm: float, exposure: Exposure, rng: np.random.Generator
) -> Tensor:
    """Detector signal from the primary one, both H x W and relative to the open field.

    Scatter is a broad copy of the primary; quanta are Poisson; the electronics add Gaussian noise.
    """
    haze = blur(primary, exposure.scatter_mm / pixel_mm)
    signal = primary + exposure.scatter * (haze - primary)
    return detect(blur(signal, exposure.blur_mm / pixel_mm), pixel_mm, exposure, rng)


def detect(signal: Tensor, pixel_mm: float, exposure: Exposure, rng: np.random.Generator) -> Tensor:
    """Add quantum and electronic noise to a signal relative to the open field."""
    quanta = exposure.quanta_per_mm2 * pixel_mm**2
    counts = rng.poisson((signal.clamp(min=0) * quanta).cpu().numpy())
    noise = exposure.electronic * rng.standard_normal(counts.shape, dtype=np.float32)
    return torch.as_tensor((counts + noise) / quanta, dtype=torch.float32, device=signal.device)


def develop(signal: Tensor, pixel_mm: float, look: Look, body: Tensor | None = None) -> Tensor:
    """Vendor look: logarithm, flattening, sharpening, window, gamma; H x W in [0, 1], bone bright.

    body: bool H x W that sets the white end of the window (no markers, no metal); default all.
    """
    level = -signal.clamp(min=2e-3).log()
    level = level - look.flatten * blur(level, look.flatten_mm / pixel_mm)
    fine = max(look.sharpen_mm / pixel_mm, 0.6)
    level = level + look.sharpen * (level - blur(level, fine))
    thin = level[::3, ::3]
    shown = thin if body is None or not body[::3, ::3].any() else thin[body[::3, ::3]]
    low, high = _quantile(thin, look.low), _quantile(shown, look.high)
    return ((level - low) / max(high - low, 1e-3)).clamp(0, 1) ** look.gamma


def _quantile(values: Tensor, share: float) -> float:
    """Quantile without the size limit of ``torch.quantile``."""
    flat = values.flatten()
    return float(flat.kthvalue(max(1, min(flat.numel(), round(share * flat.numel())))).values)


def shrink(image: Tensor) -> Tensor:
    """Average 2 x 2 pixels: H x W float or bool -> half; a mask pixel needs half of its area."""
    if image.dtype != torch.bool:
        return F.avg_pool2d(image[None, None].float(), 2)[0, 0]
    height, width = (n // 2 * 2 for n in image.shape)
    share = image[:height, :width].to(torch.uint8)
    columns = share[0::2] + share[1::2]
    return columns[:, 0::2] + columns[:, 1::2] >= 2


def to_eight_bits(image: Tensor) -> np.ndarray:
    """Quantise [0, 1] to 256 levels, as a stored radiograph has them; float32 numpy."""
    return ((image * 255).round() / 255).cpu().numpy().astype(np.float32)
