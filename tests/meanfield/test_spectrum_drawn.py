"""The spectrum of models with drawn nodes, against matrices drawn from the same models and closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from gaussian_equivalent import dual_and_outputs, dual_matrix
from numpy.typing import NDArray
from problems import RELU, TANH
from tolerances import SIGMAS

import meanfield as mf
from meanfield.quadrature import common_part
from meanfield.spectrum.drawn import Drawn, DrawnModel, model_of
from meanfield.spectrum.drawn_cavity import Cavity, Field
from meanfield.spectrum.drawn_edge import _Curve, edge_of
from meanfield.spectrum.nodes import nodes_of

OF_LIMIT = 2.0
"""Of a resolvent of T samples from its limit, in units of 1/T of itself."""

OF_SHIFT = 0.3
"""Of the Tracy-Widom shift at some hundred eigenvalues: its own corrections go as their number to the -2/3."""

OF_REMOVED = 0.3
"""Of what a projection removes: the resolvent changes much over the width of the edge, T^(-1/3) of which is missing."""

EDGE = 1e-5
"""Of the position of an edge, relative; the search stops at 1e-6."""

STABLE = 2e-3
"""How far right of an edge iterations converge within some hundred steps, relative."""


def model(network: mf.Network, width: int, samples: int, seed: int = 0) -> DrawnModel:
    widths = network.widths(width)[:-1]
    return model_of(network, widths, samples, Drawn(np.random.default_rng(seed), network, widths))


def iterate(cavity: Cavity, x: complex, steps: int) -> tuple[Field, float]:
    """Return g after iterations from zero, and the last change, infinite beyond a pole or an eigenvalue."""
    unit = np.eye(cavity.model.outputs)
    state: Field = cavity.start().astype(complex)
    change = math.inf
    for _ in range(steps):
        sweep = cavity.sweep(state)
        new = cavity.with_g(np.linalg.inv(sweep.total - x * unit), sweep.rest)
        if x.imag == 0 and (sweep.distance <= 0 or np.linalg.eigvals(cavity.g(new)).real.max() >= 0):
            return cavity.g(state), math.inf
        new = new if x.imag == 0 else (new + state) / 2
        change = float(np.max(np.abs(new - state) / cavity.sizes(np.abs(new))))
        state = new
        if change < 1e-10:
            break
    return cavity.g(state), change


NETWORKS = {
    "relu": (RELU, 300, 300),
    "three outputs": (replace(TANH, outputs=3), 120, 120),
    "four layers, wider and narrower": (
        mf.Network(
            activations=[mf.relu, mf.gelu, mf.tanh],
            width_ratios=[1.0, 0.5, 1.5, 0.8],
            weight_variance=[2.0, 1.5, 3.0, 1.0],
            bias_variance=[0.1, 0.5, 0.2, 0.0],
            outputs=2,
        ),
        150,
        200,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_resolvent_and_the_edge_are_those_of_matrices_with_the_same_nodes(name: str) -> None:
    network, width, samples = NETWORKS[name]
    drawn = model(network, width, samples)
    rng = np.random.default_rng(1)
    spectra = np.array([np.linalg.eigvalsh(dual_matrix(drawn, rng)) for _ in range(12)])
    cavity = Cavity(drawn)
    edge = edge_of(cavity)
    for x in (edge.position * complex(*place) for place in ((0.2, 0.1), (0.8, 0.1), (1.2, 0.0))):
        g, change = iterate(cavity, x, 1000)
        assert change < 1e-9
        direct = np.mean(1 / (spectra - x), axis=1)
        error = np.std(direct, ddof=1) / math.sqrt(len(direct))
        theory = np.trace(g) / network.outputs
        assert abs(direct.mean() - theory) <= SIGMAS * error + OF_LIMIT / samples * abs(theory)
    largest = spectra[:, -1]
    error = largest.std(ddof=1) / math.sqrt(largest.size)
    shift = edge.position - edge.largest
    assert abs(largest.mean() - edge.largest) <= SIGMAS * error + OF_SHIFT * shift
    assert 0.4 < largest.std(ddof=1) / edge.largest_sd < 1.6


@pytest.mark.parametrize("outputs", [1, 3])
def test_what_is_orthogonal_to_the_outputs(outputs: int) -> None:
    """Against the resolvent between outputs, and eigenvalues, of matrices with the same nodes."""
    samples, draws = 150, 40
    drawn = model(replace(TANH, outputs=outputs), 150, samples)
    cavity, rng = Cavity(drawn), np.random.default_rng(2)
    edge = edge_of(cavity, orthogonal_to_outputs=True)
    x = 1.3 * edge.position
    between, losses = [], []
    for _ in range(draws):
        dual, u = dual_and_outputs(drawn, rng)
        vectors = np.zeros((outputs, outputs * samples))
        for k in range(outputs):
            vectors[k, k * samples : (k + 1) * samples] = u[k]
        solved = np.linalg.solve(dual - x * np.eye(len(dual)), vectors.T)
        between.append(np.sum(vectors.T * solved, axis=0) / samples)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        projection = np.eye(len(dual)) - vectors.T @ vectors
        losses.append(np.linalg.eigvalsh(dual)[-1] - np.linalg.eigvalsh(projection @ dual @ projection)[-1])
    error = np.std(between, axis=0, ddof=1) / math.sqrt(draws)
    theory = cavity.of_outputs(right_of(cavity, x))
    assert np.all(np.abs(np.mean(between, axis=0) - theory) <= SIGMAS * error + OF_LIMIT / samples * np.abs(theory))
    error = np.std(losses, ddof=1) / math.sqrt(draws)
    assert abs(np.mean(losses) - edge.removed) <= SIGMAS * error + OF_REMOVED * edge.removed
    assert edge.removed > 3 * error


def right_of(cavity: Cavity, x: float) -> Field:
    """Return the state right of the spectrum."""
    state: Field = cavity.start()
    for _ in range(200):
        sweep = cavity.sweep(state)
        state = cavity.with_g(np.linalg.inv(sweep.total - x * np.eye(cavity.model.outputs)), sweep.rest)
    return state


def test_the_edge_of_a_linear_network_is_that_of_a_closed_form() -> None:
    """(1/T) X'(Q I + W'W) X: Marchenko-Pastur over a population that is itself Marchenko-Pastur."""
    network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.7, bias_variance=0.4)
    width, samples = 400, 500
    drawn = model(network, width, samples)
    q = float(drawn.forward[0, 0])

    def of_wishart(x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Tr (W'W - x)^-1/M, right of the spectrum, where it is negative."""
        return np.asarray((-x + np.sqrt(x * (x - 4 * 1.7))) / (2 * 1.7 * x))

    g = -np.geomspace(1e-3, 1, 400_001) / (q + 4 * 1.7)
    inverse = of_wishart(-q - 1 / g[:-1]) / g[:-1]  # <1/(1 + tau g)>, tau = q + w
    x = -1 / g[:-1] + width / samples * (1 - inverse) / g[:-1]
    edge = edge_of(Cavity(drawn))
    at = int(np.argmin(x))
    assert edge.position == pytest.approx(x[at], rel=EDGE)
    curvature = np.polyfit(g[at - 500 : at + 500] - g[at], x[at - 500 : at + 500], 2)[0] * 2
    assert edge.curvature == pytest.approx(curvature, rel=0.05)
    rng = np.random.default_rng(0)
    top = np.mean([np.linalg.eigvalsh(dual_matrix(drawn, rng))[-1] for _ in range(4)])
    assert top == pytest.approx(edge.largest, rel=0.03)


