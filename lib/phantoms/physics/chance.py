"""Random numbers of a scene: one stream per purpose, and draws from its table of ranges."""

from collections.abc import Mapping

import numpy as np


def stream(scene: int, seed: int, *key: int) -> np.random.Generator:
    """Generator of its own for each seed, scene and key.

    The key's length counts, because numpy reads [1] and [1, 0] as the same seed.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, scene, len(key), *key]))


def draw_from(ranges: Mapping[str, tuple], rng: np.random.Generator, name: str) -> float:
    """One number of a table name -> (law, first, second, unit and why).

    Laws: uniform and loguniform (from, to), normal (mean, SD), lognormal (mean and SD of the log).

    Raises:
        ValueError: if the law has another name.
    """
    law, first, second, _ = ranges[name]
    if law == "uniform":
        return float(rng.uniform(first, second))
    if law == "loguniform":
        return float(np.exp(rng.uniform(np.log(first), np.log(second))))
    if law not in ("normal", "lognormal"):
        raise ValueError(f"{name}: unknown law {law!r}")
    value = float(rng.normal(first, second))
    return float(np.exp(value)) if law == "lognormal" else value
