"""The whole chain through batch normalisation in the hidden layers."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray
from problems import ALL_ACTIVATIONS
from tolerances import ROUNDING, SIGMAS

import meanfield as mf
import montecarlo as mc
from meanfield.batch_norm import batch_norm_averages

Array = NDArray[np.float64]

CLOSED = 1e-12
"""Of closed forms, and of integrals over the sphere against each other, relative."""
FINITE_WIDTH = 3.0
"""By how much finite networks may differ from the theory, in units of L/M."""


def network(phi: mf.Activation, depth: int = 3, **choice: Any) -> mf.Network:
    return mf.Network.uniform(phi, depth=depth, weight_variance=2.0, hidden_normalization="batch", **choice)


@pytest.mark.parametrize("samples", [4, 5, 8, 32, 1000])
def test_relu_in_closed_form(samples: int) -> None:
    cosine = -1 / (samples - 1)
    angle = math.acos(cosine)
    slope = (math.pi - angle) / math.pi
    value = (math.sin(angle) + (math.pi - angle) * cosine) / math.pi
    backward = mf.batch_norm_backward(network(mf.relu), samples=samples)
    p, r = (samples - 2) / (2 * samples), -(slope + value) / (2 * samples)
    np.testing.assert_allclose(backward.p, p, rtol=CLOSED)
    np.testing.assert_allclose(backward.r, r, rtol=CLOSED)
    difference = (1 - value) / 2
    assert backward.chi[1] == pytest.approx(samples * (p - r) / ((samples - 3) * difference), rel=CLOSED)


def test_the_growth_for_many_samples() -> None:
    assert mf.batch_norm_backward(network(mf.relu), samples=10**6).chi[1] == pytest.approx(
        math.pi / (math.pi - 1), rel=1e-5
    )
    for phi in (mf.tanh, mf.gelu, mf.sigmoid):
        limit = float(mf.second_moment(phi.slope, 1.0)) / float(mf.second_moment(phi, 1.0) - mf.mean(phi, 1.0) ** 2)
        assert mf.batch_norm_backward(network(phi), samples=10**6).chi[1] == pytest.approx(limit, rel=1e-5)
        infinite = batch_norm_averages(phi, samples=math.inf, epsilon=0.0, variance=1.0)
        assert infinite.p / (infinite.activity.same - infinite.activity.cross) == pytest.approx(limit, rel=1e-11)


@pytest.mark.parametrize("samples", [4, 7, 30])
def test_the_growth_is_least_for_the_identity(samples: int) -> None:
    least = (samples - 2) / (samples - 3)
    assert mf.batch_norm_backward(network(mf.identity), samples=samples).chi[1] == pytest.approx(least, rel=CLOSED)
    for phi in ALL_ACTIVATIONS:
        assert mf.batch_norm_backward(network(phi), samples=samples).chi[1] >= least * (1 - 1e-10)


class Power:
    """u^n f(u)."""

    def __init__(self, f: mf.ScalarFunction, power: int) -> None:
        self.f, self.power = f, power

    def __call__(self, u: Array) -> Array:
        """Return its values."""
        return np.asarray(u**self.power * self.f(u))


def powers(f: mf.ScalarFunction, highest: int) -> list[mf.ScalarFunction]:
    return [
        mf.ScalarFunction(Power(f, n), kinks=f.kinks, jumps=f.jumps, strip=f.strip, scale=f.scale)
        for n in range(highest + 1)
    ]


class TwoSamples:
    """E[phi'_a phi'_b n_a^i n_b^j n_c n_d] on the sphere, from integrals over n_a and n_b alone.

    Given these two the sum and the sum of squares of the others are known, and so are their mean, square and product.
    """

    def __init__(self, phi: mf.Activation, samples: int) -> None:
        self.samples, freedom = samples, samples - 1
        one, slope = powers(phi.slope, 3), phi.slope
        self.two = {
            (i, j): float(mf.SPHERE.overlap(one[i], other=one[j], dimension=freedom, cosine=-1 / freedom).value)
            for i, j in itertools.product(range(4), repeat=2)
        }
        squared = mf.ScalarFunction(lambda u: slope(u) ** 2, kinks=slope.kinks, jumps=slope.jumps)
        self.same = [float(mf.SPHERE.mean(f, dimension=freedom).value) for f in powers(squared, 4)]

    def __call__(self, a: int, b: int, *others: int) -> float:
        """Return the moment with n_c for every c of ``others``, of which at most two are neither a nor b."""
        i, j = others.count(a), others.count(b) if a != b else 0
        rest = [c for c in others if c not in (a, b)]
        left = self.samples - len({a, b})

        def of(k: int, l: int) -> float:
            return self.same[i + k] if a == b else self.two[i + k, j + l]

        if not rest:
            return of(0, 0)
        if len(rest) == 1:
            return -(of(1, 0) if a == b else of(1, 0) + of(0, 1)) / left
        squares = of(2, 0) if a == b else of(2, 0) + of(0, 2)
        own = self.samples * of(0, 0) - squares  # the squares of all others
        if rest[0] == rest[1]:
            return own / left
        return ((squares if a == b else squares + 2 * of(1, 1)) - own) / (left * (left - 1))


def backward_map(phi: mf.Activation, samples: int) -> Array:
    """Return Pi -> E[D P Pi P D], P = G - n n'/T, as a matrix of T^2 rows."""
    moment, g = TwoSamples(phi, samples), np.eye(samples) - 1 / samples
    result = np.empty((samples,) * 4)
    for a, b, c, d in itertools.product(range(samples), repeat=4):
        result[a, b, c, d] = (
            g[a, c] * g[d, b] * moment(a, b)
            - g[a, c] * moment(a, b, b, d) / samples
            - g[d, b] * moment(a, b, a, c) / samples
            + moment(a, b, a, b, c, d) / samples**2
        )
    return result.reshape(samples**2, samples**2)


