"""Collective modes: their covariance and the eigenvalues that they move, against networks and other routes."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

import meanfield as mf
import montecarlo as mc
from meanfield.spectrum.collective import CollectiveModes, collective_modes
from meanfield.spectrum.corrected import CorrectedCount
from meanfield.spectrum.limit import limit_model
from meanfield.spectrum.limit_density import LimitDensity
from meanfield.spectrum.limit_solver import solve
from meanfield.spectrum.places import places

RULE = 1e-7
"""Of averages over zeta, relative: Gauss-Hermite makes an error of exp(-20) at its farthest pole."""
NODES = 1e-6
"""Of det K with few nodes z, relative."""
SIGMAS = 4.5
LEFT_OUT = 0.05
"""By how much lambda_max may be off at L = 5 and 8 and M = 300, relative: terms of O(L/M) and networks that differ."""

UNEQUAL = mf.Network(
    activations=[mf.tanh, mf.gelu, mf.relu],
    width_ratios=[1.0, 0.7, 1.3, 0.8],
    weight_variance=[2.7, 1.5, 2.0, 1.2],
    bias_variance=0.5,
)
DEEP = mf.Network.uniform(mf.gelu, depth=8, weight_variance=2.0)


def both(network: mf.Network, width: int, samples: int) -> tuple[LimitDensity, CollectiveModes]:
    order = mf.propagate(network)
    limit = LimitDensity(limit_model(network, order, network.widths(width)[:-1], samples))
    return limit, collective_modes(network, order, width=width)


def measured_modes(network: mf.Network, width: int, samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the covariance over the samples of A, E, D of all layers, by their definition."""
    finite = mc.sample_network(network, width=width, rng=rng)
    sweep = mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng))
    rows = []
    for l, h in enumerate(sweep.h):
        common = h.mean(axis=0) if l else np.zeros(h.shape[1])
        delta = sweep.delta[l - 1][0] if l else np.zeros_like(h)
        own = h - common
        rows += [own @ common / h.shape[1], np.mean(own**2, axis=1), (delta - delta.mean(axis=0)) @ delta.mean(axis=0)]
    return width * np.cov(rows)


@pytest.mark.parametrize(
    "network", [mf.Network.uniform(mf.relu, depth=4, weight_variance=2.0), UNEQUAL], ids=["relu", "unequal"]
)
def test_covariance_of_the_modes_is_that_of_networks(network: mf.Network) -> None:
    """Every entry, within a layer and across, forward and backward."""
    rng = np.random.default_rng(4)
    measured = np.array([measured_modes(network, 300, 800, rng) for _ in range(24)])
    expected = collective_modes(network, mf.propagate(network)).covariance()
    used = np.diag(expected) > 0
    assert used.sum() == 3 * network.depth - 2
    deviation = (measured.mean(axis=0) - expected)[np.ix_(used, used)]
    error = (measured.std(axis=0, ddof=1) / math.sqrt(len(measured)))[np.ix_(used, used)]
    assert np.all(np.abs(deviation) < SIGMAS * error)
    size = np.sqrt(np.diag(expected)[used])
    assert np.all(error < 0.1 * np.outer(size, size))  # or the comparison would say little


@pytest.mark.parametrize(
    ("pole", "variance"), [(2.0 + 0.5j, 1.0), (1.5 - 1e-4j, 1.0), (-3.0 - 0.5j, 0.4), (9.0 - 1e-9j, 1.3), (90.0, 1.0)]
)
def test_averages_of_rational_functions_of_zeta(pole: complex, variance: float) -> None:
    """N/(1 - t/pole) with N of every degree that occurs; the path of zeta has poles near the axis above it."""
    t, weights = places(np.array([1.0 + 0j]), np.array([-1 / pole + 0j]), variance)
    scale = mpmath.sqrt(2 * variance)
    for power in range(5):

        def value(s: mpmath.mpf, power: int = power) -> mpmath.mpc:
            path, slope = mpmath.mpc(s, -0.3 * mpmath.tanh(s)), mpmath.mpc(1, -0.3 / mpmath.cosh(s) ** 2)
            t = (scale * path) ** 2
            return mpmath.exp(-(path**2)) * slope * t**power / (1 - t / mpmath.mpc(pole))

        with mpmath.workdps(25):
            exact = complex(mpmath.quad(value, [-9, -4, -2, -1, 0, 1, 2, 4, 9]) / mpmath.sqrt(mpmath.pi))
        assert complex(np.sum(weights * t**power)) == pytest.approx(exact, rel=RULE)


