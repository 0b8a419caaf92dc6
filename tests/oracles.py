"""Independent computations, written as plainly as possible and by other means than the packages.

Gaussian integrals at 30 digits: for smooth functions the trapezoidal rule on a square lattice in the plane of (u, v)
itself (the package integrates in decorrelated coordinates); for functions that are linear on both sides of zero, polar
coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mpmath import mp, mpf
from numpy.typing import NDArray

import meanfield as mf
import montecarlo as mc

DIGITS = 30
_NEGLIGIBLE = mpf(10) ** (-DIGITS - 5)

Real = Any  # mpmath has no types
Function = Callable[[Real], Real]


def _ramp(positive: float, negative: float) -> tuple[Function, Function]:
    return (lambda u: (positive if u > 0 else negative) * u), (lambda u: mpf(positive if u > 0 else negative))


SMOOTH: dict[str, tuple[Function, Function]] = {
    "tanh": (mp.tanh, lambda u: 1 / mp.cosh(u) ** 2),
    "sigmoid": (lambda u: 1 / (1 + mp.exp(-u)), lambda u: 1 / (2 * mp.cosh(u / 2)) ** 2),
    "erf": (mp.erf, lambda u: 2 / mp.sqrt(mp.pi) * mp.exp(-u * u)),
}
"""Value and slope, analytic within a strip of half-width 1.5 around the real axis."""

HOMOGENEOUS: dict[str, tuple[Function, Function]] = {
    "relu": _ramp(1, 0),
    "absolute": _ramp(1, -1),
    "identity": _ramp(1, 1),
    "leaky_relu(0.2)": _ramp(1, 0.2),
}
"""Value and slope, homogeneous of degree 1 and 0."""


def overlap(name: str, part: int, a: Real, b: Real) -> Real:
    """E f(u) f(v) at DIGITS digits; ``part`` 0 is the value of the activation, 1 its slope; |b| < a or b = a."""
    with mp.workdps(DIGITS + 5):
        a, b = mpf(a), mpf(b)
        if name in HOMOGENEOUS:
            return _polar(HOMOGENEOUS[name][part], 1 - part, a, b)
        f = SMOOTH[name][part]
        return _line(f, a) if a == b else _plane(f, a, b)


def _polar(f: Function, degree: int, a: Real, b: Real) -> Real:
    angle = mp.acos(b / a)
    kinks = sorted({mpf(0), *(x % (2 * mp.pi) for x in (mp.pi / 2, -mp.pi / 2, angle + mp.pi / 2, angle - mp.pi / 2))})
    around = mp.quad(lambda t: f(mp.cos(t)) * f(mp.cos(t - angle)), [*kinks, 2 * mp.pi]) / (2 * mp.pi)
    return around * (2 * a) ** degree  # E r^2 = 2 a


def _line(f: Function, a: Real) -> Real:
    h = mpf("0.1") * min(1, mp.sqrt(a))
    grid = [i * h for i in range(-int(12.5 * mp.sqrt(a) / h) - 1, int(12.5 * mp.sqrt(a) / h) + 2)]
    return h / mp.sqrt(2 * mp.pi * a) * mp.fsum(f(u) ** 2 * mp.exp(-u * u / (2 * a)) for u in grid)


def _plane(f: Function, a: Real, b: Real) -> Real:
    # The density's narrow direction, of variance a - |b|, must be resolved too
    h = min(mpf("0.1"), mp.sqrt(a - abs(b)) / 2)
    n = int(12.5 * mp.sqrt(a) / h) + 1
    grid = range(-n, n + 1)
    # The density is a product of Gaussians in u + v and u - v; beyond 30 digits it is left out
    values = [f(i * h) for i in grid]
    plus = [mp.exp(-((k * h) ** 2) / (4 * (a + b))) for k in range(2 * n + 1)]
    minus = [mp.exp(-((k * h) ** 2) / (4 * (a - b))) for k in range(2 * n + 1)]
    total = mp.fsum(
        values[i + n] * values[j + n] * plus[abs(i + j)] * minus[abs(i - j)]
        for i in grid
        for j in grid
        if plus[abs(i + j)] * minus[abs(i - j)] > _NEGLIGIBLE
    )
    return total * h**2 / (2 * mp.pi * mp.sqrt(a * a - b * b))


def kappas(network: mf.Network) -> tuple[Real, Real]:
    """kappa_1 and kappa_2 at DIGITS digits, straight from (5)-(7) and (11); with layer norm from (S.74), (S.87)."""
    with mp.workdps(DIGITS + 5):
        depth, layer_norm = network.depth, network.hidden_normalization == "layer"
        names = [phi.name for phi in network.activations]
        qhat = [(mpf(1), mpf(0))]
        q = []
        for l in range(depth):
            q.append(tuple(mpf(network.weight_variance[l]) * x + mpf(network.bias_variance[l]) for x in qhat[l]))
            if l < depth - 1:
                t, st = (mpf(1), q[l][1] / q[l][0]) if layer_norm else q[l]
                qhat.append((overlap(names[l], 0, t, t), overlap(names[l], 0, t, st)))
        qtilde = {depth: (mpf(1), mpf(1))}
        for l in range(depth - 1, 0, -1):
            t, st = (mpf(1), q[l - 1][1] / q[l - 1][0]) if layer_norm else q[l - 1]
            factor = mpf(network.weight_variance[l]) / (q[l - 1][0] if layer_norm else 1)
            above = qtilde[l + 1]
            qtilde[l] = (
                factor * above[0] * overlap(names[l - 1], 1, t, t),
                factor * above[1] * overlap(names[l - 1], 1, t, st),
            )
        ratios = [mpf(ratio) for ratio in network.width_ratios]
        alpha = mp.fsum(ratios[l] * ratios[l - 1] for l in range(1, depth))
        same, cross = (
            mp.fsum(ratios[l - 1] / alpha * qtilde[l][i] * qhat[l - 1][i] for l in range(1, depth + 1)) for i in (0, 1)
        )
        return same, cross


def jacobian(
    outputs: Callable[[list[NDArray[np.float64]]], NDArray[np.float64]], parameters: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """D outputs / d parameters by central differences: shape (P, T, C), parameters in the order of the arrays."""
    step, rows = 1e-5, []
    for array in parameters:
        for index in np.ndindex(array.shape):
            value = array[index]
            array[index] = value + step
            above = outputs(parameters)
            array[index] = value - step
            below = outputs(parameters)
            array[index] = value
            rows.append((above - below) / (2 * step))
    return np.array(rows)


def normalised(u: NDArray[np.float64], choice: str) -> NDArray[np.float64]:
    """Normalise (T, M) values unit by unit or sample by sample."""
    if choice == "none":
        return u
    if choice == "mean":
        return np.stack([column - sum(column) / len(column) for column in u.T], axis=1)
    if choice == "batch":
        return np.stack([(column - np.mean(column)) / np.std(column) for column in u.T], axis=1)
    return np.stack([(row - np.mean(row)) / np.std(row) for row in u])


def _normalised_layer(network: mf.Network, layer: int, u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalise a hidden layer, by the settings of batch normalisation where there are some."""
    settings = network.batch_norm
    if settings is None:
        return normalised(u, network.hidden_normalization)
    if settings.layers is not None and layer not in settings.layers:
        return u
    columns = [(column - np.mean(column)) / np.sqrt(np.var(column) + settings.epsilon) for column in u.T]
    return settings.gamma * np.stack(columns, axis=1) + settings.beta