@pytest.mark.parametrize("samples", [4, 6, 9])
@pytest.mark.parametrize("phi", [mf.relu, mf.tanh, mf.identity, mf.gelu], ids=str)
def test_all_components_of_the_backward_map_collapse_to_one_number(phi: mf.Activation, samples: int) -> None:
    averages = batch_norm_averages(phi, samples=samples, epsilon=0.0, variance=1.0)
    matrix = backward_map(phi, samples)
    radius = np.abs(np.linalg.eigvals(matrix)).max()
    assert radius == pytest.approx(averages.p - averages.r, rel=CLOSED)
    image = (matrix @ np.eye(samples).ravel()).reshape(samples, samples)
    expected = np.full((samples, samples), averages.r) + (averages.p - averages.r) * np.eye(samples)
    np.testing.assert_allclose(image, expected, atol=CLOSED)
    assert np.abs(matrix @ np.ones(samples**2)).max() < CLOSED


@pytest.mark.parametrize("samples", [3, 8, 32])
@pytest.mark.parametrize("epsilon", [0.05, 1.0])
def test_epsilon_against_drawn_layers(samples: int, epsilon: float) -> None:
    phi, variance, draws = mf.gelu, 2.0, 200_000
    averages = batch_norm_averages(phi, samples=samples, epsilon=epsilon, variance=variance)
    rng = np.random.default_rng(0)
    u = math.sqrt(variance) * rng.standard_normal((draws, samples))
    u -= u.mean(axis=1, keepdims=True)
    weight = 1 / (np.mean(u**2, axis=1) + epsilon)
    x = u * np.sqrt(weight)[:, None]
    gradient = rng.standard_normal((draws, samples)) * phi.slope(x)  # D g, of a g whose products are the identity
    gradient -= gradient.mean(axis=1, keepdims=True)
    gradient -= x * np.mean(x * gradient, axis=1, keepdims=True)
    h = phi(x)
    tangent = np.sum(gradient**2, axis=1) * weight / samples  # the trace, whichever side D is on
    drawn = {
        "activity, same": (h[:, 0] ** 2, averages.activity.same),
        "activity, cross": (h[:, 0] * h[:, 1], averages.activity.cross),
        "weight": (weight, averages.inverse_variance),
        "p": (tangent, averages.inverse_variance * averages.p),
        "off": (
            weight
            * phi.slope(x[:, 0])
            * phi.slope(x[:, 1])
            * (-1 / samples - (2 - np.mean(x**2, axis=1)) * x[:, 0] * x[:, 1] / samples),
            averages.inverse_variance * averages.r,
        ),
    }
    for name, (values, expected) in drawn.items():
        assert abs(values.mean() - expected) < SIGMAS * values.std() / math.sqrt(draws), name


