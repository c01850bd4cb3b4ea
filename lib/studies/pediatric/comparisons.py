"""Which methods the pediatric claims compare, and paired tests of these comparisons."""

import numpy as np
import pandas as pd

from lib.evidence.claims import Estimate, Verdict, deciding, verdict_from_interval, verdict_of_all
from lib.evidence.statistics import SMALLEST_N, holm, paired_test
from lib.studies.pediatric.audit_ranks import PAIRS
from lib.studies.pediatric.audit_tables import METRICS, SMALLER_IS_BETTER
from lib.studies.pediatric.joints import JOINTS
from lib.studies.pediatric.methods import PRINTED, STRATEGIES
from lib.studies.pediatric.slices import EXAMINATION

ALPHA = 0.05
PRETRAINED = ("vgg_unet", "dense_unet", "res_unet")
EXCEPTED = (("shoulder", "sensitivity", "vgg_unet"), ("shoulder", "sensitivity", "dense_unet"))
COMBINED = "att_unet/multi/comb"


def strategy_cells() -> list[tuple]:
    """P2: (joint, metric, better, worse) of individual < global < multi, 8 per joint."""
    return [
        (joint, "score", f"att_unet/{better}/{fixed}", f"att_unet/{worse}/{fixed}")
        for joint in JOINTS
        for fixed in PRINTED
        for worse, better in PAIRS["strategy"]
    ]


def regularisation_cells() -> list[tuple]:
    """P3: (joint, metric, better, worse) of base < shape, adv < comb, 12 per joint."""
    return [
        (joint, "score", f"att_unet/{fixed}/{better}", f"att_unet/{fixed}/{worse}")
        for joint in JOINTS
        for fixed in STRATEGIES
        for worse, better in PAIRS["regularisation"]
    ]


def backbone_cells(measures) -> list[tuple]:
    """P4, P5: comb over base in the pre-trained networks, without the cells the paper excepts."""
    return [
        (joint, metric, f"{backbone}/multi/comb", f"{backbone}/multi/base")
        for joint in JOINTS
        for metric in measures
        for backbone in PRETRAINED
        if (joint, metric, backbone) not in EXCEPTED
    ]


def best_rival_cells(table: pd.DataFrame) -> list[tuple]:
    """P6: the combined multi-class Att-UNet against the best other Att-UNet, 11 cells.

    The rival is chosen on the examinations that decide, which favours the rival.
    """
    rivals = table[(table["backbone"] == "att_unet") & (table["method"] != COMBINED)]
    means = rivals.groupby(["dataset", "method"])[METRICS].mean()
    claimed = [(j, m) for j in JOINTS for m in METRICS if (j, m) != ("ankle", "sensitivity")]
    return [(joint, metric, COMBINED, _best(means, joint, metric)) for joint, metric in claimed]


def _best(means: pd.DataFrame, joint: str, metric: str) -> str:
    """The best method of a joint, "" where none was run."""
    if joint not in means.index.get_level_values("dataset"):
        return ""
    return (_sign(metric) * means.loc[joint, metric]).idxmax()


def compared(table: pd.DataFrame, cells: list[tuple], seed: int) -> pd.DataFrame:
    """One row per cell: dataset, metric, better, worse, and ``decided`` columns of ``tested``.

    ``gain`` is positive where the method said to be better is (mean over paired examinations).
    A method that was not run leaves n = 0, NaN and "inconclusive".
    """
    rows = []
    for dataset, metric, better, worse in cells:
        row = {"dataset": dataset, "metric": metric, "better": better, "worse": worse}
        chosen = table[(table["dataset"] == dataset) & table["method"].isin((better, worse))]
        pairs = chosen.pivot_table(index=EXAMINATION, columns="method", values=metric)
        pairs = pairs.reindex(columns=[better, worse]).dropna()
        rows.append(row | tested(_sign(metric) * (pairs[better] - pairs[worse]), seed))
    return decided(pd.DataFrame(rows))


