"""Contact sheets of volumes: the slice that shows most, in its true proportions."""

import numpy as np

from lib.phantoms import Phantom
from lib.phantoms.sheet import picture


def volume(spacing_mm):
    """Six slices of 20 x 30 voxels; the fifth has most bone, shared by two structures."""
    image = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((6, 20, 30), np.float32)
    masks = {name: np.zeros(image.shape, bool) for name in ("talus", "talus_cartilage")}
    masks["talus"][3, :9] = True
    masks["talus"][4, :6] = True
    masks["talus_cartilage"][4, 10:16] = True
    image[4, :, 15:] = 0
    return Phantom(image, masks, spacing_mm, {})


def test_volume_is_shown_where_most_bone_is():
    drawn = picture(volume((1, 1, 1)), 20)
    assert (drawn[:, :14] == 255).all()
    assert (drawn[:, 16:] == 0).all()


def test_proportions_are_those_of_the_body():
    assert picture(volume((9, 1, 1)), 40).shape == (40, 60, 3)
    assert picture(volume((9, 2, 1)), 40).shape == (40, 30, 3)
    assert picture(volume((9, 0.5, 1)), 40).shape == (40, 120, 3)
    outlined = picture(volume((1, 2, 1)), 40, outlines=True)
    assert outlined.shape == (40, 30, 3)
    assert (outlined[0, 3] == (230, 159, 0)).all()  # the talus reaches the upper edge
    assert (outlined[20, 3] == (86, 180, 233)).all()  # its cartilage from half of the height
    flat = Phantom(np.zeros((20, 30), np.float32), {}, (0.3, 0.3), {})
    assert picture(flat, 20).shape == (20, 30, 3)