@pytest.mark.parametrize("samples", [4, 12])
@pytest.mark.parametrize("phi", [mf.relu, mf.leaky_relu(0.2), mf.identity], ids=str)
def test_epsilon_by_another_route(phi: mf.Activation, samples: int) -> None:
    """The Laplace transform of real inputs, where these are orthogonal."""
    softened = network(phi).normalized(hidden=mf.BatchNorm(epsilon=0.1))
    theta = mf.batch_norm_backward(softened, samples=samples).theta
    inputs = mf.InputGram(np.eye(samples), dimension=1000)
    tangent = np.asarray(mf.gram(softened, inputs, width=1000, biases=False).tangent) / 1000
    assert tangent[0, 0] == pytest.approx(theta.same, rel=1e-9)
    assert tangent[0, 1] == pytest.approx(theta.cross, rel=1e-9)


def test_freezing_the_statistics_in_the_backward_pass_is_wrong() -> None:
    """As if batch normalisation only divided: the gradient of one sample would not reach the others."""
    samples = 128
    order = mf.propagate(network(mf.relu), samples=samples)
    theta = mf.Pair(1.0, 0.0)
    for layer in (1, 2):
        gain = samples / ((samples - 3) * float(order.activity.same[layer - 1] - order.activity.cross[layer - 1]))
        cosine = -1 / (samples - 1)
        slopes = mf.Pair(0.5, (math.pi - math.acos(cosine)) / (2 * math.pi))
        theta = mf.Pair(
            *(float(q[layer]) + gain * s * t for q, s, t in zip(order.activity, slopes, theta, strict=True))
        )
    frozen = mf.Exchangeable(*theta, samples).uniform / samples
    right = mf.batch_norm_backward(network(mf.relu), samples=samples).theta.uniform / samples
    assert (round(frozen, 3), round(right, 3)) == (0.288, 0.162)
    ensemble = mc.run_ensemble(mc.EigenvalueExperiment(network(mf.relu), width=128, samples=128), members=4, seed=0)
    measured = mc.controlled_mean([member.lambda_max / 128 for member in ensemble.members], mc.readout_norms(ensemble))
    assert abs(measured.mean - right) < 0.2 * abs(measured.mean - frozen)


def test_two_samples_have_no_gradient() -> None:
    averages = batch_norm_averages(mf.gelu, samples=2, epsilon=0.0, variance=1.0)
    assert abs(averages.p) <= ROUNDING
    assert abs(averages.r) <= ROUNDING
    rng = np.random.default_rng(0)
    finite = mc.sample_network(network(mf.gelu), width=10, rng=rng)
    sweep = mc.propagate(finite, rng.standard_normal((2, 10)))
    assert not any(np.any(delta) for delta in sweep.delta[:-1])


UNEQUAL = mf.Network(
    activations=[mf.tanh, mf.relu, mf.gelu],
    width_ratios=[1.5, 1.0, 0.8, 1.2],
    weight_variance=[2.0, 1.0, 3.0, 1.5],
    bias_variance=[0.3, 0.0, 0.2, 0.1],
)

FINITE = {
    "relu": (network(mf.relu), 12),
    "tanh": (network(mf.tanh), 12),
    "sigmoid, deep": (network(mf.sigmoid, depth=5), 10),
    "unequal": (UNEQUAL.normalized(hidden="batch"), 12),
    "two of three": (UNEQUAL.normalized(hidden=mf.BatchNorm(layers=[1, 3])), 12),
    "only the second": (UNEQUAL.normalized(hidden=mf.BatchNorm(layers=[2])), 12),
    "settings": (UNEQUAL.normalized(hidden=mf.BatchNorm(gamma=-0.8, beta=0.3, epsilon=0.4)), 8),
    "settings, mixed": (UNEQUAL.normalized(hidden=mf.BatchNorm(gamma=1.5, beta=0.2, epsilon=0.1, layers=[1, 2])), 6),
}


@pytest.mark.parametrize("name", FINITE)
def test_theta_is_that_of_finite_networks(name: str) -> None:
    """The trace is Theta_t; the sum of all entries is T Theta_t + T (T - 1) Theta_st."""
    finite, samples = FINITE[name]
    width, members = 250, 12
    theory = mf.dual_block(finite, mf.propagate(finite, samples=samples), width=width, samples=samples)
    traces, sums, norms = [], [], []
    for stream in np.random.SeedSequence(0).spawn(members):
        rng = np.random.default_rng(stream)
        drawn = mc.sample_network(finite, width=width, rng=rng)
        gram = mc.dual_gram(mc.propagate(drawn, mc.sample_inputs(finite, width=width, samples=samples, rng=rng)))
        traces.append(np.trace(gram) / samples)
        sums.append(gram.sum() / samples)
        norms.append(float(np.sum(drawn.weights[-1] ** 2)) / finite.weight_variance[-1])
    for measured, expected in ((traces, theory.same), (sums, theory.uniform)):
        estimate = mc.controlled_mean(measured, norms)
        allowed = FINITE_WIDTH * finite.depth / 200 * abs(expected)
        assert abs(estimate.mean - expected) < SIGMAS * estimate.standard_error + allowed


