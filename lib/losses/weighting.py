"""Schemes that weight the terms of a summed loss."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LinearWeighting:
    """Linear weights of two loss terms over the epochs (wrist, eq. 3, taken literally).

    alpha(t) = alpha_start + (alpha_end - alpha_start) t / T
    beta(t)  = beta_start  + (beta_end  - beta_start) (T - t) / T

    As printed, beta runs backwards: beta(0) is ``beta_end`` and beta(T) is ``beta_start``.
    The defaults hand over from the beta term to the alpha term while their sum stays one.
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
        """
        return (self.alpha_start + self.alpha_end + self.beta_start + self.beta_end) / 2
