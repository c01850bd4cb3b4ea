"""SimCLR, SupCon, SwAV and VICReg losses, and monitors that detect a collapsed encoder.

Views are V x B x D: V crops of the same B patches, the G global ones first. The losses equal those
of lightly and pytorch-metric-learning wherever these apply; they are written out as lightly's
contrastive loss and VICReg take two views only, and pytorch-metric-learning's SupCon is 0 for a
batch of one label. Everything is computed in float32, also under autocast.
"""

import torch
from torch import Tensor
from torch.nn import functional

UNLABELLED = -1


def nt_xent(views: Tensor, temperature: float = 0.1) -> Tensor:
    """SimCLR: a crop's positives are the other crops of its patch (Chen et al. 2020, eq. 1).

    Args:
        views: V x B x D with V >= 2, of any length; normalised here.
        temperature: > 0; 0.1 is assumed [A].

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if ``views`` are not V x B x D with V >= 2.

    >>> nt_xent(torch.eye(3).expand(2, 3, 3), temperature=1.0)  # ln(1 + 4 / e)
    tensor(0.9048)
    """
    labels = torch.full(views.shape[1:2], UNLABELLED, device=views.device)
    return supervised_contrastive(views, labels, temperature)


def supervised_contrastive(views: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """SupCon: crops of patches with the same label are positives too (Khosla et al. 2020, eq. 2).

    Mean over the V B crops i of -mean_p log [exp(z_i.z_p / t) / sum_{a != i} exp(z_i.z_a / t)], p
    over the positives of i: the other crops of its patch and all crops of its label. The base
    temperature equals the temperature, as is the authors' default.

    Args:
        views: V x B x D with V >= 2, of any length; normalised here.
        labels: B integers; -1 has no label, and only the crops of its own patch as positives.
        temperature: t > 0; 0.1 is assumed [A].

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if ``views`` are not V x B x D with V >= 2 or there is not one label
            per patch.

    >>> supervised_contrastive(torch.ones(2, 3, 4), torch.tensor([0, 0, 1]))  # ln 5
    tensor(1.6094)
    """
    _check_views(views)
    patches = views.shape[1]
    if labels.shape != (patches,):
        raise ValueError(
            f"labels: found the shape {tuple(labels.shape)}; expected ({patches},). "
            "Fix: one label per patch, -1 where there is none."
        )
    own = torch.eye(patches, dtype=torch.bool, device=views.device)
    alike = own | ((labels[:, None] == labels) & (labels != UNLABELLED))
    z = functional.normalize(views.float().flatten(0, 1), dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    positive = alike.repeat(len(views), len(views)) & ~itself
    with torch.autocast(z.device.type, enabled=False):
        similarity = z @ z.T / temperature
    log_share = similarity.masked_fill(itself, -torch.inf).log_softmax(1)
    return -(log_share.masked_fill(~positive, 0).sum(1) / positive.sum(1)).mean()


def swav(
    scores: Tensor,
    n_global: int = 2,
    queue: Tensor | None = None,
    temperature: float = 0.1,
    epsilon: float = 0.05,
    iterations: int = 3,
) -> Tensor:
    """SwAV: from each crop, predict the prototypes of every other one (Caron et al. 2020, eq. 2).

    The codes of a global crop are the targets of all other crops; the mean of the cross-entropies
    is taken over these pairs. Codes pass no gradient.

    Args:
        scores: V x B x P, cosines between crops and P prototypes, the global crops first.
        n_global: G, 1 to V.
        queue: G x Q x P, scores of earlier global crops, used only to find the codes: with fewer
            crops than prototypes, some prototypes would stay empty.
        temperature: of the predictions, > 0.
        epsilon: of the codes, > 0; the smaller, the closer a code is to one prototype.
        iterations: of ``sinkhorn``.

    Returns:
        Scalar >= 0; ln P where all prototypes are equally near.

    Raises:
        ValueError: if the shapes do not fit.

    >>> swav(torch.zeros(2, 3, 4))  # ln 4
    tensor(1.3863)
    """
    _check_views(scores, n_global)
    scores, total = scores.float(), scores.new_zeros((), dtype=torch.float32)
    log_predicted = (scores / temperature).log_softmax(-1)
    for g in range(n_global):
        known = scores[g] if queue is None else torch.cat([scores[g], queue[g].float()])
        codes = sinkhorn(known, epsilon, iterations)[: len(scores[g])]
        entropies = -(codes * log_predicted).sum(-1).mean(-1)
        total = total + entropies.sum() - entropies[g]
    return total / (n_global * (len(scores) - 1))


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """Codes that use all prototypes nearly alike (Cuturi 2013; SwAV, eq. 3 to 5).

    Alternately every prototype gets the same total and every crop the total 1, in logarithms, so
    that a small ``epsilon`` cannot overflow.

    Args:
        scores: N x P cosines.
        epsilon: > 0.
        iterations: >= 1.

    Returns:
        float32 N x P, >= 0, whose rows sum to 1.

    >>> sinkhorn(torch.tensor([[1.0, 0.9], [1.0, 0.0]])).round()  # both prototypes are used
    tensor([[0., 1.],
            [1., 0.]])
    """
    log_codes = scores.float() / epsilon
    for _ in range(iterations):
        log_codes = log_codes.log_softmax(0).log_softmax(1)
    return log_codes.exp()


def vicreg(
    views: Tensor,
    n_global: int = 2,
    invariance_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 1.0,
) -> Tensor:
    """VICReg (Bardes et al. 2022, eq. 6), mean over the pairs with at least one global crop [A].

    Per pair (a, b): 25 mse(a, b) + 25 (v(a) + v(b)) / 2 + c(a) + c(b), with v and c those of
    ``variance_term`` and ``covariance_term``; the half is that of the authors' code.

    Args:
        views: V x B x D with V >= 2 and B >= 2, not normalised, the global crops first.
        n_global: G, 1 to V; 2 with V = 2 is the loss of two views.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if the shapes do not fit.

    >>> vicreg(torch.ones(2, 3, 4))  # 25 x (1 - sqrt(epsilon)): all alike, no variance
    tensor(24.7500)
    """
    _check_views(views, n_global)
    if views.shape[1] < 2:
        raise ValueError("views: found one patch; expected two or more. Fix: a larger batch.")
    views = views.float()
    pairs = [(g, v) for g in range(n_global) for v in range(g + 1, len(views))]
    a, b = torch.tensor(pairs, device=views.device).T
    invariance = sum(functional.mse_loss(views[i], views[j]) for i, j in pairs) / len(pairs)
    # each crop's own terms once, times how often it occurs per pair
    share = torch.bincount(torch.cat([a, b]), minlength=len(views)) / len(pairs)
    variance = (share * torch.stack([variance_term(view) for view in views])).sum() / 2
    covariance = (share * torch.stack([covariance_term(view) for view in views])).sum()
    return (
        invariance_weight * invariance + variance_weight * variance + covariance_weight * covariance
    )


def variance_term(features: Tensor, epsilon: float = 1e-4) -> Tensor:
    """v = mean over dimensions of max(0, 1 - sqrt(variance + epsilon)) (VICReg, eq. 1 and 2).

    Args:
        features: B x D, B >= 2.

    Returns:
        Scalar in [0, 1]; 1 - sqrt(epsilon) for features that are all the same.

    >>> variance_term(torch.ones(3, 4))
    tensor(0.9900)
    """
    return functional.relu(1 - (features.float().var(0) + epsilon).sqrt()).mean()


def covariance_term(features: Tensor) -> Tensor:
    """c = sum of the squared covariances of different dimensions, over D (VICReg, eq. 3 and 4).

    Args:
        features: B x D, B >= 2.

    Returns:
        Scalar >= 0, in the features' unit to the fourth power.

    >>> covariance_term(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    tensor(0.2500)
    """
    centred = features.float() - features.float().mean(0)
    with torch.autocast(centred.device.type, enabled=False):
        covariance = centred.T @ centred / (len(centred) - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / len(covariance)


@torch.no_grad()
def collapse_monitors(features: Tensor, scores: Tensor | None = None) -> dict[str, float]:
    """How far the features of a pre-training are from being all the same; one row of a history.

    Args:
        features: B x D of one crop each of B >= 2 different patches.
        scores: B x P cosines with prototypes, SwAV only.

    Returns:
        feature_sd: as ``feature_sd``. covariance: as ``covariance_term``, which falls to 0 with the
        features. prototype_use: as ``prototype_use``, with ``scores`` only.

    >>> collapse_monitors(torch.ones(3, 4))
    {'feature_sd': 0.0, 'covariance': 0.0}
    """
    row = {"feature_sd": feature_sd(features), "covariance": covariance_term(features).item()}
    return row if scores is None else row | {"prototype_use": prototype_use(scores)}


def feature_sd(features: Tensor) -> float:
    """sqrt(D) times the mean SD of each dimension of normalised features (Chen and He 2021).

    About 1 where directions are spread evenly, 0 where all B x D features point the same way.

    >>> round(feature_sd(torch.eye(4)), 3)
    1.0
    """
    directions = functional.normalize(features.detach().float(), dim=1)
    return (directions.std(0).mean() * directions.shape[1] ** 0.5).item()


def prototype_use(scores: Tensor) -> float:
    """Effective share of P prototypes that are nearest to some of B crops: exp(entropy) / P.

    From 1 / P, where all crops have the same nearest prototype, to 1, where they share them evenly;
    never above B / P.

    >>> prototype_use(torch.tensor([[0.9, 0.1, 0.0, 0.0], [0.1, 0.9, 0.0, 0.0]]))
    0.5
    """
    counts = torch.bincount(scores.detach().argmax(1), minlength=scores.shape[1])
    share = counts / counts.sum()
    return (torch.special.entr(share).sum().exp() / len(share)).item()


def _check_views(views: Tensor, n_global: int = 1) -> None:
    if views.dim() != 3 or len(views) < 2 or not 1 <= n_global <= len(views):
        raise ValueError(
            f"views: found the shape {tuple(views.shape)} with {n_global} global; expected "
            "V x B x D with V >= 2, 1 to V of them global. Fix: stack the crops of one batch."
        )
