"""The radiologist's measure beside the learned score: cortical index of the second metacarpal."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.engine.supervised import WEIGHTS
from lib.engine.trials import stored_config, trial_from_json
from lib.metrics.cortical_index import cortical_index
from lib.studies.hand.audit import BEST
from lib.studies.hand.data import BONES, LABEL, load, out_of_square, radiograph, split
from lib.studies.hand.results import draws, mean_auc
from lib.studies.hand.scores import interval, subject_scores
from lib.studies.hand.segmentation import network, predict
from lib.studies.hand.trials import SegmentationTrial
from lib.training.checkpoints import load_weights

BONE = BONES.index("m2")
SCORES = ("cortical index", "learned score", "both")
FITTED = [SCORES[1], SCORES[0]]


def cortical_indices(folder: Path, data_root: str) -> pd.DataFrame:
    """Cortical index of every labelled case, from its radiograph and predicted mask.

    Args:
        folder: of a finished segmentation trial, whose network finds the bone.
        data_root: that of the trial.

    Returns:
        seed, split, case, subject, label, cortical_index (NaN where the bone was not found or its
        shaft cannot be measured).
    """
    trial = trial_from_json(stored_config(folder)["trial"], [SegmentationTrial])
    data = load(trial, data_root)
    model = load_weights(folder / WEIGHTS, network(trial))
    labelled = np.flatnonzero(data.cases[LABEL].notna())
    masks = predict(trial, model, data.images[labelled]).masks[:, BONE]
    values = []
    for row, mask in zip(labelled, masks, strict=True):
        image = radiograph(data.cases.iloc[row])
        values.append(cortical_index(image, out_of_square(mask[None], image.shape)[0]))
    part = np.empty(len(data.cases), object)
    for name, rows in split(trial, data).items():
        part[rows] = name
    cases = data.cases.iloc[labelled]
    table = cases[["case", "subject"]].assign(label=cases[LABEL], cortical_index=values)
    table.insert(0, "split", part[labelled])
    table.insert(0, "seed", trial.seed)
    return table.reset_index(drop=True)


def readers_table(
    indices: pd.DataFrame,
    predictions: pd.DataFrame,
    training: pd.DataFrame,
    seed: int,
    ideal: float | None = None,
    method: str = BEST,
) -> pd.DataFrame:
    """AUC of the cortical index, of the learned score, and of both together.

    Both: logistic regression on the two, fitted on training subjects, whose learned scores come
    from classifiers that did not see them.

    Args:
        indices: of all seeds, from ``cortical_indices``.
        predictions: of all trials, from ``results.predictions_of``.
        training: the same of the file ``train_predictions.csv``.
        seed: of the resampling of test subjects.
        ideal: AUC of a reader who knows what was simulated, for phantoms.
        method: pre-training whose score is taken.

    Returns:
        score, auc (mean over seeds), low, high (95 %, subjects resampled), change (to the learned
        score), change_low, change_high (paired), subjects, unmeasured (of them, given the training
        subjects' mean index).
    """
    scores, missing = _scores(indices, _of(predictions, method), _of(training, method))
    drawn = {key[1]: values["auc"] for key, values in draws(scores, seed).items()}
    means = {name: mean_auc(scores[scores["method"] == name]) for name in SCORES}
    rows = []
    for name in SCORES:
        row = {"score": name, "auc": means[name]}
        row |= dict(zip(("low", "high"), interval(drawn[name]), strict=True))
        row["change"] = means[name] - means[SCORES[1]]
        paired = interval(drawn[name] - drawn[SCORES[1]])
        row |= dict(zip(("change_low", "change_high"), paired, strict=True))
        row["subjects"] = scores["subject"].nunique()
        rows.append(row | {"unmeasured": missing if name != SCORES[1] else 0})
    if ideal is not None:
        rows.append({"score": "ideal reader", "auc": ideal})
    return pd.DataFrame(rows)


def _of(predictions: pd.DataFrame, method: str) -> pd.DataFrame:
    return predictions.query("dataset == 'masked' and method == @method and split != 'val'")


def _scores(
    indices: pd.DataFrame, tested: pd.DataFrame, training: pd.DataFrame
) -> tuple[pd.DataFrame, int]:
    """Scores of the test subjects under each name of SCORES, and how many have no index."""
    known = indices.groupby(["seed", "subject"])["cortical_index"].mean().rename(SCORES[0])
    tables = [
        subject_scores(part)
        .rename(columns={"probability": SCORES[1]})
        .join(known, on=["seed", "subject"])
        for part in (training, tested)
    ]
    missing = int(tables[1][SCORES[0]].isna().sum())
    scored = []
    for seed, test in tables[1].groupby("seed"):
        train = tables[0][tables[0]["seed"] == seed]
        mean = train[SCORES[0]].mean()
        typical = {SCORES[0]: 0.0 if np.isnan(mean) else mean}  # NaN: no bone was found at all
        train, test = train.fillna(typical), test.fillna(typical)
        both = make_pipeline(StandardScaler(), LogisticRegression())
        both.fit(train[FITTED].to_numpy(), train["label"].to_numpy(int))
        values = {
            SCORES[0]: -test[SCORES[0]],  # a low index is ill
            SCORES[1]: test[SCORES[1]],
            SCORES[2]: both.predict_proba(test[FITTED].to_numpy())[:, 1],
        }
        scored += [test.assign(method=name, probability=value) for name, value in values.items()]
    return pd.concat(scored, ignore_index=True), missing
