"""No matrix leaves without a look: some of its entries are computed again, pair by pair, with ``mf.overlap``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import QuadratureError
from ..gaussian import Array
from ..quadrature import AUTO
from .layers import Chain
from .matrices import Problem

_PAIRS = 6

_PARALLEL = 1e-6
"""Pairs whose correlation is closer to 1 or -1 are not compared: rounding of the products of the inputs decides."""

_SMOOTH, _BROKEN = 1e3, 1e-7
"""What is allowed: so many tolerances; or this, behind slopes that jump, where correlations come close to 1."""


def check(problem: Problem, covariance: Array, tangent: Array | None, *, rows: slice, tolerance: float) -> float:
    """Return the largest difference of some entries, or the estimated error, or raise ``QuadratureError``."""
    s, t = _pairs(problem, rows)
    chain = problem.chain
    worst = chain.error
    if s.size:
        overlaps = _overlaps(problem, s, t)
        other = t + problem.offset
        for name, matrix, own, expected in zip(
            ("covariance", "tangent kernel"),
            (covariance, tangent),
            (chain.covariance, chain.tangent),
            pairwise(chain, overlaps, s, other),
            strict=True,
        ):
            if matrix is None or own is None or expected is None:
                continue
            scale = np.sqrt(own[s] * own[other])
            difference = np.abs(matrix[s - rows.start, t] - expected)
            worst = max(worst, float(np.divide(difference, scale, out=np.zeros_like(scale), where=scale > 0).max()))
            if not worst <= allowed(problem, tolerance):
                raise QuadratureError(
                    f"the {name} differs by {worst:.1e} from integrals taken pair by pair, more than the "
                    f"{allowed(problem, tolerance):.1e} that the tolerance allows. If an activation has kinks or jumps "
                    "that are not declared, declare them: ScalarFunction(f, kinks=..., jumps=...); "
                    "mf.check_activation finds false declarations"
                )
    return worst


def allowed(problem: Problem, tolerance: float) -> float:
    """Return how far an entry may be from ``mf.overlap``."""
    if problem.dtype == np.float32:
        return 1e-3
    broken = any(phi.slope.jumps for phi in problem.chain.network.activations)
    return max(_SMOOTH * tolerance, _BROKEN if broken else 0.0)


def pairwise(chain: Chain, qhat: Array, s: NDArray[np.intp], t: NDArray[np.intp]) -> tuple[Array, Array | None]:
    """Return the entries of both matrices for some pairs of samples, by ``mf.overlap``, from the overlaps of inputs."""
    s_w, s_b = chain.network.weight_variance, chain.network.bias_variance
    theta: Array | None = None
    for l, (phi, layer) in enumerate(zip(chain.network.activations, chain.layers, strict=True)):
        q = s_w[l] * qhat + s_b[l]
        if layer.slope is not None:
            theta = chain.own[l](qhat, q) + (0.0 if theta is None else theta)
        norm = np.ones_like(q) if layer.norm is None else layer.norm[s].astype(float) * layer.norm[t]
        sd, other_sd = layer.sd[s].astype(float), layer.sd[t].astype(float)
        limit = sd * other_sd
        gaussians = sd * sd, np.clip(q / norm, -limit, limit), other_sd * other_sd
        qhat = AUTO.overlap(phi.value, *gaussians).value
        if theta is not None:
            theta = theta * (s_w[l + 1] / norm * AUTO.overlap(phi.slope, *gaussians).value)
    q = s_w[-1] * qhat + s_b[-1]
    return q, None if theta is None else theta + chain.own[-1](qhat, q)


def _pairs(problem: Problem, rows: slice) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return some pairs of different samples, always the same ones, the largest and the smallest among them."""
    rng = np.random.default_rng(0)
    s = rng.integers(rows.start, rows.stop, 2 * _PAIRS)
    t = rng.integers(0, problem.columns, 2 * _PAIRS)
    squares, other = problem.inputs.squares, problem.inputs.other_squares
    within = squares[rows]
    s[:3] = rows.start + np.array([within.argmax(), within.argmin(), within.argmax()])
    t[:3] = other.argmax(), other.argmin(), other.argmin()
    apart = np.abs(_overlaps(problem, s, t)) <= (1 - _PARALLEL) * np.sqrt(squares[s] * other[t])
    if problem.inputs.symmetric:
        apart &= s != t
    return s[apart][:_PAIRS], t[apart][:_PAIRS]


def _overlaps(problem: Problem, s: NDArray[np.intp], t: NDArray[np.intp]) -> Array:
    """Return the overlaps of some pairs of inputs."""
    found, one = np.empty(s.size), np.empty((1, 1), dtype=problem.dtype)
    for n, (i, j) in enumerate(zip(s.tolist(), t.tolist(), strict=True)):
        problem.inputs.products(slice(i, i + 1), slice(j, j + 1), one)
        found[n] = one[0, 0] * problem.inputs.factor
    return found
