"""The spectrum after mean subtraction, against laws that are known, the model drawn as matrices, and networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate

import meanfield as mf
import montecarlo as mc
from meanfield.spectrum.extremes import count_at_mean, count_at_median
from meanfield.spectrum.limit import LimitModel, limit_model
from meanfield.spectrum.limit_cavity import averages, mean_logarithm
from meanfield.spectrum.limit_density import LimitDensity

EXACT = 1e-8
"""Of the solver, relative; the equations are solved to 1e-11, derivatives and places lose some of it."""
SUMS = 1e-5
"""Of integrals over the density by forty nodes in each of seven parts."""
SIGMAS = 4.5
LAMBDA_MAX = 0.03
"""By how much the theory of lambda_max may be off at M = 400, relative: it leaves out terms of O(L/M)."""

NETWORKS = {
    "relu 2": mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0),
    "relu 3": mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0),
    "tanh 3": mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64),
    "centred tanh 3": mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0),
    "gelu 4, unequal": mf.Network(
        activations=[mf.gelu, mf.relu, mf.gelu],
        width_ratios=[0.7, 1.5, 1.0, 0.6],
        weight_variance=[2.0, 1.5, 2.5, 1.0],
        bias_variance=0.2,
    ),
}


@cache
def limit(name: str, width: int = 1000, samples: int = 1000) -> LimitDensity:
    network = NETWORKS[name]
    return LimitDensity(limit_model(network, mf.propagate(network), network.widths(width)[:-1], samples))


@pytest.mark.parametrize("seed", range(6))
def test_averages_over_the_gradient_agree_with_integrals_at_30_digits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    b = complex(rng.uniform(0.1, 2), -rng.uniform(0, 0.3))
    c0 = complex(rng.normal(), rng.uniform(0.1, 0.5))
    w = complex(rng.normal(), rng.uniform(0.1, 1)) * 10 ** rng.uniform(-4, 0.5)
    variance = rng.uniform(0.3, 4)
    arguments = (np.array([b]), np.array([c0]), np.array([w]), variance)
    one, over = averages(*arguments)

    def expect(f: Callable[[Any], Any]) -> complex:
        with mpmath.workdps(30):
            density = mpmath.npdf
            places = [-12, -6, -3, -1, 0, 1, 3, 6, 12]
            return complex(mpmath.quad(lambda y: density(y) * f(y * y * variance), places))

    assert one[0] == pytest.approx(expect(lambda t: 1 / (1 + b * (c0 + w * t))), rel=1e-12)
    assert over[0] == pytest.approx(expect(lambda t: t / (1 + b * (c0 + w * t))), rel=1e-10)
    branch = expect(lambda t: mpmath.log(1 / mpmath.mpc(b) + c0 + w * t) - mpmath.log(1 / mpmath.mpc(b)))
    assert mean_logarithm(*arguments)[0] == pytest.approx(branch, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_mass_and_moments(name: str) -> None:
    density = limit(name)
    inner = [density.place(share) for share in (0.5, 0.1, 0.01, 1e-3, 1e-4, 1e-6, 1e-11)]
    # x = low + (high - low) sin^2(t) takes square roots out of both ends of each part
    t, weights = np.polynomial.legendre.leggauss(40)
    t, weights = (t + 1) * math.pi / 4, weights * math.pi / 4
    moments = np.zeros(3)
    for low, high in pairwise([density.lower_edge(), *inner]):
        x = low + (high - low) * np.sin(t) ** 2
        mass = density.density(x) * (high - low) * np.sin(2 * t) * weights
        moments += [mass.sum(), mass @ x, mass @ x**2]
    np.testing.assert_allclose(moments, [1, density.mean, density.second_moment], rtol=SUMS)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_mean_is_that_of_the_theorem(name: str) -> None:
    network, width = NETWORKS[name], 1000
    block = mf.dual_block(network, mf.propagate(network), width=width, samples=1000)
    assert limit(name).mean == pytest.approx(block.contrast, rel=EXACT)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_density_is_the_slope_of_the_count(name: str) -> None:
    density = limit(name)
    x = np.array([density.place(share) for share in (0.9, 0.5, 0.1, 0.01)])
    step = 1e-4 * x
    slope = (density.above(x - step) - density.above(x + step)) / (2 * step)
    np.testing.assert_allclose(density.density(x), slope, rtol=1e-5)
    assert density.above(x) == pytest.approx([0.9, 0.5, 0.1, 0.01], rel=EXACT)
    assert density.above(np.array([1e-3, 1e6])).tolist() == pytest.approx([1, 0], abs=1e-9)


def test_one_hidden_layer_is_a_marchenko_pastur_law_in_two_parts() -> None:
    """For L = 2 and no bias, F* = r + (1/T)(Q X'X + Phi'Phi), the rows of Phi correlated with those of W X.

    With a linear activation Phi = W X: then F* is a function of X'X and W alone, and for wide second layers (M_1/M_0
    large) W'W/M_1 is the identity: F* = (1/T) (qtilde + M_1 s_w^2/M_0) X'X, a Marchenko-Pastur law.
    """
    ratio, rho = 4000.0, 0.5
    network = mf.Network(activations=[mf.identity], width_ratios=[1.0, ratio], weight_variance=1.0)
    model = limit_model(network, mf.propagate(network), network.widths(1000)[:-1], 2000)
    scale = (1 + ratio) * rho  # of (1/M_0) X'X
    c = 1 / rho  # T/M_0
    density = LimitDensity(model)
    x = np.linspace((1 - math.sqrt(c)) ** 2, (1 + math.sqrt(c)) ** 2, 9)[1:-1]
    expected = np.sqrt(((1 + math.sqrt(c)) ** 2 - x) * (x - (1 - math.sqrt(c)) ** 2)) / (2 * math.pi * c * x)
    np.testing.assert_allclose(density.density(x * scale) * scale, expected, rtol=5e-3)


def drawn_model(model: LimitModel, rng: np.random.Generator, units: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the eigenvalues of one matrix of the Gaussian-equivalent model, each node with its own z and zeta.

    Written from the definition of the model: fields are drawn, and made into F*.
    """
    samples, hidden = model.samples, len(model.layers)
    weights = [
        rng.standard_normal((units[l + 1], units[l])) / math.sqrt(units[l]) for l in range(hidden)
    ]  # of variance 1
    phi = math.sqrt(model.inputs) * rng.standard_normal((units[0], samples))
    matrix = model.constant * np.eye(samples) + model.forward * phi.T @ phi / samples
    chosen, slopes = [], []
    for l, layer in enumerate(model.layers):
        n = layer.nodes
        j = rng.choice(n.weights.size, size=units[l + 1], p=n.weights)
        zeta = math.sqrt(layer.spread) * rng.standard_normal(units[l + 1])
        y = math.sqrt(layer.down) * weights[l] @ phi
        a, b, c = n.activity_noise[j], n.noise_covariance[j], n.slope_noise[j]
        first, second = rng.standard_normal((2, units[l + 1], samples))
        root = np.sqrt(np.maximum(a, 0))
        cross = np.divide(b, root, out=np.zeros_like(b), where=root > 0)
        phi = n.response[j, None] * y + root[:, None] * first
        rest = np.sqrt(np.maximum(c - cross**2, 0))
        slope = n.curvature[j, None] * y + cross[:, None] * first + rest[:, None] * second
        matrix += layer.forward * phi.T @ phi / samples
        chosen.append(j)
        slopes.append(zeta[:, None] * slope)
    delta = np.zeros((0, samples))
    for l in reversed(range(hidden)):
        layer, n, j = model.layers[l], model.layers[l].nodes, chosen[l]
        noise = np.sqrt(np.maximum(n.slope_variance[j] * layer.excess, 0))
        field = slopes[l] + noise[:, None] * rng.standard_normal((units[l + 1], samples))
        if l + 1 < hidden:
            ratio = math.sqrt(units[l + 1] / units[l + 2])
            field += n.slope[j, None] * ratio * math.sqrt(layer.up) * weights[l + 1].T @ delta
        delta = field
        matrix += layer.backward * delta.T @ delta / samples
    eigenvalues: NDArray[np.float64] = np.linalg.eigvalsh(matrix).astype(np.float64)
    return eigenvalues


