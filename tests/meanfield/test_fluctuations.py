"""Fluctuations and shifts of order parameters: closed forms, averages done another way, and finite networks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from tolerances import DIFFERENCES, SIGMAS

import meanfield as mf
import montecarlo as mc
from meanfield import OrderParameter, Pair
from meanfield.fluctuations.moments import LayerMoments
from meanfield.fluctuations.response import jacobian, layer_noise, second_derivatives
from meanfield.fluctuations.samples import INDEX, PAIRS

MOMENTS = 1e-8
"""Of averages over products of four functions, relative: the square root of what a rule's tolerance leaves."""

RELU = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
TANH = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
UNEQUAL = mf.Network(
    activations=[mf.gelu, mf.relu, mf.tanh],
    width_ratios=[1.0, 0.5, 2.0, 1.5],
    weight_variance=[2.0, 1.5, 2.0, 1.0],
    bias_variance=[0.3, 0.0, 0.2, 0.1],
)


@pytest.mark.parametrize("depth", [2, 3, 6])
def test_relu_has_closed_forms(depth: int) -> None:
    """M Var(qhat^l_t) = 5 l + 2 and M Var(qtilde^l_t) = 5 (L - l): each layer adds E phi^4/(E phi^2)^2 - 1 = 5."""
    variance = mf.fluctuations(mf.Network.uniform(mf.relu, depth=depth, weight_variance=2.0)).variance
    layers = np.arange(depth)
    np.testing.assert_allclose(variance.activity.same, 5 * layers + 2, rtol=MOMENTS)
    np.testing.assert_allclose(variance.backward.same, 5 * (depth - 1 - layers), rtol=MOMENTS, atol=MOMENTS)
    # by hand: 1 - 1/pi^2 of the layer, 1/4 of q_st and 1/pi^2 of q_ss and q_tt
    assert variance.activity.cross[1] == pytest.approx(1.25, rel=MOMENTS)


def test_one_hidden_relu_layer_by_hand() -> None:
    """Slopes of 0 or 1: 3/16 of 4 by themselves, 1/4 of 8 by the gradients, 1/pi^2 by the overlap of the inputs."""
    fluctuations = mf.fluctuations(mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0))
    assert fluctuations.variance.backward.cross[0] == pytest.approx(11 / 4 + 1 / math.pi**2, rel=MOMENTS)
    # the angle of two Gaussian vectors is symmetric about a right one, and so is its effect on E phi'_s phi'_t
    assert fluctuations.bias.backward.cross[0] == pytest.approx(0.0, abs=MOMENTS)


@pytest.mark.parametrize(("l", "field"), [(1, "activity"), (0, "sensitivity")])
def test_one_hidden_tanh_layer_on_a_plane_of_preactivations(l: int, field: str) -> None:
    """The formulas written out for two samples, with integrals over the plane and differences for the response."""
    s_w, s_b, x = 3.0, 0.64, np.linspace(-9, 9, 241)
    weights = np.exp(-0.5 * x**2) / np.exp(-0.5 * x**2).sum()
    activity = field == "activity"

    def average(power: int, qhat: np.ndarray) -> float:
        ss, st, tt = s_w * qhat + s_b
        u, v = math.sqrt(ss) * x[:, None], st / math.sqrt(ss) * x[:, None] + math.sqrt(tt - st**2 / ss) * x
        product = np.tanh(u) * np.tanh(v) if activity else 1 / (np.cosh(u) * np.cosh(v)) ** 2
        return float(weights @ product**power @ weights)

    gradient = 1.0 if activity else s_w
    at, step = np.array([1.0, 0.0, 1.0]), 1e-4 * np.eye(3)
    response = [(average(1, at + e) - average(1, at - e)) / 2e-4 for e in step]
    own = average(2, at) - average(1, at) ** 2
    if not activity:
        own += 2 * average(2, at)  # of the readout's weights, which are the same for both samples
    expected = gradient**2 * (own + 2 * response[0] ** 2 + response[1] ** 2 + 2 * response[2] ** 2)
    network = mf.Network.uniform(mf.tanh, depth=2, weight_variance=s_w, bias_variance=s_b)
    assert getattr(mf.fluctuations(network).variance, field).cross[l] == pytest.approx(expected, rel=DIFFERENCES)


