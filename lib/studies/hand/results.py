"""Tables of the hand study: tidy results in, data frames out. Nothing is trained."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from lib.base.tables import read_table
from lib.engine.trials import stored_config
from lib.evidence.statistics import summary
from lib.metrics.embedding import neighbour_purity, silhouette, tsne_table
from lib.studies.hand.audit import BEST, METRICS, printed
from lib.studies.hand.data import split_cases
from lib.studies.hand.methods import MASKED, SEGMENTERS, SUPERVISED
from lib.studies.hand.scores import (
    KEYS,
    THRESHOLD,
    classification,
    interval,
    resampled,
    subject_scores,
)
from lib.studies.hand.trials import SegmentationTrial

# table of the paper -> our variant and its condition; table 3 is the supervised network
CONDITIONS = {
    1: (MASKED, "full"),
    2: ("unsegmented", "no_segmentation"),
    3: (MASKED, SUPERVISED),
    4: ("conventional", "conventional_crops"),
}
CERTAIN = 0.75  # [A] share of the validation patches' entropies that are kept
NEIGHBOURS = 10  # [A]


def predictions_of(folders: Iterable[Path], file: str = "predictions.csv") -> pd.DataFrame:
    """Predictions of all trials on patches that have the file: dataset, method, seed, its rows."""
    frames = []
    for folder in folders:
        if not (folder / file).exists():
            continue
        frame = read_table(folder / file)
        trial = stored_config(folder)["trial"]
        named = zip(KEYS, ("variant", "method", "seed"), strict=True)
        for place, (column, key) in enumerate(named):
            frame.insert(place, column, trial[key])
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def tested(predictions: pd.DataFrame) -> pd.DataFrame:
    """Scores of the test subjects, as ``subject_scores`` gives them; a ROC needs no more."""
    return subject_scores(predictions[predictions["split"] == "test"])


def with_split(
    metrics: pd.DataFrame, trials: Iterable[SegmentationTrial], cases: pd.DataFrame
) -> pd.DataFrame:
    """The metrics with ``split``: the part that a case has under the seed; None without a case.

    Segmentation trials score validation cases too, on which their epoch was chosen.

    Args:
        metrics: of all trials.
        trials: the segmentation's.
        cases: of ``load_cases``.
    """
    names = cases["case"].to_numpy()
    parts = {
        (seed, name): part
        for seed in {trial.seed for trial in trials}
        for part, rows in split_cases(cases, seed).items()
        for name in names[rows]
    }
    keys = zip(metrics["seed"], metrics["case"], strict=True)
    return metrics.assign(split=[parts.get(key) for key in keys])


Draws = dict[tuple[str, str], dict[str, np.ndarray]]


def draws(scores: pd.DataFrame, seed: int) -> Draws:
    """(dataset, method) -> metric -> values in resamples of the test subjects, mean over seeds.

    All of them see the same subjects: their differences are paired.
    """
    people = scores.drop_duplicates("subject")[["subject", "label"]].sort_values("subject")
    return {
        key: resampled(part, people, seed)
        for key, part in scores.groupby(["dataset", "method"], sort=False)
    }


def tables(metrics: pd.DataFrame, predictions: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Tables 1 to 4, ours beside the paper's; one row per table, method and metric.

    Columns: table, dataset, method, metric; mean, sd (over seeds, NaN for one), seeds, subjects (in
    all test sets together), undefined (scores 0/0, counted as 0), low, high (95 %, subjects
    resampled); delta to table 1 (of the supervised network: to SimCLR), delta_low, delta_high
    (paired); paper_mean, paper_sd, paper_delta (NaN where none is printed).
    """
    scores, paper = tested(predictions), printed().set_index(["condition", "method", "metric"])
    drawn, means = draws(scores, seed), seed_means(metrics)
    rows = []
    for number, (dataset, condition) in CONDITIONS.items():
        for method in methods_of(scores, number):
            part = scores.query("dataset == @dataset and method == @method")
            for metric in METRICS:
                row = {"table": number, "dataset": dataset, "method": method, "metric": metric}
                row |= means.loc[(dataset, method, metric)].to_dict()
                row["subjects"] = part["subject"].nunique()
                row["undefined"] = means.loc[(dataset, method, "undefined"), "total"]
                row["low"], row["high"] = interval(drawn[dataset, method][metric])
                row |= change(means, drawn, number, method, metric)
                key = (condition, method, metric)
                for name in ("mean", "sd", "delta"):
                    row[f"paper_{name}"] = paper.loc[key, name] if key in paper.index else np.nan
                rows.append(row)
    return pd.DataFrame(rows).drop(columns="total")


