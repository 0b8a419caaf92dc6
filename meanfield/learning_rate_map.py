"""The learning rates of (23) as a map over normalisation, width and the variances of weights and biases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from .eigenvalues import Bounds, Regime
from .errors import (
    ParameterError,
    require_choice,
    require_integer,
    require_number,
    require_sequence,
)
from .learning_rate import MEANING
from .network import Network
from .normalization import HiddenNormalization, OutputNormalization
from .quadrature import AUTO, Method
from .quadrature.method import require_method
from .records import table
from .sweep import LARGEST, sweep

Normalization = tuple[HiddenNormalization, OutputNormalization]
Cell = tuple[int, int, int, int]
Axis = tuple[float, ...]
Given = TypeVar("Given")
Item = TypeVar("Item")

ALL_NORMALIZATIONS: tuple[Normalization, ...] = tuple(product(HiddenNormalization, OutputNormalization))
"""The twelve pairs (hidden, output)."""


@dataclass(frozen=True, eq=False)
class LearningRateMap:
    """Learning rates between which the threshold 2/lambda_max lies, for every cell of a grid.

    The arrays have the shape (normalisations, widths, weight variances, bias variances).
    """

    network: Network
    """Whose activations, width ratios and outputs all cells share."""
    normalizations: tuple[Normalization, ...]
    """First axis: pairs (hidden, output)."""
    widths: tuple[int, ...]
    """Second axis: M."""
    samples: tuple[int, ...]
    """T at each width."""
    weight_variances: Axis | None
    """Third axis: sigma_w^2 of every layer; None for the network's own, then the axis has length 1."""
    bias_variances: Axis | None
    """Fourth axis: sigma_b^2, likewise."""
    necessary: NDArray[np.float64]
    """2/lower: no rate above it converges; nan where there is a reason."""
    safe: NDArray[np.float64]
    """2/upper: rates below it converge, up to what the theorem leaves out; 0 where nothing bounds lambda_max."""
    value: NDArray[np.float64]
    """2/prediction; nan also where a theorem gives bounds only."""
    theorems: NDArray[np.str_]
    """What each cell rests on; empty where there is a reason."""
    reasons: Mapping[Cell, str]
    """By index, for each cell without rates: why no theorem applies, or which integral failed."""

    def __str__(self) -> str:
        single = self.necessary[0, 0].size == 1
        covered = [i for i, rates in enumerate(self.necessary) if not np.isnan(rates).all()]
        tables = [] if not covered else [self._rows(covered)] if single else [self._block(i) for i in covered]
        return "\n\n".join([*tables, *self._notes(), table(MEANING)])

    def _rows(self, covered: Iterable[int]) -> str:
        """Return one table, a row for each normalisation and width."""
        rows = [
            (
                _name(self.normalizations[i]),
                self.widths[j],
                self.samples[j],
                *(_rate(rates[i, j, 0, 0]) for rates in (self.necessary, self.safe, self.value)),
                self.theorems[i, j, 0, 0] or "none",
            )
            for i in covered
            for j in range(len(self.widths))
        ]
        return table(rows, ("hidden/output", "M", "T", "necessary", "safe", "value", "theorem"))

    def _block(self, i: int) -> str:
        """Return the table of one normalisation: variances down, widths across."""
        weights, biases = self.weight_variances or ("own",), self.bias_variances or ("own",)
        headers = ("sigma_w^2", "sigma_b^2", *(f"M = {width}" for width in self.widths))
        rows = [
            (
                _variance(weights[k]),
                _variance(biases[l]),
                *(self._interval(i, j, k, l) for j in range(len(self.widths))),
            )
            for k, l in np.ndindex(self.necessary.shape[2:])
        ]
        return f"{_name(self.normalizations[i])}: the threshold, or [safe, necessary]\n{table(rows, headers)}"

    def _interval(self, *cell: int) -> str:
        safe, necessary = float(self.safe[cell]), float(self.necessary[cell])
        return "-" if np.isnan(necessary) else str(Bounds(safe, necessary))

    def _notes(self) -> Iterator[str]:
        """Yield the first reason of each normalisation, and how many cells have one."""
        lines = []
        for i, pair in enumerate(self.normalizations):
            reasons = {cell: reason for cell, reason in self.reasons.items() if cell[0] == i}
            if reasons:
                first, reason = next(iter(reasons.items()))
                where = f", as at {self._place(first)}" if len(set(reasons.values())) > 1 else ""
                lines.append(f"{_name(pair)}, {len(reasons)} of {self.necessary[i].size} cells{where}: {reason}")
        if lines:
            yield "\n".join(["no learning rate for", *lines])

    def _place(self, cell: Cell) -> str:
        _, j, k, l = cell
        variances = [
            f"{name} = {values[index]:g}"
            for name, values, index in (("sigma_w^2", self.weight_variances, k), ("sigma_b^2", self.bias_variances, l))
            if values is not None
        ]
        return ", ".join([f"M = {self.widths[j]}", *variances])


