"""Where deep networks go: fixed points of the order parameters, depth scales, and the edge of chaos."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import AssumptionError, ParameterError, QuadratureError, require_number, require_real
from .functions import Activation, ScalarFunction
from .quadrature import AUTO, Method, overlap, second_moment
from .records import table

_DOUBLINGS = 200
"""How far the variance is followed: by a factor 2^200 up or down."""

_PRECISION = 1e-14
"""Of fixed points, relative."""

_ROUNDING = 1e-13
"""Of the bias variance at the edge, relative to q*."""

_STABLE = 1e-9
"""By how much the slope of V may exceed 1, for rounding."""

_SMALL, _LARGE = 1e-8, 1e8
"""Between which variances the edge of chaos is looked for."""

_VANISHED = 1e-13
"""A variance so small, relative to where it started, is 0: at the edge V(q) - q falls below rounding before q does."""


@dataclass(frozen=True)
class FixedPoint:
    """What the variance and the correlation of preactivations tend to with the depth, and how fast."""

    variance: float
    """q*, the limit of q^l_t."""
    correlation: float
    """c*, the limit of q^l_st/q^l_t for two inputs that are not parallel."""
    chi_q: float
    """How much a deviation from q* changes from layer to layer: the slope of q^l -> q^{l+1}."""
    chi_1: float
    """How much a small angle between two inputs, and a squared gradient, grow from layer to layer: s_w^2 E phi'^2.

    Below 1 the network is ordered, c* = 1 and gradients vanish; above 1 it is chaotic and gradients explode."""
    chi_c: float
    """How much a deviation from c* changes from layer to layer: s_w^2 I_phi'[q*, c* q*]."""

    @property
    def phase(self) -> str:
        """Of gradients and angles: "ordered", "chaotic", or "edge" where chi_1 is 1 to rounding."""
        if abs(self.chi_1 - 1) <= 1e-12:
            return "edge"
        return "ordered" if self.chi_1 < 1 else "chaotic"

    @property
    def variance_depth(self) -> float:
        """xi_q = -1/log chi_q, the depth over which the variance forgets the inputs; inf where it does not."""
        return depth_scale(self.chi_q)

    @property
    def correlation_depth(self) -> float:
        """xi_c = -1/log chi_c, the depth to which two inputs can be told apart; inf at the edge of chaos."""
        return depth_scale(self.chi_c)

    @property
    def gradient_depth(self) -> float:
        """xi_grad = 1/|log chi_1|, the depth over which gradients change by a factor e; inf at the edge of chaos."""
        return math.inf if self.chi_1 == 1 else 0.0 if self.chi_1 == 0 else 1 / abs(math.log(self.chi_1))

    def __str__(self) -> str:
        return table(
            [
                ("q*", f"{self.variance:.10g}", f"over {self.variance_depth:.4g} layers (chi_q = {self.chi_q:.6g})"),
                (
                    "c*",
                    f"{self.correlation:.10g}",
                    f"over {self.correlation_depth:.4g} layers (chi_c = {self.chi_c:.6g})",
                ),
                ("chi_1", f"{self.chi_1:.10g}", f"{self.phase}: gradients over {self.gradient_depth:.4g} layers"),
            ]
        )


def depth_scale(chi: float) -> float:
    """Return -1/log |chi|, the depth over which a deviation falls by a factor e; inf if it does not fall.

    Examples
    --------
    >>> round(depth_scale(0.9), 6)
    9.491222
    """
    chi = abs(chi)
    return math.inf if chi >= 1 else 0.0 if chi == 0 else -1 / math.log(chi)


