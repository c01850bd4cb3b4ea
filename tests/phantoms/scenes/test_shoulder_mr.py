"""The shoulder scene: truth recomputed from its own voxels."""

import nibabel
import numpy as np
import pytest
import torch
from scipy import ndimage

from lib.phantoms.physics import scan
from lib.phantoms.scenes.shoulder_mr import scene as shoulder_mr
from lib.phantoms.shapes.geometry import transformed
from lib.phantoms.shapes.solids import Points
from lib.phantoms.shapes.tissue import paint_bone

QUICK = (28, 96, 96)
FINE = (60, 96, 96)


@pytest.fixture(scope="module")
def cases():
    """Three children with palsy and three healthy ones."""
    return {index: shoulder_mr.generate(0, index, FINE) for index in (0, 1, 4, 9, 11, 12)}


def healthy_and_palsied(cases):
    groups = {"healthy": [], "obstetrical brachial plexus palsy": []}
    for phantom in cases.values():
        groups[phantom.truth["pathology"]].append(phantom)
    return groups.values()


def millilitres(phantom, name):
    return phantom.masks[name].sum() * np.prod(phantom.spacing_mm) / 1000


def test_contract(cases):
    for phantom in cases.values():
        assert phantom.image.shape == FINE
        assert phantom.image.dtype == np.float32
        assert np.isfinite(phantom.image).all()
        assert phantom.image.min() >= 0
        names = list(shoulder_mr.STRUCTURES)
        assert list(phantom.masks) == names + [f"{name}_cartilage" for name in names]
        for mask in phantom.masks.values():
            assert mask.shape == FINE
            assert mask.dtype == bool
            assert mask.any()
        assert sum(mask.astype(int) for mask in phantom.masks.values()).max() == 1


def test_affine_agrees_with_the_spacing(cases):
    for phantom in cases.values():
        affine = np.array(phantom.truth["affine"])
        assert nibabel.aff2axcodes(affine) == tuple(phantom.truth["orientation"])
        assert np.allclose(nibabel.affines.voxel_sizes(affine), phantom.spacing_mm)
        rows, columns = np.multiply(phantom.spacing_mm, FINE)[1:]
        assert rows / columns == pytest.approx(210 / 260)


def test_same_seed_same_bytes():
    first, again, other, seed = (
        shoulder_mr.generate(s, i, QUICK) for s, i in ((3, 4), (3, 4), (3, 5), (4, 4))
    )
    assert first.image.tobytes() == again.image.tobytes()
    assert all((first.masks[k] == again.masks[k]).all() for k in first.masks)
    assert first.truth == again.truth
    assert abs(first.image - other.image).max() > 100
    assert abs(first.image - seed.image).max() > 100


def test_fifteen_examinations():
    subjects = [shoulder_mr.draw_subject(0, index)[0] for index in range(31)]
    names = [subject["subject"] for subject in subjects]
    assert names[:8] == [f"S_P,{n}" for n in range(1, 8)] + ["S_H,1"]
    assert names[14:16] == ["S_H,8", "S_P,8"] and names[-2:] == ["S_H,16", "S_P,15"]
    assert len(set(names)) == 31
    moved = ["S_P,6", "S_H,2", "S_P,13", "S_H,10"]
    assert [s["subject"] for s in subjects if s["motion_px"]] == moved
    for subject in subjects:
        healthy = subject["pathology"] == "healthy"
        assert healthy == (subject["flattening"] == 1) == (subject["hypoplasia"] == 1)
        assert 5 <= subject["age_years"] <= 17
        assert 0.6 <= subject["slice_mm"] <= 1.0
        assert 0.24 <= subject["native_pixel_mm"] <= 0.37


def test_size_changes_sampling_not_anatomy():
    cases = [shoulder_mr.generate(0, 9, size) for size in (FINE, (72, 128, 128), 80)]
    extents = [np.multiply(p.spacing_mm, p.image.shape) for p in cases]
    assert np.allclose(extents, extents[0])
    for name, tolerance in (("humerus", 0.03), ("scapula", 0.06)):
        volumes = [millilitres(p, name) for p in cases]
        assert np.allclose(volumes, volumes[0], rtol=tolerance), (name, volumes)


def test_bones_are_whole(cases):
    for phantom in cases.values():
        for name in shoulder_mr.STRUCTURES:
            parts, _ = ndimage.label(phantom.masks[name], np.ones((3, 3, 3)))
            largest = np.bincount(parts.ravel())[1:].max()
            assert largest > 0.9 * phantom.masks[name].sum(), name


def test_palsy_makes_the_scapula_small(cases):
    healthy, palsied = (
        [millilitres(p, "scapula") / p.truth["size"] ** 3 for p in group]
        for group in healthy_and_palsied(cases)
    )
    assert max(palsied) < min(healthy)


