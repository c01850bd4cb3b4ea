"""Tables and verdicts of the wrist study: tidy results in, data frames out. Nothing is trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pandas.io.formats.style import Styler

from lib.data.augmentation import augmenter
from lib.data.cases import load_case
from lib.data.prepared import THRESHOLD
from lib.data.preprocess import pipeline_steps, propose_boxes
from lib.engine.supervised import WEIGHTS
from lib.evidence.statistics import bootstrap_weights, compare_methods, summary
from lib.figures import Overlay, best_median_worst
from lib.losses import binary_cross_entropy, dice_loss
from lib.metrics import confusion, overlap_from_counts
from lib.studies.wrist import audit
from lib.studies.wrist.data import load
from lib.studies.wrist.learn import FRACTIONS, case_metrics, network, predict
from lib.studies.wrist.methods import ADAPTIVE, BASELINE, METHODS
from lib.studies.wrist.trials import VARIANTS, WristTrial
from lib.training.checkpoints import load_weights

COUNTS = ("tp", "fp", "fn", "tn")
SCORES = audit.SCORES  # the paper's four
TRIVIAL = ("all_positive", "all_negative", "mean_mask")


def trivial_baselines(data_root: str, trial_list: list[WristTrial]) -> pd.DataFrame:
    """Metrics of three predictions that look at no image, on the same test cases.

    ``all_positive`` and ``all_negative``, and ``mean_mask``: where the training masks of that data
    set usually are, cut at the level that gives the best F1 on the training cases.
    """
    frames = []
    for trial in {trial.variant: trial for trial in trial_list}.values():
        parts = load(trial, data_root)
        shape = parts["test"][2].shape
        guesses = {
            "all_positive": np.ones(shape, bool),
            "all_negative": np.zeros(shape, bool),
            "mean_mask": np.broadcast_to(_mean_mask(parts["train"][2]), shape),
        }
        for method, guess in guesses.items():
            frames.append(case_metrics(replace(trial, method=method), parts["test"], guess))
    return pd.concat(frames, ignore_index=True)


def _mean_mask(masks: np.ndarray) -> np.ndarray:
    """The level set of the mean mask (1 x S x S) with the best pooled F1 on those masks."""
    mean = masks.mean(axis=0)
    levels = np.unique(mean[mean > 0])
    candidates = [mean >= level for level in levels[:: max(1, len(levels) // 50)]]
    return max(candidates, key=lambda guess: overlap_from_counts(**_counts(guess, masks))["f1"])


def _counts(guess: np.ndarray, masks: np.ndarray) -> dict[str, int]:
    return confusion(np.broadcast_to(guess, masks.shape), masks)


def pooled_scores(metrics: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Scores from counts summed over the test images, as the paper's F1 implies.

    Returns one row per dataset, method and metric: mean and sd over seeds, low and high of the 95 %
    bootstrap interval over subjects (with all their images and seeds), n (images), seeds.
    """
    rows = []
    for (dataset, method), part in metrics.groupby(["dataset", "method"], sort=False):
        counts, subjects = count_array(part)
        by_seed = scores_of(counts.sum(axis=0))
        resampled = resampled_scores(counts, subjects, seed)
        low, high = np.quantile(resampled, (0.025, 0.975), axis=0)
        n, seeds = counts.shape[:2]
        sd = by_seed.std(axis=0, ddof=1) if seeds > 1 else np.full(len(low), np.nan)
        for i, metric in enumerate(FRACTIONS):
            row = {"dataset": dataset, "method": method, "metric": metric}
            row |= {"mean": by_seed[:, i].mean(), "sd": sd[i], "low": low[i], "high": high[i]}
            rows.append(row | {"n": n, "seeds": seeds})
    return pd.DataFrame(rows)


def against_baselines(metrics: pd.DataFrame, seed: int, baselines=TRIVIAL) -> pd.DataFrame:
    """Pooled F1 and IoU of every method minus those of each prediction that looks at no image.

    ``baselines``: other methods to subtract instead. Returns one row per dataset, method, baseline
    and metric: difference, and low and high of its 95 % bootstrap interval over the subjects,
    which both predictions share.
    """
    rows = []
    for dataset, part in metrics.groupby("dataset", sort=False):
        arrays = {name: count_array(group) for name, group in part.groupby("method", sort=False)}
        counts = {name: array for name, (array, _) in arrays.items()}
        resampled = {name: resampled_scores(*arrays[name], seed) for name in arrays}
        pooled = {name: scores_of(array.sum(axis=0)).mean(axis=0) for name, array in counts.items()}
        for method in (name for name in counts if name not in baselines):
            for baseline in baselines:
                difference = pooled[method] - pooled[baseline]
                spread = resampled[method] - resampled[baseline]
                low, high = np.quantile(spread, (0.025, 0.975), axis=0)
                for metric in ("f1", "iou"):
                    i = FRACTIONS.index(metric)
                    row = {"dataset": dataset, "method": method, "baseline": baseline}
                    row |= {"metric": metric, "difference": difference[i]}
                    rows.append(row | {"low": low[i], "high": high[i]})
    return pd.DataFrame(rows)


