"""Spoiled gradient-echo MR: tissues, signal, and what coil, noise and motion do to a volume.

A voxel holds a water and a fat magnitude. At the echo the fat has turned against the water by its
chemical shift, so the two add as vectors; the coil shades the sum, a moving patient ghosts it, and
complex Gaussian noise makes the magnitude Rician. Relaxation times in ms at 3 T.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

PROTON_MHZ_PER_TESLA = 42.577
# Six peaks of human fat: shift from water in ppm and share (Hamilton et al., NMR Biomed 2011).
FAT_PEAKS = ((-3.80, 0.087), (-3.40, 0.693), (-2.60, 0.128), (-1.94, 0.004), (-0.39, 0.039),
             (0.60, 0.048))  # fmt: skip


class Tissue(NamedTuple):
    """What a tissue is to the sequence. ``fat`` is the share of its protons that are in fat."""

    density: float  # protons relative to water, [0, 1]
    t1_ms: float  # of the water
    t2star_ms: float
    fat: float = 0.0


FAT_T1_MS = 371.0
# T1 of cartilage, fluid, muscle and fat: Gold et al., AJR 2004;183:343, measured at 3 T (confirmed
# by Jordan et al., Eur J Radiol 2013;82:734). T2* are those T2 shortened by the field
# inhomogeneity of 3 T, in marrow by trabeculae; cortical bone and tendon after ultrashort-echo
# studies. Density, fat share and the tissues without a measurement are assumptions.
TISSUES = {
    "air": Tissue(0.0, 1000, 10),
    "skin": Tissue(0.70, 1000, 9),
    "fat": Tissue(0.95, 1000, 32, fat=0.93),
    "fascia": Tissue(0.60, 900, 4),
    "muscle": Tissue(0.80, 1420, 24, fat=0.02),
    "yellow marrow": Tissue(0.92, 1100, 17, fat=0.88),
    "red marrow": Tissue(0.88, 1150, 12, fat=0.45),
    "cortical bone": Tissue(0.20, 250, 0.5),
    "calcified cartilage": Tissue(0.55, 900, 1.6),
    "cartilage": Tissue(0.82, 1240, 22),
    "growth plate": Tissue(0.92, 1000, 28),
    "tendon": Tissue(0.60, 700, 1.5),
    "ligament": Tissue(0.62, 800, 3.0),
    "fluid": Tissue(1.0, 3620, 90),
    "vein": Tissue(0.85, 1500, 12),
    "artery": Tissue(0.85, 450, 25),  # inflow of fresh spins shortens the apparent T1
    "nerve": Tissue(0.70, 1100, 12, fat=0.25),
    "lung": Tissue(0.20, 1300, 1.2),
}


class Sequence(NamedTuple):
    """Spoiled gradient echo. ``water_fat_shift_px``: displacement of fat along the rows."""

    tr_ms: float
    te_ms: float
    flip_deg: float
    field_tesla: float = 3.0
    water_fat_shift_px: float = 0.0


def spoiled_gradient_echo(
    density: float, t1_ms: float, t2star_ms: float, tr_ms: float, te_ms: float, flip_deg: float
) -> float:
    """Steady-state signal of an ideally spoiled gradient echo, in units of the density (Ernst)."""
    e1, flip = np.exp(-tr_ms / t1_ms), np.deg2rad(flip_deg)
    steady = np.sin(flip) * (1 - e1) / (1 - np.cos(flip) * e1)
    return float(density * steady * np.exp(-te_ms / t2star_ms))


def fat_phasor(te_ms: float, field_tesla: float = 3.0) -> complex:
    """Sum of the fat peaks at the echo relative to water; 1 at echo time 0, smaller after it."""
    ppm, share = np.array(FAT_PEAKS).T
    cycles = ppm * PROTON_MHZ_PER_TESLA * field_tesla * te_ms / 1000
    return complex((share / share.sum()) @ np.exp(2j * np.pi * cycles))


def water_and_fat(tissue: Tissue, sequence: Sequence) -> tuple[float, float]:
    """Signal of a tissue's water and of its fat, each before the two interfere."""
    timing = sequence.tr_ms, sequence.te_ms, sequence.flip_deg
    density, t2star = tissue.density, tissue.t2star_ms
    water = spoiled_gradient_echo(density * (1 - tissue.fat), tissue.t1_ms, t2star, *timing)
    return water, spoiled_gradient_echo(density * tissue.fat, FAT_T1_MS, t2star, *timing)


def combined(water: Tensor, fat: Tensor, sequence: Sequence) -> Tensor:
    """Magnitude |water + fat phasor|, the fat displaced along the rows by its chemical shift."""
    shift = sequence.water_fat_shift_px
    if shift:
        fat = torch.lerp(fat, torch.roll(fat, 1 if shift > 0 else -1, dims=-1), abs(shift))
    phasor = fat_phasor(sequence.te_ms, sequence.field_tesla)
    return torch.hypot(water + fat * phasor.real, fat * phasor.imag)


def bias_field(shape: tuple[int, int, int], rng: np.random.Generator, strength: float) -> Tensor:
    """Shading of the receive coil: the exponential of a random quadratic, mean of its log 0.

    ``strength`` is the standard deviation of the log over the volume.
    """
    parts = []
    for voxels, slope, bend in zip(
        shape, rng.normal(size=3), rng.normal(-0.5, 0.7, 3), strict=True
    ):
        along = np.linspace(-1, 1, voxels)
        part = slope * along + bend * along**2
        parts.append(part - part.mean())
    # The axes are independent, so their variances add.
    gain = strength / np.sqrt(sum(part.var() for part in parts))
    d, h, w = (torch.from_numpy(part * gain).float() for part in parts)
    return torch.exp(d[:, None, None] + h[:, None] + w)


def with_rician_noise(signal: Tensor, sigma: float, rng: np.random.Generator) -> Tensor:
    """Magnitude of the signal with Gaussian noise of ``sigma`` in its real and imaginary part."""
    size = tuple(signal.shape)
    real, imaginary = (
        torch.from_numpy(rng.standard_normal(size, dtype=np.float32)).to(signal.device)
        for _ in range(2)
    )
    return torch.hypot(real.mul_(sigma).add_(signal), imaginary.mul_(sigma))


def with_motion_ghosts(
    signal: Tensor, shift_px: float, period_lines: float, rng: np.random.Generator
) -> Tensor:
    """Magnitude image of a patient who moves along the rows while the lines are acquired.

    Every phase-encoding line (the rows' frequency) sees the object displaced by a breathing-like
    oscillation and by a few lasting jerks; the line's phase turns accordingly. Without movement
    (``shift_px`` 0) the image comes back unchanged.

    Args:
        signal: D x H x W magnitude.
        shift_px: amplitude of the oscillation in pixels; the jerks have half of it.
        period_lines: lines per oscillation.
    """
    lines = signal.shape[-2]
    order = np.arange(lines)
    position = shift_px * np.sin(2 * np.pi * (order / period_lines + rng.random()))
    for at in rng.uniform(0.1, 0.9, 3) * lines:
        position = position + (order > at) * rng.normal(0, shift_px / 2)
    # Acquisition runs from the lowest to the highest frequency; the FFT stores 0 first.
    frequency = np.fft.fftfreq(lines)
    position = position[np.argsort(np.argsort(frequency))]
    turn = torch.from_numpy(np.exp(-2j * np.pi * frequency * position).astype(np.complex64))
    spectrum = torch.fft.fft(signal, dim=-2) * turn.to(signal.device).view(-1, 1)
    return torch.fft.ifft(spectrum, dim=-2).abs()
