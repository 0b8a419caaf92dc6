"""Maps of one quantity over two parameters, for several normalisations: the record that is drawn and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from .errors import AssumptionError, ParameterError, require_choice
from .gaussian import Array
from .network import Network
from .normalization import BatchNorm, HiddenNormalization, OutputNormalization
from .phase import EdgeOfChaos, edge_curve
from .quadrature import AUTO, Method
from .sweep import Sweep, sweep


class MapQuantity(StrEnum):
    """What a map shows."""

    LAMBDA_MAX = "lambda-max"
    """The largest eigenvalue; its lower bound where there is no more."""
    M_LAMBDA = "m-lambda"
    """The mean eigenvalue."""
    LEARNING_RATE = "learning-rate"
    """2/lambda_max, the threshold; 2/(lower bound), above which no rate converges, where there is no more."""
    KAPPA_RATIO = "kappa-ratio"
    """kappa_2/kappa_1: 1 where all samples look alike, 0 for a centred network."""


AXES = ("weight_variance", "bias_variance", "width", "samples", "depth", "outputs", "width_ratio")
"""Parameters that may be an axis."""

PAIRS = tuple((hidden, output) for hidden in HiddenNormalization for output in OutputNormalization)
"""The normalisations, all of which some theorem covers."""

_VARIANCES = ("weight_variance", "bias_variance")

_EDGE_POINTS = 400
"""Of the edge of chaos."""


@dataclass(frozen=True, eq=False)
class MapPanel:
    """The quantity for one normalisation."""

    hidden: HiddenNormalization | BatchNorm
    output: OutputNormalization
    values: Array
    """Shape (y, x); nan where it is not known."""
    theorem: str
    """What it rests on, and whether it is a bound."""
    edge: EdgeOfChaos | None
    """The edge of chaos, where the axes are the two variances and nothing normalises the hidden layers."""
    reason: str
    """Why the first cell that is not known is not; empty if all are."""


@dataclass(frozen=True, eq=False)
class SweepMap:
    """A quantity over two parameters, for several normalisations."""

    quantity: MapQuantity
    x: str
    """The name of the parameter along the second axis of the panels."""
    y: str
    """Along the first."""
    panels: tuple[MapPanel, ...]
    sweep: Sweep
    """With all other quantities; one dimension is ``normalization``."""

    def places(self, name: str) -> Array:
        """Return the values of one of the two parameters."""
        return np.array(self.sweep.coordinates[name][1], dtype=np.float64)


def sweep_map(
    network: Network,
    *,
    x: tuple[str, Iterable[float]],
    y: tuple[str, Iterable[float]],
    quantity: MapQuantity | str = MapQuantity.LAMBDA_MAX,
    normalizations: Iterable[tuple[HiddenNormalization | str, OutputNormalization | str]] | None = None,
    width: int = 1000,
    samples: int | None = None,
    method: Method = AUTO,
    **options: Any,
) -> SweepMap:
    """Return a map of one quantity over two parameters, with and without normalisation.

    Parameters
    ----------
    network : Network
        What is not swept; its own normalisation does not enter.
    x, y : pair of a name and values
        Two different ones of weight_variance, bias_variance, width, samples, depth, outputs, width_ratio.
    quantity : MapQuantity or str
        "lambda-max", "m-lambda", "learning-rate" or "kappa-ratio".
    normalizations : sequence of pairs, optional
        (hidden, output). Left out: those of which some cell is known.
    width, samples : int
        M and T, where they are no axis; T = M if left out.
    method, **options
        Those of :func:`sweep`.

    Returns
    -------
    SweepMap

    Raises
    ------
    ParameterError
        For an argument out of range, before any work.
    AssumptionError
        If no cell of the map is known.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.tanh, depth=5, weight_variance=1.0)
    >>> found = mf.sweep_map(
    ...     network,
    ...     x=("weight_variance", [1.0, 2.0, 3.0]),
    ...     y=("bias_variance", [0.1, 0.5]),
    ...     normalizations=[("none", "none"), ("none", "mean")],
    ... )
    >>> [panel.values.shape for panel in found.panels], found.panels[1].theorem
    ([(2, 3), (2, 3)], 'Theorem 3.3 (ii), lower bound')
    """
    quantity = require_choice("quantity", quantity, MapQuantity)
    names = {}
    for axis, (name, values) in (("x", x), ("y", y)):
        if name not in AXES:
            raise ParameterError(axis, "one of " + ", ".join(AXES), repr(name))
        names[name] = list(values)
    if len(names) < 2:
        raise ParameterError("y", f"another parameter than x, {x[0]}", y[0])
    given: dict[str, Any] = {"width": width, "samples": samples, **names}
    pairs = list(PAIRS if normalizations is None else normalizations)
    if quantity is MapQuantity.KAPPA_RATIO and normalizations is None:  # the outputs do not enter
        pairs = [
            pair for pair in PAIRS if pair[1] is OutputNormalization.NONE and pair[0] is not HiddenNormalization.BATCH
        ]
    found = sweep(
        network,
        hidden_normalization=("normalization", [hidden for hidden, _ in pairs]),
        output_normalization=("normalization", [output for _, output in pairs]),
        method=method,
        **given,
        **options,
    )
    panels = tuple(_panels(found, quantity, x[0], y[0]))
    if normalizations is None:
        panels = tuple(panel for panel in panels if np.isfinite(panel.values).any())
    if not any(np.isfinite(panel.values).any() for panel in panels):
        raise AssumptionError(
            f"nothing is known at any cell of the map; at the first: {next(iter(found.reasons.values()), '')}"
        )
    return SweepMap(quantity, x[0], y[0], panels, found)


def _panels(found: Sweep, quantity: MapQuantity, x: str, y: str) -> Iterator[MapPanel]:
    hidden, output = (found.coordinates[f"{which}_normalization"][1] for which in ("hidden", "output"))
    variances = (x, y) in (_VARIANCES, _VARIANCES[::-1])
    along = found.dims.index("normalization")
    for i in range(len(hidden)):
        values, bound = _values(found, quantity, i)
        theorems = _named_once(sorted({str(name) for name in np.take(found.theorem, i, along).flat if name}))
        no_edge = not variances or hidden[i] is not HiddenNormalization.NONE
        yield MapPanel(
            hidden=hidden[i],
            output=output[i],
            values=values.T if found.dims.index(x) < found.dims.index(y) else values,
            theorem="" if quantity is MapQuantity.KAPPA_RATIO else f"{theorems}{', lower bound' if bound else ''}",
            edge=None if no_edge else _edge(found, x, y),
            reason=next((text for cell, text in found.reasons.items() if cell[along] == i), ""),
        )


def _named_once(theorems: list[str]) -> str:
    """Return "Theorem 3.3 (i), (ii) with kappa'" for its two cases, and the like."""
    if len(theorems) < 2:
        return "".join(theorems)
    cases, of_kappa, rest = zip(*(name.partition(" with ") for name in theorems), strict=True)
    stem = cases[0].rpartition(" ")[0]
    if len(set(rest)) > 1 or not all(stem and case.startswith(f"{stem} ") for case in cases):
        return ", ".join(theorems)
    return f"{stem} {', '.join(case.rpartition(' ')[2] for case in cases)}{of_kappa[0]}{rest[0]}"


def _values(found: Sweep, quantity: MapQuantity, i: int) -> tuple[Array, bool]:
    """Return the quantity for one normalisation, and whether lambda_max is bounded only."""
    axis = found.dims.index("normalization")
    mean, kappa_1, kappa_2, lower, prediction = (
        np.take(array, i, axis) for array in (found.mean, found.kappa_1, found.kappa_2, found.lower, found.prediction)
    )
    if quantity is MapQuantity.M_LAMBDA:
        return mean, False
    if quantity is MapQuantity.KAPPA_RATIO:
        return np.divide(kappa_2, kappa_1, out=np.full(kappa_1.shape, np.nan), where=kappa_1 > 0), False
    largest = np.where(np.isnan(prediction), lower, prediction)
    bound = bool((np.isnan(prediction) & ~np.isnan(largest)).any())
    if quantity is MapQuantity.LAMBDA_MAX:
        return largest, bound
    return np.divide(2, largest, out=np.full(largest.shape, np.nan), where=largest > 0), bound


def _edge(found: Sweep, x: str, y: str) -> EdgeOfChaos | None:
    """Return the edge of chaos in the range of the map, for hidden layers that are all alike."""
    if len(set(found.network.activations)) > 1:
        return None
    largest = max(found.coordinates["weight_variance"][1]), max(found.coordinates["bias_variance"][1])
    try:
        edge = edge_curve(found.network.activations[0], np.geomspace(1e-6, 1e4, _EDGE_POINTS))
    except ArithmeticError:  # of integrals far from any network that is drawn
        return None
    shown = (edge.weight_variance <= 1.1 * largest[0]) & (edge.bias_variance <= 1.1 * largest[1])
    return EdgeOfChaos(edge.weight_variance[shown], edge.bias_variance[shown], edge.variance[shown])