@pytest.mark.parametrize("ratios", [(1.0, 1.0, 1.0, 1.0), (2.0, 0.5, 1.0, 3.0)])
def test_a_linear_network_is_a_product_of_chi_squares(ratios: tuple[float, ...]) -> None:
    network = mf.Network(activations=[mf.identity] * 3, width_ratios=ratios, weight_variance=1.0)
    fluctuations = mf.fluctuations(network)
    below = np.cumsum([1 / ratio for ratio in ratios])
    above = np.array([sum(1 / ratio for ratio in ratios[l:]) for l in (1, 2, 3, 4)])
    np.testing.assert_allclose(fluctuations.variance.activity.same, 2 * below, rtol=MOMENTS)
    np.testing.assert_allclose(fluctuations.variance.activity.cross, below, rtol=MOMENTS)
    for kind in (*fluctuations.variance.backward, *fluctuations.between.backward):  # gradients see no sample
        np.testing.assert_allclose(kind, 2 * above, rtol=MOMENTS, atol=MOMENTS)
    for record in (fluctuations.bias, fluctuations.bias_assuming_independence):
        for pair in (record.activity, record.backward):
            np.testing.assert_allclose(pair.cross, 0, atol=MOMENTS)
            np.testing.assert_allclose(pair.same, 0, atol=MOMENTS)


@pytest.mark.parametrize("phi", [mf.relu, mf.tanh, mf.elu], ids=str)
@pytest.mark.parametrize("factor", ["value", "slope"])
def test_responses_are_derivatives_of_the_averages(phi: mf.Activation, factor: str) -> None:
    """Of (5) and (7), by differences; overlaps with unequal variances are those of another room."""
    q_t, q_st, step = 1.7, 0.6, 1e-4
    f = phi.value if factor == "value" else phi.slope

    def average(ss: float, st: float, tt: float) -> float:
        return float(mf.overlap(f, ss, st, tt))

    moments = LayerMoments(phi, Pair(q_t, q_st))
    table = jacobian(moments, factor)  # type: ignore[arg-type]
    curvature = second_derivatives(moments, factor)  # type: ignore[arg-type]
    at = np.array([q_t, q_st, q_t])
    unit = step * np.eye(3)
    near = [INDEX[0, 0], INDEX[0, 1], INDEX[1, 1]]
    for i in range(3):
        slope = (average(*(at + unit[i])) - average(*(at - unit[i]))) / (2 * step)
        assert table[INDEX[0, 1], near[i]] == pytest.approx(slope, abs=DIFFERENCES)
        for j in range(3):
            signs = itertools.product((1, -1), repeat=2)
            mixed = sum(a * b * average(*(at + 10 * (a * unit[i] + b * unit[j]))) for a, b in signs) / (20 * step) ** 2
            assert curvature.cross[i, j] == pytest.approx(mixed, abs=2e-5)  # the truncation of differences of 1e-3
    square = [float(mf.second_moment(f, q_t + 10 * n * step)) for n in (-1, 0, 1)]
    assert table[0, 0] == pytest.approx((square[2] - square[0]) / (20 * step), abs=DIFFERENCES)
    assert curvature.same[0, 0] == pytest.approx((square[2] - 2 * square[1] + square[0]) / (10 * step) ** 2, abs=2e-5)


@pytest.mark.parametrize("phi", [mf.relu, mf.tanh], ids=str)
def test_the_noise_of_a_layer_is_the_covariance_of_drawn_units(phi: mf.Activation) -> None:
    q_t, q_st, units = 1.7, 0.6, 400_000
    rng = np.random.default_rng(1)
    u = np.sqrt(q_st) * rng.standard_normal((units, 1)) + np.sqrt(q_t - q_st) * rng.standard_normal((units, 4))
    a, b = np.array(PAIRS).T
    products = np.concatenate([x[:, a] * x[:, b] for x in (u, phi(u), phi.slope(u))], axis=1)
    products -= products.mean(axis=0)
    expected = layer_noise(LayerMoments(phi, Pair(q_t, q_st))).reshape(30, 30)
    measured = products.T @ products / units
    error = np.sqrt((products**2).T @ products**2 / units - measured**2) / np.sqrt(units)
    assert np.max(np.abs(measured - expected) / error) < SIGMAS


