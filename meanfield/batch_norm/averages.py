r"""Averages over one batch-normalised layer: of its activity, and of the gradients that go back through it.

The T preactivations of a unit, less their mean, are sigma n: n is uniform on the sphere of radius sqrt(T) in the T - 1
dimensions orthogonal to (1, .., 1), and sigma^2 = v chi^2_{T-1}/T independent of it, v = s_w^2 (qhat_t - qhat_st) with
qhat of the layer below. With epsilon > 0 the layer has rho n, rho^2 = sigma^2/(sigma^2 + epsilon), and the Jacobian

    J = (sigma^2 + epsilon)^(-1/2) (G - rho^2 n n'/T),        G = I - 11'/T.

A matrix alpha I + beta 11' of gradients loses its beta in J (J 1 = 0), and (G - rho^2 nn'/T)^2 = G - c nn'/T with
c = 2 rho^2 - rho^4, because n'n = T. So with D = diag phi'(rho n), and E_w weighted with 1/(sigma^2 + epsilon),

    E[D J^2 D] = E[1/(sigma^2 + epsilon)] x (p on the diagonal, r off it),
    p = E_w[(1 - 1/T) phi'_t^2 - (c/T) n_t^2 phi'_t^2],      r = -(1/T) E_w[phi'_s phi'_t + c n_s phi'_s n_t phi'_t].

For epsilon = 0, c = 1, and E sigma^-2 = T/((T - 3) v) is infinite for T <= 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from ..affine import affine
from ..errors import QuadratureError
from ..functions import Activation, ScalarFunction
from ..gaussian import Array
from ..quadrature import SPHERE
from ..records import Pair

_STEP = 0.5
"""Of the trapezoidal rule in log chi^2, in units of its standard deviation: errors of exp(-2 pi^2/step^2)."""

_STEPS = 4
"""That are tried, each half of the one before, if the averages are not as smooth in sigma as its law."""

_TOLERANCE = 1e-11
"""Of a halving, relative."""

_TAIL = 1e-18
"""The density of log chi^2 relative to its maximum, below which it is left out."""


@dataclass(frozen=True)
class BatchNormAverages:
    """What a batch-normalised layer passes on, forward and backward."""

    activity: Pair[float]
    """qhat_t and qhat_st."""
    p: float
    r: float
    """Of gradients at one sample and at two, in units of ``inverse_variance``."""
    inverse_variance: float
    """E[1/(sigma^2 + epsilon)]; infinite for epsilon = 0 and T <= 3."""


def batch_norm_averages(phi: Activation, *, samples: float, epsilon: float, variance: float) -> BatchNormAverages:
    """Return the averages of a layer.

    Parameters
    ----------
    phi : Activation
        As a function of what is normalised: phi(gamma n + beta).
    samples : float
        T >= 2, a whole number, or ``math.inf``.
    epsilon : float
        At least 0.
    variance : float
        v > 0, the variance of a preactivation about the mean over infinitely many samples.

    Returns
    -------
    BatchNormAverages
        To about 1e-12 of the scale of each integral; with epsilon > 0 to about 1e-10.

    Raises
    ------
    QuadratureError
        If an integral does not reach its tolerance.
    """
    if epsilon == 0 or samples == math.inf:
        rho2 = variance / (variance + epsilon)
        at = _given(phi, samples, math.sqrt(rho2))
        inverse = 1 / (variance + epsilon)
        if samples < math.inf:
            inverse = math.inf if samples <= 3 else samples / ((samples - 3) * variance)
        return BatchNormAverages(at.activity, at.p, at.r, inverse)
    known: dict[float, Array] = {}
    at_one = _given(phi, samples, 1.0) if _is_homogeneous(phi) else None
    step = _STEP / math.sqrt(max((samples - 1) / 2, 1.0))
    before = None
    for _ in range(_STEPS):
        total = np.sum(list(_weighted(phi, at_one, samples, epsilon, variance, step, known)), axis=0)
        if before is not None and np.all(np.abs(total - before) <= _TOLERANCE * np.abs(total).max()):
            same, cross, inverse, p, r = total.tolist()
            return BatchNormAverages(Pair(same, cross), p / inverse, r / inverse, inverse)
        before, step = total, step / 2
    raise QuadratureError(
        f"averages over sigma^2 did not converge for {phi.name}, T = {samples:g}, epsilon = {epsilon:g} and a variance "
        f"of {variance:.6g}: the activation varies too fast"
    )


def _weighted(
    phi: Activation,
    at_one: _Given | None,
    samples: float,
    epsilon: float,
    variance: float,
    step: float,
    known: dict[float, Array],
) -> Iterator[Array]:
    """Yield (qhat_t, qhat_st, w, w p, w r) times the weights of the trapezoidal rule in y = log chi^2."""
    half = (samples - 1) / 2
    for y in _places(half, step, epsilon * samples / variance).tolist():
        if y not in known:
            sigma2 = variance * math.exp(y) / samples
            weight = 1 / (sigma2 + epsilon)
            rho = math.sqrt(sigma2 * weight)
            at = _given(phi, samples, rho) if at_one is None else at_one.stretched(rho)
            values = np.array([*at.activity, weight, weight * at.p, weight * at.r])
            known[y] = values * math.exp(_log_density(half, y))
        yield step * known[y]


def _places(half: float, step: float, shift: float) -> Array:
    """Return multiples of the step between which the law of log chi^2 lies, also weighted with 1/(chi^2 + shift)."""
    top = math.log(2 * half)
    y = step * np.arange(math.floor((top - 90 / half - 3) / step), math.ceil((top + 6) / step))
    density = np.array([_log_density(half, one) for one in y])
    weighted = density - np.log(np.exp(y) + shift)
    least = math.log(_TAIL)
    return np.asarray(y[(density > density.max() + least) | (weighted > weighted.max() + least)])


def _log_density(half: float, y: float) -> float:
    return float(half * y - math.exp(y) / 2 - half * math.log(2) - special.gammaln(half))


@dataclass(frozen=True)
class _Given:
    """The averages over n at one rho."""

    samples: float
    rho: float
    activity: Pair[float]
    slopes: Pair[float]
    """E phi'_t^2 and E phi'_s phi'_t."""
    moments: Pair[float]
    """E n_t^2 phi'_t^2 and E n_s phi'_s n_t phi'_t."""

    @property
    def c(self) -> float:
        return 2 * self.rho**2 - self.rho**4

    @property
    def p(self) -> float:
        return self.slopes.same - (self.slopes.same + self.c * self.moments.same) / self.samples

    @property
    def r(self) -> float:
        return -(self.slopes.cross + self.c * self.moments.cross) / self.samples

    def stretched(self, rho: float) -> _Given:
        """Return the averages at another rho than 1 of an activation with phi(rho n) = rho phi(n)."""
        return replace(self, rho=rho, activity=Pair(*(rho**2 * qhat for qhat in self.activity)))


