"""Things worn on a hand: as often as stated, made of their materials, nothing else changed."""

import numpy as np
import pytest
import torch

from lib.phantoms.scenes.hand.worn import put_on, worn_things
from lib.phantoms.shapes.geometry import Frame
from lib.phantoms.shapes.tube import Tube


def worn(**chosen):
    numbers = dict.fromkeys(("finger", "wrist", "dressing", "lead"), 1.0) | chosen
    return worn_things(numbers, np.random.default_rng(0))


def test_things_are_worn_by_their_shares():
    assert worn()[:4] == ("", "", "", "")
    assert worn(finger=0.21, wrist=0.07, dressing=0.04, lead=0.05)[:4] == (
        "ring", "bangle", "splint", "cable",
    )  # fmt: skip
    assert worn(finger=0.23, wrist=0.04, dressing=0.1, lead=0.07)[:4] == (
        "",
        "watch",
        "bandage",
        "",
    )


@pytest.mark.parametrize(
    ("chosen", "materials"),
    [({}, set()), ({"finger": 0}, {"gold"}), ({"wrist": 0.07}, {"gold"}), ({"lead": 0}, {"iron"})]
    + [({"dressing": 0}, {"soft", "plaster"}), ({"dressing": 0.1}, {"soft"})],
)
def test_things_add_their_materials_and_nothing_else(chosen, materials):
    frame, rows = Frame(64, 64, 4.0), [(0, 5, 5), (1, 5, 5)]
    ends = {"radius": (8, -110, 8, -20), "ulna": (-12, -110, -12, -20), "M3": (0, 0, 0, 60)}
    ends |= dict.fromkeys(("P31", "P41"), (0, 65, 0, 100))
    tubes = {n: Tube((a, b, 0), (c, d, 0), rows) for n, (a, b, c, d) in ends.items()}
    soft = torch.full((64, 64), 20.0)
    bare = {"soft": soft, "bone": torch.zeros(64, 64)}
    dressed = put_on(bare, frame, worn(**chosen), tubes, soft)
    changed = {
        name for name, path in dressed.items() if not torch.equal(path, bare.get(name, path * 0))
    }
    assert changed == materials
    assert all((path >= bare.get(name, path * 0)).all() for name, path in dressed.items())