def test_theta_does_not_depend_on_the_widths_rounded_or_the_path() -> None:
    mixed = FINITE["two of three"][0]
    backward = mf.batch_norm_backward(mixed, samples=12)
    assert np.isnan(backward.chi[1])
    assert np.isfinite(backward.chi[[0, 2]]).all()
    block = mf.dual_block(mixed, mf.propagate(mixed, samples=12), width=1000, samples=12, leading_order=True)
    assert block.same * 12 / 1000 == pytest.approx(backward.theta.same, rel=CLOSED)
    assert block.cross * 12 / 1000 == pytest.approx(backward.theta.cross, rel=CLOSED)


def test_a_layer_whose_normalisation_does_nothing_more_changes_nothing() -> None:
    """Gamma multiplies phi's argument: for relu it is a factor, as the weights above would be."""
    doubled = network(mf.relu).normalized(hidden=mf.BatchNorm(gamma=2.0))
    theta, twice = (mf.batch_norm_backward(one, samples=10).theta for one in (network(mf.relu), doubled))
    last, other = (float(mf.propagate(one, samples=10).activity.same[-1]) for one in (network(mf.relu), doubled))
    assert other == pytest.approx(4 * last, rel=CLOSED)
    assert twice.same == pytest.approx(4 * theta.same, rel=CLOSED)


def test_depth_of_crossover() -> None:
    assert [mf.crossover_depth(network(mf.relu), samples=samples) for samples in (8, 32, 128)] == [3, 6, 10]
    for samples in (8, 32):
        depth = mf.crossover_depth(network(mf.relu), samples=samples)
        assert depth is not None
        before, at = (
            mf.batch_norm_backward(network(mf.relu, depth=depth + step), samples=samples).theta for step in (-1, 0)
        )
        assert before.uniform > before.contrast
        assert at.contrast > at.uniform
    assert mf.crossover_depth(network(mf.relu), samples=10**6, deepest=10) is None
    with pytest.raises(mf.AssumptionError, match="all normalised"):
        mf.crossover_depth(network(mf.relu).normalized(hidden=mf.BatchNorm(layers=[1])), samples=8)


def test_the_largest_eigenvalue_is_the_larger_one() -> None:
    for depth, which in ((3, "one"), (8, "bulk")):
        deep = network(mf.relu, depth=depth)
        statistics = mf.eigenvalue_statistics(deep, width=100, samples=32)
        block = mf.dual_block(deep, mf.propagate(deep, samples=32), width=100, samples=32)
        assert statistics.largest.lower == max(block.uniform, block.contrast)
        expected = block.uniform
        if which == "bulk":
            expected = mf.bulk_spectrum(deep, width=100, samples=32).largest
        assert statistics.prediction == expected
        assert statistics.theorem == f"hidden batch norm, lambda_{which}"
        assert statistics.mean == pytest.approx(block.trace / statistics.parameters, rel=CLOSED)
        bound = mf.last_layer_statistics(deep, width=100, samples=32).prediction
        assert bound is not None
        assert statistics.prediction > bound


@pytest.mark.parametrize("output", ["mean", "batch"])
def test_centred_outputs_have_the_end_of_the_bulk(output: str) -> None:
    centred = network(mf.tanh).normalized(output=output)
    statistics = mf.eigenvalue_statistics(centred, width=200, samples=64)
    assert statistics.prediction == mf.bulk_spectrum(centred, width=200, samples=64).largest
    ensemble = mc.run_ensemble(mc.EigenvalueExperiment(centred, width=200, samples=64), members=8, seed=0)
    row = mc.compare(statistics, ensemble, control=True)["lambda_max (spectrum) at |W^L|"]
    assert row.agrees
    assert abs(row.ratio - 1) < 0.05
    fixed = mf.eigenvalue_statistics(centred, width=200, samples=64, regime="fixed")
    assert fixed.prediction is None or fixed.prediction == fixed.largest.lower


