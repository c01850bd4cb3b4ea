"""lib.metrics against hand values, brute force, MONAI and surface-distance."""

import itertools
import math

import cv2
import numpy as np
import pytest
import surface_distance
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy import ndimage

from lib import metrics
from lib.base.errors import SettingError

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:surface_distance"),
    pytest.mark.filterwarnings("ignore::FutureWarning:monai"),
]

OVERLAPS = ("accuracy", "dice", "iou", "precision", "recall", "specificity")
DISTANCES = ("hd", "hd95", "assd")


def filled(shape, *corners):
    """A mask whose one box spans the given slices."""
    mask = np.zeros(shape, bool)
    mask[corners] = True
    return mask


# Two 3 x 3 squares, one pixel apart, in a 6 x 6 image.
SQUARE = filled((6, 6), slice(1, 4), slice(1, 4))
SHIFTED = filled((6, 6), slice(1, 4), slice(2, 5))


def brute_surface(mask):
    """Coordinates of the pixels with a face neighbour that is background or outside the image."""
    found = []
    for pixel in np.argwhere(mask):
        for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
            beside = pixel.copy()
            beside[axis] += step
            outside = not 0 <= beside[axis] < mask.shape[axis]
            if outside or not mask[tuple(beside)]:
                found.append(pixel)
                break
    return np.array(found)


def brute_distances(pred, target, spacing):
    """Both directions from all pairs of surface pixels."""
    between = (brute_surface(pred)[:, None] - brute_surface(target)) * np.array(spacing)
    lengths = np.sqrt((between**2).sum(-1))
    return lengths.min(1), lengths.min(0)


def random_mask(rng, shape):
    """Speckle, blobs, a thin line or one pixel; never empty; anything may touch the border."""
    kind = rng.integers(4)
    if kind == 0:
        mask = rng.random(shape) < rng.choice([0.01, 0.1, 0.5, 0.9])
    elif kind == 1:
        mask = ndimage.gaussian_filter(rng.normal(size=shape), 2.5) > rng.normal(0, 0.05)
    else:
        mask = np.zeros(shape, bool)
    start = tuple(rng.integers(shape))
    mask[start] = True
    if kind == 2:
        mask[start[:-1]] = True
    return mask


def blob_pair(seed, shape):
    """A smooth shape and a prediction whose outline is off by a few pixels."""
    rng = np.random.default_rng(seed)
    away = np.linalg.norm(np.indices(shape).T - (np.array(shape) - 1) / 2, axis=-1).T
    noise = [ndimage.gaussian_filter(rng.normal(size=shape), 4) for _ in range(2)]
    radius = min(shape) / 3
    target = away + 3 * noise[0] / noise[0].std() < radius
    pred = away + 3 * noise[0] / noise[0].std() + 1.5 * noise[1] / noise[1].std() < radius
    return pred, target


# --- hand values -------------------------------------------------------------------------------


def test_overlaps_of_shifted_squares():
    assert metrics.confusion(SQUARE, SHIFTED) == {"tp": 6, "fp": 3, "fn": 3, "tn": 24}
    assert metrics.dice(SQUARE, SHIFTED) == pytest.approx(2 / 3)
    assert metrics.iou(SQUARE, SHIFTED) == pytest.approx(1 / 2)
    assert metrics.specificity(SQUARE, SHIFTED) == pytest.approx(24 / 27)


def test_precision_and_recall_are_not_swapped():
    half = filled((6, 6), slice(1, 4), slice(1, 2))
    assert metrics.precision(half, SQUARE) == 1
    assert metrics.recall(half, SQUARE) == pytest.approx(1 / 3)
    assert metrics.relative_volume_difference(half, SQUARE) == pytest.approx(2 / 3)
    assert metrics.relative_volume_difference(SQUARE, half) == pytest.approx(2)


