"""Multi-crop views: permutation, rejection, ranges, the law of the boxes, geometry and light."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from lib.data import views
from lib.data.preprocess import IMAGENET_MEAN, IMAGENET_SD
from lib.data.views import box_of, box_shares, hand_augmenter, multi_crop

SIZES = (24, 12)


def bones(count=16, side=48, width=0.12):
    """Leaning bars: pictures and masks, count x 1 x side x side."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, side)] * 2, indexing="ij")
    lean = torch.linspace(-0.3, 0.3, count)[:, None, None]
    masks = ((x - lean * y).abs() < width)[:, None]
    noise = torch.rand(masks.shape, generator=torch.Generator().manual_seed(0))
    return (0.3 + 0.7 * noise) * masks, masks


def in_unit_range(view):
    mean, sd = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_SD))
    return view * sd + mean


def test_views_do_not_depend_on_the_batch():
    images, masks = bones()
    seeds = torch.arange(100, 116)
    found, _ = multi_crop(images, masks, seeds, SIZES)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    permuted, _ = multi_crop(images[order], masks[order], seeds[order], SIZES)
    alone, _ = multi_crop(images[3:4], masks[3:4], seeds[3:4], SIZES)
    for view, other, single in zip(found, permuted, alone, strict=True):
        assert torch.equal(view[order], other)
        assert torch.allclose(view[3:4], single, atol=1e-5)


def test_shapes_and_seeding():
    images, masks = bones(5)
    first, _ = multi_crop(images, masks, torch.Generator().manual_seed(2), SIZES, (2, 5))
    again, _ = multi_crop(images, masks, torch.Generator().manual_seed(2), SIZES, (2, 5))
    other, _ = multi_crop(images, masks, torch.Generator().manual_seed(3), SIZES, (2, 5))
    assert [tuple(v.shape) for v in first] == [(5, 3, 24, 24)] * 2 + [(5, 3, 12, 12)] * 5
    assert all(map(torch.equal, first, again)) and not any(map(torch.equal, first, other))
    assert not torch.equal(first[0], first[1])  # each view has chances of its own


def test_constrained_views_lie_on_the_bone_and_conventional_ones_often_do_not():
    images, masks = bones(200)
    shares = {}
    for constrained in (True, False):
        found, empty = multi_crop(
            masks.float(), masks, torch.arange(200), (64, 64), constrained=constrained
        )
        # whatever the light, a pixel of the bone is brighter than the black beside it
        bright = [in_unit_range(view)[:, 0] for view in found]
        on = torch.stack([(v - v.amin((1, 2), True) > 0.1).float().mean((1, 2)) for v in bright])
        shares[constrained] = empty, (on < 0.08).float().mean()
    assert shares[True][0] == 0 and shares[True][1] < 0.02
    assert shares[False][0] > 0.2 and shares[False][1] > 0.1


def test_a_conventional_view_is_the_first_try():
    images, masks = bones(32)
    on, _ = multi_crop(images, masks, torch.arange(32), SIZES)
    off, empty = multi_crop(images, masks, torch.arange(32), SIZES, constrained=False)
    kept = torch.stack([(a == b).flatten(1).all(1) for a, b in zip(on, off, strict=True)])
    assert kept.float().mean() == pytest.approx(1 - empty, abs=1e-6)


def test_without_any_bone_the_best_try_is_taken():
    images, masks = torch.rand(4, 1, 32, 32), torch.zeros(4, 1, 32, 32)
    found, empty = multi_crop(images, masks, torch.arange(4), SIZES)
    assert empty == 1 and all(torch.isfinite(view).all() for view in found)
    shares = torch.tensor([[[0.0, 0.05, 0.02], [0.05, 0.2, 0.9]]])
    assert views._first_good(shares).tolist() == [[1, 1]]


@pytest.mark.parametrize("scale", views.SCALES)
def test_boxes_have_swavs_areas_and_aspects_and_lie_inside(scale):
    draws = torch.rand(20000, 1, 1, 4, generator=torch.Generator().manual_seed(0))
    low, high = (torch.tensor([v]) for v in scale)
    left, top, width, height = box_of(draws, low, high)[:, 0, 0].double().T.numpy()
    assert kstest(width * height, "uniform", (scale[0], scale[1] - scale[0])).pvalue > 0.01
    aspect = width / height
    assert 0.75 - 1e-5 <= aspect.min() < 0.78 and 1.3 < aspect.max() <= 4 / 3 + 1e-5
    assert np.log(aspect).mean() == pytest.approx(0, abs=0.01)
    assert min(left.min(), top.min()) >= 0
    assert max((left + width).max(), (top + height).max()) <= 1 + 1e-6
    places = left / np.maximum(1 - width, 1e-9)
    assert kstest(places[width < 0.99], "uniform").pvalue > 0.01