@pytest.mark.parametrize("output", ["mean", "batch", "layer"])
def test_normalised_outputs_have_a_theory(output: str) -> None:
    several = replace(network(mf.relu), outputs=8).normalized(output=output)
    statistics = mf.eigenvalue_statistics(several, width=400, samples=10)
    ensemble = mc.run_ensemble(mc.EigenvalueExperiment(several, width=200, samples=10), members=6, seed=0)
    comparison = mc.compare(mf.eigenvalue_statistics(several, width=200, samples=10), ensemble)
    assert statistics.theorem.endswith("with Theta")
    assert comparison.agrees, comparison


def test_layer_normalised_outputs_network_by_network() -> None:
    several = replace(network(mf.relu), outputs=6).normalized(output="layer")
    ratios = []
    for stream in np.random.SeedSequence(0).spawn(8):
        rng = np.random.default_rng(stream)
        finite = mc.sample_network(several, width=300, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(several, width=300, samples=64, rng=rng))
        ratios.append(mc.measure_largest(sweep) / float(mc.predict_leading(sweep).prediction or math.nan))
    assert abs(float(np.median(ratios)) - 1) < 0.15  # the overlaps of the outputs' gradients split by sqrt(C L/M)
    law = mf.layer_norm_spectrum(several, width=300, samples=64, draws=50)
    assert 0 < law.median < law.mean
    with pytest.raises(mf.AssumptionError, match="F\\*_st > 0"):
        mf.layer_norm_spectrum(several, width=300, samples=5)
    with pytest.raises(mf.AssumptionError, match="finite T"):
        mf.layer_norm_spectrum(several, width=300, samples=math.inf)


@pytest.mark.parametrize("samples", [2, 3])
def test_few_samples_are_refused_with_the_reason(samples: int) -> None:
    with pytest.raises(mf.AssumptionError, match=r"E 1/sigma\^2 is infinite"):
        mf.batch_norm_backward(network(mf.relu), samples=samples)
    with pytest.raises(mf.AssumptionError, match=r"E 1/sigma\^2 is infinite"):
        mf.eigenvalue_statistics(network(mf.relu).normalized(output="mean"), width=100, samples=samples)
    bound = mf.eigenvalue_statistics(network(mf.relu), width=100, samples=samples)
    assert bound.theorem == "Theorem 3.4"
    softened = network(mf.relu).normalized(hidden=mf.BatchNorm(epsilon=0.1))
    assert mf.batch_norm_backward(softened, samples=samples).theta.same > 0


def test_warnings_and_other_refusals() -> None:
    assert [bool(mf.batch_norm_backward(network(mf.relu), samples=samples).validity) for samples in (4, 5, 6)] == [
        True,
        True,
        False,
    ]
    assert "infinite" in str(mf.batch_norm_backward(network(mf.relu), samples=4))
    with pytest.raises(mf.AssumptionError, match="is for batch normalisation"):
        mf.batch_norm_backward(network(mf.relu).normalized(hidden="none"), samples=10)
    with pytest.raises(mf.ParameterError, match="samples"):
        mf.batch_norm_backward(network(mf.relu), samples=1)
    with pytest.raises(mf.ParameterError, match="network"):
        mf.batch_norm_backward("relu", samples=10)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("activation", "settings"),
    [
        (mf.relu, mf.BatchNorm(beta=-3)),  # n <= sqrt(5) for T = 6: all samples give 0
        (mf.from_sympy("1 + x/1000000000"), mf.BatchNorm()),  # 1 in double precision
        (mf.from_sympy("1 + x/1000000000"), mf.BatchNorm(epsilon=0.1)),
    ],
    ids=["zero", "constant", "epsilon"],
)
def test_layers_behind_which_all_samples_look_alike_are_refused(
    activation: mf.Activation, settings: mf.BatchNorm
) -> None:
    network = mf.Network.uniform(activation, depth=3, weight_variance=2.0, hidden_normalization=settings)
    with pytest.raises(mf.AssumptionError, match="hidden layer 2 has none to divide by"):
        mf.batch_norm_backward(network, samples=6)


def test_a_cap_that_just_reaches_into_the_sphere() -> None:
    """relu(n - 2) for T = 6: n <= sqrt(5), and two samples cannot both be above 2."""
    network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0, hidden_normalization=mf.BatchNorm(beta=-2))
    x = np.sqrt(5) * np.cos(np.linspace(0, np.arccos(2 / np.sqrt(5)), 2_000_001))  # n = sqrt(5) cos, density sin^3
    angle = np.linspace(0, np.pi, 2_000_001)
    expected = np.trapezoid((x - 2) ** 2 * np.sin(np.arccos(x / np.sqrt(5))) ** 3, np.arccos(x / np.sqrt(5)))
    expected /= np.trapezoid(np.sin(angle) ** 3, angle)
    activity = mf.propagate(network, samples=6).activity
    assert activity.same[1] == pytest.approx(expected, rel=1e-6)
    assert activity.cross[1] == 0


