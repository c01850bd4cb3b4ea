"""Angles and lengths from masks: shapes drawn by hand, then phantoms with known truth."""

import cv2
import numpy as np
import pytest

from lib.base.errors import SettingError
from lib.metrics.knee import flexion_angle, patella_height, patella_length, shaft_axis
from lib.phantoms import load_scene

SIZE = 256
KNEES = [0, 200, 310, 430, 860, 1296]  # of six subjects, both sides


def polygon(corners, size=SIZE) -> np.ndarray:
    """Mask of a polygon; corners (x, y) to 1/16 of a pixel."""
    canvas = np.zeros((size, size), np.uint8)
    cv2.fillPoly(canvas, [np.round(np.array(corners) * 16).astype(np.int32)], 1, shift=4)
    return canvas.astype(bool)


def bar(start, degrees, length, width, size=SIZE) -> np.ndarray:
    """Mask of a rectangle from ``start`` (x, y) in a direction."""
    way = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    side, start = width / 2 * np.array([-way[1], way[0]]), np.array(start, float)
    end = start + length * way
    return polygon([start + side, end + side, end - side, start - side], size)


def disc(centre, radius, size=SIZE) -> np.ndarray:
    down, across = np.mgrid[:size, :size]
    return np.hypot(across - centre[0], down - centre[1]) <= radius


def bone(joint, degrees, length=110.0, width=18.0) -> np.ndarray:
    """A rectangle for the shaft, turned about the middle of a disc for the epiphysis."""
    return bar(joint, degrees, length, width) | disc(joint, 17)


def ellipse(centre, degrees, length, width) -> np.ndarray:
    down, across = np.mgrid[:SIZE, :SIZE] - np.array(centre)[::-1, None, None]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    along, aside = cosine * across + sine * down, cosine * down - sine * across
    return np.hypot(along / length, aside / width) <= 0.5


def direction(mask) -> float:
    """Of the shaft's axis, degrees from x to y."""
    across, down = shaft_axis(mask)
    return float(np.degrees(np.arctan2(down, across)))


# --- flexion -------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [0, 33, 90, 215])
@pytest.mark.parametrize("flexion", [0, 12, 45, 90, 130])
def test_angle_between_two_rectangles_with_a_head(turn, flexion):
    femur, tibia = bone((120, 110), turn), bone((132, 140), turn + 180 - flexion)
    assert flexion_angle(femur, tibia) == pytest.approx(flexion, abs=1)
    mirrored = flexion_angle(femur[:, ::-1], tibia[:, ::-1])
    assert mirrored == pytest.approx(flexion, abs=1)


def test_axis_points_away_from_the_joint():
    assert shaft_axis(bone((120, 60), 90)) == pytest.approx([0, 1], abs=0.01)
    assert shaft_axis(bone((120, 200), -90)) == pytest.approx([0, -1], abs=0.01)


def test_a_head_beside_the_shaft_does_not_turn_the_axis():
    eccentric = bone((80, 128), 0, length=150) | disc((80, 112), 26)
    assert shaft_axis(eccentric) == pytest.approx([1, 0], abs=0.01)
    points = np.argwhere(eccentric)[:, ::-1]
    principal = np.linalg.eigh(np.cov(points.T))[1][:, 1]
    assert np.degrees(np.arctan2(*np.abs(principal[::-1]))) > 3  # that is why the head is left out


def test_shaft_that_tapers():
    tapering = disc((60, 128), 30) | polygon([(60, 108), (220, 122), (220, 134), (60, 148)])
    assert shaft_axis(tapering) == pytest.approx([1, 0], abs=0.01)  # each edge is 5 degrees off


@pytest.mark.parametrize(
    ("joint", "degrees", "width"),
    [((150, 140), 20, 24), ((150, 140), 70, 24), ((170, 170), 45, 30), ((100, 235), 10, 18)],
)
def test_shaft_that_leaves_the_image(joint, degrees, width):
    whole = bone(joint, degrees, length=300, width=width)
    assert whole[:, -1].any() or whole[-1].any()
    assert direction(whole) == pytest.approx(degrees, abs=1)


