"""The block of the last layer: a lower bound of the largest eigenvalue, and Theorem 3.4 which rests on it."""

from __future__ import annotations

import math

from ..errors import AssumptionError, require_integer
from ..exchangeable import Exchangeable
from ..network import Network
from ..normalization import OutputNormalization
from ..order_parameters import STANDARD_INPUTS, OrderParameters, propagate, require_order
from ..quadrature import AUTO, Method
from ..records import Pair
from .moments import Bounds, Correction, EigenvalueStatistics, participation_ratio


def last_layer_statistics(
    network: Network,
    *,
    width: int,
    samples: int,
    inputs: Pair[float] = STANDARD_INPUTS,
    order: OrderParameters | None = None,
    leading_order: bool = False,
    method: Method = AUTO,
) -> EigenvalueStatistics:
    """Return the statistics of F_L, the block of the Fisher information that belongs to the last layer's parameters.

    As lambda_max(F) >= lambda_max(F_L), this is a lower bound for any activation and any normalisation of the hidden
    layers. F_L has the dual F*_L(k, k') = (alpha_{L-1} M/T) K_L delta_kk', with qhat^{L-1}_t on the diagonal of K_L and
    qhat^{L-1}_st off it, so that

        lambda_max(F_L) = alpha_{L-1} M max[(T-1)/T qhat_st + qhat_t/T, (qhat_t - qhat_st)/T],    C times.

    Parameters
    ----------
    network : Network
        Without normalisation of the outputs.
    width : int
        M >= 1.
    samples : int
        T >= 1; at least 2 with batch normalisation in the hidden layers.
    inputs : Pair of float
        qhat^0, as for :func:`propagate`.
    order : OrderParameters, optional
        What :func:`propagate` returned (with the same samples); then ``inputs`` and ``method`` are not used.
    leading_order : bool
        True: as printed, with P = C alpha_{L-1} M and without the biases of the last layer. False: P = C (M_{L-1} + 1),
        and the biases in F_L, as a finite network has them.
    method : Method
        How to integrate.

    Returns
    -------
    EigenvalueStatistics
        Of F_L itself, whose number of parameters P is that of the last layer.

    Raises
    ------
    AssumptionError
        With a normalisation of the outputs.

    Notes
    -----
    What the bound is worth depends on the activation. For phi >= 0 (Theorem 3.4) the first of the two grows like M at
    any T. For odd phi behind batch normalisation both fall with T: for tanh and T = 10 they are 0.0027 M and 0.0457 M,
    where finite networks have 0.216 M.

    (S.65) should have alpha_{L-1} in place of alpha, and (S.67) lacks the factor alpha_{L-1} M, which (22) has. The
    "positive constants" of Theorem 3.4 may vanish: for relu and T = 2, qhat_st = 0.

    Equations: (22), (S.61)-(S.67)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, hidden_normalization="batch")
    >>> last = mf.last_layer_statistics(network, width=1000, samples=10, leading_order=True)
    >>> round(last.prediction, 6)  # 1000 (9/10 0.132360617737 + 0.5/10)
    169.124556
    """
    widths = network.widths(width)
    samples = require_integer("samples", samples, at_least=2 if network.hidden_normalization == "batch" else 1)
    if network.output_normalization is not OutputNormalization.NONE:
        raise AssumptionError(
            "the block of the last layer is known for outputs without normalisation, not "
            f"output_normalization={network.output_normalization!s}"
        )
    if order is None:
        order = propagate(network, inputs=inputs, samples=samples, method=method)
    require_order(network, order, samples=samples)
    block = _block(network, order, width=width, samples=samples, leading_order=leading_order)
    parameters = float(network.outputs * (widths[-2] + 1))
    if leading_order:
        parameters = network.outputs * network.width_ratios[-1] * width
    mean = network.outputs * block.trace / parameters
    second_moment = network.outputs * block.squared_norm / parameters
    uniform = samples == 1 or block.uniform >= block.contrast
    largest = block.uniform if uniform else block.contrast
    depth_to_width = network.depth_to_width(width)
    # The C blocks are exactly equal, and nothing fluctuates between them. Within them the overlaps of one layer
    # fluctuate with those of all layers below, where F averages over the layers: by twice as much.
    fluctuating = 2 * participation_ratio(mean, second_moment, parameters) / network.outputs * depth_to_width
    aspect = samples * depth_to_width  # the edge of a product of L Wishart matrices, (1 + sqrt(T/M))^2 for one
    raised = Correction("largest", "level repulsion", math.sqrt(aspect) + aspect, sign=1)
    if uniform and samples > 1:
        size = block.same / block.uniform * samples * depth_to_width
        raised = Correction("largest", "overlap fluctuations", size, sign=1)
    return EigenvalueStatistics(
        mean=mean,
        second_moment=second_moment,
        parameters=parameters,
        largest=Bounds(largest, largest),
        prediction=largest,
        theorem="the block of the last layer, (S.61)-(S.67)",
        leading_order=leading_order,
        corrections=(
            Correction("mean", "finite width", depth_to_width),
            Correction("second_moment", "finite width", 2 * depth_to_width),
            Correction("second_moment", "fluctuations", fluctuating, sign=1),
            Correction("largest", "finite width", depth_to_width),
            raised,
        ),
    )


