"""The whole chain in one call, with every intermediate record kept."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from .eigenvalues import EigenvalueStatistics, Regime, eigenvalue_statistics
from .errors import require_integer
from .fim import kappas
from .learning_rate import LearningRateBound, learning_rate_bound
from .network import Network
from .order_parameters import STANDARD_INPUTS, OrderParameters, propagate
from .quadrature import AUTO, Method
from .readout import ReadoutScales
from .records import Pair, table


@dataclass(frozen=True)
class Report:
    """What :func:`analyse` found, step by step."""

    network: Network
    width: int
    samples: int
    order: OrderParameters
    """From :func:`propagate`."""
    kappa: Pair[float] | None
    """kappa_1 and kappa_2, from :func:`kappas`; None with batch normalisation in the hidden layers."""
    statistics: EigenvalueStatistics
    """From :func:`eigenvalue_statistics`."""
    learning_rate: LearningRateBound
    """From :func:`learning_rate_bound`."""

    def __str__(self) -> str:
        network = self.network
        names = [phi.name for phi in network.activations]
        rows = [
            ("activations", ", ".join(f"{name} x {len(list(layers))}" for name, layers in groupby(names))),
            ("normalisation", f"hidden {network.hidden_normalization}, output {network.output_normalization}"),
            ("width, samples", f"{self.width}, {self.samples}"),
        ]
        if self.kappa is not None:
            rows.append(("kappa_1, kappa_2", f"{self.kappa.same:.6g}, {self.kappa.cross:.6g}"))
        return "\n\n".join([table(rows), str(self.order), str(self.statistics), f"learning rate\n{self.learning_rate}"])


def analyse(
    network: Network,
    *,
    width: int,
    samples: int,
    inputs: Pair[float] = STANDARD_INPUTS,
    readout: ReadoutScales | None = None,
    regime: Regime | str = Regime.AUTO,
    leading_order: bool = False,
    sharp: bool = True,
    method: Method = AUTO,
) -> Report:
    """Run the chain from the network to the learning rate.

    Parameters and errors are those of :func:`eigenvalue_statistics`.

    Equations: (5)-(7), (10), (11), (16)-(19), (22), (23), (26), (27)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
    >>> report = mf.analyse(network, width=1000, samples=1000)
    >>> round(report.kappa.cross, 6), round(report.learning_rate.value, 6)
    (0.118615, 0.008306)
    """
    network.widths(width)
    samples = require_integer("samples", samples, at_least=1)
    order = propagate(network, inputs=inputs, samples=samples, method=method)
    statistics = eigenvalue_statistics(
        network,
        width=width,
        samples=samples,
        order=order,
        readout=readout,
        regime=regime,
        leading_order=leading_order,
        sharp=sharp,
        method=method,
    )
    kappa = None if order.sensitivity is None else kappas(network, order)
    return Report(network, width, samples, order, kappa, statistics, learning_rate_bound(statistics))