@pytest.mark.parametrize("name", ["relu 3", "tanh 3", "gelu 4, unequal"])
def test_the_density_is_that_of_matrices_of_the_model(name: str) -> None:
    network, width, samples = NETWORKS[name], 500, 400
    model = limit(name, width, samples).model
    rng = np.random.default_rng(1)
    units = network.widths(width)[:-1]
    draws = [drawn_model(model, rng, units) for _ in range(6)]
    density = limit(name, width, samples)
    for moment, expected in ((1, density.mean), (2, density.second_moment)):
        values = [np.mean(draw**moment) for draw in draws]
        error = np.std(values, ddof=1) / math.sqrt(len(values))
        assert abs(np.mean(values) - expected) < SIGMAS * error + 1e-2 * expected
    places = [density.place(share) for share in (0.9, 0.7, 0.5, 0.3, 0.1, 0.02)]
    above = np.mean([[np.mean(draw > x) for x in places] for draw in draws], axis=0)
    np.testing.assert_allclose(above, [0.9, 0.7, 0.5, 0.3, 0.1, 0.02], atol=0.012)


@pytest.mark.parametrize("name", ["relu 2", "relu 3", "tanh 3", "centred tanh 3"])
def test_lambda_max_is_that_of_networks(name: str) -> None:
    network, width = NETWORKS[name].normalized(output="mean"), 400
    spectrum = mf.spectrum(network, width=width, samples=width)
    ensemble = mc.run_ensemble(mc.EigenvalueExperiment(network, width, width), members=24, seed=5)
    largest = np.array([member.lambda_max for member in ensemble.members])
    error = largest.std(ddof=1) / math.sqrt(largest.size)
    assert abs(largest.mean() - spectrum.largest) < SIGMAS * error + LAMBDA_MAX * spectrum.largest
    if network.is_centered:  # to which the bounds do not apply
        return
    theory = mf.eigenvalue_statistics(network, width=width, samples=width)
    assert theory.largest.lower * 1.5 < spectrum.largest < theory.largest.upper / 1.5  # sharper than the bounds