@pytest.mark.parametrize(
    ("degrees", "width", "middle", "radius"),
    [(25, 28, (100, 100), 120), (25, 28, (120, 70), 90), (50, 30, (120, 70), 110)],
)
def test_round_field_that_cuts_the_shaft_obliquely(degrees, width, middle, radius):
    cut = bone((100, 128), degrees, length=200, width=width) & disc(middle, radius)
    assert direction(cut) == pytest.approx(degrees, abs=1.5)


def test_specks_do_not_count():
    femur, tibia = bone((120, 110), 0), bone((132, 140), 120)
    clean = flexion_angle(femur, tibia)
    assert flexion_angle(femur | disc((20, 230), 6), tibia | disc((230, 20), 6)) == clean


def test_of_two_pieces_of_one_size_the_first_is_the_bone():
    twins = np.zeros((40, 40), bool)
    twins[7, 4:24] = twins[30, 4:24] = True
    assert patella_length(twins) == 20
    femur = bone((120, 110), 0)
    apart = np.zeros((600, SIZE), bool)
    apart[:SIZE], apart[300 : 300 + SIZE] = femur, femur
    lone = apart.copy()
    lone[SIZE:] = False
    assert shaft_axis(apart) == pytest.approx(shaft_axis(lone))


@pytest.mark.parametrize(
    "unclear",
    [
        np.zeros((SIZE, SIZE), bool),
        disc((128, 128), 30),  # all epiphysis
        bone((128, 128), 0, length=40),  # hardly any shaft
        bar((28, 128), 0, 200, 20),  # no epiphysis
        bar((28, 128), 0, 200, 20) | disc((120, 128), 14),  # nor one at an end
        np.eye(SIZE, dtype=bool) & (np.arange(SIZE) < 10),  # under the smallest size
        np.ones((SIZE, SIZE), bool),
    ],
)
def test_no_angle_without_head_and_shaft(unclear):
    assert np.isnan(flexion_angle(unclear, bone((132, 140), 120)))
    assert np.isnan(flexion_angle(bone((132, 140), 120), unclear))


# --- patella -------------------------------------------------------------------------------------


def drawn_knee():
    """Patella 60 long above, tendon to 72 below its pole, tibia from there."""
    patella = ellipse((128, 80), 90, 60, 26)  # from y = 50 to y = 110
    tendon = bar((128, 108), 90, 74, 7)  # to y = 182
    return patella, tendon, bone((120, 195), 70)


def test_height_of_an_ellipse_on_a_bar():
    assert patella_height(*drawn_knee()) == pytest.approx(72 / 60, abs=0.02)


@pytest.mark.parametrize("gap", [slice(125, 131), slice(155, 161)])
def test_broken_tendon_counts_as_a_whole(gap):
    patella, tendon, tibia = drawn_knee()
    tendon[gap] = False
    assert patella_height(patella, tendon, tibia) == pytest.approx(72 / 60, abs=0.02)


@pytest.mark.parametrize("turns", [0, 2])
def test_tibia_nearer_to_the_patella_than_to_the_tuberosity(turns):
    patella, tendon, _ = drawn_knee()
    hook = bar((128, 112), 0, 40, 10) | bar((160, 112), 90, 90, 10) | bar((128, 198), 0, 40, 10)
    tibia = bone((120, 200), 70) | hook
    turned = [np.rot90(mask, turns) for mask in (patella, tendon, tibia)]
    assert patella_height(*turned) == pytest.approx(72 / 60, abs=0.02)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_height_does_not_depend_on_how_the_knee_lies(turns):
    upright = drawn_knee()
    turned = [np.rot90(mask, turns) for mask in upright]
    assert patella_height(*turned) == pytest.approx(patella_height(*upright), abs=1e-9)
    mirrored = [mask[:, ::-1] for mask in upright]
    assert patella_height(*mirrored) == pytest.approx(patella_height(*upright), abs=1e-9)