@pytest.mark.parametrize(
    ("network", "width", "samples"),
    [
        (RELU, 200, 200),
        (replace(TANH, outputs=4), 100, 100),
        (mf.Network.uniform(mf.relu, depth=5, weight_variance=2.0), 400, 2000),
        (mf.Network.uniform(mf.relu, depth=8, weight_variance=2.0), 600, 1200),
        (mf.Network.uniform(mf.gelu, depth=4, weight_variance=2.0, bias_variance=0.1, outputs=2), 200, 300),
    ],
    ids=["relu", "four outputs", "five layers, small rho", "eight layers", "gelu"],
)
def test_right_of_the_edge_iterations_from_zero_converge_and_left_of_it_they_do_not(
    network: mf.Network, width: int, samples: int
) -> None:
    for seed in range(2):
        cavity = Cavity(model(network, width, samples, seed))
        edge = edge_of(cavity)
        inside, change = iterate(cavity, complex(edge.position * (1 + STABLE)), 1500)
        assert change < 1e-8
        assert np.trace(inside).real / network.outputs > edge.trace
        assert iterate(cavity, complex(edge.position * (1 - STABLE)), 1500)[1] > 1e-8


def test_many_nodes_are_the_average_over_their_law() -> None:
    """The cavity equations of one output with averages over z and zeta by quadrature, written out."""
    width, x = 20_000, 4.0 + 1.0j
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
    drawn = [complex(iterate(Cavity(model(network, width, width, seed)), x, 400)[0][0, 0]) for seed in range(4)]
    expected = by_quadrature(network, x)
    error = np.std(drawn, ddof=1) / 2
    assert abs(np.mean(drawn) - expected) <= SIGMAS * error
    assert error < 2e-3 * abs(expected)