def test_surface_distances_of_shifted_squares():
    # The 8 rim pixels of each square: 4 lie on the other's rim, 4 one pixel beside it.
    expected = {"hd": 1, "hd95": 1, "assd": 0.5, "rvd": 0, "accuracy": 30 / 36, "dice": 2 / 3}
    found = metrics.evaluate_case(SQUARE, SHIFTED)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_percentiles_of_a_pixel_and_a_row():
    row = np.ones((1, 10), bool)
    pixel = filled((1, 10), 0, 0)
    # Directions: 0 and 0..9; pooled 0, 0, 1, .. 9, whose 95 % lies at place 9.5.
    assert metrics.hausdorff(pixel, row) == 9
    assert metrics.hausdorff(pixel, row, percentile=95) == pytest.approx(8.5)
    assert metrics.hausdorff(pixel, row, percentile=95, directed="max") == pytest.approx(8.55)
    assert metrics.average_symmetric_surface_distance(pixel, row) == pytest.approx(45 / 11)
    assert metrics.hausdorff(pixel, row, spacing=(9, 0.5)) == pytest.approx(4.5)


def test_diagonal_distance_uses_the_spacing_of_each_axis():
    one, other = filled((5, 5), 0, 0), filled((5, 5), 3, 4)
    assert metrics.hausdorff(one, other) == pytest.approx(5)
    assert metrics.hausdorff(one, other, spacing=(4, 1.25)) == pytest.approx(13)


def test_pixels_on_the_image_border_are_surface():
    full, centre = np.ones((5, 5), bool), filled((5, 5), 2, 2)
    outwards, inwards = metrics.surface_distances(full, centre)
    assert len(outwards) == 16  # the rim of the image, not 0 as if the mask went on outside
    assert inwards == [2]


def test_cropping_neither_makes_nor_hides_surface():
    pred, target = blob_pair(3, (40, 50))
    far = [np.pad(mask, ((30, 7), (0, 90))) for mask in (pred, target)]
    at_border = [mask[12:33, 20:] for mask in (pred, target)]
    assert at_border[0][0].any()
    for masks in ((pred, target), far, at_border):
        expected = brute_distances(*masks, (1, 1))
        for found, direction in zip(metrics.surface_distances(*masks), expected, strict=True):
            np.testing.assert_allclose(found, direction, atol=1e-12)


# --- empty masks -------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "diagonal"), [(256, 360.6), (512, 722.7)])
def test_one_empty_mask_gives_the_image_diagonal(side, diagonal):
    empty, some = np.zeros((side, side), bool), filled((side, side), slice(5, 9), slice(7, 9))
    for pred, target in ((empty, some), (some, empty)):
        found = metrics.evaluate_case(pred, target)
        assert [found[name] for name in DISTANCES] == pytest.approx([diagonal] * 3, abs=0.05)
        assert [found[name] for name in ("dice", "iou", "precision", "recall")] == [0, 0, 0, 0]
        assert found["specificity"] == pytest.approx(1, abs=1e-3)
    assert metrics.evaluate_case(empty, some)["rvd"] == 1
    assert math.isinf(metrics.evaluate_case(some, empty)["rvd"])


def test_diagonal_takes_the_spacing_in_3d():
    empty, some = np.zeros((4, 5, 13), bool), filled((4, 5, 13), 0, 0, 0)
    assert metrics.hausdorff(some, empty, spacing=(1, 1, 1)) == pytest.approx(13)
    found = metrics.hausdorff(some, empty, spacing=(4, 2.25, 1 / 3))
    assert found == pytest.approx(math.sqrt(12**2 + 9**2 + 4**2))


def test_two_empty_masks_agree():
    empty = np.zeros((7, 9), bool)
    found = metrics.evaluate_case(empty, empty)
    assert found == dict.fromkeys(OVERLAPS, 1) | dict.fromkeys((*DISTANCES, "rvd"), 0)


def test_no_background_mirrors_no_foreground():
    full = np.ones((3, 3), bool)
    assert metrics.specificity(full, full) == 1
    assert metrics.specificity(SQUARE, np.ones((6, 6), bool)) == 0
    assert metrics.evaluate_case(full, full)["hd"] == 0


# --- counts ------------------------------------------------------------------------------------


def test_counts_are_scored_element_by_element():
    counts = np.random.default_rng(0).integers(0, 3, (4, 5, 40))
    counts[3] += 1
    found = metrics.overlap_from_counts(*counts)
    for place in np.ndindex(5, 40):
        alone = metrics.overlap_from_counts(*(int(count[place]) for count in counts))
        assert {name: value[place] for name, value in found.items()} == pytest.approx(alone)


