"""The eleven claims of the pediatric paper, decided on our test examinations."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lib.evidence.claims import Estimate, Verdict, claims_table, deciding, verdict_of_all
from lib.evidence.statistics import SMALLEST_N
from lib.studies.pediatric.audit_tables import METRICS
from lib.studies.pediatric.comparisons import (
    ALPHA,
    COMBINED,
    adjusted,
    all_better,
    backbone_cells,
    best_rival_cells,
    compared,
    decided,
    gain_of,
    regularisation_cells,
    strategy_cells,
    tested,
    too_few,
)
from lib.studies.pediatric.joints import JOINTS
from lib.studies.pediatric.methods import PROPOSED
from lib.studies.pediatric.results import resampled_ranks, volumes
from lib.studies.pediatric.slices import (
    EXAMINATION,
    SMALLEST_GROUPS,
    by_ossification,
    slice_p,
    slice_values,
    table_s1,
)

SPAR = "res_unet/multi/spar"
NAN = float("nan")
MARGIN = 10.0  # [A] points of score; the paper's SD over examinations is 8 to 24
SEPARATE = {"purity": 0.95, "silhouette": 0.25}  # [A] both: bones are told apart
MIXED = {"purity": 0.75, "silhouette": 0.10}  # [A] one of them below: they are not
FEWEST_EXAMINATIONS = 2  # of codes, so that a code has neighbours in another examination


def pediatric_claims(
    metrics: pd.DataFrame,
    slices: pd.DataFrame,
    cases: Mapping[str, pd.DataFrame],
    codes: pd.DataFrame,
    seed: int,
) -> pd.DataFrame:
    """Claims P1-P11 with the paper's numbers, our verdict and its evidence.

    The independent unit is the test examination, paired between methods: Wilcoxon, Holm within a
    claim; ranks are resampled over examinations. With fewer than six per joint nothing can be
    decided so; P10 alone looks at the codes. A joint that was not run leaves a claim about both
    open. Trainings are averaged over seeds; with one seed the effect of a method cannot be told
    from the chance of its training.

    Args:
        metrics: tidy table of the evaluations.
        slices: their tidy table of slices.
        cases: joint -> its examinations, with pathology where known.
        codes: ``lib.studies.pediatric.codes.separations``; empty where none were made.
        seed: of the resampling.
    """
    table = volumes(metrics)
    verdicts = {
        "P1": proposed_is_first(table, seed),
        "P2": all_better(table, strategy_cells(), seed),
        "P3": all_better(table, regularisation_cells(), seed),
        "P4": all_better(table, backbone_cells(("score",)), seed),
        "P5": all_better(table, backbone_cells(METRICS), seed),
        "P6": all_better(table, best_rival_cells(table), seed),
        "P7": significant_on_slices(slices, seed),
        "P8": combined_is_better_on_slices(slices, seed),
        "P9": independent_of_pathology(table, cases, seed),
        "P10": multi_separates_bones(codes),
        "P11": beats_spar(table, seed),
    }
    return claims_table("pediatric", verdicts)


def proposed_is_first(table: pd.DataFrame, seed: int) -> Verdict:
    """P1: first of the 18 on both joints, and stays it when examinations are resampled."""
    ranks = resampled_ranks(table, seed).set_index(["dataset", "method"])
    verdicts, parts, counts, estimates = [], [], [], []
    for joint in JOINTS:
        if (joint, PROPOSED) not in ranks.index:
            verdicts.append("inconclusive")
            parts.append(f"{joint}: not run")
            counts.append(0)
            estimates.append(Estimate())
            continue
        row, others = ranks.loc[(joint, PROPOSED)], ranks.loc[joint]
        verdicts.append(_of_rank(row))
        estimates.append(Estimate(f"rank, {joint}", *map(float, (row["rank"], NAN, *_range(row)))))
        counts.append(int(row["n"]))
        text = f"{joint}: rank {row['rank']:.0f} of {len(others)}"
        if row["n"] >= SMALLEST_N:
            text += f" [{row['low']:.0f}, {row['high']:.0f}], first in {row['first']:.0%}"
        leader = others["rank"].idxmin()
        parts.append(text + ("" if leader == PROPOSED else f", {leader} leads"))
    evidence = "; ".join(parts) + too_few(min(counts))
    verdict = verdict_of_all(verdicts)
    return Verdict(verdict, evidence, min(counts), estimate=estimates[verdicts.index(verdict)])


def _range(row: pd.Series) -> tuple[float, float]:
    """Interval of a rank; one examination cannot be resampled."""
    return (row["low"], row["high"]) if row["n"] >= SMALLEST_N else (NAN, NAN)


def _of_rank(row: pd.Series) -> str:
    if row["n"] < SMALLEST_N:
        return "inconclusive"
    if row["rank"] == 1 and row["high"] == 1:
        return "reproduced"
    return "contradicted" if row["low"] > 1 else "inconclusive"


def significant_on_slices(slices: pd.DataFrame, seed: int) -> Verdict:
    """P7: better than every other method in all three slice metrics, by tests on examinations.

    Tests on slices, as the paper makes them, are told but do not decide: slices of one examination
    are not independent.
    """
    table = table_s1(slices, seed)
    table = table[(table["method"] != PROPOSED) & table["paper_mean"].notna()]
    significant = table[table["p"] < ALPHA]
    lower = int((significant["gain"] < 0).sum())
    sure = table[table["p_holm"] < ALPHA]
    worse, n = int((sure["gain"] < 0).sum()), int(table["examinations"].min())
    evidence = f"over slices {len(significant)} of {len(table)} tests p < {ALPHA}, in {lower} of "
    evidence += f"them the proposed method is lower; over examinations (Holm) {len(sure)}, lower "
    evidence += f"in {worse}{too_few(n)}"
    sign = np.where(table["gain"] < 0, "contradicted", "reproduced")
    verdicts = np.where(table["p_holm"] < ALPHA, sign, "inconclusive")
    row = deciding(table.assign(verdict=verdicts, p=table["p_holm"]))
    whole = set(table["dataset"]) == set(JOINTS)
    verdict = verdict_of_all([*verdicts, *([] if whole else ["inconclusive"])])
    return Verdict(verdict, evidence, n, _known(row["p"]), _slice_gain(row))


def _slice_gain(row: pd.Series) -> Estimate:
    """Mean over slices, interval over examinations, of a row of table S1."""
    name = f"gain in 2-D {row['metric']} (%), {row['dataset']}, {PROPOSED} over {row['method']}"
    test = "" if np.isnan(row["p"]) else "Wilcoxon signed-rank"
    return Estimate(name, float(row["gain"]), NAN, float(row["low"]), float(row["high"]), test)


def _known(p: float) -> float | None:
    """p of the row that decides, None where it was not tested."""
    return None if np.isnan(p) else float(p)


def combined_is_better_on_slices(slices: pd.DataFrame, seed: int) -> Verdict:
    """P8: 2-D Dice of the ankle, combined over each single regulariser (Att-UNet, multi).

    Slices give the difference, examinations (their means) the decision.
    """
    chosen = slices[(slices["dataset"] == "ankle") & (slices["metric"] == "dice")]
    if chosen.empty:
        return Verdict("inconclusive", "no ankle was run", 0)
    rows, parts, values = [], [], slice_values(chosen)
    for other in ("shape", "adv"):
        pairs = values.reindex(columns=[COMBINED, f"att_unet/multi/{other}"]).dropna()
        gains = pairs[COMBINED] - pairs[f"att_unet/multi/{other}"]
        if gains.empty:
            return Verdict("inconclusive", f"{COMBINED} or {other} was not run", 0)
        by_examination = gains.groupby(level=EXAMINATION).mean()
        rows.append({"other": other} | tested(by_examination, seed))
        text = f"minus {other} {gains.mean():+.2f} % on {len(gains)} slices"
        parts.append(f"{text} (p = {slice_p(gains):.2g} if they were independent)")
    table = decided(pd.DataFrame(rows))
    n = int(table["n"].min())
    row, evidence = deciding(table), "; ".join(parts) + too_few(n)
    gain = gain_of(row, f"gain in 2-D Dice (%), ankle, comb over {row['other']}")
    return Verdict(verdict_of_all(table["verdict"]), evidence, n, _known(row["p"]), gain)


def independent_of_pathology(
    table: pd.DataFrame, cases: Mapping[str, pd.DataFrame], seed: int
) -> Verdict:
    """P9: the proposed method scores pathological joints like healthy ones.

    A test without a difference shows no equality: "reproduced" asks for an interval within 10
    points of zero [A] in both joints, "contradicted" for a significant difference in one.
    """
    chosen = table[table["method"] == PROPOSED]
    if chosen.empty:
        return Verdict("inconclusive", f"{PROPOSED} was not run", 0)
    groups = adjusted(by_ossification(chosen, cases, seed=seed), "p_pathology")
    equal = groups[["low", "high"]].abs().max(axis=1, skipna=False) < MARGIN
    differ = groups["p_pathology"] < ALPHA
    verdicts = np.select([differ, equal], ["contradicted", "reproduced"], "inconclusive").tolist()
    verdicts += ["inconclusive"] * (len(JOINTS) - len(groups))
    known = groups["p_pathology"].dropna()
    p = float(known.min()) if len(known) else None
    evidence = "; ".join(_of_groups(row) for row in groups.to_dict("records"))
    row = groups.iloc[int(np.nanargmin(groups["p_pathology"])) if len(known) else 0]
    numbers = {name: float(row[name]) for name in ("low", "high")}
    measure = f"score, {row['dataset']}, pathological minus healthy"
    test = "Mann-Whitney" if len(known) else ""
    gap = Estimate(measure, float(row["difference"]), **numbers, test=test)
    return Verdict(verdict_of_all(verdicts), evidence, int(groups["n"].min()), p, gap)


def _of_groups(row: dict) -> str:
    means = [
        f"{name} {row[name]:.1f} (n = {row[f'n_{name}']})"
        for name in ("pathological", "healthy")
        if row[f"n_{name}"]
    ]
    text = f"{row['dataset']}: {', '.join(means) or 'pathology unknown'}"
    if np.isnan(row["p_pathology"]):
        return f"{text}; {SMALLEST_GROUPS} each are needed"
    return f"{text}, difference [{row['low']:+.1f}, {row['high']:+.1f}]"


def multi_separates_bones(codes: pd.DataFrame) -> Verdict:
    """P10: shape codes of the multi-class auto-encoder tell bones apart, global ones do not.

    Apart: purity over other examinations of 0.95 and silhouette of 0.25; not apart: purity below
    0.75 or silhouette below 0.10 [A]; between them nothing is decided. Nor is it by the codes of a
    single examination, where the nearest ones are those of the next slices: they are told only.
    """
    if codes.empty:
        return Verdict("inconclusive", "no shape codes were computed", 0)
    evidence = "; ".join(_of_codes(row) for row in codes.to_dict("records"))
    able = codes[codes["examinations"] >= FEWEST_EXAMINATIONS]
    if able.empty:
        return Verdict("inconclusive", evidence, int(codes["examinations"].min()))
    purity, silhouette = able["purity_across"], able["silhouette"]
    apart = (purity >= SEPARATE["purity"]) & (silhouette >= SEPARATE["silhouette"])
    mixed = (purity < MIXED["purity"]) | (silhouette < MIXED["silhouette"])
    multi = able["autoencoder"] == "multi"
    as_claimed, against = np.where(multi, apart, mixed), np.where(multi, mixed, apart)
    verdicts = np.select([as_claimed, against], ["reproduced", "contradicted"], "inconclusive")
    run = set(zip(able["dataset"], able["autoencoder"], strict=True))
    whole = run >= {(joint, name) for joint in JOINTS for name in ("multi", "global")}
    evidence += "; in the multi-class one each bone has an input channel of its own"
    evidence += "" if whole else "; not every auto-encoder was run"
    verdict = verdict_of_all([*verdicts, *([] if whole else ["inconclusive"])])
    row = able.iloc[[*verdicts, verdict].index(verdict) % len(able)]
    name = f"purity of codes, {row['dataset']} {row['autoencoder']} {row['part']}"
    estimate = Estimate(name, float(row["purity_across"]))
    return Verdict(verdict, evidence, int(able["examinations"].min()), estimate=estimate)


def _of_codes(row: dict) -> str:
    """Numbers of one set of codes."""
    single = row["examinations"] < FEWEST_EXAMINATIONS
    purity = f"{row['purity' if single else 'purity_across']:.2f}"
    text = f"{row['dataset']} {row['autoencoder']} {row['part']}: purity {purity} (chance "
    text += f"{row['chance']:.2f}), silhouette {row['silhouette']:+.2f}, {row['n']} masks"
    return f"{text} of one examination, which decide nothing" if single else text


def beats_spar(table: pd.DataFrame, seed: int) -> Verdict:
    """P11: against our SPAR on the same backbone, where it was run; in Dice.

    It is no original of either rival: ours can contradict the claim, but not reproduce it, as the
    second rival (deep supervision and contrastive learning) is not rebuilt.
    """
    if SPAR not in set(table["method"]):
        evidence = "neither SPAR nor DSL + Contrastive was run; their data and code are not at hand"
        return Verdict("not testable", evidence, 0)
    tests = compared(table, [(joint, "dice", PROPOSED, SPAR) for joint in JOINTS], seed)
    parts = [
        f"{row.dataset} Dice {row.gain:+.2f} % over our SPAR (n = {row.n})"
        for row in tests[tests["n"] > 0].itertuples()
    ]
    evidence = "; ".join([*parts, "a re-implementation on Res-UNet, not the original"])
    evidence += "; DSL + Contrastive is not rebuilt" + too_few(int(tests["n"].min()))
    worse = "contradicted" in set(tests["verdict"])
    verdict, row = "contradicted" if worse else "inconclusive", deciding(tests)
    gain = gain_of(row, f"gain in Dice (%), {row['dataset']}, {PROPOSED} over {SPAR}")
    return Verdict(verdict, evidence, int(tests["n"].min()), _known(row["p"]), gain)
