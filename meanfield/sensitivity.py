"""How kappas and eigenvalues change with the variances of weights and biases: the sensitivity of the recurrences.

The recurrences (5)-(7) are differentiated forward, in the direction of the variances of every layer. What they need
are derivatives of Gaussian integrals with respect to the covariance of the pair, and those need no derivative of the
function, which for phi' may not exist. With u = sqrt(a) x and u(s) = sqrt(b) z + sqrt(a - b) y(s),

    d/da E f(u)^2 = E f(u)^2 (x^2 - 1)/(2 a),
    d/db I_f[a, b] = E_z E[f y | z]^2/(a - b),                                                 (a as it is)
    d/da I_f[a, c a] = (E_z (z^2 - 1) E[f | z]^2/2 + E_z E[f | z] E[f (y^2 - 1) | z])/a        (c as it is);

the first and the last are the response of the Gaussian density to a change of scale, the second is Price's theorem with
Stein's lemma. For f = phi the second is I_phi'[a, b].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .eigenvalues import EigenvalueStatistics, Regime, eigenvalue_statistics
from .errors import AssumptionError, QuadratureError, require_integer
from .fim import kappas
from .functions import Activation, ScalarFunction
from .gaussian import Array
from .network import Network
from .normalization import HiddenNormalization, OutputNormalization
from .order_parameters import STANDARD_INPUTS, OrderParameters, propagate
from .quadrature import AUTO, Method, common_part, overlap, second_moment
from .records import Pair, table

_CLOSEST = 1e-10
"""Of (a - b)/a in d/db: what it multiplies vanishes with a - b."""


class Totals(NamedTuple):
    """Derivatives with respect to a variance that all layers share."""

    kappa_1: float
    kappa_2: float
    mean: float
    lambda_max: float


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Derivatives with respect to one kind of variance in each layer of weights: arrays of shape (L,)."""

    kappa_1: Array
    kappa_2: Array
    mean: Array
    """Of m_lambda."""
    lambda_max: Array
    """Of lambda_max, or of its lower bound where the theorem has no more."""

    @property
    def total(self) -> Totals:
        """The sums over the layers: with respect to a variance that all of them share."""
        return Totals(*(float(getattr(self, name).sum()) for name in Totals._fields))


@dataclass(frozen=True, eq=False)
class Sensitivities:
    """The derivatives of kappas, mean eigenvalue and largest eigenvalue with respect to all variances."""

    statistics: EigenvalueStatistics
    """The eigenvalues themselves, with the theorem that they rest on."""
    kappa: Pair[float]
    weight_variance: Derivatives
    """With respect to sigma_w^2 of the layers l = 1 .. L."""
    bias_variance: Derivatives
    """With respect to sigma_b^2 of the layers l = 1 .. L; that of the readout enters nothing."""

    def __str__(self) -> str:
        bound = self.statistics.prediction is None
        rows = [
            ("kappa_1", self.kappa.same, "kappa_1"),
            ("kappa_2", self.kappa.cross, "kappa_2"),
            ("m_lambda", self.statistics.mean, "mean"),
            ("lambda_max (lower bound)" if bound else "lambda_max", self.statistics.largest.lower, "lambda_max"),
        ]
        return table(
            [
                (
                    name,
                    f"{value:.6g}",
                    *(f"{getattr(kind.total, field):.6g}" for kind in (self.weight_variance, self.bias_variance)),
                )
                for name, value, field in rows
            ],
            ("quantity", "value", "d/d sigma_w^2", "d/d sigma_b^2"),
        )


def sensitivities(
    network: Network,
    *,
    width: int,
    samples: int,
    inputs: Pair[float] = STANDARD_INPUTS,
    regime: Regime | str = Regime.AUTO,
    leading_order: bool = False,
    method: Method = AUTO,
) -> Sensitivities:
    """Return how kappas, m_lambda and lambda_max change with the variances of weights and biases.

    Parameters
    ----------
    network : Network
        With hidden normalisation "none" or "layer" and output normalisation "none" or "mean".
    width, samples : int
        M and T.
    inputs : Pair of float
        qhat^0, as for :func:`propagate`.
    regime, leading_order, method
        As for :func:`eigenvalue_statistics`. With mean subtraction in the proportional regime lambda_max stands for its
        lower bound.

    Returns
    -------
    Sensitivities
        To about 1e-10 relative to the largest term of each sum.

    Raises
    ------
    AssumptionError
        For other normalisations, for samples with negative overlaps, and where no theorem applies.
    ParameterError, QuadratureError
        As for :func:`eigenvalue_statistics`.

    Equations: (5), (6), (7), (10), (11), (16), (18)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> found = mf.sensitivities(network, width=1000, samples=1000, leading_order=True)
    >>> round(found.weight_variance.total.kappa_1, 12)  # kappa_1 = (3/2)(sigma_w^2/2)^2
    1.5
    >>> found.weight_variance.lambda_max.round(3)
    array([343.511, 247.619,  96.893])
    """
    if network.hidden_normalization is HiddenNormalization.BATCH:
        raise AssumptionError(
            "sensitivities are for hidden layers without batch normalisation, behind which the variances have no effect"
        )
    if network.output_normalization not in (OutputNormalization.NONE, OutputNormalization.MEAN):
        raise AssumptionError(
            "sensitivities are for output_normalization none or mean; with batch or layer normalisation of the outputs "
            "their scale changes with the variances too"
        )
    samples = require_integer("samples", samples, at_least=1)
    order = propagate(network, inputs=inputs, method=method)
    if min(order.preactivation.cross) < 0:
        raise AssumptionError("sensitivities are for samples with an overlap of at least 0 in every layer")
    statistics = eigenvalue_statistics(
        network,
        width=width,
        samples=samples,
        order=order,
        regime=regime,
        leading_order=leading_order,
        sharp=False,
    )
    qhat, qtilde = _differentiated(network, order, method)
    alpha = np.array(network.width_ratios) / network.alpha
    d_kappa = _summed(order, qhat, qtilde, alpha, 0.0)
    units = np.array(network.widths(width)[:-1], dtype=np.float64)
    if leading_order:
        d_block = d_kappa * network.alpha * width / samples
    else:
        d_block = _summed(order, qhat, qtilde, units, 1.0) / samples
    same, cross = d_block
    if network.output_normalization is OutputNormalization.NONE:
        largest, trace = same + (samples - 1) * cross, samples * same
    else:
        largest, trace = same - cross, (samples - 1) * (same - cross)
    mean = network.outputs * trace / statistics.parameters
    depth = network.depth
    weights, biases = (
        Derivatives(*(array[some] for array in (*d_kappa, mean, largest)))
        for some in (slice(0, depth), slice(depth, 2 * depth))
    )
    return Sensitivities(statistics, kappas(network, order), weights, biases)


