"""Attenuation, exposure, noise and processing against tables and closed forms."""

import numpy as np
import pytest
import torch

from lib.phantoms.physics.artefacts import cable, clothing, collimator, ring, side_marker
from lib.phantoms.physics.texture import TILE_PIXEL_MM, sample_tile, smooth_field, trabecular_tile
from lib.phantoms.physics.xray import (
    TABLE,
    Exposure,
    Look,
    Spectrum,
    attenuation,
    blur,
    capture,
    detect,
    develop,
    expose,
    shrink,
    spectrum,
    to_eight_bits,
    transmission,
)
from lib.phantoms.shapes.geometry import Ellipsoid, Frame, chord

FORTY_KEV = Spectrum(np.array([40.0]), np.array([1.0]))


# --- attenuation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("material", "kev", "cm2_per_g"),
    [("bone", 30, 1.331), ("soft", 40, 0.2688), ("fat", 50, 0.2123), ("water", 20, 0.8096)],
)
def test_attenuation_is_the_tabulated_one(material, kev, cm2_per_g):
    per_mm = attenuation(material, np.array([float(kev)]))[0]
    assert per_mm == pytest.approx(cm2_per_g * TABLE[material][0] / 10)


def test_water_between_the_tabulated_energies():
    # XCOM gives 0.5503 cm2/g at 24 keV to within half a percent of the log-log line
    expected = np.exp(np.interp(np.log(24), np.log([20, 30]), np.log([0.8096, 0.3756]))) / 10
    assert attenuation("water", np.array([24.0]))[0] == pytest.approx(expected)


def test_every_material_thins_with_energy():
    for material in TABLE:
        assert (np.diff(attenuation(material, np.linspace(15, 80, 60))) < 0).all()


def test_slab_obeys_beer_lambert():
    slab = torch.full((2, 3), 25.0)
    expected = np.exp(-0.2688 * 1.06 / 10 * 25)
    assert transmission({"soft": slab}, FORTY_KEV).numpy() == pytest.approx(expected, rel=1e-5)


def test_sphere_obeys_beer_lambert():
    frame = Frame(41, 41, 1.0)
    whole = frame.whole()
    path = chord(Ellipsoid(np.zeros(3), (10, 10, 10)).section(whole.x, whole.y).outer)
    signal = transmission({"bone": path}, FORTY_KEV)
    x = np.arange(-20, 21.0)
    through = 2 * np.sqrt(np.maximum(100 - x**2, 0))
    expected = np.exp(-0.6655 * 1.92 / 10 * through)
    assert signal[20].numpy() == pytest.approx(expected, rel=1e-3)


def test_materials_multiply():
    paths = {"soft": torch.tensor([20.0]), "bone": torch.tensor([3.0])}
    parts = [transmission({name: path}, FORTY_KEV) for name, path in paths.items()]
    assert float(transmission(paths, FORTY_KEV)) == pytest.approx(float(parts[0] * parts[1]))


# --- spectrum ------------------------------------------------------------------------------------


def test_spectrum_is_a_distribution_below_the_tube_voltage():
    beam = spectrum(55)
    assert beam.weight.sum() == pytest.approx(1)
    assert (beam.weight > 0).all() and beam.kev.max() < 55 and beam.kev.min() > 15


def test_voltage_and_filter_harden_the_beam():
    def mean(*settings):
        beam = spectrum(*settings)
        return float((beam.kev * beam.weight).sum())

    assert mean(50) < mean(60) < mean(75)
    assert mean(60, 1.0) < mean(60, 4.0)


def test_thick_objects_attenuate_less_per_millimetre():
    thickness = torch.tensor([1.0, 5.0, 20.0])
    per_mm = -transmission({"bone": thickness}, spectrum(60)).log() / thickness
    assert (per_mm.diff() < 0).all()
    single = -transmission({"bone": thickness}, FORTY_KEV).log() / thickness
    assert single.numpy() == pytest.approx(single[0].item(), rel=1e-4)


# --- detector ------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.05, 0.4, 1.0])
def test_quantum_noise_is_poisson(level):
    exposure = Exposure(quanta_per_mm2=5000, electronic=0.0)
    signal = detect(torch.full((300, 300), level), 0.2, exposure, np.random.default_rng(1))
    quanta = 5000 * 0.2**2
    assert float(signal.mean()) == pytest.approx(level, rel=0.02)
    assert float(signal.var()) == pytest.approx(level / quanta, rel=0.03)


def test_electronic_noise_adds_its_variance():
    exposure = Exposure(quanta_per_mm2=2000, electronic=6.0)
    signal = detect(torch.full((300, 300), 0.5), 0.2, exposure, np.random.default_rng(2))
    assert float(signal.var()) * 80**2 == pytest.approx(0.5 * 80 + 36, rel=0.03)


