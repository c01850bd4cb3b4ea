"""What the knee's figures show: frames with masks, what is measured on them, a network's costs."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib.base.paths import data_root as resolve
from lib.base.tables import read_table
from lib.engine.supervised import WEIGHTS, stored_masks
from lib.evidence.statistics import bootstrap_interval, mean
from lib.metrics.knee import flexion_angle, patella_height, patella_length
from lib.studies.knee.data import STUDY, Data, load
from lib.studies.knee.figures.agreement import bland_altman
from lib.studies.knee.figures.looks import model_label
from lib.studies.knee.figures.sequences import SequenceFrame
from lib.studies.knee.learn import network as untrained
from lib.studies.knee.results import BONES, models, with_parts
from lib.studies.knee.trials import FINAL, SPLITS, KneeTrial
from lib.training.checkpoints import load_weights

FRAMES = 6  # of a sequence
TRUTH = {
    "flexion_angle": "flexion_deg",
    "patella_height": "insall_salvati",
    "patella_length": "patella_length_mm",
}
UNITS = {"flexion_angle": "degrees", "patella_height": "ratio", "patella_length": "mm"}


def predicted_by(trials: list[KneeTrial], folders: list[Path], names: list[str]) -> dict[str, dict]:
    """Stored masks of some methods (frame split): method -> row number -> bool 4 x S x S."""
    stored = {}
    for trial, folder in zip(trials, folders, strict=True):
        if trial.method in names and trial.variant == SPLITS[0]:
            rows, masks = stored_masks(folder)
            stored[trial.method] = dict(zip(rows.tolist(), masks, strict=True))
    return {name: stored[name] for name in names}


def hardest_frame(metrics: pd.DataFrame) -> str:
    """The frame on which CE1 and CE2 differ most on the tendon, over the networks."""
    chosen = with_parts(metrics[metrics["dataset"] == SPLITS[0]])
    chosen = chosen[(chosen["structure"] == "tendon") & (chosen["metric"] == "dice")]
    wide = chosen[chosen["loss"].isin(("ce1", "ce2"))].pivot_table(
        index="case", columns=["network", "loss"], values="value"
    )
    change = wide.xs("ce2", axis=1, level="loss") - wide.xs("ce1", axis=1, level="loss")
    return change.abs().mean(axis=1).idxmax()


def overlay(case: str, masks: dict[str, dict], trial: KneeTrial, data_root: str) -> tuple:
    """Image, reference and predictions of one frame under several methods, for a figure."""
    data = load(trial, data_root)
    row = int(data.cases.index[data.cases["case"] == case][0])
    titled = {model_label(*name.split("/"), "\n"): rows[row] for name, rows in masks.items()}
    return data.images[row] / 255, data.masks[row], titled


def sequences(
    masks: dict, truth: pd.DataFrame, trial: KneeTrial, data_root: str
) -> dict[str, list]:
    """Frames along the motion of the first test subject of each side (or of the first two).

    Args:
        masks: row number -> predicted masks of one model.
        truth: table of cases, with side and flexion_deg where they are known.
    """
    data = load(trial, data_root)
    cases = data.cases.iloc[sorted(masks)].merge(truth, on="case", how="left")
    cases.index = sorted(masks)
    sided = "side" in cases and cases["side"].notna().any()
    side = cases["side"] if sided else cases["subject"]
    shown = {}
    for name in side.dropna().drop_duplicates().head(2):
        part = cases[side == name]
        part = part[part["subject"] == part["subject"].iloc[0]]
        places = np.unique(np.linspace(0, len(part) - 1, FRAMES).round().astype(int))
        title = f"{name} knee".capitalize() if sided else str(name)
        shown[title] = [_frame(data, row, masks[row], part.loc[row]) for row in part.index[places]]
    return shown


def _frame(data: Data, row: int, predicted: np.ndarray, facts: pd.Series) -> SequenceFrame:
    angle = float(facts.get("flexion_deg", np.nan))
    return SequenceFrame(data.images[row] / 255, data.masks[row], predicted, angle)


def known_truth(data_root: str) -> pd.DataFrame:
    """What the study's table tells of each case beyond its files; may be the bare case names."""
    table = read_table(resolve(data_root) / STUDY / "cases.csv")
    wanted = ["case", "side", *TRUTH.values()]
    return table[[name for name in wanted if name in table]]