def test_constants_of_the_bounds() -> None:
    spectrum = mf.spectrum(NETWORKS["relu 3"].normalized(output="mean"), width=10**6, samples=10**6)
    assert (spectrum.c0, spectrum.c1, spectrum.c2) == pytest.approx((1.088, 0.941, 2.177), abs=1.5e-3)


@pytest.mark.parametrize(
    ("phi", "weight_variance", "bias_variance", "depth", "ratio"),
    [(mf.relu, 2.0, 0.0, 3, 30), (mf.relu, 2.0, 0.0, 8, 20), (mf.relu, 4.0, 1.0, 5, 20), (mf.gelu, 2.0, 0.1, 5, 20)],
)
def test_constants_are_those_of_the_fluctuations_where_lambda_max_is_far_from_the_mean(
    phi: mf.Activation, weight_variance: float, bias_variance: float, depth: int, ratio: int
) -> None:
    network = mf.Network.uniform(
        phi, depth=depth, weight_variance=weight_variance, bias_variance=bias_variance, output_normalization="mean"
    )
    spectrum = mf.spectrum(network, width=1000, samples=1000 * ratio)
    expected = mf.fluctuations(network).c2
    assert spectrum.c2 == pytest.approx(expected, rel=4 * depth / 1000)  # the bias parameters: O(1/M)


def test_the_largest_eigenvalues_come_in_order_and_grow_slowly() -> None:
    network = NETWORKS["relu 3"].normalized(output="mean")
    spectrum = mf.spectrum(network, width=1000, samples=1000)
    first, second, third = (spectrum.kth_largest(k) for k in (1, 2, 3))
    assert spectrum.largest == first > second > third
    assert second < spectrum.largest_median < first
    assert spectrum.edge == math.inf
    wide = mf.spectrum(network, width=10**6, samples=10**6)
    assert first < wide.largest < 1.1 * first
    flat = mf.spectrum(NETWORKS["relu 2"].normalized(output="mean"), width=1000, samples=1000)
    assert flat.largest < flat.edge < 1.02 * flat.largest
    assert flat.lower_edge < flat.quantile(0.01) < flat.quantile(0.5) < flat.edge


def test_counts_at_an_edge_are_those_of_tracy_and_widom() -> None:
    rng, size = np.random.default_rng(3), 300
    top = []
    for _ in range(400):  # a tridiagonal matrix with the eigenvalues of a Gaussian orthogonal one
        diagonal = rng.standard_normal(size) * math.sqrt(2)
        off = np.sqrt(rng.chisquare(np.arange(size - 1, 0, -1)))
        matrix = np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1)
        top.append(np.linalg.eigvalsh(matrix)[-3:][::-1] / math.sqrt(size))
    means, errors = np.mean(top, axis=0), np.std(top, axis=0, ddof=1) / math.sqrt(len(top))

    def count(x: float) -> float:
        value, _ = integrate.quad(lambda y: math.sqrt(4 - y * y) / (2 * math.pi), x, 2)
        return float(size * value)

    for k, (mean, error) in enumerate(zip(means, errors, strict=True), start=1):
        low, high = count(mean + SIGMAS * error), count(mean - SIGMAS * error)
        assert low - 0.03 < count_at_mean(k, 0.0) < high + 0.03
    assert count_at_mean(2, 1.0) == pytest.approx(math.exp(1 - np.euler_gamma))
    assert count_at_median(1.0) == pytest.approx(math.log(2))
    assert count_at_median(0.0) > count_at_mean(1, 0.0)


