"""The nine claims of the humerus paper, decided on our folds."""

from collections.abc import Callable
from functools import partial

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
from lib.evidence.statistics import bootstrap_interval, holm, paired_test, summary
from lib.studies.humerus.audit import PAIRS
from lib.studies.humerus.methods import PRINTED
from lib.studies.humerus.trials import VARIANTS

ALPHA = 0.05
SIGN = {"dice": +1, "hd": -1}  # of an improvement
TOLERANCE = 0.005  # Dice; "unchanged" in the paper's three digits, rounded generously
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
    scheme = metrics[metrics["dataset"] == VARIANTS[0]]
    values = {
        metric: scheme[scheme["metric"] == metric].pivot_table(
            index="subject", columns="method", values="value"
        )
        for metric in SIGN
    }
    for metric, table in values.items():
        table.attrs["metric"] = metric
    return values


def compare(values: dict, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Each pair (better, worse) in Dice and in distance: paired difference, verdict, p after Holm.

    One row per pair and metric; Holm covers all rows, which are the parts of one claim.
    """
    rows = []
    for better, worse in pairs:
        for metric, sign in SIGN.items():
            test = paired_test(values[metric][better], values[metric][worse])
            verdict = verdict_from_interval(test["low"], test["high"], sign)
            names = {"measure": f"{metric}, {better} minus {worse}", "verdict": verdict}
            rows.append({"better": better, "worse": worse, "metric": metric} | names | test)
    table = pd.DataFrame(rows)
    table["p"] = holm(table["p"])
    table.loc[table["p"] >= ALPHA, "verdict"] = "inconclusive"
    return table


def improves(loss: str, values: dict, seed: int) -> Verdict:  # noqa: ARG001
    """H1-H3: better in Dice and in distance, each significantly; worse in one contradicts."""
    table = compare(values, [(PAIRS[loss], loss)])
    evidence = f"{PAIRS[loss]} minus {loss}: {_written(table)}"
    return _decided(table, evidence)


def _decided(parts: pd.DataFrame, evidence: str, verdict: str = "") -> Verdict:
    """From rows of ``compare``, all of which must hold; p is that of the row that decides."""
    row = deciding(parts)
    verdict, n = verdict or verdict_of_all(parts["verdict"]), int(parts["n"].min())
    return Verdict(verdict, evidence, n, float(row["p"]), estimate_of(row, row["measure"]))


def always_steadier(values: dict, seed: int) -> Verdict:
    """H4: with the boundary loss the SD falls for every loss and both metrics."""
    compared = {
        f"{alone} {metric}": (values[metric], paired, alone)
        for alone, paired in PAIRS.items()
        for metric in SIGN
    }
    return _of_spreads(compared, -1, "change of the SD over patients", seed)


def _of_spreads(compared: dict[str, tuple], sign: int, what: str, seed: int) -> Verdict:
    """All differences of SDs have the sign; the estimate is the first with the verdict.

    The verdict's intervals hold together at 95 % (Bonferroni); those in the text are 95 % each.

    Args:
        compared: name -> table of patients, and the two methods.
        sign: claimed, of SD(first) - SD(second).
        what: is compared, for the evidence.
        seed: of the resampling.
    """
    rows, verdicts, parts = [], [], []
    for name, (table, *methods) in compared.items():
        rows.append(_sd_difference(table, *methods, seed))
        together = _sd_interval(table, *methods, seed, 1 - ALPHA / len(compared))
        verdicts.append(verdict_from_interval(*together, sign))
        parts.append(f"{name} [{rows[-1].low:+.3f}, {rows[-1].high:+.3f}]")
    verdict = verdict_of_all(verdicts)
    evidence = f"{what}, 95 % intervals each, the verdict by wider ones that hold together "
    evidence += f"(Bonferroni over {len(rows)}): {'; '.join(parts)}"
    return Verdict(verdict, evidence, len(table), estimate=rows[verdicts.index(verdict)])


def boundary_beats_every_single_loss(values: dict, seed: int) -> Verdict:  # noqa: ARG001
    """H5: each of the four losses with a boundary term beats each of the three without one."""
    boundary = [method for method in PRINTED[:7] if method.endswith("boundary")]
    table = compare(values, [(better, worse) for better in boundary for worse in SINGLE])
    against = table[table["verdict"] == "contradicted"].itertuples()
    worst = [f"{row.better} worse than {row.worse} in {row.metric}" for row in against]
    supported = (table["verdict"] == "reproduced").sum()
    evidence = f"{supported} of {len(table)} comparisons significantly better"
    evidence += f"; {'; '.join(worst)}" if worst else "; none significantly worse"
    return _decided(table, evidence)


def lies_between(values: dict, seed: int) -> Verdict:  # noqa: ARG001
    """H6: BCE + Dice + boundary is better than BCE and worse than Dice, each significantly."""
    table = compare(values, [("bce_dice_boundary", "bce"), ("dice", "bce_dice_boundary")])
    above, below = (part for _, part in table.groupby("worse", sort=False))
    evidence = f"minus BCE: {_written(above)}; Dice minus it: {_written(below)}"
    return _decided(table, evidence)


def fine_tuning_helps(values: dict, seed: int) -> Verdict:  # noqa: ARG001
    """H7: the distance falls at unchanged Dice, and also against the equally long control.

    A Dice that changes by more than 0.005 for certain contradicts "unchanged".
    """
    references = ("dice_boundary", "dice_boundary_control")
    table = compare(values, [("dice_boundary_ft", reference) for reference in references])
    rows, unchanged = table[table["metric"] == "hd"], table.iloc[0]
    if unchanged["low"] > TOLERANCE or unchanged["high"] < -TOLERANCE:
        rows = pd.DataFrame([unchanged.to_dict() | {"verdict": "contradicted"}])
    evidence = "; ".join(
        f"minus {name}: {_written(part)}" for name, part in table.groupby("worse", sort=False)
    )
    return _decided(rows, evidence)


def varies_most(values: dict, seed: int) -> Verdict:
    """H8: of the single losses, focal has the largest SD in both metrics."""
    compared = {
        f"{metric} over {other}": (values[metric], "focal", other)
        for metric in SIGN
        for other in ("bce", "dice")
    }
    return _of_spreads(compared, +1, "SD over patients, focal minus other", seed)


def reaches(values: dict, seed: int) -> Verdict:
    """H9: the mean Dice of Dice + boundary exceeds 0.94."""
    dice = summary(values["dice"]["dice_boundary"], seed)
    mean, sd, low, high = (dice[name] for name in ("mean", "sd", "low", "high"))
    verdict = verdict_from_interval(low - REACHED, high - REACHED, +1)
    evidence = f"mean Dice {mean:.3f} [{low:.3f}, {high:.3f}]"
    estimate = Estimate("dice, dice_boundary", mean, sd, low, high)
    return Verdict(verdict, evidence, dice["n"], estimate=estimate)


def _sd_difference(table: pd.DataFrame, first: str, second: str, seed: int) -> Estimate:
    """SD(first) - SD(second) over patients, with its 95 % interval."""
    low, high = _sd_interval(table, first, second, seed, 1 - ALPHA)
    measure = f"SD of {table.attrs['metric']} over patients, {first} minus {second}"
    difference = table[first].std() - table[second].std()
    return Estimate(measure, float(difference), low=low, high=high)


def _sd_interval(table, first, second, seed, confidence) -> tuple[float, float]:
    """Bootstrap interval over patients, the same patients for both methods."""
    return bootstrap_interval(
        lambda a, b: a.std(-1, ddof=1) - b.std(-1, ddof=1),
        table[first],
        table[second],
        confidence=confidence,
        seed=seed,
    )


def _written(table: pd.DataFrame) -> str:
    units = {"dice": ("Dice", ".3f"), "hd": ("HD px", ".1f")}
    parts = []
    for _, row in table.iterrows():
        name, digits = units[row["metric"]]
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
