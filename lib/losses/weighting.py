"""Schemes that weight the terms of a summed loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LinearWeighting:
    """Linear weights of two loss terms over the epochs (wrist, eq. 3, taken literally).

    alpha(t) = alpha_start + (alpha_end - alpha_start) t / T
    beta(t)  = beta_start  + (beta_end  - beta_start) (T - t) / T

    As printed, beta runs backwards: beta(0) is ``beta_end`` and beta(T) is ``beta_start``.
    The defaults hand over from the beta term to the alpha term while their sum stays one.

    >>> LinearWeighting()(t=2, T=8)
    (0.25, 0.75)
    """

    alpha_start: float = 0.0
    alpha_end: float = 1.0
    beta_start: float = 0.0
    beta_end: float = 1.0

    def __call__(self, t: int, T: int) -> tuple[float, float]:
        """(alpha, beta) at epoch ``t`` of 0..T; T = 0 (a single epoch) counts as the start.

        Raises:
            ValueError: if ``t`` lies outside 0..T.
        """
        if not 0 <= t <= T:
            raise ValueError(f"epoch t={t} lies outside 0..{T}")
        progress = t / T if T else 0.0
        alpha = self.alpha_start + (self.alpha_end - self.alpha_start) * progress
        beta = self.beta_start + (self.beta_end - self.beta_start) * (1 - progress)
        return alpha, beta

    def mean_total(self) -> float:
        """Mean of alpha + beta over a training: both are linear, so the mean of their ends.

        Schedules of unequal mean weight also differ in the scale of the loss; dividing by this
        makes them comparable.

        >>> LinearWeighting().mean_total()
        1.0
        """
        return (self.alpha_start + self.alpha_end + self.beta_start + self.beta_end) / 2


class UncertaintyWeighting(nn.Module):
    """Sum over terms of 0.5 exp(-s_i) L_i + 0.5 s_i with learnt s_i = ln sigma_i^2.

    Humerus study, after Kendall, Gal and Cipolla 2018. The minimum over s_i is at s_i = ln L_i, so
    a term ends with the weight 1 / (2 L_i) and the total may be negative. For L_i < 0 there is no
    minimum: the weight grows without end, and ever faster. As a loss falls to 0, its s_i falls with
    the logarithm of it. All s_i start at 0.

    Every call first puts s back into [-limit, limit], in place. Without a limit s could drift ever
    further out, and a clamp inside the formula would stop the gradient of an s beyond the limit,
    which then never came back. This way s is at most one optimiser step outside, keeps its whole
    gradient and leaves the limit as soon as the gradient turns.

    Args:
        n_terms: number of loss terms.
        limit: largest |s|, > 0; [A] 6 keeps the weights between 0.0012 and 202.

    >>> weighting = UncertaintyWeighting(n_terms=2)
    >>> weighting([torch.tensor(1.0), torch.tensor(3.0)]), weighting.weights()
    (tensor(2., grad_fn=<SumBackward0>), tensor([0.5000, 0.5000]))
    """

    def __init__(self, n_terms: int, limit: float = 6.0):
        super().__init__()
        self.limit = limit
        self.log_variance = nn.Parameter(torch.zeros(n_terms))

    def forward(self, terms: Sequence[Tensor]) -> Tensor:
        """Weighted sum, a scalar, of ``n_terms`` scalar losses.

        Raises:
            ValueError: if there are more or fewer terms than weights.
        """
        s = self.log_variance
        if len(terms) != len(s):
            raise ValueError(f"found {len(terms)} loss terms; expected {len(s)}, one per weight")
        with torch.no_grad():
            s.clamp_(-self.limit, self.limit)
        return (0.5 * torch.exp(-s) * torch.stack(tuple(terms)) + 0.5 * s).sum()

    def weights(self) -> Tensor:
        """What each loss is multiplied by, 0.5 exp(-s_i): a constant tensor of n_terms."""
        return 0.5 * torch.exp(-self.log_variance.detach().clamp(-self.limit, self.limit))
