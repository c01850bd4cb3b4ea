"""The steps before the network: windows, grey values, levels, and the whole path."""

import cv2
import numpy as np
import pytest
from skimage.exposure import equalize_hist
from skimage.filters import median
from skimage.measure import label, regionprops

from lib.base.errors import DataError, SettingError
from lib.data.boxes import boxes_to_mask
from lib.data.cases import find_cases, load_case
from lib.data.crop import Window, crop_to_limb, limb_window, tight_crop, tight_window
from lib.data.preprocess import (
    contrast_stretch,
    equalise,
    finish,
    median_filter,
    multi_otsu,
    normalise,
    pipeline_steps,
    propose_boxes,
    resize,
)
from lib.studies.wrist.data import prepare
from tests.make.wrist import make_yolo_fixture


def limb(height=400, width=300, background=0.05, tissue=0.35, bone=0.9):
    """A vertical limb in rows 60..339, columns 100..199 with a bright bone inside."""
    image = np.full((height, width), background, np.float32)
    image[60:340, 100:200] = tissue
    image[80:320, 135:165] = bone
    return image


def assert_window(window, expected, tolerance):
    np.testing.assert_allclose(window, expected, atol=tolerance)


LIMB = Window(60 - 14, 340 + 14, 100 - 5, 200 + 5)  # with 5 % on each side


def test_limb_window_encloses_soft_tissue_with_a_margin():
    assert_window(limb_window(limb()), LIMB, tolerance=6)
    assert_window(limb_window(limb(), margin=0), Window(60, 340, 100, 200), tolerance=6)


@pytest.mark.parametrize("tissue", [0.3, 0.45, 0.6])
def test_limb_window_on_a_bright_background_and_at_any_scale(tissue):
    assert_window(limb_window(1 - limb(tissue=tissue)), LIMB, tolerance=6)
    small = cv2.resize(limb(tissue=tissue), (75, 100), interpolation=cv2.INTER_AREA)
    assert_window(limb_window(small), np.array(LIMB) / 4, tolerance=2)


def test_markers_and_text_do_not_count_but_a_second_limb_does():
    marked = limb()
    marked[10:30, 10:30] = 1
    cv2.putText(text := np.zeros((400, 300), np.uint8), "L 12", (220, 390), 0, 0.6, 255, 1)
    marked[text > 0] = 1
    assert_window(limb_window(marked), LIMB, tolerance=6)
    two = limb()
    two[100:300, 240:280] = 0.5
    assert limb_window(two).right == pytest.approx(280 + 9, abs=6)


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_constant_image_is_not_cut(grey):
    image = np.full((50, 70), grey, np.float32)
    assert limb_window(image) == Window(0, 50, 0, 70)


def test_crop_keeps_image_and_mask_together():
    image, mask = limb(), np.zeros((400, 300), bool)
    mask[200:230, 130:170] = True
    cropped, cropped_mask = crop_to_limb(image, mask)
    assert cropped.shape == cropped_mask.shape and cropped_mask.sum() == mask.sum()
    assert (cropped[cropped_mask] == image[mask]).all()


def test_tight_crop_gives_the_share_at_a_random_place():
    mask = np.zeros((600, 700), bool)
    mask[200:320, 300:390] = True
    mask[10:20, 10:20] = True  # a smaller box, not cut around
    offsets = []
    for seed in range(200):
        window = tight_window(mask, 0.76, seed)
        inside = mask[window.slices]
        assert inside.sum() == 120 * 90 and inside.mean() == pytest.approx(0.76, abs=0.01)
        offsets.append((200 - window.top, 300 - window.left))
    # 1 / sqrt(0.76) = 1.147: 18 spare rows and 13 spare columns, all places used
    assert np.min(offsets, axis=0).tolist() == [0, 0]
    assert np.max(offsets, axis=0).tolist() == [18, 13]
    assert np.abs(np.mean(offsets, axis=0) - [9, 6.5]).max() < 1.2
    assert tight_window(mask, 0.76, 5) == tight_window(mask, 0.76, 5)


def test_tight_crop_at_the_border_stays_inside_the_image():
    mask = np.zeros((100, 100), bool)
    mask[:40, 70:] = True
    for seed in range(20):
        window = tight_window(mask, 0.5, seed)
        assert window.top >= 0 and window.right <= 100 and window.left >= 0
        assert mask[window.slices].mean() == pytest.approx(0.5, abs=0.03)
    whole = np.ones((50, 60), bool)
    assert tight_window(whole) == Window(0, 50, 0, 60)


def test_tight_crop_without_a_box_is_an_error():
    with pytest.raises(DataError, match="found a mask without foreground.*Fix: leave negatives"):
        tight_crop(limb(), np.zeros((400, 300), bool))


def test_normalise_and_contrast_stretch_by_hand():
    ramp = np.linspace(0.2, 0.6, 101, dtype=np.float32).reshape(1, -1)
    np.testing.assert_allclose(normalise(ramp), np.linspace(0, 1, 101)[None], atol=1e-6)
    stretched = contrast_stretch(ramp)  # percentiles 1 and 99 are the second and last but one
    assert stretched[0, :2].tolist() == [0, 0]
    np.testing.assert_allclose(stretched[0, [1, 50, 99]], [0, 0.5, 1], atol=1e-5)
    assert stretched[0, 100] == 1
    for flat in (normalise(np.full((3, 3), 0.4)), contrast_stretch(np.full((3, 3), 0.4))):
        assert flat.dtype == np.float32 and (flat == 0).all()


