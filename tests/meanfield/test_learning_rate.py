"""The learning rate of (23) from any statistics: known, bounded on one side, zero or not measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
from problems import RELU
from tolerances import LINEAR_ALGEBRA

import meanfield as mf


def statistics(lower: float, upper: float, prediction: float | None = None) -> mf.EigenvalueStatistics:
    return mf.EigenvalueStatistics(math.nan, math.nan, 1.0, mf.Bounds(lower, upper), prediction, "by hand")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (statistics(4.0, 8.0), mf.LearningRateBound(0.5, 0.25, None)),
        (statistics(4.0, 4.0, 4.0), mf.LearningRateBound(0.5, 0.5, 0.5)),
        (statistics(4.0, 4.0, 5.0), mf.LearningRateBound(0.5, 0.4, 0.4)),  # a prediction that knows more
        (statistics(4.0, math.inf), mf.LearningRateBound(0.5, 0.0, None)),
        (statistics(0.0, 8.0), mf.LearningRateBound(math.inf, 0.25, None)),
        (statistics(0.0, 0.0), mf.LearningRateBound(math.inf, math.inf, None)),
        (statistics(0.0, 0.0, 0.0), mf.LearningRateBound(math.inf, math.inf, math.inf)),
        (statistics(-1e-18, -1e-18, -1e-18), mf.LearningRateBound(math.inf, math.inf, math.inf)),  # zero, as measured
    ],
)
def test_rates_of_given_bounds(given: mf.EigenvalueStatistics, expected: mf.LearningRateBound) -> None:
    assert mf.learning_rate_bound(given) == expected


def test_what_was_not_measured_has_no_rate() -> None:
    rate = mf.learning_rate_bound(statistics(math.nan, math.nan, math.nan))
    assert rate.value is not None
    assert all(map(math.isnan, (rate.necessary, rate.safe, rate.value)))


def test_gradient_descent_on_a_quadratic_obeys_the_rate() -> None:
    # theta <- theta - eta F theta, with F of one output of a network: (S.7)
    order = mf.propagate(RELU)
    block = mf.dual_block(RELU, order, width=50, samples=6)
    rate = mf.learning_rate_bound(mf.eigenvalue_statistics(RELU, width=50, samples=6)).value
    assert rate is not None
    for factor, converges in ((0.99, True), (1.01, False)):
        step = np.eye(6) - factor * rate * block.dense()
        eigenvalues = np.linalg.eigvalsh(step)
        assert bool(np.abs(eigenvalues).max() < 1) is converges
        assert eigenvalues[0] == pytest.approx(1 - 2 * factor, rel=LINEAR_ALGEBRA)


def test_rates_print_what_they_mean() -> None:
    text = str(mf.learning_rate_bound(statistics(4.0, math.inf)))
    assert text.splitlines() == [
        "necessary  0.5  2/lower: no rate above it converges",
        "safe       0    nothing bounds lambda_max from above",
    ]
    text = str(mf.learning_rate_bound(statistics(4.0, 4.0, 4.0)))
    assert text.splitlines()[-1] == "value      0.5  2/prediction: the threshold at large width"
