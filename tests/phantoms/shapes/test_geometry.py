"""Chords and masks against ray-marched occupancy, closed forms and hand-computed lengths."""

import numpy as np
import pytest
import torch

from lib.phantoms.shapes.body import Bone, Limb, Sheet, materials, project_bones, soft_tissue
from lib.phantoms.shapes.geometry import (
    Ellipsoid,
    Frame,
    Union,
    chord,
    curve_table,
    pose,
    transformed,
)
from lib.phantoms.shapes.plate import Plate, closed_spline, ribbon_outline, signed_distance
from lib.phantoms.shapes.tube import CAP_EXPONENT, Tube

FRAME = Frame(160, 160, 0.35)
DEPTH = np.linspace(-30, 30, 1201)
STEP = DEPTH[1] - DEPTH[0]


def chords(solid, frame=FRAME):
    """Outer and core chords over the whole frame."""
    whole = frame.whole()
    section = solid.section(whole.x, whole.y)
    return chord(section.outer).numpy(), chord(section.core).numpy()


def points(frame=FRAME, every=4):
    """Every fourth pixel's ray as points rows x columns x depths x 3."""
    whole = frame.whole()
    x, y = whole.x[0, ::every].numpy(), whole.y[::every, 0].numpy()
    return np.stack(np.meshgrid(x, y, DEPTH, indexing="xy"), -1)


def assert_marched(chord_mm, inside, tolerance=2.2 * STEP):
    """Chord and mask agree with an occupancy counted point by point along the rays."""
    error = np.abs(chord_mm[::4, ::4] - inside.sum(-1) * STEP)
    assert error.max() < tolerance, np.argwhere(error > tolerance)
    grazing = (chord_mm[::4, ::4] > 0) != inside.any(-1)
    assert chord_mm[::4, ::4][grazing].max(initial=0) < 0.4  # thinner than a march can see
    assert grazing.mean() < 0.003
    assert inside.any(-1).mean() > 0.01


# --- frame and pose ------------------------------------------------------------------------------


def test_pixels_and_window_are_inverse():
    frame = Frame(50, 80, 0.5, x_mm=3.0, y_mm=-7.0)
    window = frame.window((-5, 6, -12, -4))
    corner = frame.pixels([[float(window.x[0, 0]), float(window.y[0, 0])]])[0]
    assert corner == pytest.approx([window.columns.start, window.rows.start], abs=1e-4)
    assert float(window.x.min()) <= -5 and float(window.x.max()) >= 6
    assert float(window.y.min()) <= -12 and float(window.y.max()) >= -4
    assert float(window.y[0, 0] - window.y[1, 0]) == pytest.approx(0.5)  # rows go down


def test_whole_frame_is_centred_and_complete():
    whole = Frame(50, 80, 0.5, x_mm=3.0, y_mm=-7.0).whole()
    assert whole.x.shape == (1, 80) and whole.y.shape == (50, 1)
    assert float(whole.x.mean()) == pytest.approx(3.0, abs=1e-4)
    assert float(whole.y.mean()) == pytest.approx(-7.0, abs=1e-4)


def test_window_outside_the_image_is_none():
    assert FRAME.window((500, 510, 0, 5)) is None


def test_pose_turns_right_handed_about_a_point():
    turned = pose(z_deg=90, about=(1, 0, 0)).point([2, 0, 5])
    assert turned == pytest.approx([1, 1, 5])
    assert pose(x_deg=90).point([0, 1, 0]) == pytest.approx([0, 0, 1])
    assert pose(y_deg=90).point([0, 0, 1]) == pytest.approx([1, 0, 0])
    assert pose(mirror=True, shift=(0, 0, 2)).point([3, 4, 5]) == pytest.approx([-3, 4, 7])


# --- solids --------------------------------------------------------------------------------------


def test_sphere_of_20_mm_measures_20_mm():
    frame = Frame(300, 300, 0.1)
    outer, core = chords(Ellipsoid(np.array([1.0, 2.0, 3.0]), (10, 10, 10), cortex=2.0), frame)
    diameter = 2 * np.sqrt((outer > 0).sum() * 0.1**2 / np.pi)
    assert diameter == pytest.approx(20, abs=0.02)
    assert outer.max() == pytest.approx(20, abs=0.01)
    assert core.max() == pytest.approx(16, abs=0.01)
    assert outer.sum() * 0.1**2 == pytest.approx(4 / 3 * np.pi * 1000, rel=1e-3)


