"""The cortical index: of drawn tubes whose walls are known, and of the phantom's hands."""

import cv2
import numpy as np
import pytest

from lib.base.errors import SettingError
from lib.metrics.cortical_index import cortical_index, shaft_profile, tube_profile
from lib.phantoms.scenes.hand import scene as hand


def drawn_tube(index, angle_deg=20.0, half_width=9.0, slope=0.2, shape=(140, 120), fine=4):
    """Path of X-rays through a straight tube of elliptical section, on a sloping ground."""
    rows, columns = (np.mgrid[: fine * shape[0], : fine * shape[1]] + 0.5) / fine - 0.5
    angle = np.radians(angle_deg)
    x, y = columns - 60, rows - 70
    across, along = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    inner = half_width * (1 - index)
    wall = np.sqrt(np.clip(1 - (across / half_width) ** 2, 0, None))
    wall -= (1 - index) * np.sqrt(np.clip(1 - (across / inner) ** 2, 0, None))
    inside = (np.abs(across) < half_width) & (np.abs(along) < 45)
    image = 30 + slope * across + 80 * wall * inside
    small, share = (
        cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_AREA)
        for plane in (image, inside.astype(float))
    )
    return cv2.GaussianBlur(small, (0, 0), 0.5), share >= 0.5


@pytest.mark.parametrize("angle_deg", [0, 20, 90, 135])
@pytest.mark.parametrize("index", [0.3, 0.45, 0.6])
def test_index_of_a_drawn_tube(index, angle_deg):
    image, mask = drawn_tube(index, angle_deg)
    assert cortical_index(image, mask) == pytest.approx(index, abs=0.025)


def test_grey_scale_and_mirror_do_not_matter():
    image, mask = drawn_tube(0.4)
    found = cortical_index(image, mask)
    assert cortical_index(3 * image - 20, mask) == pytest.approx(found, abs=1e-4)
    assert cortical_index(image[:, ::-1], mask[:, ::-1]) == pytest.approx(found, abs=0.01)


def test_a_mask_one_pixel_too_wide_changes_little():

    image, mask = drawn_tube(0.4)
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert cortical_index(image, wide) == pytest.approx(0.4, abs=0.03)


def test_profile_of_a_tube_by_hand():
    solid, marrow = tube_profile(np.array([-20.0, 0.0, 3.0, 20.0]), half_width=10, index=0.2)
    assert solid[1] == pytest.approx(1, abs=0.01) and marrow[1] == pytest.approx(1, abs=0.01)
    assert solid[2] == pytest.approx(np.sqrt(1 - 0.3**2), abs=0.01)
    assert marrow[2] == pytest.approx(np.sqrt(1 - 0.375**2), abs=0.01)
    assert solid[0] == solid[3] == marrow[0] == 0


def test_what_cannot_be_measured_is_nan():
    image, mask = drawn_tube(0.4)
    assert np.isnan(cortical_index(image, np.zeros_like(mask)))
    assert np.isnan(cortical_index(image[:, 55:], mask[:, 55:]))  # shaft at the image's border


def test_specks_do_not_count():
    image, mask = drawn_tube(0.4)
    speckled = mask.copy()
    speckled[2:6, 2:6] = True
    assert cortical_index(image, speckled) == cortical_index(image, mask)


def test_wrong_masks_are_refused():
    image, mask = drawn_tube(0.4)
    with pytest.raises(SettingError, match="mask"):
        cortical_index(image, mask.astype(float))
    with pytest.raises(SettingError, match="mask"):
        cortical_index(image[1:], mask)


def test_index_of_phantoms_follows_the_truth():
    phantoms = [hand.generate(0, index, 448) for index in range(12)]
    found = np.array([cortical_index(p.image, p.masks["M2"]) for p in phantoms])
    truth = np.array([p.truth["cortical_index"] for p in phantoms])
    assert np.isfinite(found).all()
    assert abs((found - truth).mean()) < 0.06  # here -0.03
    assert (found - truth).std() < 0.06
    assert np.corrcoef(found, truth)[0, 1] > 0.75


def test_profile_reaches_beyond_both_walls():
    image, mask = drawn_tube(0.4)
    place, grey, half_width = shaft_profile(image, mask)
    assert half_width == pytest.approx(9, abs=1)
    assert place[0] < -9 and place[-1] > 9 and len(grey) == len(place)
