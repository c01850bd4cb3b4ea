"""MR physics against closed forms."""

import numpy as np
import pytest
import torch
from scipy import special

from lib.phantoms.physics.mr import (
    FAT_PEAKS,
    TISSUES,
    Sequence,
    bias_field,
    combined,
    fat_phasor,
    spoiled_gradient_echo,
    water_and_fat,
    with_motion_ghosts,
    with_rician_noise,
)

ANKLE = Sequence(7.9, 2.8, 10.0)


# --- signal --------------------------------------------------------------------------------------


def test_gradient_echo_by_hand():
    # 90 degrees leaves no longitudinal magnetisation: 1 - exp(-TR/T1) recovers between pulses.
    assert spoiled_gradient_echo(1, 1000, 20, 10, 0, 90) == pytest.approx(1 - np.exp(-0.01))
    assert spoiled_gradient_echo(0.5, 1000, 20, 10, 20, 90) == pytest.approx(
        0.5 * (1 - np.exp(-0.01)) / np.e
    )


@pytest.mark.parametrize("t1_ms", [371.0, 1240.0, 3620.0])
def test_gradient_echo_is_the_steady_state_of_the_pulses(t1_ms):
    flip, recovery, magnetisation = np.deg2rad(10), np.exp(-7.9 / t1_ms), 1.0
    for _ in range(20_000):
        magnetisation = 1 + (magnetisation * np.cos(flip) - 1) * recovery
    expected = 0.8 * magnetisation * np.sin(flip) * np.exp(-2.8 / 22)
    assert spoiled_gradient_echo(0.8, t1_ms, 22, 7.9, 2.8, 10) == pytest.approx(expected)


def test_ernst_angle_is_the_brightest():
    ernst = np.rad2deg(np.arccos(np.exp(-7.9 / 1240)))
    near = [spoiled_gradient_echo(1, 1240, 22, 7.9, 2.8, ernst + d) for d in (-1, 0, 1)]
    assert near[1] == max(near)


def test_fat_turns_against_water():
    assert fat_phasor(0.0) == pytest.approx(1)
    main_hz = 3.4 * 42.577 * 3.0
    opposed = fat_phasor(1000 / main_hz / 2)
    assert opposed.real < -0.7
    assert abs(fat_phasor(1000 / main_hz).imag) < 0.2
    by_hand = sum(
        share * np.exp(2j * np.pi * ppm * 42.577 * 1.5 * 2.8 / 1000) for ppm, share in FAT_PEAKS
    ) / sum(share for _, share in FAT_PEAKS)
    assert fat_phasor(2.8, 1.5) == pytest.approx(by_hand)


def test_water_and_fat_add_as_vectors():
    water, fat = torch.tensor([[0.3, 0.3]]), torch.tensor([[0.2, 0.2]])
    expected = abs(0.3 + 0.2 * fat_phasor(2.8))
    assert combined(water, fat, ANKLE)[0, 0] == pytest.approx(expected)


def test_chemical_shift_displaces_fat_only():
    water, fat = torch.zeros(8), torch.zeros(8)
    fat[3] = 1.0
    shifted = Sequence(7.9, 0.0, 10.0, water_fat_shift_px=0.25)
    assert torch.allclose(combined(water, fat, shifted)[2:6], torch.tensor([0, 0.75, 0.25, 0]))
    assert torch.equal(combined(fat, water, shifted), fat)


def test_tissues_have_the_contrast_of_a_t1_gradient_echo():
    magnitude = {
        name: float(combined(*(torch.tensor(v) for v in water_and_fat(tissue, ANKLE)), ANKLE))
        for name, tissue in TISSUES.items()
    }
    order = ["fat", "yellow marrow", "red marrow", "muscle", "tendon", "cortical bone"]
    assert sorted(order, key=magnitude.get, reverse=True) == order
    assert magnitude["yellow marrow"] > magnitude["cartilage"] > magnitude["muscle"]
    assert magnitude["growth plate"] > magnitude["cartilage"]
    assert magnitude["cortical bone"] < 0.02 * magnitude["fat"]
    assert magnitude["muscle"] > 2 * magnitude["tendon"]


# --- noise, coil, motion -------------------------------------------------------------------------


@pytest.mark.parametrize("signal", [0.0, 1.0, 3.0])
def test_noise_is_rician(signal):
    sigma, shape = 0.7, (50, 100, 100)
    noisy = with_rician_noise(torch.full(shape, signal), sigma, np.random.default_rng(1)).numpy()
    x = -(signal**2) / (2 * sigma**2)
    laguerre = np.exp(x / 2) * ((1 - x) * special.i0(-x / 2) - x * special.i1(-x / 2))
    assert noisy.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2) * laguerre, rel=3e-3)
    assert (noisy**2).mean() == pytest.approx(signal**2 + 2 * sigma**2, rel=5e-3)


def test_bias_has_its_strength():
    log = torch.log(bias_field((20, 30, 40), np.random.default_rng(2), 0.2))
    assert float(log.std(correction=0)) == pytest.approx(0.2, rel=1e-4)
    assert abs(float(log.mean())) < 1e-5


def test_motion_keeps_the_energy_and_makes_ghosts():
    image = torch.zeros(1, 64, 64)
    image[:, 24:40, 24:40] = 1.0
    still = with_motion_ghosts(image, 0.0, 8, np.random.default_rng(3))
    moved_image = with_motion_ghosts(image, 2.0, 8, np.random.default_rng(3))
    assert torch.allclose(still, image, atol=1e-5)
    assert float((moved_image**2).sum()) == pytest.approx(float((image**2).sum()), rel=1e-4)
    assert float(moved_image[:, :16, 24:40].mean()) > 0.01  # above the object
    assert float(moved_image[:, :, :20].abs().max()) < 1e-5  # never along the rows