@pytest.mark.parametrize("index", [0, 9])
def test_head_is_flattened_towards_the_glenoid(index):
    """Radii of the head along the glenoid's normal and upwards, by marching out of its centre."""
    subject, _ = shoulder_mr.draw_subject(0, index)
    joint = shoulder_mr.Joint(subject)
    head = transformed(shoulder_mr.humerus_shape(joint), joint.humerus)
    centre = joint.scapula.point(joint.head)
    radii = []
    for direction in ((-1, 0, 0), (0, 0, 1)):
        towards = joint.scapula.matrix @ direction / joint.scapula.scale
        steps = np.arange(0, 40, 0.02)
        march = torch.tensor(centre + steps[:, None] * towards, dtype=torch.float32)
        radii.append(steps[int((head.distance(Points(*march.T)) > 0).nonzero()[0])])
    assert radii[0] / radii[1] == pytest.approx(subject["flattening"], abs=0.06)


def test_head_meets_the_glenoid(cases):
    """The bones are apart by their cartilage and the joint space, and no more."""
    for phantom in cases.values():
        away = ndimage.distance_transform_edt(
            ~phantom.masks["humerus"], sampling=phantom.spacing_mm
        )
        gap = away[phantom.masks["scapula"]].min() / phantom.truth["size"]
        assert 1 < gap < 12


def test_side_is_in_the_image(cases):
    """The humerus lies lateral of the scapula, on the patient's right in a right shoulder."""
    sides = set()
    for phantom in cases.values():
        affine = np.array(phantom.truth["affine"])
        humerus, scapula = (
            nibabel.affines.apply_affine(affine, np.argwhere(phantom.masks[name])).mean(0)
            for name in shoulder_mr.STRUCTURES
        )
        lateral = 1 if phantom.truth["side"] == "right" else -1
        assert lateral * (humerus[0] - scapula[0]) > 20
        assert scapula[1] < humerus[1]  # behind
        sides.add(phantom.truth["side"])
    assert sides == {"left", "right"}


@pytest.mark.parametrize("index", [*shoulder_mr.OUTLIERS, 9, 11])
def test_motion_leaves_ghosts_in_the_air(index):
    """Air in front of the body has the Rician mean of pure noise, or more if the child moved."""
    phantom = shoulder_mr.generate(0, index, QUICK)
    sigma = 1000 * phantom.truth["noise"]
    body = ndimage.gaussian_filter(phantom.image, (0, 1, 1)) > 4 * sigma
    in_front = ~np.logical_or.accumulate(ndimage.binary_dilation(body, iterations=3), axis=1)
    ratio = phantom.image[in_front].mean() / (sigma * np.sqrt(np.pi / 2))
    if index in shoulder_mr.OUTLIERS:
        assert phantom.truth["noise"] >= 1.8 * shoulder_mr.RANGES["noise"][1]
        assert ratio > 1.05
    else:
        assert ratio == pytest.approx(1, abs=0.02)


def test_plates_close_and_marrow_yellows_with_age():
    joint = shoulder_mr.Joint(shoulder_mr.draw_subject(0, 9)[0])
    shaft = Points(torch.tensor([8.0]), torch.tensor([0.0]), torch.tensor([-45.0]))
    plates, red, mantles = [], [], []
    for age in (5.0, 11.0, 17.0):
        humerus = next(bone for bone, _ in shoulder_mr.bones(age, joint))
        plates.append(humerus.plates[0].thickness_mm)
        red.append(float(humerus.red(shaft)))
        mantles.append(float(humerus.mantle(Points(*torch.zeros(3, 1)))))
    for falling in (plates, red, mantles):
        assert falling == sorted(falling, reverse=True)
        assert falling[-1] < 0.7 * falling[0]


def test_voxels_left_out_of_a_bone_are_not_in_it():
    """Bones are painted near a coarse search only; the dense distance finds no other voxel."""
    shape = (40, 64, 64)
    subject, rng = shoulder_mr.draw_subject(0, 10)
    joint, trunk = shoulder_mr.Joint(subject), shoulder_mr.place(subject, rng)
    extent = np.multiply(shoulder_mr.EXTENT_MM, subject["view"])
    grid = scan.examination_grid(extent, 1, shape, "SPL", (0, 0, 0))
    canvas = shoulder_mr.Canvas(grid, shoulder_mr.SEQUENCE)
    canvas.split(2)
    textures = scan.draw_textures(grid, 2, rng, "cpu")
    everywhere = slice(0, 40), slice(None), slice(0, 64), slice(0, 64)
    for bone, pose in shoulder_mr.bones(subject["age_years"], joint):
        placed = trunk.after(pose)
        masks = paint_bone(canvas, bone, placed, textures)
        dense = transformed(bone.outline, placed).distance(canvas.points(everywhere))
        found = masks["bone"] | masks["cartilage"]
        assert int((found != (dense.mean(1) < 0)).sum()) <= 2, bone.name
