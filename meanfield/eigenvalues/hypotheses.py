"""What the theorems assume of a network and its inputs, and what still holds where they do not apply."""

from __future__ import annotations

from ..errors import AssumptionError, QuadratureError
from ..exchangeable import Exchangeable
from ..fim import dual_block, kappas
from ..network import Network
from ..normalization import OutputNormalization
from ..order_parameters import ALIKE, OrderParameters

ZERO = 1e-12
"""kappa_2 / kappa_1 below this is not told from zero by integrals that are accurate to 1e-13."""

CANCELLED = 1e-9
"""A difference of kappas below this, relative to kappa_1, has fewer than three or four digits left."""


def require_non_centred(network: Network, order: OrderParameters, *, theorem: str, width: int, samples: int) -> None:
    """Refuse kappa_2 = 0, where terms beyond the leading order decide, and say what is known there all the same.

    Raises
    ------
    AssumptionError
        For a centred network on inputs without overlap, and for kappa_2 < 0.
    QuadratureError
        For kappa_2 > 0 that is lost in rounding.

    Equations: (S.14), Definition 2.1
    """
    kappa = kappas(network, order)
    if float(order.activity.cross[0]) == 0 and network.is_centered:
        instead = {"propagate": "the order parameters", "dual_block": "the block F*(k, k) of one output"}
        raise AssumptionError(_centred(network, order, theorem, width, samples), instead)
    if kappa.cross < -ZERO * kappa.same:
        raise AssumptionError(
            f"{theorem} needs a non-centred network, kappa_2 > 0, and kappa_2 = {kappa.cross:.1e} (kappa_1 = "
            f"{kappa.same:.1e}) is negative: the inputs have a negative overlap. "
            "Give a hidden layer a bias variance, or an activation whose Gaussian mean is not zero"
        )
    if kappa.cross <= ZERO * kappa.same:
        raise QuadratureError(
            f"{theorem} needs kappa_2 > 0. The network is not centred, but kappa_2 = {kappa.cross:.1e} is not told "
            f"from zero by integrals that are accurate to {ZERO:g} of kappa_1 = {kappa.same:.1e}; terms beyond the "
            "leading order decide. Give a hidden layer a larger bias variance"
        )


def require_difference(block: Exchangeable, order: OrderParameters) -> None:
    """Refuse kappa_1 - kappa_2 that has lost its digits, in itself or in the q_t - q_st of some layer.

    Behind a kink it goes as the root of q_t - q_st, and looks accurate.
    """
    q_t, q_st = order.preactivation
    alike = float(((q_t - q_st) / q_t).min())
    if block.contrast <= CANCELLED * block.same or alike <= ALIKE:
        raise QuadratureError(lost_difference(block.contrast / block.same, alike))


def lost_difference(share: float, alike: float) -> str:
    """Return the message for a difference that is this share of kappa_1, and for such a smallest (q_t - q_st)/q_t."""
    return (
        f"kappa_1 - kappa_2 is {share:.1e} of kappa_1, q_t - q_st {alike:.1e} of q_t in some layer: it has lost its "
        "digits. In a network this deep all samples look alike"
    )


def _centred(network: Network, order: OrderParameters, theorem: str, width: int, samples: int) -> str:
    """Return the message for a centred network, with the numbers that its trace and few samples give."""
    block = dual_block(network, order, width=width, samples=samples)
    parameters = network.parameters(width)
    kept, before = block.trace, "before the outputs are normalised "
    if network.output_normalization is OutputNormalization.NONE:
        before = ""
    elif network.output_normalization is OutputNormalization.MEAN:
        kept, before = block.centred().trace, ""
    return (
        f"{theorem} needs a non-centred network, kappa_2 > 0, and this one is centred: no hidden layer has a bias or a "
        "Gaussian mean, so that kappa_2 = 0 and terms beyond the leading order decide. Theorems 2.2, 3.1, 3.3 and 4.1 "
        f"and (19) do not apply. What holds {before}is the mean, which is a trace, m_lambda = "
        f"{network.outputs * kept / parameters:.4g}, and for T << sqrt(M) alone lambda_max ~ alpha kappa_1 M/T = "
        f"{block.same:.4g}. For the theorems, give a hidden layer a bias variance, or an activation whose Gaussian "
        "mean is not zero"
    )
