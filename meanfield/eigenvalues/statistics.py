"""From a network to the statistics of its eigenvalues: which theorem applies is decided here and nowhere else."""

from __future__ import annotations

from ..errors import AssumptionError, require_integer
from ..fim import dual_block, kappas
from ..functions import Pair
from ..network import HiddenNormalization, Network, OutputNormalization
from ..order_parameters import STANDARD_INPUTS, OrderParameters, propagate
from ..quadrature import AUTO, Method
from .mean_subtraction import Regime, as_regime, theorem_3_3
from .moments import EigenvalueStatistics
from .unnormalized import theorem_2_2

_ZERO = 1e-12
"""kappa_2 / kappa_1 below this is not told from zero by integrals that are accurate to 1e-13."""


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
        With the theorem, its regime, what it omits, and how far finite networks may be from it.

    Raises
    ------
    ParameterError
        For a width or a number of samples out of range, or an unknown regime.
    AssumptionError
        For a centred network.
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
    network.widths(width)
    hidden, output = network.hidden_normalization, network.output_normalization
    # one sample has nothing left after mean subtraction
    samples = require_integer("samples", samples, at_least=1 if output is OutputNormalization.NONE else 2)
    regime = as_regime(regime)
    if hidden is not HiddenNormalization.NONE or output not in (OutputNormalization.NONE, OutputNormalization.MEAN):
        raise NotImplementedError(
            "eigenvalue_statistics covers no normalisation (Theorem 2.2) and mean subtraction in the last layer "
            f"(Theorem 3.3) so far, not hidden_normalization={hidden!s} with output_normalization={output!s}"
        )
    order = propagate(network, inputs=inputs, method=method) if order is None else order
    _require_non_centred(kappas(network, order), "Theorem 2.2" if output is OutputNormalization.NONE else "Theorem 3.3")
    block = dual_block(network, order, width=width, samples=samples, leading_order=leading_order)
    parameters = network.alpha * width**2 if leading_order else float(network.parameters(width))
    sizes = {"outputs": network.outputs, "depth": network.depth, "width": width}
    if output is OutputNormalization.NONE:
        return theorem_2_2(block, parameters=parameters, **sizes)
    return theorem_3_3(block, parameters=parameters, regime=regime, **sizes)


def _require_non_centred(kappa: Pair[float], theorem: str) -> None:
    """Refuse kappa_2 = 0, up to the accuracy of the integrals: then terms beyond the leading order decide."""
    if abs(kappa.cross) <= _ZERO * kappa.same:
        raise AssumptionError(
            f"{theorem} needs a non-centred network, but this one is centred (Definition 2.1): kappa_2 = "
            f"{kappa.cross:.1e} is zero to rounding. Give it a bias variance, or an activation whose Gaussian mean is "
            "not zero"
        )
