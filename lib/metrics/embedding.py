"""Codes of a network in two dimensions, and how well they separate the labels of their cases.

Codes are N x D arrays, one row per case. A map is only a picture; the two numbers are measured on
the codes themselves.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from lib.base.errors import SettingError

COMPONENTS = 50  # of the principal component analysis before t-SNE
PERPLEXITY = 30  # at most a third of the other cases
LEARNING_RATE = 200  # of the pediatric paper


def tsne_table(codes: ArrayLike, seed: int) -> pd.DataFrame:
    """Places of codes N x D in a t-SNE map (van der Maaten and Hinton 2008): columns x, y.

    Reduced to 50 principal components first. Distances between far groups and the sizes of groups
    mean nothing.

    Raises SettingError for fewer than 5 codes, or values that are not finite.

    >>> tsne_table(np.eye(6), seed=0).shape
    (6, 2)
    """
    codes = _checked_codes(codes)
    kept = min(COMPONENTS, *codes.shape)
    reduced = PCA(kept, svd_solver="full").fit_transform(codes)
    perplexity = min(PERPLEXITY, (len(codes) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, learning_rate=LEARNING_RATE, init="pca", random_state=seed)
    places = tsne.fit_transform(reduced)
    return pd.DataFrame(places.astype(np.float64), columns=["x", "y"])


def neighbour_purity(codes: ArrayLike, labels: ArrayLike, k: int = 10) -> float:
    """Mean share of the k nearest other codes (Euclidean) that have a code's own label, in [0, 1].

    Labels drawn by chance give the sum of their squared shares.

    Raises SettingError for labels that do not fit, or unless 1 <= k < N.

    >>> neighbour_purity([[0], [1], [2], [8], [9]], ["a", "a", "b", "b", "b"], k=1)
    0.8
    """
    codes, labels = _checked(codes, labels)
    if not 1 <= k < len(codes):
        raise SettingError(f"k: found {k}; expected 1 to {len(codes) - 1}. Fix: a smaller k.")
    neighbours = NearestNeighbors(n_neighbors=k).fit(codes).kneighbors(return_distance=False)
    return float((labels[neighbours] == labels[:, None]).mean())


def silhouette(codes: ArrayLike, labels: ArrayLike) -> float:
    """Mean silhouette width (Rousseeuw 1987), -1 to 1; NaN where all codes share one label.

    Raises SettingError for labels that do not fit.

    >>> round(silhouette([[0], [1], [8], [9], [10]], ["a", "a", "b", "b", "b"]), 2)
    0.86
    """
    codes, labels = _checked(codes, labels)
    if not 1 < len(np.unique(labels)) < len(codes):
        return float("nan")
    return float(silhouette_score(codes, labels))


def _checked_codes(codes: ArrayLike) -> np.ndarray:
    codes = np.asarray(codes, np.float64)
    if codes.ndim != 2 or len(codes) < 5 or not np.isfinite(codes).all():
        raise SettingError(
            f"codes: found the shape {codes.shape}, finite: {bool(np.isfinite(codes).all())}; "
            "expected N x D finite numbers with N >= 5. Fix: one row per case."
        )
    return codes


def _checked(codes: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    codes, labels = _checked_codes(codes), np.asarray(labels)
    if labels.shape != codes.shape[:1]:
        raise SettingError(
            f"labels: found the shape {labels.shape} for {len(codes)} codes. Fix: one per code."
        )
    return codes, labels