def test_linear_networks_have_nothing_to_move() -> None:
    """Their Gaussian model is exact: det K = 1, with biases and unequal layers too, at every x."""
    network = mf.Network(
        activations=[mf.identity] * 4,
        width_ratios=[1.0, 0.7, 1.3, 0.8, 1.0],
        weight_variance=[1.7, 1.2, 0.9, 2.0, 1.0],
        bias_variance=0.5,
    )
    limit, modes = both(network, 300, 400)
    x = limit.mean * np.array([0.1, 1.0, 4.0, 30.0])
    states = solve(limit.cavity, x)
    assert np.all(states[:2, 0].imag > 0.01 * np.abs(states[:2, 0]))  # inside the spectrum
    assert modes.moved(states) == pytest.approx(np.zeros(4), abs=1e-9)
    for state in states:
        assert abs(np.linalg.det(modes.matrix(state))) == pytest.approx(1.0, rel=1e-9)


def test_far_from_the_spectrum_nothing_is_moved_and_the_matrix_is_symmetric() -> None:
    limit, modes = both(UNEQUAL, 300, 400)
    for factor in (1e3, 1e5):
        states = solve(limit.cavity, np.array([factor * limit.mean]))
        matrix = modes.matrix(states[0])
        np.testing.assert_allclose(matrix, matrix.T, rtol=1e-12)
        assert abs(np.linalg.det(matrix)) == pytest.approx(1.0, abs=2 / factor)
        assert modes.moved(states)[0] == pytest.approx(0.0, abs=1e-9)


def test_one_hidden_layer_in_closed_form() -> None:
    """For L = 2 only the length of the inputs matters: |det K| = 1 + 2 g/alpha_0 x alpha_1 <M' Lambda J M>.

    Here M is (E phi''/2, zeta E phi'''/2) s_w^2; z and zeta are integrated by brute force.
    """
    network = mf.Network.uniform(mf.gelu, depth=2, weight_variance=2.0, bias_variance=0.4)
    limit, modes = both(network, 400, 600)
    x = np.array([0.5 * limit.mean])
    state = solve(limit.cavity, x)[0]
    g, s0 = state
    layer = limit.model.layers[0]
    n, q0 = layer.nodes, 1.0
    v = layer.down * q0 * g / (1 + (limit.model.forward + s0) * q0 * g)
    y, y_weights = np.polynomial.hermite_e.hermegauss(80)
    y_weights = y_weights / y_weights.sum()
    z = modes.layers[0].squares.z
    own = network.weight_variance[0]
    u = math.sqrt(network.bias_variance[0]) * z[:, None] + math.sqrt(own) * y
    second = [f(u) @ (y_weights * (y * y - 1)) / own for f in (mf.gelu.value, mf.gelu.slope)]
    zeta = np.linspace(-9, 9, 2001) * math.sqrt(layer.spread)
    weights = np.exp(-(zeta**2) / (2 * layer.spread))
    total = 0j
    for i, weight in enumerate(n.weights):
        for one, share in zip(zeta, weights / weights.sum(), strict=True):
            if share < 1e-16:
                continue
            b = n.response[i], one * n.curvature[i]
            c = v * np.outer(b, b) + g * np.array(
                [
                    [n.activity_noise[i], one * n.noise_covariance[i]],
                    [one * n.noise_covariance[i], one**2 * n.slope_noise[i] + n.slope_variance[i] * layer.excess],
                ]
            )
            couplings = np.diag([layer.forward, layer.backward])
            m = own / 2 * np.array([second[0][i], one * second[1][i]])
            total += weight * share * (m @ couplings @ np.linalg.inv(np.eye(2) + c @ couplings) @ m)
    expected = 1 + 2 * g * total
    matrix = modes.matrix(state)
    assert np.linalg.det(matrix) == pytest.approx(expected, rel=NODES)  # (-1)^6 of the two blocks
    assert modes.moved(state[None])[0] == pytest.approx(np.angle(expected) / math.pi, abs=NODES)


