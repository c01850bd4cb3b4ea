"""The five claims of the wrist paper, decided on our test images."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lib.evidence.claims import (
    Estimate,
    Verdict,
    claims_table,
    deciding,
    estimate_of,
    verdict_from_interval,
    verdict_of_all,
)
from lib.evidence.statistics import SMALLEST_N, holm, paired_test
from lib.studies.wrist import audit
from lib.studies.wrist.methods import ADAPTIVE, BASELINE, METHODS
from lib.studies.wrist.results import SCORES, against_baselines, comparisons, pooled_scores

DATASET = "tight"  # the version of the task whose prevalence is the paper's
ALPHA = 0.05


def wrist_claims(metrics: pd.DataFrame, history: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Claims W1-W5 with the paper's numbers, our verdict and its evidence.

    Decided on the tight crops, where the share of foreground is the paper's. ``metrics`` holds the
    methods and the trivial baselines.
    """
    scores = pooled_scores(metrics, seed).set_index(["dataset", "method", "metric"]).sort_index()
    trained = metrics[metrics["method"].isin(METHODS)]
    compared = comparisons(trained).query("method == @ADAPTIVE")
    subjects = trained.groupby("dataset")["subject"].nunique()
    verdicts = {
        "W1": improves_all_four(compared),
        "W2": improves_all_four(compared),
        "W3": reaches_the_printed_scores(scores, int(subjects[DATASET])),
        "W4": beats_trivial_baselines(against_baselines(metrics, seed), subjects),
        "W5": is_more_stable(history),
    }
    return claims_table("wrist", verdicts)


def improves_all_four(compared: pd.DataFrame) -> Verdict:
    """W1 and W2: adaptive weights raise accuracy, precision, recall and F1, each significantly.

    Paired by subject, Holm over the four metrics. One significant fall contradicts the claim.
    """
    rows = compared[compared["dataset"] == DATASET].set_index("metric").loc[list(SCORES)]
    p = pd.Series(holm(rows["p"]), rows.index)
    falls = (p < ALPHA) & (rows["mean_difference"] < 0)
    rises = (p < ALPHA) & (rows["mean_difference"] > 0)
    verdict = "contradicted" if falls.any() else "reproduced" if rises.all() else "inconclusive"
    parts = [
        f"{metric} {row['mean_difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] "
        f"p = {p[metric]:.3f}"
        for metric, row in rows.iterrows()
    ]
    evidence = f"{DATASET}, adaptive minus fixed (Holm over 4): " + ", ".join(parts)
    outcome = np.select([falls, rises], ["contradicted", "reproduced"], "inconclusive")
    row = deciding(rows.assign(verdict=outcome, p=p))
    estimate = estimate_of(row, f"{row.name}, {DATASET}, adaptive minus fixed")
    return Verdict(verdict, evidence, int(rows["n"].min()), float(row["p"]), estimate)


def reaches_the_printed_scores(scores: pd.DataFrame, n: int) -> Verdict:
    """W3: accuracy 71, precision 78, recall 85 and F1 81 % are reached on n other subjects."""
    printed = audit.overall_differences().set_index("metric")["adaptive"]
    rows = scores.loc[(DATASET, ADAPTIVE)].loc[list(SCORES)]
    verdicts = [
        verdict_from_interval(rows.loc[m, "low"] - printed[m], rows.loc[m, "high"] - printed[m], +1)
        for m in SCORES
    ]
    reached = ", ".join(f"{m} {rows.loc[m, 'mean']:.3f} (paper {printed[m]:.3f})" for m in SCORES)
    whole = scores.loc[("whole", ADAPTIVE, "f1"), "mean"]
    evidence = f"tight crops: {reached}; F1 on whole images {whole:.3f}"
    verdict = verdict_of_all(verdicts)
    row = rows.iloc[verdicts.index(verdict)]
    numbers = (float(row[name]) for name in ("mean", "sd", "low", "high"))
    estimate = Estimate(f"{row.name}, {DATASET}, adaptive (SD over seeds)", *numbers)
    return Verdict(verdict, evidence, n, estimate=estimate)


def beats_trivial_baselines(against: pd.DataFrame, subjects: Mapping[str, int]) -> Verdict:
    """W4: handles class imbalance, that is, beats all-positive and all-negative in F1.

    The mean mask is named as well: it knows where boxes usually are, not how rare they are.

    Args:
        against: ``wrist_results.against_baselines``.
        subjects: dataset -> how many test subjects it has.
    """
    rows = against.query("method == @ADAPTIVE and metric == 'f1'")
    decisive = rows[rows["baseline"] != "mean_mask"]
    verdicts = [verdict_from_interval(r["low"], r["high"], +1) for _, r in decisive.iterrows()]
    parts = [
        f"{r['dataset']} {r['difference']:+.3f} over {r['baseline']} "
        f"[{r['low']:+.3f}, {r['high']:+.3f}]"
        for _, r in rows.iterrows()
    ]
    verdict = verdict_of_all(verdicts)
    row = decisive.iloc[verdicts.index(verdict)]
    measure = f"f1, {row['dataset']}, adaptive minus {row['baseline']}"
    numbers = {"low": float(row["low"]), "high": float(row["high"])}
    estimate = Estimate(measure, float(row["difference"]), **numbers)
    evidence = "F1, intervals uncorrected: " + "; ".join(parts)
    return Verdict(verdict, evidence, int(subjects[row["dataset"]]), estimate=estimate)


def is_more_stable(history: pd.DataFrame) -> Verdict:
    """W5: less overfitting and a steadier validation loss than fixed weights, over seeds.

    Overfitting is validation minus training loss, unsteadiness the SD of the validation loss, both
    over the last third of the epochs and at equal weights, because weighted losses differ in scale.
    """
    behaviour = training_behaviour(history[history["dataset"] == DATASET])
    verdicts, parts, estimates = [], [], []
    for measure in ("overfitting", "unsteadiness"):
        table = behaviour.pivot(index="seed", columns="method", values=measure)
        test = paired_test(table[ADAPTIVE], table[BASELINE])
        enough = test["n"] >= SMALLEST_N
        verdict = verdict_from_interval(test["low"], test["high"], -1) if enough else "inconclusive"
        verdicts.append(verdict)
        estimates.append(estimate_of(test, f"{measure}, adaptive minus fixed, over seeds"))
        parts.append(f"{measure} {test['mean_difference']:+.4f}")
    seeds = behaviour["seed"].nunique()
    note = (
        "" if seeds >= SMALLEST_N else f"; {seeds} seeds cannot decide it (6 needed for p < 0.05)"
    )
    evidence = f"adaptive minus fixed: {', '.join(parts)}{note}"
    verdict = verdict_of_all(verdicts)
    return Verdict(verdict, evidence, seeds, estimate=estimates[verdicts.index(verdict)])


def training_behaviour(history: pd.DataFrame) -> pd.DataFrame:
    """Overfitting and unsteadiness (see ``is_more_stable``) of every training of one dataset."""
    equal = history.assign(
        train=(history["train_dice_loss"] + history["train_bce_loss"]) / 2,
        val=(history["val_dice_loss"] + history["val_bce_loss"]) / 2,
    )
    late = equal[equal["epoch"] >= 2 * (equal["epoch"].max() + 1) // 3]
    groups = late.groupby(["method", "seed"])
    frame = pd.DataFrame(
        {
            "overfitting": groups["val"].mean() - groups["train"].mean(),
            "unsteadiness": groups["val"].std(ddof=0),
        }
    )
    return frame.reset_index()
