"""The chain of Wishart matrices in the limit of large T and M: its density by the cavity equations of ``spectrum``.

They are those of a centred network, whose gradients have nothing in common: b = 0. A hidden layer has one node, of
response sqrt(linear) and noise rest. What single samples have besides enters by its variance. Even activations have a
negative ``linear`` of O(1/T), which no Gaussian model has: next to 0 stands for it.
"""

from __future__ import annotations

import math

import numpy as np

from ..spectrum.limit import LimitLayer, LimitModel
from ..spectrum.limit_density import LimitDensity
from ..spectrum.nodes import Nodes
from .chain import Chain

_LEAST = 1e-9
"""Of ``linear``: at 0 unknowns of the cavity equations vanish, and the solver needs their size."""


def bulk_density(chain: Chain, outputs: int) -> LimitDensity:
    """Return the density of the eigenvalues of F* on the contrasts."""
    samples, freedom = chain.samples, chain.samples - 1
    widths = [layer.width for layer in chain.layers]
    forward = [layer.weight * freedom / (samples * layer.width) for layer in chain.layers]
    layers = tuple(
        LimitLayer(
            nodes=_node(max(layer.linear, _LEAST), layer.own, layer.below),
            spread=0.0,
            forward=forward[l],
            backward=0.0,
            excess=1.0,
            up=1.0,
            down=1.0,
            share=layer.width / freedom,
            ratio_below=layer.width / widths[l - 1],
            ratio_above=layer.width / widths[l + 1] if l + 1 < len(widths) else 0.0,
        )
        for l, layer in enumerate(chain.layers)
        if l
    )
    constant = sum(layer.part - layer.weight * layer.own for layer in chain.layers) / samples
    of_samples = chain.shared - chain.gaussian + (outputs + 1) * chain.separate
    disorder = of_samples * (chain.bulk / samples) ** 2
    return LimitDensity(LimitModel(layers, forward[0], 1.0, widths[0] / freedom, constant, freedom, disorder))


def _node(linear: float, own: float, below: float) -> Nodes:
    """Return the averages of a linear activation with noise; b = 0 leaves no effect to those of the slope."""
    one, zero = np.ones(1), np.zeros(1)
    return Nodes(
        weights=one,
        activity=zero,
        square=zero,
        response=math.sqrt(linear) * one,
        slope=zero,
        slope_square=one,
        curvature=zero,
        activity_noise=(own - linear * below) * one,
        noise_covariance=zero,
        slope_noise=zero,
    )
