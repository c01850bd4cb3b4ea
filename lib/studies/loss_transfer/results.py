"""What the loss transfer found: one row per cell, one per structure, and a paragraph in words."""

import numpy as np
import pandas as pd

from lib.evidence.statistics import bootstrap_weights, holm, paired_test
from lib.studies.loss_transfer.ideas import BASELINES, IDEAS
from lib.studies.loss_transfer.tasks import TASKS

RESAMPLES = 10_000
LEVEL = 0.05
WORDS = {
    "dice_bce": "Dice + BCE",
    "bce": "BCE",
    "linear": "the linear schedule",
    "uncertainty": "uncertainty weighting",
    "boundary": "the boundary loss",
    "dual_level": "the dual-level cross-entropy",
    "shape": "the shape prior",
    "soft_iou": "soft IoU",
}


def subject_scores(metrics: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """(task, idea) -> mean Dice over the structures, seeds x test subjects."""
    scores = metrics.groupby(["dataset", "method", "seed", "subject"])["value"].mean()
    return {cell: part.droplevel([0, 1]).unstack() for cell, part in scores.groupby(level=[0, 1])}


def cells(metrics: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Every idea on every task against both baselines, in the order of tasks, baselines, ideas.

    Columns: task, idea, home, structures, seeds, n (test subjects), mean (Dice, over seeds and
    subjects), sd (of the seeds' means), sd_subjects (of the subjects' means), baseline,
    difference, low, high (95 %, ``crossed_interval``), p (Wilcoxon signed-rank over the subjects'
    means, which takes the trainings as given), p_holm (over all cells of a baseline). A baseline's
    row against itself has a difference of 0, and no interval or p.
    """
    scores = subject_scores(metrics)
    structures = metrics.groupby("dataset")["structure"].nunique()
    rows = [
        {"task": task, "idea": idea, "home": IDEAS[idea].home == task}
        | {"structures": structures[task]}
        | _described(scores[task, idea])
        | {"baseline": baseline}
        | _compared(scores[task, idea], scores[task, baseline], seed, idea == baseline)
        for baseline in BASELINES
        for task in TASKS
        for idea in IDEAS
    ]
    table = pd.DataFrame(rows)
    for baseline in BASELINES:
        tested = (table["baseline"] == baseline) & table["p"].notna()
        table.loc[tested, "p_holm"] = holm(table.loc[tested, "p"])
    return table


def _described(scores: pd.DataFrame) -> dict[str, float]:
    values = scores.to_numpy()
    between = {"sd": values.mean(1).std(ddof=1), "sd_subjects": values.mean(0).std(ddof=1)}
    return {"seeds": len(values), "n": values.shape[1], "mean": values.mean()} | between


def _compared(scores: pd.DataFrame, baseline: pd.DataFrame, seed: int, same: bool) -> dict:
    difference = (scores - baseline).to_numpy()
    result = {"difference": difference.mean()}
    if same:
        return result | dict.fromkeys(("low", "high", "p"), np.nan)
    low, high = crossed_interval(difference, seed)
    p = paired_test(scores.mean(), baseline.mean(), seed)["p"]
    return result | {"low": low, "high": high, "p": p}


def crossed_interval(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of S x n: seeds and subjects are both drawn again.

    Subjects alone would take the noise of single trainings for an effect of the loss. A bootstrap
    of few seeds is still somewhat narrow: their variance counts (S - 1) / S.
    """
    count, n = differences.shape
    seeds = bootstrap_weights(np.arange(count), RESAMPLES, seed)
    subjects = bootstrap_weights(np.arange(n), RESAMPLES, seed + 1)
    means = ((seeds @ differences) * subjects).sum(1) / (count * n)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def by_structure(metrics: pd.DataFrame) -> pd.DataFrame:
    """Dice of each structure: task, idea, structure, seed, mean, sd, n (test subjects)."""
    keys = ["dataset", "method", "structure", "seed"]
    table = metrics.groupby(keys, sort=False)["value"].agg(["mean", "std", "size"]).reset_index()
    return table.set_axis(["task", "idea", "structure", "seed", "mean", "sd", "n"], axis=1)


# --- in words ------------------------------------------------------------------------------------


def paragraph(table: pd.DataFrame, steps: int) -> str:
    """What the matrix says and what it cannot say; every number is taken from ``table``.

    Args:
        table: as ``cells`` gives it.
        steps: of each training.
    """
    against, other = (
        table[(table["baseline"] == name) & (table["idea"] != name)] for name in BASELINES
    )
    n = against.drop_duplicates("task").set_index("task")["n"]
    sure = against[against["p_holm"] < LEVEL]
    parts = [
        f"One small U-Net, {steps} steps and {against['seeds'].min()} seeds for each of "
        f"{len(against)} pairs of a loss and a task, on phantoms; each loss is one change to "
        f"half Dice + half BCE. Test subjects: {', '.join(f'{t} {k}' for t, k in n.items())}.",
        f"Of the {len(against)} differences to Dice + BCE in mean Dice, {_signs(against)} (seeds "
        f"and subjects both resampled); {len(sure)} have p < {LEVEL:g} after Holm (signed ranks "
        f"over subjects, the trainings taken as given). Against BCE alone, {_signs(other)}.",
        f"Largest gain: {_cell(against.loc[against['difference'].idxmax()])}; largest loss: "
        f"{_cell(against.loc[against['difference'].idxmin()])}.",
        f"At home: {_joined(against[against['home']])}.",
        _away(against),
        "These are simulated images, a small network and a short training: the matrix shows how "
        "far a loss's effect depends on the task here, not which loss to take for patients. With "
        "one structure (humerus, wrist) the dual-level loss keeps only its internal weights; the "
        "shape prior's auto-encoder learns on top of the budget.",
    ]
    return "\n".join(parts) + "\n"


def _signs(rows: pd.DataFrame) -> str:
    better, worse = (rows["low"] > 0).sum(), (rows["high"] < 0).sum()
    return f"{better} have a 95 % interval above 0 and {worse} one below it"


def _joined(rows: pd.DataFrame) -> str:
    return "; ".join(_cell(row) for _, row in rows.iterrows())


def _cell(row: pd.Series) -> str:
    """One cell in words: the boundary loss on humerus +0.012 (0.003 to 0.021; Dice 0.853)."""
    interval = f"{row['low']:.3f} to {row['high']:.3f}"
    place = f"{WORDS[row['idea']]} on {row['task']}"
    return f"{place} {row['difference']:+.3f} ({interval}; Dice {row['mean']:.3f})"


def _away(against: pd.DataFrame) -> str:
    """Mean difference of every idea over the tasks it was not made for."""
    ideas = against[against["idea"].map(lambda idea: bool(IDEAS[idea].home))]
    means = ideas[~ideas["home"]].groupby("idea", sort=False)["difference"].agg(["mean", "size"])
    listed = ", ".join(f"{WORDS[idea]} {row['mean']:+.3f}" for idea, row in means.iterrows())
    return f"Away from home, mean over {means['size'].min():.0f} tasks: {listed}."
