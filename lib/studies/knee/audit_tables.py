"""The knee paper's printed tables under this project's names, read from ``data/reference``.

Metrics: iou, dice, precision, recall (fractions, larger is better), hd95, assd (px at 512 x 512,
smaller is better). Mean_metric 1 = (IoU + Dice + precision + recall) / 4 and Mean_metric 2 =
(HD95 + ASSD) / 2 (equations 15, 16), metric1 and metric2 here. Means are printed with four digits.
"""

import pandas as pd

from lib.base.paths import REFERENCE

STRUCTURES = ("patella", "femur", "tibia", "tendon")
NETWORKS = {
    "FCN_UNet": "fcn_unet",
    "PSPNet_R50c": "pspnet",
    "DeepLabV3+_R50c": "deeplabv3plus",
    "UPerNet_R50c": "upernet",
    "SegFormer_B2": "segformer",
}
TERMS = {"metric1": ["iou", "dice", "precision", "recall"], "metric2": ["hd95", "assd"]}
METRICS = TERMS["metric1"] + TERMS["metric2"]
# A printed mean and the mean of printed terms are each within half a unit of the fourth digit.
ROUNDING = 1e-4 + 1e-9


def scalars() -> pd.Series:
    """Numbers of the text and of table 1 by name, such as n_cases."""
    return pd.read_csv(REFERENCE / "knee_scalars.csv").set_index("item")["value"]


def table_2() -> pd.DataFrame:
    """The 55 models: experiment, method, shares of ce2, dice and bd (NaN: not used), scored."""
    table = pd.read_csv(REFERENCE / "knee_experiments.csv")
    shares = table[["tau_ce2", "tau_dice", "tau_bd"]]
    tau = shares.apply(lambda row: ":".join(f"{x:.2f}" for x in row.dropna()), axis=1)
    table = with_our_names(table.assign(tau=tau, scored=table["scored"] == "yes"))
    names = {"tau_ce2": "ce2", "tau_dice": "dice", "tau_bd": "bd"}
    return table.rename(columns=names)[["experiment", "method", *names.values(), "scored"]]


def table_4() -> pd.DataFrame:
    """The tendon with CE1 and CE2: network, loss, metric, mean, sd, max, min over 283 frames."""
    table = pd.read_csv(REFERENCE / "knee_table4.csv").rename(columns={"std": "sd"})
    table = table.assign(network=table["network"].map(NETWORKS), loss=table["loss"].str.lower())
    return table[["network", "loss", "metric", "mean", "sd", "max", "min"]]


def printed_scores() -> pd.DataFrame:
    """Tables 5 to 8 as printed, in their order: 4 structures x 50 models.

    Columns: structure, method, network, loss (our names), metric1, metric2 (NaN where not
    legible), score, status (printed, lost or undefined).
    """
    files = [REFERENCE / f"knee_table{number}.csv" for number in (5, 6, 7, 8)]
    table = with_our_names(pd.concat(map(pd.read_csv, files), ignore_index=True))
    table["status"] = table["status"].str.split().str[0].replace("ok", "printed")
    table = table.rename(columns={"mean_metric1": "metric1", "mean_metric2": "metric2"})
    names = ["structure", "method", "network", "loss", "metric1", "metric2", "score", "status"]
    return table[names]


def detailed_means() -> pd.DataFrame:
    """The printed means behind Mean_metric 1 and 2: structure and method by metric, lengths in px.

    They are there for CE2 of each network on the tendon (table 4), the best model on all four
    structures (section 3.2.2) and the best model of the tendon (3.2.3).
    """
    table4, text = (pd.read_csv(REFERENCE / f"knee_{n}.csv") for n in ("table4", "best_model"))
    table4 = table4[table4["loss"] == "CE2"].assign(tau="1.00")
    text = text[text["structure"] != "mean_of_4"]
    table = with_our_names(pd.concat([table4, text], ignore_index=True))
    wide = table.pivot(index=["structure", "method"], columns="metric", values="mean")
    return wide.rename_axis(columns=None)


def with_our_names(table: pd.DataFrame) -> pd.DataFrame:
    """A reference table with our structures, networks and losses, and the method of both."""
    tau = table["tau"].astype(str)
    shares = "_" + tau.str.replace("0.", "", regex=False).str.replace(":", "_")
    loss = table["loss"].str.lower().str.replace("+", "_") + shares.where(tau.str.contains(":"), "")
    table = table.assign(network=table["network"].map(NETWORKS), loss=loss)
    table["method"] = table["network"] + "/" + table["loss"]
    if "structure" in table:
        table["structure"] = table["structure"].replace("patellar_tendon", "tendon")
    return table
