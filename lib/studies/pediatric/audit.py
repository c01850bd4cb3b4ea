"""Audit of the pediatric paper: its text against what its own tables give.

Scores and ranks have a module of their own, ``audit_ranks``, and so have the slices
of table S1, ``audit_slices``; ``audit_tables`` reads the tables.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from lib.studies.pediatric.audit_ranks import (
    mean_row_scores,
    ordered_pairs,
    rank_order,
    rank_stability,
)
from lib.studies.pediatric.audit_slices import slice_tests, slices_against_volumes
from lib.studies.pediatric.audit_tables import (
    DATASETS,
    KEYS,
    METHOD,
    METRICS,
    PROPOSED,
    ROUNDING,
    SMALLER_IS_BETTER,
    other_papers,
    scalars,
    scores,
    slice_means,
    volume_means,
    volume_metrics,
)

# Section 4.1: what the multi-class Att-UNet with CombReg gains over the best other Att-UNet
GAINS = pd.DataFrame(
    {"ankle": [0.8, -4.2, 0.1, -2.5, -0.1, -0.2], "shoulder": [0.9, 0.7, 0.1, -0.5, -0.2, -3.4]},
    index=METRICS,
)
EXCEPTED_SPREADS = (("ankle", "mssd"), ("shoulder", "sensitivity"), ("shoulder", "ravd"))
# Section S1: dataset, metric, by how much the proposed method is below the best
BEHIND_ON_SLICES = (("ankle", "specificity", 0.1), ("shoulder", "sensitivity", 1.5))
ORDERS = {
    "strategy": ("individual", "global", "multi"),
    "regularisation": ("base", "shape or adv", "comb"),
}
BEST_ATT_UNET = ("Att-UNet", "multi", "comb")


def gains() -> pd.DataFrame:
    """The best Att-UNet against the best of the 11 others, in every metric.

    Columns: dataset, metric, ours, best, rival (method), difference, printed (section 4.1), agrees.
    """
    rows = []
    for dataset in DATASETS:
        table = volume_means().loc[dataset].loc[["Att-UNet"]]
        ours, others = table.loc[BEST_ATT_UNET], table.drop(BEST_ATT_UNET)
        for metric in METRICS:
            small = metric in SMALLER_IS_BETTER
            rival = others[metric].idxmin() if small else others[metric].idxmax()
            best = others.loc[rival, metric]
            rows.append((dataset, metric, ours[metric], best, " ".join(rival[1:])))
    table = pd.DataFrame(rows, columns=["dataset", "metric", "ours", "best", "rival"])
    table["difference"] = (table["ours"] - table["best"]).round(1)
    table["printed"] = [GAINS.loc[r.metric, r.dataset] for r in table.itertuples()]
    return table.assign(agrees=(table["difference"] - table["printed"]).abs() < ROUNDING)


def pretrained_changes() -> pd.DataFrame:
    """What combined regularisation changes in the pre-trained networks: 2 x 3 x (6 + score).

    Columns: dataset, backbone, metric (or "score"), base, comb, change ("better", "equal",
    "worse").
    """
    wide = volume_means().join(scores()["score"]).drop("Att-UNet", level="backbone")
    long = wide.rename_axis(columns="metric").stack().unstack("regularisation")
    table = long.droplevel("strategy").reset_index().rename_axis(columns=None)
    gain = _gain(table["comb"] - table["base"], table["metric"])
    change = np.select([gain > 0, gain < 0], ["better", "worse"], "equal")
    return table.assign(change=change)


def spreads() -> pd.DataFrame:
    """Is the proposed method's standard deviation the lowest of the pre-trained networks?

    Columns: dataset, metric, ours, lowest (of the five others), place ("lowest", "tied",
    "higher"), excepted (section 4.1 says that this one is not the lowest).
    """
    pretrained = volume_metrics().query("backbone != 'Att-UNet'")
    wide = pretrained.pivot(index=["dataset", "metric"], columns=METHOD, values="std")
    table = pd.DataFrame(
        {"ours": wide[PROPOSED], "lowest": wide.drop(columns=[PROPOSED]).min(axis=1)}
    )
    order = [table["ours"] < table["lowest"], table["ours"] == table["lowest"]]
    table["place"] = np.select(order, ["lowest", "tied"], "higher")
    return table.assign(excepted=table.index.isin(EXCEPTED_SPREADS)).reset_index()


def inconsistencies() -> pd.DataFrame:
    """What the paper says against what its own tables give: statement, recomputed, holds."""
    rows = [*_on_scores(), *_on_gains(), *_on_the_proposed(), *_on_slices(), *_on_the_report()]
    return pd.DataFrame(rows, columns=["statement", "recomputed", "holds"]).astype({"holds": bool})


def _on_scores() -> Iterator[tuple]:
    means, order, pairs, stable = mean_row_scores(), rank_order(), ordered_pairs(), rank_stability()
    exact = means.set_index(KEYS).loc[("ankle", *PROPOSED)]
    yield (
        "scores are those of section 3.5 and table 1",
        f"{means['possible'].sum()} of {len(means)} are at least the score of their row of means; "
        f"the proposed one's on the ankle is {exact['of_means']:.2f}, printed {exact['printed']}",
        means["possible"].all(),
    )
    agrees = order["agrees"]
    yield "ranks follow the mean scores", f"{agrees.sum()} of {len(order)}", agrees.all()
    ranks = scores()["rank"].unstack("dataset")
    differ = (ranks["ankle"] != ranks["shoulder"]).sum()
    yield (
        "methods are ranked by their scores over all data sets",
        f"each joint is ranked on its own; {differ} of {len(ranks)} ranks differ between them",
        False,
    )
    for kind, part in pairs.groupby("kind", sort=False):
        order = " < ".join(ORDERS[kind])
        yield f"{order} in score", f"{part['holds'].sum()} of {len(part)}", part["holds"].all()
    yield (
        "the proposed method ranks first whatever the threshold",
        f"{stable['first'].sum()} of {len(stable)} rankings, all permutations of 1 to 18: "
        f"{stable['permutation'].all()}",
        stable["first"].all(),
    )
    lost = stable[~stable["second"]]
    yield (
        "all conclusions on ranks remain unchanged at every threshold",
        f"{stable['pairs'].sum()} of {20 * len(stable)} pairs of strategies and regularisations; "
        f"base Res-UNet is not second in {', '.join(lost['dataset'] + ' ' + lost['threshold'])}",
        lost.empty and (stable["pairs"] == 20).all(),
    )
    top = scores().query("rank <= 2").sort_values(["dataset", "rank"])
    lead = top["score"].groupby("dataset").agg(lambda s: s.iloc[0] - s.iloc[1])
    yield (
        "the lead of the proposed method is tested",
        f"{lead['ankle']:.1f} and {lead['shoulder']:.1f} points before base Res-UNet, SD "
        f"{top['std'].min():.1f} to {top['std'].max():.1f}, n = 17 and 15; no test on scores",
        False,
    )
    yield _on_subgroups()


def _on_subgroups() -> tuple:
    said = scalars()
    groups = [(f"n_ankle_{g}", f"score_res_comb_ankle_{g}") for g in ("pathological", "healthy")]
    mean = sum(said[n] * said[score] for n, score in groups) / said["n_ankle_exams"]
    printed = scores().loc[("ankle", *PROPOSED), "score"]
    return (
        "pathological and healthy ankles score 74.0 and 69.6",
        f"together {mean:.2f}, printed {printed}",
        abs(mean - printed) <= 2 * ROUNDING,
    )


def _on_gains() -> Iterator[tuple]:
    table, changes = gains(), pretrained_changes()
    for dataset, part in table.groupby("dataset", sort=False):
        wrong = part[~part["agrees"]]
        values = "; ".join(
            f"{r.metric} {r.difference:+.1f} ({r.ours}, {r.rival} {r.best}), "
            f"printed {r.printed:+.1f}"
            for r in wrong.itertuples()
        )
        yield f"gains of CombReg multi Att-UNet: {dataset}", values, wrong.empty
    ties = table[table["difference"] == 0]
    names = ", ".join(ties["dataset"] + " " + ties["metric"])
    yield (
        "CombReg multi Att-UNet is best in all but ankle sensitivity",
        f"tied in {names}",
        ties.empty,
    )
    up = changes.query("metric == 'score'")
    values = ", ".join(f"{r.base} to {r.comb}" for r in up.itertuples())
    better = up["change"] == "better"
    yield "CombReg raises the score of every pre-trained network", values, better.all()
    cells = changes.query("metric != 'score'")
    count = cells["change"].value_counts()
    worse = cells[cells["change"] == "worse"]
    values = "; ".join(f"{r.dataset} {r.backbone} {r.metric}" for r in worse.itertuples())
    vgg = cells.query(
        "dataset == 'shoulder' and backbone == 'VGG-UNet' and metric == 'sensitivity'"
    )
    yield (
        "CombReg improves every metric but VGG and Dense shoulder sensitivity",
        f"{count['better']} of {len(cells)} improve, {count['equal']} are equal; "
        f"{values} is worse, VGG rises from {vgg['base'].item()} to {vgg['comb'].item()}",
        count["better"] == len(cells) - 2 and vgg["change"].item() == "worse",
    )


def _on_the_proposed() -> Iterator[tuple]:
    means = volume_means()
    ravd = means.loc[("ankle", *PROPOSED), "ravd"]
    yield "RAVD of 5.1 % on the ankle", f"{ravd} % in tables 3 and 5", abs(ravd - 5.1) < ROUNDING
    pretrained = means.drop("Att-UNet", level="backbone")
    sensitivity = pretrained.loc["shoulder", "sensitivity"]
    behind = sensitivity.max() - sensitivity[PROPOSED]
    yield (
        "shoulder sensitivity is 0.4 % below the best",
        f"{behind:.1f} %: {sensitivity[PROPOSED]} to {sensitivity.max()} in table 3",
        abs(behind - 0.4) < ROUNDING,
    )
    for limit, part, where in ((99.3, means, "tables 2 and 3"), (99.7, pretrained, "table 3")):
        low = part["specificity"]
        yield (
            f"specificity > {limit} % in {where}",
            f"{(low <= limit).sum()} of {len(low)} are not above it, the lowest {low.min()} %",
            (low > limit).all(),
        )
    table = spreads()
    tied, higher = (table[table["place"] == place] for place in ("tied", "higher"))
    yield (
        "lowest variance but in ankle MSSD, shoulder sensitivity and RAVD",
        f"tied in {', '.join(tied['dataset'] + ' ' + tied['metric'])}; "
        f"higher in {', '.join(higher['dataset'] + ' ' + higher['metric'])}",
        ((table["place"] != "lowest") == table["excepted"]).all(),
    )


def _on_slices() -> Iterator[tuple]:
    table, tests = slices_against_volumes(), slice_tests()
    multi = table.query("dataset == 'ankle' and strategy == 'multi' and metric == 'dice'")
    values = ", ".join(
        f"{r.other} {r.slices:+.1f} (volumes {r.volumes:+.1f})" for r in multi.itertuples()
    )
    yield (
        "on slices too, CombReg is the best multi-class Att-UNet of the ankle",
        f"2-D Dice against {values}",
        (multi["slices"] > 0).all(),
    )
    yield (
        "slices and volumes agree on what CombReg changes in Att-UNet",
        f"opposite in {table['opposite'].sum()} of {len(table)} differences",
        not table["opposite"].any(),
    )
    counts = tests[tests["significant"]]["proposed_is"].value_counts()
    yield (
        "significant improvements (p < 0.05)",
        f"{counts.sum()} of {len(tests)} tests, the proposed mean being higher in "
        f"{counts['higher']}, equal in {counts['equal']}, lower in {counts['lower']}; "
        "slices of one examination are taken as independent",
        counts["higher"] == counts.sum(),
    )
    for dataset, metric, printed in BEHIND_ON_SLICES:
        values = slice_means().loc[dataset, metric]
        behind = values.max() - values[PROPOSED]
        yield (
            f"2-D {metric} of the {dataset} is {printed} % below the best",
            f"{behind:.1f} %",
            abs(behind - printed) < ROUNDING,
        )


def _on_the_report() -> Iterator[tuple]:
    theirs = other_papers()
    ours = theirs[theirs["method"].str.startswith("CombReg")].set_index(["dataset", "metric"])
    three = volume_metrics().set_index([*METHOD, "dataset", "metric"]).sort_index().loc[PROPOSED]
    same = (ours[["mean", "std"]] == three.loc[ours.index, ["mean", "std"]]).all(axis=1)
    yield "table 5 repeats table 3", f"{same.sum()} of {len(same)} cells", same.all()
    yield "an RTX 2080 Ti with 12 GB", "that card is sold with 11 GB", False


def _gain(difference: pd.Series, metric: pd.Series) -> pd.Series:
    """Differences whose sign says better or worse; rounded, as the tables have one digit."""
    return difference.round(1) * np.where(metric.isin(SMALLER_IS_BETTER), -1, 1)
