"""Measure the phantoms; tables and figures go to ``figures/phantoms``.

python -m lib.app.phantom_validation difficulty [--seeds 3]
python -m lib.app.phantom_validation variety
python -m lib.app.phantom_validation realism --scene wrist --real FOLDER_OF_PICTURES [--invert]
python -m lib.app.phantom_validation transfer --real DATA_ROOT [--seeds 3] [--profile quick]
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from lib import figures
from lib.app.phantom_validation import figures as drawn, realism
from lib.app.phantom_validation.difficulty import BAND, difficulty
from lib.app.phantom_validation.transfer import transfer
from lib.app.phantom_validation.variety import variety
from lib.base.errors import OsteoBookError
from lib.engine.workers import run_in_processes
from lib.phantoms import SCENES
from lib.phantoms.sheet import contact_sheet

PLACE = "phantoms"
SHOWN = 8  # pictures of each kind, side by side


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, print the table; exit code 0, or 2 with a message."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.app.phantom_validation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=sorted(MEASURES))
    parser.add_argument("--scene", choices=SCENES, help="one scene instead of all")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each kind (3)")
    parser.add_argument("--real", type=Path, help="real pictures, or a data root with wrist/")
    parser.add_argument("--invert", action="store_true", help="the real pictures show bone dark")
    parser.add_argument("--profile", default="quick", help="sizes of the transfer (quick)")
    options = parser.parse_args(arguments)
    if options.what in ("realism", "transfer") and not options.real:
        parser.error(f"{options.what} needs --real")
    if options.what == "realism" and not options.scene:
        parser.error("realism needs --scene")
    try:
        print(MEASURES[options.what](options).to_string(index=False))
    except OsteoBookError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def measure_difficulty(options) -> pd.DataFrame:
    """Figure and table of the calibration; returns the mean Dice of each structure."""
    scenes = [options.scene] if options.scene else SCENES
    jobs = [(scene, seed) for scene in scenes for seed in range(options.seeds)]
    tables = run_in_processes(difficulty, jobs, what="difficulty", unit="training")
    table = pd.concat(tables, ignore_index=True)
    name = f"difficulty_{options.scene}" if options.scene else "difficulty"
    figures.save(drawn.difficulty(table, BAND), PLACE, name, table, synthetic=True)
    by_seed = table.groupby(["scene", "structure", "seed"], sort=False)["dice"].mean()
    grouped = by_seed.groupby(["scene", "structure"], sort=False)
    return grouped.agg(["mean", "min", "max"]).round(3).reset_index()


def measure_variety(options) -> pd.DataFrame:
    """Table of every case's nearest neighbour; returns the extremes of each scene."""
    scenes = [options.scene] if options.scene else SCENES
    tables = run_in_processes(variety, [(s,) for s in scenes], what="variety", unit="scene")
    table = pd.concat(tables, ignore_index=True)
    name = f"variety_{options.scene}" if options.scene else "variety"
    figures.save_table(table, PLACE, name, synthetic=True)
    grouped = table.groupby("scene", sort=False)
    columns = {
        "cases": ("case", "size"),
        "smallest_distance": ("distance", "min"),
        "median_distance": ("median_distance", "median"),
        "largest_dice": ("nearest_dice", "max"),
    }
    return grouped.agg(**columns).round(3).reset_index()


def measure_realism(options) -> pd.DataFrame:
    """Figure of grey levels and spectra, and a private sheet of pictures; returns the numbers."""
    real = realism.real_pictures(options.real, options.invert)
    pictures = {"real": real, "phantom": realism.phantom_pictures(options.scene, len(real))}
    greys = {source: realism.grey_levels(images) for source, images in pictures.items()}
    spectra = {source: realism.power_spectra(images) for source, images in pictures.items()}
    rows = [realism.numbers(options.scene, source, images) for source, images in pictures.items()]
    n = ", ".join(f"{len(images)} {source}" for source, images in pictures.items())
    title = f"{SCENES[options.scene].what} ({n})"
    figure = drawn.likeness(greys, spectra, title)
    name, table = f"realism_{options.scene}", pd.DataFrame(rows)
    figures.save(figure, PLACE, name, table)
    sheet = contact_sheet(sum(map(_shown, pictures.values()), []), min(SHOWN, len(real)))
    figures.save(drawn.sheet(sheet), PLACE, f"{name}_pictures", private=True)
    return table.round(3)


def measure_transfer(options) -> pd.DataFrame:
    """Figure and tables of learning from phantoms; returns F1 and IoU."""
    scores, differences = transfer(str(options.real), options.profile, options.seeds)
    figures.save(drawn.transfer(scores), PLACE, "transfer", scores)
    figures.save_table(differences, PLACE, "transfer_differences")
    return scores[scores["metric"].isin(["f1", "iou"])].round(3)


def _shown(pictures: list[np.ndarray]) -> list[np.ndarray]:
    """Some pictures as grey H x 256 x 3 uint8."""
    places = np.linspace(0, len(pictures) - 1, min(SHOWN, len(pictures))).round().astype(int)
    squares = [pictures[i] for i in places]
    left = [(square.shape[1] - 256) // 2 for square in squares]
    cut = [square[:, x : x + 256] for square, x in zip(squares, left, strict=True)]
    return [np.repeat((square * 255).astype(np.uint8)[..., None], 3, 2) for square in cut]


MEASURES: dict[str, Callable] = {
    "difficulty": measure_difficulty,
    "variety": measure_variety,
    "realism": measure_realism,
    "transfer": measure_transfer,
}

if __name__ == "__main__":
    sys.exit(main())
