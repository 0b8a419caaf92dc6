"""The largest usable learning rate of gradient descent, (23)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .eigenvalues import EigenvalueStatistics
from .records import table

MEANING = (
    ("necessary", "2/lower: no rate above it converges"),
    ("safe", "2/upper: rates below it converge, but for what the theorem leaves out"),
    ("value", "2/prediction: the threshold at large width"),
)
"""What the three rates say, in the words of every table."""


@dataclass(frozen=True)
class LearningRateBound:
    """Learning rates between which the threshold 2/lambda_max lies."""

    necessary: float
    """2/lower: no rate above it converges."""
    safe: float
    """2/upper: rates below it converge, up to what the theorem leaves out; 0 where nothing bounds lambda_max. Not above
    ``value``, which may know more of finite width."""
    value: float | None
    """2/prediction: the threshold itself, where lambda_max is known."""

    def __str__(self) -> str:
        rows = []
        for (name, meaning), rate in zip(MEANING, (self.necessary, self.safe, self.value), strict=True):
            if rate == 0:
                rows.append((name, "0", "nothing bounds lambda_max from above"))
            elif rate is not None:
                rows.append((name, f"{rate:.4g}", meaning))
        return table(rows)


def learning_rate_bound(statistics: EigenvalueStatistics) -> LearningRateBound:
    """Return the learning rates eta = 2/lambda_max below which gradient descent converges near a minimum.

    Parameters
    ----------
    statistics : EigenvalueStatistics
        From the theory, or measured. Where the theorem omits constants, so do ``necessary`` and ``safe``: the first
        stays necessary, the second is then an asymptotic value and no guarantee.

    Returns
    -------
    LearningRateBound
        As accurate as the statistics; infinite where lambda_max or its bound is 0, as for a Fisher information that
        vanishes, and nan where lambda_max is. ``safe`` is 0 where no theorem bounds lambda_max from above.

    Equations: (23)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> statistics = mf.eigenvalue_statistics(network, width=1000, samples=1000, leading_order=True)
    >>> round(mf.learning_rate_bound(statistics).value, 8)
    0.00290688
    """
    prediction = statistics.prediction
    return LearningRateBound(
        necessary=_two_over(statistics.largest.lower),
        safe=_two_over(statistics.largest.upper if prediction is None else max(statistics.largest.upper, prediction)),
        value=None if prediction is None else _two_over(prediction),
    )


def _two_over(largest: float) -> float:
    if largest <= 0:
        return math.inf
    return 2 / largest  # nan stays nan