def test_resize_by_area_and_nearest():
    image = np.array([[0, 1], [1, 0]], np.float32).repeat(4, 0).repeat(4, 1)
    mask = image > 0
    small, small_mask = resize(image, mask, 4)
    np.testing.assert_allclose(small, image[::2, ::2])
    assert small_mask.dtype == bool and (small_mask == mask[::2, ::2]).all()
    large, large_mask = resize(image, mask, 32)
    assert large.shape == large_mask.shape == (32, 32) and large_mask.mean() == 0.5
    assert resize(image[:, :4], mask[:, :4], 16)[0].shape == (16, 16)


def test_median_filter_removes_a_dead_pixel_and_equals_a_peer():
    image = np.random.default_rng(0).integers(0, 255, (30, 20), dtype=np.uint8)
    peer = median(image, np.ones((3, 3)), mode="nearest")
    np.testing.assert_array_equal(median_filter(image), peer)
    flat = np.full((5, 5), 7, np.uint8)
    flat[2, 2] = 255
    assert (median_filter(flat) == 7).all()


def test_equalised_histogram_is_flat_and_close_to_a_peer():
    image = (np.random.default_rng(0).beta(2, 8, (128, 128)) * 255).astype(np.uint8)
    equal = equalise(image)
    np.testing.assert_allclose(equal / 255, equalize_hist(image, 256), atol=0.02)
    assert np.abs(np.histogram(equal, 8, (0, 256))[0] / image.size - 1 / 8).max() < 0.02


def test_clahe_limits_contrast_and_unknown_methods_are_named():
    image = (np.random.default_rng(0).normal(128, 3, (128, 128))).astype(np.uint8)
    assert image.std() < equalise(image, "clahe").std() < 0.7 * equalise(image).std()
    with pytest.raises(SettingError, match="found method 'gamma'; expected 'histogram' or 'clahe'"):
        equalise(image, "gamma")


def test_multi_otsu_finds_four_separate_grey_values():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, (40, 40))
    image = (np.array([20, 90, 160, 230])[truth] + rng.integers(-9, 10, truth.shape)).astype(
        np.uint8
    )
    np.testing.assert_array_equal(multi_otsu(image), truth)


@pytest.mark.parametrize("values", [[0], [255], [3, 200], [1, 2, 3], [0, 10, 20, 250]])
def test_multi_otsu_with_few_grey_values(values):
    image = np.resize(np.array(values, np.uint8), (6, 8))
    expected = np.resize(np.arange(len(values)), (6, 8))
    np.testing.assert_array_equal(multi_otsu(image), expected)


def test_multi_otsu_with_two_thresholds_maximises_the_variance_between_classes():
    image = np.random.default_rng(3).choice([0, 5, 6, 20, 21, 30], (20, 20)).astype(np.uint8)

    def within(levels):
        return sum(((image[levels == n] - image[levels == n].mean()) ** 2).sum() for n in range(3))

    best = min(
        within(np.digitize(image, [a, b], right=True))
        for a in (0, 5, 6, 20)
        for b in (5, 6, 20, 21)
        if a < b
    )
    assert within(multi_otsu(image, thresholds=2)) == pytest.approx(best)


def test_proposed_boxes_enclose_the_bright_parts_like_a_peer():
    levels = np.zeros((50, 80), np.uint8)
    levels[5:15, 10:40], levels[30:45, 60:70], levels[48, 2] = 3, 3, 3
    levels[20:25, 20:25] = 2
    boxes = propose_boxes(levels)
    assert boxes.shape == (2, 5)
    mask = boxes_to_mask(boxes, levels.shape)
    regions = [r for r in regionprops(label(levels == 3)) if r.area > 1]
    expected = np.zeros_like(mask)
    for region in regions:
        expected[region.slice] = True
    np.testing.assert_array_equal(mask, expected)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    make_yolo_fixture(root / "wrist", n_train=6, n_test=3, size=96)
    return find_cases(root, "wrist")


def test_finish_gives_one_or_two_channels(cases):
    image = prepare(load_case(cases.iloc[0].to_dict())[0], 64).pictures[0]
    x = finish(image)
    assert x.shape == (1, 64, 64) and x.dtype == np.float32 and x.min() >= 0 and x.max() == 1
    np.testing.assert_array_equal(x[0] * 255, equalise(median_filter(image)))
    both = finish(image, "clahe", levels=True)
    assert both.shape == (2, 64, 64) and both.dtype == np.float32
    np.testing.assert_allclose(np.unique(both[1]), [0, 1 / 3, 2 / 3, 1], atol=1e-6)


def test_steps_come_in_the_papers_order_and_end_as_the_network_sees_them():
    image, mask = (
        limb() + np.random.default_rng(0).normal(0, 0.02, (400, 300)),
        np.zeros((400, 300)),
    )
    mask = mask.astype(bool)
    mask[200:230, 130:170] = True
    image = np.clip(image, 0, 1).astype(np.float32)
    steps = pipeline_steps(image, mask, 64, lambda x, y: (np.fliplr(x).copy(), np.fliplr(y)))
    assert list(steps) == [
        "original",
        "crop to limb",
        "normalise",
        "resize 64",
        "contrast stretch",
        "augment",
        "median filter",
        "equalise",
        "multilevel Otsu",
        "variant: CLAHE",
        "label",
    ]
    assert all(
        step.dtype == np.float32 and 0 <= step.min() <= step.max() <= 1 for step in steps.values()
    )
    stretched = np.rint(steps["contrast stretch"] * 255).astype(np.uint8)
    np.testing.assert_array_equal(steps["equalise"], finish(np.fliplr(stretched).copy())[0])
    assert steps["original"].shape == (400, 300) and steps["label"].shape == (64, 64)
    assert 0 < steps["label"].mean() < 0.2