def test_scatter_keeps_the_mean_and_costs_contrast():
    paths = {"soft": torch.zeros(120, 120)}
    paths["soft"][40:80, 40:80] = 40.0
    quiet = {"quanta_per_mm2": 1e7, "electronic": 0.0, "scatter_mm": 10.0}
    clear, hazy = (
        expose(paths, 0.5, Exposure(scatter=share, **quiet), np.random.default_rng(0))
        for share in (0.0, 0.4)
    )
    assert float(hazy.mean()) == pytest.approx(float(clear.mean()), rel=0.01)
    contrast = [float(s[10, 10] - s[60, 60]) for s in (clear, hazy)]
    assert contrast[1] < 0.8 * contrast[0]


@pytest.mark.parametrize("sigma", [0.7, 2.0, 12.0])
def test_blur_spreads_a_point_by_sigma(sigma):
    point = torch.zeros(201, 201)
    point[100, 100] = 1.0
    spread = blur(point, sigma)
    assert float(spread.sum()) == pytest.approx(1, rel=0.01)
    offsets = torch.arange(201) - 100.0
    variance = float((spread.sum(0) * offsets**2).sum())
    assert variance == pytest.approx(sigma**2, rel=0.06)


def test_blur_leaves_a_flat_field():
    flat = torch.full((90, 70), 0.3)
    for sigma in (0.0, 1.5, 20.0):
        assert blur(flat, sigma).numpy() == pytest.approx(0.3, rel=1e-4)


def test_exposing_is_capturing_what_is_transmitted():
    paths, exposure = {"soft": torch.linspace(0, 40, 50).expand(60, 50)}, Exposure(kvp=60)
    primary = transmission(paths, spectrum(60, exposure.filter_mm))
    whole, parts = (
        take(start, 0.4, exposure, np.random.default_rng(3))
        for take, start in ((expose, paths), (capture, primary))
    )
    assert torch.equal(whole, parts)


def test_same_seed_same_picture():
    paths = {"soft": torch.rand(60, 50, generator=torch.Generator().manual_seed(0)) * 30}
    one, two, other = (expose(paths, 0.4, Exposure(), np.random.default_rng(s)) for s in (3, 3, 4))
    assert torch.equal(one, two) and not torch.equal(one, other)


# --- processing ----------------------------------------------------------------------------------


def test_thicker_is_brighter_and_in_range():
    signal = torch.exp(-torch.linspace(0, 3, 200)).expand(150, 200)
    image = develop(signal, 0.5, Look(flatten=0.0, sharpen=0.0))
    assert image.min() == 0 and image.max() == 1
    assert (image[75].diff() >= 0).all()


def test_window_ignores_what_is_not_body():
    signal = torch.exp(-torch.linspace(0, 1, 200)).expand(150, 200).clone()
    signal[:20, :20] = 1e-3  # a marker
    body = torch.ones(150, 200, dtype=torch.bool)
    body[:21, :21] = False
    plain, masked = (develop(signal, 0.5, Look(sharpen=0, flatten=0), b) for b in (None, body))
    assert float(masked[75].max()) > 0.98 > 0.5 > float(plain[75].max())


def test_flattening_removes_slow_changes_only():
    signal = torch.exp(-torch.linspace(0, 2, 300)).expand(300, 300).clone()
    signal[::40] *= 0.9
    kept, flat = (
        develop(signal, 0.5, Look(flatten=f, sharpen=0, low=0.001, high=0.999, gamma=1.0))
        for f in (0.0, 0.9)
    )
    slow, fine = (lambda i: float(i[21, -1] - i[21, 0])), (lambda i: float(i[40, 150] - i[41, 150]))
    assert slow(flat) / fine(flat) < 0.6 * slow(kept) / fine(kept)


