r"""Networks so deep that order parameters leave the range of doubles: logarithms of the kappas and their difference.

The sums kappa = sum_l (alpha_{l-1}/alpha) qtilde^l qhat^{l-1} are carried from layer to layer, R_l ending at layer l,

    R_{l+1} = s_w^2 I_phi' R_l + alpha_l qhat^l,

for t and st, in numbers with the digits of doubles and any exponent. Their difference D has a recurrence of its own,
without cancellation, and so has e = (q_t - q_st)/q_t:

    D_{l+1} = s_w^2 E phi'^2 D_l + s_w^2 (E phi'^2 - I_phi') R_l,st + alpha_l (qhat^l_t - qhat^l_st),
    e^{l+1} = s_w^2 (qhat^l_t - qhat^l_st)/q^{l+1}_t.

The gaps E f^2 - I_f are computed as such: by Mehler's series, sum_n a_n^2 (1 - c^n), for smooth f; by Price's theorem
for a phi with kinks; and for a slope with jumps, where e is small, by the first terms of their expansion in the
angle of the pair. At variances below 10^-24 integrals are powers of the variance; far above 1 an activation that is not
bounded is proportional to u on either side of 0, and is replaced by a leaky relu.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .activations import identity, leaky_relu
from .errors import AssumptionError, ParameterError, QuadratureError
from .functions import Activation, ScalarFunction
from .gaussian import Array, GaussianPair
from .network import Network
from .normalization import HiddenNormalization
from .order_parameters import STANDARD_INPUTS
from .quadrature import Exact, overlap, second_moment
from .quadrature.hermite_series import HermiteSeries
from .records import Pair, table

_LEAST = 1e-24
"""Below this variance integrals are powers of it."""

_FAR, _FAR_WITHOUT_FORMS = 1e24, 1e8
"""Beyond this variance an activation is homogeneous; without closed forms it has to be so sooner."""

_HOMOGENEOUS = 1e-3
"""How far from that E phi'^2 may be there, relative: it comes closer as 1/sd, which is taken into account."""

_LINEAR = 1e-25
"""Of e: below it the gaps of smooth functions are linear in it."""

_NARROW = 1e-8
"""Of e: below it the gap of a slope with jumps is a polynomial in the angle."""

_TERMS, _DIGITS = 4096, 44.0
"""The most terms of a series; how many are wanted is as for the tables of overlaps."""


@dataclass(frozen=True)
class LogKappas:
    """The decimal logarithms of kappa_1, kappa_2 and kappa_1 - kappa_2; -inf for a kappa_2 that is 0."""

    kappa_1: float
    kappa_2: float
    difference: float

    def __str__(self) -> str:
        return table((name, power_of_ten(getattr(self, name))) for name in ("kappa_1", "kappa_2", "difference"))


def power_of_ten(log10: float) -> str:
    """Return a number of any size as text, from its decimal logarithm.

    Examples
    --------
    >>> power_of_ten(968.7), power_of_ten(-math.inf)
    ('5.01e+968', '0')
    """
    if log10 == -math.inf:
        return "0"
    exponent = math.floor(log10)
    return f"{10 ** (log10 - exponent):.3g}e{exponent:+d}"


def log_kappas(network: Network, *, inputs: Pair[float] = STANDARD_INPUTS) -> LogKappas:
    """Return the decimal logarithms of kappa_1, kappa_2 and their difference, at any depth.

    Parameters
    ----------
    network : Network
        Without batch normalisation in the hidden layers.
    inputs : Pair of float
        qhat^0, as for :func:`propagate`.

    Returns
    -------
    LogKappas
        Of numbers that are off by some roundings for each layer, about 1e-16 L relative; what a slope with jumps adds
        to the difference where samples are nearly alike is off by up to 1e-8 of itself. Where the variance of an
        activation without closed forms grows beyond 1e8, it is taken for its homogeneous limit: kappa_2 and the
        difference are then off by up to 1e-3.

    Raises
    ------
    AssumptionError
        With batch normalisation in the hidden layers.
    QuadratureError
        If an integral fails, as where the variance grows doubly exponentially.

    Equations: (5), (6), (7), (11)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=1000, weight_variance=5.0)
    >>> print(mf.log_kappas(network))
    kappa_1     3.49e+397
    kappa_2     8.83e+396
    difference  2.6e+397
    """
    same, cross, gap = log_sums(network, [network.width_ratios], inputs=inputs)[0]
    scale = math.log10(network.alpha)
    return LogKappas(same - scale, cross - scale, gap - scale)


