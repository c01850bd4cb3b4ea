"""The ankle scene: truth recomputed from its own voxels."""

import nibabel
import numpy as np
import pytest
import torch
from scipy import ndimage

from lib.phantoms.physics import scan
from lib.phantoms.scenes.ankle_mr import scene as ankle_mr
from lib.phantoms.shapes.geometry import pose, transformed
from lib.phantoms.shapes.tissue import paint_bone

QUICK = (24, 96, 96)
FINE = (48, 96, 96)


@pytest.fixture(scope="module")
def cases():
    """Two pathological and two healthy examinations."""
    return {index: ankle_mr.generate(0, index, FINE) for index in (1, 3, 8, 12)}


def world(phantom, mask):
    """RAS millimetres of a mask's voxels, N x 3."""
    affine = np.array(phantom.truth["affine"])
    return nibabel.affines.apply_affine(affine, np.argwhere(mask))


def long_axis(points):
    """Unit vector along which points spread most, in the sagittal plane (y, z)."""
    plane = points[:, 1:] - points[:, 1:].mean(0)
    return np.linalg.svd(plane, full_matrices=False)[2][0]


def test_contract(cases):
    for phantom in cases.values():
        assert phantom.image.shape == FINE
        assert phantom.image.dtype == np.float32
        assert np.isfinite(phantom.image).all()
        assert phantom.image.min() >= 0
        assert np.allclose(np.multiply(phantom.spacing_mm, FINE), ankle_mr.EXTENT_MM)
        names = list(ankle_mr.STRUCTURES)
        assert list(phantom.masks) == names + [f"{name}_cartilage" for name in names]
        for mask in phantom.masks.values():
            assert mask.shape == FINE
            assert mask.dtype == bool
            assert mask.any()


def test_affine_agrees_with_the_spacing(cases):
    for phantom in cases.values():
        affine = np.array(phantom.truth["affine"])
        assert nibabel.aff2axcodes(affine) == tuple(phantom.truth["orientation"])
        assert np.allclose(nibabel.affines.voxel_sizes(affine), phantom.spacing_mm)


def test_same_seed_same_bytes():
    state = torch.get_rng_state()
    first, again, other, seed = (
        ankle_mr.generate(s, i, QUICK) for s, i in ((3, 4), (3, 4), (3, 5), (4, 4))
    )
    assert first.image.tobytes() == again.image.tobytes()
    assert all((first.masks[k] == again.masks[k]).all() for k in first.masks)
    assert first.truth == again.truth
    assert abs(first.image - other.image).max() > 100
    assert abs(first.image - seed.image).max() > 100
    assert torch.equal(torch.get_rng_state(), state)


def test_number_of_threads_does_not_matter():
    threads, images = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            images.append(ankle_mr.generate(3, 4, QUICK).image.tobytes())
    finally:
        torch.set_num_threads(threads)
    assert images[0] == images[1]


def test_seventeen_examinations():
    subjects = [ankle_mr.draw_subject(0, index)[0] for index in range(34)]
    names = [subject["subject"] for subject in subjects]
    assert names[:8] == [f"A_P,{n}" for n in range(1, 8)] + ["A_H,1"]
    assert names[16:18] == ["A_H,10", "A_P,8"] and names[-1] == "A_H,20"
    assert len(set(names)) == 34
    assert subjects[0]["age_years"] != subjects[17]["age_years"]
    for subject in subjects:
        equinus = subject["pathology"] == "equinus"
        assert equinus == (subject["flexion_deg"] > 20)
        assert 7 <= subject["age_years"] <= 13
        assert 0.5 <= subject["slice_mm"] <= 0.8


def test_size_changes_sampling_not_anatomy():
    coarse = ankle_mr.generate(0, 9, QUICK)
    fine = ankle_mr.generate(0, 9, FINE)
    tall = ankle_mr.generate(0, 9, 64)
    assert tall.image.shape[1:] == (64, 64)
    assert np.allclose(np.multiply(tall.spacing_mm, tall.image.shape), ankle_mr.EXTENT_MM)
    for name in ankle_mr.STRUCTURES:
        volumes = [p.masks[name].sum() * np.prod(p.spacing_mm) for p in (coarse, fine, tall)]
        assert np.allclose(volumes, volumes[1], rtol=0.04)
        centres = [world(p, p.masks[name]).mean(0) for p in (coarse, fine, tall)]
        assert np.allclose(centres, centres[1], atol=0.5)