def test_turned_ellipsoid_matches_marching():
    radii, turn = np.array([14.0, 8.0, 5.0]), pose(30, 40, 50, shift=(2, -3, 4))
    solid = transformed(Ellipsoid(np.zeros(3), radii), turn)
    local = (points() - turn.shift) @ turn.matrix
    assert_marched(chords(solid)[0], ((local / radii) ** 2).sum(-1) <= 1)


def long_bone(**changes):
    rows = [(0, 10, 8, 7, 6), (0.5, 5, 4, 4, 5), (1, 9, 9, 8, 6)]
    shape = {"cortex": [(0, 0.6), (0.5, 2), (1, 0.6)], "bow": (2, 1), "caps": (4, 6)} | changes
    return Tube((-5, -20, 0), shape.pop("end", (4, 22, 0)), rows, **shape)


def tube_occupancy(tube, where):
    """Inside the tube, from its profile alone: elliptical sections across the axis."""
    offset = where - tube.start
    along, side, out = (offset @ v for v in (tube.axis, tube.right, tube.front))
    share = np.clip(along / tube.length_mm, 0, 1)
    table, t = curve_table(tube.profile, 2001), np.linspace(0, 1, 2001)
    right, left, front, back = (np.interp(share, t, column) for column in table.T)
    bow = 4 * share * (1 - share)
    cap = 1.0
    for distance, length in zip((along, tube.length_mm - along), tube.caps, strict=True):
        cap = cap * np.sqrt(1 - np.clip(1 - distance / length, 0, 1) ** CAP_EXPONENT)
    side = (side - (right - left) / 2 - tube.bow[0] * bow) / np.maximum(
        (right + left) / 2 * cap, 1e-4
    )
    out = (out - (front - back) / 2 - tube.bow[1] * bow) / np.maximum(
        (front + back) / 2 * cap, 1e-4
    )
    return side**2 + out**2 <= 1


@pytest.mark.parametrize("roll_deg", [0, 35, 90, 200])
def test_tube_matches_marching_at_any_roll(roll_deg):
    tube = long_bone()
    lean = float(np.degrees(np.arctan2(tube.axis[0], tube.axis[1])))
    upright = transformed(tube, pose(z_deg=lean))  # axis along y, so a turn about y is a roll
    rolled = transformed(transformed(upright, pose(y_deg=roll_deg)), pose(z_deg=-20))
    assert_marched(chords(rolled)[0], tube_occupancy(rolled, points()))


@pytest.mark.parametrize("roll_deg", [0, 35, 60, 90, 180])
def test_texture_runs_across_a_tube_whichever_side_is_seen(roll_deg):
    tube = transformed(long_bone(end=(-5, 22, 0)), pose(y_deg=roll_deg))
    x = torch.linspace(-3, 3, 13)[None] + float(tube.point(0.5)[0])
    across = tube.section(x, torch.tensor([[1.0]])).across[0]
    steps = across.diff().abs() / x[0].diff()
    assert float(steps.min()) > 0.7 and float(steps.max()) < 1.01  # never a stripe


def test_tilted_cylinder_is_longer_by_the_cosine():
    rows = [(0, 6, 6), (1, 6, 6)]
    tube = transformed(Tube((0, -60, 0), (0, 60, 0), rows, caps=(0.1, 0.1)), pose(x_deg=30))
    outer, _ = chords(tube)
    assert outer[80].max() == pytest.approx(12 / np.cos(np.radians(30)), abs=0.02)


def test_tube_seen_end_on_is_refused():
    tube = Tube((0, 0, -10), (1, 0, 10), [(0, 5, 5), (1, 5, 5)], right=np.array([0.0, 1, 0]))
    with pytest.raises(ValueError, match="use a Volume"):
        chords(tube)


def test_core_is_inset_by_the_cortex():
    tube = Tube((0, -40, 0), (0, 40, 0), [(0, 8, 5), (1, 8, 5)], cortex=[(0, 1.5), (1, 1.5)])
    outer, core = chords(tube, Frame(161, 161, 0.35))
    assert outer[80, 80] - core[80, 80] == pytest.approx(3.0, abs=0.01)
    width = [(row[80] > 0).sum() * 0.35 for row in (outer, core)]
    assert width[0] - width[1] == pytest.approx(3.0, abs=0.36)


