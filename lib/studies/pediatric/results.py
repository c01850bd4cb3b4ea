"""Tables of the pediatric study: tidy results in, data frames out. Nothing is trained.

Everything is in the paper's units: Dice, sensitivity, specificity and RAVD in percent, MSSD and
ASSD in mm. Slices and growth have a module of their own, ``lib.studies.pediatric.slices``, and so
have the shape codes, ``lib.studies.pediatric.codes``.
"""

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr

from lib.evidence.ranking import PAPER, threshold_score
from lib.evidence.statistics import bootstrap_interval, bootstrap_weights, mean
from lib.studies.pediatric import audit_tables as paper
from lib.studies.pediatric.audit_tables import METHOD, METRICS
from lib.studies.pediatric.methods import METHODS, PROPOSED

UNION = "union"  # of the bones: what the paper scores, whatever the strategy
UNITS = {name: "mm" if name in ("mssd", "assd") else "%" for name in METRICS} | {"score": "0-100"}
FACTORS = pd.Series({name: 100 if UNITS[name] == "%" else 1 for name in METRICS})
VARIANTS = {  # table S2: one threshold changed
    f"{short}{value:g}": PAPER | {name: value}
    for short, name, values in (
        ("Dice", "dice", (75.0, 85.0)),
        ("Sens", "sensitivity", (75.0, 85.0)),
        ("MSSD", "mssd_mm", (20.0, 40.0)),
        ("ASSD", "assd_mm", (3.0, 5.0)),
        ("RAVD", "ravd", (5.0, 15.0)),
    )
    for value in values
}
RUN = ["dataset", "method", "fold", "subject", "case"]
CURVES = [
    "train_ce",
    "train_shape",
    "train_adv",
    "train_loss",
    "train_d_loss",
    "train_d_accuracy",
    "train_shape_ratio",
    "val_dice",
]
RESAMPLES = 1000


def with_parts(table: pd.DataFrame) -> pd.DataFrame:
    """The table in the paper's order of methods, with backbone, strategy and regularisation."""
    parts = table["method"].str.split("/", n=2, expand=True)
    table = table.assign(**{name: parts[i] for i, name in enumerate(METHOD)})
    order = {method: place for place, method in enumerate(METHODS)}
    order = table["method"].map(order).fillna(len(order))
    return (
        table.assign(order=order)
        .sort_values(["dataset", "order"], kind="stable")
        .drop(columns="order")
        .reset_index(drop=True)
    )


def printed(table: pd.DataFrame) -> pd.DataFrame:
    """A table of the paper by our names: ``method`` instead of its three parts in words."""
    table = table.reset_index() if "backbone" not in table else table
    backbone = table["backbone"].str.lower().str.replace("-", "_")
    method = backbone + "/" + table["strategy"] + "/" + table["regularisation"]
    return table.drop(columns=METHOD).assign(method=method)


def volumes(metrics: pd.DataFrame, thresholds=PAPER, structure: str = UNION) -> pd.DataFrame:
    """One row per examination and method: the six metrics, empty, score; means over seeds.

    ``metrics`` is tidy, with fractions and mm. An empty prediction scores 0, whatever the size of
    its volume; ``empty`` is the share of the seeds without a voxel.
    """
    chosen = metrics[metrics["structure"] == structure]
    wide = chosen.pivot_table(
        index=[*RUN, "seed"], columns="metric", values="value", sort=False
    ).rename(columns={"rvd": "ravd"})
    table = wide[METRICS] * FACTORS
    points = threshold_score(*(table[n] for n in METRICS if n != "specificity"), thresholds)
    table = table.assign(empty=wide["empty"], score=np.where(wide["empty"] > 0, 0.0, points))
    return with_parts(table.groupby(level=RUN, sort=False).mean().reset_index())


def summaries(table: pd.DataFrame, keys: list[str], measures: list[str], seed: int):
    """Mean, SD, n (examinations) and interval over subjects of each measure, by ``keys``.

    Columns: the keys, metric, unit, mean, sd, low, high, n, empty (examinations without a
    predicted voxel). SD and interval of a single examination are NaN.
    """
    rows = []
    for values, part in table.groupby(keys, sort=False):
        names = dict(zip(keys, values, strict=True))
        for metric in measures:
            row = names | {"metric": metric, "unit": UNITS[metric]}
            row |= _spread(part[metric].to_numpy(), part["subject"].to_numpy(), seed)
            rows.append(row | {"n": len(part), "empty": int((part["empty"] > 0).sum())})
    return pd.DataFrame(rows)