def log_sums(
    network: Network,
    units: Sequence[Sequence[float]],
    *,
    inputs: Pair[float] = STANDARD_INPUTS,
    biases: bool = False,
) -> list[tuple[float, float, float]]:
    """Return log10 of sum_l qtilde^l units_l qhat^{l-1}, for t, for st and of their difference, for several units.

    With ``biases`` the last is sum_l qtilde^l (units_l qhat^{l-1} + 1).
    """
    if network.hidden_normalization is HiddenNormalization.BATCH:
        raise AssumptionError("there are no kappas with batch normalisation in the hidden layers")
    try:
        GaussianPair(inputs[0], inputs[0], inputs[1])
    except (ParameterError, TypeError, ValueError) as error:
        raise ParameterError("inputs", "Pair(same, cross) with same >= 0 and abs(cross) <= same", inputs) from error
    import mpmath

    number = mpmath.MPContext()
    number.prec = 64
    integrals = {phi: _Layer(phi, number) for phi in set(network.activations)}
    activity = [number.mpf(x) for x in (*inputs, inputs[0] - inputs[1])]  # t, st, and their difference
    sums = [_start(of_layers[0], activity, biases and of_layers is units[-1]) for of_layers in units]
    for l, phi in enumerate(network.activations):
        s_w, above, s_b = network.weight_variance[l], network.weight_variance[l + 1], network.bias_variance[l]
        q, q_st, apart = s_w * activity[0] + s_b, s_w * activity[1] + s_b, s_w * activity[2]
        norm = q if network.hidden_normalization is HiddenNormalization.LAYER else number.mpf(1)
        activity, slopes = integrals[phi].at(q / norm, q_st / q, apart / q)
        factor, factor_st, spread = (above / norm * x for x in slopes)
        for some, of_layers in zip(sums, units, strict=True):
            own = _start(of_layers[l + 1], activity, biases and of_layers is units[-1])
            same, cross, gap = some
            some[:] = [factor * same + own[0], factor_st * cross + own[1], factor * gap + spread * cross + own[2]]
    logs = [[float(number.log10(x)) if x > 0 else -math.inf for x in some] for some in sums]
    return [(same, cross, gap) for same, cross, gap in logs]


def _start(units: float, activity: list[Any], bias: bool) -> list[Any]:
    """Return what a layer's own parameters add to the sums."""
    own = 1 if bias else 0
    return [units * activity[0] + own, units * activity[1] + own, units * activity[2]]


@dataclass
class _Layer:
    """The integrals of one activation, remembered: deep networks repeat them."""

    phi: Activation
    number: Any
    """The context of the numbers."""
    known: dict[tuple[float, float, float], Any] = field(default_factory=dict)
    known_far: dict[tuple[float, float, float], Any] = field(default_factory=dict)
    powers: list[list[float]] = field(default_factory=list)
    limit: tuple[float, Activation, float] | None = None

    @property
    def far(self) -> float:
        """The variance beyond which the activation is homogeneous."""
        forms = all(Exact().accepts(f, "overlap") for f in (self.phi.value, self.phi.slope))
        return _FAR if forms else _FAR_WITHOUT_FORMS

    def at(self, variance: Any, correlation: Any, apart: Any) -> tuple[list[Any], list[Any]]:
        """Return (E f^2, I_f, E f^2 - I_f) of phi and of phi', at a variance, a correlation c and 1 - c."""
        if variance > self.far:
            if self.limit is None:
                self.limit = _homogeneous(self.phi, self.far)
            factor, leaky, off = self.limit
            value, slope = _Layer(leaky, self.number, self.known_far)._at(1.0, correlation, apart)
            still_off = 1 + off * self.number.sqrt(self.far / variance)
            return [x * factor**2 * variance for x in value], [x * factor**2 * still_off for x in slope]
        if variance >= _LEAST:
            return self._at(float(variance), correlation, apart)
        found = self._at(_LEAST, correlation, apart)
        if not self.powers:
            inside = self._at(16 * _LEAST, correlation, apart)
            self.powers = [
                [self._power(*pair) for pair in zip(*of_f, strict=True)] for of_f in zip(inside, found, strict=True)
            ]
        ratio = variance / _LEAST
        value, slope = (
            [x * ratio**power for x, power in zip(of_f, powers, strict=True)]
            for of_f, powers in zip(found, self.powers, strict=True)
        )
        return value, slope

    def _power(self, above: Any, below: Any) -> float:
        return round(2 * float(self.number.log(above / below, 16))) / 2 if above and below else 0.0

    def _at(self, a: float, correlation: Any, apart: Any) -> tuple[list[Any], list[Any]]:
        c, e = float(correlation), float(apart)
        small = e < _LINEAR
        key = (a, c, 0.0 if small else e)
        if key not in self.known:
            self.known[key] = _integrals(self.phi, a, c, _LINEAR if small else e)
        value, slope, powers = self.known[key]
        number = self.number
        value, slope = ([number.mpf(x) for x in some] for some in (value, slope))
        if small:  # the gaps fall as powers of e
            ratio = apart / _LINEAR
            value[2], slope[2] = value[2] * ratio ** powers[0], slope[2] * ratio ** powers[1]
        return value, slope


