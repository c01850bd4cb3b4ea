"""What the network of a finished training costs: time and size; apart from all results."""

from pathlib import Path

import pandas as pd

from lib.engine.latency import measure
from lib.engine.trials import stored_config
from lib.models.mobilenet import mobilenet_segmenter
from lib.studies.humerus.data import METRIC_SIZE


def network_speed(folder: Path, device: str) -> pd.DataFrame:
    """Latency and throughput at 256 x 256 of a trial's network, on the CPU and on ``device``."""
    network = mobilenet_segmenter(stored_config(folder)["trial"]["head"])
    shape = (3, METRIC_SIZE, METRIC_SIZE)
    rows = [{"device": name} | measure(network, shape, name) for name in {"cpu": 0, device: 0}]
    return pd.DataFrame(rows)
