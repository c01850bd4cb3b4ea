"""How fast the network of a finished trial is.

Measured once (``lib.engine.derived``), so nothing here may import what changes with a figure.
"""

from pathlib import Path

import pandas as pd

from lib.engine.latency import measure
from lib.engine.trials import stored_trial
from lib.studies.humerus.learn import METRIC_SIZE
from lib.studies.humerus.learner import Learner


def network_speed(folder: Path, device: str) -> pd.DataFrame:
    """Latency and throughput at 256 x 256 of a trial's network, on the CPU and on ``device``."""
    network = Learner(stored_trial(folder) | {"weights": "none"}, n_training=1).network
    shape = (3, METRIC_SIZE, METRIC_SIZE)
    rows = [{"device": name} | measure(network, shape, name) for name in {"cpu": 0, device: 0}]
    return pd.DataFrame(rows)