def learning_rate_map(
    network: Network,
    *,
    widths: Iterable[int],
    weight_variances: Iterable[float] | None = None,
    bias_variances: Iterable[float] | None = None,
    normalizations: Iterable[tuple[HiddenNormalization | str, OutputNormalization | str]] | None = None,
    samples: int | None = None,
    regime: Regime | str = Regime.AUTO,
    leading_order: bool = False,
    method: Method = AUTO,
) -> LearningRateMap:
    """Return the learning rates of (23), 2/lambda_max, on a grid of normalisations, widths and variances.

    Each cell is ``learning_rate_bound(eigenvalue_statistics(..))`` of the network with that normalisation and those
    variances; the map is a :func:`sweep` over these parameters. What a normalised output divides by has its expectation
    under the limiting law.

    Parameters
    ----------
    network : Network
        Its own normalisation does not enter.
    widths : sequence of int
        M >= 1, each large enough to give every layer a unit.
    weight_variances : sequence of float, optional
        sigma_w^2 > 0, each for all layers at once; the network's own if left out.
    bias_variances : sequence of float, optional
        sigma_b^2 >= 0, likewise.
    normalizations : sequence of pairs, optional
        (hidden, output), such as ("none", "mean"); all twelve if left out.
    samples : int, optional
        T >= 1, one for all cells; T = M if left out.
    regime, leading_order
        As for :func:`eigenvalue_statistics`.
    method : Method
        How to integrate over Gaussians.

    Returns
    -------
    LearningRateMap
        As accurate as :func:`eigenvalue_statistics`. A cell to which no theorem applies, or in which an integral does
        not reach its tolerance, is nan and has a reason.

    Raises
    ------
    ParameterError
        For an argument out of range, before any work.

    Notes
    -----
    Order parameters depend neither on the width nor on the normalisation of the outputs, those behind batch
    normalisation on T but not on the variances: each is computed once.

    Equations: (23)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> rates = mf.learning_rate_map(network, widths=[100, 1000], normalizations=[("none", "none"), ("none", "mean")])
    >>> rates.necessary[:, :, 0, 0].round(4)
    array([[0.0275, 0.0029],
           [0.8601, 0.8638]])
    >>> rates.theorems[:, 1, 0, 0].tolist()
    ['Theorem 2.2', 'Theorem 3.3 (ii)']
    """
    widths = _axis("widths", widths, lambda name, width: require_integer(name, width, at_least=1))
    for width in widths:
        network.widths(width)
    weights = _variances("weight_variances", weight_variances, above=0.0)
    biases = _variances("bias_variances", bias_variances, at_least=0.0)
    pairs = _axis("normalizations", ALL_NORMALIZATIONS if normalizations is None else normalizations, _normalization)
    counts = widths if samples is None else (require_integer("samples", samples, at_least=1),) * len(widths)
    regime, method = require_choice("regime", regime, Regime), require_method(method)

    shape = (len(pairs), len(widths), len(weights or (0,)), len(biases or (0,)))
    if math.prod(shape) > LARGEST:
        raise ParameterError("widths", f"few enough for a map of at most {LARGEST:g} cells", f"{math.prod(shape):.3g}")
    hidden, output = zip(*pairs, strict=True)
    found = sweep(
        network,
        hidden_normalization=("normalization", hidden),
        output_normalization=("normalization", output),
        width=("width", widths),
        samples=("width", counts),
        weight_variance=weights,
        bias_variance=biases,
        regime=regime,
        leading_order=leading_order,
        method=method,
        tolerance=0,
    )
    necessary, safe, value = (array.reshape(shape) for array in (found.necessary, found.safe, found.value))
    reasons = {
        cast(Cell, tuple(int(i) for i in np.unravel_index(np.ravel_multi_index(cell, found.shape), shape))): reason
        for cell, reason in found.reasons.items()
    }
    theorems = found.theorem.reshape(shape)
    return LearningRateMap(network, pairs, widths, counts, weights, biases, necessary, safe, value, theorems, reasons)


def _axis(parameter: str, values: Iterable[Given], check: Callable[[str, Given], Item]) -> tuple[Item, ...]:
    """Return the checked values of one axis, of which there is at least one."""
    checked = tuple(check(parameter, value) for value in require_sequence(parameter, values))
    if not checked:
        raise ParameterError(parameter, "a sequence of at least one", "none")
    return checked


def _variances(
    parameter: str, values: Iterable[float] | None, *, above: float | None = None, at_least: float | None = None
) -> Axis | None:
    if values is None:
        return None
    return _axis(parameter, values, lambda name, value: require_number(name, value, above=above, at_least=at_least))


def _normalization(parameter: str, pair: tuple[str, str]) -> Normalization:
    try:
        hidden, output = pair
    except (TypeError, ValueError):
        raise ParameterError(parameter, "a sequence of pairs (hidden, output)", repr(pair)) from None
    return require_choice(parameter, hidden, HiddenNormalization), require_choice(
        parameter, output, OutputNormalization
    )


def _name(pair: Normalization) -> str:
    return "/".join(pair)


def _rate(rate: float) -> str:
    return "-" if np.isnan(rate) else f"{rate:.4g}"


def _variance(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
