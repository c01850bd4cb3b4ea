"""Learning rates that change with the iteration, as factors of the first one."""

from math import cos, pi

from lib.base.errors import SettingError


def three_stage_factor(
    iteration: int,
    warm_up: int = 1500,
    polynomial: int = 40_000,
    total: int = 50_000,
    *,
    first: float = 0.01,
    joint: float = 0.1,
    power: float = 0.9,
) -> float:
    """Linear warm-up, polynomial decay, cosine to 0; the knee paper names the three stages only.

    All numbers are assumed [A]: at a learning rate of 1e-4, from 1e-6 up in 1500 iterations, down
    to 1e-5 at iteration 40 000, 0 at 50 000. For ``LambdaLR``: ``partial(three_stage_factor,
    warm_up=..., polynomial=..., total=...)``.

    Args:
        iteration: 0 for the first; 0 is also the factor from ``total`` on.
        warm_up: iteration at which the factor is 1.
        polynomial: iteration at which the polynomial ends and the cosine begins.
        total: iteration at which the factor is 0.
        first: factor of iteration 0.
        joint: factor at ``polynomial``.
        power: of the polynomial; 1 would be a line.

    Raises:
        SettingError: unless 0 <= warm_up < polynomial < total.
    """
    if not 0 <= warm_up < polynomial < total:
        raise SettingError(
            f"schedule: found stages that end at {warm_up}, {polynomial} and {total}; "
            "expected growing numbers. Fix: shorten the first stages with the last."
        )
    if iteration < warm_up:
        return first + (1 - first) * iteration / warm_up
    if iteration < polynomial:
        remaining = (polynomial - iteration) / (polynomial - warm_up)
        return joint + (1 - joint) * remaining**power
    done = min(1.0, (iteration - polynomial) / (total - polynomial))
    return joint * (1 + cos(pi * done)) / 2
