"""What a batch-normalised layer does to deviations: against samples of the normalised vector, and in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from tolerances import QUADRATURE, SIGMAS

import meanfield as mf

Array = NDArray[np.float64]

T = 7
DRAWS = 200_000
BATCHES = 50
G = np.eye(T) - 1 / T
TILT = 0.05
"""Of the covariance: differences of both signs are right to its square."""

PHIS = [mf.relu, mf.tanh, mf.gelu, mf.leaky_relu(0.3)]


def of_samples() -> Array:
    """Return G diag(e) G."""
    e = np.linspace(-1, 1, T) ** 3
    return G @ np.diag(e) @ G


def of_pairs() -> Array:
    """Return (1, -1, 0, ..)' (0, 0, 1, -1, 0, ..), symmetrised: no diagonal, no row sums."""
    matrix = np.zeros((T, T))
    matrix[:2, 2:4] = [[1, -1], [-1, 1]]
    return matrix + matrix.T


SHAPES = {"samples": of_samples(), "pairs": of_pairs()}


def deviation(response: mf.BatchNormResponse, name: str) -> tuple[float, float, float]:
    one = getattr(response, f"of_{name}")
    return one.forward, one.backward, one.tilt


def preactivations(covariance: Array, rng: np.random.Generator) -> Array:
    """Return u, shape (DRAWS, T), the same normal numbers for every covariance."""
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return np.asarray(rng.standard_normal((DRAWS, T)) @ root)


def measured(samples: Array) -> tuple[float, float]:
    means = samples.reshape(BATCHES, -1).mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1) / math.sqrt(BATCHES))


def agrees(samples: Array, expected: float) -> None:
    mean, error = measured(samples)
    assert abs(mean - expected) < SIGMAS * error


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("phi", PHIS, ids=repr)
def test_the_backward_map_of_deviations(phi: mf.Activation, name: str) -> None:
    shape = SHAPES[name]
    u = preactivations(G, np.random.default_rng(1))
    n = u / np.sqrt((u**2).mean(axis=1))[:, None]
    slope = phi.slope(n)
    # <S, D P S P D> with P = G - n n'/T, written as a vector v = P D S' ..: sum_st S_st D_s D_t (P S P)_st
    ns = n @ shape
    inner = np.einsum("as,as->a", ns, n)
    psp = shape[None] - (n[:, :, None] * ns[:, None] + ns[:, :, None] * n[:, None]) / T
    psp += n[:, :, None] * n[:, None] * (inner / T**2)[:, None, None]
    got = np.einsum("st,as,at,ast->a", shape, slope, slope, psp, optimize=True) / np.sum(shape**2)
    agrees(got, deviation(mf.batch_norm_response(phi, samples=T), name)[1])


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("phi", PHIS, ids=repr)
def test_the_maps_of_a_deviating_covariance(phi: mf.Activation, name: str) -> None:
    """By Gaussian preactivations of covariance G +- S themselves, not by the density on the sphere."""
    shape = SHAPES[name]
    forward, _, tilt = deviation(mf.batch_norm_response(phi, samples=T), name)
    forwards, tilts = [], []
    for sign in (1, -1):
        u = preactivations(G + sign * TILT * shape, np.random.default_rng(2))
        variance = (u**2).mean(axis=1)
        n = u / np.sqrt(variance)[:, None]
        h, d = phi(n), phi.slope(n)
        dn = d * n
        norm = 2 * TILT * sign * np.sum(shape**2)
        forwards.append(np.einsum("as,st,at->a", h, shape, h, optimize=True) / norm)
        dpd = d**2 @ np.diag(shape) - np.einsum("as,st,at->a", d, shape, d, optimize=True) / T
        dpd -= np.einsum("as,st,at->a", dn, shape, dn, optimize=True) / T
        tilts.append((T - 3) / T * dpd / variance / norm)
    agrees(forwards[0] + forwards[1], forward)
    agrees(tilts[0] + tilts[1], tilt)


@pytest.mark.parametrize("phi", PHIS, ids=repr)
def test_averages_without_deviations(phi: mf.Activation) -> None:
    response = mf.batch_norm_response(phi, samples=T)
    u = preactivations(G, np.random.default_rng(3))
    n = u / np.sqrt((u**2).mean(axis=1))[:, None]
    h, d = phi(n), phi.slope(n)
    contrast = np.array([1.0, -1.0, *([0.0] * (T - 2))]) / math.sqrt(2)
    agrees((h @ contrast) ** 2, response.own)
    dc = d * contrast
    agrees((dc**2).sum(axis=1) - dc.sum(axis=1) ** 2 / T - (dc * n).sum(axis=1) ** 2 / T, response.growth)
    a = (h - phi_mean(phi)) ** 2
    square = mf.SPHERE.second_moment(phi.slope, dimension=T - 1).value
    agrees((a[:, 0] - a[:, 1]) ** 2 / 2, response.activity_noise)
    agrees((a[:, 0] - a[:, 1]) * d[:, 0] ** 2, response.noise_covariance * square)
    agrees(d[:, 0] ** 4, response.slope_fourth * square**2)
    agrees(d[:, 0] ** 2 * d[:, 1] ** 2, response.slope_square_overlap * square**2)
    agrees(d[:, 0] * d[:, 1], response.slope_overlap * square)


def phi_mean(phi: mf.Activation) -> float:
    return float(mf.SPHERE.mean(phi.value, dimension=T - 1).value)


@pytest.mark.parametrize("samples", [4, 5, 8, 100])
def test_the_identity_in_closed_form(samples: int) -> None:
    response = mf.batch_norm_response(mf.identity, samples=samples)
    assert response.own == pytest.approx(samples / (samples - 1), rel=QUADRATURE)
    assert response.growth == pytest.approx((samples - 2) / (samples - 1), rel=QUADRATURE)
    for one in (response.of_samples, response.of_pairs):
        # n is uniform on the sphere of the contrasts: fourth moments of T/((T-1)(T+1)), no permutations needed
        assert one.forward == pytest.approx(samples / (samples + 1), rel=QUADRATURE)
        expected = 1 - 2 / (samples - 1) + 2 / ((samples - 1) * (samples + 1))
        assert one.backward == pytest.approx(expected, rel=QUADRATURE)
        expected = -(samples - 3) / (samples**2 - 1)
        assert one.tilt == pytest.approx(expected, rel=10 * QUADRATURE)


def test_the_limit_of_many_samples() -> None:
    """Lengths of relu's activities are kept, overlaps shrink by (E phi')^2/Var phi; gradients see E phi'^2."""
    response = mf.batch_norm_response(mf.relu, samples=10**6)
    near = 1e-5  # O(1/T)
    assert response.of_samples.forward == pytest.approx(response.own, rel=near)
    assert response.of_pairs.forward == pytest.approx(0.25, rel=near)
    assert response.of_samples.backward == pytest.approx(0.5, rel=near)
    assert response.of_pairs.backward == pytest.approx(0.25, rel=near)
    assert response.own == pytest.approx(0.5 - 1 / (2 * math.pi), rel=near)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(mf.ParameterError, match="samples must be an integer >= 4, got 3"):
        mf.batch_norm_response(mf.relu, samples=3)


def test_constants_are_refused() -> None:
    constant = mf.Activation("one", lambda u: 0 * u + 1.0, lambda u: 0 * u)
    with pytest.raises(mf.AssumptionError, match="must not be constant: the slope of one is 0"):
        mf.batch_norm_response(constant, samples=6)
