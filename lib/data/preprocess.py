"""The paper's pre-processing, one small function per step, and the path of a training image.

Order (no parameter is printed; all values are assumptions): cropping, normalisation, resizing to
256 x 256, contrast stretching, augmentation, filtering, histogram equalisation, multilevel Otsu.
What comes before the augmentation is computed once (``prepare``), the rest in every epoch
(``finish``). Grey values are float32 in [0, 1] up to the contrast stretch and uint8 after it.
"""

import cv2
import numpy as np
from skimage.filters import threshold_multiotsu

from lib.base.errors import SettingError
from lib.data.crop import crop_to_limb

CLAHE_CLIP = 0.01  # of the pixels of a tile, the definition of Matlab's adapthisteq
CLAHE_TILES = (8, 8)
GREY_LEVELS = 256
IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1]


def normalise(image: np.ndarray) -> np.ndarray:
    """Map the grey values of a float image from [min, max] to [0, 1]; a constant image to 0."""
    return _stretch(image, image.min(), image.max())


def resize(image: np.ndarray, mask: np.ndarray, size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Resize to size x size: the image bilinearly, by area where it shrinks; the mask by nearest.

    The aspect ratio is not kept, as in the paper (256 x 256 from radiographs of any shape).
    """
    how = cv2.INTER_AREA if min(image.shape) >= size else cv2.INTER_LINEAR
    small = cv2.resize(mask.astype(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    return cv2.resize(image, (size, size), interpolation=how), small > 0


def contrast_stretch(image: np.ndarray, low: float = 1, high: float = 99) -> np.ndarray:
    """Map percentiles low..high to [0, 1] and clip (Matlab's stretchlim default, 1 and 99 %)."""
    return _stretch(image, *np.percentile(image, [low, high]))


def median_filter(image: np.ndarray, side: int = 3) -> np.ndarray:
    """Median of side x side pixels of a uint8 image, the paper's unnamed filter."""
    return cv2.medianBlur(image, side)


def equalise(image: np.ndarray, method: str = "histogram") -> np.ndarray:
    """Equalise a uint8 image: over the whole histogram of 256 bins, or "clahe" in 8 x 8 tiles."""
    if method == "histogram":
        return cv2.equalizeHist(image)
    if method == "clahe":  # OpenCV counts the limit in multiples of a flat histogram's bin
        return cv2.createCLAHE(CLAHE_CLIP * GREY_LEVELS, CLAHE_TILES).apply(image)
    raise SettingError(
        f"equalise: found method {method!r}; expected 'histogram' or 'clahe'. Fix: choose one."
    )


def multi_otsu(image: np.ndarray, thresholds: int = 3) -> np.ndarray:
    """Levels 0..thresholds of a uint8 image by multilevel Otsu, as uint8 of the same shape.

    With no more grey values than levels, each value is a level of its own.
    """
    values = np.unique(image)
    if len(values) <= thresholds + 1:
        return np.searchsorted(values, image).astype(np.uint8)
    limits = threshold_multiotsu(image, classes=thresholds + 1)
    return np.digitize(image, limits, right=True).astype(np.uint8)


def propose_boxes(levels: np.ndarray, minimum: float = 0.001) -> np.ndarray:
    """YOLO boxes N x 5 (class 0) around the connected parts of the brightest level.

    Parts below the fraction ``minimum`` of the image do not count. A proposal for an annotator, as
    in the paper; it is no input of the network.
    """
    height, width = levels.shape
    brightest = (levels == levels.max()).astype(np.uint8)
    _, _, parts, _ = cv2.connectedComponentsWithStats(brightest)
    left, top, extent_x, extent_y, area = parts[1:].T
    boxes = np.stack(
        [
            np.zeros(len(area)),
            (left + extent_x / 2) / width,
            (top + extent_y / 2) / height,
            extent_x / width,
            extent_y / height,
        ],
        axis=1,
    )
    return boxes[area >= minimum * levels.size]


def imagenet_input(image: np.ndarray) -> np.ndarray:
    """Grey uint8 H x W -> float32 3 x H x W with ImageNet's mean and SD."""
    mean, sd = (np.array(v, np.float32)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_SD))
    return (image / np.float32(255) - mean) / sd


def finish(image: np.ndarray, equalisation: str = "histogram", levels: bool = False) -> np.ndarray:
    """Filter and equalise a prepared uint8 image: float32 C x H x W in [0, 1].

    C is 1, or 2 with the multilevel-Otsu levels as second channel.
    """
    equal = equalise(median_filter(image), equalisation)
    channels = [equal / np.float32(255)]
    if levels:
        channels.append(multi_otsu(equal) / np.float32(3))
    return np.stack(channels)


def pipeline_steps(
    image: np.ndarray, mask: np.ndarray, size: int = 256, augment=None
) -> dict[str, np.ndarray]:
    """Every step for one case, in the paper's order: name -> float32 image in [0, 1].

    ``augment(image, mask) -> (image, mask)`` acts on uint8 and bool. The last two entries
    are the CLAHE variant and the label as it is learnt.
    """
    steps = {"original": image}
    image, mask = crop_to_limb(image, mask)
    steps["crop to limb"] = image
    steps["normalise"] = image = normalise(image)
    image, mask = resize(image, mask, size)
    steps[f"resize {size}"] = image
    steps["contrast stretch"] = image = contrast_stretch(image)
    image = _to_uint8(image)
    if augment is not None:
        image, mask = augment(image, mask)
    steps["augment"] = image / np.float32(255)
    image = median_filter(image)
    steps["median filter"] = image / np.float32(255)
    equal = equalise(image)
    levels = multi_otsu(equal)
    steps["equalise"] = equal / np.float32(255)
    steps["multilevel Otsu"] = levels / np.float32(3)
    steps["variant: CLAHE"] = equalise(image, "clahe") / np.float32(255)
    steps["label"] = mask.astype(np.float32)
    return steps


def _stretch(image: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = (image - low) / max(float(high - low), 1e-6)
    return np.clip(scaled, 0, 1).astype(np.float32)


def _to_uint8(image: np.ndarray) -> np.ndarray:
    return np.rint(image * 255).astype(np.uint8)