def theorem_3_4(
    network: Network, order: OrderParameters, *, width: int, samples: int, leading_order: bool = False
) -> EigenvalueStatistics:
    """Return the lower bound of lambda_max with batch normalisation in the hidden layers, for non-negative phi_{L-1}.

    lambda_max >= alpha_{L-1} ((T-1)/T qhat_st + qhat_t/T) M, with the qhat of :func:`batch_norm_parameters`.

    Parameters
    ----------
    network : Network
        Without normalisation of the outputs. Only the last hidden layer enters, and its activation must declare
        ``nonnegative``.
    order : OrderParameters
        What :func:`propagate` returned.
    width, samples : int
        M and T.
    leading_order : bool
        As for :func:`last_layer_statistics`.

    Returns
    -------
    EigenvalueStatistics
        A lower bound in ``largest.lower``. Nothing is known from above, nor of the moments: ``largest.upper`` is inf,
        ``mean`` and ``second_moment`` are nan, and all three are named in ``omitted``.

    Raises
    ------
    AssumptionError
        For an activation that does not declare ``nonnegative``.

    Equations: (22), Theorem 3.4
    """
    phi = network.activations[-1]
    if not phi.value.nonnegative:
        raise AssumptionError(
            f"Theorem 3.4 needs a non-negative activation in the last hidden layer, and {phi.name} is not declared "
            "`nonnegative`",
            {"last_layer_statistics": "the largest eigenvalue of the last layer's block, a lower bound of lambda_max"},
        )
    last = last_layer_statistics(network, width=width, samples=samples, order=order, leading_order=leading_order)
    return EigenvalueStatistics(
        mean=math.nan,
        second_moment=math.nan,
        parameters=network.alpha * width**2 if leading_order else float(network.parameters(width)),
        largest=Bounds(last.largest.lower, math.inf),
        prediction=None,
        theorem="Theorem 3.4",
        omitted=("m_lambda", "s_lambda", "an upper bound of lambda_max"),
        corrections=(Correction("largest", "finite width", network.depth_to_width(width)),),
    )


def _block(network: Network, order: OrderParameters, *, width: int, samples: int, leading_order: bool) -> Exchangeable:
    """Return F*_L(k, k): (M_{L-1} qhat^{L-1} + 1)/T with the biases, alpha_{L-1} M qhat^{L-1}/T to leading order."""
    units = network.width_ratios[-1] * width if leading_order else network.widths(width)[-2]
    biases = 0 if leading_order else 1
    same, cross = ((units * float(qhat[-1]) + biases) / samples for qhat in order.activity)
    return Exchangeable(same, cross, samples)
