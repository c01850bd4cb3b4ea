"""The six claims of the hand paper, decided on our test subjects."""

import numpy as np
import pandas as pd

from lib.evidence.claims import (
    Estimate,
    Verdict,
    claims_table,
    verdict_from_interval,
    verdict_of_all,
)
from lib.evidence.statistics import SMALLEST_N, summary
from lib.studies.hand.audit import BEST
from lib.studies.hand.methods import MASKED, MIXTURE, SUPERVISED
from lib.studies.hand.results import (
    CONDITIONS,
    Draws,
    bone_means,
    draws,
    methods_of,
    segmentation,
    tested,
)
from lib.studies.hand.scores import interval

ALPHA = 0.05
MEASURES = ("f1", "auc", "accuracy")  # those of tables 2 to 4
CONTRIBUTE = ("m2", "radius", "ulna")
FEWEST = 5  # [A] test subjects of each label; a tenth of the paper's has as many with osteoporosis
WORKS = 0.85  # [A] mean Dice of the bones from which on a segmentation works


def hand_claims(metrics: pd.DataFrame, predictions: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Claims O1-O6 with the paper's numbers, our verdict and its evidence.

    The independent unit is the test subject: intervals resample subjects, the same for all methods,
    and average over the seeds that were run. The chance of a training is in them only as far as
    several seeds were run, so with one seed a verdict is about these models.

    Args:
        metrics: of both stages, from ``results.with_split``.
        predictions: of all learning trials, from ``results.predictions_of``.
        seed: of the resampling.
    """
    scores = tested(predictions)
    drawn, subjects = draws(scores, seed), scores.drop_duplicates("subject")["label"]
    verdicts = {
        "O1": best_of_four(drawn, methods_of(scores, 1), subjects),
        "O2": ablation_lowers(drawn, methods_of(scores, 2), CONDITIONS[2][0], subjects),
        "O3": pretraining_beats_supervision(drawn, subjects),
        "O4": ablation_lowers(drawn, methods_of(scores, 4), CONDITIONS[4][0], subjects),
        "O5": some_bones_contribute_most(bone_means(predictions), seed),
        "O6": segmentation_works(metrics, seed),
    }
    return claims_table("hand", verdicts)


def best_of_four(drawn: Draws, methods: list[str], subjects: pd.Series) -> Verdict:
    """O1: SimCLR has the highest F1 and AUC of the four pre-trainings."""
    pairs = [((MASKED, BEST), (MASKED, other)) for other in methods if other != BEST]
    return _compared(drawn, pairs, ("f1", "auc"), subjects)


def ablation_lowers(drawn: Draws, methods: list[str], dataset: str, subjects: pd.Series) -> Verdict:
    """O2, O4: with every method each of the three scores falls by the ablation."""
    pairs = [((MASKED, method), (dataset, method)) for method in methods]
    return _compared(drawn, pairs, MEASURES, subjects)


def pretraining_beats_supervision(drawn: Draws, subjects: pd.Series) -> Verdict:
    """O3: SimCLR with crops beats the same network learnt from labels alone."""
    return _compared(drawn, [((MASKED, BEST), (MASKED, SUPERVISED))], MEASURES, subjects)


def _compared(drawn: Draws, pairs: list[tuple], measures: tuple, subjects: pd.Series) -> Verdict:
    """Verdict on "the first of each pair is better", by paired intervals of the differences.

    The verdict's intervals hold together at 95 % (Bonferroni); those in the text are 95 % each.
    Open while a label has fewer than FEWEST subjects: their resamples are too much alike.
    """
    pairs = [pair for pair in pairs if pair[0] in drawn and pair[1] in drawn]
    if not pairs:
        return Verdict("not testable", "none of the trainings it compares was run", 0)
    verdicts, texts, estimates, better = [], [], [], 0
    count = len(pairs) * len(measures)
    for first, second in pairs:
        for measure in measures:
            values = drawn[first][measure] - drawn[second][measure]
            low, high = interval(values)
            verdicts.append(verdict_from_interval(*_wider(values, count), +1))
            better += np.nanmedian(values) > 0
            compared = f"{_difference(first, second)} {measure}"
            texts.append(f"{compared} [{low:+.2f}, {high:+.2f}]")
            middle = float(np.nanmedian(values))
            name = f"{compared} (median of resamples)"
            estimates.append(Estimate(name, middle, low=low, high=high))
    evidence = f"better in {better} of {len(verdicts)} comparisons; " + "; ".join(texts)
    verdict = verdict_of_all(verdicts)
    deciding = estimates[verdicts.index(verdict)]
    if (fewest := int(subjects.value_counts().min())) < FEWEST:
        verdict, evidence = "inconclusive", f"only {fewest} test subjects of a label; {evidence}"
    return Verdict(verdict, evidence, len(subjects), estimate=deciding)


def _wider(values: np.ndarray, count: int) -> tuple[float, float]:
    """Percentile interval of resampled values that makes ``count`` of them hold together."""
    if np.isnan(values).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, (ALPHA / 2 / count, 1 - ALPHA / 2 / count))
    return float(low), float(high)


def _difference(first: tuple[str, str], second: tuple[str, str]) -> str:
    """Two (dataset, method) in short: the dataset only where they have different ones."""
    if first[0] == second[0]:
        return f"{first[1]} - {second[1]}"
    return f"{first[1]} {first[0]} - {second[0]}"


def some_bones_contribute_most(bones: pd.DataFrame, seed: int) -> Verdict:
    """O5: in true positives second metacarpal, radius and ulna have the highest probabilities."""
    detected = bones[bones["group"] == "true positives"]
    wide = detected.assign(named=detected["bone"].isin(CONTRIBUTE)).pivot_table(
        index="subject", columns="named", values="probability"
    )
    wide = wide.reindex(columns=[True, False]).dropna()
    if len(wide) < 2:
        return Verdict("not testable", f"{len(wide)} true positives with bones of both kinds", 0)
    difference = (wide[True] - wide[False]).to_numpy()
    numbers = summary(difference, seed)
    low, high = numbers["low"], numbers["high"]
    order = detected.groupby("bone")["probability"].mean().sort_values(ascending=False)
    ranks = ", ".join(f"{bone} {value:.2f}" for bone, value in order.items())
    evidence = f"{', '.join(CONTRIBUTE)} minus the others [{low:+.3f}, {high:+.3f}]; {ranks}"
    # an interval of so few subjects is too narrow
    few = len(difference) < SMALLEST_N
    verdict = "inconclusive" if few else verdict_from_interval(low, high, +1)
    name = f"probability, {', '.join(CONTRIBUTE)} minus the others"
    contributed = Estimate(name, *(numbers[key] for key in ("mean", "sd", "low", "high")))
    return Verdict(verdict, evidence, len(difference), estimate=contributed)


def segmentation_works(metrics: pd.DataFrame, seed: int) -> Verdict:
    """O6: the mean Dice over the bones is at least 0.85 [A]; the paper prints no score at all.

    Of test cases only: validation cases chose the epoch.
    """
    table = segmentation(metrics, seed).set_index(["method", "structure", "metric"])
    row = table.loc[(MIXTURE, "mean", "dice")]
    verdict = verdict_from_interval(row["low"] - WORKS, row["high"] - WORKS, +1)
    evidence = f"mean Dice {row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    for name, of in (("unet", "dice"), (MIXTURE, "iou")):
        if (name, "mean", of) in table.index:
            evidence += f"; {name} {of} {table.loc[(name, 'mean', of), 'mean']:.3f}"
    for of in ("ged", "matched_iou", "ece"):
        if (MIXTURE, "image", of) in table.index:
            evidence += f"; {of} {table.loc[(MIXTURE, 'image', of), 'mean']:.3f}"
    numbers = (float(row[name]) for name in ("mean", "sd", "low", "high"))
    overlap = Estimate(f"mean Dice of the bones, {MIXTURE}", *numbers)
    return Verdict(verdict, evidence, int(row["n"]), estimate=overlap)
