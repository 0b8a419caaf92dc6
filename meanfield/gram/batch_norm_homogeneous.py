r"""Batch normalisation before relu and its like: averages over the normalised vector by a Laplace transform.

With v = G u ~ N(0, Lambda), R^2 = |v|^2, and phi(c v) = c phi(v) for c > 0, all that is needed are averages
E[R^{-2m} F(v)], and

    E[R^{-2m} F] = Gamma(m)^{-1} \int_0^\infty s^{m-1} det(I + 2 s Lambda)^{-1/2} E_{K(s)}[F] ds,

K(s) = Lambda (I + 2 s Lambda)^{-1}: Gaussian averages, in which the quotients are gone. epsilon turns R^2 into
R^2 + T epsilon, a factor exp(-s T epsilon). With w(s) = s det(I + 2 s Lambda)^{-1/2} exp(-s T epsilon), k = s K(s),
V = E_k phi phi' (dividing by s leaves w/s), S = E phi'(v) phi'(v)',

    Q = T \int w/s V d log s.

Of E[s^-2 D P Theta P D] = T E[(R^2)^-1 D (I - v v'/R^2) Theta (I - v v'/R^2) D] the parts with v follow from Stein's
lemma: E[phi_s phi'_t (Theta v)_t] = (K Theta)_st S_st + (Theta K)_tt E[phi_s phi''_t], and, with N = K Theta K,
E[phi_s phi_t v' Theta v] = tr(Theta K) V_st + 2 N_st S_st + N_ss E[phi''_s phi_t] + N_tt E[phi_s phi''_t].
The slope jumps by j at 0, so that E[phi_s phi''_t] = j^2/(2 pi) sqrt(K_ss K_tt - K_st^2)/K_tt. In sum, with
B = (I - k) Theta (I - k) and b_s = (B_ss - Theta_ss)/k_ss,

    E[s^-2 D P Theta P D]_st
        = T \int w [S_st B_st + tr(k Theta)/2 V_st + j^2/(4 pi) sqrt(k_ss k_tt - k_st^2) (b_s + b_t)] d log s:

three products of T x T matrices for each s. The integrand is analytic in log s for |Im log s| < pi, so that the
trapezoidal rule with step h is off by about exp(-2 pi^2/h).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import QuadratureError
from ..functions import Activation, ScalarFunction
from ..gaussian import Array
from .batch_norm_layer import RANK, Averages, Spread, centred
from .pairs import TilePairs

_PROBES = np.geomspace(1e-3, 1e3, 57)
"""Where phi(c) = c phi(1) is tested: ratios that are no round numbers."""

_SAME = 1e-14

_RANGE = np.arange(-120.0, 400.0, 0.25)
"""Of log s, in units of the largest variance: more than weights of any rank need."""

_CUT = 0.01
"""The sum ends where weights are so many tolerances of the largest."""

_HALVINGS = 4


def is_homogeneous(phi: Activation) -> bool:
    """Whether phi(c u) = c phi(u) for all c > 0, and its integrals are known."""
    known = all(f.closed_form is not None and f.closed_form.overlap is not None for f in (phi.value, phi.slope))
    if not known or any(phi.value.breaks) or any(phi.slope.breaks):  # breaks other than 0
        return False
    for sign in (1.0, -1.0):
        if not np.allclose(phi.value(sign * _PROBES), _PROBES * phi.value(sign), rtol=_SAME, atol=0):
            return False
    return True


def homogeneous_layer(
    phi: Activation, spread: Spread, theta: Array | None, *, epsilon: float, tolerance: float
) -> Averages:
    """Return Q = E phi(n) phi(n)' and E[s^-2 D P Theta P D] for phi(c u) = c phi(u).

    Parameters
    ----------
    phi : Activation
        That :func:`is_homogeneous`.
    spread : Spread
        Of the pre-activations; its rank at least 3 for the second with epsilon = 0.
    theta : array of shape (T, T), optional
        The tangent kernel of the pre-activations.
    epsilon : float
        At least 0.
    tolerance : float
        Relative to the diagonals, by an estimate from half of the nodes.

    Raises
    ------
    QuadratureError
        If the tolerance is not reached.
    """
    integrand = _Integrand.of(phi, spread, theta, epsilon)
    step = 4 * math.pi**2 / math.log(10 / tolerance)
    total = integrand.sum(step, 0.0, tolerance)
    for _ in range(_HALVINGS):
        other = integrand.sum(step, 0.5, tolerance)
        # an error that falls like exp(-c/step) is squared where the step is halved
        error = max(_apart(a, b) for a, b in zip(total, other, strict=True)) ** 2
        total = [(a + b) / 2 for a, b in zip(total, other, strict=True)]
        step /= 2
        if error <= tolerance:
            return Averages(total[0], total[1] if len(total) > 1 else None, max(error, tolerance / 10))
    raise QuadratureError(
        f"{phi.name} behind batch normalisation: the trapezoidal rule with step {step:.2g} is off by {error:.1e}, "
        f"more than {tolerance:g}; allow a larger error (tolerance=...)"
    )


@dataclass(frozen=True)
class _Integrand:
    """At one s, in units of the largest variance."""

    phi: Activation
    spread: Spread
    damping: float
    """T epsilon."""
    scale: float
    """The largest variance."""
    theta: Array | None
    own_axes: Array | None
    """Theta in the axes of the spread."""
    jump: float

    @classmethod
    def of(cls, phi: Activation, spread: Spread, theta: Array | None, epsilon: float) -> _Integrand:
        scale = float(spread.variances[0])
        unit = Spread(spread.variances / scale, spread.axes)
        theta = None if theta is None else centred(theta)
        own = None if theta is None else spread.axes.T @ theta @ spread.axes
        jump = float(phi.slope(1.0) - phi.slope(-1.0))
        return cls(phi, unit, spread.samples * epsilon / scale, scale, theta, own, jump)

    def log_weight(self, x: Array) -> Array:
        """Return log w(s) at log s = x, shape (n,)."""
        s = np.exp(x)
        return np.asarray(x - np.log1p(2 * np.multiply.outer(s, self.spread.variances)).sum(-1) / 2 - s * self.damping)

    def sum(self, step: float, offset: float, tolerance: float) -> list[Array]:
        """Return the trapezoidal sum over log s = (n + offset) step, as far as the weights say."""
        size = self.log_weight(_RANGE)
        if self.theta is None and self.spread.rank < RANK:  # w does not fall off, but w/s V does
            size -= np.logaddexp(0, math.log(2 * self.spread.variances[self.spread.rank - 1]) + _RANGE)
        far = _RANGE[size > size.max() + math.log(_CUT * tolerance)]
        nodes = (np.arange(math.floor(far[0] / step), math.ceil(far[-1] / step) + 1) + offset) * step
        total = [step * part for part in self(float(nodes[0]))]
        for x in nodes[1:].tolist():
            for entire, part in zip(total, self(x), strict=True):
                entire += step * part
        return total

    def __call__(self, x: float) -> list[Array]:
        """Return what stands before d log s at log s = x, in Q and, if asked for, in the other."""
        s = math.exp(x)
        lam, axes, samples = self.spread.variances, self.spread.axes, self.spread.samples
        k = s * lam / (1 + 2 * s * lam)
        covariance = (axes * k) @ axes.T
        sd = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
        pairs = TilePairs(sd, sd, (covariance + covariance.T) / 2)
        weight = samples * math.exp(float(self.log_weight(np.array([x]))[0]))
        v = _overlap(self.phi.value, pairs)
        if self.theta is None or self.own_axes is None:
            return [weight / s * v]
        b = axes @ ((1 - k)[:, None] * self.own_axes * (1 - k)) @ axes.T
        lost = np.diagonal(b) - np.diagonal(self.theta)
        lost = np.divide(lost, sd * sd, out=np.zeros_like(lost), where=sd > 0)
        bent = self.jump**2 / (4 * math.pi) * pairs.root * (lost[:, None] + lost)
        trace = float(k @ np.diagonal(self.own_axes))
        tangent = _overlap(self.phi.slope, pairs) * b + trace / 2 * v + bent
        return [weight / s * v, weight / self.scale * tangent]


def _overlap(f: ScalarFunction, pairs: TilePairs) -> Array:
    assert f.closed_form is not None
    assert f.closed_form.overlap is not None
    terms = f.closed_form.overlap(pairs)
    value = sum(terms[1:], start=terms[0]) if isinstance(terms, tuple) else terms
    return np.asarray(np.broadcast_to(value, pairs.covariance.shape))


def _apart(a: Array, b: Array) -> float:
    """Return the largest difference, relative to the root of the product of two entries on the diagonal."""
    size = np.sqrt(np.maximum(np.diagonal(a), 0))
    scale = np.multiply.outer(size, size)
    return float(np.divide(np.abs(a - b), scale, out=np.zeros_like(scale), where=scale > 0).max())