def _is_homogeneous(phi: Activation) -> bool:
    """Whether phi(rho u) = rho phi(u) for rho > 0: two straight lines that meet in 0."""
    ends = np.array([1.0, -1.0])
    places = np.outer([2.0**-20, 0.3, 1.0, 2.7, 2.0**20], ends)
    exact = set(phi.value.breaks) <= {0.0} and float(phi(0.0)) == 0
    return exact and bool(np.allclose(phi(places), np.abs(places) * phi(ends), rtol=1e-14, atol=0))


def _given(phi: Activation, samples: float, rho: float) -> _Given:
    freedom = samples - 1
    seen = affine(phi, scale=rho)
    slope, moment = seen.slope, _times_argument(seen.slope)  # rho phi'(rho n), and n times it
    if freedom == math.inf:
        none = Pair(0.0, 0.0)  # they count by 1/T
        mean = float(SPHERE.mean(seen, dimension=freedom).value)
        square = float(SPHERE.second_moment(seen, dimension=freedom).value)
        slopes = Pair(float(SPHERE.second_moment(slope, dimension=freedom).value) / rho**2, 0.0)
        return _Given(samples, rho, Pair(square, mean**2), slopes, none)
    pairs = [
        Pair(
            float(SPHERE.second_moment(f, dimension=freedom).value),
            float(SPHERE.overlap(f, dimension=freedom, cosine=-1 / freedom).value),
        )
        for f in (seen.value, slope, moment)
    ]
    slopes, moments = (Pair(*(value / rho**2 for value in pair)) for pair in pairs[1:])
    return _Given(samples, rho, pairs[0], slopes, moments)


def _times_argument(f: ScalarFunction) -> ScalarFunction:
    """Return u f(u)."""
    return ScalarFunction(
        _TimesArgument(f),
        kinks=[*f.kinks, *(place for place in f.jumps if place == 0)],
        jumps=[place for place in f.jumps if place != 0],
        strip=f.strip,
        scale=f.scale,
        parity=f.parity and f.parity.opposite,
        noise=f.noise,
    )


@dataclass(frozen=True)
class _TimesArgument:
    f: ScalarFunction

    def __call__(self, u: Array) -> Array:
        return np.asarray(u * self.f(u))
