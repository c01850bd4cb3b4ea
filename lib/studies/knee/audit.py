"""Audit of the knee paper: what its own tables give for its weights, improvements and optimum.

Everything is recomputed from the printed means, read by ``audit_tables``; the scores
have a module of their own, ``lib.studies.knee.audit_scores``. Lengths are in px at 512 x 512.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from lib.base.paths import REFERENCE
from lib.studies.common.implied_scores import rounding_interval
from lib.studies.knee.audit_scores import column_sums, mean_metrics, scores, ties, totals
from lib.studies.knee.audit_tables import (
    METRICS,
    NETWORKS,
    ROUNDING,
    STRUCTURES,
    TERMS,
    detailed_means,
    printed_scores,
    scalars,
    table_2,
    table_4,
)

BEST = "deeplabv3plus/ce2_dice_bd_50_25_25"
WEIGHTS = ("alpha2_patella", "beta2_femur", "gamma2_tibia", "eta2_patellar_tendon")
FAMILIES = {"dice": "ce2_dice_[0-9]", "bd": "ce2_bd", "dice_bd": "ce2_dice_bd"}


def weights() -> pd.DataFrame:
    """Area shares that the printed weights imply, and back: equations 3 to 6 both ways.

    Columns: structure, printed, share, share_low, share_high (what rounding of the weights
    allows), recomputed (from the shares to 0.01 %), agrees (as far as that rounding allows).
    """
    printed = scalars()[list(WEIGHTS)].to_numpy()
    share = inverse_shares(*printed)
    low, high = rounding_interval(inverse_shares, *printed)
    table = pd.DataFrame({"structure": STRUCTURES, "printed": printed, "share": share})
    table = table.assign(share_low=low, share_high=high)
    rounded = share.round(4)
    low, high = rounding_interval(inverse_shares, *rounded)
    agrees = (low <= printed) & (printed <= high)
    return table.assign(recomputed=inverse_shares(*rounded), agrees=agrees)


def inverse_shares(*values) -> np.ndarray:
    """1 / value, scaled to sum to 1: area shares to weights, and weights to area shares."""
    inverse = 1 / np.asarray(values)
    return inverse / inverse.sum(axis=0)


def changes() -> pd.DataFrame:
    """Tendon, CE1 to CE2: 5 networks x 6 metrics.

    Columns: network, metric, ce1, ce2, difference, percent (of CE1), improvement (as printed, in
    "%"; NaN if not mentioned), hundredfold (improvement is 100 x the difference), better.
    """
    wide = table_4().pivot(index=["network", "metric"], columns="loss", values="mean")
    order = [(network, metric) for network in NETWORKS.values() for metric in METRICS]
    table = wide.loc[order].rename_axis(columns=None)
    table["difference"] = table["ce2"] - table["ce1"]
    table["percent"] = 100 * table["difference"] / table["ce1"]
    claims = pd.read_csv(REFERENCE / "knee_ce1_vs_ce2_claims.csv").replace({"network": NETWORKS})
    printed = claims.set_index(["network", "metric"])["printed_improvement_percent"]
    table["improvement"] = printed
    hundredfold = (100 * table["difference"].abs()).round(2)
    table["hundredfold"] = hundredfold == table["improvement"]
    smaller_is_better = table.index.get_level_values("metric").isin(TERMS["metric2"])
    table["better"] = (table["difference"] > 0) ^ smaller_is_better
    return table.reset_index()


def mean_changes() -> pd.DataFrame:
    """Mean_metric 1 and 2 over the networks, CE1 to CE2, with and without FCN_UNet.

    Columns: metric, networks (5 or 4), ce1, ce2, difference, percent, improvement (as printed for
    all five, in "%").
    """
    table, rows = changes(), []
    for metric, terms in TERMS.items():
        chosen = table[table["metric"].isin(terms)]
        for part in (chosen, chosen[chosen["network"] != "fcn_unet"]):
            ce1, ce2 = part["ce1"].mean(), part["ce2"].mean()
            row = {"metric": metric, "networks": part["network"].nunique(), "ce1": ce1, "ce2": ce2}
            rows.append(row | {"difference": ce2 - ce1, "percent": 100 * (ce2 / ce1 - 1)})
    claims = [scalars()[f"claim_mean_{metric}_improvement_percent"] for metric in TERMS]
    return pd.DataFrame(rows).assign(improvement=[claims[0], np.nan, claims[1], np.nan])


def best_model() -> pd.DataFrame:
    """The chosen model's macro means: metric, printed, recomputed over the structures, agrees."""
    table = pd.read_csv(REFERENCE / "knee_best_model.csv")
    printed = table[table["structure"] == "mean_of_4"].set_index("metric")["mean"]
    again = detailed_means().xs(BEST, level="method")[METRICS].mean()
    means = pd.DataFrame({"printed": printed[METRICS], "recomputed": again})
    means["agrees"] = (means["printed"] - means["recomputed"]).abs() <= ROUNDING
    return means.rename_axis("metric").reset_index()