def seed_means(metrics: pd.DataFrame) -> pd.DataFrame:
    """Mean, SD (n - 1) and sum over the seeds, by dataset, method and metric of the subjects.

    An AUC that a test set of one class leaves undefined is left out of the mean.
    """
    chosen = metrics[metrics["structure"] == "subject"]
    grouped = chosen.groupby(["dataset", "method", "metric"])["value"]
    means = grouped.agg(mean="mean", sd="std", seeds="count", total="sum")
    return means.astype({"total": int}, errors="ignore")


def methods_of(scores: pd.DataFrame, number: int) -> list[str]:
    """Methods of a table of the paper that were run, in the order of their runs."""
    dataset, condition = CONDITIONS[number]
    run = scores.loc[scores["dataset"] == dataset, "method"].unique()
    return [name for name in run if (name == SUPERVISED) == (condition == SUPERVISED)]


def change(means: pd.DataFrame, drawn: Draws, number: int, method: str, metric: str) -> dict:
    """What an ablation changes in a metric, with its paired interval; NaN in table 1."""
    reference = (MASKED, BEST if number == 3 else method)
    names = ("delta", "delta_low", "delta_high")
    if number == 1 or reference not in drawn:
        return dict.fromkeys(names, np.nan)
    key = CONDITIONS[number][0], method
    delta = means.loc[(*key, metric), "mean"] - means.loc[(*reference, metric), "mean"]
    limits = interval(drawn[key][metric] - drawn[reference][metric])
    return dict(zip(names, (delta, *limits), strict=True))


