"""Components and closing in 3-D against brute force, scikit-image and hand-made volumes."""

from itertools import product

import numpy as np
import pytest
from skimage import morphology

from lib.base.errors import SettingError
from lib.metrics.postprocessing import (
    ball,
    clean_bones,
    clean_union,
    close_by_ball,
    labels_by_argmax,
    largest_components,
)


def components_by_flooding(mask):
    """Sets of voxels that touch by face, edge or corner, in order of their first voxel."""
    left, found = {tuple(voxel) for voxel in np.argwhere(mask).tolist()}, []
    steps = [step for step in product((-1, 0, 1), repeat=3) if any(step)]
    for voxel in sorted(left):
        if voxel not in left:
            continue
        part, front = set(), [voxel]
        left.discard(voxel)
        while front:
            part.add(here := front.pop())
            around = {tuple(np.add(here, step).tolist()) for step in steps} & left
            left -= around
            front += around
        found.append(part)
    return found


def closing_by_brute_force(mask, radius):
    """A voxel stays out if some ball that holds it, centred anywhere, misses the mask."""
    reach = 2 * radius
    large = np.pad(mask, reach)
    offsets = [
        o for o in product(range(-radius, radius + 1), repeat=3) if np.dot(o, o) <= radius**2
    ]
    dilated = np.zeros_like(large)
    for voxel in np.argwhere(large):
        for offset in offsets:
            dilated[tuple(voxel + offset)] = True
    found = np.zeros_like(mask)
    for voxel in np.ndindex(mask.shape):
        centre = np.add(voxel, reach)
        found[voxel] = all(dilated[tuple(centre + offset)] for offset in offsets)
    return found


def random_mask(seed, shape=(7, 9, 8), share=0.12):
    return np.random.default_rng(seed).random(shape) < share


# --- components


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [1, 2, 3])
def test_components_equal_flooding(seed, count):
    mask = random_mask(seed, share=0.06)
    parts = sorted(components_by_flooding(mask), key=len, reverse=True)  # stable
    expected = np.zeros_like(mask)
    for part in parts[:count]:
        expected[tuple(np.transpose(list(part)))] = True
    assert len(parts) > 3
    np.testing.assert_array_equal(largest_components(mask, count), expected)


def test_corners_connect():
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[2, 2, 2] = True
    assert largest_components(mask).sum() == 3


def test_slices_of_one_bone_are_one_component_through_the_volume():
    """In each slice the islet is larger; in the volume the bone is."""
    mask = np.zeros((6, 12, 12), bool)
    mask[:, 1:4, 1:4] = True
    mask[2, 6:11, 6:11] = True
    expected = mask.copy()
    expected[2, 6:11, 6:11] = False
    np.testing.assert_array_equal(largest_components(mask), expected)
    np.testing.assert_array_equal(largest_components(mask, 2), mask)


def test_fewer_components_than_asked_and_empty_masks():
    mask = np.zeros((3, 4, 5), bool)
    assert not largest_components(mask, 3).any()
    mask[1, 2, 3] = True
    np.testing.assert_array_equal(largest_components(mask, 3), mask)
    assert largest_components(~np.zeros((2, 2, 2), bool)).all()


# --- closing


def test_ball_has_the_voxels_of_scikit_image():
    assert ball(2).shape == (5, 5, 5)
    assert ball(2).sum() == 33  # 1 + 6 + 12 + 8 + 6
    for radius in (1, 2, 3):
        np.testing.assert_array_equal(ball(radius), morphology.ball(radius).astype(bool))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("radius", [1, 2])
def test_closing_equals_brute_force(seed, radius):
    mask = random_mask(seed)
    found = close_by_ball(mask, radius)
    np.testing.assert_array_equal(found, closing_by_brute_force(mask, radius))
    assert found.sum() > mask.sum()


def test_closing_equals_scikit_image_away_from_the_border():
    mask = np.pad(random_mask(1, (12, 14, 13)), 4)
    expected = morphology.closing(mask, morphology.ball(2))
    np.testing.assert_array_equal(close_by_ball(mask), expected)