def _spread(values: np.ndarray, subjects: np.ndarray, seed: int) -> dict[str, float]:
    spread = {"mean": values.mean(), "sd": np.nan, "low": np.nan, "high": np.nan}
    if len(values) > 1:
        spread["sd"] = values.std(ddof=1)
    if len(set(subjects)) > 1:
        spread["low"], spread["high"] = bootstrap_interval(mean, values, seed=seed, groups=subjects)
    return spread


def table_2(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Att-UNet: every metric of ``volumes`` beside the paper's (paper_mean, paper_sd)."""
    return _beside_volumes(table[table["backbone"] == "att_unet"], seed)


def table_3(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Pre-trained networks as ``table_2``; NaN beside methods that the paper lacks."""
    return _beside_volumes(table[table["backbone"] != "att_unet"], seed)


def _beside_volumes(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    ours = summaries(table, ["dataset", "method"], METRICS, seed)
    theirs = printed(paper.volume_metrics())
    theirs = theirs.rename(columns={"mean": "paper_mean", "std": "paper_sd"})
    return with_parts(ours.merge(theirs, on=["dataset", "method", "metric"], how="left"))


def ranking(table: pd.DataFrame) -> pd.DataFrame:
    """dataset, method, score (mean over examinations), sd, n, rank among the paper's 18 methods.

    Equal scores share the better rank; methods beyond the paper have a score and no rank (NaN).
    """
    scores = table.groupby(["dataset", "method"], sort=False)["score"]
    scores = scores.agg(score="mean", sd="std", n="size").reset_index()
    ranked = scores[scores["method"].isin(METHODS)].groupby("dataset")["score"]
    return scores.assign(rank=ranked.rank(ascending=False, method="min"))


def table_4(table: pd.DataFrame) -> pd.DataFrame:
    """``ranking`` of each joint beside the paper's (paper_score, paper_sd, paper_rank)."""
    theirs = printed(paper.scores())
    names = {"score": "paper_score", "std": "paper_sd", "rank": "paper_rank"}
    theirs = theirs.rename(columns=names)
    return with_parts(ranking(table).merge(theirs, on=["dataset", "method"], how="left"))


def table_s2(metrics: pd.DataFrame) -> pd.DataFrame:
    """Rankings with one threshold changed: dataset, method, threshold, score, rank, paper_rank."""
    parts = [
        ranking(volumes(metrics, thresholds)).assign(threshold=name)
        for name, thresholds in VARIANTS.items()
    ]
    theirs = printed(paper.rankings()).melt(
        ["dataset", "method"], var_name="threshold", value_name="paper_rank"
    )
    table = pd.concat(parts).merge(theirs, on=["dataset", "method", "threshold"], how="left")
    columns = ["dataset", "method", "threshold", "score", "rank", "paper_rank"]
    return with_parts(table[columns])


def rank_stability(metrics: pd.DataFrame) -> pd.DataFrame:
    """What each change of a threshold does to the ranks of table 4.

    Columns: dataset, threshold, spearman (of the ranks before and after; NaN for fewer than two
    methods), moved (methods of another rank), leader, first (whether the proposed method leads),
    paper_spearman (of the paper's own tables).
    """
    keys = ["dataset", "method"]
    before = table_4(volumes(metrics)).set_index(keys)[["rank", "paper_rank"]].dropna(how="all")
    rows = []
    for (dataset, name), part in table_s2(metrics).groupby(["dataset", "threshold"], sort=False):
        after = part[part["rank"].notna()].set_index("method")
        ranks, old = after["rank"], before.loc[dataset].loc[after.index]
        row = {"dataset": dataset, "threshold": name, "spearman": _spearman(old["rank"], ranks)}
        row |= {"moved": int((old["rank"] != ranks).sum()), "leader": ranks.idxmin()}
        row |= {"first": ranks.get(PROPOSED) == 1}
        row |= {"paper_spearman": _spearman(old["paper_rank"], after["paper_rank"])}
        rows.append(row)
    return pd.DataFrame(rows)


def _spearman(a: pd.Series, b: pd.Series) -> float:
    """NaN where one of the two does not vary."""
    return float(spearmanr(a, b).statistic) if min(a.nunique(), b.nunique()) > 1 else np.nan


def resampled_ranks(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Rank of the paper's methods by mean score when the subjects are resampled.

    Only subjects on which all methods were run take part. Columns: dataset, method, rank, median,
    low, high (95 %), first (share of the resamples in which the method leads), n (subjects). From
    one subject every resample is that subject again: low and high are NaN.
    """
    parts = []
    for dataset, part in table[table["method"].isin(METHODS)].groupby("dataset", sort=False):
        wide = part.pivot_table(index="subject", columns="method", values="score", sort=False)
        wide = wide.dropna()
        if len(wide):
            parts.append(_ranks_of(wide, seed).assign(dataset=dataset))
    columns = ["dataset", "method", "rank", "median", "low", "high", "first", "n"]
    return pd.concat([pd.DataFrame(columns=columns), *parts], ignore_index=True)


def _ranks_of(wide: pd.DataFrame, seed: int) -> pd.DataFrame:
    drawn = bootstrap_weights(wide.index, RESAMPLES, seed)
    points = np.vstack([np.ones(len(wide)), drawn]) @ wide.to_numpy()
    ranks = rankdata(-points.round(9), method="min", axis=1)  # equal scores stay equal
    low, median, high = np.quantile(ranks[1:], (0.025, 0.5, 0.975), axis=0)
    table = pd.DataFrame({"method": wide.columns, "rank": ranks[0], "median": median})
    table = table.assign(low=low, high=high, first=(ranks[1:] == 1).mean(axis=0), n=len(wide))
    return table.assign(low=np.nan, high=np.nan) if len(wide) == 1 else table


def per_bone(metrics: pd.DataFrame, seed: int) -> pd.DataFrame:
    """``summaries`` of every bone by itself; the global strategy tells none apart and is left out.

    Columns: dataset, structure, method, its parts, metric, unit, mean, sd, low, high, n, empty.
    """
    bones = [name for name in metrics["structure"].unique() if name != UNION]
    tables = [volumes(metrics, structure=bone).assign(structure=bone) for bone in bones]
    keys = ["dataset", "structure", "method"]
    return with_parts(summaries(pd.concat(tables), keys, METRICS, seed))


def discriminator_curves(history: pd.DataFrame) -> pd.DataFrame:
    """What segmentation networks and discriminators told of their alternating training.

    Columns: dataset, method, its parts, structure (the bone of an individual network, else
    "union"), fold, seed, epoch and those of CURVES that were recorded; NaN where a method has no
    such term. Auto-encoders are left out.
    """
    name = history["method"].str.partition("-")
    table = history.assign(method=name[0], structure=name[2].replace("", UNION))
    table = table[~table["method"].str.startswith("autoencoder/")]
    recorded = [column for column in CURVES if column in table]
    return with_parts(table[["dataset", "method", "structure", "fold", "seed", "epoch", *recorded]])


def discriminator_summary(curves: pd.DataFrame) -> pd.DataFrame:
    """First, last and largest accuracy of each discriminator, and its smallest loss.

    Columns: dataset, method, structure, fold, seed, first, last, largest (share of real and
    predicted masks told right; 0.5 is chance), smallest_loss (far below 0.01 it has won, and
    teaches the network little), shape_ratio (weighted shape loss / cross-entropy, last epoch).
    """
    keys = ["dataset", "method", "structure", "fold", "seed"]
    chosen = curves[curves["train_d_accuracy"].notna()].sort_values("epoch", kind="stable")
    groups = chosen.groupby(keys, sort=False)
    accuracy = groups["train_d_accuracy"].agg(first="first", last="last", largest="max")
    others = {"smallest_loss": groups["train_d_loss"].min()}
    if "train_shape_ratio" in chosen:
        others["shape_ratio"] = groups["train_shape_ratio"].agg(lambda values: values.iloc[-1])
    return with_parts(accuracy.assign(**others).reset_index())
