"""Tables of the knee study: tidy results in, data frames out. Nothing is trained."""

import numpy as np
import pandas as pd

from lib.evidence.ranking import scoring_criterion
from lib.evidence.statistics import bootstrap_interval, bootstrap_weights, mean
from lib.studies.knee.data import STRUCTURES
from lib.studies.knee.learn import DISTANCES, SCORES
from lib.studies.knee.losses import EXTRA, LOSSES, VARIANTS
from lib.studies.knee.trials import SPLITS

METRICS = (*SCORES, *DISTANCES)
SCORED = tuple(loss for loss in LOSSES if loss != "ce1")  # the paper leaves CE1 out
RESAMPLES = 1000
BONES = STRUCTURES[:3]


def with_parts(metrics: pd.DataFrame) -> pd.DataFrame:
    """The tidy table with ``network`` and ``loss`` instead of their joined name beside it."""
    parts = {name: name.split("/", 1) for name in metrics["method"].unique()}
    network, loss = ({name: part[i] for name, part in parts.items()} for i in (0, 1))
    return metrics.assign(network=metrics["method"].map(network), loss=metrics["method"].map(loss))


def models(metrics: pd.DataFrame, losses=LOSSES, dataset: str = SPLITS[0]) -> pd.DataFrame:
    """One row per network, loss and structure: tables 5 to 8 before the scores.

    Columns: network, loss, structure, n (frames), empty (predictions without a pixel), the six
    means, mean_metric1 (of the four overlaps, equation 15), mean_metric2 (of the two distances, px,
    equation 16; NaN where every frame is empty: the model is undefined).
    """
    chosen = with_parts(metrics[metrics["dataset"] == dataset])
    chosen = chosen[chosen["loss"].isin(losses)]
    keys = ["network", "loss", "structure"]
    wide = chosen.pivot_table(index=keys, columns="metric", values="value", sort=False)
    count = (
        chosen[chosen["metric"] == "empty"].groupby(keys, sort=False)["value"].agg(["size", "sum"])
    )
    table = wide[list(METRICS)].assign(n=count["size"], empty=count["sum"].astype(int))
    undefined = table["empty"] == table["n"]
    table["mean_metric1"] = table[list(SCORES)].mean(axis=1)
    table["mean_metric2"] = table[list(DISTANCES)].mean(axis=1).mask(undefined)
    return table.reset_index()


def scores(table: pd.DataFrame) -> pd.DataFrame:
    """Points of every scored model: network, loss, one column per structure, total (of 400)."""
    scored = table[table["loss"].isin(SCORED)]
    points = [
        part.assign(points=scoring_criterion(part["mean_metric1"], part["mean_metric2"]))
        for _, part in scored.groupby("structure", sort=False)
    ]
    wide = pd.concat(points).pivot_table(
        index=["network", "loss"], columns="structure", values="points", sort=False
    )
    wide = wide[list(STRUCTURES)].assign(total=wide.sum(axis=1))
    return wide.sort_values("total", ascending=False, kind="stable").reset_index()


def table_4(metrics: pd.DataFrame, seed: int) -> pd.DataFrame:
    """CE1 and CE2 on the tendon: mean, SD, extremes and n of frames, interval over subjects."""
    chosen = with_parts(metrics[metrics["dataset"] == SPLITS[0]])
    keep = chosen["loss"].isin(("ce1", "ce2")) & (chosen["structure"] == "tendon")
    chosen = chosen[keep & chosen["metric"].isin(METRICS)]
    rows = []
    for keys, part in chosen.groupby(["network", "loss", "metric"], sort=False):
        values, groups = part["value"].to_numpy(), part["subject"].to_numpy()
        low, high = bootstrap_interval(mean, values, seed=seed, groups=groups)
        row = dict(zip(("network", "loss", "metric"), keys, strict=True))
        row |= {"mean": values.mean(), "sd": values.std(ddof=1), "max": values.max()}
        row |= {"min": values.min(), "n": len(values), "low": low, "high": high}
        rows.append(row | {"subjects": part["subject"].nunique()})
    return pd.DataFrame(rows)


def differences(metrics: pd.DataFrame, first: str, second: str, structure: str, seed: int):
    """second minus first (loss names), per network and metric, paired by frame.

    Frames of one subject are no independent cases: the interval resamples whole subjects. Columns:
    network, metric, difference, low, high, n (frames), subjects.
    """
    chosen = with_parts(metrics[metrics["dataset"] == SPLITS[0]])
    keep = chosen["loss"].isin((first, second)) & (chosen["structure"] == structure)
    chosen = chosen[keep & chosen["metric"].isin(METRICS)]
    index = ["network", "metric", "subject", "case"]
    wide = chosen.pivot_table(index=index, columns="loss", values="value", sort=False)
    change = (wide[second] - wide[first]).rename("difference").reset_index()
    rows = []
    for (network, metric), part in change.groupby(["network", "metric"], sort=False):
        values, groups = part["difference"].to_numpy(), part["subject"].to_numpy()
        low, high = bootstrap_interval(mean, values, seed=seed, groups=groups)
        row = {"network": network, "metric": metric, "difference": values.mean()}
        row |= {"low": low, "high": high, "n": len(values)}
        rows.append(row | {"subjects": len(set(groups))})
    return pd.DataFrame(rows)


