"""``python -m lib.phantoms SCENE --n 24 --seed 0 --out sheet.png`` draws cases of a scene."""

import argparse
import sys
from pathlib import Path

from lib.base.errors import OsteoBookError
from lib.phantoms import SCENES
from lib.phantoms.sheet import draw_scene


def main(arguments: list[str] | None = None) -> int:
    """Parse, draw, print the file's name; exit code 0, or 2 with a message."""
    parser = argparse.ArgumentParser(prog="python -m lib.phantoms", description=main.__doc__)
    kinds = "; ".join(f"{name}: {scene.what}" for name, scene in SCENES.items())
    parser.add_argument("scene", metavar="SCENE", help=kinds)
    parser.add_argument("--n", type=int, default=24, help="number of cases (24)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=256, help="pixels along the height (256)")
    parser.add_argument("--out", type=Path, default=Path("sheet.png"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--outlines", action="store_true", help="draw the masks' outlines")
    options = parser.parse_args(arguments)
    try:
        path = draw_scene(
            options.scene, options.n, options.seed, options.size, options.out,
            options.device, options.outlines,
        )  # fmt: skip
    except (OsteoBookError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
