"""Patches of bones: boxes, margins, edges of the picture, absent bones, random squares, files."""

import numpy as np
import pytest

from lib.base.errors import SettingError
from lib.data.bone_patches import (
    NO_BONE,
    Box,
    absent_bones,
    bone_box,
    bone_patches,
    cut,
    joined,
    packed_patches,
    random_patches,
    read_patches,
    whole_image,
)


def rectangle(shape, rows, columns):
    mask = np.zeros(shape, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def test_the_box_is_the_longer_side_with_five_percent_on_each_side():
    mask = rectangle((100, 90), (10, 50), (60, 70))  # 40 high, 10 wide
    assert bone_box(mask) == Box(top=8, left=43, side=44)
    assert bone_box(mask, margin=0) == Box(top=10, left=45, side=40)
    with pytest.raises(SettingError, match="found no pixel"):
        bone_box(np.zeros((5, 5), bool))


@pytest.mark.parametrize("seed", range(20))
def test_the_box_holds_every_pixel_and_is_centred(seed):
    rng = np.random.default_rng(seed)
    mask = rng.uniform(size=(40, 30)) < 0.01
    mask[rng.integers(40), rng.integers(30)] = True
    box = bone_box(mask)
    assert cut(mask, box).sum() == mask.sum()
    for axis, start in ((1, box.top), (0, box.left)):
        hit = np.flatnonzero(mask.any(axis))
        before, after = hit[0] - start, start + box.side - 1 - hit[-1]
        assert min(before, after) >= 0 and abs(before - after) <= 1


def test_a_box_beyond_the_picture_is_black_there():
    image = np.arange(1, 13, dtype=float).reshape(3, 4)
    expected = np.pad(image, 5)
    for top in range(-5, 4):
        for left in range(-5, 5):
            square = expected[top + 5 : top + 9, left + 5 : left + 9]
            assert np.array_equal(cut(image, Box(top, left, 4)), square)


def test_a_patch_is_bone_times_mask_from_minimum_to_maximum():
    rng = np.random.default_rng(0)
    image = rng.uniform(0.2, 0.6, (60, 50)).astype(np.float32)
    masks = np.stack([rectangle(image.shape, (20, 40), (10, 20)), np.zeros_like(image, bool)])
    patches = bone_patches(image, masks, row=7, side=22)  # 20 + 2 x 1: no resizing
    assert patches.images.shape == patches.masks.shape == (1, 22, 22)
    assert patches.rows.tolist() == [7] and patches.bones.tolist() == [0]
    assert patches.side_px.tolist() == [22]
    box = bone_box(masks[0])
    inside = cut(masks[0], box)
    assert np.array_equal(patches.masks[0], inside)
    grey = cut(image, box) * inside
    assert patches.images[0] == pytest.approx(grey / grey.max() * 255, abs=0.51)
    assert patches.images[0].max() == 255 and not patches.images[0][~inside].any()


@pytest.mark.parametrize("side", [20, 64])
def test_resizing_keeps_place_and_share_of_the_bone(side):
    image = np.ones((60, 60), np.float32)
    mask = rectangle(image.shape, (10, 50), (25, 35))[None]
    patch = bone_patches(image, mask, 0, side)
    assert patch.masks.mean() == pytest.approx(400 / 44**2, rel=0.2)
    assert np.argwhere(patch.masks[0]).mean(0) == pytest.approx([side / 2 - 0.5] * 2, abs=0.6)
    assert np.array_equal(patch.images > 0, patch.masks)


def test_absent_bones_are_counted():
    image = np.ones((30, 30), np.float32)
    bone, none = rectangle(image.shape, (5, 25), (10, 15)), np.zeros_like(image, bool)
    cases = [[bone, bone, none], [bone, none, none], [none, none, none]]
    patches = joined(bone_patches(image, np.stack(m), n, 8) for n, m in enumerate(cases))
    assert patches.images.dtype == np.uint8 and patches.bones.dtype == np.int64
    assert patches.rows.tolist() == [0, 0, 1]
    assert absent_bones(patches, 3, 3).tolist() == [1, 2, 3]
    assert patches.select(patches.rows == 1).bones.tolist() == [0]


def test_random_patches_are_seven_squares_of_the_stated_size_in_the_picture():
    image = np.random.default_rng(0).uniform(0.1, 1, (897, 629)).astype(np.float32)
    patches = joined(random_patches(image, row, 16, seed=3) for row in range(20))
    assert len(patches.images) == 140 and (patches.bones == NO_BONE).all()
    assert patches.masks.all()
    assert 128 <= patches.side_px.min() < 140 and 245 < patches.side_px.max() <= 256
    assert (patches.images > 0).mean() > 0.99  # nothing from beyond the picture
    again = random_patches(image, 5, 16, seed=3)
    assert np.array_equal(again.images, patches.select(patches.rows == 5).images)
    other = random_patches(image, 5, 16, seed=4)
    assert not np.array_equal(again.images, other.images)


def test_random_patches_fit_into_a_picture_of_any_shape():
    image = np.ones((400, 30), np.float32)
    assert random_patches(image, 0, 8, 0).side_px.max() <= 30


def test_the_whole_picture_is_centred_in_a_square():
    image = np.ones((40, 20), np.float32)
    patch = whole_image(image, 2, 40)
    assert patch.side_px.tolist() == [40] and patch.rows.tolist() == [2]
    columns = np.flatnonzero(patch.masks[0].any(0))
    assert columns.tolist() == list(range(10, 30)) and patch.masks[0].any(1).all()


def test_patches_come_back_from_a_file(tmp_path):
    rng = np.random.default_rng(1)
    image = rng.uniform(size=(50, 50)).astype(np.float32)
    mask = rectangle(image.shape, (3, 40), (20, 30))[None]
    patches = joined([bone_patches(image, mask, 1, 13), random_patches(image, 2, 13, 0)])
    np.savez(tmp_path / "patches.npz", **packed_patches(patches))
    found = read_patches(tmp_path / "patches.npz")
    for name in patches._fields:
        expected, array = getattr(patches, name), getattr(found, name)
        assert array.dtype == expected.dtype and np.array_equal(array, expected)
