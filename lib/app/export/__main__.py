"""A trained model as ONNX with its card:
``python -m lib.app.export --study knee --weights DIR``."""

import argparse
import sys
from pathlib import Path

from lib.base.errors import OsteoBookError


def main(arguments: list[str] | None = None) -> int:
    """Export, check and tell; 0, or 2 for errors."""
    from lib.app.export.card import export
    from lib.studies.registry import STUDIES

    parser = argparse.ArgumentParser(
        prog="python -m lib.app.export",
        description="Write model.onnx, checked against the network, and model_card.md.",
    )
    add = parser.add_argument
    add("--study", required=True, choices=STUDIES)
    add("--weights", required=True, type=Path, metavar="DIR", help="data/trials/<study>/<trial>")
    add("--out", type=Path, metavar="DIR", help="default: figures/<study>/private/exported/<trial>")
    options = parser.parse_args(arguments)
    try:
        folder, difference = export(options.study, options.weights, options.out)
    except OsteoBookError as error:
        print(f"lib.app.export: error: {error}", file=sys.stderr)
        return 2
    print(f"{folder}: model.onnx (logits agree within {difference:.1g}) and model_card.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