@pytest.mark.parametrize("network", [RELU, TANH, UNEQUAL], ids=["relu", "tanh", "unequal"])
def test_one_sample_is_biased_by_its_own_activities_alone(network: mf.Network) -> None:
    """The shift of qtilde_t, derived for one sample, is that derived for two."""
    order = mf.propagate(network)
    added = np.zeros(network.depth)
    gram = order.activity.same
    gamma = network.weight_variance[-1] * gram[-1]
    for l in reversed(range(1, network.depth)):
        s_w, s_b, phi = network.weight_variance[l - 1], network.bias_variance[l - 1], network.activations[l - 1]
        q = float(order.preactivation.same[l - 1])
        u, weights = _normal(q, phi)
        value, slope = phi(u), phi.slope(u)
        arriving = network.weight_variance[l] * order.backward.same[l] * gram[l]
        added[l - 1] = weights @ (slope * value) ** 2 * (gamma - arriving) / gram[l] ** 2 / network.width_ratios[l]
        share = s_w * gram[l - 1] / q
        a = share * (weights @ (u * slope * value)) / gram[l]
        square = weights @ (((share * u) ** 2 + share * s_b) * slope**2)
        gamma = a**2 * (gamma - arriving) + arriving / gram[l] * square
    added_through = np.zeros(network.depth)
    for l in reversed(range(1, network.depth)):
        slopes = order.backward.same[l - 1] / order.backward.same[l]
        added_through[l - 1] = slopes * added_through[l] + added[l - 1]
    fluctuations = mf.fluctuations(network)
    difference = fluctuations.bias.backward.same - fluctuations.bias_assuming_independence.backward.same
    np.testing.assert_allclose(difference, added_through, atol=1e-7)


def _normal(variance: float, phi: mf.Activation) -> tuple[np.ndarray, np.ndarray]:
    """Return a rule for N(0, variance), split at zero, where relu has its kink."""
    x, w = np.polynomial.legendre.leggauss(200)
    half = 0.5 * (x + 1) * 12
    nodes, weights = np.concatenate([-half, half]), np.concatenate([w, w]) * np.exp(-0.5 * np.tile(half, 2) ** 2)
    return np.sqrt(variance) * nodes, weights / weights.sum()


CASES = [
    pytest.param(RELU, 64, id="relu 64"),
    pytest.param(TANH, 64, id="tanh 64"),
    pytest.param(RELU, 128, id="relu 128"),
    pytest.param(TANH, 128, id="tanh 128"),
    pytest.param(UNEQUAL, 128, id="unequal 128"),
]


