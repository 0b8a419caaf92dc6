"""What a normalisation of the outputs divides by: the scales Q1, Q2 of (19) and eta_1, eta_2, eta_3 of (27).

They belong to one network and its samples. They are taken from its outputs, drawn from the law that the outputs have in
the limit of infinite width, or expected under that law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from .errors import ParameterError, require_integer, require_real
from .network import Network
from .normalization import OutputNormalization
from .order_parameters import OrderParameters, propagate, require_order
from .records import Pair

_NO_SPREAD = 2.0**-48
"""A standard deviation below this, relative to the largest value, is rounding: no digit of it is left."""

_LARGEST = 1e70
"""Of outputs, and one over the least standard deviation: their fourth powers are within doubles."""


@dataclass(frozen=True)
class ReadoutScales:
    """Averages of the inverse variances that batch and layer normalisation of the outputs divide by.

    sigma_k^2 is the variance of output k over the samples, sigma(t)^2 that of sample t over the outputs. A scale is inf
    where it divides by zero, or where its expectation diverges.

    Equations: (19), (27), (S.112)
    """

    q1: float
    """Q1: the sum over the outputs of sigma_k^-2."""
    q2: float
    """Q2: the sum over the outputs of sigma_k^-4."""
    eta_1: float
    """eta_1: the mean over the samples of sigma(t)^-2."""
    eta_1_squared: float
    """eta_1^2: the mean over all pairs (t, t') of (sigma(t) sigma(t'))^-2; under the law its expectation."""
    eta_2: float
    """eta_2: the mean over the samples of sigma(t)^-4."""
    h3: float
    """eta_3^2, corrected: the mean over all pairs (t, t') of g(t, t')^2/(sigma(t) sigma(t'))^2."""

    @classmethod
    def from_outputs(cls, outputs: ArrayLike) -> ReadoutScales:
        """Return the scales of given outputs u^L_k(t), before they are normalised.

        Parameters
        ----------
        outputs : array of shape (T, C)
            Finite; those of a sweep of ``montecarlo`` before their normalisation are ``sweep.u[-1]``.

        Returns
        -------
        ReadoutScales
            To rounding; inf for outputs, or samples, without a spread.

        Raises
        ------
        ParameterError
            For outputs of another shape, or that are not finite real numbers.

        Notes
        -----
        The paper prints eta_3 = (1/T^2) sum g/(sigma sigma') and squares it in (27); the square belongs inside the sum:
        ``h3`` is what it calls eta_3^2.

        Examples
        --------
        >>> scales = ReadoutScales.from_outputs([[0.0, 2.0], [4.0, 0.0], [2.0, 7.0]])
        >>> scales.eta_1  # sigma(t) is 1, 2 and 2.5
        0.47
        >>> scales.h3 == scales.eta_1_squared  # with two outputs g is 1 or -1
        True
        """
        u = _finite_outputs(outputs)
        across = u - u.mean(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # scales may be inf
            by_output, by_sample = 1 / variance_along(u, axis=0), 1 / variance_along(u, axis=1)
            # sum over t, t' of (u(t).u(t'))^2 w w' is the squared norm of the C x C matrix sum_t w u(t) u(t)'
            moment = (across * by_sample[:, None] ** 2).T @ across / u.size
            eta_1 = float(by_sample.mean())
            h3 = float(np.vdot(moment, moment)) if math.isfinite(eta_1) else math.inf
        return cls(
            q1=float(by_output.sum()),
            q2=float(np.sum(by_output**2)),
            eta_1=eta_1,
            eta_1_squared=eta_1**2,
            eta_2=float(np.mean(by_sample**2)),
            h3=h3,
        )

    def __str__(self) -> str:
        names = ("Q1", "Q2", "eta_1", "eta_1^2", "eta_2", "eta_3^2")
        scales = (self.q1, self.q2, self.eta_1, self.eta_1_squared, self.eta_2, self.h3)
        known = ", ".join(
            f"{name} = {scale:.4g}" for name, scale in zip(names, scales, strict=True) if scale < math.inf
        )
        return known or "none is finite"


def readout_scales(
    network: Network, *, samples: int, rng: np.random.Generator, order: OrderParameters | None = None
) -> ReadoutScales:
    """Draw the scales of one network from the limiting law of its outputs.

    For infinite width the outputs are Gaussian, independent over k, of variance q^L_t and covariance q^L_st between
    samples.

    Parameters
    ----------
    network : Network
    samples : int
        T >= 1.
    rng : numpy.random.Generator
        Takes C deviates for the mean over the samples, then T C for what deviates from it.
    order : OrderParameters, optional
        What :func:`propagate` returned; it is computed for standard inputs if left out.

    Returns
    -------
    ReadoutScales
        Of one draw: another generator gives others.

    Raises
    ------
    ParameterError
        For a number of samples out of range, and for order parameters of another network or that no T samples have.
    AssumptionError, QuadratureError
        As :func:`propagate`, where ``order`` is left out.

    Equations: (19), (27)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=10)
    >>> scales = mf.readout_scales(network, samples=1000, rng=np.random.default_rng(0))
    >>> bool(scales.q1 > 0)
    True
    """
    return ReadoutScales.from_outputs(limiting_outputs(network, samples=samples, rng=rng, order=order))


def limiting_outputs(
    network: Network, *, samples: int, rng: np.random.Generator, order: OrderParameters | None = None
) -> NDArray[np.float64]:
    """Draw the outputs u^L_k(t) of one network from their limiting law: shape (T, C); see :func:`readout_scales`."""
    samples = require_integer("samples", samples, at_least=1)
    if not isinstance(rng, np.random.Generator):
        raise ParameterError("rng", "a numpy.random.Generator", repr(rng))
    same, cross = _output_law(network, samples, order)
    # the mean over the samples and what deviates from it are independent, also for an overlap below zero
    of_mean = max(0.0, cross + (same - cross) / samples)
    common = math.sqrt(of_mean) * rng.standard_normal(network.outputs)
    own = math.sqrt(same - cross) * rng.standard_normal((samples, network.outputs))
    outputs: NDArray[np.float64] = common + own - own.mean(axis=0)
    return outputs


def expected_readout_scales(network: Network, *, samples: int, order: OrderParameters | None = None) -> ReadoutScales:
    """Return the expectations of the scales under the limiting law of the outputs; inf where one diverges.

    With D = q^L_t - q^L_st, q = q^L_t, r = q^L_st/q^L_t and n = C - 1, sigma_k^2 ~ D chi^2_{T-1}/T and
    sigma(t)^2 ~ q chi^2_n/C, so that

        E Q1 = C T/((T-3) D),               E Q2 = C T^2/((T-3)(T-5) D^2),
        E eta_1 = C/(q (C-3)),              E eta_2 = C^2/(q^2 (C-3)(C-5)),

    and for two different samples, with the hypergeometric function F,

        E (sigma sigma')^-2     = C^2/(q^2 (C-3)^2) F(1, 1; n/2; r^2),
        E g^2 (sigma sigma')^-2 = C^2/(q^2 n) [F(1, 1; n/2; r^2)/(n-2)^2 + (n-1) r^2/(n (n+2)) F(2, 2; n/2 + 2; r^2)].

    Parameters
    ----------
    network : Network
    samples : int
        T >= 1. Those of the outputs' scales are finite from T = 4 (Q1) and 6 (Q2) on, those of the samples' from C = 4
        (eta_1) and 6 (all others) on.
    order : OrderParameters, optional
        As for :func:`readout_scales`.

    Returns
    -------
    ReadoutScales
        To about 1e-12 relative; Q1 and Q2 to 1e-15 q^L_t/D, where all samples come to look alike.

    Raises
    ------
    ParameterError, AssumptionError, QuadratureError
        As :func:`readout_scales`.

    Equations: (19), (27)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> scales = mf.expected_readout_scales(network, samples=1000)
    >>> round(scales.q1, 6), scales.eta_1
    (0.990589, inf)
    """
    samples = require_integer("samples", samples, at_least=1)
    q, q_st = _output_law(network, samples, order)
    if q == 0:  # outputs that are all zero
        return ReadoutScales(*(math.inf,) * 6)
    d, r2, n, outputs = q - q_st, (q_st / q) ** 2, network.outputs - 1, network.outputs
    q1 = outputs * samples / ((samples - 3) * d) if samples > 3 and d > 0 else math.inf
    q2 = outputs * samples**2 / ((samples - 3) * (samples - 5) * d**2) if samples > 5 and d > 0 else math.inf
    eta_1 = outputs / (q * (outputs - 3)) if outputs > 3 else math.inf
    if outputs <= 5:
        return ReadoutScales(q1, q2, eta_1, eta_1_squared=math.inf, eta_2=math.inf, h3=math.inf)
    eta_2 = outputs**2 / (q**2 * (outputs - 3) * (outputs - 5))
    first = special.hyp2f1(1, 1, n / 2, r2)
    second = special.hyp2f1(2, 2, n / 2 + 2, r2)
    of_pair = outputs**2 / (q**2 * (n - 2) ** 2) * first
    g_of_pair = outputs**2 / (q**2 * n) * (first / (n - 2) ** 2 + (n - 1) * r2 / (n * (n + 2)) * second)
    # of all pairs (t, t') a share of 1/T has t = t', where g = 1
    eta_1_squared, h3 = (float(eta_2 + (samples - 1) * pair) / samples for pair in (of_pair, g_of_pair))
    return ReadoutScales(q1, q2, eta_1, eta_1_squared, eta_2, h3)


def _output_law(network: Network, samples: int, order: OrderParameters | None) -> Pair[float]:
    """Return q^L_t and q^L_st."""
    if not isinstance(network, Network):
        raise ParameterError("network", "a meanfield.Network", repr(network))
    order = propagate(network, samples=samples) if order is None else require_order(network, order)
    same, cross = (float(q[-1]) for q in order.preactivation)
    least = -same / (samples - 1) if samples > 1 else -same
    if not least * (1 + 1e-12) <= cross <= same:
        expected = f"with an overlap of outputs that {samples} samples can have, from {least:.6g} to {same:.6g}"
        raise ParameterError("order", expected, f"{cross:.6g}")
    return Pair(same, cross)


def variance_along(u: NDArray[np.float64], *, axis: int) -> NDArray[np.float64]:
    """Return the variance along an axis, 0 where it is rounding of values that are all the same."""
    variance = u.var(axis=axis)
    return np.where(variance <= (_NO_SPREAD * np.abs(u).max(axis=axis)) ** 2, 0.0, variance)


def _finite_outputs(outputs: ArrayLike) -> NDArray[np.float64]:
    """Return outputs as an array of shape (T, C) of finite numbers."""
    u = require_real("outputs", outputs)
    if u.ndim != 2 or not u.size:
        raise ParameterError("outputs", "an array of shape (T, C)", f"shape {u.shape}")
    if not np.isfinite(u).all():
        raise ParameterError("outputs", "finite", "inf or nan")
    return u


def checked_outputs(outputs: ArrayLike, normalization: OutputNormalization) -> NDArray[np.float64]:
    """Return outputs as an array of shape (T, C), with a spread where the normalisation divides by it."""
    u = _finite_outputs(outputs)
    if not np.abs(u).max() <= _LARGEST:
        raise ParameterError("outputs", f"numbers up to {_LARGEST:g}", f"{np.abs(u).max():g}")
    divided = {
        OutputNormalization.BATCH: ("output", 0, "batch normalisation"),
        OutputNormalization.LAYER: ("sample", 1, "layer normalisation"),
    }
    if normalization in divided:
        what, axis, by = divided[normalization]
        flat = np.flatnonzero(variance_along(u, axis=axis) < _LARGEST**-2)
        if flat.size:
            expected = f"not all the same for any {what}: {by} divides by their spread"
            raise ParameterError("outputs", expected, f"no spread of {what} {flat[0]}")
    return u
