"""Measure the phantoms: ``python -m lib.validation difficulty --scenes knee --seeds 1``."""

import argparse

from lib.phantoms import SCENES
from lib.validation.difficulty import BAND, difficulty

parser = argparse.ArgumentParser(prog="python -m lib.validation", description=__doc__)
parser.add_argument("what", choices=("difficulty",))
parser.add_argument("--scenes", default=",".join(SCENES))
parser.add_argument("--seeds", type=int, default=1)
arguments = parser.parse_args()
for scene in arguments.scenes.split(","):
    for seed in range(arguments.seeds):
        table = difficulty(scene, seed)
        print(
            scene,
            seed,
            table.groupby("structure", sort=False).dice.mean().round(3).to_dict(),
            BAND,
            flush=True,
        )
