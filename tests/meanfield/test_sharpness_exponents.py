"""Theorem B.1 for T = M^p: the exponents, and matrices that attain both ends."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from problems import TANH
from scipy import linalg
from tolerances import LINEAR_ALGEBRA

import meanfield as mf

Matrix = Callable[[int, int, float], NDArray[np.float64]]


@pytest.mark.parametrize(
    ("rate", "p", "lower", "upper"),
    [
        (0.5, 1.0, 0.0, 0.5),  # Theorem 3.3 (ii)
        (2.0, 1.0, 0.0, 0.5),  # q* = 1/2
        (0.2, 1.0, 0.6, 0.8),  # Theorem B.1: 1 - 2 q*, 1 - q*
        (0.5, 0.0, 1.0, 1.0),  # Theorem 3.3 (i)
        (0.5, 0.5, 0.5, 0.5),
        (0.5, 0.7, 0.3, 0.5),
        (0.2, 0.3, 0.7, 0.8),
    ],
)
def test_values(rate: float, p: float, lower: float, upper: float) -> None:
    exponents = mf.sharpness_exponents(rate, samples_exponent=p)
    assert exponents.lower == pytest.approx(lower, abs=1e-15)
    assert exponents.upper == pytest.approx(upper, abs=1e-15)


def test_the_default_is_proportional() -> None:
    assert mf.sharpness_exponents(0.3) == mf.sharpness_exponents(0.3, samples_exponent=1.0)


@pytest.mark.parametrize("q", [0.05, 0.25, 0.5, 3.0])
@pytest.mark.parametrize("p", np.linspace(0, 1, 11))
def test_never_worse_than_the_lemma(q: float, p: float) -> None:
    # s/m and sqrt(P s) for P m ~ M and P s ~ M^(2-p) + M^(2-2q*)
    exponents, q_star = mf.sharpness_exponents(q, samples_exponent=p), min(q, 0.5)
    squares = max(2 - p, 2 - 2 * q_star)
    assert exponents.lower == pytest.approx(squares - 1, abs=1e-12)
    assert exponents.lower <= exponents.upper <= squares / 2 + 1e-12
    assert (exponents.lower == exponents.upper) == (p <= q_star)


def flat(width: int, samples: int, q: float) -> NDArray[np.float64]:
    """M^(1-2q) on a random subspace of M^(2q) dimensions: the least lambda_max of this trace and squared norm."""
    rank = min(samples, round(width ** (2 * q)))
    frame = linalg.qr(np.random.default_rng(0).normal(size=(samples, rank)), mode="economic")[0]
    total: NDArray[np.float64] = width / rank * frame @ frame.T
    return total


def spike(width: int, samples: int, q: float) -> NDArray[np.float64]:
    """(M/T) I, and M^(1-q) on one direction: entries of order M^(1-q)/T that add up."""
    signs = np.where(np.arange(samples) % 2, -1.0, 1.0)
    raised: NDArray[np.float64] = width ** (1 - q) / samples * np.outer(signs, signs)
    raised[np.diag_indices(samples)] += width / samples
    return raised


def log_top_of_flat(log_width: float, p: float, q: float) -> float:
    """log_2 lambda_max, at widths that no matrix has."""
    return log_width * (1 - min(p, 2 * q))


def log_top_of_spike(log_width: float, p: float, q: float) -> float:
    return float(np.logaddexp2(log_width * (1 - p), log_width * (1 - q)))


@pytest.mark.parametrize("q", [0.25, 0.375, 0.5])
@pytest.mark.parametrize("p", [0.5, 0.75, 1.0])
@pytest.mark.parametrize(("matrix", "log_top"), [(flat, log_top_of_flat), (spike, log_top_of_spike)])
def test_both_ends_are_attained(matrix: Matrix, log_top: Callable[..., float], p: float, q: float) -> None:
    # F* = (M/T) I + F1: F1 has entries of M^(1-q)/T, in the mean square that the proof needs
    for log_width in (4, 8):
        width = 2**log_width
        samples = round(width**p)
        f = matrix(width, samples, q)
        perturbation = f - width / samples * np.eye(samples)
        assert math.sqrt(np.mean(perturbation**2)) <= width ** (1 - q) / samples * (1 + LINEAR_ALGEBRA)
        eigenvalues = np.linalg.eigvalsh(f)
        top = float(eigenvalues[-1])
        assert eigenvalues[0] > -LINEAR_ALGEBRA * top  # a Fisher information is nowhere negative
        assert math.log2(top) == pytest.approx(log_top(log_width, p, q), abs=LINEAR_ALGEBRA)
        # its trace is of order M
        assert width * (1 - LINEAR_ALGEBRA) <= np.trace(f) <= 2 * width
        # and the chain itself: s/m <= lambda_max <= M/T + norm of the perturbation
        assert np.sum(f**2) / np.trace(f) <= top * (1 + LINEAR_ALGEBRA)
        assert top <= (width / samples + linalg.norm(perturbation)) * (1 + LINEAR_ALGEBRA)
    exponents = mf.sharpness_exponents(q, samples_exponent=p)
    exponent = log_top(1e4, p, q) / 1e4
    # a sum of two equal powers is twice one of them: 1e-4 in this exponent
    assert exponent == pytest.approx(exponents.lower if matrix is flat else exponents.upper, abs=1.1e-4)


def test_an_exponent_beyond_them_is_impossible() -> None:
    # at p = 1, q = 1/2: a top of M^0.6 needs entries larger than M^(1/2)/T in the mean square
    width = samples = 2**8
    beyond = spike(width, samples, 1 - 0.6)
    perturbation = beyond - np.eye(samples)
    assert math.sqrt(np.mean(perturbation**2)) > 1.7 * math.sqrt(width) / samples
    assert float(np.linalg.eigvalsh(beyond)[-1]) > 1 + math.sqrt(width)


def test_theorem_3_3_has_these_exponents() -> None:
    network = TANH.normalized(output="mean")
    for p in (0.25, 1.0):
        bounds = []
        for width in (10**4, 10**8):
            samples = round(width**p)
            bounds.append(mf.eigenvalue_statistics(network, width=width, samples=samples, leading_order=True).largest)
        lower, upper = (math.log10(getattr(bounds[1], end) / getattr(bounds[0], end)) / 4 for end in ("lower", "upper"))
        exponents = mf.sharpness_exponents(0.5, samples_exponent=p)
        assert lower == pytest.approx(exponents.lower, abs=1e-4)  # of the factor 1 - 1/T
        assert upper == pytest.approx(exponents.upper, abs=1e-4)


@pytest.mark.parametrize(("rate", "p"), [(0.0, 1.0), (-1.0, 1.0), (math.nan, 1.0), (0.5, -0.1), (0.5, 1.1)])
def test_bad_exponents(rate: float, p: float) -> None:
    with pytest.raises(mf.ParameterError, match="must be a"):
        mf.sharpness_exponents(rate, samples_exponent=p)