@pytest.mark.parametrize(("network", "width"), CASES)
def test_finite_networks(network: mf.Network, width: int) -> None:
    """Shifts, and variances at M and 4 M extrapolated to infinity, in standard errors."""
    rng = np.random.default_rng(width)
    theory = mf.fluctuations(network)
    draws = 16_000
    narrow, wide = (
        mc.measure_fluctuations(mc.sample_order_parameters(network, width=m, samples=4, draws=n, rng=rng))
        for m, n in ((width, draws), (4 * width, draws // 4))
    )
    worst = 0.0
    for field in ("variance", "between"):
        records = [getattr(one, name) for one in (narrow, wide) for name in (field, f"{field}_error")]
        for expected, near, near_error, far, far_error in _entries(getattr(theory, field), *records):
            # V + c/M: 4/3 of the value at 4 M less 1/3 of that at M
            extrapolated, error = (4 * far - near) / 3, math.hypot(4 * far_error, near_error) / 3
            worst = max(worst, abs(extrapolated - expected) / (error + 1e-9))
    for expected, mean, error in _entries(theory.bias, narrow.bias, narrow.bias_error):
        # what is left out of a shift b/M is of the order of itself over M
        worst = max(worst, abs(mean - expected) / (error + 1e-9))
    assert worst < SIGMAS


def _entries(*records: mf.OrderParameters) -> list[tuple[float, ...]]:
    by_name = [record.by_name() for record in records]
    entries = [
        tuple(float(getattr(one[name], part)) for one in by_name) for name in by_name[0] for part in ("same", "cross")
    ]
    return [values for values in entries if np.isfinite(values).all()]


def test_gradients_that_depend_on_the_activities_are_seen() -> None:
    """Without that term the shift of qtilde^1_st is ruled out, with it agrees: relu, M = 32."""
    width, rng = 32, np.random.default_rng(0)
    theory = mf.fluctuations(RELU)
    drawn = mc.sample_order_parameters(RELU, width=width, samples=2, draws=200_000, rng=rng)
    values = drawn.of(OrderParameter("sensitivity", 1, (0, 1)))
    shift = width * (values.mean() - theory.order.backward.cross[0])
    error = width * values.std() / math.sqrt(values.size)
    assert abs(shift - theory.bias.backward.cross[0]) < 3 * error
    assert abs(shift - theory.bias_assuming_independence.backward.cross[0]) > 8 * error


def test_given_inputs() -> None:
    inputs = Pair(1.5, 0.3)
    theory = mf.fluctuations(TANH, inputs=inputs, random_inputs=False)
    assert theory.variance.activity.same[0] == theory.variance.activity.cross[0] == 0
    rng = np.random.default_rng(5)
    measured = mc.measure_fluctuations(
        mc.sample_order_parameters(TANH, width=400, samples=4, draws=8000, rng=rng, inputs=inputs, random_inputs=False)
    )
    for expected, value, error in _entries(theory.variance, measured.variance, measured.variance_error):
        assert abs(value - expected) < SIGMAS * error + 1e-9
    more = mf.fluctuations(TANH, inputs=inputs).variance
    assert (more.backward.cross[:2] > theory.variance.backward.cross[:2]).all()


def test_every_covariance_is_that_of_drawn_networks() -> None:
    """Forward, backward and across, of two to four samples."""
    width, rng = 200, np.random.default_rng(2)
    theory = mf.fluctuations(UNEQUAL)
    drawn = mc.sample_order_parameters(UNEQUAL, width=width, samples=4, draws=16_000, rng=rng)
    parameters = [
        OrderParameter(kind, layer, samples)
        for kind, layer in [("activity", 1), ("activity", 3), ("preactivation", 2), ("sensitivity", 1)]
        for samples in ((0, 0), (0, 1), (1, 2), (2, 3))
    ]
    for first, second in itertools.combinations(parameters, 2):
        x, y = (drawn.of(one) - drawn.of(one).mean() for one in (first, second))
        error = width * np.std(x * y) / math.sqrt(x.size)
        expected = theory.covariance(first, second)
        assert abs(width * np.mean(x * y) - expected) < SIGMAS * error + 0.05 * abs(expected)
        assert theory.covariance(second, first) == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_labels_are_patterns() -> None:
    theory = mf.fluctuations(TANH)
    one, two = OrderParameter("sensitivity", 1, "st"), OrderParameter("activity", 2, "us")
    again = theory.covariance(OrderParameter("sensitivity", 1, (7, 3)), OrderParameter("activity", 2, (3, 9)))
    assert theory.covariance(one, two) == pytest.approx(again, rel=1e-12)
    assert theory.covariance(one, OrderParameter("sensitivity", 1, "uv")) == theory.between.backward.cross[0]
    assert theory.covariance(one, OrderParameter("sensitivity", 1, "ts")) == theory.variance.backward.cross[0]
    other = OrderParameter("sensitivity", 1, "st", output=1)
    assert 0 < theory.covariance(one, other) < theory.variance.backward.cross[0]


@pytest.mark.parametrize("network", [RELU, TANH, UNEQUAL], ids=["relu", "tanh", "unequal"])
def test_covariances_are_positive(network: mf.Network) -> None:
    theory = mf.fluctuations(network)
    size = 3 * network.depth * len(PAIRS)
    values = np.linalg.eigvalsh(theory.covariances.joint.reshape(size, size))
    assert values[0] > -1e-9 * values[-1]
    assert np.isinf(theory.variance.preactivation.same[-1])


def test_the_constants_of_theorem_3_3() -> None:
    assert mf.fluctuations(RELU).c2 == pytest.approx(2.177, abs=5e-4)


def test_the_kernel_is_that_of_drawn_networks() -> None:
    """Of one output and of two: means, covariances and the kernel between outputs."""
    width, rng = 400, np.random.default_rng(4)
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=2)
    kernel = mf.fluctuations(network).kernel
    drawn = mc.sample_order_parameters(network, width=width, samples=4, draws=6000, rng=rng)
    k = np.einsum("dlpqab,dlab->dpqab", drawn.sensitivity, drawn.activity)
    centred = k - k.mean(axis=0)
    for patterns, outputs, expected in (
        ([(0, 1, 0, 1)], (0, 0, 0, 0), kernel.covariance("st", "st")),
        ([(0, 1, 0, 2), (0, 1, 1, 2)], (0, 0, 0, 0), kernel.covariance("st", "su")),
        ([(0, 1, 2, 3), (0, 2, 1, 3)], (0, 0, 1, 1), kernel.covariance("st", "uv", outputs=2)),
        ([(0, 1, 0, 1)], (0, 0, 1, 1), kernel.covariance("st", "st", outputs=2)),
        ([(0, 1, 0, 2), (0, 3, 0, 2)], (0, 1, 0, 1), kernel.mixed("st", "su")),
        ([(0, 1, 2, 3), (1, 2, 0, 3)], (0, 1, 0, 1), kernel.mixed("st", "uv")),
        ([(0, 1, 1, 0)], (0, 1, 0, 1), kernel.mixed("st", "ts")),
    ):
        p, q, r, s = outputs
        products = width * np.mean([centred[:, p, q, a, b] * centred[:, r, s, c, d] for a, b, c, d in patterns], axis=0)
        error = products.std() / math.sqrt(products.size)
        assert abs(products.mean() - expected) < SIGMAS * error + 0.05 * abs(expected)
    splitting = kernel.covariance("st", "uv") - kernel.covariance("st", "uv", outputs=2)
    assert splitting == pytest.approx(2 * kernel.mixed("st", "uv"), rel=1e-10)


def test_bad_input_is_refused() -> None:
    for hidden in ("batch", "layer"):
        with pytest.raises(mf.AssumptionError, match=f"{hidden} normalisation"):
            mf.fluctuations(TANH.normalized(hidden=hidden))
    for inputs in (Pair(1.0, -0.1), Pair(1.0, 1.0)):
        with pytest.raises(mf.ParameterError, match="inputs"):
            mf.fluctuations(TANH, inputs=inputs)
    with pytest.raises(mf.ParameterError, match="random_inputs"):
        mf.fluctuations(TANH, random_inputs="no")  # type: ignore[arg-type]
    with pytest.raises(mf.ParameterError, match="samples"):
        OrderParameter("activity", 1, "stu")
    with pytest.raises(mf.ParameterError, match="kind"):
        OrderParameter("kernel", 1, "st")
    theory = mf.fluctuations(TANH)
    good = OrderParameter("activity", 2, "st")
    for kind, layer in (("activity", 3), ("preactivation", 0), ("preactivation", 3), ("sensitivity", 0)):
        with pytest.raises(mf.ParameterError, match="layer must be from"):
            theory.covariance(good, OrderParameter(kind, layer, "st"))
    with pytest.raises(mf.QuadratureError, match="look alike"):
        mf.fluctuations(mf.Network.uniform(mf.tanh, depth=40, weight_variance=0.5, bias_variance=0.5))