def test_closing_fills_small_gaps_and_keeps_wide_ones():
    mask = np.zeros((9, 20, 20), bool)
    mask[:, 2:10, 2:18] = True
    mask[4, 5, 9] = False
    mask[:, 13:18, 2:18] = True  # 3 voxels apart
    closed = close_by_ball(mask)
    assert closed[4, 5, 9]
    assert closed[4, 11, 9]  # the ball of radius 2 does not fit between
    mask[:, 13:16] = False
    assert not close_by_ball(mask)[4, 12, 9]


def test_closing_does_not_eat_what_leaves_the_volume():
    mask = np.zeros((5, 9, 9), bool)
    mask[:, 3:6, 3:6] = True
    np.testing.assert_array_equal(close_by_ball(mask), mask)
    assert close_by_ball(np.ones((4, 4, 4), bool)).all()


def test_closing_leaves_its_input_and_has_no_effect_twice():
    mask = random_mask(7)
    before = mask.copy()
    closed = close_by_ball(mask)
    np.testing.assert_array_equal(mask, before)
    np.testing.assert_array_equal(close_by_ball(closed), closed)
    np.testing.assert_array_equal(close_by_ball(mask, 0), mask)
    assert not close_by_ball(np.zeros((3, 3, 3), bool)).any()


# --- labels


def test_claims_by_hand():
    probabilities = np.array([[0.9, 0.6, 0.4, 0.5], [0.2, 0.7, 0.3, 0.5]]).reshape(2, 1, 1, 4)
    assert labels_by_argmax(probabilities).ravel().tolist() == [1, 2, 0, 0]
    assert labels_by_argmax(probabilities, 0.35).ravel().tolist() == [1, 2, 1, 1]


def two_bones():
    labels = np.zeros((8, 20, 20), np.uint8)
    labels[:, 2:9, 2:18] = 1
    labels[:, 11:18, 2:18] = 2  # 2 voxels apart
    return labels


def test_bones_lose_islets_and_holes_each_on_its_own():
    labels, noisy = two_bones(), two_bones()
    noisy[3, 4, 5] = 0  # a hole
    noisy[3, 14, 6:9] = 1  # an islet of one bone inside the other
    noisy[0, 0, 0] = 2
    found = clean_bones(noisy, 2)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, labels)


def test_no_bone_grows_into_another():
    """Bone 2 is a plate in a slit of bone 1, which closing would fill; a hole in it goes to 1."""
    labels = np.zeros((8, 14, 14), np.uint8)
    labels[:, 2:12, 2:12] = 1
    labels[:, 2:10, 7] = 2
    assert close_by_ball(labels == 1)[1:-1, 4:8, 7].all()
    expected = labels.copy()
    labels[4, 5, 7], expected[4, 5, 7] = 0, 1
    np.testing.assert_array_equal(clean_bones(labels, 2), expected)


def test_absent_bones_and_empty_volumes_stay_so():
    labels = two_bones()
    labels[labels == 1] = 0
    assert set(np.unique(clean_bones(labels, 3))) == {0, 2}
    assert not clean_bones(np.zeros((3, 4, 5), np.uint8), 3).any()


def test_union_keeps_as_many_components_as_bones():
    mask = np.zeros((8, 24, 20), bool)
    mask[:, 2:9, 2:18] = mask[:, 15:22, 2:16] = True
    noisy = mask.copy()
    noisy[0, 0, 0], noisy[3, 4, 5] = True, False
    np.testing.assert_array_equal(clean_union(noisy, 2), mask)
    mask[:, 15:22] = False
    np.testing.assert_array_equal(clean_union(noisy, 1), mask)


def test_union_joins_bones_that_are_near():
    """Unlike bones with a label each: one reason for the strategy's fused bones."""
    labels = two_bones()
    assert close_by_ball(labels > 0)[4, 9:11, 9].all()
    assert not clean_bones(labels, 2)[4, 9:11, 9].any()


def test_what_cannot_be_is_named():
    with pytest.raises(SettingError, match="found the shape \\(4, 4\\); expected D x H x W"):
        close_by_ball(np.ones((4, 4), bool))
    with pytest.raises(SettingError, match="found label 2; expected 0 to 1"):
        clean_bones(two_bones(), 1)