def chosen_on_tendon() -> pd.DataFrame:
    """The tendon with the chosen model and with the same network under plain CE1.

    Columns: metric, chosen, ce1, difference, better (the chosen one is).
    """
    table = changes().query("network == 'deeplabv3plus'").set_index("metric")
    tendon = pd.DataFrame({"chosen": detailed_means().loc[("tendon", BEST)], "ce1": table["ce1"]})
    tendon = tendon.loc[METRICS].assign(difference=tendon["chosen"] - tendon["ce1"])
    tendon["better"] = (tendon["difference"] > 0) ^ tendon.index.isin(TERMS["metric2"])
    return tendon.rename_axis("metric").reset_index()


def beats_ce2() -> pd.DataFrame:
    """How often a mixed loss has a higher Mean_metric 1 than CE2 of the same network.

    Columns: structure, then dice, bd and dice_bd: wins out of 15 (5 networks x 3 ratios). Lost
    cells are the best of their column; an undefined model beats nothing.
    """
    table = printed_scores()
    lost = (table["status"] == "lost") & table["metric1"].isna()
    table["metric1"] = table["metric1"].mask(lost, np.inf)
    plain = table[table["loss"] == "ce2"].set_index(["structure", "network"])["metric1"]
    keys = pd.MultiIndex.from_frame(table[["structure", "network"]])
    table["wins"] = table["metric1"] > plain.loc[keys].to_numpy()
    wins = {
        family: table[table["loss"].str.match(pattern)].groupby("structure")["wins"].sum()
        for family, pattern in FAMILIES.items()
    }
    counts = pd.DataFrame(wins).loc[list(STRUCTURES)]
    return counts.rename_axis("structure").reset_index()


def boundary_shares() -> pd.DataFrame:
    """CE2 + boundary loss: bd (its share), lowest, median and highest Mean_metric 1 of 20 cells."""
    shares = table_2().set_index("method")["bd"]
    table = printed_scores()
    table = table[table["loss"].str.match(FAMILIES["bd"])]
    groups = table.groupby(table["method"].map(shares).rename("bd"))["metric1"]
    ranges = groups.agg(["min", "median", "max"])
    return ranges.set_axis(["lowest", "median", "highest"], axis=1).reset_index()


def inconsistencies() -> pd.DataFrame:
    """What the paper says against what its own tables give: statement, recomputed, holds."""
    rows = [*_on_weights_and_scores(), *_on_improvements(), *_on_the_optimum(), *_on_the_report()]
    return pd.DataFrame(rows, columns=["statement", "recomputed", "holds"]).astype({"holds": bool})


def _on_weights_and_scores() -> Iterator[tuple]:
    table, means, points, best = weights(), mean_metrics().dropna(), scores(), best_model()
    areas = ", ".join(f"{r.structure} {100 * r.share:.2f} %" for r in table.itertuples())
    yield (
        "the external weights follow from the areas of the structures",
        f"from the shares {areas}",
        table["agrees"].all(),
    )
    yield (
        "Mean_metric 1 and 2 are the means of their terms",
        f"{means['agrees'].sum()} of {len(means)} cells whose terms are printed",
        means["agrees"].all(),
    )
    wrong, sums = points[~points["agrees"]], column_sums().query("missing != 0")
    errors = [f"{r.structure} {r.method} {r.printed}, not {r.listed}" for r in wrong.itertuples()]
    errors += [f"{r.structure} sums to {r.printed}, not {r.expected}" for r in sums.itertuples()]
    yield (
        "the scores follow from the two rankings",
        f"{points['agrees'].sum()} of {len(points)}: {'; '.join(errors)}",
        wrong.empty,
    )
    top = totals().dropna()
    same = top["printed"] == top["total"]
    yield "the totals of the top ten", f"{same.sum()} of {len(top)} totals", same.all()
    yield (
        "the macro means of the best model",
        f"{best['agrees'].sum()} of {len(best)} means",
        best["agrees"].all(),
    )