def test_halving_averages_and_masks_need_half():
    image = torch.tensor([[0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    assert shrink(image).tolist() == [[0.75, 1.0]]
    mask = torch.tensor([[1, 0, 1, 0], [1, 0, 0, 0]], dtype=torch.bool)
    assert shrink(mask).tolist() == [[True, False]]
    uneven = torch.rand(7, 9, generator=torch.Generator().manual_seed(0)) > 0.5
    assert torch.equal(shrink(uneven), shrink(uneven.float()) >= 0.5)


def test_eight_bits_have_256_levels():
    image = to_eight_bits(torch.linspace(0, 1, 5000)[None])
    assert image.dtype == np.float32 and len(np.unique(image)) == 256
    assert np.abs(image[0] - np.linspace(0, 1, 5000)).max() <= 0.5 / 255 + 1e-6


# --- texture -------------------------------------------------------------------------------------


def test_tile_is_standardised_and_periodic():
    tile = trabecular_tile(np.random.default_rng(0), pixel_mm=0.1)
    assert float(tile.mean()) == pytest.approx(0, abs=0.02)
    assert float(tile.std()) == pytest.approx(1, abs=0.15)
    inner = float((tile[1:] - tile[:-1]).abs().mean())
    assert float((tile[0] - tile[-1]).abs().mean()) == pytest.approx(inner, rel=0.3)


def test_tile_runs_along_the_bone():
    tile = trabecular_tile(np.random.default_rng(0), pixel_mm=0.1)
    along, across = ((tile - tile.roll(1, axis)).square().mean() for axis in (0, 1))
    assert float(along) < 0.7 * float(across)


def test_coarse_pixels_show_less_texture():
    spread = [float(trabecular_tile(np.random.default_rng(0), p).std()) for p in (0.1, 0.4, 0.9)]
    assert spread[0] > 1.3 * spread[1] > 1.6 * spread[2]


def test_tile_look_up_repeats_and_interpolates():
    tile = trabecular_tile(np.random.default_rng(0), pixel_mm=0.1)
    size = len(tile) * TILE_PIXEL_MM
    along = torch.tensor([[5, 5.5, 5 + 7 * 1.0]]) * TILE_PIXEL_MM
    across = torch.tensor([[9.0, 9.0, 9.0]]) * TILE_PIXEL_MM
    found = sample_tile(tile, along, across)[0]
    assert found.tolist() == pytest.approx(
        [float(tile[5, 9]), float(tile[5:7, 9].mean()), float(tile[12, 9])], abs=1e-3
    )
    again = sample_tile(tile, along - 2 * size, across + size)[0]
    assert again.tolist() == pytest.approx(found.tolist(), abs=1e-2)


def test_smooth_field_is_smooth():
    field = smooth_field(np.random.default_rng(0), 200, 150, 10)
    assert field.shape == (200, 150)
    assert float(field.diff(dim=0).abs().mean()) < 0.1 * float(field.std())


# --- what else is on a radiograph ----------------------------------------------------------------

FRAME = Frame(200, 160, 0.5)


def test_letter_is_lead_and_reads():
    letter = side_marker(FRAME, "L", (0.25, 0.75), height_mm=14)
    assert float(letter.max()) == 1.0
    assert float(transmission({"lead": torch.ones(1)}, spectrum(55))) < 1e-2
    rows, columns = np.nonzero(letter.numpy() > 0.5)
    assert (rows.mean() / 200, columns.mean() / 160) == pytest.approx((0.75, 0.25), abs=0.05)
    assert (rows.max() - rows.min()) * 0.5 == pytest.approx(14, abs=4)
    # an L has its upright on the left and its foot at the bottom
    assert np.median(columns) < (columns.min() + columns.max()) / 2
    assert np.median(rows) > (rows.min() + rows.max()) / 2


def test_letter_turns():
    plain, turned = (side_marker(FRAME, "L", (0.5, 0.5), turn_deg=angle) for angle in (0, 90))
    assert float((plain - turned).abs().sum()) > 0.5 * float(plain.sum())


def test_ring_is_two_walls_thick_in_its_middle():
    band = ring(FRAME, (0, 0), (0, 1), radius_mm=10, width_mm=4, wall_mm=1.5)
    assert float(band[100, 80]) == pytest.approx(3.0, abs=0.05)
    rows, columns = np.nonzero(band.numpy() > 0.1)
    assert (columns.max() - columns.min()) * 0.5 == pytest.approx(20, abs=1)
    assert (rows.max() - rows.min()) * 0.5 == pytest.approx(4, abs=1)
    assert not ring(FRAME, (0, 0), (0, 1), radius_mm=0.0, wall_mm=0.0).any()


def test_cable_follows_its_path():
    wire = cable(FRAME, [(-30, -20), (0, 5), (30, 10)], diameter_mm=1.5)
    column, row = np.round(FRAME.pixels([(0, 5)])[0]).astype(int)
    assert float(wire[row, column]) == pytest.approx(1.5)
    assert 0 < float((wire > 0).float().mean()) < 0.05


def test_clothing_is_thin_and_soft_edged():
    cloth = clothing(FRAME, np.random.default_rng(0), folds=2, thickness_mm=1.5)
    assert float(cloth.min()) >= 0 and 0.2 < float(cloth.max()) <= 3.0
    assert float(cloth.diff(dim=1).abs().max()) < 0.5


def test_collimator_opens_what_its_margins_say():
    shutter = collimator(FRAME, (0.1, 0.2, 0.05, 0.15))
    rows, columns = np.nonzero(shutter.numpy() > 0.5)
    assert (columns.min(), columns.max() + 1) == pytest.approx((16, 128), abs=1)
    assert (rows.min(), rows.max() + 1) == pytest.approx((10, 170), abs=1)
    assert float(shutter.max()) == 1 and float(shutter.min()) == 0
    turned = collimator(FRAME, (0.1, 0.2, 0.05, 0.15), turn_deg=5)
    assert 20 < int(((turned > 0.5) != (shutter > 0.5)).sum()) < 4000
