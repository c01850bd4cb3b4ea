"""Predictions of many images as files: masks, overlays, one table of measurements."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from tqdm import tqdm

from lib.app.predict.model import Model, changed_code, load_model, segment
from lib.base import paths
from lib.base.errors import DataError
from lib.base.files import explained, write_table
from lib.figures.predicted import outlines, write_picture
from lib.studies.common import measures
from lib.studies.common.radiographs import Picture, Segmentation, find
from lib.training.loop import pick_device

COLUMNS = ("image", "file", *measures.Measure._fields)


class Predictions(NamedTuple):
    """What became of the images.

    Attributes:
        table: image, file, structure, measure, unit, value, note.
        problems: one line per image that could not be used.
        overlays: path of the overlay of every other image.
    """

    table: pd.DataFrame
    problems: list[str]
    overlays: list[Path]


def default_folder(study: str, what: str) -> Path:
    """Where results go unless told otherwise: below figures/, kept out of git."""
    return paths.FIGURES / study / "private" / what


def predict(
    study: str,
    weights: str | Path,
    images: Iterable[str | Path],
    out: str | Path | None = None,
    device: str = "auto",
) -> Predictions:
    """Segment images with a trained model; write masks, overlays and measurements.

    ``out`` gets masks/<structure>/<image>.png in the image's own frame, for a volume
    labels/<image>.nii.gz on its own grid, overlays/<image>.png, measurements.csv and, where the
    model has it, entropy/<image>.png. An image that cannot be used does not stop the others.

    Args:
        study: a name in ``lib.studies.registry.STUDIES``.
        weights: folder of a trial: config.json and weights.safetensors.
        images: files, or folders that are searched; a DICOM series is the folder of its slices.
        out: default: figures/<study>/private/predicted.
        device: auto, cpu or cuda.

    Raises:
        OsteoBookError: if there is no such model or image, or ``out`` cannot be written.
    """
    model = load_model(study, weights)
    model.network.to(pick_device(device))
    out = Path(out or default_folder(study, "predicted")).expanduser().resolve()
    files = find([Path(image).expanduser() for image in images], model.reader.files, out)
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    if changed := changed_code(model):
        print(
            f"note: code changed since the training: {', '.join(changed)}; the metrics of the "
            "training may no longer hold"
        )
    rows, problems, overlays = [], [], []
    for name, file in tqdm(files.items(), "predict", unit="image", delay=2, file=sys.stdout):
        try:
            picture = model.reader.files.read(file)
        except DataError as error:
            problems.append(str(error))
            continue
        segmented = segment(model, picture.pixels)
        model.reader.files.write(out, name, segmented, picture)
        overlays.append(out / "overlays" / f"{name}.png")
        views = model.reader.files.views(picture, segmented)
        write_picture(outlines(views, name), overlays[-1])
        rows += [(name, str(file), *row) for row in measured(model, segmented, picture)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    write_table(table, out / "measurements.csv")
    return Predictions(table, problems, overlays)


def measured(model: Model, outlined: Segmentation, picture: Picture) -> list[measures.Measure]:
    """Sizes of all structures, and what else the study measures."""
    sizes = measures.sizes(outlined.masks, picture.spacing_mm)
    return sizes + model.reader.measure(outlined, picture)


def empty_images(table: pd.DataFrame) -> list[str]:
    """Images in which no structure was found at all."""
    counted = table[table["unit"].isin([unit for _, unit, *_ in measures.SIZE.values()])]
    counted = counted[counted["measure"].isin([name for name, *_ in measures.SIZE.values()])]
    total = counted.groupby("image", sort=False)["value"].sum()
    return total.index[total == 0].tolist()
