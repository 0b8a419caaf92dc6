"""lambda_max itself, where a theorem only bounds it or holds at infinite width: from the spectrum, or from the bulk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..bulk import bulk_spectrum
from ..errors import QuadratureError
from ..network import Network
from ..normalization import HiddenNormalization, OutputNormalization
from ..order_parameters import STANDARD_INPUTS, OrderParameters
from ..records import Pair
from ..spectrum import spectrum
from .moments import Correction, EigenvalueStatistics

_SAMPLES = 20
"""The least T for which lambda_max is taken from a spectrum."""


def sharpened(
    statistics: EigenvalueStatistics, network: Network, order: OrderParameters, *, width: int, samples: int
) -> EigenvalueStatistics:
    """Return the statistics with lambda_max at finite width as their prediction, for a network that has one.

    Where its equations are not solved the statistics are as before, and ``omitted`` says why.
    """
    if samples < _SAMPLES:
        return statistics
    if network.hidden_normalization is HiddenNormalization.BATCH:
        return _from_the_bulk(statistics, network, order, width=width, samples=samples)
    if network.hidden_normalization is HiddenNormalization.NONE and network.output_normalization == "mean":
        if network.outputs > 1:
            return replace(statistics, omitted=(*statistics.omitted, "lambda_max itself (mf.drawn_largest has it)"))
        return _with(
            statistics,
            network,
            lambda: spectrum(network, width=width, samples=samples, order=order).largest,
            width=width,
        )
    return statistics


def _from_the_bulk(
    statistics: EigenvalueStatistics, network: Network, order: OrderParameters, *, width: int, samples: int
) -> EigenvalueStatistics:
    """Take the end of the bulk, where that is the largest eigenvalue: not below what all samples share."""
    standard = network.batch_norm is not None and network.batch_norm.is_standard
    inputs = Pair(*(float(activity[0]) for activity in order.activity))
    centred = network.output_normalization in (OutputNormalization.MEAN, OutputNormalization.BATCH)
    on_top = centred or statistics.theorem.endswith("lambda_bulk")
    if not (standard and on_top) or inputs != STANDARD_INPUTS:
        return statistics
    return _with(statistics, network, lambda: bulk_spectrum(network, width=width, samples=samples).largest, width=width)


def _with(
    statistics: EigenvalueStatistics, network: Network, largest: Callable[[], float], *, width: int
) -> EigenvalueStatistics:
    try:
        value = largest()
    except QuadratureError as error:
        return replace(statistics, omitted=(*statistics.omitted, f"lambda_max by the spectrum ({error})"))
    off = network.depth_to_width(width) ** (2 / 3)
    return replace(
        statistics,
        prediction=value,
        corrections=(*statistics.corrections, Correction("prediction", "finite width of the spectrum", off)),
    )