def segmentation(metrics: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Test cases: Dice, IoU and detection of each bone, GED, matched IoU and ECE of the image.

    Columns: method, structure, metric, mean, sd, n, low, high (95 %, over subjects); "mean" as
    structure is the mean over a subject's bones. ``metrics`` are those of ``with_split``.
    """
    of_test = metrics["method"].isin(list(SEGMENTERS)) & (metrics["split"] == "test")
    chosen = metrics[of_test].dropna(subset="value")
    keys = ["method", "structure", "metric"]
    subjects = chosen.groupby([*keys, "subject"], sort=False)["value"].mean().reset_index()
    bones = subjects[subjects["structure"] != "image"]
    average = bones.groupby(["method", "metric", "subject"], sort=False)["value"].mean()
    table = pd.concat([subjects, average.reset_index().assign(structure="mean")])
    return pd.DataFrame(
        dict(zip(keys, names, strict=True)) | summary(part["value"].to_numpy(), seed)
        for names, part in table.groupby(keys, sort=False)
    )


def bone_probabilities(predictions: pd.DataFrame, method: str = BEST) -> pd.DataFrame:
    """Mean probability of each bone over subjects with osteoporosis (figure 5, and the missed).

    Columns: group, bone, mean, sd, n (subjects); of ``bone_means``.
    """
    grouped = bone_means(predictions, method).groupby(["group", "bone"], sort=False)
    table = grouped["probability"].agg(mean="mean", sd="std", n="count").reset_index()
    return table.sort_values("group", ascending=False, kind="stable", ignore_index=True)


def bone_means(predictions: pd.DataFrame, method: str = BEST) -> pd.DataFrame:
    """What each bone says of the test subjects with osteoporosis, the found and the missed.

    Columns: group ("true positives", where the subject's score is at least 0.5, or "false
    negatives"), subject, bone, probability: mean over its patches, then over the seeds under which
    the subject is of that group. Seeds may differ in the group, which gives a subject rows in both.
    """
    chosen = predictions.query("dataset == 'masked' and split == 'test' and method == @method")
    chosen = chosen[chosen["label"] == 1]
    detected = tested(chosen).set_index(["seed", "subject"])["probability"] >= THRESHOLD
    group = detected.map({True: "true positives", False: "false negatives"}).rename("group")
    keys = ["seed", "subject", "bone"]
    bones = chosen.groupby(keys, sort=False)["probability"].mean().reset_index()
    bones = bones.join(group, on=["seed", "subject"])
    keys = ["group", "subject", "bone"]
    return bones.groupby(keys, sort=False)["probability"].mean().reset_index()


def certainty(predictions: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Does the segmentation's entropy help in the mean over bones?

    Rules: "all bones" as in the paper; "certain bones" without those whose entropy exceeds the
    validation patches' 75 % quantile [A]; "weighted bones" by exp(-entropy / the validation
    patches' mean) [A]. Columns: dataset, method, rule, auc (mean over seeds), change (to all
    bones), low, high (95 %, paired over subjects), share (of the weight that is left).
    """
    known = predictions.dropna(subset="entropy")
    weights = {
        "all bones": pd.Series(1.0, known.index),
        "certain bones": _entropy_weights(known, lambda e, val: e <= val.quantile(CERTAIN)),
        "weighted bones": _entropy_weights(known, lambda e, val: np.exp(-e / val.mean())),
    }
    test = known[known["split"] == "test"]
    rows = []
    for key, part in test.groupby(["dataset", "method"], sort=False):
        plain = None
        for rule, weight in weights.items():
            scores = subject_scores(part, weight[part.index])
            values = draws(scores, seed)[key]["auc"]
            auc = mean_auc(scores)
            plain = (auc, values) if plain is None else plain
            row = dict(zip(("dataset", "method"), key, strict=True)) | {"rule": rule, "auc": auc}
            row |= {"change": auc - plain[0], "share": weight[part.index].mean()}
            rows.append(row | dict(zip(("low", "high"), interval(values - plain[1]), strict=True)))
    return pd.DataFrame(rows)


def _entropy_weights(known: pd.DataFrame, rule) -> pd.Series:
    """Weights of patches by their entropy and those of the same trial's validation patches."""
    parts = [
        rule(part["entropy"], part.loc[part["split"] == "val", "entropy"]).astype(float)
        for _, part in known.groupby(KEYS, sort=False)
    ]
    return pd.concat(parts).reindex(known.index)


def mean_auc(scores: pd.DataFrame) -> float:
    """AUC of one method's ``subject_scores``, mean over its seeds."""
    parts = (part for _, part in scores.groupby("seed"))
    return float(np.mean([classification(p["label"], p["probability"])["auc"] for p in parts]))


def feature_maps(folder: Path, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """t-SNE of a trial's features of validation and test patches, and how they are separated.

    Returns:
        Points: panel ("osteoporosis" or "bone"), x, y, label. Measures: panel, purity (of the 10
        nearest), silhouette (both of the features themselves), n (patches).
    """
    with np.load(folder / "features.npz") as stored:
        features = stored["features"].astype(np.float64)
    table = read_table(folder / "predictions.csv")
    names = {"osteoporosis": table["label"].map({0: "healthy", 1: "osteoporosis"})}
    names["bone"] = table["bone"]
    place, points, measures = tsne_table(features, seed), [], []
    for panel, labels in names.items():
        points.append(place.assign(panel=panel, label=labels.to_numpy()))
        purity = neighbour_purity(features, labels, min(NEIGHBOURS, len(features) - 1))
        row = {"panel": panel, "purity": purity, "silhouette": silhouette(features, labels)}
        measures.append(row | {"n": len(features)})
    return pd.concat(points, ignore_index=True), pd.DataFrame(measures)