def from_layer(
    finite: mc.FiniteNetwork, layer: int, u: NDArray[np.float64], parameters: list[NDArray[np.float64]] | None = None
) -> NDArray[np.float64]:
    """u^L, not normalised, from the pre-activations u^l of a layer l >= 1; parameters: all weights, then all biases."""
    network, depth = finite.network, finite.network.depth
    parameters, u = [*finite.weights, *finite.biases] if parameters is None else parameters, u.copy()
    for l in range(layer, depth):
        h = network.activations[l - 1](_normalised_layer(network, l, u))
        u = np.einsum("ij,tj->ti", parameters[l], h) + np.outer(np.ones(len(h)), parameters[depth + l])
    return u


def forward(
    finite: mc.FiniteNetwork, inputs: NDArray[np.float64], parameters: list[NDArray[np.float64]] | None = None
) -> NDArray[np.float64]:
    """Return the normalised outputs, (T, C); parameters: all weights, then all biases."""
    parameters = [*finite.weights, *finite.biases] if parameters is None else parameters
    first = np.stack([parameters[0] @ x + parameters[finite.network.depth] for x in inputs])
    return normalised(from_layer(finite, 1, first, parameters), finite.network.output_normalization)


def gradients(finite: mc.FiniteNetwork, inputs: NDArray[np.float64], *, biases: bool = True) -> NDArray[np.float64]:
    """R of (S.1) for the normalised outputs, P x CT, by central differences of the plain forward pass."""
    parameters = [array.copy() for array in (*finite.weights, *finite.biases)]
    free = parameters if biases else parameters[: finite.network.depth]
    differences = jacobian(lambda _: forward(finite, inputs, parameters), free)
    return np.asarray(np.swapaxes(differences, 1, 2).reshape(len(differences), -1) / np.sqrt(len(inputs)))


