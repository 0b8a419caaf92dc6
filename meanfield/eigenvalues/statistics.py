"""From a network to the statistics of its eigenvalues: which theorem applies is decided here and nowhere else."""

from __future__ import annotations

from ..errors import AssumptionError, ParameterError, QuadratureError, require_choice, require_integer
from ..fim import dual_block, kappas
from ..network import HiddenNormalization, Network, OutputNormalization
from ..order_parameters import STANDARD_INPUTS, OrderParameters, propagate
from ..quadrature import AUTO, Method
from ..records import Pair
from .mean_subtraction import Regime, theorem_3_3
from .moments import EigenvalueStatistics
from .unnormalized import theorem_2_2

_ZERO = 1e-12
"""kappa_2 / kappa_1 below this is not told from zero by integrals that are accurate to 1e-13."""

_CANCELLED = 1e-9
"""A difference of kappas below this, relative to kappa_1, has fewer than three or four digits left."""


def eigenvalue_statistics(
    network: Network,
    *,
    width: int,
    samples: int,
    inputs: Pair[float] = STANDARD_INPUTS,
    order: OrderParameters | None = None,
    regime: Regime | str = Regime.AUTO,
    leading_order: bool = False,
    method: Method = AUTO,
) -> EigenvalueStatistics:
    """Return the mean, second moment and largest eigenvalue of the Fisher information, by the theorem that applies.

    ===================  ===================  ==================
    hidden layers        output               theorem
    ===================  ===================  ==================
    "none"               "none"               2.2
    "none"               "mean"               3.3 (i) or (ii)
    ===================  ===================  ==================

    Parameters
    ----------
    network : Network
        Not centred: the theorems need kappa_2 > 0.
    width : int
        M >= 1, large enough to give every layer a unit.
    samples : int
        T >= 1; at least 2 with mean subtraction.
    inputs : Pair of float
        qhat^0, as for :func:`propagate`.
    order : OrderParameters, optional
        What :func:`propagate` returned; then ``inputs`` and ``method`` are not used.
    regime : Regime or str
        For Theorem 3.3: "fixed" (T = O(1)), "proportional" (T = M/rho), or "auto": "fixed" for T <= sqrt(M).
    leading_order : bool
        True: the formulas of the paper, with P = alpha M^2 and without the bias parameters. False: the exact number of
        parameters, the rounded widths and the O(1/M) terms of the bias parameters, as a finite network has them.
    method : Method
        How to integrate.

    Returns
    -------
    EigenvalueStatistics
        With the theorem, its regime, what it omits, and how far finite networks may be from it. The integrals are exact
        to about 1e-12; with mean subtraction kappa_1 - kappa_2 loses digits where all samples come to look alike.

    Raises
    ------
    ParameterError
        For a width or a number of samples out of range, or an unknown regime.
    AssumptionError
        For a centred network.
    QuadratureError
        If an integral does not reach its tolerance, or kappa_1 - kappa_2 has lost its digits.
    NotImplementedError
        For a normalisation other than those of the table.

    Equations: (10), (16), (17), (18)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> statistics = mf.eigenvalue_statistics(network, width=1000, samples=1000, leading_order=True)
    >>> round(statistics.prediction, 3), statistics.theorem
    (688.023, 'Theorem 2.2')
    >>> print(mf.eigenvalue_statistics(network.normalized(output="mean"), width=800, samples=800).largest)
    [2.316, 65.46]
    """
    widths = network.widths(width)
    hidden, output = network.hidden_normalization, network.output_normalization
    # one sample has nothing left after mean subtraction
    samples = require_integer("samples", samples, at_least=1 if output is OutputNormalization.NONE else 2)
    regime = require_choice("regime", regime, Regime)
    if hidden is not HiddenNormalization.NONE or output not in (OutputNormalization.NONE, OutputNormalization.MEAN):
        raise NotImplementedError(
            "eigenvalue_statistics covers no normalisation (Theorem 2.2) and mean subtraction in the last layer "
            f"(Theorem 3.3) so far, not hidden_normalization={hidden!s} with output_normalization={output!s}"
        )
    order = propagate(network, inputs=inputs, method=method) if order is None else order
    _require_possible(order, samples)
    _require_non_centred(kappas(network, order), "Theorem 2.2" if output is OutputNormalization.NONE else "Theorem 3.3")
    block = dual_block(network, order, width=width, samples=samples, leading_order=leading_order)
    parameters = network.alpha * width**2 if leading_order else float(network.parameters(width))
    finite_width = network.depth / min(widths[:-1])
    if output is OutputNormalization.NONE:
        return theorem_2_2(block, outputs=network.outputs, finite_width=finite_width, parameters=parameters)
    if block.contrast <= _CANCELLED * block.same:
        raise QuadratureError(
            f"kappa_1 - kappa_2 is {block.contrast / block.same:.1e} of kappa_1, and has lost its digits: in a network "
            "this deep all samples look alike"
        )
    return theorem_3_3(
        block,
        outputs=network.outputs,
        width=width,
        finite_width=finite_width,
        parameters=parameters,
        regime=regime,
    )


def _require_non_centred(kappa: Pair[float], theorem: str) -> None:
    """Refuse kappa_2 = 0, up to the accuracy of the integrals: then terms beyond the leading order decide."""
    if kappa.cross <= _ZERO * kappa.same:
        zero = abs(kappa.cross) <= _ZERO * kappa.same
        what = "zero to rounding: it is centred, no hidden layer has a bias or a Gaussian mean" if zero else "negative"
        raise AssumptionError(
            f"{theorem} needs a non-centred network, kappa_2 > 0, and kappa_2 = {kappa.cross:.1e} (kappa_1 = "
            f"{kappa.same:.1e}) is {what}. "
            "Give a hidden layer a bias variance, or an activation whose Gaussian mean is not zero"
        )


def _require_possible(order: OrderParameters, samples: int) -> None:
    """Refuse overlaps of inputs so negative that T samples cannot all have them."""
    same, cross = float(order.activity.same[0]), float(order.activity.cross[0])
    least = -same / (samples - 1) if samples > 1 else -same
    if cross < least * (1 + 1e-12):
        raise ParameterError(
            "inputs", f"such that {samples} samples can have them: cross >= {least:.6g}", f"{cross:.6g}"
        )