def test_what_the_theory_does_not_cover_is_refused_or_said() -> None:
    network = NETWORKS["relu 3"]
    with pytest.raises(mf.AssumptionError, match="output_normalization must be mean"):
        mf.spectrum(network, width=100, samples=100)
    with pytest.raises(mf.AssumptionError, match="hidden layers"):
        mf.spectrum(network.normalized(hidden="layer", output="mean"), width=100, samples=100)
    network = network.normalized(output="mean")
    with pytest.raises(mf.ParameterError, match="samples"):
        mf.spectrum(network, width=100, samples=1)
    spectrum = mf.spectrum(network, width=1000, samples=1000)
    with pytest.raises(mf.ParameterError, match="x must be"):
        spectrum.density(0.0)
    with pytest.raises(mf.ParameterError, match="k must be"):
        spectrum.kth_largest(1000)
    with pytest.raises(mf.ParameterError, match="probability"):
        spectrum.quantile(1.0)
    assert spectrum.validity == ()
    assert any("few" in warning for warning in mf.spectrum(network, width=1000, samples=10).validity)
    assert any("narrow" in warning for warning in mf.spectrum(network, width=50, samples=50).validity)
    assert any("far from 1" in warning for warning in mf.spectrum(network, width=100, samples=10**4).validity)


def test_several_outputs_and_spreads_come_from_draws() -> None:
    network = NETWORKS["tanh 3"].normalized(output="mean")
    one = mf.spectrum(network, width=200, samples=200, draws=12)
    assert one.largest_standard_error == 0
    assert one.drawn.mean == pytest.approx(one.largest, rel=0.05)  # the two theories differ by terms of O(1/M)
    assert 0.02 < one.largest_sd / one.largest < 0.2
    assert one.largest_quantile(0.1) < one.largest_quantile(0.5) < one.largest_quantile(0.9)
    several = mf.spectrum(replace(network, outputs=3), width=200, samples=200, draws=6)
    assert several.largest == several.drawn.mean > 1.05 * one.largest  # the overlaps of the gradients fluctuate
    assert several.largest_standard_error == several.drawn.standard_error > 0
    assert several.largest_median == several.largest_quantile(0.5)
    assert "6 draws" in str(several)
    with pytest.raises(mf.AssumptionError, match="only the largest"):
        several.kth_largest(2)
    other = mf.propagate(network, inputs=mf.Pair(4.0, 0.0))
    scaled = mf.spectrum(network, width=200, samples=200, order=other)
    assert scaled.largest > 1.2 * one.largest
    with pytest.raises(mf.AssumptionError, match="standard inputs"):
        print(scaled.largest_sd)
    with pytest.raises(mf.AssumptionError, match="standard inputs"):
        scaled.largest_quantile(0.5)
    with pytest.raises(mf.AssumptionError, match="standard inputs"):
        mf.spectrum(replace(network, outputs=3), width=200, samples=200, order=other)
    with pytest.raises(mf.ParameterError, match="draws"):
        mf.spectrum(network, width=200, samples=200, draws=1)


def test_blurs_below_zero_and_narrow_layers_beside_wide_ones_are_said() -> None:
    blurred = mf.spectrum(NETWORKS["relu 2"].normalized(output="mean"), width=100, samples=1500)
    assert any("reaches below 0" in warning for warning in blurred.validity)
    with pytest.raises(mf.QuadratureError, match="no place above 0"):
        blurred.quantile(0.01)
    assert 0 < blurred.quantile(0.5) < blurred.largest
    narrow = mf.Network(activations=[mf.relu], width_ratios=[5, 0.2], weight_variance=2.0, output_normalization="mean")
    assert any("scatters" in warning for warning in mf.spectrum(narrow, width=300, samples=300).validity)
    with pytest.raises(mf.ParameterError, match="seed"):
        mf.spectrum(narrow, width=300, samples=300, seed="1")  # type: ignore[arg-type]
    with pytest.raises(mf.ParameterError, match="order"):
        mf.spectrum(narrow, width=300, samples=300, order=3)  # type: ignore[arg-type]
