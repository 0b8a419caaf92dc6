"""The scales of normalised outputs: of given outputs, drawn, and expected under the limiting law."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray
from problems import RELU, TANH
from tolerances import LINEAR_ALGEBRA, ROUNDING, SIGMAS

import meanfield as mf


def plainly(u: NDArray[np.float64]) -> dict[str, float]:
    """Every scale as the paper defines it, sample by sample."""
    samples, outputs = u.shape
    sigma_k = [math.sqrt(np.mean((u[:, k] - np.mean(u[:, k])) ** 2)) for k in range(outputs)]
    centred = [u[t] - np.mean(u[t]) for t in range(samples)]
    sigma = [math.sqrt(float(centred[t] @ centred[t]) / outputs) for t in range(samples)]
    eta_3 = eta_11 = 0.0
    for t in range(samples):
        for s in range(samples):
            g = float(centred[t] @ centred[s]) / (outputs * sigma[t] * sigma[s])
            eta_3 += (g / (sigma[t] * sigma[s])) ** 2 / samples**2
            eta_11 += 1 / (sigma[t] * sigma[s]) ** 2 / samples**2
    return {
        "q1": sum(x**-2 for x in sigma_k),
        "q2": sum(x**-4 for x in sigma_k),
        "eta_1": sum(x**-2 for x in sigma) / samples,
        "eta_1_squared": eta_11,
        "eta_2": sum(x**-4 for x in sigma) / samples,
        "h3": eta_3,
    }


@pytest.mark.parametrize("shape", [(2, 3), (7, 4), (30, 11), (5, 2)])
def test_scales_of_given_outputs(shape: tuple[int, int]) -> None:
    u = np.random.default_rng(sum(shape)).normal(1.0, 2.0, shape)
    scales = mf.ReadoutScales.from_outputs(u)
    for name, value in plainly(u).items():
        assert getattr(scales, name) == pytest.approx(value, rel=ROUNDING), name


def test_scales_that_divide_by_zero() -> None:
    alike = mf.ReadoutScales.from_outputs([[1.0, 2.0], [1.0, 3.0]])
    assert alike.q1 == alike.q2 == math.inf
    assert math.isfinite(alike.eta_1)
    single = mf.ReadoutScales.from_outputs([[1.0], [2.0]])
    assert single.q1 == 4.0
    assert single.eta_1 == single.eta_2 == single.h3 == single.eta_1_squared == math.inf


@pytest.mark.parametrize(
    ("outputs", "message"),
    [([1.0, 2.0], "shape"), (np.empty((0, 3)), "shape"), ([[1.0, math.nan], [0.0, 1.0]], "finite, got inf or nan")],
)
def test_bad_outputs(outputs: object, message: str) -> None:
    with pytest.raises(mf.ParameterError, match=message):
        mf.ReadoutScales.from_outputs(outputs)  # type: ignore[arg-type]


def test_scales_print_what_is_finite() -> None:
    assert str(mf.ReadoutScales.from_outputs([[1.0], [2.0]])) == "Q1 = 4, Q2 = 16"
    assert str(mf.ReadoutScales(*[math.inf] * 6)) == "none is finite"


@pytest.mark.parametrize("samples", [4, 6, 7, 20, 1000])
def test_expected_scales_of_outputs(samples: int) -> None:
    # E chi^-2 and E chi^-4 by integrating the density
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=2)
    order = mf.propagate(network)
    spread = float(order.preactivation.same[-1] - order.preactivation.cross[-1])
    half = mpmath.mpf(samples - 1) / 2

    def inverse(power: int) -> float:
        def integrand(y: mpmath.mpf) -> mpmath.mpf:  # x = y^2, without the singularity at 0
            log = 2 * (half - 1 - power) * mpmath.log(y) - y**2 / 2 - half * mpmath.log(2) - mpmath.loggamma(half)
            return 2 * y * mpmath.exp(log)

        middle = math.sqrt(samples)
        return float(mpmath.quad(integrand, [0, 1, middle / 2, middle, 2 * middle, 3 * middle + 12]))

    scales = mf.expected_readout_scales(network, samples=samples)
    assert scales.q1 == pytest.approx(2 * samples / spread * inverse(1), rel=LINEAR_ALGEBRA)
    if samples > 5:
        assert scales.q2 == pytest.approx(2 * (samples / spread) ** 2 * inverse(2), rel=LINEAR_ALGEBRA)


def pairs_by_quadrature(n: int, r: float) -> tuple[float, float]:
    """E 1/(x.x y.y) and E (x.y)^2/((x.x)^2 (y.y)^2) for standard normal x, y in R^n of correlation r.

    With 1/x.x = int exp(-a x.x) da, and likewise for y, both are integrals over (a, b) of moments of a Gaussian with
    covariance S. Put 1 + 2a = 1/c^2 and 1 + 2b = 1/d^2: the integrands are smooth on the unit square.
    """
    nodes, weights = np.polynomial.legendre.leggauss(80)
    c, d = np.meshgrid((nodes + 1) / 2, (nodes + 1) / 2, indexing="ij")
    volume = np.outer(weights, weights) / 4 * (c * d) ** -3
    a, b = (c**-2 - 1) / 2, (d**-2 - 1) / 2
    delta = (1 + 2 * a) * (1 + 2 * b) - 4 * a * b * r**2
    s11, s22, s12 = (1 + 2 * b * (1 - r**2)) / delta, (1 + 2 * a * (1 - r**2)) / delta, r / delta
    tilted = volume * delta ** (-n / 2)
    squared = n * s11 * s22 + n * (n + 1) * s12**2
    return float(np.sum(tilted)), float(np.sum(tilted * a * b * squared))


@pytest.mark.parametrize("outputs", [6, 8, 12, 40])
@pytest.mark.parametrize("network", [RELU, TANH, TANH.normalized(hidden="layer")])
@pytest.mark.parametrize("samples", [7, 20])
def test_expected_scales_of_samples(network: mf.Network, outputs: int, samples: int) -> None:
    network = mf.Network.uniform(
        network.activations[0],
        depth=3,
        weight_variance=network.weight_variance,
        bias_variance=network.bias_variance,
        outputs=outputs,
        hidden_normalization=network.hidden_normalization,
    )
    order = mf.propagate(network)
    q, r = float(order.preactivation.same[-1]), float(order.preactivation.cross[-1] / order.preactivation.same[-1])
    n = outputs - 1
    first, second = pairs_by_quadrature(n, r)
    scale = (outputs / q) ** 2
    scales = mf.expected_readout_scales(network, samples=samples)
    # two independent chi-squares are the case r = 0; x = y the case r = 1
    assert scales.eta_1**2 == pytest.approx(scale * pairs_by_quadrature(n, 0.0)[0], rel=LINEAR_ALGEBRA)
    assert scales.eta_2 == pytest.approx(scale / ((n - 2) * (n - 4)), rel=LINEAR_ALGEBRA)
    mixed = (scales.eta_2 + (samples - 1) * scale * first) / samples
    assert scales.eta_1_squared == pytest.approx(mixed, rel=LINEAR_ALGEBRA)
    mixed = (scales.eta_2 + (samples - 1) * scale * second) / samples
    assert scales.h3 == pytest.approx(mixed, rel=LINEAR_ALGEBRA)


@pytest.mark.parametrize(
    ("outputs", "samples", "infinite"),
    [
        (3, 3, {"q1", "q2", "eta_1", "eta_1_squared", "eta_2", "h3"}),
        (4, 4, {"q2", "eta_1_squared", "eta_2", "h3"}),
        (5, 5, {"q2", "eta_1_squared", "eta_2", "h3"}),
        (6, 6, set()),
    ],
)
def test_expectations_that_diverge(outputs: int, samples: int, infinite: set[str]) -> None:
    network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0, outputs=outputs)
    scales = mf.expected_readout_scales(network, samples=samples)
    assert {name for name, value in vars(scales).items() if value == math.inf} == infinite


def test_drawn_scales_have_the_expectations_of_the_law() -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64, outputs=14)
    order, rng = mf.propagate(network), np.random.default_rng(5)
    drawn = [mf.readout_scales(network, samples=20, rng=rng, order=order) for _ in range(3000)]
    expected = mf.expected_readout_scales(network, samples=20)
    for name in vars(expected):
        values = np.array([getattr(scales, name) for scales in drawn])
        error = float(values.std(ddof=1)) / math.sqrt(len(drawn))
        z = (float(values.mean()) - getattr(expected, name)) / error
        assert abs(z) < SIGMAS, (name, z)
        assert error < 0.02 * getattr(expected, name)  # a wrong factor is seen


def test_draws_repeat_and_hidden_batch_normalisation_has_a_law_too() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=7, hidden_normalization="batch")
    first, second = (mf.readout_scales(network, samples=9, rng=np.random.default_rng(3)) for _ in range(2))
    assert first == second
    order = mf.propagate(network, samples=9)
    spread = 2.0 * float(order.activity.same[-1] - order.activity.cross[-1])
    scales = mf.expected_readout_scales(network, samples=9)
    assert scales.q1 == pytest.approx(7 * 9 / (6 * spread), rel=ROUNDING)


@pytest.mark.parametrize("cross", [-0.2, 0.7])
def test_the_scales_of_given_overlaps(cross: float) -> None:
    """Also below zero: at -1/(T-1) the outputs sum to zero over the samples."""
    network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0, outputs=8)
    order, rng = mf.propagate(network, inputs=mf.Pair(1.0, cross)), np.random.default_rng(0)
    drawn = [mf.readout_scales(network, samples=6, rng=rng, order=order) for _ in range(4000)]
    expected = mf.expected_readout_scales(network, samples=6, order=order)
    for scale in ("q1", "eta_1"):  # those of a finite variance at T = 6 and C = 8 have, or nearly have, it
        values = np.array([getattr(one, scale) for one in drawn])
        error = values.std(ddof=1) / math.sqrt(values.size)
        assert abs(values.mean() - getattr(expected, scale)) < SIGMAS * error


def test_what_cannot_be_drawn() -> None:
    network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    order = mf.propagate(network)
    with pytest.raises(mf.ParameterError, match="samples must be an integer >= 1, got 0"):
        mf.readout_scales(network, samples=0, rng=np.random.default_rng(0))
    with pytest.raises(mf.ParameterError, match="order must be the order parameters of this network, of depth 3"):
        mf.expected_readout_scales(TANH, samples=5, order=order)


def test_outputs_without_spread_have_no_scales() -> None:
    network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0, outputs=8)
    alike = mf.expected_readout_scales(network, samples=9, order=mf.propagate(network, inputs=mf.Pair(1.0, 1.0)))
    assert alike.q1 == alike.q2 == math.inf
    # two samples with the same outputs: every pair is like a pair of equal ones
    assert alike.eta_1_squared == pytest.approx(alike.eta_2, rel=ROUNDING)
    assert alike.h3 == pytest.approx(alike.eta_2, rel=ROUNDING)
    zero = mf.expected_readout_scales(network, samples=9, order=mf.propagate(network, inputs=mf.Pair(0.0, 0.0)))
    assert str(zero) == "none is finite"


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ("abc", "an array of real numbers, got an array of str"),
        ([["1", "2"]], "an array of real numbers, got an array of str"),
        ([[1, 2], [3]], "an array of real numbers, got rows of different lengths"),
        ([[1j, 2]], "an array of real numbers, got an array of complex128"),
        ([1.0, 2.0], r"an array of shape \(T, C\), got shape \(2,\)"),
        ([[math.nan, 1.0]], "finite"),
    ],
)
def test_outputs_that_are_no_array(outputs: object, message: str) -> None:
    with pytest.raises(mf.ParameterError, match="outputs must be " + message):
        mf.ReadoutScales.from_outputs(outputs)  # type: ignore[arg-type]


def test_what_draws_must_be_a_generator() -> None:
    with pytest.raises(mf.ParameterError, match=r"rng must be a numpy\.random\.Generator, got 3"):
        mf.readout_scales(RELU, samples=5, rng=3)  # type: ignore[arg-type]
    with pytest.raises(mf.ParameterError, match=r"network must be a meanfield\.Network"):
        mf.expected_readout_scales("relu", samples=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0.1, 0.5, 1e200])
def test_constant_outputs_have_no_spread_not_even_rounding(value: float) -> None:
    assert mf.ReadoutScales.from_outputs(np.full((3, 1), value)).q1 == math.inf
    assert mf.ReadoutScales.from_outputs(np.tile([value, 2 * value], (3, 1))).q2 == math.inf
    assert mf.ReadoutScales.from_outputs(np.full((2, 7), value)).eta_1 == math.inf


def test_overlaps_that_no_samples_have() -> None:
    network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0, outputs=8)
    order = mf.propagate(network, inputs=mf.Pair(1.0, -0.9))
    with pytest.raises(mf.ParameterError, match="order must be with an overlap of outputs that 10 samples can have"):
        mf.readout_scales(network, samples=10, rng=np.random.default_rng(0), order=order)
    with pytest.raises(mf.ParameterError, match="order must be with an overlap of outputs that 10 samples can have"):
        mf.expected_readout_scales(network, samples=10, order=order)


def test_samples_that_look_alike_are_refused() -> None:
    """Deep relu networks bring all samples together: digits of q_t - q_st go long before those of kappa_1 - kappa_2."""
    for depth, refused in ((20, False), (44, True), (60, True)):
        network = mf.Network.uniform(mf.relu, depth=depth, weight_variance=1.0, bias_variance=0.5)
        for output in ("mean", "batch"):
            if refused:
                with pytest.raises(mf.QuadratureError, match="lost its digits"):
                    mf.eigenvalue_statistics(network.normalized(output=output), width=200, samples=50)
            else:
                mf.eigenvalue_statistics(network.normalized(output=output), width=200, samples=50)