def by_quadrature(network: mf.Network, x: complex) -> complex:
    """Return g for C = 1, equal layers and rho = 1."""
    order = mf.propagate(network)
    s_w, phi, depth = network.weight_variance[0], network.activations[0], network.depth
    (qhat, qhat_st), (q, q_st), (qtilde, qtilde_st) = order.activity, order.preactivation, order.backward
    r = sum((qtilde[l] - qtilde_st[l]) * (qhat[l] - qhat_st[l]) for l in range(depth))
    functions = [phi.value, phi.slope]
    nodes = [
        nodes_of(phi, common_part(functions, covariance=q_st[l], difference=q[l] - q_st[l])) for l in range(depth - 1)
    ]
    xi, weight = np.polynomial.hermite_e.hermegauss(60)
    weight = weight / weight.sum()

    def mean(l: int, values: NDArray[np.complex128]) -> complex:
        return complex(weight @ (values @ nodes[l - 1].weights))

    g, v, u, s, d = 0j, [0j] * depth, [0j] * (depth + 1), [0j] * depth, [0j] * (depth + 1)
    for _ in range(400):
        a0 = qtilde_st[0] + s[0]
        total = r + a0 / (1 + a0 * g)
        v[1] = s_w * g / (1 + a0 * g)
        for l in range(1, depth):
            n, zeta = nodes[l - 1], np.sqrt(s_w * qtilde_st[l]) * xi[:, None]
            v_g = s_w * (qtilde[l] - qtilde_st[l])
            a, b = qtilde_st[l] + s[l] * (l < depth - 1), qhat_st[l - 1] + d[l]

            c11 = v[l] * n.response**2 + g * n.activity_noise + 0 * zeta
            c12 = zeta * (v[l] * n.response * n.curvature + g * n.noise_covariance)
            c22 = zeta**2 * (v[l] * n.curvature**2 + g * n.slope_noise)
            c22 = c22 + g * n.slope_variance * v_g + (u[l] * n.slope**2 if l < depth - 1 else 0)
            det = c11 * c22 - c12**2
            delta = 1 + a * c11 + b * c22 + a * b * det
            p11, p22, p12 = a * (1 + b * c22) / delta, b * (1 + a * c11) / delta, -a * b * c12 / delta
            total += mean(
                l,
                n.activity_noise * p11
                + 2 * zeta * n.noise_covariance * p12
                + (zeta**2 * n.slope_noise + n.slope_variance * v_g) * p22,
            )
            if l + 1 < depth:
                v[l + 1] = s_w * mean(l, (c11 + b * det) / delta)
                d[l + 1] = s_w * mean(l, n.slope**2 * p22)
            u[l - 1] = s_w * mean(l, (c22 + a * det) / delta)
            linear = n.response**2 * p11 + 2 * zeta * n.response * n.curvature * p12 + zeta**2 * n.curvature**2 * p22
            s[l - 1] = s_w * mean(l, linear)
        g = (g + 1 / (total - x)) / 2
    return g


def test_nodes_in_bins_and_one_by_one() -> None:
    drawn = model(replace(TANH, outputs=3), 150, 150)
    binned, single = (edge_of(Cavity(drawn, bins)) for bins in (None, 150))
    assert binned.position == pytest.approx(single.position, rel=5e-3)
    assert binned.position != single.position


def test_drawn_z_may_be_far_apart() -> None:
    class Far(Drawn):
        def common(self, layer: int, activity: NDArray[np.float64], deviation: float) -> NDArray[np.float64]:
            z = super().common(layer, activity, deviation)
            z[:3] = -45.0, 9.0, 60.0
            return z

    for network in (RELU, replace(TANH, outputs=2)):
        widths = network.widths(100)[:-1]
        far = model_of(network, widths, 100, Far(np.random.default_rng(0), network, widths))
        assert edge_of(Cavity(far)).position > 0


def test_multiplied_outputs_multiply_the_spectrum() -> None:
    drawn = model(replace(TANH, outputs=2), 80, 80)
    edge, larger = (edge_of(Cavity(drawn.rescaled(np.full(2, scale)))) for scale in (1.0, 3.0))
    assert larger.position == pytest.approx(9 * edge.position, rel=EDGE)
    assert larger.scale == pytest.approx(9 * edge.scale, rel=1e-2)


def test_what_is_not_the_edge_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    cavity = Cavity(model(RELU, 100, 100))
    edge = edge_of(cavity)
    at = _Curve.at

    def cut(self: _Curve, t: float, near: object) -> object:
        return at(self, t, near) if t > 0.9 * edge.trace else None  # type: ignore[arg-type]

    monkeypatch.setattr(_Curve, "at", cut)
    with pytest.raises(mf.EdgeError, match="not found: x\\(t\\) ends at"):
        edge_of(cavity)
