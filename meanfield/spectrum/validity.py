"""Where the theory of the spectrum is in doubt: what is said of a network and its sizes."""

from __future__ import annotations

import math

import numpy as np

from ..network import Network
from ..order_parameters import OrderParameters

_FEW_SAMPLES = 20
"""A Gaussian model of the samples needs more."""

_FAR_FROM_PROPORTIONAL = 30.0
"""T/M or M/T from which the model was not compared with networks."""

_NARROW = 25.0
"""Units per layer of depth, below which terms of O(L/M) are large."""


def warnings_of(network: Network, order: OrderParameters, width: int, samples: int) -> tuple[str, ...]:
    """Return what stands against the theory, in words."""
    found = []
    ratio = samples / width
    if samples < _FEW_SAMPLES:
        found.append(f"T = {samples} samples are few: the density is that of many, and single eigenvalues differ")
    if not 1 / _FAR_FROM_PROPORTIONAL <= ratio <= _FAR_FROM_PROPORTIONAL:
        found.append(f"T/M = {ratio:.3g} is far from 1: the theory is for samples and width of the same order")
    widths = network.widths(width)[:-1]
    narrowest, widest = min(widths), max(widths)
    if narrowest < _NARROW * network.depth:
        found.append(f"M = {narrowest} is narrow for depth {network.depth}: terms of O(L/M) are left out")
    elif narrowest < _NARROW * network.depth * math.sqrt(widest / narrowest):
        found.append(
            f"a layer of {narrowest} units beside one of {widest}: what single samples have beyond the shared units "
            "scatters, which raises lambda_max"
        )
    alike = np.max(order.activity.cross[1:] / order.activity.same[1:])
    if alike > 0.97:
        found.append(f"samples look alike (overlap {alike:.3f}): their differences fluctuate more than the theory says")
    return tuple(found)