def test_gradients_beyond_double_precision_are_refused() -> None:
    deep = mf.Network.uniform(mf.relu, depth=2000, weight_variance=2.0, hidden_normalization="batch")
    with pytest.raises(mf.QuadratureError, match="beyond the range of doubles"):
        mf.batch_norm_backward(deep, samples=8)


@pytest.mark.parametrize("samples", [4, 5])
def test_few_samples_leave_out_the_infinite_variance(samples: int) -> None:
    """The mean of n values of 1/sigma^2, of tail exponent (T-1)/2, is off by n^(-(T-3)/(T-1))."""
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, hidden_normalization="batch")
    (term,) = (
        one.size
        for one in mf.eigenvalue_statistics(network, width=3000, samples=samples).corrections
        if one.name.startswith("infinite variance") and one.quantity == "mean"
    )
    assert term == pytest.approx(1000 ** -((samples - 3) / (samples - 1)))
    rng, means = np.random.default_rng(0), {}
    for count in (1000, 64_000):
        drawn = 1 / rng.chisquare(samples - 1, size=(200, count))
        means[count] = np.median(np.abs(drawn.mean(axis=1) * (samples - 3) - 1))  # E 1/chi^2 = 1/(T-3)
    assert math.log(means[1000] / means[64_000], 64) == pytest.approx((samples - 3) / (samples - 1), abs=0.12)
    assert 0.5 < means[1000] / term < 2


@pytest.mark.parametrize("samples", [2, 3, 4, 8])
@pytest.mark.parametrize("epsilon", [1e-4, 1e-12, 1e-20])
def test_a_small_epsilon_meets_the_small_variances(samples: int, epsilon: float) -> None:
    """For T <= 3 the mean of 1/(sigma^2 + epsilon) comes from sigma^2 about epsilon, far out in the law of sigma^2."""
    half, variance = (samples - 1) / 2, 2.0
    with mpmath.workdps(20):
        places = [-120, -60, -40, -20, -10, -5, 0, 2, 4, 6, 8]  # log chi^2
        total = mpmath.quad(
            lambda y: mpmath.e ** (half * y - mpmath.e**y / 2) / (variance * mpmath.e**y / samples + epsilon), places
        )
        expected = float(total / (2**half * mpmath.gamma(half)))
    found = batch_norm_averages(mf.relu, samples=samples, epsilon=epsilon, variance=variance)
    assert found.inverse_variance == pytest.approx(expected, rel=1e-12)


def test_order_parameters_of_another_batch_are_refused() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, hidden_normalization="batch")
    order = mf.propagate(network, samples=8)
    assert (
        mf.batch_norm_backward(network, samples=8, order=order).theta
        == mf.batch_norm_backward(network, samples=8).theta
    )
    with pytest.raises(mf.ParameterError, match="order must be those of a batch of 64 samples, got those of 8"):
        mf.batch_norm_backward(network, samples=64, order=order)
    with pytest.raises(mf.ParameterError, match="order must be those of a batch of 64 samples, got those of 8"):
        mf.eigenvalue_statistics(network, width=100, samples=64, order=order)
    shifted = network.normalized(hidden=mf.BatchNorm(beta=3.0))
    with pytest.raises(mf.ParameterError, match=r"with BatchNorm\(gamma=1.0, beta=3.0"):
        mf.batch_norm_backward(shifted, samples=8, order=order)
    with pytest.raises(mf.ParameterError, match="with no batch normalisation"):
        mf.eigenvalue_statistics(network.normalized(hidden="none"), width=100, samples=8, order=order)


def test_overlaps_that_a_batch_cannot_have_are_refused() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, hidden_normalization="batch")
    with pytest.raises(mf.ParameterError, match="inputs must be such that 8 samples can have them"):
        mf.propagate(network, inputs=mf.Pair(1.0, -0.5), samples=8)


@pytest.mark.parametrize(("samples", "expected"), [(4, 2), (5, 2), (128, 10)])
def test_the_crossover_is_found_before_gradients_overflow(samples: int, expected: int) -> None:
    network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0, hidden_normalization="batch")
    assert mf.crossover_depth(network, samples=samples) == expected
    curve = mf.eigenvalues_by_depth(network, samples=samples, deepest=2000)
    assert curve.depth.size < 1999
    assert np.isfinite(curve.contrasts).all()
