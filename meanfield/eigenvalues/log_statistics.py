"""The eigenvalues of networks so deep that they leave the range of doubles, by their decimal logarithms."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import AssumptionError, require_choice, require_integer
from ..log_domain import LogKappas, log_sums, power_of_ten
from ..network import Network
from ..normalization import OutputNormalization
from ..order_parameters import STANDARD_INPUTS
from ..records import Pair, table
from .hypotheses import ZERO
from .mean_subtraction import choose_regime
from .moments import Bounds, Regime
from .statistics import theorem_name


@dataclass(frozen=True)
class LogStatistics:
    """Decimal logarithms of what :class:`EigenvalueStatistics` and :class:`LearningRateBound` hold."""

    kappa: LogKappas
    mean: float
    """log10 of m_lambda."""
    largest: Bounds
    """log10 of lambda_max, or of its bounds."""
    theorem: str

    @property
    def necessary(self) -> float:
        """log10 of 2/lower: no learning rate above it converges."""
        return math.log10(2) - self.largest.lower

    def __str__(self) -> str:
        lower, upper = (power_of_ten(x) for x in (self.largest.lower, self.largest.upper))
        rows = [
            ("kappa_1", power_of_ten(self.kappa.kappa_1)),
            ("kappa_2", power_of_ten(self.kappa.kappa_2)),
            ("kappa_1 - kappa_2", power_of_ten(self.kappa.difference)),
            ("m_lambda", power_of_ten(self.mean)),
            ("lambda_max", lower if lower == upper else f"[{lower}, {upper}]"),
            ("learning rate", f"at most {power_of_ten(self.necessary)}"),
            ("theorem", self.theorem),
        ]
        return table(rows)


def log_statistics(
    network: Network,
    *,
    width: int,
    samples: int,
    inputs: Pair[float] = STANDARD_INPUTS,
    regime: Regime | str = Regime.AUTO,
    leading_order: bool = False,
) -> LogStatistics:
    """Return the logarithms of kappas, m_lambda and lambda_max: Theorems 2.2 and 3.3 at any depth.

    Parameters
    ----------
    network : Network
        With hidden normalisation "none" or "layer" and output normalisation "none" or "mean".
    width, samples : int
        M and T.
    inputs, regime, leading_order
        As for :func:`eigenvalue_statistics`.

    Returns
    -------
    LogStatistics
        As accurate as :func:`log_kappas`. ``kappa_1 - kappa_2`` keeps its digits where all samples come to look alike.

    Raises
    ------
    AssumptionError
        For other normalisations, and for kappa_2 = 0.

    Equations: (10), (16), (17), (18), (23)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=1000, weight_variance=5.0)
    >>> print(mf.log_statistics(network, width=1000, samples=1000))
    kappa_1            3.49e+397
    kappa_2            8.83e+396
    kappa_1 - kappa_2  2.6e+397
    m_lambda           3.48e+394
    lambda_max         8.85e+402
    learning rate      at most 2.26e-403
    theorem            Theorem 2.2
    """
    output = network.output_normalization
    if output not in (OutputNormalization.NONE, OutputNormalization.MEAN):
        raise AssumptionError("log_statistics is for output_normalization none or mean")
    samples = require_integer("samples", samples, at_least=2 if output is OutputNormalization.MEAN else 1)
    regime = require_choice("regime", regime, Regime)
    units = network.width_ratios if leading_order else network.widths(width)[:-1]
    of_kappa, block = log_sums(
        network, [network.width_ratios, tuple(map(float, units))], inputs=inputs, biases=not leading_order
    )
    alpha = math.log10(network.alpha)
    kappa = LogKappas(*(x - alpha for x in of_kappa))
    if kappa.kappa_2 <= kappa.kappa_1 + math.log10(ZERO) and network.is_centered:
        raise AssumptionError(
            f"Theorems 2.2 and 3.3 need a non-centred network, kappa_2 > 0; kappa_1 is {power_of_ten(kappa.kappa_1)}"
        )
    scale = math.log10(width / samples) if leading_order else -math.log10(samples)
    same, cross, contrast = (x + scale for x in block)
    parameters = math.log10(network.alpha * width**2 if leading_order else network.parameters(width))
    outputs = math.log10(network.outputs)
    if output is OutputNormalization.NONE:
        uniform = _log_sum(same, math.log10(samples - 1) + cross) if samples > 1 else same
        mean = outputs + math.log10(samples) + same - parameters
        return LogStatistics(kappa, mean, Bounds(uniform, uniform), theorem_name(network, "Theorem 2.2"))
    rest = math.log10(samples - 1)
    mean = outputs + rest + contrast - parameters
    chosen, _ = choose_regime(regime, samples, width)
    if chosen is Regime.FIXED:
        return LogStatistics(kappa, mean, Bounds(contrast, contrast), theorem_name(network, "Theorem 3.3 (i)"))
    upper = (outputs + rest) / 2 + contrast  # of sqrt(P s)
    return LogStatistics(kappa, mean, Bounds(contrast, max(contrast, upper)), theorem_name(network, "Theorem 3.3 (ii)"))


def _log_sum(x: float, y: float) -> float:
    """Return log10(10^x + 10^y)."""
    larger, smaller = max(x, y), min(x, y)
    return larger + math.log10(1 + 10 ** (smaller - larger)) if smaller > -math.inf else larger