def _homogeneous(phi: Activation, far: float) -> tuple[float, Activation, float]:
    """Return the factor and the leaky relu whose product phi is far from 0, or its mirror image.

    And by how much E phi'^2 is off there, relative.
    """
    place = 1e3 * math.sqrt(far)
    above, below = (float(phi.slope(x)) for x in (place, -place))
    if above == 0:  # integrals do not tell u from -u
        above, below = below, above
    if above == 0:
        raise QuadratureError(f"{phi.name} is not proportional to u at variances beyond {far:.0e}, and reaches them")
    leaky = leaky_relu(below / above) if below != above else identity
    off_value, off = (
        second_moment(f, far) / (above**2 * second_moment(limit, far)) - 1
        for f, limit in ((phi.value, leaky.value), (phi.slope, leaky.slope))
    )
    if max(abs(off_value), abs(off)) > _HOMOGENEOUS:
        raise QuadratureError(f"{phi.name} is not proportional to u at a variance of {far:.0e}, and goes beyond it")
    return above, leaky, float(off)


def _integrals(
    phi: Activation, a: float, c: float, e: float
) -> tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float]]:
    """Return (E f^2, I_f, E f^2 - I_f) of phi and of phi', and the powers of e that the gaps fall with."""
    value, slope = phi.value, phi.slope
    b = a * c if c < 0.5 else a * (1 - e)
    squares = [float(second_moment(f, a)) for f in (value, slope)]
    overlaps = [float(overlap(f, a, b)) for f in (value, slope)]
    smooth = _has_series(slope, a)
    gap_of_slope = _series_gap(slope, a, e) if smooth else _gap_of_slope(slope, a, e, squares[1])
    if e > 0.1:
        gap = squares[0] - overlaps[0]
    elif _has_series(value, a):
        gap = _series_gap(value, a, e)
    else:
        gap = _gap_by_price(slope, a, e, squares[1])
    if e > 0.1:
        gap_of_slope = squares[1] - overlaps[1]
    if e <= 0.1:
        overlaps = [squares[0] - gap, squares[1] - gap_of_slope]
    return (squares[0], overlaps[0], gap), (squares[1], overlaps[1], gap_of_slope), (1.0, 0.5 if slope.jumps else 1.0)


def _has_series(f: ScalarFunction, a: float) -> bool:
    return f.strip is not None and (_DIGITS * math.sqrt(a) / f.strip) ** 2 / 8 <= _TERMS


def _series_gap(f: ScalarFunction, a: float, e: float) -> float:
    """Return E f^2 - I_f = sum_n a_n^2 (1 - c^n) of a smooth function."""
    assert f.strip is not None  # of those that have a series
    wanted = (_DIGITS * math.sqrt(a) / f.strip) ** 2 / 8
    count = int(16 * 2 ** max(0, math.ceil(math.log2(max(wanted, 1e-300) / 16))))
    series = HermiteSeries()._coefficients(f, np.array([math.sqrt(a)]), count)
    log_c = math.log1p(-e) if e < 1 else -math.inf
    with np.errstate(invalid="ignore"):
        shares = -np.expm1(np.arange(count) * log_c)
    shares[0] = 0.0
    return float(series.coefficients[0] ** 2 @ shares)


def _gap_by_price(slope: ScalarFunction, a: float, e: float, square: float) -> float:
    """Return E phi^2 - I_phi, the integral of I_phi' from b to a: with b = a (1 - e y^2) it is smooth in y."""
    if e < _NARROW:  # the angle is y times that of e
        powers = _powers_of_angle(slope, a, square)
        below = sum(2 / (n + 2) * coefficient * _angle(e) ** n for n, coefficient in enumerate(powers, start=1))
        return float(a * e * (square - below))
    x, weights = np.polynomial.legendre.leggauss(16)
    y = (x + 1) / 2
    return float(a * e * (weights * y) @ np.asarray(overlap(slope, a, a * (1 - e * y * y))))


def _gap_of_slope(slope: ScalarFunction, a: float, e: float, square: float) -> float:
    """Return E phi'^2 - I_phi': the difference, or a polynomial in the angle of a pair that is nearly alike."""
    if e < _NARROW:
        powers = _powers_of_angle(slope, a, square)
        return float(sum(coefficient * _angle(e) ** n for n, coefficient in enumerate(powers, start=1)))
    b = a * (1 - e)
    power = 0.5 if slope.jumps else 1.0
    return float((square - overlap(slope, a, b)) * (e * a / (a - b)) ** power)  # of e as it is after rounding of b


def _powers_of_angle(slope: ScalarFunction, a: float, square: float) -> Array:
    """Return the coefficients of angle, angle^2 and angle^3 in E phi'^2 - I_phi', without jumps the first is 0."""
    covariance = a * (1 - _NARROW * np.array([1.0, 4.0, 9.0]))
    angle = _angle((a - covariance) / a)
    gap = square - np.asarray(overlap(slope, a, covariance))
    if slope.jumps:
        return np.asarray(np.linalg.solve(angle[:, None] ** [1, 2, 3], gap))
    return np.array([0.0, gap[-1] / angle[-1] ** 2, 0.0])


def _angle(e: Any) -> Any:
    """Return that of a pair of correlation 1 - e."""
    return 2 * np.arcsin(np.sqrt(e / 2))