def test_mirrored_tube_is_the_mirror_image():
    tube = long_bone(slope=(0.2, -0.1), notch=(1.0, 0.5))
    outer = chords(tube)[0]
    mirrored = chords(transformed(tube, pose(mirror=True)))[0]
    assert np.abs(outer[:, ::-1] - mirrored).max() < 1e-3


def test_ends_lean_and_are_hollowed():
    rows = [(0, 8, 5), (1, 8, 5)]
    plain, leaning, hollow = (
        chords(Tube((0, -20, 0), (0, 20, 0), rows, caps=(0.5, 0.5), **change), Frame(601, 201, 0.1))
        for change in ({}, {"slope": (0, 0.5)}, {"notch": (0, 2.0)})
    )
    reach = [
        [np.flatnonzero(c[0][:, x] > 0)[0] for x in (60, 100, 140)]
        for c in (plain, leaning, hollow)
    ]
    assert np.subtract(reach[0], reach[1]) == pytest.approx([-20, 0, 20], abs=2)
    assert np.subtract(reach[0], reach[2])[1] == pytest.approx(-20, abs=2)


def test_overlapping_parts_count_once():
    one, two = (
        Ellipsoid(np.array([-4.0, 0, 1]), (8, 9, 7)),
        Ellipsoid(np.array([5.0, 2, 0]), (7, 6, 9)),
    )
    three = Ellipsoid(np.array([0.0, 0, 20]), (6, 6, 6))
    where = points()
    inside = np.zeros(where.shape[:-1], bool)
    for part in (one, two, three):
        inside |= (((where - part.centre) / np.array(part.radii)) ** 2).sum(-1) <= 1
    assert_marched(chords(Union([one, two, three]))[0], inside, tolerance=5 * STEP)


def test_round_plate_is_a_sphere():
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = 10 * np.stack([np.cos(angle), np.sin(angle)], 1)
    plate, ball = Plate(circle, 10.0, 10.0, cortex=1.0), Ellipsoid(np.zeros(3), (10, 10, 10))
    outer, core = chords(plate)
    assert np.abs(outer - chords(ball)[0]).max() < 0.45  # at the rim, where the chord is steepest
    assert np.abs(outer - chords(ball)[0]).mean() < 0.02
    assert core.max() == pytest.approx(18, abs=0.05)


def test_turned_plate_keeps_its_volume():
    outline = [(-12, -8), (10, -9), (14, 6), (0, 12), (-11, 5)]
    plate = Plate(outline, lambda u, v: 4 + 0.1 * u, rim=3.0)
    volumes = [
        chords(transformed(plate, turn))[0].sum() for turn in (pose(), pose(x_deg=40, z_deg=70))
    ]
    assert volumes[1] == pytest.approx(volumes[0], rel=0.01)


def test_distance_to_a_square():
    square = np.array([(-2, -2), (2, -2), (2, 2), (-2, 2)], float)
    where = torch.tensor([[0.0, 0], [1.5, 0], [3.0, 0], [5.0, 6.0], [-2.5, 1.0]])
    expected = [2.0, 0.5, -1.0, -5.0, -0.5]
    assert signed_distance(where, square).tolist() == pytest.approx(expected)
    assert signed_distance(where, square[::-1].copy()).tolist() == pytest.approx(expected)


def test_straight_ribbon_has_round_tips():
    outline = ribbon_outline([(-10, 0), (0, 0), (12, 0)], [3, 3, 3])
    x, y = outline.T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert area == pytest.approx(22 * 6 + np.pi * 9, rel=0.01)
    assert (x.min(), x.max()) == pytest.approx((-13, 15), abs=0.05)


def test_spline_passes_through_its_points():
    corners = np.array([(0, 0), (5, 1), (6, 6), (-1, 4)], float)
    curve = closed_spline(corners, 8)
    assert curve.shape == (32, 2)
    assert curve[::8] == pytest.approx(corners)


def test_profile_does_not_overshoot():
    table = curve_table([(0, 1.0, 3.0), (0.5, 1.0, 2.0), (0.6, 4.0, 2.0), (1, 4.0, 0.0)])
    assert table[:, 0].min() == 1 and table[:, 0].max() == 4
    assert (np.diff(table[:, 0]) >= 0).all() and (np.diff(table[:, 1]) <= 0).all()


# --- bones and flesh -----------------------------------------------------------------------------