def test_the_phase_at_each_place_is_that_of_a_path_from_infinity() -> None:
    limit, modes = both(DEEP, 400, 400)
    x = limit.mean * np.geomspace(100.0, 2.0, 50)
    states = solve(limit.cavity, x)
    determinants = np.array([np.linalg.det(modes.matrix(state)) for state in states])
    turns = np.angle(determinants[1:] / determinants[:-1])
    turns[turns < -math.pi / 2] += 2 * math.pi
    moved = modes.moved(states)
    assert moved[1:] == pytest.approx(np.cumsum(turns) / math.pi, abs=1e-9)
    assert moved.max() == pytest.approx(1.0, abs=1e-6)  # one zero of det K: one eigenvalue stands alone
    assert moved.min() == pytest.approx(0.0, abs=1e-9)


def test_one_eigenvalue_of_deep_networks_stands_alone() -> None:
    """gelu, L = 8: lambda_max is half as large again as the density alone has it, the second largest is not."""
    width, samples, members = 300, 300, 40
    network = DEEP.normalized(output="mean")
    theory = mf.spectrum(network, width=width, samples=samples)
    measured = []
    for seed in range(members):
        rng = np.random.default_rng(seed)
        finite = mc.sample_network(network, width=width, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng))
        measured.append(np.linalg.eigvalsh(mc.dual_gram(sweep))[[-1, -2]])
    for k, values in enumerate(np.transpose(measured), start=1):
        expected = theory.kth_largest(k)
        error = values.std(ddof=1) / math.sqrt(members)
        assert abs(values.mean() - expected) < SIGMAS * error + LEFT_OUT * expected
    density_alone = LimitDensity(limit_model(network, theory.order, network.widths(width)[:-1], samples))
    largest = np.array(measured)[:, 0]
    without = density_alone.place(0.28 / samples)
    assert largest.mean() - without > 2 * SIGMAS * largest.std(ddof=1) / math.sqrt(members)
    assert theory.largest > 1.5 * without
    assert theory.number_above(1.1 * without) == pytest.approx(1.0, abs=0.1)
    assert any("collective mode moves" in warning for warning in theory.validity)


def test_relu_networks_with_more_samples_than_units() -> None:
    """L = 5, T = 4 M: the modes and units with large gradients make the same eigenvalues, and no one stands alone."""
    width, samples = 250, 1000
    network = mf.Network.uniform(mf.relu, depth=5, weight_variance=2.0, output_normalization="mean")
    theory = mf.spectrum(network, width=width, samples=samples)
    ensemble = mc.run_ensemble(mc.EigenvalueExperiment(network, width, samples), members=24, seed=3)
    values = np.array([member.largest.lower for member in ensemble.members])
    error = values.std(ddof=1) / math.sqrt(values.size)
    assert abs(values.mean() - theory.largest) < SIGMAS * error + LEFT_OUT * theory.largest
    limit, modes = both(network, width, samples)
    without = CorrectedCount(limit, None, samples).place(0.5)
    corrected = CorrectedCount(limit, modes, samples).place(0.5)
    assert 1.02 < corrected / without < 1.1


def test_wide_networks_do_not_need_the_correction() -> None:
    """relu, L = 3: its share of lambda_max falls off with the width."""
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    shares = []
    for width in (100, 1000, 10000):
        limit, modes = both(network, width, width)
        with_modes, without = (CorrectedCount(limit, m, width).place(0.3) for m in (modes, None))
        shares.append(with_modes / without - 1)
    assert 0.0 < shares[0] < 0.02
    assert shares[2] < shares[1] / 1.5 < shares[0] / 1.5**2


def test_several_outputs_are_counted_without_modes() -> None:
    network = mf.Network.uniform(mf.relu, depth=5, weight_variance=2.0, outputs=3, output_normalization="mean")
    theory = mf.spectrum(network, width=300, samples=600)
    limit, _ = both(network, 300, 600)
    assert theory.number_above(4.0) == pytest.approx(1800 * float(limit.above(np.array([4.0]))[0]), rel=1e-9)
    assert any("left out for several" in warning for warning in theory.validity)


def test_places_have_their_counts() -> None:
    limit, modes = both(mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0), 300, 300)
    count = CorrectedCount(limit, modes, 300)
    for number in (20.3, 0.3, 120.0, 5.0):
        assert count.above(np.array([count.place(number)]))[0] == pytest.approx(number, rel=1e-6)
    assert count.place_of_median() < count.place_of_mean(1)
