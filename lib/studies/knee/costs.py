"""What the networks of a finished trial cost: parameters, arithmetic, time.

Measured once (``lib.engine.derived``), so nothing here may import what changes with a figure.
"""

from pathlib import Path

import pandas as pd

from lib.engine.complexity import gigaflops
from lib.engine.latency import measure
from lib.engine.trials import stored_trial
from lib.models import count_parameters
from lib.models.knee_networks import NETWORKS, knee_network


def network_costs(folder: Path, device: str) -> pd.DataFrame:
    """Parameters (millions, without the auxiliary head), GFLOPs and latency at a trial's size."""
    trial, rows = stored_trial(folder), []
    shape = (3, trial["image_size"], trial["image_size"])
    for name in NETWORKS:
        network = knee_network(name, trial["width"]).eval()
        network.auxiliary = None  # serves training only
        row = {"network": name, "parameters": count_parameters(network) / 1e6}
        row |= {"gflops": gigaflops(network, shape)}
        rows.append(row | {"latency_ms": measure(network, shape, device)["latency_ms"]})
    return pd.DataFrame(rows)
