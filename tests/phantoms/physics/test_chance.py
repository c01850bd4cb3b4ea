"""Streams that never coincide, and draws that follow their law."""

from itertools import combinations

import numpy as np
import pytest

from lib.phantoms.physics.chance import draw_from, stream

TABLE = {
    "flat": ("uniform", 2.0, 6.0, "mm"),
    "scale": ("loguniform", 1.0, 100.0, "mm"),
    "bell": ("normal", 5.0, 2.0, "mm"),
    "skew": ("lognormal", 1.0, 0.5, "mm"),
}


def test_streams_differ_in_seed_scene_key_and_length_of_key():
    keys = [(1, 0), (1, 0, 0), (1, 0, 0, 0), (1, 1), (2, 0), (1, 0, 1), (1, 0, 1, 0)]
    firsts = [stream(*key).random() for key in keys]
    assert all(a != b for a, b in combinations(firsts, 2))
    assert stream(1, 0, 3).random() == stream(1, 0, 3).random()


@pytest.mark.parametrize(
    ("name", "mean", "sd", "of"),
    [
        ("flat", 4.0, 4 / np.sqrt(12), float),
        ("scale", np.log(10), np.log(100) / np.sqrt(12), np.log),
        ("bell", 5.0, 2.0, float),
        ("skew", 1.0, 0.5, np.log),
    ],
)
def test_draws_follow_their_law(name, mean, sd, of):
    rng = np.random.default_rng(0)
    drawn = np.array([of(draw_from(TABLE, rng, name)) for _ in range(4000)])
    assert drawn.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(4000))
    assert drawn.std() == pytest.approx(sd, rel=0.05)


def test_unknown_law_is_named():
    with pytest.raises(ValueError, match="width: unknown law 'flt'"):
        draw_from({"width": ("flt", 0, 1, "mm")}, np.random.default_rng(0), "width")
