"""From an image to the square that a network sees, and back: crop, padding and resize undone."""

import cv2
import numpy as np

from lib.data.crop import Window


def whole(shape: tuple[int, int]) -> Window:
    """The window of an image H x W that is neither cropped nor padded."""
    return Window(0, shape[0], 0, shape[1])


def central_square(shape: tuple[int, int]) -> Window:
    """The largest square in the middle of an image H x W."""
    side = min(shape)
    top, left = ((length - side) // 2 for length in shape)
    return Window(top, top + side, left, left + side)


def cut(stack: np.ndarray, window: Window) -> np.ndarray:
    """The part of ... x H x W inside the window, zero where the window reaches beyond."""
    height, width = stack.shape[-2:]
    rows = slice(max(window.top, 0), max(window.bottom, 0))
    columns = slice(max(window.left, 0), max(window.right, 0))
    beyond = [
        (max(-window.top, 0), max(window.bottom - height, 0)),
        (max(-window.left, 0), max(window.right - width, 0)),
    ]
    return np.pad(stack[..., rows, columns], [(0, 0)] * (stack.ndim - 2) + beyond)


def put_back(stack: np.ndarray, window: Window, shape: tuple[int, int]) -> np.ndarray:
    """Bring K x S x S, which shows ``window`` of an image H x W, back: float32 K x H x W.

    Pixel centres are kept, so an edge halfway between two pixels of the square stays where it was
    in the image. Outside the window is 0.
    """
    height, width = window.bottom - window.top, window.right - window.left
    shrinks = height <= stack.shape[-2] and width <= stack.shape[-1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    stack = stack.astype(np.float32)
    large = np.stack([cv2.resize(plane, (width, height), interpolation=how) for plane in stack])
    top, left = -window.top, -window.left  # of the image as the window sees it
    return cut(large, Window(top, top + shape[0], left, left + shape[1]))