def test_bones_are_whole_and_apart(cases):
    for phantom in cases.values():
        assert sum(mask.astype(int) for mask in phantom.masks.values()).max() == 1
        for name in ankle_mr.STRUCTURES:
            parts, count = ndimage.label(phantom.masks[name], np.ones((3, 3, 3)))
            largest = np.bincount(parts.ravel())[1:].max()
            assert largest > 0.97 * phantom.masks[name].sum(), (name, count)


def test_bones_have_a_childs_size(cases):
    for phantom in cases.values():
        size = phantom.truth["size"]
        volume = {k: v.sum() * np.prod(phantom.spacing_mm) for k, v in phantom.masks.items()}
        whole = {n: volume[n] + volume[f"{n}_cartilage"] for n in ankle_mr.STRUCTURES}
        # Of an adult man: talus about 30 to 40 ml, calcaneus 55 to 80 ml.
        assert 26e3 < whole["talus"] / size**3 < 46e3
        assert 45e3 < whole["calcaneus"] / size**3 < 85e3


def test_cartilage_thins_with_age():
    origin = torch.zeros(1)
    mantles = []
    for age in (7.0, 10.0, 13.0):
        talus = next(b for b, _ in ankle_mr.bones(age, pose()) if b.name == "talus")
        mantles.append(float(talus.mantle(origin)))
    assert mantles == sorted(mantles, reverse=True)
    assert mantles[-1] < 0.6 * mantles[0]


def test_flexion_is_in_the_image(cases):
    """The calcaneus turns against the tibia by the flexion angle, up to how bodies differ."""
    difference = []
    for phantom in cases.values():
        tibia = long_axis(world(phantom, phantom.masks["tibia"]))
        heel = long_axis(world(phantom, phantom.masks["calcaneus"]))
        tibia, heel = tibia * np.sign(tibia[1]), heel * np.sign(heel[0])  # up, to the toes
        angle = np.rad2deg(
            np.arctan2(heel[1], heel[0]) - np.arctan2(tibia[1], tibia[0]) + np.pi / 2
        )
        difference.append(angle + phantom.truth["flexion_deg"])
    assert np.ptp(difference) < 16
    assert 5 < np.mean(difference) < 30  # pitch of the calcaneus


def test_side_is_in_the_image(cases):
    """The medial malleolus is the lowest of the tibia."""
    sides = set()
    for phantom in cases.values():
        points = world(phantom, phantom.masks["tibia"])
        low = points[points[:, 2] < np.percentile(points[:, 2], 2)]
        high = points[points[:, 2] > np.percentile(points[:, 2], 50)]
        to_medial = -1 if phantom.truth["side"] == "right" else 1
        assert to_medial * (low[:, 0].mean() - high[:, 0].mean()) > 4
        sides.add(phantom.truth["side"])
    assert sides == {"left", "right"}


def test_bone_is_dark_outside_and_bright_inside():
    phantom = ankle_mr.generate(0, 10, (60, 160, 160))
    for name in ("talus", "calcaneus"):
        mask = phantom.masks[name]
        core = ndimage.binary_erosion(mask, iterations=4)
        rim = mask & ~ndimage.binary_erosion(mask)
        marrow, cortex = (phantom.image[m].mean() for m in (core, rim))
        cartilage = phantom.image[phantom.masks[f"{name}_cartilage"]].mean()
        assert marrow > 1.3 * cartilage
        assert cortex < 0.7 * marrow


def test_voxels_left_out_of_a_bone_are_not_in_it():
    """Bones are painted near a coarse search only; the dense distance finds no other voxel."""
    subject, rng = ankle_mr.draw_subject(0, 2)
    leg, foot = ankle_mr.place(subject, rng)
    grid = scan.examination_grid(ankle_mr.EXTENT_MM, 1, FINE, "RIP", (0, 0, 0))
    canvas = ankle_mr.Canvas(grid, ankle_mr.SEQUENCE)
    canvas.split(2)
    textures = scan.draw_textures(grid, 2, rng, "cpu")
    everywhere = slice(0, 48), slice(None), slice(0, 96), slice(0, 96)
    for bone, at in ankle_mr.bones(subject["age_years"], foot):
        masks = paint_bone(canvas, bone, leg.after(at), textures)
        dense = (
            transformed(bone.outline, leg.after(at)).distance(canvas.points(everywhere)).mean(1) < 0
        )
        found = masks["bone"] | masks["cartilage"]
        assert int((found != dense).sum()) <= 2, bone.name