def test_counts_and_masks_give_the_same_numbers():
    rng = np.random.default_rng(1)
    for _ in range(50):
        pred, target = rng.random((2, 4, 4)) < rng.random((2, 1, 1))
        overlap = metrics.overlap_from_counts(**metrics.confusion(pred, target))
        case = metrics.evaluate_case(pred, target)
        assert {name: case[name] for name in OVERLAPS} == {name: overlap[name] for name in OVERLAPS}
        assert overlap["prevalence"] == target.mean()
        for name in OVERLAPS[1:]:
            assert getattr(metrics, name)(pred, target) == overlap[name]


def test_pooled_f1_is_that_of_pooled_precision_and_recall():
    counts = np.random.default_rng(2).integers(1, 900, (4, 40)).sum(axis=1)
    found = metrics.overlap_from_counts(*counts)
    p, r = found["precision"], found["recall"]
    assert found["f1"] == found["dice"] == pytest.approx(2 * p * r / (p + r))


# --- brute force -------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("anisotropic", [False, True])
def test_distances_equal_brute_force_on_random_masks(axes, anisotropic):
    rng = np.random.default_rng(10 * axes + anisotropic)
    for _ in range(60):
        shape = tuple(rng.integers(1, 26 if axes == 2 else 12, axes))
        spacing = tuple(rng.uniform(0.2, 3, axes)) if anisotropic else None
        pred, target = random_mask(rng, shape), random_mask(rng, shape)
        expected = brute_distances(pred, target, spacing or (1,) * axes)
        found = metrics.surface_distances(pred, target, spacing)
        for ours, direction in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, direction, rtol=0, atol=1e-9)
        pooled, case = np.concatenate(expected), metrics.evaluate_case(pred, target, spacing)
        assert case["hd"] == pytest.approx(pooled.max(), abs=1e-9)
        assert case["hd95"] == pytest.approx(np.percentile(pooled, 95), abs=1e-9)
        assert case["assd"] == pytest.approx(pooled.mean(), abs=1e-9)


@pytest.mark.parametrize("spacing", [(1, 1), (0.1, 1), (3, 0.4)])
def test_distances_equal_scipy_on_large_dense_and_distant_masks(spacing):
    rng = np.random.default_rng(5)
    dense = rng.random((300, 200)) < 0.5
    sparse = filled((300, 200), slice(0, 3), slice(190, None))
    dense[:, 150:] = False
    away = ndimage.distance_transform_edt(~sparse, sampling=spacing)
    from_dense, from_sparse = metrics.surface_distances(dense, sparse, spacing)
    surface = dense & ~ndimage.binary_erosion(dense)
    assert len(from_dense) > 2 * metrics.surface.BLOCK
    np.testing.assert_allclose(from_dense, away[surface], atol=1e-9)
    near = ndimage.distance_transform_edt(~surface, sampling=spacing)
    rim = sparse & ~ndimage.binary_erosion(sparse)
    np.testing.assert_allclose(from_sparse, near[rim], atol=1e-9)


def test_public_functions_agree_with_evaluate_case():
    pred, target = blob_pair(8, (20, 30, 25))
    spacing = (2.5, 0.7, 0.7)
    case = metrics.evaluate_case(pred, target, spacing)
    assert case["hd"] == metrics.hausdorff(pred, target, spacing)
    assert case["hd95"] == metrics.hausdorff(pred, target, spacing, percentile=95)
    assert case["assd"] == metrics.average_symmetric_surface_distance(pred, target, spacing)
    assert case["rvd"] == metrics.relative_volume_difference(pred, target)
    assert 0 < case["assd"] < case["hd95"] < case["hd"]


def test_memory_layout_does_not_matter():
    pred, target = blob_pair(9, (60, 40))
    expected = metrics.evaluate_case(pred, target)
    assert metrics.evaluate_case(np.asfortranarray(pred), target[::-1][::-1]) == expected
    assert metrics.evaluate_case(torch.from_numpy(pred), torch.from_numpy(target)) == expected


