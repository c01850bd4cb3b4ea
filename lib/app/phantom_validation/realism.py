"""Phantoms beside real pictures: grey levels and spatial frequencies."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from lib.app.phantom_validation.difficulty import is_volume
from lib.base.errors import DataError
from lib.data.images import IMAGE_SUFFIXES, read_image
from lib.data.problems import describe
from lib.phantoms import SCENES, load_scene

HEIGHT_PX = 256
MOST = 40  # pictures of each kind
EXPOSED = (0.03, 0.97)  # grey levels; beyond are collimated or saturated pixels
GREY_BINS = 32
BANDS = {"low": (0.01, 0.08), "high": (0.12, 0.4)}  # cycles per pixel; a slope is fitted in each


def real_pictures(folder: Path, invert: bool = False) -> list[np.ndarray]:
    """Up to 40 pictures H x W in [0, 1], 256 pixels high, from a folder and its subfolders.

    Args:
        folder: radiographs, or MR volumes as NIfTI, whose middle slices are taken.
        invert: for files that show bone dark.

    Raises:
        DataError: if the folder holds no picture.
    """
    files = sorted(path for path in Path(folder).rglob("*") if _is_picture(path))
    if not files:
        raise DataError(describe(folder, "no picture", "PNG, JPEG, TIFF, DICOM or NIfTI", "look"))
    pictures = [picture for path in _evenly(files, MOST) for picture in _read(path)]
    return [_of_height(1 - p if invert else p) for p in _evenly(pictures, MOST)]


def phantom_pictures(scene: str, count: int) -> list[np.ndarray]:
    """``count`` phantoms, spread over the scene, as pictures of the same form."""
    generate, cases = load_scene(scene).generate, SCENES[scene].cases
    if is_volume(scene):
        volumes = (generate(0, index, HEIGHT_PX // 2).image for index in range(4))
        return [_of_height(p) for p in _evenly([s for v in volumes for s in _slices(v)], count)]
    spread = np.linspace(0, cases - 1, count).round().astype(int)
    return [_of_height(generate(0, int(index), HEIGHT_PX).image) for index in spread]


def grey_levels(pictures: list[np.ndarray]) -> pd.DataFrame:
    """Share of the exposed pixels in each of 32 steps: grey_level, mean, sd over pictures."""
    edges = np.linspace(0, 1, GREY_BINS + 1)
    exposed = [_exposed(picture) for picture in pictures]
    shares = [np.histogram(pixels, edges)[0] / len(pixels) for pixels in exposed]
    return _mean_and_sd("grey_level", (edges[1:] + edges[:-1]) / 2, np.array(shares))


def power_spectra(pictures: list[np.ndarray]) -> pd.DataFrame:
    """Radial power spectra, log10, relative to their total: cycles_per_px, mean, sd."""
    frequency, powers = radial_frequencies(HEIGHT_PX), [radial_power(p) for p in pictures]
    return _mean_and_sd("cycles_per_px", frequency, np.log10(powers))


def radial_frequencies(side: int) -> np.ndarray:
    """Middles of the rings that ``radial_power`` averages over, in cycles per pixel, up to 0.5."""
    return np.arange(1, side // 2) / side


def radial_power(picture: np.ndarray) -> np.ndarray:
    """Power of the middle square, as high as the picture, under a Hann window; rings sum to 1.

    One value for each of ``radial_frequencies``: the mean over a ring one bin wide.
    """
    side = len(picture)
    left = (picture.shape[1] - side) // 2
    square, window = picture[:, left : left + side], np.hanning(side)
    power = np.abs(np.fft.fft2((square - square.mean()) * np.outer(window, window))) ** 2
    ring = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side, 1 / side)] * 2)).round().astype(int)
    rings = (np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel()))[1 : side // 2]
    return np.maximum(rings / rings.sum(), 1e-12)


def slopes(picture: np.ndarray) -> dict[str, float]:
    """Minus the slope of log power over log frequency in the low and the high band."""
    frequency, power = radial_frequencies(HEIGHT_PX), radial_power(picture)
    result = {}
    for band, (low, high) in BANDS.items():
        inside = (frequency >= low) & (frequency <= high)
        result[band] = -np.polyfit(np.log(frequency[inside]), np.log(power[inside]), 1)[0]
    return result


def numbers(scene: str, source: str, pictures: list[np.ndarray]) -> dict:
    """One row: median grey and both slopes, mean and SD over n pictures."""
    row = {"scene": scene, "source": source, "n": len(pictures)}
    values = {"median_grey": [float(np.median(_exposed(p))) for p in pictures]}
    fitted = [slopes(p) for p in pictures]
    values |= {f"slope_{band}": [f[band] for f in fitted] for band in BANDS}
    for name, measured in values.items():
        row |= {name: np.mean(measured), f"{name}_sd": np.std(measured, ddof=1)}
    return row


def _exposed(picture: np.ndarray) -> np.ndarray:
    low, high = EXPOSED
    return picture[(picture > low) & (picture < high)]


def _mean_and_sd(name: str, x: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({name: x, "mean": values.mean(0), "sd": values.std(0, ddof=1)})


def _is_picture(path: Path) -> bool:
    return path.name.endswith((".nii", ".nii.gz")) or path.suffix.lower() in IMAGE_SUFFIXES


def _read(path: Path) -> list[np.ndarray]:
    """Pictures in [0, 1] of one file."""
    if path.name.endswith((".nii", ".nii.gz")):
        import nibabel

        image = nibabel.as_closest_canonical(nibabel.load(path))
        volume = np.asarray(image.dataobj, np.float32)
        across = int(np.argmax(image.header.get_zooms()))  # slices are thicker than pixels
        return _slices(np.moveaxis(volume, across, 0))
    return [read_image(path)[0]]


def _slices(volume: np.ndarray) -> list[np.ndarray]:
    """The middle third of a volume's slices, up to its 99.5 % quantile, in [0, 1]."""
    third = len(volume) // 3
    scaled = np.clip(volume / np.quantile(volume, 0.995), 0, 1)
    return list(scaled[third : 2 * third])


def _of_height(picture: np.ndarray) -> np.ndarray:
    """Resampled to 256 rows; what is narrower lies on a black square."""
    width = max(1, round(picture.shape[1] * HEIGHT_PX / picture.shape[0]))
    small = cv2.resize(np.float32(picture), (width, HEIGHT_PX), interpolation=cv2.INTER_AREA)
    missing = max(0, HEIGHT_PX - width)
    return np.pad(small, ((0, 0), (missing // 2, missing - missing // 2)))


def _evenly(items: list, count: int) -> list:
    """At most ``count`` of the items, evenly spread."""
    chosen = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[i] for i in chosen]