def _on_improvements() -> Iterator[tuple]:
    table = changes()
    lengths = table[table["metric"].isin(TERMS["metric2"])].dropna()
    largest = lengths.loc[lengths["improvement"].idxmax()]
    yield (
        f"HD95 and ASSD improve by up to {largest['improvement']:,.2f} %",
        f"{lengths['hundredfold'].sum()} of {len(lengths)} are 100 x the difference in px; "
        f"{largest['ce1']:.2f} to {largest['ce2']:.2f} px is {largest['percent']:.1f} %",
        not lengths["hundredfold"].any(),
    )
    mean = mean_changes()
    for metric, unit, digits in (("metric2", " px", 2), ("metric1", "", 4)):
        five, four = (
            f"{r.ce1:.{digits}f} to {r.ce2:.{digits}f}{unit}, {r.percent:+.1f} %"
            for r in mean[mean["metric"] == metric].itertuples()
        )
        claim = mean[mean["metric"] == metric].iloc[0]
        yield (
            f"Mean_metric {metric[-1]} improves by {claim['improvement']:.2f} %",
            f"{five} (100 x the difference is printed); without fcn_unet {four}",
            abs(abs(claim["percent"]) - claim["improvement"]) < 0.005,
        )
    for metrics in (["iou", "recall"], ["dice"], ["precision"], ["hd95"], ["assd"]):
        part = table[table["metric"].isin(metrics)]
        worse = part[~part["better"]]
        cases = "; ".join(f"{r.network} {r.ce1:.4g} to {r.ce2:.4g}" for r in worse.itertuples())
        text = f"{part['better'].sum()} of {len(part)} better"
        text += f"; worse, not mentioned: {cases}" if len(worse) else ""
        yield f"CE2 improves the tendon's {' and '.join(metrics)}", text, worse.empty


def _on_the_optimum() -> Iterator[tuple]:
    tendon, wins, bd = chosen_on_tendon(), beats_ce2().set_index("structure"), boundary_shares()
    worse = tendon[~tendon["better"]]
    values = ", ".join(f"{r.metric} {r.chosen:.4g} vs {r.ce1:.4g}" for r in worse.itertuples())
    yield (
        "dual-level weighting protects the tendon in the best model",
        f"worse than plain CE1 in {len(worse)} of {len(tendon)} metrics: {values}",
        worse.empty,
    )
    for where, part in (("bones", wins.drop("tendon")), ("tendon", wins.loc[["tendon"]])):
        n, won = 15 * len(part), part.sum()
        counts = ", ".join(f"{family} {won[family]}" for family in FAMILIES)
        text = f"Mean_metric 1 above CE2, of {n}: {counts}"
        yield f"mixed losses improve on CE2: {where}", text, (2 * won > n).all()
    ranges = "; ".join(f"{r.bd:.2f}: {r.lowest:.4f} to {r.highest:.4f}" for r in bd.itertuples())
    yield (
        "a larger share of the boundary loss gives the best model",
        f"Mean_metric 1 of CE2+BD by share {ranges}",
        bd["median"].is_monotonic_increasing,
    )
    table, parted = totals().set_index("method"), ties()
    best, rival = table.loc[BEST], table["average"].idxmax()
    yield (
        "the optimum does not depend on how ties are broken",
        f"{best['total']:g} as ties go to the model printed first ({parted['listed'].sum()} of "
        f"{len(parted)}); {best['lowest']:g} if they share the lower points, "
        f"{best['average']:g} the mean, and {rival} {table.loc[rival, 'lowest']}",
        rival == BEST,
    )


def _on_the_report() -> Iterator[tuple]:
    models, numbers, n_metrics = table_2(), scalars().astype(int), table_4()["metric"].nunique()
    yield "five metrics are used", f"{n_metrics} are listed and printed", n_metrics == 5
    yield (
        f"{len(models)} models are evaluated",
        f"{models['scored'].sum()} are scored; CE1 is printed for the tendon only",
        models["scored"].all(),
    )
    first, second = totals()["total"].iloc[:2]
    yield (
        "the lead of the best model is tested",
        f"{first} to {second} points; no test of significance, and the {numbers['n_test_images']} "
        f"frames are those of {numbers['n_test_cases']} cases",
        False,
    )
