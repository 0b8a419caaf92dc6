"""The learning rates of (23) as a map over normalisation, width and the variances of weights and biases."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .eigenvalues import Bounds, EigenvalueStatistics, Regime, eigenvalue_statistics
from .errors import (
    AssumptionError,
    ParameterError,
    require_choice,
    require_integer,
    require_number,
    require_sequence,
)
from .learning_rate import MEANING, learning_rate_bound
from .network import Network
from .normalization import HiddenNormalization, OutputNormalization
from .order_parameters import OrderParameters, propagate
from .quadrature import AUTO, Method
from .quadrature.method import require_method
from .records import Pair, table

Normalization = tuple[HiddenNormalization, OutputNormalization]
Cell = tuple[int, int, int, int]
Axis = tuple[float, ...]
Given = TypeVar("Given")
Item = TypeVar("Item")

ALL_NORMALIZATIONS: tuple[Normalization, ...] = tuple(product(HiddenNormalization, OutputNormalization))
"""The twelve pairs (hidden, output)."""

_LARGEST = 10**6
"""Cells of a map: a tenth of a millisecond each."""

_REFUSALS = (AssumptionError, ArithmeticError, ParameterError)
"""What leaves a cell empty. The arguments have been checked: a ParameterError is a number out of range there only."""


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
    variances. What a normalised output divides by has its expectation under the limiting law.

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
    if math.prod(shape) > _LARGEST:
        raise ParameterError("widths", f"few enough for a map of at most {_LARGEST:g} cells", f"{math.prod(shape):.3g}")
    necessary, safe, value = (np.full(shape, np.nan) for _ in range(3))
    theorems = np.full(shape, "", dtype=object)
    reasons: dict[Cell, str] = {}
    orders: dict[Hashable, OrderParameters | str] = {}
    networks = _networks(network, pairs, weights, biases)
    for i, j, k, l in np.ndindex(shape):
        here, cell = networks[i, k, l], (i, j, k, l)
        order = _order(orders, here, counts[j], method)
        statistics = _statistics(here, order, width=widths[j], samples=counts[j], regime=regime, leading=leading_order)
        if isinstance(statistics, str):
            reasons[cell] = statistics
            continue
        bound = learning_rate_bound(statistics)
        necessary[cell], safe[cell], theorems[cell] = bound.necessary, bound.safe, statistics.theorem
        value[cell] = np.nan if bound.value is None else bound.value
    return LearningRateMap(
        network, pairs, widths, counts, weights, biases, necessary, safe, value, theorems.astype(np.str_), reasons
    )


def _order(
    known: dict[Hashable, OrderParameters | str], network: Network, samples: int, method: Method
) -> OrderParameters | str:
    """Return the order parameters, or why there are none; each is computed once."""
    hidden, variances = network.hidden_normalization, (network.weight_variance, network.bias_variance)
    batch_norm = hidden is HiddenNormalization.BATCH
    key = (hidden, samples if batch_norm else variances)
    if key not in known:
        try:
            known[key] = propagate(network, samples=samples, method=method)
        except _REFUSALS as refusal:
            known[key] = str(refusal)
    order = known[key]
    if not batch_norm or isinstance(order, str):
        return order
    # behind batch normalisation only q^l = s_w^2 qhat^{l-1} + s_b^2 knows the variances
    s_w, s_b = map(np.array, variances)
    return replace(order, preactivation=Pair(*(s_w * qhat + s_b for qhat in order.activity)))


def _statistics(
    network: Network, order: OrderParameters | str, *, width: int, samples: int, regime: Regime, leading: bool
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
            regime=regime,
            leading_order=leading,
            sharp=False,  # a map has thousands of cells
        )
    except _REFUSALS as refusal:
        return str(refusal)


def _networks(
    network: Network, pairs: tuple[Normalization, ...], weights: Axis | None, biases: Axis | None
) -> dict[tuple[int, int, int], Network]:
    """Return the network of each normalisation and each pair of variances."""
    weight_variances = [(value,) * network.depth for value in weights] if weights else [network.weight_variance]
    bias_variances = [(value,) * network.depth for value in biases] if biases else [network.bias_variance]
    return {
        (i, k, l): replace(network.normalized(hidden=hidden, output=output), weight_variance=s_w, bias_variance=s_b)
        for i, (hidden, output) in enumerate(pairs)
        for k, s_w in enumerate(weight_variances)
        for l, s_b in enumerate(bias_variances)
    }


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