def ball(name, x, structure, density=0.0):
    return Bone(
        name, Ellipsoid(np.array([x, 0.0, 0]), (8, 8, 8), cortex=1.0), structure, density, 0.0
    )


def test_bones_add_up_and_masks_overlap():
    tile, rng = torch.zeros(400, 400), np.random.default_rng(0)
    bones = [ball("a", -5.0, "one"), ball("b", 5.0, "two"), ball("c", 900.0, "three")]
    projection = project_bones(FRAME, bones, tile, rng, ("one", "two", "three", "four"))
    assert list(projection.masks) == ["one", "two", "three", "four"]
    assert (projection.masks["one"] & projection.masks["two"]).sum() > 100
    assert not projection.masks["three"].any() and not projection.masks["four"].any()
    separate = [chords(bone.solid) for bone in bones[:2]]
    assert projection.occupied.numpy() == pytest.approx(sum(c[0] for c in separate), abs=1e-4)
    shells = sum(c[0] - c[1] for c in separate)
    assert projection.mineral.numpy() == pytest.approx(shells, abs=1e-4)


def test_trabeculae_fill_a_share_of_the_interior():
    tile, rng = torch.zeros(400, 400), np.random.default_rng(0)
    empty, filled = (
        project_bones(FRAME, [ball("a", 0.0, "", density)], tile, rng).mineral
        for density in (0.0, 0.3)
    )
    core = chords(ball("a", 0.0, "").solid)[1]
    assert (filled - empty).numpy() == pytest.approx(0.3 * core, abs=1e-4)


def test_a_limb_is_as_thick_as_it_says():
    frame = Frame(101, 101, 0.7)
    soft, fat = soft_tissue(frame, [Limb((0, -90), (0, 90), (15, 15), (12, 12))], fat_mm=3.0)
    assert float(soft[50, 50]) == pytest.approx(24, abs=0.1)
    assert float(fat[50, 50]) == pytest.approx(6, abs=0.1)
    assert int((soft[50] > 0).sum()) * 0.7 == pytest.approx(30, abs=1.5)


def test_flesh_joins_without_a_crease():
    frame = Frame(101, 101, 0.7)
    pieces = [Sheet(np.array([(-30, -30), (0, -30), (0, 5), (-30, 5)]), 10, 8)]
    pieces += [Limb((0, -10), (60, -10), (8, 8), (8, 8))]
    apart, joined = (soft_tissue(frame, pieces, blend_mm=b)[0] > 0 for b in (0.0, 8.0))
    assert not (apart & ~joined).any()
    assert 5 < int((joined & ~apart).sum()) < 300


def test_materials_fill_the_body():
    tile, rng = torch.zeros(400, 400), np.random.default_rng(0)
    projection = project_bones(FRAME, [ball("a", 0.0, "")], tile, rng)
    soft, fat = soft_tissue(FRAME, [Limb((0, -90), (0, 90), (20, 20), (18, 18))])
    paths = materials(projection, soft, fat)
    assert set(paths) == {"bone", "fat", "soft"}
    assert sum(paths.values()).numpy() == pytest.approx(soft.numpy(), abs=1e-3)


def test_pose_moves_bones_and_flesh_alike():
    turn = pose(z_deg=30, shift=(3, 4, 0))
    moved = transformed(Bone("a", long_bone()), turn)
    assert moved.solid.start == pytest.approx(turn.point([-5, -20, 0]))
    limb = transformed(Limb((-5, -20), (4, 22), (5, 5), (5, 5)), turn)
    assert limb.end == pytest.approx(turn.point([4, 22, 0])) and limb.radius == (5, 5)
    sheet = transformed(Sheet(np.array([(0, 0), (4, 0), (0, 4)]), 3.0, 2.0), turn)
    assert sheet.outline == pytest.approx(turn.point([(0, 0, 0), (4, 0, 0), (0, 4, 0)]))


def test_a_list_or_dict_is_transformed_member_by_member():
    turn, ball = pose(x_deg=20, shift=(1, 2, 3)), Ellipsoid(np.array([4.0, 5, 6]), (1, 2, 3))
    bones, flesh = transformed([{"ball": ball}, [Limb((0, 1), (2, 3), (1, 1), (1, 1)), None]], turn)
    assert bones["ball"].centre == pytest.approx(turn.point(ball.centre))
    assert flesh[0].start == pytest.approx(turn.point((0, 1))) and flesh[1] is None