def hessian_at_zero_error(finite: mc.FiniteNetwork, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differentiate E = (1/2T) sum_t |y(t) - f(t)|^2 twice where y = f: differences of grad E, and for it of f."""
    samples, labels = len(inputs), forward(finite, inputs)
    parameters = [array.copy() for array in (*finite.weights, *finite.biases)]

    def gradient(_: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        slopes = jacobian(lambda _: forward(finite, inputs, parameters), parameters)
        return np.asarray(np.einsum("ptk,tk->p", slopes, forward(finite, inputs, parameters) - labels) / samples)

    return jacobian(gradient, parameters)


def dual_gram(sweep: mc.Sweep, *, biases: bool) -> NDArray[np.float64]:
    """F* entry by entry of the formula: (S.8)-(S.9), then G on both sides for mean subtraction."""
    samples, outputs = sweep.outputs.shape
    total = np.zeros((outputs, samples, outputs, samples))
    for h, delta in zip(sweep.h, sweep.delta, strict=True):
        total += np.einsum("ksi,jti->ksjt", delta, delta) * (h @ h.T + biases)[:, None, :] / samples
    if sweep.finite_network.network.output_normalization == "mean":
        g = np.eye(samples) - 1 / samples
        total = np.einsum("rs,ksjt,tu->krju", g, total, g, optimize=True)
    return total.reshape(outputs * samples, outputs * samples)


def smoothed_overlap(name: str, a: Real, b: Real) -> Real:
    """E f(u) f(v) for functions with kinks, from E[f | z] in closed form and one integral over z."""
    with mp.workdps(20):
        a, b = mpf(a), mpf(b)
        loading, noise = mp.sqrt(abs(b)), mp.sqrt(a - abs(b))
        sign = 1 if b >= 0 else -1
        given = SMOOTHED[name]
        edges = sorted({mpf(k) for k in (-12, -6, -3, -1, 0, 1, 3, 6, 12)} | {s / loading for s in (-1, 1)})
        # a kink is smoothed over the width of the noise
        edges = sorted({*edges, *(e + s * noise / loading for e in (-1 / loading, 0, 1 / loading) for s in (-4, 4))})
        return mp.quad(lambda z: given(loading * z, noise) * given(sign * loading * z, noise) * mp.npdf(z), edges)


def _smoothed_ramp(s: Real, noise: Real) -> Real:
    """E clip(s + noise y, -1, 1), from E max(s + noise y, 0) = s Phi(s/noise) + noise phi(s/noise)."""

    def positive_part(s: Real) -> Real:
        return s * mp.ncdf(s / noise) + noise * mp.npdf(s / noise)

    return -1 + positive_part(s + 1) - positive_part(s - 1)


def _smoothed_exponential(s: Real, noise: Real) -> Real:
    """E f(s + noise y), f(u) = u for u > 0, exp(u) - 1 for u < 0."""
    linear = s * mp.ncdf(s / noise) + noise * mp.npdf(s / noise)
    return linear + mp.exp(s + noise**2 / 2) * mp.ncdf(-s / noise - noise) - mp.ncdf(-s / noise)


SMOOTHED = {"ramp": _smoothed_ramp, "kinked exponential": _smoothed_exponential}
