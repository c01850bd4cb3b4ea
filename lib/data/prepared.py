"""One road from the pixels of an image to what a network sees, and back.

A study's ``prepare`` is the only place that knows it: training takes ``pictures`` and ``learnt``
from it, prediction ``inputs`` and ``restore``, so the two cannot differ.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import parent_process
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.base.errors import DataError
from lib.data.crop import Window
from lib.data.frames import put_back
from lib.data.problems import describe

THRESHOLD = 0.5  # of a structure's probability [A]


class Outlined(NamedTuple):
    """What a model finds in an image.

    Attributes:
        masks: bool K x the image's shape.
        entropy: of the predicted classes, of the image's shape, nats per pixel, 0 where the model
            is sure; None where a model has none.
    """

    masks: np.ndarray
    entropy: np.ndarray | None = None


@dataclass(frozen=True)
class Prepared:
    """What a network sees of one image, and the way back.

    Attributes:
        pictures: N x S x S, kept in memory and augmented; N is 1 for a radiograph, else the number
            of slices.
        finish: picture S x S, augmented or not -> float32 C x S x S, the network's input.
        learnt: masks bool K x the image's shape -> what is learnt of them, bool K x S x S (of a
            volume K x N x S x S).
        restore: probabilities float32 N x channels x S x S -> what is found in the image.
    """

    pictures: np.ndarray
    finish: Callable[[np.ndarray], np.ndarray]
    learnt: Callable[[np.ndarray], np.ndarray]
    restore: Callable[[np.ndarray], Outlined]

    @property
    def inputs(self) -> np.ndarray:
        """What the network sees, float32 N x C x S x S."""
        return np.stack([self.finish(picture) for picture in self.pictures])


def prepared_window(
    picture: np.ndarray,
    finish: Callable[[np.ndarray], np.ndarray],
    window: Window,
    shape: tuple[int, int],
) -> Prepared:
    """A radiograph of which the network sees one window, resized to a square.

    Args:
        picture: uint8 S x S.
        finish: as ``Prepared.finish``.
        window: part of the image that the picture shows.
        shape: height and width of the image.
    """
    return Prepared(
        picture[None],
        finish,
        partial(_cut_and_resized, window, len(picture)),
        partial(masks_in_image, window, shape),
    )


def _cut_and_resized(window: Window, size: int, masks: np.ndarray) -> np.ndarray:
    return np.stack([resized_mask(mask[window.slices], size) for mask in masks])


def masks_in_image(window: Window, shape: tuple[int, int], p: np.ndarray) -> Outlined:
    """Masks of the probabilities 1 x K x S x S of one window, in an image of a shape."""
    return Outlined(put_back(p[0], window, shape) >= THRESHOLD)


def resized_picture(image: np.ndarray, size: int) -> np.ndarray:
    """Float image H x W -> size x size: bilinear, by area where it shrinks."""
    how = cv2.INTER_AREA if min(image.shape) >= size else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=how)


def resized_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Mask bool H x W -> size x size, the nearest pixel."""
    exact = cv2.INTER_NEAREST_EXACT
    return cv2.resize(mask.astype(np.uint8), (size, size), interpolation=exact) > 0


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Grey values in [0, 1] -> 0 to 255."""
    return np.rint(image * 255).astype(np.uint8)


def rows_to_prepare(cases: pd.DataFrame, what: str = "prepare") -> Iterator[dict]:
    """Rows of a table of cases, with a progress bar where it takes a while.

    Raises:
        DataError: where there are no cases at all.
    """
    if cases.empty:
        fix = "bring more images; a tight crop needs some with foreground (see data/README.md)"
        raise DataError(describe(what, "no cases", "at least one", fix))
    bar = {"delay": 2, "file": sys.stdout}
    bar["disable"] = parent_process() is not None  # bars of several workers would mix
    yield from tqdm(cases.to_dict("records"), what, unit="case", **bar)
