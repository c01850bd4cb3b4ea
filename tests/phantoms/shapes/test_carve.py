"""Cuts of bones in closed form, against brute force and hand-computed values."""

import numpy as np
import pytest

from lib.phantoms.shapes.carve import Ball, Broken, Carved, Crack, Plane, crack_zone
from lib.phantoms.shapes.geometry import Ellipsoid, Frame, chord, pose, transformed

FRAME = Frame(60, 60, 1.0)
BODY = Ellipsoid(np.array([1.0, -2.0, 3.0]), (14.0, 22.0, 11.0), cortex=0.0)
PLANE = Plane(np.array([0.0, 9.0, 2.0]), np.array([0.3, 1.0, -0.4]))
KEEP, HOLE = Ball(np.array([-4.0, 0.0, 0.0]), 18.0), Ball(np.array([2.0, 12.0, 6.0]), 9.0)
HOLLOW = Ellipsoid(np.array([6.0, 6.0, 2.0]), (7.0, 5.0, 9.0))
CRACK = Crack(
    np.array([1.0, -3.0, 3.0]),
    np.array([0.0, 0.8, 0.6]),
    np.array([1.0, 0, 0]),
    np.array([0.0, -0.6, 0.8]),
)


def inside_ellipsoid(points, e):
    local = (points - np.asarray(e.centre)) @ e.axes / np.asarray(e.radii)
    return (local**2).sum(-1) <= 1


def inside_ball(points, b):
    return ((points - b.centre) ** 2).sum(-1) <= b.radius**2


def below(points, plane):
    return (points - plane.point) @ plane.unit <= 0


def marched(solid_inside, frame, low=-40, high=40, step=0.02):
    """Lengths inside along every ray of a frame, by midpoint sums."""
    window = frame.whole()
    z = np.arange(low, high, step) + step / 2
    x, y = np.broadcast_arrays(window.x.numpy(), window.y.numpy())
    total = np.zeros(x.shape)
    for row in range(x.shape[0]):
        view = np.stack(np.broadcast_arrays(x[row, :, None], y[row, :, None], z), -1)
        total[row] = solid_inside(view).sum(-1) * step
    return total


def thickness(solid, frame):
    window = frame.whole()
    return chord(solid.section(window.x, window.y).outer).numpy()


@pytest.mark.parametrize("turn", [(0, 0, 0), (20, -50, 35), (0, 90, 0)])
def test_carved_solids_agree_with_ray_marching_in_any_pose(turn):
    place = pose(*turn, shift=(2, -1, 4))
    carved = transformed(Carved(BODY, [PLANE, KEEP], [HOLE, HOLLOW], 0.5), place)

    def occupied(view):
        points = (view - place.shift) @ place.matrix
        kept = inside_ellipsoid(points, BODY) & below(points, PLANE) & inside_ball(points, KEEP)
        return kept & ~inside_ball(points, HOLE) & ~inside_ellipsoid(points, HOLLOW)

    assert np.abs(thickness(carved, FRAME) - marched(occupied, FRAME)).max() < 0.15


def test_a_wall_of_the_cortex_is_left_at_a_cut():
    window = Frame(3, 3, 1.0).whole()
    carved = Carved(Ellipsoid(np.zeros(3), (50.0,) * 3, cortex=1.0), cortex=2.0,
                    keep=[Plane(np.zeros(3), np.array([0, 0, 1.0]))])  # fmt: skip
    section = carved.section(window.x, window.y)
    wall = chord(section.outer) - chord(section.core)
    assert float(wall[1, 1]) == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize("turn", [(0, 0, 0), (15, 80, -20)])
def test_two_sides_of_a_flat_crack_are_the_whole(turn):
    place = pose(*turn)
    whole = thickness(transformed(Carved(BODY), place), FRAME)
    halves = [transformed(Carved(BODY, sides=[(CRACK, side)]), place) for side in (-1.0, 1.0)]
    near, far = (thickness(half, FRAME) for half in halves)
    assert np.abs(near + far - whole).max() < 1e-3
    assert min(near.sum(), far.sum()) > 0.2 * whole.sum()

    def lower(view):
        points = view @ place.matrix
        return inside_ellipsoid(points, BODY) & ((points - CRACK.point) @ CRACK.normal <= 0)

    assert np.abs(near - marched(lower, FRAME)).max() < 0.1


def test_waves_move_the_crack_where_it_meets_the_surface():
    wavy = Crack(np.zeros(3), np.array([0, 1.0, 0]), np.array([1.0, 0, 0]), np.array([0, 0, 1.0]),
                 [(0.5, 0.0, 0.3, 2.0)])  # fmt: skip
    window = Frame(400, 5, 0.05).whole()
    lower = Carved(BODY, sides=[(wavy, -1.0)]).section(window.x, window.y)
    top = window.y[(chord(lower.outer) > 0).int().argmax(0), 0].numpy()
    assert top == pytest.approx(2 * np.sin(0.5 * window.x[0].numpy() + 0.3), abs=0.06)


def test_fragments_count_each_where_they_overlap():
    pushed = transformed(Carved(BODY, sides=[(CRACK, 1.0)]), pose(shift=-3 * CRACK.normal))
    near = Carved(BODY, sides=[(CRACK, -1.0)])
    total = thickness(Broken([near, pushed]), FRAME)
    assert np.abs(total - thickness(near, FRAME) - thickness(pushed, FRAME)).max() < 1e-3


def test_the_zone_of_a_crack_seen_edge_on_is_as_wide_as_its_margin():
    flat = Crack(np.zeros(3), np.array([0, 1.0, 0]), np.array([1.0, 0, 0]), np.array([0, 0, 1.0]))
    frame = Frame(400, 5, 0.05)
    zone = crack_zone(frame, [Carved(BODY, sides=[(flat, -1.0)])], 1.5)
    assert (zone.sum(0) * 0.05).tolist() == pytest.approx([3.0] * 5, abs=0.06)