def test_shares_equal_a_count_of_fine_pixels():
    random = torch.Generator().manual_seed(4)
    masks = (torch.rand(3, 2, 8, 8, generator=random) < 0.4).float()
    boxes = (torch.rand(3, 2, 5, 4, generator=random) * 0.5 * 64).round() / 64
    boxes[..., 2:] += 1 / 64
    found = box_shares(masks, boxes)
    fine = masks.repeat_interleave(8, -1).repeat_interleave(8, -2)
    for place in np.ndindex(3, 2, 5):
        left, top, width, height = (boxes[place] * 64).int().tolist()
        part = fine[place[:2]][top : top + height, left : left + width]
        assert float(found[place]) == pytest.approx(float(part.mean()), abs=2e-4)


def test_the_share_tested_is_that_of_the_view():
    _, masks = bones(40, side=96)
    draws = torch.rand(40, 3, 7, generator=torch.Generator().manual_seed(5))
    turns = views._turns(draws)
    boxes = torch.tensor([[0.1, 0.2, 0.4, 0.5]]).expand(40, 3, 1, 4)
    tested = box_shares(views._turned(masks.float(), turns, views.TEST_SIDE), boxes)[..., 0]
    seen = views._sampled(masks.float(), views._affine(turns, boxes[:, :, 0]), 96).mean((-2, -1))
    assert (tested - seen).abs().max() < 0.01


def test_turn_shift_and_flips_stay_in_their_ranges_and_are_what_they_say():
    draws = torch.rand(4000, 1, 7, generator=torch.Generator().manual_seed(6))
    maps = views._turns(draws)[:, 0].double()
    matrix, moved = maps[..., :2], maps[..., 2]
    assert torch.allclose(matrix @ matrix.mT, torch.eye(2).double(), atol=1e-5)
    flipped = torch.linalg.det(matrix) < 0  # by one of the flips, not both
    assert flipped.double().mean() == pytest.approx(0.5, abs=0.03)
    unflipped = matrix * torch.where(draws[:, 0, 3:5] < 0.5, -1, 1)[:, None]
    angle = torch.atan2(unflipped[:, 1, 0], unflipped[:, 0, 0]).rad2deg()
    assert 29 < angle.max() <= 30.001 and -30.001 <= angle.min() < -29
    shift = torch.linalg.solve(matrix, moved[..., None]).abs() / 2  # of the side
    assert 0.098 < shift.max() <= 0.1001


def test_light_is_brightness_then_contrast():
    pictures = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(7))
    found = views._lit(pictures, torch.tensor([[[0.25, 0.9]]]))  # factors 0.75 and 1.4
    dark = 0.75 * pictures
    assert torch.allclose(found, (dark.mean() + 1.4 * (dark - dark.mean())).clamp(0, 1))
    assert torch.allclose(views._lit(pictures, torch.full((1, 1, 2), 0.5)), pictures, atol=1e-6)


def test_the_segmentations_augmenter_moves_picture_and_masks_alike():
    picture = np.zeros((65, 65), np.uint8)
    picture[10:30, 20:50] = 200
    masks = np.stack([picture > 0, np.zeros_like(picture, bool)])
    change = hand_augmenter(seed=1)
    seen = set()
    for index in range(12):
        found = change(0, index, image=picture, masks=masks)
        assert found["masks"].shape == masks.shape and not found["masks"][1].any()
        assert ((found["image"] > 100) != found["masks"][0]).mean() < 0.02
        assert found["masks"][0].sum() == pytest.approx(masks[0].sum(), rel=0.05)
        seen.add(tuple(np.sign(np.argwhere(found["masks"][0]).mean(0) - 32).tolist()))
        again = hand_augmenter(seed=1)(0, index, image=picture, masks=masks)
        assert np.array_equal(again["image"], found["image"])
    assert {place[0] for place in seen} == {-1, 1}  # upside down, too
    assert math.isclose(views.TURN, math.pi / 6)
