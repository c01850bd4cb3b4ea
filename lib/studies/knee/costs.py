"""What the networks of the knee study cost: time, arithmetic, size; apart from all results."""

from pathlib import Path

import pandas as pd

from lib.engine.complexity import gigaflops
from lib.engine.latency import measure
from lib.engine.trials import stored_config
from lib.models import count_parameters
from lib.models.knee_networks import NETWORKS, knee_network


def network_costs(folder: Path, device: str) -> pd.DataFrame:
    """Parameters (millions, without the auxiliary head), GFLOPs and latency at a trial's size."""
    trial, rows = stored_config(folder)["trial"], []
    shape = (3, trial["image_size"], trial["image_size"])
    for name in NETWORKS:
        network = knee_network(name, trial["width"]).eval()
        network.auxiliary = None  # serves training only
        row = {"network": name, "parameters": count_parameters(network) / 1e6}
        row |= {"gflops": gigaflops(network, shape)}
        rows.append(row | {"latency_ms": measure(network, shape, device)["latency_ms"]})
    return pd.DataFrame(rows)
