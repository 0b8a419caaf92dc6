"""The resolvent of the model in the limit: cavity equations for numbers, with the average over zeta in closed form.

At each node of layer l the resolvent sees the two fields (phi~, sqrt(M_l) delta~). With the covariance that the rest of
the model gives them, and the couplings a, b,

    C11 = B^2 V + s11 g,    X = B B' V + s12 g,    C22 = zeta^2 (B'^2 V + s22 g) + c0,    C12 = zeta X,
    c0 = Var(phi'|z) v_g g + U m1^2,    a = qtilde^{l+1}_st + S,    b = (M_{l-1} qhat_st + 1)/M_l + D,

the effective couplings P = (Lambda^-1 + C)^-1 and the fields' own response E = (C^-1 + Lambda)^-1 go on as

    V_{l+1} = s_w^2 <E11>,    S_{l-1} = s_w^2 (M_l/M_{l-1}) <B^2 P11 + 2 zeta B B' P12 + zeta^2 B'^2 P22>,
    U_{l-1} = s_w^2 <E22>,    D_{l+1} = s_w^2 (M_l/M_{l+1}) <m1^2 P22>,    V_1 = s_w^2 q_0 g/(1 + a_0 q_0 g),

q_0 the variance of the inputs, a_0 = qtilde^1_st + S_0, and g = (1/T) tr (F* - x)^-1 = 1/(tot - x) with

    tot = r + (M_0/T) q_0 a_0/(1 + a_0 q_0 g)
          + sum_l (M_l/T) <s11 P11 + 2 zeta s12 P12 + (zeta^2 s22 + Var(phi'|z) v_g) P22>.

With K = a/(1 + a C11) and W = B'^2 V + s22 g - X^2 K all averages over zeta follow from F1 = <1/(1/b + c0 + W zeta^2)>
and F2 = <zeta^2/(1/b + c0 + W zeta^2)>, of a Gaussian zeta: the Faddeeva function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..gaussian import Array
from .limit import LimitLayer, LimitModel

Complex = NDArray[np.complex128]

_FAR = 200.0
"""k/Var zeta beyond which the mean of zeta^2/(zeta^2 + k) is its asymptotic series; there the series has all digits."""

_TERMS = 12
"""Of that series."""


@dataclass(frozen=True, eq=False)
class _Answer:
    """What a layer gives to the others, each of shape (points,)."""

    v_above: Complex
    u_below: Complex
    s_below: Complex
    d_above: Complex
    total: Complex


class LimitCavity:
    """The cavity equations as a map of the state to itself, for many x at once.

    The state of one x is (g, S_0 .. S_{L-2}, U_1 .. U_{L-2}); states have the shape (points, 2 L - 2).
    """

    def __init__(self, model: LimitModel) -> None:
        self.model = model
        self.size = 2 * len(model.layers)
        self._layers = [_Layer(layer) for layer in model.layers]

    def map(self, state: Complex, x: Complex) -> Complex:
        """Return the right-hand sides of the equations, shape (points, 2 L - 2)."""
        model, hidden = self.model, len(self._layers)
        g = state[:, 0]
        s = [*state[:, 1 : hidden + 1].T, np.zeros_like(g)]
        u = [np.zeros_like(g), *state[:, hidden + 1 :].T, np.zeros_like(g)]
        zero = np.zeros_like(g)
        v: list[Complex] = [self._v1(g, s[0])]
        d: list[Complex] = [zero]
        for l, layer in enumerate(self._layers[:-1], start=1):
            answer = layer.answer(g, v[-1], u[l], s[l], d[-1], upward=True)
            v.append(answer.v_above)
            d.append(answer.d_above)
        total = model.constant - model.disorder * g
        for l in reversed(range(1, hidden + 1)):
            answer = self._layers[l - 1].answer(g, v[l - 1], u[l], s[l], d[l - 1], upward=False)
            s[l - 1], u[l - 1] = answer.s_below, answer.u_below
            total += answer.total
        a0 = model.forward + s[0]
        total += model.share * model.inputs * a0 / (1 + a0 * model.inputs * g)
        return np.stack([1 / (total - x), *s[:-1], *u[1:-1]], axis=-1)

    def log_determinant(self, state: Complex, x: Complex) -> Complex:
        """Return (1/T) log det (F* - x) up to a constant, at solutions of the equations.

        It is stationary in all unknowns, so that its derivative by x is -g. Every logarithm is that of a number of the
        upper half plane, so that for x + i0 the imaginary part is -pi times the share of the eigenvalues below x.
        """
        model, hidden = self.model, len(self._layers)
        g = state[:, 0]
        s = [*state[:, 1 : hidden + 1].T, np.zeros_like(g)]
        u = [np.zeros_like(g), *state[:, hidden + 1 :].T, np.zeros_like(g)]
        v: Complex = self._v1(g, s[0])
        d = np.zeros_like(g)
        a0 = model.forward + s[0]
        phi = (
            -_log(g)
            + (model.constant - x) * g
            - model.disorder * g**2 / 2
            + model.share * _log_one_plus(a0, model.inputs * g)
        )
        share = model.share
        for l, layer in enumerate(self._layers, start=1):
            phi -= share / layer.layer.down * s[l - 1] * v
            phi -= layer.layer.share / layer.layer.down * d * u[l - 1]
            phi += layer.layer.share * layer.log_determinant(g, v, u[l], s[l], d)
            answer = layer.answer(g, v, u[l], s[l], d, upward=True)
            v, d, share = answer.v_above, answer.d_above, layer.layer.share
        return phi

    def supercritical(self, state: Complex) -> Array:
        """Return how many hidden units, over T, have a gradient beyond the pole at which they make an eigenvalue."""
        hidden = len(self._layers)
        g = state[:, 0]
        s = [*state[:, 1 : hidden + 1].T, np.zeros_like(g)]
        u = [np.zeros_like(g), *state[:, hidden + 1 :].T, np.zeros_like(g)]
        v, d = self._v1(g, s[0]), np.zeros_like(g)
        share = np.zeros(g.shape)
        for l, layer in enumerate(self._layers, start=1):
            share += layer.supercritical(g, v, u[l], s[l], d)
            answer = layer.answer(g, v, u[l], s[l], d, upward=True)
            v, d = answer.v_above, answer.d_above
        return share

    def _v1(self, g: Complex, s0: Complex) -> Complex:
        own = self.model.inputs * g
        v1: Complex = self.model.layers[0].down * own / (1 + (self.model.forward + s0) * own)
        return v1


class _Layer:
    """The equations of one layer."""

    def __init__(self, layer: LimitLayer) -> None:
        self.layer = layer
        n = layer.nodes
        self.weights = n.weights
        self.bb, self.bc, self.cc = n.response**2, n.response * n.curvature, n.curvature**2
        self.s11, self.s12, self.s22 = n.activity_noise, n.noise_covariance, n.slope_noise
        self.variance, self.slope = n.slope_variance, n.slope**2

    def answer(self, g: Complex, v: Complex, u: Complex, s: Complex, d: Complex, *, upward: bool) -> _Answer:
        """Return what the layer gives upwards, V and D, or downwards, S, U and its part of tot."""
        layer = self.layer
        g, v, u, s, d = (field[:, None] for field in (g, v, u, s, d))
        a, b = layer.forward + s, layer.backward + d
        c11, x, y = self.bb * v + self.s11 * g, self.bc * v + self.s12 * g, self.cc * v + self.s22 * g
        c0 = self.variance * layer.excess * g + self.slope * u
        j = 1 / (1 + a * c11)
        k = a * j
        w = y - x * x * k
        one, over = averages(b, c0, w, layer.spread)
        f1, f2 = b * one, b * over
        nothing = np.zeros(len(g), dtype=np.complex128)
        if upward:
            v_above = layer.up * self._mean(j * c11 - (j * x) ** 2 * f2)
            return _Answer(
                v_above, nothing, nothing, layer.up * layer.ratio_above * self._mean(self.slope * f1), nothing
            )
        p11, cross = k + (k * x) ** 2 * f2, -2 * k * x * f2
        u_below = layer.down * self._mean(c0 * one + w * over)
        s_below = layer.down * layer.ratio_below * self._mean(self.bb * p11 + self.bc * cross + self.cc * f2)
        total = layer.share * self._mean(
            self.s11 * p11 + self.s12 * cross + self.s22 * f2 + self.variance * layer.excess * f1
        )
        return _Answer(nothing, u_below, s_below, nothing, total)

    def log_determinant(self, g: Complex, v: Complex, u: Complex, s: Complex, d: Complex) -> Complex:
        """Return <log det (1 + Lambda C)>."""
        layer = self.layer
        g, v, u, s, d = (field[:, None] for field in (g, v, u, s, d))
        a, b = layer.forward + s, layer.backward + d
        c11, x, y = self.bb * v + self.s11 * g, self.bc * v + self.s12 * g, self.cc * v + self.s22 * g
        c0 = self.variance * layer.excess * g + self.slope * u
        w = y - x * x * a / (1 + a * c11)
        return self._mean(_log_one_plus(a, c11) + mean_logarithm(b, c0, w, layer.spread))

    def supercritical(self, g: Complex, v: Complex, u: Complex, s: Complex, d: Complex) -> Array:
        """Return M_l/T P(1 + b (c0 + w zeta^2) < 0), of the real parts."""
        layer = self.layer
        g_, v_, u_, s_, d_ = (field.real[:, None] for field in (g, v, u, s, d))
        a, b = layer.forward + s_, layer.backward + d_
        x = self.bc * v_ + self.s12 * g_
        w = self.cc * v_ + self.s22 * g_ - x * x * a / (1 + a * (self.bb * v_ + self.s11 * g_))
        c0 = self.variance * layer.excess * g_ + self.slope * u_
        with np.errstate(divide="ignore", invalid="ignore"):
            square = -(1 / b + c0) / (w * layer.spread)  # of zeta, in units of its variance, at the pole
        share: Array = special.erfc(np.sqrt(np.where(square > 0, square, np.inf) / 2)) @ self.weights
        return layer.share * share

    def _mean(self, values: Any) -> Complex:
        mean: Complex = values @ self.weights
        return mean


def averages(b: Complex, c0: Complex, w: Complex, variance: float) -> tuple[Complex, Complex]:
    """Return E 1/(1 + b (c0 + w zeta^2)) and E zeta^2/(1 + b (c0 + w zeta^2)) for zeta ~ N(0, variance).

    With k = (1/b + c0)/w the mean of 1/(zeta^2 + k) is sqrt(pi/2)/(s r) w(i r/(s sqrt(2))), r = sqrt(k), Re r >= 0,
    w the Faddeeva function. Right of the spectrum the denominator has a zero at a real zeta, and k is negative: r is
    then imaginary, with the sign of the limit from Im x > 0, where 1/b + c0 and w lie in the upper half plane.
    """
    s, constant = math.sqrt(variance), 1 + b * c0
    t = variance * b * w / constant
    far = np.abs(t) < 1 / _FAR
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(far, 1.0, _root(constant / b) / _root(w))
        mean = math.sqrt(math.pi / 2) / (s * r) * special.wofz(1j * r / (s * math.sqrt(2)))
        one, over = mean / (b * w), (1 - r * r * mean) / (b * w)
    if not far.any():
        return one, over
    series, series_over, term = np.zeros_like(t), np.zeros_like(t), np.ones_like(t)
    few = np.where(far, t, 0.0)
    for n in range(_TERMS):
        series += term
        term = term * (-(2 * n + 1)) * few
        series_over -= term  # (2 n + 1)!! (-t)^(n + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_over = np.where(few == 0, 1.0, series_over / few)
    return np.where(far, series / constant, one), np.where(far, variance * of_over / constant, over)


_PATH, _PATH_WEIGHTS = np.polynomial.legendre.leggauss(24)
"""A rule for the integral of the Faddeeva function along a line."""


def mean_logarithm(b: Complex, c0: Complex, w: Complex, variance: float) -> Complex:
    """Return E log(1 + b (c0 + w zeta^2)) for zeta ~ N(0, variance), on the branch that is real at w = c0 = 0.

    With r as in :func:`averages`, d/dr E log(zeta^2/s^2 + r^2) = sqrt(2 pi) w(i r/sqrt(2)).
    """
    if variance == 0:  # no shared gradient: an even activation without biases
        return _log_one_plus(b, c0)
    s, constant = math.sqrt(variance), 1 + b * c0
    t = variance * b * w / constant
    far = np.abs(t) < 1 / _FAR
    series, term = np.zeros_like(t), np.ones_like(t)
    few = np.where(far, t, 0.0)
    for n in range(_TERMS):  # E log(1 + t y^2) = t - 3 t^2/2 + 15 t^3/3 - ..
        term = term * (2 * n + 1) * (few if n == 0 else -few)
        series += term / (n + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse: Complex = 1 / b
        r = np.where(far, 1.0, _root(constant * inverse) / (s * _root(w)))
        along = r[..., None] * (1 + _PATH) / 2
        integral = r / 2 * (special.wofz(1j * along / math.sqrt(2)) @ _PATH_WEIGHTS)
        at_zero = math.log(variance / 2) - np.euler_gamma  # E log(zeta^2)
        near = math.sqrt(2 * math.pi) * integral + at_zero + _log(w) - _log(inverse)
    return np.where(far, _log_one_plus(b, c0) + series, near)


def _log(values: Complex) -> Complex:
    """Return logarithms of numbers of the upper half plane; what rounding put below the real axis is on it."""
    return np.log(values.real + 1j * np.maximum(values.imag, 0.0))


def _log_one_plus(coupling: Complex, field: Complex) -> Complex:
    """Return log(1 + coupling field), of a field and 1/coupling in the upper half plane."""
    zero = coupling == 0
    inverse: Complex = np.where(zero, 1.0 + 0.0j, coupling) ** -1
    logarithm: Complex = np.where(zero, 0.0j, _log(inverse + field) - _log(inverse))
    return logarithm


def _root(values: Complex) -> Complex:
    """Return square roots of numbers of the upper half plane; what rounding put below the real axis is on it."""
    return np.sqrt(values.real + 1j * np.maximum(values.imag, 0.0))