def test_lower_pole_is_the_one_at_the_tendon():
    low = patella_height(*drawn_knee())
    patella, tendon, tibia = drawn_knee()
    raised = bar((128, 118), 90, 64, 7)  # starts 8 below the pole; the tendon's end is the same
    assert patella_height(patella, raised, tibia) == pytest.approx(low, abs=0.01)
    short = bar((128, 108), 90, 62, 7)
    assert patella_height(patella, short, tibia) == pytest.approx(60 / 60, abs=0.02)


def test_length_of_the_patella():
    one_row = np.zeros((30, 30), bool)
    one_row[7, 4:24] = True
    assert patella_length(one_row) == 20  # 20 pixels are 20 long
    assert patella_length(one_row, 0.4) == pytest.approx(8)
    assert patella_length(one_row, (0.4, 0.4)) == pytest.approx(8)
    assert patella_length(one_row.T) == 20
    for degrees in (0, 25, 60):
        tilted = ellipse((128, 128), degrees, 80, 40)
        assert patella_length(tilted) == pytest.approx(80, abs=1.5)


def test_greatest_length_against_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(5):
        corners = 40 + 30 * rng.random((5, 2))
        blob = polygon(cv2.convexHull(corners.astype(np.float32))[:, 0], size=100)
        points = np.argwhere(blob).astype(float)
        apart = np.linalg.norm(points[:, None] - points[None], axis=-1).max()
        assert patella_length(blob) == pytest.approx(apart + 1)


def test_no_height_without_all_three():
    masks = drawn_knee()
    speck = np.zeros((SIZE, SIZE), bool)
    speck[10, 10:21] = True  # 11 pixels
    for missing in range(3):
        for absent in (speck & False, speck):
            others = [absent if k == missing else mask for k, mask in enumerate(masks)]
            assert np.isnan(patella_height(*others))
    assert np.isnan(patella_length(speck))
    speck[10, 21] = True
    assert patella_length(speck) == 12


# --- wrong arguments -----------------------------------------------------------------------------


def test_masks_must_be_boolean_and_alike():
    good = bone((120, 110), 0)
    for bad in (good.astype(float), good[None], good[:-1]):
        with pytest.raises(SettingError, match="expected boolean masks H x W of one image"):
            flexion_angle(good, bad)
    with pytest.raises(SettingError, match="masks: found float64"):
        patella_length(good.astype(float))


@pytest.mark.parametrize("spacing_mm", [(0.4, 0.5), 0.0, -1.0, np.nan])
def test_pixels_must_be_square(spacing_mm):
    with pytest.raises(SettingError, match="spacing_mm: found"):
        patella_length(disc((50, 50), 9), spacing_mm)


# --- phantoms ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def phantoms():
    knee = load_scene("knee")
    return [knee.generate(0, index, SIZE) for index in KNEES]


def errors(phantoms, measure, name):
    return np.array([measure(p.masks, p.spacing_mm) - p.truth[name] for p in phantoms])


def test_angle_on_phantoms(phantoms):
    error = errors(phantoms, lambda m, _: flexion_angle(m["femur"], m["tibia"]), "flexion_deg")
    assert np.abs(error).max() < 3.5
    angles = [p.truth["flexion_deg"] for p in phantoms]
    assert max(angles) - min(angles) > 50  # over the whole sweep, not at one angle


def test_height_on_phantoms(phantoms):
    def height(masks, _):
        return patella_height(masks["patella"], masks["tendon"], masks["tibia"])

    error = errors(phantoms, height, "insall_salvati")
    assert np.abs(error).max() < 0.12
    assert 0 < error.mean() < 0.07  # the tendon's round end


def test_length_on_phantoms(phantoms):
    error = errors(phantoms, lambda m, mm: patella_length(m["patella"], mm), "patella_length_mm")
    assert np.abs(error).max() < 2.5