def fixed_point(
    activation: Activation,
    *,
    weight_variance: float,
    bias_variance: float = 0.0,
    start: float | None = None,
    method: Method = AUTO,
) -> FixedPoint:
    """Return the fixed point to which the order parameters of a deep network tend.

    The variance follows q -> V(q) = s_w^2 E phi(sqrt(q) x)^2 + s_b^2, the correlation of two inputs at q*
    c -> (s_w^2 I_phi[q*, c q*] + s_b^2)/q*. The slopes are

        chi_q = s_w^2 E[phi(u) phi'(u) u]/q*,   chi_1 = s_w^2 E phi'(u)^2,   chi_c = s_w^2 I_phi'[q*, c* q*].

    Parameters
    ----------
    activation : Activation
    weight_variance, bias_variance : float
        s_w^2 > 0 and s_b^2 >= 0, of every layer.
    start : float, optional
        The variance to start from, q^1 = s_w^2 + s_b^2 if left out (standard inputs). It decides which of several
        fixed points is found: the first in the direction in which V moves the variance.
    method : Method
        How to integrate.

    Returns
    -------
    FixedPoint
        To about 1e-12; c* loses digits as chi_1 - 1 falls to 0 from above, as 1e-12/(chi_1 - 1). Where q* = 0, the
        slopes are the limits of small variance.

    Raises
    ------
    ParameterError
        For numbers out of range.
    AssumptionError
        If the variance grows without end, as for relu with s_w^2 > 2.

    Equations: (5), (6), (7)

    Examples
    --------
    >>> import meanfield as mf
    >>> chaos = mf.fixed_point(mf.tanh, weight_variance=3.0, bias_variance=0.05)
    >>> round(chaos.variance, 6), round(chaos.correlation, 6), chaos.phase
    (1.428008, 0.299318, 'chaotic')
    >>> mf.fixed_point(mf.relu, weight_variance=2.0).gradient_depth
    inf
    """
    require_activation(activation)
    s_w2 = require_number("weight_variance", weight_variance, above=0)
    s_b2 = require_number("bias_variance", bias_variance, at_least=0)
    start = s_w2 + s_b2 if start is None else require_number("start", start, above=0)
    phi, slope = activation.value, activation.slope

    def growth(q: float) -> float:
        return s_w2 * second_moment(phi, q, method=method) + s_b2 - q

    variance = _variance(growth, start)
    if s_b2 == 0 and variance <= _VANISHED * start:
        variance = 0.0
    at = variance or start * 2.0**-_DOUBLINGS  # of q* = 0, the limit
    chi_1 = s_w2 * second_moment(slope, at, method=method)
    chi_q = s_w2 * _variance_slope(activation, at, method)
    correlation = 1.0 if variance == 0 or chi_1 <= 1 + _PRECISION else _correlation(phi, variance, s_w2, s_b2, method)
    chi_c = chi_1 if correlation == 1 else s_w2 * overlap(slope, variance, correlation * variance, method=method)
    return FixedPoint(variance, correlation, float(chi_q), float(chi_1), float(chi_c))


def _variance(growth: Callable[[float], float], start: float) -> float:
    """Return the first root of V(q) - q in the direction in which V moves the variance."""
    from scipy import optimize

    here, rate = start, growth(start)
    if abs(rate) <= 4 * _PRECISION * start:
        return start
    factor = 2.0 if rate > 0 else 0.5
    for _ in range(_DOUBLINGS):
        there = here * factor
        if _passes(growth, there, rate):
            low, high = sorted((here, there))
            return float(optimize.brentq(growth, low, high, xtol=1e-300, rtol=_PRECISION))
        here = there
    if rate > 0:
        raise AssumptionError(
            f"the variance of the preactivations grows without end: from {start:.4g} it passes {here:.1g}, and no "
            "fixed point exists; a smaller weight_variance has one"
        )
    return 0.0


def _passes(growth: Callable[[float], float], there: float, rate: float) -> bool:
    """Whether V(q) - q has changed its sign; at large variances not by rounding, nor where the integral fails."""
    try:
        value = growth(there)
    except QuadratureError:
        if there < _LARGE:
            raise
        return False
    rounding = _ROUNDING * there if there > _LARGE else 0.0
    return value * rate <= 0 and abs(value) >= rounding


def _correlation(phi: ScalarFunction, q: float, s_w2: float, s_b2: float, method: Method) -> float:
    """Return the fixed point below 1 of the correlation, which is stable where chi_1 > 1."""
    from scipy import optimize

    def growth(c: float) -> float:
        return (s_w2 * overlap(phi, q, c * q, method=method) + s_b2) / q - c

    if abs(growth(0.0)) <= _PRECISION:  # an odd activation without biases
        return 0.0
    distance = 0.5  # from 1: growth is negative just below 1, where the map is steeper than the diagonal
    while growth(1 - distance) >= 0 and distance > 1e-12:
        distance /= 2
    low = 0.0 if distance == 0.5 else 1 - 2 * distance
    if distance <= 1e-12:
        return 1.0
    return float(optimize.brentq(growth, low, 1 - distance, xtol=1e-16, rtol=_PRECISION))


@dataclass(frozen=True, eq=False)
class EdgeOfChaos:
    """Weight variances at which chi_1 = 1, for given bias variances."""

    weight_variance: NDArray[np.float64]
    """s_w^2, an array of shape (points,)."""
    bias_variance: NDArray[np.float64]
    """s_b^2, likewise."""
    variance: NDArray[np.float64]
    """q* there, likewise; 0 where the edge is reached in the limit of small variances."""

    def __str__(self) -> str:
        columns = (self.weight_variance, self.bias_variance, self.variance)
        rows = [[f"{value:.6g}" for value in row] for row in zip(*columns, strict=True)]
        return table(rows, ("sigma_w^2", "sigma_b^2", "q*"))


