"""Order parameters behind batch normalisation: closed forms, limits, and samples of the thing itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from problems import CATALOGUE, CUBIC, KINKED_EXPONENTIAL, RAMP, STAIRS
from tolerances import QUADRATURE, ROUNDING, SIGMAS

import meanfield as mf

SAMPLES = [2, 3, 4, 5, 6, 10, 16, 17, 100, 1000, 10**6, 10**9]


def arccosine_kernel(c: float) -> float:
    """J(c) of (S.70)."""
    return (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi


@pytest.mark.parametrize("samples", SAMPLES)
def test_relu_in_closed_form(samples: int) -> None:
    qhat = mf.batch_norm_parameters(mf.relu, samples=samples)
    assert qhat.same == pytest.approx(0.5, abs=QUADRATURE)
    assert qhat.cross == pytest.approx(arccosine_kernel(-1 / (samples - 1)) / 2, abs=QUADRATURE)


@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize("phi", [mf.absolute, mf.identity, mf.leaky_relu(0.2), mf.leaky_relu(-3.0)], ids=repr)
def test_homogeneous_functions_have_gaussian_integrals(phi: mf.Activation, samples: int) -> None:
    for f in (phi.value, phi.slope):
        if samples == 2 and f is phi.slope:
            continue  # the slope has a value of its own at 0
        qhat = mf.batch_norm_parameters(f, samples=samples)
        square = mf.second_moment(f, 1.0)
        assert qhat.same == pytest.approx(square, rel=QUADRATURE)
        assert qhat.cross == pytest.approx(mf.overlap(f, 1.0, -1 / (samples - 1)), abs=QUADRATURE * square)


def test_two_samples() -> None:
    for f in (mf.tanh, mf.sigmoid, RAMP, STAIRS, mf.relu.slope):
        plus, minus = (float(f(u)) for u in (1.0, -1.0))
        expected = ((plus**2 + minus**2) / 2, plus * minus)
        assert mf.batch_norm_parameters(f, samples=2) == pytest.approx(expected, rel=ROUNDING)
    assert mf.batch_norm_parameters(mf.relu, samples=2).cross == 0


def test_three_samples_by_the_trapezoidal_rule() -> None:
    # periodic and analytic: 200 points are exact
    angles = 2 * math.pi * np.arange(200) / 200
    for phi in (mf.tanh, mf.sigmoid, mf.erf):
        one, other = phi(math.sqrt(2) * np.cos(angles)), phi(math.sqrt(2) * np.cos(angles + 2 * math.pi / 3))
        qhat = mf.batch_norm_parameters(phi, samples=3)
        assert qhat == pytest.approx(((one**2).mean(), (one * other).mean()), abs=ROUNDING)


@pytest.mark.parametrize("phi", CATALOGUE, ids=repr)
def test_infinitely_many_samples(phi: mf.Activation) -> None:
    limit = mf.batch_norm_parameters(phi, samples=math.inf)
    assert limit == pytest.approx((mf.second_moment(phi, 1.0), mf.mean(phi, 1.0) ** 2), abs=ROUNDING)


@pytest.mark.parametrize("f", [mf.tanh, mf.sigmoid, mf.relu, RAMP, KINKED_EXPONENTIAL], ids=lambda f: str(f)[:40])
def test_the_approach_to_the_limit_is_one_over_samples(f: mf.Activation) -> None:
    limit = mf.batch_norm_parameters(f, samples=math.inf)

    def slope(samples: int) -> NDArray[np.float64]:
        return (np.array(mf.batch_norm_parameters(f, samples=samples)) - limit) * samples

    first, second, third = slope(10**3), slope(10**4), slope(10**5)
    assert np.allclose(second, third, atol=0.2 * np.abs(first - second).max() + 1e-7)  # the next term is of order 1/T^2
    far = np.array(mf.batch_norm_parameters(f, samples=10**9))
    assert far == pytest.approx(np.array(limit) + third / 1e9, abs=QUADRATURE)


def test_the_coefficient_of_one_over_samples() -> None:
    # dimension d = T - 1: density Gaussian (1 - He_4(u)/(4 d)) + O(1/d^2), cosine -1/d, so for odd phi
    # qhat_st = -(E phi' )^2/T and qhat_t = E phi^2 - E phi^2 He_4/(4 T)
    u, weights = np.polynomial.hermite_e.hermegauss(120)
    weights /= weights.sum()
    square = np.tanh(u) ** 2
    expected = (-weights @ (square * (u**4 - 6 * u**2 + 3)) / 4, -((weights @ (u * np.tanh(u))) ** 2))
    limit = mf.batch_norm_parameters(mf.tanh, samples=math.inf)
    found = (np.array(mf.batch_norm_parameters(mf.tanh, samples=10**6)) - limit) * 10**6
    assert found == pytest.approx(np.array(expected), abs=3e-6)  # the next term, 1/T


@pytest.mark.parametrize("samples", [2, 3, 4, 7, 50])
def test_the_projections_sum_to_zero(samples: int) -> None:
    qhat = mf.batch_norm_parameters(mf.identity, samples=samples)
    assert qhat == pytest.approx((1.0, -1 / (samples - 1)), abs=ROUNDING)
    for f in (mf.tanh, RAMP, CUBIC, mf.relu):  # E (sum_t phi(u_t))^2 >= 0
        qhat = mf.batch_norm_parameters(f, samples=samples)
        assert qhat.same + (samples - 1) * qhat.cross >= -QUADRATURE * qhat.same
        assert abs(qhat.cross) <= qhat.same * (1 + QUADRATURE)


def measure(f: Any, samples: int, power: float, scale: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """qhat_t and qhat_st, and their standard errors, of batches normalised by the standard deviation to ``power``."""
    u = scale * np.random.default_rng(1).standard_normal((200_000, samples))
    u -= u.mean(axis=1, keepdims=True)
    phi = f(u / u.std(axis=1, keepdims=True) ** power)
    same = (phi**2).mean(axis=1)
    cross = (phi.sum(axis=1) ** 2 - (phi**2).sum(axis=1)) / (samples * (samples - 1))
    both = np.stack([same, cross])
    return both.mean(axis=1), both.std(axis=1) / math.sqrt(both.shape[1])


@pytest.mark.parametrize("samples", [3, 4, 5, 10])
def test_against_samples(samples: int) -> None:
    for f in (mf.tanh, mf.sigmoid, RAMP, STAIRS, mf.relu):
        mean, error = measure(f, samples, power=1)
        qhat = np.array(mf.batch_norm_parameters(f, samples=samples))
        assert (np.abs(mean - qhat) <= SIGMAS * error + ROUNDING).all()


def test_the_denominator_is_the_root() -> None:
    """(S.68) and (S.69) print the variance: with it the result depends on the scale, and relu does not give 1/2."""
    root, root_error = measure(mf.relu, 10, power=1)
    scaled, _ = measure(mf.relu, 10, power=1, scale=3)
    assert scaled == pytest.approx(root, rel=ROUNDING)
    assert (np.abs(root - np.array(mf.batch_norm_parameters(mf.relu, samples=10))) <= SIGMAS * root_error).all()
    printed, printed_error = measure(mf.relu, 10, power=2)
    assert (np.abs(printed - root) > SIGMAS * (printed_error + root_error)).all()
    assert measure(mf.relu, 10, power=2, scale=3)[0] == pytest.approx(printed / 9)


@pytest.mark.parametrize("samples", [1, 0, -3, 2.5, 3.0, "x", None, math.nan, -math.inf, True, 10**10])
def test_bad_numbers_of_samples(samples: Any) -> None:
    def never(u: NDArray[np.float64]) -> NDArray[np.float64]:
        raise AssertionError

    with pytest.raises(mf.ParameterError, match=r"samples must be an integer >= 2.*or math\.inf, got"):
        mf.batch_norm_parameters(mf.ScalarFunction(never), samples=samples)


def test_bad_activations() -> None:
    with pytest.raises(mf.ParameterError, match="ScalarFunction"):
        mf.batch_norm_parameters("relu", samples=4)  # type: ignore[arg-type]
