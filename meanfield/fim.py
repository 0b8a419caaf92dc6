"""The leading form of the dual Fisher information F*: one exchangeable T x T block for each output."""

from __future__ import annotations

import math

import numpy as np

from .batch_norm_gradients import batch_norm_block
from .errors import QuadratureError, require_integer
from .exchangeable import Exchangeable
from .log_domain import log_kappas, power_of_ten
from .network import Network
from .order_parameters import OrderParameters, propagate, require_order
from .records import Pair


def kappas(network: Network, order: OrderParameters | None = None, *, samples: float | None = None) -> Pair[float]:
    """Return kappa_1 and kappa_2: the sums over l = 1 .. L of (alpha_{l-1}/alpha) qtilde^l qhat^{l-1}.

    Parameters
    ----------
    network : Network
        With hidden normalisation "none" or "layer"; with layer normalisation these are kappa'_1 and kappa'_2.
    order : OrderParameters, optional
        What :func:`propagate` returned; it is computed for standard inputs if left out.
    samples : int, optional
        T, passed to :func:`propagate`.

    Returns
    -------
    Pair of float
        ``same`` is kappa_1, ``cross`` is kappa_2. kappa_1 > kappa_2, and kappa_2 = 0 for a centred network.

    Raises
    ------
    AssumptionError
        With batch normalisation in the hidden layers.
    QuadratureError
        If they leave the range of doubles; the message has their logarithm, and so has :func:`log_kappas`.

    Equations: (11), (S.102)

    Examples
    --------
    >>> import meanfield as mf
    >>> kappa_1, kappa_2 = mf.kappas(mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0))
    >>> round(kappa_1, 12), round(kappa_2, 12)
    (1.5, 0.342854318141)
    """
    order = propagate(network, samples=samples) if order is None else require_order(network, order)
    same, cross = (
        float(np.array(network.width_ratios) @ (qtilde * qhat)) / network.alpha
        for qtilde, qhat in zip(order.backward, order.activity, strict=True)
    )
    if not (math.isfinite(same) and math.isfinite(cross)):
        raise QuadratureError(beyond_doubles(network, order))
    return Pair(same, cross)


def beyond_doubles(network: Network, order: OrderParameters) -> str:
    """Return the message for kappas that leave the range of doubles, with their size."""
    found = log_kappas(network, inputs=Pair(float(order.activity.same[0]), float(order.activity.cross[0])))
    return (
        f"kappa_1 is {power_of_ten(found.kappa_1)} (log10: {found.kappa_1:.10g}) and kappa_2 "
        f"{power_of_ten(found.kappa_2)}, beyond the range of doubles: mf.log_kappas and mf.log_statistics give their "
        "logarithms"
    )


def dual_block(
    network: Network, order: OrderParameters, *, width: int, samples: int, leading_order: bool = False
) -> Exchangeable:
    """Return the block F*(k, k) of the dual FIM that belongs to one output; the blocks between outputs vanish.

    To leading order it is (alpha M/T) K with kappa_1 on the diagonal of K and kappa_2 off it. With the rounded widths
    M_l and the bias parameters, as a finite network has them, it is (1/T) sum_l qtilde^l (M_{l-1} qhat^{l-1} + 1).
    The width is that of the layer below, M_{l-1}; (S.99) prints M_l. With batch normalisation in the hidden layers it
    is Theta/T, from :func:`batch_norm_backward`.

    Parameters
    ----------
    network : Network
    order : OrderParameters
        Of this network.
    width, samples : int
        M and T.
    leading_order : bool
        Whether to leave out what is O(1/M) relative: rounding of widths, and the bias parameters.

    Equations: (S.6)-(S.12), (S.99)-(S.101)
    """
    samples = require_integer("samples", samples, at_least=1)
    if network.batch_norm is not None:
        order = require_order(network, order, samples=samples)
        return batch_norm_block(network, order, width=width, samples=samples, leading_order=leading_order)
    units = np.array(network.widths(width)[:-1])
    if leading_order:
        kappa = kappas(network, order)
        scale = network.alpha * width / samples
        return Exchangeable(scale * kappa.same, scale * kappa.cross, samples)
    same, cross = (
        float(qtilde @ (units * qhat + 1)) / samples
        for qtilde, qhat in zip(order.backward, require_order(network, order).activity, strict=True)
    )
    return Exchangeable(same, cross, samples)
