"""One cell of a sweep after the other: the order parameters, each computed once, and the theorem that applies."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

import numpy as np

from ..eigenvalues import EigenvalueStatistics, Regime, eigenvalue_statistics
from ..errors import AssumptionError, ParameterError
from ..network import Network
from ..order_parameters import OrderParameters, propagate
from ..quadrature import Method
from ..records import Pair

REFUSALS = (AssumptionError, ArithmeticError, ParameterError)
"""What leaves a cell empty. The arguments have been checked: a ParameterError is a number out of range there only."""


@dataclass(frozen=True)
class Options:
    """What all cells are computed with."""

    regime: Regime
    leading_order: bool
    sharp: bool
    method: Method


@dataclass
class Orders:
    """The order parameters of the cells, or why there are none; each is computed once."""

    method: Method
    known: dict[Hashable, OrderParameters | str] = field(default_factory=dict)

    def of(self, network: Network, samples: int) -> OrderParameters | str:
        """Return those of a network; with batch normalisation of all layers they depend on T, not on the variances."""
        variances, settings = (network.weight_variance, network.bias_variance), network.batch_norm
        # epsilon compares with the variances, and layers without normalisation know them
        alone = settings is not None and settings.epsilon == 0 and settings.layers is None
        chain = (network.activations, network.hidden_normalization, settings)
        key = (chain, None if alone else variances, None if settings is None else samples)
        if key not in self.known:
            try:
                self.known[key] = propagate(network, samples=samples, method=self.method)
            except REFUSALS as refusal:
                self.known[key] = str(refusal)
        order = self.known[key]
        if not alone or isinstance(order, str):
            return order
        # behind batch normalisation only q^l = s_w^2 qhat^{l-1} + s_b^2 knows the variances
        s_w, s_b = map(np.array, variances)
        return replace(order, preactivation=Pair(*(s_w * qhat + s_b for qhat in order.activity)))


def statistics_of(
    network: Network, order: OrderParameters | str, *, width: int, samples: int, options: Options
) -> EigenvalueStatistics | str:
    """Return the statistics, or why there are none."""
    if isinstance(order, str):
        return order
    try:
        return eigenvalue_statistics(
            network,
            width=width,
            samples=samples,
            order=order,
            regime=options.regime,
            leading_order=options.leading_order,
            sharp=options.sharp,
        )
    except REFUSALS as refusal:
        return str(refusal)
