"""Grids in millimetres, partial volume and the layers of a bone."""

import nibabel
import numpy as np
import pytest
import torch

from lib.phantoms.physics.mr import Sequence
from lib.phantoms.physics.scan import draw_textures, examination_grid
from lib.phantoms.shapes.canvas import Canvas, centred_grid, noise
from lib.phantoms.shapes.geometry import pose
from lib.phantoms.shapes.solids import ellipsoid
from lib.phantoms.shapes.tissue import Bone, Plate, paint_bone

ANKLE = Sequence(7.9, 2.8, 10.0)


@pytest.mark.parametrize("orientation", ["RIP", "SPL", "LSA"])
def test_affine_leads_from_voxels_to_millimetres(orientation):
    grid = centred_grid((10, 20, 31), (0.8, 0.6, 0.5), orientation, centre=(3, -4, 5))
    assert nibabel.aff2axcodes(grid.affine) == tuple(orientation)
    assert np.allclose(nibabel.affines.voxel_sizes(grid.affine), (0.8, 0.6, 0.5))
    assert np.allclose(grid.affine @ [4.5, 9.5, 15, 1], [3, -4, 5, 1])


@pytest.mark.parametrize("orientation", ["RIP", "SPL"])
def test_sphere_of_20_mm_measures_20_mm(orientation):
    spacing, centre = (0.8, 0.63, 0.55), (2.3, -3.1, 1.7)
    grid = centred_grid((40, 50, 56), spacing, orientation)
    canvas = Canvas(grid, ANKLE)
    canvas.split(2)
    sphere = Bone("ball", ellipsoid(centre, 10), lambda p: 0, lambda p: 0.5, lambda p: 0)
    masks = paint_bone(
        canvas, sphere, pose(), draw_textures(grid, 2, np.random.default_rng(0), "cpu")
    )
    mask = masks["bone"].numpy()
    for axis in range(3):
        seen = np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis)))
        assert abs((seen[-1] - seen[0] + 1) * spacing[axis] - 20) <= spacing[axis]
    assert mask.sum() * np.prod(spacing) == pytest.approx(4 / 3 * np.pi * 1000, rel=5e-3)
    voxels = np.argwhere(mask)
    world = voxels @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    assert np.allclose(world.mean(0), centre, atol=0.05)
    assert not masks["cartilage"].any()


@pytest.mark.parametrize("subslices", [1, 2, 4])
def test_partial_volume_keeps_the_volume(subslices):
    grid = centred_grid((12, 40, 40), (2.4, 0.7, 0.7), "RIP", centre=(0.4, 0, 0))
    canvas = Canvas(grid, ANKLE)
    canvas.split(subslices)
    canvas.fill(ellipsoid((0, 0, 0), 10), "fat")
    share = canvas.fat.mean(1) / canvas.signals["fat"][1]
    partial = ((share > 0.01) & (share < 0.99)).float().mean()
    assert float(share.max()) == pytest.approx(1)
    assert 0.01 < float(partial) < 0.2
    volume = float(share.sum()) * np.prod(grid.spacing_mm)
    assert volume == pytest.approx(4 / 3 * np.pi * 1000, rel={1: 0.04, 2: 0.01, 4: 0.01}[subslices])


def test_bone_has_its_layers():
    grid = centred_grid((60, 60, 60), (0.5, 0.5, 0.5), "RIP")
    canvas = Canvas(grid, ANKLE)
    textures = draw_textures(grid, 2, np.random.default_rng(0), "cpu")
    plate = Plate(lambda p: p.z + 0 * p.x, 1.5)
    ball = Bone("ball", ellipsoid((0, 0, 0), 12), lambda p: 3, lambda p: 1.5, lambda p: 0, (plate,))
    masks = paint_bone(canvas, ball, pose(), textures)
    bone, cartilage = (masks[k].numpy() for k in ("bone", "cartilage"))
    assert bone.sum() / 8 == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.01)
    assert (bone | cartilage).sum() / 8 == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.01)
    assert not (bone & cartilage).any()
    line = (canvas.water + canvas.fat)[30, 0, :, 30].numpy()  # from the top, z = 14.75, down
    z = grid.axis(1)[1]
    level = {name: sum(canvas.signals[name]) for name in canvas.signals}
    at_z = {mm: float(line[np.argmin(abs(z - mm))]) for mm in (10.5, 8.25, 5.0, 0.0)}
    assert at_z[10.5] == pytest.approx(level["cartilage"], rel=0.25)
    assert at_z[8.25] < 0.1 * level["cartilage"]
    assert at_z[5.0] == pytest.approx(level["yellow marrow"], rel=0.3)
    assert at_z[0.0] == pytest.approx(level["growth plate"], rel=0.05)


def test_nothing_is_painted_out_of_view():
    grid = centred_grid((8, 16, 16), (1, 1, 1), "RIP")
    canvas = Canvas(grid, ANKLE)
    canvas.fill(ellipsoid((100, 0, 0), 10), "fat")
    assert canvas.box(ellipsoid((100, 0, 0), 10), 1) is None
    assert canvas.near(ellipsoid((100, 0, 0), 10), 1) is None
    assert not canvas.fat.any()


def test_noise_is_the_same_field_at_every_resolution():
    fields = []
    for n in (32, 96):
        grid = centred_grid((n, n, n), (48 / n,) * 3, "RIP")
        fields.append(noise(grid, 12, np.random.default_rng(5), smooth=True))
    fine = torch.nn.functional.avg_pool3d(fields[1][None, None], 3)[0, 0]
    assert float((fine - fields[0]).abs().max()) < 0.1
    assert float(fields[1].std()) == pytest.approx(1, abs=0.3)


def test_examination_keeps_its_field_of_view():
    extent = (66.0, 161.0, 140.0)
    shapes = {}
    for size in (None, 96, (24, 96, 80)):
        grid = examination_grid(extent, 0.66, size, "RIP", (0, 0, 0))
        assert np.allclose(np.multiply(grid.shape, grid.spacing_mm), extent)
        shapes[str(size)] = grid.shape
    assert list(shapes.values()) == [(100, 256, 256), (38, 96, 96), (24, 96, 80)]