def edge_curve(activation: Activation, fixed_points: ArrayLike, *, method: Method = AUTO) -> EdgeOfChaos:
    """Return the edge of chaos as a curve: the point at which q* = q, for each variance q.

    chi_1 = 1 and V(q) = q together give s_w^2 = 1/E phi'(u)^2 and s_b^2 = q - s_w^2 E phi(u)^2, u ~ N(0, q): no
    equation has to be solved. Where this s_b^2 is negative there is no such network, and the point is left out.

    Parameters
    ----------
    activation : Activation
    fixed_points : array_like, shape (points,)
        q > 0, the variances q* of the preactivations at the points of the curve. (For the point of a given s_b^2 see
        :func:`edge_of_chaos`.)
    method : Method
        How to integrate.

    Examples
    --------
    >>> import meanfield as mf
    >>> edge = mf.edge_curve(mf.tanh, [0.01, 1.0])
    >>> edge.weight_variance.round(6), edge.bias_variance.round(6)
    (array([1.019711, 2.153303]), array([1.00000e-06, 1.50965e-01]))
    """
    require_activation(activation)
    q = np.atleast_1d(require_real("fixed_points", fixed_points))
    if q.ndim != 1 or not np.all(np.isfinite(q) & (q > 0)):
        raise ParameterError("fixed_points", "variances q* > 0, in one dimension", fixed_points)
    weight = 1 / np.asarray(second_moment(activation.slope, q, method=method))
    bias = q - weight * np.asarray(second_moment(activation.value, q, method=method))
    bias[np.abs(bias) <= _ROUNDING * q] = 0.0  # relu: exactly 0 at every q
    there = bias >= 0
    return EdgeOfChaos(weight[there], bias[there], q[there])


def edge_of_chaos(activation: Activation, *, bias_variance: float = 0.0, method: Method = AUTO) -> float:
    """Return the weight variance at which chi_1 = 1, for this bias variance: the edge between order and chaos.

    Of several the one of the smallest stable q* is returned.

    Parameters
    ----------
    activation : Activation
    bias_variance : float
        s_b^2 >= 0.
    method : Method
        How to integrate.

    Returns
    -------
    float
        s_w^2, to about 1e-11 where s_b^2 is above 1e-18; below, and in the limit q* -> 0 at a kink (elu), to 1e-6 and
        1e-8. In that limit q* is stable to first order in q only (gelu: 4, where it grows by its square).

    Raises
    ------
    ParameterError
        For a bias variance out of range.
    AssumptionError
        If there is none with a stable q* between 1e-8 and 1e8, as for relu with s_b > 0.

    Equations: (5), (6), (7)

    Examples
    --------
    >>> import meanfield as mf
    >>> round(mf.edge_of_chaos(mf.tanh), 12), mf.edge_of_chaos(mf.relu)
    (1.0, 2.0)
    >>> round(mf.edge_of_chaos(mf.tanh, bias_variance=0.05), 6)
    1.760955
    """
    from scipy import optimize

    require_activation(activation)
    s_b2 = require_number("bias_variance", bias_variance, at_least=0)
    phi, slope = activation.value, activation.slope

    def critical(q: float) -> float:
        return 1 / second_moment(slope, q, method=method)

    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        bias = q - critical(q) * second_moment(phi, q, method=method)
        return (0.0 if abs(bias) <= _ROUNDING * q else bias) - s_b2

    def stable(q: float) -> bool:
        return critical(q) * _variance_slope(activation, q, method) <= 1 + _STABLE

    if s_b2 == 0 and float(phi(0.0)) == 0 and stable(_SMALL**2):  # q* = 0, in the limit, or (relu) any q*
        return critical(_SMALL**2)
    places = np.linspace(math.log(_SMALL), math.log(_LARGE), 161).tolist()
    values = [excess(place) for place in places]
    for left, right, low, high in zip(places[:-1], places[1:], values[:-1], values[1:], strict=True):
        if low == 0 or high == 0 or (low < 0) != (high < 0):  # their product may vanish
            q = math.exp(optimize.brentq(excess, left, right, xtol=1e-15, rtol=_PRECISION))
            if stable(q):
                return critical(q)
    raise AssumptionError(
        f"{activation.name} has no edge of chaos at bias_variance {s_b2:g}: chi_1 = 1 holds at no stable fixed point "
        f"of the variance between {_SMALL:g} and {_LARGE:g} (edge_curve lists the unstable ones too)"
    )


def _variance_slope(activation: Activation, q: float, method: Method) -> float:
    """Return d/dq E phi(u)^2 = E[phi phi' u]/q."""
    return overlap(activation.value, q, q, other=_times_u(activation.slope), method=method) / q


def require_activation(activation: Activation) -> Activation:
    """Return an activation, if it is one."""
    if not isinstance(activation, Activation):
        raise ParameterError("activation", "an Activation such as mf.tanh", repr(activation))
    return activation


def _times_u(slope: ScalarFunction) -> ScalarFunction:
    """Return u phi'(u)."""
    return ScalarFunction(
        lambda u: u * slope(u),
        kinks=slope.kinks,
        jumps=slope.jumps,
        strip=slope.strip,
        scale=slope.scale,
        noise=slope.noise,
    )
