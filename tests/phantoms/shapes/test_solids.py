"""Solids against distances computed by hand."""

import numpy as np
import pytest
import torch

from lib.phantoms.shapes.geometry import Pose, pose, transformed
from lib.phantoms.shapes.solids import (
    Points,
    cut,
    ellipsoid,
    grown,
    half_space,
    local,
    loft,
    rod,
    smooth_min,
    tube,
    union,
)


def at(*points):
    return Points(*torch.tensor(points, dtype=torch.float32).T)


def test_distances_by_hand():
    sphere = ellipsoid((1, 2, 3), 10)
    assert torch.allclose(
        sphere.distance(at((1, 2, 3), (4, 6, 3), (1, 2, 23))),
        torch.tensor([-10.0, -5.0, 10.0]),
        atol=2e-2,
    )
    bar = rod((0, 0, 0), (0, 0, 10), 2)
    expected = torch.tensor([-2.0, 1.0, 3.0, 3.0])
    assert torch.allclose(
        bar.distance(at((0, 0, 5), (3, 0, 5), (0, 5, 1), (0, 0, 15))), expected, atol=1e-5
    )
    band = rod((0, 0, 0), (0, 0, 10), 2, stretch=(3, 1, 1))
    assert torch.allclose(band.distance(at((6, 0, 5), (0, 2, 5))), torch.zeros(2), atol=1e-5)
    floor = half_space((0, 0, 4), (0, 0, 2))
    assert torch.allclose(floor.distance(at((9, 9, 1), (0, 0, 6))), torch.tensor([-3.0, 2.0]))


def test_loft_of_one_section_is_a_cylinder():
    pipe = loft("y", (-20, 20), -3, 3, 1, 7, ends=0)
    points = at((0, 0, 4), (5, 0, 4), (0, 3, 9), (0, 25, 4), (0, 19, 4))
    expected = torch.tensor([-3.0, 2.0, 2.0, 5.0, -1.0])
    assert torch.allclose(pipe.distance(points), expected, atol=2e-2)
    assert pipe.low.tolist() == [-3, -20, 1]
    assert pipe.high.tolist() == [3, 20, 7]


def test_loft_follows_its_profile():
    cone = loft("z", (0, 10, 20), (-2, -4, -6), (2, 4, 6), -5, 5)
    inside = cone.distance(at((3.9, 0, 10), (4.1, 0, 10), (2.9, 0, 5), (3.1, 0, 5)))
    assert (inside < 0).tolist() == [True, False, True, False]


def test_square_section_reaches_into_the_corner():
    corner = at((8, 8, 0))
    assert float(ellipsoid((0, 0, 0), 10).distance(corner)) > 0
    assert float(ellipsoid((0, 0, 0), 10, square=0.9).distance(corner)) < 0


def test_combinations():
    a, b = ellipsoid((0, 0, 0), 5), ellipsoid((6, 0, 0), 5)
    grid = at(*[(x, y, 0) for x in np.arange(-6, 13, 1.3) for y in np.arange(-6, 7, 1.3)])
    da, db = a.distance(grid), b.distance(grid)
    assert torch.equal(union(a, b, blend=0).distance(grid), torch.minimum(da, db))
    both = union(a, b, blend=4).distance(grid)
    assert (both <= torch.minimum(da, db) + 1e-6).all()
    assert (both >= torch.minimum(da, db) - 1.0 - 1e-6).all()
    assert float(smooth_min(torch.tensor(0.0), torch.tensor(0.0), 4.0)) == pytest.approx(-1.0)
    assert torch.equal(cut(a, b, blend=0).distance(grid), torch.maximum(da, -db))
    assert torch.allclose(grown(a, 2).distance(grid), da - 2)


def test_tube_passes_through_its_points():
    path = [(0, 0, 0), (4, 0, 10), (0, 6, 20)]
    pieces = tube(path, (1, 2, 1), pieces=8)
    shape = union(*pieces, blend=0)
    assert len(pieces) == 8
    assert torch.allclose(shape.distance(at(*path)), torch.tensor([-1.0, -2.0, -1.0]), atol=0.2)


def test_poses():
    assert np.allclose(pose(z_deg=90).matrix @ [1, 0, 0], [0, 1, 0])
    assert np.allclose(pose(10, 20, 30).matrix @ pose(10, 20, 30).matrix.T, np.eye(3))
    inner = Pose(2 * pose(20, -30, 70, mirror=True).matrix, np.array([1.0, -2, 3]))
    outer = pose(x_deg=40, about=(0, 5, 0))
    assert np.allclose(outer.point((0, 5, 0)), (0, 5, 0))
    there = outer.after(inner).point((3, 4, 5))
    assert np.allclose(there, outer.point(inner.point((3, 4, 5))))
    back = local(outer.after(inner), at(tuple(there)))
    assert np.allclose([float(c) for c in back], (3, 4, 5), atol=1e-4)
    assert outer.after(inner).scale == pytest.approx(2)


def test_transformed_sphere_keeps_its_distance_and_box():
    place = Pose(2 * pose(z_deg=30).matrix, np.array([10.0, 0, 0]))
    sphere = transformed(ellipsoid((1, 0, 0), 3), place)
    centre = np.array([10 + 2 * np.cos(np.pi / 6), 1.0, 0])
    assert float(sphere.distance(at(tuple(centre + [0, 0, 9])))) == pytest.approx(3, abs=1e-2)
    assert (sphere.low <= centre - 6).all()
    assert (sphere.high >= centre + 6).all()
