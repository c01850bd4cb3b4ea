"""Slices of the pediatric paper: its table S1 against its tables of volumes, and its tests."""

import numpy as np
import pandas as pd

from lib.studies.pediatric.audit_tables import (
    METHOD,
    METRICS,
    PROPOSED,
    slice_means,
    slice_metrics,
    volume_means,
)


def slices_against_volumes() -> pd.DataFrame:
    """CombReg minus each other regularisation of Att-UNet, on volumes and on slices (table S1).

    Columns: dataset, strategy, other, metric, volumes, slices (differences in percent), opposite.
    """
    parts = {}
    for name, means in (("volumes", volume_means()), ("slices", slice_means())):
        table = means[METRICS[:3]].xs("Att-UNet", level="backbone")
        combined = table.xs("comb", level="regularisation")
        others = table.drop("comb", level="regularisation")
        difference = combined.reindex(others.droplevel("regularisation").index).to_numpy() - others
        parts[name] = difference.rename_axis(columns="metric").stack().round(1)
    table = pd.DataFrame(parts).reset_index().rename(columns={"regularisation": "other"})
    return table.assign(opposite=table["volumes"] * table["slices"] < 0)


def slice_tests() -> pd.DataFrame:
    """The 102 tests of table S1, with the direction of the means that it leaves out.

    Columns: the method's keys, metric, mean, p, proposed (its mean), significant (p < 0.05),
    proposed_is ("higher", "equal", "lower").
    """
    table = slice_metrics()
    proposed = slice_means().xs(PROPOSED, level=METHOD).stack()
    table["proposed"] = [proposed[r.dataset, r.metric] for r in table.itertuples()]
    table = table[table["p"].notna()].reset_index(drop=True)
    difference = (table["proposed"] - table["mean"]).round(1)
    table["significant"] = table["p"] < 0.05
    names = ["higher", "lower"]
    return table.assign(proposed_is=np.select([difference > 0, difference < 0], names, "equal"))
