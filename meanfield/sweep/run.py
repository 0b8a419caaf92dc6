"""The sweep: eigenvalues, learning rates and kappas over any parameters of a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..eigenvalues import Regime
from ..eigenvalues.hypotheses import lost_difference
from ..eigenvalues.statistics import theorem_name
from ..errors import require_boolean, require_choice, require_integer, require_number
from ..fim import kappas
from ..functions import Activation
from ..gaussian import Array
from ..network import Network
from ..normalization import BatchNorm, HiddenNormalization, OutputNormalization
from ..quadrature import AUTO, Method
from ..quadrature.method import require_method
from ..records import Pair
from .axes import OF_CHAIN, VARIANCES, Axes, Codes, read_axes
from .cells import REFUSALS, Options, Orders, statistics_of
from .grid import Integrals, OrderGrid, propagate_grid, suits_tables
from .record import QUANTITIES, Sweep
from .theorems import grid_statistics

_MANY = 256
"""From so many pairs of variances on, all layers are computed for all of them together."""

_ALONE = 8
"""So few networks are computed one by one where one of them is out of range."""

_BLOCK = 8192
"""Networks that are propagated together: their arrays stay in cache."""

_NUMBERS = 2_000_000
"""Of an array of all layers and networks of a block."""

Several = Iterable[Any] | tuple[str, Iterable[Any]]
"""Values along a dimension of their own, or along the one that is named."""


def sweep(
    network: Network,
    *,
    width: int | Several | ArrayLike,
    samples: int | Several | ArrayLike | None = None,
    weight_variance: float | Several | ArrayLike | None = None,
    bias_variance: float | Several | ArrayLike | None = None,
    activation: Activation | Several | None = None,
    depth: int | Several | ArrayLike | None = None,
    width_ratio: float | Several | ArrayLike | None = None,
    outputs: int | Several | ArrayLike | None = None,
    hidden_normalization: HiddenNormalization | BatchNorm | str | Several | None = None,
    output_normalization: OutputNormalization | str | Several | None = None,
    regime: Regime | str = Regime.AUTO,
    leading_order: bool = False,
    sharp: bool = False,
    method: Method = AUTO,
    tolerance: float = 3e-12,
    threads: int = 2,
) -> Sweep:
    """Return eigenvalues, learning rates and kappas for every combination of parameters, as labelled arrays.

    Every parameter is one value for all cells or a sequence, which has a dimension of its own, of the parameter's name.
    ``("name", sequence)`` lies along the dimension of that name: parameters that share it change together. What is left
    out is as in the network. The dimensions are in the order activation, depth, width_ratio, outputs,
    hidden_normalization, output_normalization, width, samples, weight_variance, bias_variance.

    Parameters
    ----------
    network : Network
    width, samples : int or sequence
        M and T; T = M if left out.
    weight_variance, bias_variance : float or sequence
        sigma_w^2 > 0 and sigma_b^2 >= 0, each value for all layers at once.
    activation, depth, width_ratio, outputs : or sequences
        Of all hidden layers; L >= 2; alpha_l of all layers; C.
    hidden_normalization, output_normalization : str, BatchNorm or sequence
        As for :meth:`Network.normalized`.
    regime, leading_order, sharp : as for :func:`eigenvalue_statistics`
        With ``sharp``, lambda_max with mean subtraction is taken from the spectrum: up to seconds for each cell.
    method : Method
        How to integrate.
    tolerance : float
        Of integrals that are read off tables, at least 1e-12 (see the notes); 0 for no tables.
    threads : int
        For sweeps of so many variances that tables are used.

    Returns
    -------
    Sweep
        A cell to which no theorem applies, or in which an integral fails, is nan and has a reason. Without tables as
        accurate as :func:`eigenvalue_statistics`; with tables lambda_max is off by some times L times ``tolerance``,
        relative, less what kappa_1 - kappa_2 cancels behind mean subtraction.

    Raises
    ------
    ParameterError
        For an argument out of range, before any work.

    Notes
    -----
    From 256 pairs of variances of one chain on, with the default method and without batch normalisation in the hidden
    layers, all of them are propagated together: integrals in closed form, or read off one table each of the overlaps of
    phi and phi' over the standard deviation and the angle arcsin c, which is made for the occasion and compared with
    ``AUTO``. Activations for which neither exists, with kinks and no closed form, are integrated cell by cell.

    Equations: (10), (11), (16)-(19), (22), (23), (26), (27)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> found = mf.sweep(network, width=[100, 1000], output_normalization=["none", "mean"], bias_variance=0.5)
    >>> found.dims
    ('output_normalization', 'width')
    >>> found.lower.round(3)
    array([[ 133.737, 1296.668],
           [   2.467,    2.459]])
    """
    axes = read_axes(
        network,
        {
            "width": width,
            "samples": samples,
            "weight_variance": weight_variance,
            "bias_variance": bias_variance,
            "activation": activation,
            "depth": depth,
            "width_ratio": width_ratio,
            "outputs": outputs,
            "hidden_normalization": hidden_normalization,
            "output_normalization": output_normalization,
        },
    )
    options = Options(
        require_choice("regime", regime, Regime),
        require_boolean("leading_order", leading_order),
        require_boolean("sharp", sharp),
        require_method(method),
    )
    tolerance = require_number("tolerance", tolerance, at_least=0)
    if tolerance:
        tolerance = require_number("tolerance", tolerance, at_least=1e-12)
    threads = require_integer("threads", threads, at_least=1, at_most=1024)
    _require_units(axes)
    work = _Work(axes, options, Integrals(tolerance))
    blocks = list(work.blocks())
    if threads > 1 and any(block.together for block in blocks):
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work.fill, blocks))
    else:
        for block in blocks:
            work.fill(block)
    return work.result()


def _require_units(axes: Axes) -> None:
    """Refuse a width that leaves a layer without a unit, or variances that no network has."""
    _, first = np.unique(axes.codes((*OF_CHAIN, "outputs", "output_normalization", "width")), return_index=True)
    for cell in first.tolist():
        axes.network_at(cell).widths(axes.size_at(cell)[0])


@dataclass(frozen=True, eq=False)
class _Block:
    """Cells of one chain, whose variances are computed together."""

    cells: Codes
    """Flat indices."""
    column: Codes
    """Of each cell, which pair of variances it has."""
    first: Codes
    """A cell for each pair."""
    together: bool
    """Whether all pairs are propagated at once."""

    def halves(self) -> Iterator[_Block]:
        """Yield the cells of the first and of the second half of the pairs of variances."""
        middle = self.first.size // 2
        for some, start, stop in ((self.column < middle, 0, middle), (self.column >= middle, middle, None)):
            yield _Block(self.cells[some], self.column[some] - start, self.first[start:stop], self.together)


class _Work:
    """A sweep while it is computed: arrays of one dimension, over all cells."""

    def __init__(self, axes: Axes, options: Options, integrals: Integrals) -> None:
        self.axes, self.options, self.integrals = axes, options, integrals
        self.size = int(np.prod(axes.shape))
        self.numbers = {name: np.full(self.size, np.nan) for name in QUANTITIES}
        self.theorem = np.full(self.size, "", dtype=object)
        self.reasons: dict[int, str] = {}
        self.orders = Orders(options.method)
        self.sizes = axes.codes(("outputs", "output_normalization", "width", "samples"))

    def blocks(self) -> Iterator[_Block]:
        """Yield the cells, chain by chain."""
        chains, variances = self.axes.codes(OF_CHAIN), self.axes.codes(VARIANCES)
        for cells in _groups(chains):
            _, first, column = np.unique(variances[cells], return_index=True, return_inverse=True)
            network = self.axes.network_at(int(cells[0]))
            together = first.size >= _MANY and self._together(network)
            size = max(1, min(_BLOCK, _NUMBERS // network.depth)) if together else first.size
            order = np.argsort(column, kind="stable")
            edges = np.searchsorted(column[order], np.arange(0, first.size + size, size))
            for number, (start, stop) in enumerate(pairwise(edges.tolist())):
                some = np.sort(order[start:stop])
                low = number * size
                yield _Block(cells[some], column[some] - low, cells[first[low : low + size]], together)

    def _together(self, network: Network) -> bool:
        """Whether all pairs of variances of a chain are propagated at once."""
        asked = self.options.method is AUTO and self.integrals.tolerance > 0 and not self.options.sharp
        each_alone = network.hidden_normalization is not HiddenNormalization.BATCH
        return asked and each_alone and all(map(suits_tables, set(network.activations)))

    def fill(self, block: _Block) -> None:
        """Compute the cells of a block."""
        if block.together:
            try:
                grid = self._propagated(block)
            except REFUSALS:  # some network is out of range, and alone if the block is split often enough
                if block.first.size > _ALONE:
                    for half in block.halves():
                        self.fill(half)
                    return
            else:
                for some in _groups(self.sizes[block.cells]):
                    self._fill_together(grid, block.cells[some], block.column[some])
                return
        for cell in block.cells.tolist():
            self._fill_one(cell)

    def _propagated(self, block: _Block) -> OrderGrid:
        network = self.axes.network_at(int(block.first[0]))
        s_w = self._variances("weight_variance", network.weight_variance, block.first)
        s_b = self._variances("bias_variance", network.bias_variance, block.first)
        return propagate_grid(network, s_w, s_b, self.integrals)

    def _variances(self, name: str, own: Sequence[float], cells: Codes) -> Array:
        """Return a variance in every layer of each cell's network, shape (L, cells): swept, or the network's own."""
        found = np.array(own)[:, None]
        if name in self.axes.values:
            found = np.array(self.axes.values[name])[self.axes.codes((name,))[cells]]
        return np.broadcast_to(found, (len(own), cells.size))

    def _fill_together(self, grid: OrderGrid, cells: Codes, column: Codes) -> None:
        """Fill cells that differ in their variances alone."""
        network, (width, samples) = self.axes.network_at(int(cells[0])), self.axes.size_at(int(cells[0]))
        kappa = Pair(*(x / network.alpha for x in grid.block_sums(np.array(network.width_ratios), 0.0)))
        self.numbers["kappa_1"][cells], self.numbers["kappa_2"][cells] = kappa.same[column], kappa.cross[column]
        output = network.output_normalization
        if output not in (OutputNormalization.NONE, OutputNormalization.MEAN) or (
            samples < 2 and output is OutputNormalization.MEAN
        ):
            for cell, place in zip(cells.tolist(), column.tolist(), strict=True):
                self._fill_one(cell, grid, place)
            return
        leading = self.options.leading_order
        units = np.array(network.widths(width)[:-1], dtype=np.float64)
        if leading:
            block = Pair(*(network.alpha * width / samples * x for x in kappa))
        else:
            block = Pair(*(x / samples for x in grid.block_sums(units, 1.0)))
        alike = grid.alike
        found = grid_statistics(
            block,
            kappa,
            alike,
            output=output,
            outputs=network.outputs,
            width=width,
            samples=samples,
            parameters=network.alpha * width**2 if leading else float(network.parameters(width)),
            regime=self.options.regime,
        )
        bad = (found.refused | found.lost)[column]
        good = ~bad
        for name in ("mean", "second_moment", "lower", "upper", "prediction"):
            self.numbers[name][cells[good]] = getattr(found, name)[column[good]]
        self.theorem[cells[good]] = theorem_name(network, found.theorem)
        share = (block.same - block.cross) / block.same
        for cell, place in zip(cells[bad].tolist(), column[bad].tolist(), strict=True):
            if found.lost[place]:
                self.reasons[cell] = lost_difference(float(share[place]), float(alike[place]))
            else:
                self._fill_one(cell, grid, place)

    def _fill_one(self, cell: int, grid: OrderGrid | None = None, place: int = 0) -> None:
        """Fill one cell by itself, with order parameters of its own or those of a place of a grid."""
        network, (width, samples) = self.axes.network_at(cell), self.axes.size_at(cell)
        order = self.orders.of(network, samples) if grid is None else grid.network(place)
        if not isinstance(order, str) and order.sensitivity is not None:
            self.numbers["kappa_1"][cell], self.numbers["kappa_2"][cell] = kappas(network, order)
        found = statistics_of(network, order, width=width, samples=samples, options=self.options)
        if isinstance(found, str):
            self.reasons[cell] = found
            return
        values = {
            "mean": found.mean,
            "second_moment": found.second_moment,
            "lower": found.largest.lower,
            "upper": found.largest.upper,
            "prediction": found.prediction,
        }
        for name, value in values.items():
            self.numbers[name][cell] = np.nan if value is None else value
        self.theorem[cell] = found.theorem

    def result(self) -> Sweep:
        """Return the record."""
        axes, numbers = self.axes, self.numbers
        for rate, largest in (("necessary", "lower"), ("safe", "upper"), ("value", "prediction")):
            numbers[rate] = _two_over(numbers[largest])
        arrays = {name: values.reshape(axes.shape) for name, values in numbers.items()}
        reasons = {
            tuple(int(i) for i in np.unravel_index(cell, axes.shape)): self.reasons[cell]
            for cell in sorted(self.reasons)
        }
        return Sweep(
            network=axes.network,
            dims=axes.dims,
            coordinates={name: (axes.along[name], values) for name, values in axes.values.items()},
            fixed=axes.fixed,
            theorem=self.theorem.astype(np.str_).reshape(axes.shape),
            reasons=reasons,
            error=max((table.error for table in self.integrals.tables.values()), default=0.0),
            **arrays,
        )


def _groups(codes: Codes) -> list[Codes]:
    """Return the indices of each value, in the order in which the values appear first."""
    _, first, which = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(which, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(which))[:-1])
    return [parts[i] for i in np.argsort(first).tolist()]


def _two_over(largest: Array) -> Array:
    """Return the learning rates of (23), infinite where the eigenvalue is 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(largest <= 0, np.inf, 2 / largest))