def rank_stability(metrics: pd.DataFrame, seed: int, structures=STRUCTURES) -> pd.DataFrame:
    """Rank of every scored model by its total when the test subjects are resampled.

    Columns: network, loss, rank (on the subjects as they are), median, low, high (95 %), first
    (share of resamples in which the model is the best; ties go to the first in the table).
    """
    chosen = with_parts(metrics[metrics["dataset"] == SPLITS[0]])
    chosen = chosen[chosen["loss"].isin(SCORED) & chosen["structure"].isin(structures)]
    chosen = chosen[chosen["metric"].isin((*METRICS, "empty"))]
    subjects = sorted(chosen["subject"].unique())
    sums = chosen.pivot_table(
        index=["network", "loss"],
        columns=["structure", "metric", "subject"],
        values="value",
        aggfunc="sum",
        fill_value=0.0,
        sort=False,
    )
    counts = chosen[chosen["metric"] == "empty"].pivot_table(
        index=["network", "loss"],
        columns=["structure", "subject"],
        values="value",
        aggfunc="count",
        fill_value=0,
        sort=False,
    )
    # a subject without a single frame of a structure adds nothing to it
    shown = [list(structures), [*METRICS, "empty"], subjects]
    sums = sums.reindex(columns=pd.MultiIndex.from_product(shown), fill_value=0.0)
    counts = counts.reindex(columns=pd.MultiIndex.from_product(shown[::2]), fill_value=0)
    weights = np.vstack([np.ones(len(subjects), int), bootstrap_weights(subjects, RESAMPLES, seed)])
    total = sum(
        _points(sums[structure], counts[structure][subjects].to_numpy(), subjects, weights)
        for structure in structures
    )
    order = np.argsort(-total, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, len(sums) + 1)[None], axis=1)
    low, median, high = np.quantile(ranks[1:], (0.025, 0.5, 0.975), axis=0)
    table = sums.index.to_frame(index=False).assign(
        rank=ranks[0], median=median, low=low, high=high
    )
    return table.assign(first=(ranks[1:] == 1).mean(axis=0)).sort_values("rank", ignore_index=True)


def _points(sums: pd.DataFrame, counts: np.ndarray, subjects: list, weights: np.ndarray):
    """Points of the models (columns) for one structure in every resample (rows)."""
    frames = weights @ counts.T

    def means(name: str) -> np.ndarray:
        return weights @ sums[name][subjects].to_numpy().T / np.maximum(frames, 1)

    one = np.mean([means(name) for name in SCORES], axis=0)
    two = np.mean([means(name) for name in DISTANCES], axis=0)
    two = np.where(means("empty") >= 1, np.nan, two)
    return np.stack([scoring_criterion(*pair) for pair in zip(one, two, strict=True)])


def macro(table: pd.DataFrame, structures=BONES) -> pd.DataFrame:
    """Means over structures (the three bones by default) of every model's six metrics."""
    chosen = table[table["structure"].isin(structures)]
    return chosen.groupby(["network", "loss"], sort=False)[list(METRICS)].mean().reset_index()


def leakage(metrics: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """What validation frames of the training subjects promise, and what other subjects then give.

    Columns: network, loss, split, validation (mean IoU at the epoch that was selected), test (mean
    IoU of the test subjects), optimism (their difference). Both splits report on the same subjects.
    """
    paired = set(history.loc[history["dataset"] == SPLITS[1], "method"])
    rows = []
    chosen = history[history["method"].isin(paired)]
    for (method, dataset), part in chosen.groupby(["method", "dataset"], sort=False):
        network, loss = method.split("/", 1)
        tested = models(metrics, (loss,), dataset).query("network == @network")["iou"].mean()
        row = {"network": network, "loss": loss, "split": dataset}
        row |= {"validation": part["val_mean_iou"].max(), "test": tested}
        rows.append(row | {"optimism": row["validation"] - tested})
    return pd.DataFrame(rows)


def other_readings(metrics: pd.DataFrame, network: str) -> pd.DataFrame:
    """One network under the extra losses and the variants beside the configurations they vary."""
    table = models(metrics, (*LOSSES, *EXTRA, *VARIANTS)).query("network == @network")
    index = table["loss"].map({loss: i for i, loss in enumerate((*LOSSES, *EXTRA, *VARIANTS))})
    compared = {name.rsplit("_", 1)[0] for name in VARIANTS}
    compared |= {"ce2_dice_50_50", "ce2_bd_50_50", "ce2_dice_bd_50_25_25", *EXTRA, *VARIANTS}
    table = table.assign(order=index)[table["loss"].isin(compared)]
    table = table.sort_values("order", kind="stable")
    columns = ["dice", "mean_metric1", "mean_metric2", "empty"]
    return table.pivot_table(index="loss", columns="structure", values=columns, sort=False)
