"""Layer normalisation in the hidden layers as a network without it, to leading order in the width."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .errors import AssumptionError
from .functions import Activation, ClosedForm, ScalarFunction, Terms
from .gaussian import Array, GaussianPair
from .network import HiddenNormalization, Network
from .order_parameters import STANDARD_INPUTS, propagate
from .quadrature import AUTO, Method
from .records import Pair


def without_layer_norm(network: Network, *, inputs: Pair[float] = STANDARD_INPUTS, method: Method = AUTO) -> Network:
    """Return the network without layer normalisation that has the same order parameters and kappas: phi(u/sqrt(q^l_t)).

    The mean of u^l over the units of a layer is O(M^(-1/2)), and their variance is q^l_t (1 + O(M^(-1/2))). So to
    leading order a layer-normalised layer is one with the activation phi_l(u/sqrt(q^l_t)), whose slope has the
    1/sqrt(q^l_t) of the Jacobian I/sigma. What else the Jacobian has, 11'/M and ubar ubar'/M, takes one or two of the M
    directions out of each gradient: O(1/M) of its square.

    Parameters
    ----------
    network : Network
        With layer normalisation in the hidden layers, or none: then it is returned as it is. The normalisation of the
        outputs stays.
    inputs : Pair of float
        qhat^0, as for :func:`propagate`. The variances q^l_t depend on it.
    method : Method
        How to integrate.

    Returns
    -------
    Network
        Of the same weights and widths. Its activations are picklable and have the closed forms and declarations of the
        old ones, but are not in the catalogue: ``Network.from_dict`` needs them.

    Raises
    ------
    AssumptionError
        For batch normalisation in the hidden layers.
    ParameterError, QuadratureError
        As :func:`propagate`.

    Notes
    -----
    It is the activation that must be stretched, not the weights: with weights W/sqrt(q) in front of phi, forward
    everything is the same, but gradients by W are those by W/sqrt(q) divided by sqrt(q), and each term of the kappas
    has a factor 1/q^l_t (``test_rescaled_weights_have_other_kappas``).

    What holds for the order parameters holds for everything that is made of them: m_lambda, Theorem 2.2, Theorem 4.1,
    Theorem 3.3 (i) and (19) for few samples. For T ~ M and mean-subtracted outputs the fluctuations of sigma(t) come
    in. They multiply row t of the T x M matrices of activities and gradients by 1 + O(M^(-1/2)): of their noise that
    changes nothing at leading order, of what a unit has in common for all samples it makes a matrix of rank one and
    O(1). So the density of the eigenvalues is that of the network returned, and at most a few eigenvalues for each
    layer are not. The fluctuations of order parameters between networks are different ones: sigma(t) takes those of
    |u(t)|^2 out.

    Equations: (S.71)-(S.74), (S.79)-(S.87)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
    >>> network = network.normalized(hidden="layer", output="mean")
    >>> plain = mf.without_layer_norm(network)
    >>> plain.hidden_normalization.value, plain.activations[0]
    ('none', Activation(tanh(u/1.90788)))
    >>> round(mf.kappas(plain).cross, 12) == round(mf.kappas(network).cross, 12)
    True
    """
    if network.hidden_normalization is HiddenNormalization.NONE:
        return network
    if network.hidden_normalization is HiddenNormalization.BATCH:
        raise AssumptionError(
            "without_layer_norm needs layer normalisation in the hidden layers: behind batch normalisation all samples "
            "meet, and no activation of one sample is equivalent to it"
        )
    variances = propagate(network, inputs=inputs, method=method).preactivation.same[:-1]
    activations = tuple(stretched(phi, float(q)) for phi, q in zip(network.activations, variances, strict=True))
    return replace(network, activations=activations, hidden_normalization=HiddenNormalization.NONE)


def stretched(phi: Activation, square: float) -> Activation:
    """Return phi(u/length) for length^2 = ``square`` > 0, with all that is known of phi.

    Examples
    --------
    >>> import meanfield as mf
    >>> float(stretched(mf.relu, 4.0)(3.0))
    1.5
    """
    length = math.sqrt(square)
    name = f"{phi.name}(u/{length:.6g})"
    return Activation(name, _stretched(phi.value, square, 1.0), _stretched(phi.slope, square, 1 / length))


def _stretched(f: ScalarFunction, square: float, factor: float) -> ScalarFunction:
    length = math.sqrt(square)
    return ScalarFunction(
        _Stretched(f, length, factor),
        kinks=[length * place for place in f.kinks],
        jumps=[length * place for place in f.jumps],
        closed_form=f.closed_form and _closed_form(f.closed_form, square, factor),
        strip=None if f.strip is None else length * f.strip,
        scale=None if f.scale is None else length * f.scale,
        parity=f.parity,
        nonnegative=f.nonnegative,
        noise=f.noise,
        precise=None if f.precise is None else _Stretched(f.precise, length, factor),
    )


@dataclass(frozen=True)
class _Stretched:
    """factor f(u/length), for arrays and for numbers of mpmath."""

    f: Callable[[Any], Any]
    length: float
    factor: float

    def __call__(self, u: Any) -> Any:
        return self.f(u / self.length) * self.factor


@dataclass(frozen=True)
class _OfVariance:
    """The integral of a stretched function at a variance: that of the function at variance/square."""

    integral: Callable[[Array], Terms]
    square: float
    factor: float

    def __call__(self, variance: Array) -> Terms:
        return _times(self.integral(variance / self.square), self.factor)


@dataclass(frozen=True)
class _OfPair:
    """The overlap of a stretched function."""

    integral: Callable[[GaussianPair], Terms]
    square: float
    factor: float

    def __call__(self, pair: GaussianPair) -> Terms:
        shrunk = (x / self.square for x in (pair.variance, pair.other_variance, pair.covariance))
        return _times(self.integral(GaussianPair(*shrunk)), self.factor)


def _closed_form(known: ClosedForm, square: float, factor: float) -> ClosedForm:
    return ClosedForm(
        known.source,
        mean=known.mean and _OfVariance(known.mean, square, factor),
        second_moment=known.second_moment and _OfVariance(known.second_moment, square, factor**2),
        overlap=known.overlap and _OfPair(known.overlap, square, factor**2),
    )


def _times(terms: Terms, factor: float) -> Terms:
    if isinstance(terms, tuple):
        return tuple(term * factor for term in terms)
    return np.asarray(terms * factor)