def decided(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``tested`` with Holm-adjusted p; without p < 0.05 a verdict is "inconclusive"."""
    frame = adjusted(frame, "p")
    frame.loc[~(frame["p"] < ALPHA), "verdict"] = "inconclusive"
    return frame


def adjusted(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """The table with its p values in ``column`` adjusted by Holm; those that are NaN stay so."""
    known = frame[column].dropna()
    return frame.assign(**{column: pd.Series(holm(known), known.index) if len(known) else np.nan})


def tested(gains: pd.Series, seed: int) -> dict:
    """Are paired gains (one per examination) above 0? n, verdict, gain, sd, low, high, p, test.

    SD and interval of a single examination are NaN.
    """
    if not len(gains):
        none = dict.fromkeys(("gain", "sd", "low", "high", "p"), np.nan) | {"test": ""}
        return {"n": 0, "verdict": "inconclusive"} | none
    test = paired_test(gains, np.zeros(len(gains)), seed)
    verdict = verdict_from_interval(test["low"], test["high"], +1)
    result = {"n": test["n"], "verdict": verdict, "gain": test["mean_difference"]}
    result |= {name: test[name] for name in ("sd", "low", "high", "p", "test")}
    return result | ({"low": np.nan, "high": np.nan} if len(gains) == 1 else {})  # nothing to draw


def all_better(table: pd.DataFrame, cells: list[tuple], seed: int) -> Verdict:
    """P2-P6: better in every cell, each significantly; one that is worse contradicts."""
    tests = compared(table, cells, seed)
    run = tests[tests["n"] > 0]
    if run.empty:
        return Verdict("inconclusive", f"none of {len(tests)} comparisons was run", 0)
    counts = tests["verdict"].value_counts()
    evidence = f"better in {(run['gain'] > 0).sum()} of {len(tests)} comparisons, significantly in "
    evidence += f"{counts.get('reproduced', 0)}, significantly worse in "
    evidence += f"{counts.get('contradicted', 0)}; {_by_joint(run)}{_limits(tests)}"
    n, row = int(tests["n"].min()), deciding(run)
    measure = f"gain in {row['metric']}, {row['dataset']}, {row['better']} over {row['worse']}"
    verdict = verdict_of_all(tests["verdict"])
    return Verdict(verdict, evidence, n, float(row["p"]), gain_of(row, measure))


def gain_of(row: pd.Series, measure: str) -> Estimate:
    """A row of ``tested`` under a name; positive where the method said to be better is."""
    return Estimate(measure, *(row[name] for name in ("gain", "sd", "low", "high")), row["test"])


def _by_joint(run: pd.DataFrame) -> str:
    parts = []
    for joint, part in run.groupby("dataset", sort=False):
        worst = part.loc[part["gain"].idxmin()]
        text = f"{joint} {(part['gain'] > 0).sum()}/{len(part)}"
        text += f", least {worst['better']} over {worst['worse']} {worst['metric']}"
        parts.append(f"{text} {worst['gain']:+.3g}{_interval(worst)}")
    return "; ".join(parts)


def _interval(row: pd.Series) -> str:
    return f" [{row['low']:+.3g}, {row['high']:+.3g}]" if row["n"] >= SMALLEST_N else ""


def _limits(table: pd.DataFrame) -> str:
    """What keeps the claim from being decided, if anything does."""
    missing = int((table["n"] == 0).sum())
    text = f"; {missing} comparisons were not run" if missing else ""
    return text + too_few(table.loc[table["n"] > 0, "n"].min())


def _sign(metric: str) -> int:
    return -1 if metric in SMALLER_IS_BETTER else 1


def too_few(n: int) -> str:
    """The words of an evidence that rests on too few examinations for any test; else none."""
    words = f"{n} examination{'' if n == 1 else 's'} per joint"
    return f"; n = {words} cannot decide ({SMALLEST_N} needed)" if n < SMALLEST_N else ""
