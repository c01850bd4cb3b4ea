"""Scores of the segmentation: overlap, distance of distributions, calibration (section 3.1)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.engine.trials import tidy_rows
from lib.metrics import dice, iou
from lib.metrics.uncertainty import (
    expected_calibration_error,
    generalised_energy_distance,
    matched_iou,
    reliability_table,
)
from lib.models.mixture_segmenter import (
    CLASSES,
    Mixture,
    bone_masks,
    mixture_mean,
    pixel_entropy,
)
from lib.studies.hand.data import BONES, Data
from lib.studies.hand.trials import SegmentationTrial


class Predicted(NamedTuple):
    """What a segmenter says of n cases.

    Attributes:
        masks: bool n x 7 x S x S, largest components.
        entropy: float32 n x S x S, nats.
        confidence: float16 n x S x S, probability of the most probable class.
        classes: uint8 n x S x S, the most probable class; 0 is background.
        samples: uint8 n x N x S x S, the classes of each sample.
        weights: float32 n x N, of the samples.
        router: float32 n x K, probabilities of the modules.
    """

    masks: np.ndarray
    entropy: np.ndarray
    confidence: np.ndarray
    classes: np.ndarray
    samples: np.ndarray
    weights: np.ndarray
    router: np.ndarray


def summarised(mixture: Mixture) -> Predicted:
    """Arrays on the CPU of what is kept of a mixture."""
    mean = mixture_mean(mixture)
    confidence, classes = mean.max(1)
    return Predicted(
        bone_masks(mean),
        pixel_entropy(mean).cpu().numpy(),
        confidence.half().clamp(max=1).cpu().numpy(),
        classes.byte().cpu().numpy(),
        mixture.logits.argmax(2).byte().cpu().numpy(),
        mixture.weights.cpu().numpy(),
        mixture.router.float().softmax(1).cpu().numpy(),
    )


def with_background(bones: Tensor) -> Tensor:
    """B x M x 7 x H x W -> B x M x 8 x H x W: in front, where there is no bone."""
    return torch.cat([1 - bones.amax(2, keepdim=True), bones], 2)


def agreement(
    data: Data,
    row: int,
    predicted: Predicted,
    n: int,
    score: Callable[..., float] = generalised_energy_distance,
) -> float:
    """GED, or another score, of the samples of prediction ``n`` and the annotations of a row."""
    classes = np.arange(1, CLASSES)[:, None, None]
    samples = predicted.samples[n][:, None] == classes
    return score(samples, data.annotations[row], predicted.weights[n], data.beta)


def case_metrics(
    trial: SegmentationTrial, data: Data, rows: np.ndarray, predicted: Predicted
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tidy scores of the cases, and the reliability table of all their pixels.

    Of each bone Dice, IoU (fraction; only where it is seen) and whether it was found; of the image
    GED, matched IoU and calibration error.
    """
    tidy, tables = [], []
    for n, row in enumerate(rows):
        case = data.cases.iloc[row]
        tables.append(reliability_table(*_calibration(data, row, predicted, n)))
        image = [
            ("ged", "", agreement(data, row, predicted, n)),
            ("matched_iou", "fraction", agreement(data, row, predicted, n, matched_iou)),
            ("ece", "fraction", expected_calibration_error(tables[-1])),
        ]
        scores = _bone_scores(predicted.masks[n], data.masks[row]) | {"image": image}
        for structure, values in scores.items():
            tidy += tidy_rows(trial, case["subject"], case["case"], structure, values)
    return pd.DataFrame(tidy), pooled(tables)


def _bone_scores(masks: np.ndarray, truth: np.ndarray) -> dict[str, list[tuple]]:
    """Of each bone that is seen: metric, unit, value."""
    return {
        bone: [
            ("dice", "fraction", dice(mask, seen)),
            ("iou", "fraction", iou(mask, seen)),
            ("detected", "fraction", mask.any()),
        ]
        for bone, mask, seen in zip(BONES, masks, truth, strict=True)
        if seen.any()
    }


def _calibration(data: Data, row: int, predicted: Predicted, n: int) -> tuple:
    """Probability of each pixel's class, and the weight of the annotations that have it there."""
    drawn = torch.from_numpy(data.annotations[row][None].astype(np.float32))
    votes = np.tensordot(data.beta, with_background(drawn)[0].numpy(), 1)
    classes = predicted.classes[n].astype(np.int64)[None]
    observed = np.take_along_axis(votes, classes, 0)[0]
    return predicted.confidence[n], observed.clip(0, 1)


def pooled(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """One reliability table of all pixels from those of the images."""
    count = sum(table["count"] for table in tables)
    filled = count.where(count > 0)
    means = {
        name: sum((table[name] * table["count"]).fillna(0) for table in tables) / filled
        for name in ("probability", "observed")
    }
    return tables[0][["low", "high"]].assign(count=count, **means)