# --- peers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((80, 96), None), ((80, 96), (0.5, 2.0)), ((18, 30, 24), (3.0, 1.0, 0.8))],
)
def test_distances_equal_monai(shape, spacing):
    """MONAI takes the same edges (face-connected erosion, image border included) but the larger of
    the two directed percentiles, hence directed="max"; it computes in float32. Pairs with an empty
    mask are left out: it answers them with NaN or infinity."""
    for seed in range(6):
        pred, target = blob_pair(seed, shape)
        if seed % 2:  # leave the image
            pred, target = (mask[mask.shape[0] // 2 :] for mask in (pred, target))
        tensors = [torch.from_numpy(mask.copy())[None, None] for mask in (pred, target)]
        options = {"include_background": True, "spacing": spacing}
        for percentile in (95, 100):
            peer = compute_hausdorff_distance(*tensors, percentile=percentile, **options).item()
            ours = metrics.hausdorff(pred, target, spacing, percentile, directed="max")
            assert ours == pytest.approx(peer, rel=1e-5)
        peer = compute_average_surface_distance(*tensors, symmetric=True, **options).item()
        ours = metrics.average_symmetric_surface_distance(pred, target, spacing)
        assert ours == pytest.approx(peer, rel=1e-5)


@pytest.mark.parametrize(
    ("shape", "spacing"), [((80, 96), (1, 1)), ((80, 96), (0.5, 2)), ((24, 36, 30), (2, 1, 0.8))]
)
def test_distances_lie_within_a_pixel_of_surface_distance(shape, spacing):
    """surface-distance puts the surface between pixels and weighs its pieces by length or area,
    which can move a distance by up to a pixel."""
    for seed in range(6):
        pred, target = blob_pair(seed, shape)
        case = metrics.evaluate_case(pred, target, spacing)
        surfaces = surface_distance.compute_surface_distances(target, pred, spacing)
        for percentile, name in ((95, "hd95"), (100, "hd")):
            peer = surface_distance.compute_robust_hausdorff(surfaces, percentile)
            assert case[name] == pytest.approx(peer, abs=max(spacing))
        averages = surface_distance.compute_average_surface_distance(surfaces)
        assert case["assd"] == pytest.approx(np.mean(averages), abs=max(spacing) / 2)


def test_distances_equal_an_exact_distance_transform_at_512():
    target = cv2.ellipse(
        np.zeros((512, 512), np.uint8), (250, 300), (90, 260), 12, 0, 360, 1, -1
    ).astype(bool)
    pred = np.roll(target, (3, -9), (0, 1)) & (np.arange(512) < 300)
    directions = []
    for one, other in ((pred, target), (target, pred)):
        one, other = (mask & ~ndimage.binary_erosion(mask) for mask in (one, other))
        directions.append(
            cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[
                one
            ]
        )
    for found, expected in zip(metrics.surface_distances(pred, target), directions, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pred", "target", "says"),
    [
        (np.full((6, 6), np.nan), SQUARE, "pred: found values of type float64"),
        (SQUARE, SQUARE.astype(np.uint8), "target: found values of type uint8"),
        (SQUARE, SQUARE[:5], r"found shapes \(6, 6\) and \(5, 6\)"),
        (SQUARE[:0], SQUARE[:0], "at least one pixel"),
    ],
)
def test_masks_that_cannot_be_compared(pred, target, says):
    for function in (metrics.dice, metrics.hausdorff, metrics.evaluate_case, metrics.confusion):
        with pytest.raises(SettingError, match=says):
            function(pred, target)


@pytest.mark.parametrize("spacing", [(1,), (1, 1, 1), 1.0, (1, 0), (1, -2), (1, np.nan)])
def test_impossible_spacing(spacing):
    with pytest.raises(SettingError, match="spacing: found"):
        metrics.evaluate_case(SQUARE, SHIFTED, spacing)


def test_a_batch_is_not_a_volume():
    batch = np.zeros((2, 1, 6, 6), bool)
    assert metrics.dice(batch, batch) == 1
    with pytest.raises(SettingError, match="one structure of one case"):
        metrics.evaluate_case(batch, batch)


def test_impossible_options_and_counts():
    with pytest.raises(SettingError, match="percentile: found 101"):
        metrics.hausdorff(SQUARE, SHIFTED, percentile=101)
    with pytest.raises(SettingError, match="directed: found"):
        metrics.hausdorff(SQUARE, SHIFTED, directed="mean")
    with pytest.raises(SettingError, match="no pixels"):
        metrics.overlap_from_counts(*np.zeros((4, 3), int))
