"""Predictions of many images as files: masks, overlays, one table of measurements."""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib import paths
from lib.errors import DataError
from lib.figures.predicted import outlines, write_picture
from lib.files import explained, write_table
from lib.prediction import measures
from lib.prediction.model import Model, changed_code, load_model, segment
from lib.prediction.radiographs import Picture, find
from lib.training import pick_device

COLUMNS = ("image", "file", *measures.Measure._fields)


def default_folder(study: str, what: str) -> Path:
    """Where results go unless told otherwise: below figures/, kept out of git."""
    return paths.FIGURES / study / "private" / what


def predict(
    study: str,
    weights: str | Path,
    images: Iterable[str | Path],
    out: str | Path | None = None,
    device: str = "auto",
) -> tuple[pd.DataFrame, list[str]]:
    """Segment images with a trained model; write masks, overlays and measurements.

    ``out`` gets masks/<structure>/<image>.png in the image's own frame, overlays/<image>.png and
    measurements.csv. An image that cannot be used does not stop the others.

    Args:
        study: a key of ``TASKS``.
        weights: folder of a trial: config.json and weights.safetensors.
        images: files, or folders that are searched.
        out: default: figures/<study>/private/predicted.
        device: auto, cpu or cuda.

    Returns:
        Table (image, file, structure, measure, unit, value, note), and a line for each image that
        could not be used.

    Raises:
        OsteoBookError: if there is no such model or image, or ``out`` cannot be written.
    """
    model = load_model(study, weights)
    model.network.to(pick_device(device))
    out = Path(out or default_folder(study, "predicted")).expanduser().resolve()
    found = find([Path(image).expanduser() for image in images], model.task.files, out)
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    if changed := changed_code(model):
        print(f"note: code changed since the training: {', '.join(changed)}; the metrics of the "
              "training may no longer hold")  # fmt: skip
    rows, problems = [], []
    for name, file in tqdm(found.items(), "predict", unit="image", delay=2, file=sys.stdout):
        try:
            picture = model.task.files.read(file)
        except DataError as error:
            problems.append(str(error))
            continue
        masks = segment(model, picture.pixels)
        _write(model, name, picture, masks, out)
        rows += [(name, str(file), *row) for row in measured(model, masks, picture)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    write_table(table, out / "measurements.csv")
    return table, problems


def measured(
    model: Model, masks: dict[str, np.ndarray], picture: Picture
) -> list[measures.Measure]:
    """Sizes of all structures, and what else the study measures."""
    found = measures.sizes(masks, picture.spacing_mm)
    return found + model.task.measure(masks, picture.spacing_mm)


def _write(model: Model, name: str, picture: Picture, masks: dict, out: Path) -> None:
    files = model.task.files
    for structure, mask in masks.items():
        files.write(out / "masks" / structure / name, mask, picture)
    drawn = {structure: files.section(mask) for structure, mask in masks.items()}
    figure = outlines(files.section(picture.pixels), drawn, name)
    write_picture(figure, out / "overlays" / f"{name}.png")


def empty_images(table: pd.DataFrame) -> list[str]:
    """Images in which no structure was found at all."""
    counted = table[table["unit"].isin([unit for _, unit, _ in measures.SIZE.values()])]
    counted = counted[counted["measure"].isin([name for name, *_ in measures.SIZE.values()])]
    total = counted.groupby("image", sort=False)["value"].sum()
    return total.index[total == 0].tolist()
