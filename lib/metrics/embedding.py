"""Codes of a network seen in two dimensions, and how well they separate what they belong to.

Codes are N x D arrays, one row a case. What a map shows is a picture; the two numbers are taken
from the codes themselves.
"""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from lib.base.errors import SettingError

COMPONENTS = 50  # of the principal component analysis before t-SNE
PERPLEXITY = 30  # at most a third of the other cases
LEARNING_RATE = 200  # of the pediatric paper


def tsne_table(codes, seed: int) -> pd.DataFrame:
    """Places of codes N x D in a t-SNE map (van der Maaten and Hinton 2008): columns x, y.

    Reduced to 50 principal components first. Distances between far groups and the sizes of groups
    say nothing.

    Raises SettingError for fewer than 5 codes, or values that are not finite.
    """
    codes = _checked(codes)
    kept = min(COMPONENTS, *codes.shape)
    reduced = PCA(kept, svd_solver="full").fit_transform(codes)
    perplexity = min(PERPLEXITY, (len(codes) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, learning_rate=LEARNING_RATE, init="pca", random_state=seed)
    found = tsne.fit_transform(reduced)
    return pd.DataFrame(found.astype(np.float64), columns=["x", "y"])


def neighbour_purity(codes, labels, k: int = 10) -> float:
    """Mean share of the k nearest other codes (Euclidean) that have a code's own label, in [0, 1].

    Labels drawn by chance give the sum of their squared shares.

    Raises SettingError for labels that do not fit, or unless 1 <= k < N.
    """
    codes, labels = _checked(codes, labels)
    if not 1 <= k < len(codes):
        raise SettingError(f"k: found {k}; expected 1 to {len(codes) - 1}. Fix: a smaller k.")
    neighbours = NearestNeighbors(n_neighbors=k).fit(codes).kneighbors(return_distance=False)
    return float((labels[neighbours] == labels[:, None]).mean())


def silhouette(codes, labels) -> float:
    """Mean silhouette width (Rousseeuw 1987), -1 to 1; NaN where all codes share one label.

    Raises SettingError for labels that do not fit.
    """
    codes, labels = _checked(codes, labels)
    if not 1 < len(np.unique(labels)) < len(codes):
        return float("nan")
    return float(silhouette_score(codes, labels))


def _checked(codes, labels=None):
    codes = np.asarray(codes, np.float64)
    if codes.ndim != 2 or len(codes) < 5 or not np.isfinite(codes).all():
        raise SettingError(
            f"codes: found the shape {codes.shape}, finite: {bool(np.isfinite(codes).all())}; "
            "expected N x D finite numbers with N >= 5. Fix: one row a case."
        )
    if labels is None:
        return codes
    labels = np.asarray(labels)
    if labels.shape != codes.shape[:1]:
        raise SettingError(
            f"labels: found the shape {labels.shape} for {len(codes)} codes. Fix: one a code."
        )
    return codes, labels
