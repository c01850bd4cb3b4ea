"""The ten claims of the knee paper, decided on our test subjects."""

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
from lib.evidence.statistics import holm, paired_test, summary
from lib.studies.knee.data import STRUCTURES
from lib.studies.knee.learn import SCORES
from lib.studies.knee.losses import LOSSES
from lib.studies.knee.results import METRICS, models, rank_stability, scores, with_parts
from lib.studies.knee.trials import SPLITS

ALPHA = 0.05
SIGN = {metric: +1 if metric in SCORES else -1 for metric in METRICS}  # of an improvement
BEST, BEST_ON_TENDON = "deeplabv3plus/ce2_dice_bd_50_25_25", "pspnet/ce2_dice_90_10"
FAMILIES = {  # CE2 and others, at three ratios each
    "CE2+DICE": ("ce2_dice_90_10", "ce2_dice_50_50", "ce2_dice_10_90"),
    "CE2+BD": ("ce2_bd_90_10", "ce2_bd_50_50", "ce2_bd_10_90"),
    "CE2+DICE+BD": ("ce2_dice_bd_80_10_10", "ce2_dice_bd_34_33_33", "ce2_dice_bd_50_25_25"),
}


def knee_claims(metrics: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Claims K1-K10 with the paper's numbers, our verdict and its evidence.

    The independent unit is the test subject (mean of its frames): differences are paired by
    subject, Wilcoxon, Holm within a claim; ranks are resampled over subjects. One training each:
    nothing here tells a loss from the chance of its training, so every verdict is about these
    models.
    """
    values = subject_values(metrics)
    table = models(metrics)
    verdicts = {
        "K1": weighted_is_better(values, ("iou", "recall")),
        "K2": weighted_is_better(values, ("dice",)),
        "K3": weighted_is_better(values, ("precision",)),
        "K4": weighted_is_better(values, ("hd95", "assd")),
        "K5": is_best(rank_stability(metrics, seed), BEST, values),
        "K6": Verdict("not testable", "the printed means are of the paper's own frames", 0),
        "K7": mixed_losses_improve(values, seed),
        "K8": more_boundary_is_better(values, seed),
        "K9": optimum_protects_the_tendon(values, scores(table)),
        "K10": is_best(rank_stability(metrics, seed, ("tendon",)), BEST_ON_TENDON, values),
    }
    return claims_table("knee", verdicts)


def subject_values(metrics: pd.DataFrame) -> pd.DataFrame:
    """Means over frames: rows metric, structure, subject; columns network, loss."""
    chosen = with_parts(metrics[metrics["dataset"] == SPLITS[0]])
    chosen = chosen[chosen["metric"].isin(METRICS) & chosen["loss"].isin(LOSSES)]
    return chosen.pivot_table(
        index=["metric", "structure", "subject"], columns=["network", "loss"], values="value"
    )


def compared(values: pd.DataFrame, pairs: list[tuple], measures: tuple) -> pd.DataFrame:
    """Tendon: (better, worse) models in each metric, with Holm-adjusted p and verdicts."""
    rows = []
    for better, worse in pairs:
        for metric in measures:
            table = values.loc[metric, "tendon"]
            test = paired_test(table[better], table[worse])
            verdict = verdict_from_interval(test["low"], test["high"], SIGN[metric])
            measure = f"tendon {metric}, {'/'.join(better)} minus {'/'.join(worse)}"
            row = {"network": better[0], "metric": metric, "measure": measure}
            rows.append(row | {"verdict": verdict} | test)
    frame = pd.DataFrame(rows)
    frame["p"] = holm(frame["p"])
    frame.loc[frame["p"] >= ALPHA, "verdict"] = "inconclusive"
    return frame


def weighted_is_better(values: pd.DataFrame, measures: tuple) -> Verdict:
    """K1-K4: CE2 is better than CE1 on the tendon in every network."""
    networks = values.columns.unique("network")
    table = compared(values, [((name, "ce2"), (name, "ce1")) for name in networks], measures)
    improved = (np.sign(table["mean_difference"]) == table["metric"].map(SIGN)).sum()
    evidence = f"better in {improved} of {len(table)} cells; " + _written(table)
    return _decided(table, evidence)


def _decided(table: pd.DataFrame, evidence: str) -> Verdict:
    """All rows of ``compared`` must hold; estimate and p are those of the one that decides."""
    row, n = deciding(table), int(table["n"].min())
    estimate = estimate_of(row, row["measure"])
    return Verdict(verdict_of_all(table["verdict"]), evidence, n, float(row["p"]), estimate)


def is_best(stability: pd.DataFrame, model: str, values: pd.DataFrame) -> Verdict:
    """K5, K10: the model is the first of all, and stays it when subjects are resampled."""
    row = stability[stability["network"] + "/" + stability["loss"] == model].iloc[0]
    top = stability.iloc[0]
    evidence = f"rank {row['rank']} [{row['low']:.0f}, {row['high']:.0f}] of {len(stability)}, "
    evidence += f"first in {row['first']:.0%} of resamples; here {top['network']}/{top['loss']} "
    evidence += f"leads, first in {top['first']:.0%}"
    verdict = "contradicted" if row["low"] > 1 else "inconclusive"
    if row["rank"] == 1 and row["high"] == 1:
        verdict = "reproduced"
    estimate = Estimate(
        f"rank of {model}", float(row["rank"]), low=float(row["low"]), high=float(row["high"])
    )
    return Verdict(verdict, evidence, _subjects(values), estimate=estimate)


def mixed_losses_improve(values: pd.DataFrame, seed: int) -> Verdict:
    """K7: each family has a higher Mean_metric 1 than CE2, over networks, ratios and structures."""
    one, verdicts, parts, estimates = metric1(values), [], [], []
    for family, losses in FAMILIES.items():
        change = [
            one.xs(loss, axis=1, level="loss") - one.xs("ce2", axis=1, level="loss")
            for loss in losses
        ]
        by_structure = sum(part.mean(axis=1) for part in change) / len(change)
        estimates.append(_estimate(f"Mean_metric 1, {family} minus CE2", by_structure, seed))
        low, high = estimates[-1].low, estimates[-1].high
        verdicts.append(verdict_from_interval(low, high, +1))
        cells = pd.concat([part.groupby("structure").mean() for part in change], axis=1) > 0
        better = ", ".join(
            f"{name} {cells.loc[name].sum()}/{cells.shape[1]}" for name in STRUCTURES
        )
        parts.append(f"{family} [{low:+.3f}, {high:+.3f}], better cells: {better}")
    verdict = verdict_of_all(verdicts)
    chosen = estimates[verdicts.index(verdict)]
    return Verdict(verdict, "; ".join(parts), _subjects(values), estimate=chosen)


def more_boundary_is_better(values: pd.DataFrame, seed: int) -> Verdict:
    """K8: Mean_metric 1 of CE2 + boundary rises from a share of 0.10 to one of 0.90."""
    one = metric1(values)
    most, least = (one.xs(f"ce2_bd_{r}", axis=1, level="loss") for r in ("10_90", "90_10"))
    name = "Mean_metric 1, CE2 + boundary 0.90 minus 0.10"
    estimate = _estimate(name, (most - least).mean(axis=1), seed)
    evidence = (
        f"Mean_metric 1 {least.mean().mean():.3f} at 0.10, {most.mean().mean():.3f} at 0.90, "
    )
    evidence += f"difference [{estimate.low:+.3f}, {estimate.high:+.3f}]"
    verdict = verdict_from_interval(estimate.low, estimate.high, +1)
    return Verdict(verdict, evidence, _subjects(values), estimate=estimate)


def optimum_protects_the_tendon(values: pd.DataFrame, ranking: pd.DataFrame) -> Verdict:
    """K9: our best model by total score is better on the tendon than CE1 of the same network."""
    network, loss = ranking.iloc[0][["network", "loss"]]
    table = compared(values, [((network, loss), (network, "ce1"))], ("iou", "dice", "hd95"))
    evidence = f"{network}/{loss} minus {network}/ce1: " + _written(table)
    return _decided(table, evidence)


def metric1(values: pd.DataFrame) -> pd.DataFrame:
    """Mean_metric 1 (equation 15): rows structure, subject."""
    return values.loc[list(SCORES)].groupby(["structure", "subject"]).mean()


def _estimate(measure: str, by_structure: pd.Series, seed: int) -> Estimate:
    """Mean over subjects (of the mean over structures), its SD and interval."""
    numbers = summary(by_structure.groupby("subject").mean().to_numpy(), seed)
    return Estimate(measure, *(numbers[name] for name in ("mean", "sd", "low", "high")))


def _subjects(values: pd.DataFrame) -> int:
    return values.index.unique("subject").size


def _written(table: pd.DataFrame) -> str:
    return "; ".join(
        f"{row.network} {row.metric} {row.mean_difference:+.3g} [{row.low:+.3g}, {row.high:+.3g}]"
        for row in table.itertuples()
    )
