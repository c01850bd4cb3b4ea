"""Own images in one call: ``python -m lib.predict --study knee --weights DIR IMAGE...``."""

import argparse
import sys
from pathlib import Path

from lib.errors import OsteoBookError


def main(arguments: list[str] | None = None) -> int:
    """Predict, write and tell; 0, 1 where single images could not be used, 2 for other errors."""
    from lib.prediction import TASKS, predict
    from lib.prediction.results import default_folder, empty_images

    parser = argparse.ArgumentParser(
        prog="python -m lib.predict",
        description="Masks, overlays and measurements of your images. Not for clinical use.",
    )
    add = parser.add_argument
    add("--study", required=True, choices=TASKS)
    add("--weights", required=True, type=Path, metavar="DIR", help="data/trials/<study>/<trial>")
    add("--out", type=Path, metavar="DIR", help="default: figures/<study>/private/predicted")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("images", nargs="+", type=Path, metavar="IMAGE", help="files, or folders to search")
    options = parser.parse_args(arguments)
    out = options.out or default_folder(options.study, "predicted")
    try:
        table, problems = predict(
            options.study, options.weights, options.images, out, options.device
        )
    except OsteoBookError as error:
        print(f"lib.predict: error: {error}", file=sys.stderr)
        return 2
    for problem in problems:
        print(problem, file=sys.stderr)
    for name in empty_images(table):
        print(f"{name}: nothing found")
    print(f"{table['image'].nunique()} images predicted, {len(problems)} not usable; see {out}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
