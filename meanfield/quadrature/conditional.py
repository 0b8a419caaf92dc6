"""Averages given the part of a preactivation that all samples share.

Samples are exchangeable, so that their preactivations are u(s) = sqrt(q_st) z + sqrt(v) y(s) with v = q_t - q_st, z and
y(s) standard normal: given z they are independent, and an average over any number of samples is one over z of products
of averages over y. Derivatives of f with respect to u need no derivative of f: E[f^(k) | z] = E[f He_k(y) | z]/v^(k/2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import ParameterError, QuadratureError
from ..functions import ScalarFunction
from ..gaussian import Array
from .auto import AUTO
from .legendre import gauss

_RANGE = 9.5
"""Of z and y: exp(-9.5^2/2) = 3e-20, which leaves room for functions that grow."""

_DIGITS = 40.0
"""The trapezoidal rule errs by exp(-40) = 4e-18 of what it integrates."""

_LONGEST_STEP = 0.3
"""Of the trapezoidal rule: products of functions that grow are still integrated."""

_NODES = 12
"""Of a Gauss-Legendre panel of length 2 or less."""

_AROUND = np.array([-8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0])
"""Where the average over y is split around a kink or a jump, in units of the noise."""

_FINEST = 32
"""How many times finer than at first a rule may become."""


@dataclass(frozen=True, eq=False)
class CommonPart:
    """A rule for averages over the part z that the samples share, and over the part y of each sample, given z.

    Made by :func:`common_part`, or by :meth:`at` for given z.
    """

    covariance: float
    """q_st >= 0."""
    difference: float
    """v = q_t - q_st > 0."""
    z: Array
    """Shape (nodes,)."""
    weights: Array
    """Of z, shape (nodes,); their sum is 1."""
    y: Array
    """Shape (nodes, points): the rule in y may differ from one z to the next."""
    y_weights: Array
    """Of y, shape (nodes, points); each row sums to 1."""

    @cached_property
    def u(self) -> Array:
        """The preactivations, shape (nodes, points)."""
        return math.sqrt(self.covariance) * self.z[:, None] + math.sqrt(self.difference) * self.y

    def given(self, values: Array) -> Array:
        """Return E[values | z], shape (nodes,), for values at ``u``."""
        averages: Array = np.einsum("zy,zy->z", values, self.y_weights)
        return averages

    def over(self, values: Array) -> float:
        """Return the average over z of values at ``z``."""
        return float(self.weights @ values)


def common_part(
    functions: Iterable[ScalarFunction],
    *,
    covariance: float,
    difference: float,
    z: Array | None = None,
    tolerance: float = 1e-11,
) -> CommonPart:
    """Return a rule for products of functions and of low powers of y.

    It is refined until E f(u)^2 and E f(u) f(v) of every function agree with ``AUTO``; products of up to four functions
    are integrated to about the square root of what the tolerance leaves, in practice to 1e-9 and better.

    Parameters
    ----------
    functions : iterable of ScalarFunction
        What will be averaged: their kinks and jumps split the rule, their strips set its step.
    covariance, difference : float
        q_st >= 0 and v = q_t - q_st > 0.
    z : array, shape (nodes,), optional
        Given values of z, each with the same weight (drawn ones, say), instead of a rule.
    tolerance : float
        Relative to E f^2.

    Raises
    ------
    QuadratureError
        If the tolerance is not reached.

    Examples
    --------
    >>> import meanfield as mf
    >>> common = common_part([mf.relu.value, mf.relu.slope], covariance=0.5, difference=1.5)
    >>> mean = common.given(mf.relu(common.u))
    >>> abs(common.over(mean**2) - mf.overlap(mf.relu, 2.0, 0.5)) < 1e-12
    True
    """
    functions = tuple(functions)
    if covariance < 0:
        raise ParameterError("covariance", "at least 0, so that the samples share a part", f"{covariance:g}")
    if not difference > 0:
        raise ParameterError("difference", "above 0: samples that differ", f"{difference:g}")
    fineness = 1
    while True:
        common = _rule(functions, covariance, difference, fineness)
        error = max(_error(f, common) for f in functions)
        if error <= max(tolerance, 10 * max(f.noise for f in functions)):
            return common if z is None else _rule(functions, covariance, difference, fineness, z)
        if fineness >= _FINEST:
            raise QuadratureError(
                f"averages given the common part are off by {error:.1e} at variance {covariance + difference:.6g} and "
                f"covariance {covariance:.6g}, more than {tolerance:.0e}; if the function has kinks or jumps that are "
                "not declared, declare them"
            )
        fineness *= 2


def _error(f: ScalarFunction, common: CommonPart) -> float:
    """Return how far E f(u)^2 and E f(u) f(v) are off, relative to the first."""
    values, variance = f(common.u), common.covariance + common.difference
    square = AUTO.second_moment(f, variance).value
    product = AUTO.overlap(f, variance, common.covariance).value
    if square == 0:
        return 0.0
    off = common.over(common.given(values**2)) - square, common.over(common.given(values) ** 2) - product
    return float(max(map(abs, off)) / square)


def _rule(
    functions: tuple[ScalarFunction, ...], covariance: float, difference: float, fineness: int, z: Array | None = None
) -> CommonPart:
    """Return a rule in z, or the given z, and for each z a rule in y."""
    shared, own = math.sqrt(covariance), math.sqrt(difference)
    breaks = np.array(sorted({place for f in functions for place in f.breaks}))
    strip = min((f.strip or 0.0 for f in functions), default=0.0)
    scale = min((f.scale or math.inf for f in functions), default=math.inf)
    if z is not None:
        weights = np.full(z.size, 1 / z.size)
    elif covariance == 0:
        z, weights = np.zeros(1), np.ones(1)
    elif strip > 0:
        z, weights = _trapezoid(strip / shared, fineness)
    else:
        cuts = np.add.outer(breaks, own * _AROUND).ravel() / shared
        edges = _edges(cuts[None], max(scale, own) / shared, fineness)
        z, weights = _normal(*(x[0] for x in _panels(edges)))
    if strip > 0:
        y, y_weights = (np.broadcast_to(x, (z.size, x.size)) for x in _trapezoid(strip / own, fineness))
    else:
        y, y_weights = _normal(*_panels(_edges((breaks - shared * z[:, None]) / own, scale / own, fineness)))
    return CommonPart(covariance, difference, z, weights, y, y_weights)


def _trapezoid(strip: float, fineness: int) -> tuple[Array, Array]:
    """Return a rule for a function that is analytic up to this distance from the real axis."""
    step = min(_LONGEST_STEP, 2 * math.pi * strip / (_DIGITS + min(strip, 9.0) ** 2 / 2)) / fineness
    half = math.ceil(_RANGE / step)
    x = np.linspace(-half * step, half * step, 2 * half + 1, dtype=np.float64)
    return _normal(x, np.full(x.size, step, dtype=np.float64))


def _edges(cuts: Array, scale: float, fineness: int) -> Array:
    """Return the edges of panels, shape (rows, edges): even ones, and the cuts of each row."""
    even = np.linspace(-_RANGE, _RANGE, math.ceil(2 * _RANGE * fineness / min(2.0, max(scale, 0.1))) + 1)
    rows = np.broadcast_to(even, (len(cuts), even.size))
    return np.sort(np.concatenate([rows, np.clip(cuts, -_RANGE, _RANGE)], axis=1), axis=1)


def _panels(edges: Array) -> tuple[Array, Array]:
    """Return nodes and weights of all panels, one row for each row of edges."""
    panels = np.stack([edges[:, :-1], edges[:, 1:]], axis=-1)
    nodes, weights = gauss(panels, _NODES)
    return nodes.reshape(len(edges), -1), weights.reshape(len(edges), -1)


def _normal(x: Array, weights: Array) -> tuple[Array, Array]:
    """Return a rule for the standard normal density, of which nothing is lost beyond the range."""
    weights = weights * np.exp(-0.5 * x * x)
    return x, weights / weights.sum(axis=-1, keepdims=True)