def _summed(order: OrderParameters, qhat: Array, qtilde: Array, units: Array, biases: float) -> Array:
    """Return the derivatives of sum_l qtilde^l (M_{l-1} qhat^{l-1} + biases), shape (2, directions)."""
    back, activity = np.stack(order.backward), np.stack(order.activity)  # (2, L)
    by_gradient = np.einsum("lpd,pl->pd", qtilde, units * activity + biases)
    return np.asarray(by_gradient + np.einsum("lpd,pl,l->pd", qhat, back, units))


def _differentiated(network: Network, order: OrderParameters, method: Method) -> tuple[Array, Array]:
    """Return the derivatives of qhat^{l-1} and qtilde^l, shape (L, 2, 2 L): by s_w^2 and s_b^2 of the layers."""
    depth, s_w = network.depth, network.weight_variance
    layer_norm = network.hidden_normalization is HiddenNormalization.LAYER
    activity, q, qtilde = (np.stack(pair, axis=1) for pair in (order.activity, order.preactivation, order.backward))
    qhat, back = np.zeros((depth, 2, 2 * depth)), np.zeros((depth, 2, 2 * depth))
    factors, d_factors = np.empty((depth - 1, 2)), np.zeros((depth - 1, 2, 2 * depth))  # qtilde^l/qtilde^{l+1}
    for l, phi in enumerate(network.activations):
        dq = s_w[l] * qhat[l]
        dq[:, l] += activity[l]
        dq[:, depth + l] += 1.0
        norm, d_norm = (q[l, 0], dq[0]) if layer_norm else (1.0, np.zeros(2 * depth))
        pair = q[l] / norm
        d_pair = (dq - np.multiply.outer(pair, d_norm)) / norm
        a, b = pair.tolist()
        of_value, of_slope = (response.of(pair, d_pair) for response in _responses(phi, a, b, method))
        qhat[l + 1] = of_value
        slopes = np.array([second_moment(phi.slope, a, method=method), overlap(phi.slope, a, b, method=method)])
        factors[l] = s_w[l + 1] / norm * slopes
        d_factors[l] = s_w[l + 1] / norm * (of_slope - np.multiply.outer(slopes, d_norm / norm))
        d_factors[l, :, l + 1] += slopes / norm
    for l in reversed(range(depth - 1)):
        back[l] = factors[l, :, None] * back[l + 1] + d_factors[l] * qtilde[l + 1, :, None]
    return qhat, back


class _Response(NamedTuple):
    """The derivative of E f^2 by a, and those of I_f[a, b] by a at fixed b/a, and by b."""

    square: float
    scaled: float
    crossed: float

    def of(self, pair: Array, change: Array) -> Array:
        """Return the change of E f^2 and I_f in every direction, shape (2, directions)."""
        a, b = pair
        return np.stack(
            [self.square * change[0], self.scaled * change[0] + self.crossed * (change[1] - b / a * change[0])]
        )


def _responses(phi: Activation, a: float, b: float, method: Method) -> list[_Response]:
    """Return those of phi and phi'."""
    functions = (phi.value, phi.slope)
    try:
        common = common_part(functions, covariance=b, difference=max(a - b, _CLOSEST * a))
    except MemoryError:
        raise QuadratureError(f"the derivatives of integrals at variance {a:.3g} take more nodes than fit") from None
    responses = []
    for f in functions:
        square = float(overlap(f, a, a, other=_times_hermite(f, a), method=method)) / (2 * a)
        values = f(common.u)
        mean, first, second = (common.given(values * he) for he in (1.0, common.y, common.y**2 - 1))
        of_z = common.over((common.z**2 - 1) * mean**2) / 2 if b > 0 else 0.0
        scaled = (of_z + common.over(mean * second)) / a
        responses.append(_Response(square, scaled, common.over(first**2) / common.difference))
    return responses


def _times_hermite(f: ScalarFunction, variance: float) -> ScalarFunction:
    """Return f(u) (u^2/variance - 1)."""
    return ScalarFunction(
        lambda u: f(u) * (u * u / variance - 1),
        kinks=f.kinks,
        jumps=f.jumps,
        strip=f.strip,
        scale=f.scale,
        parity=f.parity,
        noise=f.noise,
    )
