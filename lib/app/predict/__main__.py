"""Predict on any image: ``python -m lib.app.predict --study knee [--weights DIR] IMAGE...``."""

import argparse
import sys
from pathlib import Path

from lib.base.errors import OsteoBookError


def main(arguments: list[str] | None = None) -> int:
    """Predict, write and report; 0, 1 if some images could not be used, 2 for other errors."""
    try:
        return _predict(arguments)
    except OsteoBookError as error:
        print(f"lib.app.predict: error: {error}", file=sys.stderr)
        return 2


def _predict(arguments: list[str] | None) -> int:
    from lib.app.predict.model import best_weights
    from lib.app.predict.results import default_folder, empty_images, predict
    from lib.studies.registry import STUDIES

    parser = argparse.ArgumentParser(
        prog="python -m lib.app.predict",
        description="Masks, overlays and measurements of your images. Not for clinical use.",
        epilog="Radiographs (PNG, JPEG, TIFF, DICOM) give masks/<structure>/<image>.png, volumes "
        "(NIfTI, NRRD, or the folder of a DICOM series; study pediatric) labels/<image>.nii.gz, "
        "both with overlays/ and measurements.csv; the hand study adds entropy/<image>.png.",
    )
    add = parser.add_argument
    add("--study", required=True, choices=STUDIES)
    add(
        "--weights",
        type=Path,
        metavar="DIR",
        help="data/trials/<study>/<trial>; default: the best in validation",
    )
    add(
        "--variant",
        default="",
        metavar="NAME",
        help="variant of the study, such as ankle or shoulder (pediatric)",
    )
    add("--out", type=Path, metavar="DIR", help="default: figures/<study>/private/predicted")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("images", nargs="+", type=Path, metavar="IMAGE", help="files, or folders to search")
    options = parser.parse_args(arguments)
    if options.weights and options.variant:
        parser.error("--variant chooses among trained models; leave it out, or --weights")
    out = options.out or default_folder(options.study, "predicted")
    weights = options.weights or best_weights(options.study, options.variant)
    print(f"weights: {weights}")
    table, problems, _ = predict(options.study, weights, options.images, out, options.device)
    for problem in problems:
        print(problem, file=sys.stderr)
    for name in empty_images(table):
        print(f"{name}: nothing found")
    print(f"{table['image'].nunique()} images predicted, {len(problems)} not usable; see {out}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