def count_array(part: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Counts of one dataset and method, images x seeds x (tp, fp, fn, tn), and their subjects."""
    counts = part[part["metric"].isin(COUNTS)]
    table = counts.pivot(index=["subject", "case", "seed"], columns="metric", values="value")
    images = table.index.droplevel("seed").unique()
    array = table[list(COUNTS)].to_numpy().reshape(len(images), -1, len(COUNTS))
    return array, images.get_level_values("subject").to_numpy()


def scores_of(counts: np.ndarray) -> np.ndarray:
    """Counts (..., 4) -> scores (..., len(FRACTIONS))."""
    scores = overlap_from_counts(*np.moveaxis(counts, -1, 0))
    return np.stack([scores[metric] for metric in FRACTIONS], axis=-1)


def resampled_scores(counts: np.ndarray, subjects: np.ndarray, seed: int) -> np.ndarray:
    """Pooled scores, mean over seeds, of every bootstrap resample of the subjects: R x scores."""
    weights = bootstrap_weights(subjects, seed=seed)
    return scores_of(np.tensordot(weights, counts, axes=1)).mean(axis=1)


def display_scores(pooled: pd.DataFrame) -> Styler:
    """``pooled_scores`` as a page: one row per dataset and method, one column per metric.

    A cell holds mean ± SD over seeds, and below it the interval over subjects.
    """

    def written(row) -> str:
        spread = "" if np.isnan(row["sd"]) else f" ± {row['sd']:.3f}"
        return f"{row['mean']:.3f}{spread}\n[{row['low']:.3f}, {row['high']:.3f}]"

    text = pooled.assign(text=pooled.apply(written, axis=1))
    wide = text.pivot(index=["dataset", "method"], columns="metric", values="text")
    names = [(d, m) for d in VARIANTS for m in (*METHODS, *TRIVIAL)]
    shown = [metric for metric in FRACTIONS if metric != "prevalence"]
    return wide.loc[names, shown].style.set_properties(**{"white-space": "pre"})


def per_image(metrics: pd.DataFrame) -> pd.DataFrame:
    """Rows of images that show a fracture: on the others recall and F1 say nothing."""
    prevalence = metrics[metrics["metric"] == "prevalence"]
    shown = prevalence.loc[prevalence["value"] > 0, ["dataset", "case"]].drop_duplicates()
    return metrics.merge(shown, on=["dataset", "case"])


def image_table(metrics: pd.DataFrame, dataset: str, method: str) -> pd.DataFrame:
    """The paper's Table II: accuracy, precision, recall and F1 of every test image (seed mean)."""
    rows = per_image(metrics).query("dataset == @dataset and method == @method")
    table = rows.pivot_table(index="case", columns="metric", values="value", aggfunc="mean")
    return table[[*SCORES, "iou", "prevalence"]].rename_axis(columns=None)


def subject_means(metrics: pd.DataFrame) -> pd.DataFrame:
    """Score of every subject under every method: mean over its images and the seeds.

    Columns: dataset, metric, method, subject, value. Most subjects have one image.
    """
    rows = per_image(metrics)
    rows = rows[rows["metric"].isin([*SCORES, "iou"])]
    keys = ["dataset", "metric", "method", "subject"]
    return rows.groupby(keys, sort=False, as_index=False)["value"].mean()


def image_summary(metrics: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Mean of the images' own scores: mean, SD, n (subjects) and 95 % interval, in tidy rows."""
    groups = subject_means(metrics).groupby(["dataset", "method", "metric"], sort=False)["value"]
    rows = [
        dict(zip(("dataset", "method", "metric"), key, strict=True)) | summary(values, seed)
        for key, values in groups
    ]
    return pd.DataFrame(rows)


def comparisons(metrics: pd.DataFrame) -> pd.DataFrame:
    """Every schedule against the fixed weights, paired by subject.

    ``p_holm`` is adjusted for the five schedules of one dataset and metric.
    """
    frames = []
    groups = subject_means(metrics).groupby(["dataset", "metric"], sort=False)
    for (dataset, metric), part in groups:
        frame = compare_methods(part, reference=BASELINE, pair_on="subject")
        frame.insert(0, "dataset", dataset)
        frame.insert(1, "metric", metric)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def prevalence_table(trial_list: list[WristTrial], data_root: str) -> pd.DataFrame:
    """Share of foreground pixels, and cases with and without it, by dataset and split."""
    rows = []
    for trial in {trial.variant: trial for trial in trial_list}.values():
        for split, (cases, _, masks) in load(trial, data_root).items():
            foreground = masks.any(axis=(1, 2, 3))
            row = {"dataset": trial.variant, "split": split, "cases": len(cases)}
            row |= {"without_box": int((~foreground).sum()), "size_px": trial.image_size}
            rows.append(row | {"prevalence": masks.mean()})
    return pd.DataFrame(rows).set_index(["dataset", "split"])


def loss_demonstration(size: int = 100) -> pd.DataFrame:
    """Both losses of three blind predictions, on a box of 1 % and one of 76 % of the picture."""
    guesses = {"empty (p = 0.001)": 0.001, "half everywhere": 0.5, "full (p = 0.999)": 0.999}
    rows = []
    for share in (0.01, 0.76):
        target = torch.zeros(1, 1, size, size)
        target.view(-1)[: int(share * size * size)] = 1
        for name, probability in guesses.items():
            logits = torch.full_like(target, float(torch.logit(torch.tensor(probability))))
            dice, cross_entropy = dice_loss(logits, target), binary_cross_entropy(logits, target)
            row = {"box": f"{share:.0%}", "prediction": name}
            rows.append(row | {"Dice loss": dice.item(), "BCE": cross_entropy.item()})
    return pd.DataFrame(rows).round(3).set_index(["box", "prediction"])


def shown_steps(case: dict, size: int, seed: int) -> tuple[dict, dict]:
    """Every pre-processing step of one case, and what to outline in it: the label, or proposals."""
    image, mask, _ = load_case(case)
    augment = augmenter(seed)

    def augmented(image, mask):
        changed = augment(0, 0, image=image, masks=mask[None])
        return changed["image"], changed["masks"][0]

    steps = pipeline_steps(image, mask, size, augmented)
    label = steps.pop("label") > 0
    outlines = dict.fromkeys(("augment", "median filter", "equalise", "variant: CLAHE"), label)
    levels = np.rint(steps["multilevel Otsu"] * 3)
    _, x, y, width, height = propose_boxes(levels).T * size
    corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)
    return steps, outlines | {"original": mask, "multilevel Otsu": corners - 0.5}


def predictions(trial_list, folders: list[Path], data_root: str, dataset: str) -> dict:
    """method -> probability (N x 1 x S x S) on the test cases, from the kept weights."""
    kept = {}
    for trial, folder in zip(trial_list, folders, strict=True):
        if trial.variant == dataset and trial.keeps_weights:
            model = load_weights(folder / WEIGHTS, network(trial))
            part = load(trial, data_root)["test"]
            kept[trial.method] = predict(trial, model, part)
    return kept


def overlay_rows(metrics, trial_list, folders, data_root: str, dataset: str) -> list[Overlay]:
    """Best, median and worst test image of the adaptive weighting, beside the fixed one."""
    trial = next(t for t in trial_list if t.variant == dataset and t.keeps_weights)
    cases, images, masks = load(trial, data_root)["test"]
    methods = (BASELINE, ADAPTIVE)
    chosen = predictions(
        [t for t in trial_list if t.method in methods],
        [f for f, t in zip(folders, trial_list, strict=True) if t.method in methods],
        data_root,
        dataset,
    )
    shown = per_image(metrics).query("dataset == @dataset and seed == @trial.seed")
    rows = []
    for rank, case in best_median_worst(shown, ADAPTIVE).items():
        index = cases.index[cases["case"] == case][0]
        scores = shown[shown["case"] == case].pivot(
            index="method", columns="metric", values="value"
        )
        rows.append(
            Overlay(
                f"{rank}: {case}",
                images[index] / 255,
                masks[index, 0],
                {m: chosen[m][index, 0] > THRESHOLD for m in methods},
                {m: {"F1": scores.loc[m, "f1"], "IoU": scores.loc[m, "iou"]} for m in methods},
            )
        )
    return rows


def beside_paper(pooled: pd.DataFrame) -> pd.DataFrame:
    """The paper's overall rows and ours in one tidy frame for the figure of that name."""
    methods = (BASELINE, ADAPTIVE, "all_positive")
    ours = pooled[pooled["metric"].isin(SCORES) & pooled["method"].isin(methods)]
    ours = ours.rename(columns={"dataset": "source", "mean": "value"})
    paper = audit.paper_scores().assign(low=np.nan, high=np.nan, n=audit.TEST_IMAGES)
    columns = ["source", "method", "metric", "value", "low", "high", "n"]
    frame = pd.concat([paper[columns], ours[columns]], ignore_index=True)
    return frame.sort_values("metric", key=lambda m: m.map(SCORES.index), kind="stable")