def measurements(
    masks: dict, truth: pd.DataFrame, trial: KneeTrial, data_root: str
) -> pd.DataFrame:
    """Flexion, patella height and length of every test frame, from predicted and reference masks.

    Columns: source ("predicted", "reference"), measure, unit, subject, case, truth (the phantom's;
    where a table has none, the measurement on the reference masks), value (NaN: not measurable).
    """
    data = load(trial, data_root)
    facts = truth.set_index("case")
    rows = []
    for row, predicted in masks.items():
        case = data.cases.iloc[row]
        spacing_mm = data.spacing_mm[row]
        reference = _measure(data.masks[row], spacing_mm)
        measured = _measure(predicted, spacing_mm)
        for source, values in (("predicted", measured), ("reference", reference)):
            for name, value in values.items():
                known = TRUTH[name] in facts
                true = facts.loc[case["case"], TRUTH[name]] if known else reference[name]
                place = {"source": source, "measure": name, "unit": UNITS[name]}
                place |= {"subject": case["subject"], "case": case["case"]}
                rows.append(place | {"truth": float(true), "value": value})
    return pd.DataFrame(rows)


def _measure(masks: np.ndarray, spacing_mm: float) -> dict[str, float]:
    patella, femur, tibia, tendon = masks
    length = patella_length(patella, spacing_mm) if np.isfinite(spacing_mm) else float("nan")
    return {
        "flexion_angle": flexion_angle(femur, tibia),
        "patella_height": patella_height(patella, tendon, tibia),
        "patella_length": length,
    }


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Bias, SD and limits of agreement of each source and measure, and how many failed."""
    rows = []
    for (source, measure_), part in table.groupby(["source", "measure"], sort=False):
        error = (part["value"] - part["truth"]).dropna()
        row = {"source": source, "measure": measure_, "unit": part["unit"].iloc[0]}
        bias, low, high = bland_altman(error)
        row |= {"bias": bias, "sd": error.std(ddof=1), "low": low, "high": high, "n": len(error)}
        rows.append(row | {"failed": len(part) - len(error), "subjects": part["subject"].nunique()})
    return pd.DataFrame(rows)


def efficiency(metrics: pd.DataFrame, price: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Each network under its best loss by macro Dice of the bones, with interval and price.

    The loss is chosen on the test frames that are reported: this shows what the grid reached, and
    flatters all networks alike.
    """
    table = models(metrics)
    dice = table[table["structure"].isin(BONES)].groupby(["network", "loss"])["dice"].mean()
    rows, parts = [], with_parts(metrics[metrics["dataset"] == SPLITS[0]])
    parts = parts[(parts["metric"] == "dice") & parts["structure"].isin(BONES)]
    for network, values in dice.groupby("network", sort=False):
        loss = values.idxmax()[1]
        chosen = parts[(parts["network"] == network) & (parts["loss"] == loss)]
        frames = chosen.groupby(["subject", "case"])["value"].mean()
        groups = frames.index.get_level_values("subject").to_numpy()
        low, high = bootstrap_interval(mean, frames.to_numpy(), seed=seed, groups=groups)
        row = {"network": network, "loss": loss, "value": frames.mean(), "low": low, "high": high}
        rows.append(row | {"n": len(frames)})
    return pd.DataFrame(rows).merge(price, on="network")


def final_model(trials: list[KneeTrial], folders: list[Path]) -> tuple[KneeTrial, torch.nn.Module]:
    """The paper's best model, trained here, with its trial."""
    for trial, folder in zip(trials, folders, strict=True):
        if trial.keeps_weights:
            return trial, load_weights(folder / WEIGHTS, untrained(trial))
    raise LookupError(f"no trial of {FINAL}")
