"""The nine claims of the humerus paper, decided on our folds."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from lib.audits.humerus import PAIRS
from lib.claims import Verdict, claims_table, verdict_from_interval, verdict_of_all
from lib.statistics import holm, paired_test
from lib.studies import humerus
from lib.studies.humerus_learner import PRINTED

ALPHA = 0.05
SIGN = {"dice": +1, "hd": -1}  # of an improvement
TOLERANCE = 0.005  # Dice; "unchanged" in the paper's three digits, rounded generously
RESAMPLES = 2000
SINGLE = ("bce", "dice", "focal")
REACHED = 0.94  # Dice, claim H9


def humerus_claims(metrics: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Claims H1-H9 with the paper's numbers, our verdict and its evidence.

    Decided on folds by patient. Differences are paired by patient (mean of its images), Wilcoxon,
    Holm within a claim; spreads between folds are too few to decide on (five at most), so claims
    about variability use the spread of patients instead.
    """
    values = patient_values(metrics)
    verdicts = {claim: decide(values, seed) for claim, decide in DECISIONS.items()}
    return claims_table("humerus", verdicts)


def patient_values(metrics: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Dice and distance of every patient (rows, mean over its images) under every method."""
    scheme = metrics[metrics["dataset"] == humerus.SCHEMES[0]]
    return {
        metric: scheme[scheme["metric"] == metric].pivot_table(
            index="subject", columns="method", values="value"
        )
        for metric in SIGN
    }


def compare(values: dict, better: str, worse: str) -> pd.DataFrame:
    """Paired differences in Dice and distance, with their verdicts and Holm-adjusted p."""
    rows = []
    for metric, sign in SIGN.items():
        test = paired_test(values[metric][better], values[metric][worse])
        verdict = verdict_from_interval(test["low"], test["high"], sign)
        rows.append({"metric": metric, "verdict": verdict} | test)
    table = pd.DataFrame(rows).set_index("metric")
    table["p"] = holm(table["p"])
    table.loc[table["p"] >= ALPHA, "verdict"] = "inconclusive"
    return table


def improves(loss: str, values: dict, seed: int) -> Verdict:  # noqa: ARG001
    """H1-H3: better in Dice and in distance, each significantly; worse in one contradicts."""
    table = compare(values, PAIRS[loss], loss)
    evidence = f"{PAIRS[loss]} minus {loss}: {_written(table)}"
    n = int(table["n"].min())
    return Verdict(verdict_of_all(table["verdict"]), evidence, n, float(table["p"].max()))


def always_steadier(values: dict, seed: int) -> Verdict:
    """H4: with the boundary loss the SD falls for every loss and both metrics."""
    verdicts, parts = [], []
    for alone, paired in PAIRS.items():
        for metric in SIGN:
            low, high = _sd_difference(values[metric], paired, alone, seed)
            verdicts.append(verdict_from_interval(low, high, -1))
            parts.append(f"{alone} {metric} [{low:+.3f}, {high:+.3f}]")
    evidence = "change of the SD over patients, 95 % intervals: " + "; ".join(parts)
    return Verdict(verdict_of_all(verdicts), evidence, len(values["dice"]))


def boundary_beats_every_single_loss(values: dict, seed: int) -> Verdict:  # noqa: ARG001
    """H5: each of the four losses with a boundary term beats each of the three without one."""
    verdicts, worst = [], []
    for better in (m for m in PRINTED[:7] if m.endswith("boundary")):
        for worse in SINGLE:
            table = compare(values, better, worse)
            verdicts += list(table["verdict"])
            against = table.index[table["verdict"] == "contradicted"]
            worst += [f"{better} worse than {worse} in {metric}" for metric in against]
    supported = verdicts.count("reproduced")
    evidence = f"{supported} of {len(verdicts)} comparisons significantly better"
    evidence += f"; {'; '.join(worst)}" if worst else "; none significantly worse"
    return Verdict(verdict_of_all(verdicts), evidence, len(values["dice"]))


def lies_between(values: dict, seed: int) -> Verdict:  # noqa: ARG001
    """H6: BCE + Dice + boundary is better than BCE and worse than Dice, each significantly."""
    above = compare(values, "bce_dice_boundary", "bce")
    below = compare(values, "dice", "bce_dice_boundary")
    evidence = f"minus BCE: {_written(above)}; Dice minus it: {_written(below)}"
    verdict = verdict_of_all([*above["verdict"], *below["verdict"]])
    return Verdict(verdict, evidence, len(values["dice"]))


def fine_tuning_helps(values: dict, seed: int) -> Verdict:  # noqa: ARG001
    """H7: the distance falls at unchanged Dice, and also against the equally long control.

    A Dice that changes by more than 0.005 for certain contradicts "unchanged".
    """
    verdicts, parts = [], []
    for reference in ("dice_boundary", "dice_boundary_control"):
        table = compare(values, "dice_boundary_ft", reference)
        verdicts.append(table.loc["hd", "verdict"])
        parts.append(f"minus {reference}: {_written(table)}")
    low, high = _dice_bounds(compare(values, "dice_boundary_ft", "dice_boundary"))
    if low > TOLERANCE or high < -TOLERANCE:
        verdicts.append("contradicted")
    return Verdict(verdict_of_all(verdicts), "; ".join(parts), len(values["dice"]))


def _dice_bounds(table: pd.DataFrame) -> tuple[float, float]:
    """Interval of the difference in Dice."""
    return float(table.loc["dice", "low"]), float(table.loc["dice", "high"])


def varies_most(values: dict, seed: int) -> Verdict:
    """H8: of the single losses, focal has the largest SD in both metrics."""
    verdicts, parts = [], []
    for metric in SIGN:
        for other in ("bce", "dice"):
            low, high = _sd_difference(values[metric], "focal", other, seed)
            verdicts.append(verdict_from_interval(low, high, +1))
            parts.append(f"{metric} over {other} [{low:+.3f}, {high:+.3f}]")
    evidence = "SD over patients, focal minus other, 95 % intervals: " + "; ".join(parts)
    return Verdict(verdict_of_all(verdicts), evidence, len(values["dice"]))


def reaches(values: dict, seed: int) -> Verdict:
    """H9: the mean Dice of Dice + boundary exceeds 0.94."""
    dice = values["dice"]["dice_boundary"]
    weights = np.random.default_rng(seed).integers(len(dice), size=(RESAMPLES, len(dice)))
    low, high = np.quantile(dice.to_numpy()[weights].mean(axis=1), (0.025, 0.975))
    verdict = verdict_from_interval(low - REACHED, high - REACHED, +1)
    evidence = f"mean Dice {dice.mean():.3f} [{low:.3f}, {high:.3f}]"
    return Verdict(verdict, evidence, len(dice))


def _sd_difference(table: pd.DataFrame, first: str, second: str, seed: int) -> tuple[float, float]:
    """95 % bootstrap interval over patients of SD(first) - SD(second)."""
    draws = np.random.default_rng(seed).integers(len(table), size=(RESAMPLES, len(table)))
    a, b = (table[name].to_numpy()[draws].std(axis=1, ddof=1) for name in (first, second))
    low, high = np.quantile(a - b, (0.025, 0.975))
    return float(low), float(high)


def _written(table: pd.DataFrame) -> str:
    units = {"dice": ("Dice", ".3f"), "hd": ("HD px", ".1f")}
    parts = []
    for metric, row in table.iterrows():
        name, digits = units[metric]
        values = [format(row[key], f"+{digits}") for key in ("mean_difference", "low", "high")]
        parts.append(f"{name} {values[0]} [{values[1]}, {values[2]}] p = {row['p']:.3f}")
    return ", ".join(parts)


DECISIONS: dict[str, Callable[[dict, int], Verdict]] = {
    "H1": partial(improves, "dice"),
    "H2": partial(improves, "bce"),
    "H3": partial(improves, "focal"),
    "H4": always_steadier,
    "H5": boundary_beats_every_single_loss,
    "H6": lies_between,
    "H7": fine_tuning_helps,
    "H8": varies_most,
    "H9": reaches,
}
