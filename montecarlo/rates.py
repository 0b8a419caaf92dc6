"""How fast finite networks approach the theory: the rate q of qtilde^l_M,st = qtilde^l_st + O(M^-q), (S.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import KW_ONLY, dataclass, field

import numpy as np
from numpy.typing import NDArray

from meanfield import Network, OrderParameters, Pair
from meanfield import propagate as infinite_width
from meanfield.errors import require_integer, require_sequence
from meanfield.records import table

from .dual import MEMORY_LIMIT, require_memory
from .ensemble import run_ensemble
from .experiments import OrderParameterExperiment
from .network import sample_inputs, sample_network
from .power_law import RateFit, fit_rate, require_widths
from .propagate import propagate, sweep_memory
from .store import Store

_EXACT = 1e-10
"""A deviation below this part of the theory is rounding: fluctuations are at least 1e-5 at any width."""


@dataclass(frozen=True)
class DeviationExperiment:
    """Measure how far the order parameters of a fresh network on fresh inputs are from the theory.

    Each entry of the record is the root mean square, over all samples t (``same``) or all pairs s != t (``cross``), and
    for the sensitivity over the outputs, of

        qhat^l_M,st - qhat^l_st,    q^l_M,st - q^l_st,    qtilde^l_M,st - qtilde^l_st.

    Parameters
    ----------
    network : Network
    width, samples : int
        M >= 1 and T >= 2.
    memory_limit : float
        GiB that one member may take.

    Raises
    ------
    ParameterError
        At construction, for numbers out of range and for a member that would not fit.

    Equations: (S.4), (S.5)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> deviation = DeviationExperiment(network, width=1000, samples=20).run(np.random.default_rng(0))
    >>> bool(0.01 < deviation.sensitivity.cross[0] < 0.1)
    True
    """

    network: Network
    width: int
    samples: int
    _: KW_ONLY
    memory_limit: float = MEMORY_LIMIT
    theory: OrderParameters = field(init=False, repr=False, compare=False)
    """Of infinite width; it travels with the experiment, so that it is computed once."""

    def __post_init__(self) -> None:
        OrderParameterExperiment(self.network, self.width, self.samples, memory_limit=self.memory_limit)
        products = 3 * 8 * self.network.outputs * self.samples**2 / 2**30
        require_memory(sweep_memory(self.network, self.width, self.samples) + products, self.memory_limit)
        object.__setattr__(self, "theory", infinite_width(self.network, samples=self.samples))

    def run(self, rng: np.random.Generator) -> OrderParameters:
        """Run one member."""
        finite_network = sample_network(self.network, width=self.width, rng=rng)
        inputs = sample_inputs(self.network, width=self.width, samples=self.samples, rng=rng)
        sweep, theory = propagate(finite_network, inputs), self.theory
        per_unit = [1 / width for width in finite_network.widths]
        return OrderParameters(
            activity=_deviations(sweep.h, theory.activity, per_unit),
            preactivation=_deviations(sweep.u, theory.preactivation, per_unit[1:]),
            sensitivity=None
            if theory.sensitivity is None
            else _deviations(sweep.delta, theory.sensitivity, [1.0] * self.network.depth),
        )


@dataclass(frozen=True)
class Rate:
    """The rate of one order parameter."""

    quantity: str
    fit: RateFit

    @property
    def verdict(self) -> str:
        """Whether the interval contains 1/2."""
        return "contains 1/2" if 0.5 in self.fit else "does not contain 1/2"


@dataclass(frozen=True)
class Rates:
    """The rates of the order parameters of a network, one row each; prints as a table.

    Those of one network depend on each other, so that intervals miss 1/2 several together or not at all.
    """

    network: Network
    samples: int
    members: int
    seed: int
    rows: tuple[Rate, ...]
    exact: tuple[str, ...]
    """Order parameters that do not deviate at any width, as qtilde^L = 1."""

    def __getitem__(self, quantity: str) -> RateFit:
        for row in self.rows:
            if row.quantity == quantity:
                return row.fit
        raise KeyError(f"no quantity {quantity!r}; there are " + ", ".join(row.quantity for row in self.rows))

    @property
    def misses(self) -> int:
        """How many intervals do not contain 1/2."""
        return sum(0.5 not in row.fit for row in self.rows)

    def __str__(self) -> str:
        confidence, total = self.rows[0].fit.confidence, len(self.rows)
        cells = []
        for row in self.rows:
            fit = row.fit
            interval = f"[{fit.lower:.3f}, {fit.upper:.3f}]"
            cells.append((row.quantity, f"{fit.q:.3f}", interval, f"{fit.prefactor:.3g}", row.verdict))
        lines = [
            table(cells, ("quantity", "q", f"{100 * confidence:g} % interval", "prefactor", "verdict")),
            "",
            f"1/2 is in {total - self.misses} of {total} intervals; chance leaves it out of one in "
            f"{1 / (1 - confidence):.3g}.",
        ]
        if self.exact:
            lines.append(f"Without any deviation: {', '.join(self.exact)}.")
        return "\n".join(lines)


def measure_rates(
    network: Network,
    *,
    widths: Sequence[int],
    samples: int,
    members: int,
    seed: int,
    memory_limit: float = MEMORY_LIMIT,
    executor: Executor | None = None,
    store: Store | None = None,
    progress: Callable[[], object] | None = None,
) -> Rates:
    """Fit the rate q of every order parameter of every layer, forward and backward.

    All but q^L, an average over C = O(1) units that does not sharpen with the width.

    Parameters
    ----------
    network : Network
    widths : sequence of int
        M, increasing, at least 2 of them.
    samples : int
        T >= 2.
    members : int
        Networks at each width, at least 2.
    seed : int
        At least 0; each width gets an independent one from ``spawn_seeds(seed, len(widths))``.
    memory_limit : float
        GiB that one member may take.
    executor, store, progress
        As for :func:`run_ensemble`; ``progress`` is called ``len(widths) * members`` times.

    Returns
    -------
    Rates
        With 95 % intervals; see :func:`fit_rate` for what they cover.

    Equations: (S.4), (S.5), (S.39)-(S.42), Lemma B.2

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> rates = measure_rates(network, widths=[20, 40, 80], samples=5, members=20, seed=0)
    >>> 0.5 in rates["qtilde^1_st"]
    True
    """
    require_integer("members", members, at_least=2)
    require_widths([require_integer("widths", width, at_least=1) for width in require_sequence("widths", widths)])
    experiments = [DeviationExperiment(network, width, samples, memory_limit=memory_limit) for width in widths]
    ensembles = [
        run_ensemble(experiment, members=members, seed=width_seed, executor=executor, store=store, progress=progress)
        for experiment, width_seed in zip(experiments, spawn_seeds(seed, len(widths)), strict=True)
    ]
    rows, exact = [], []
    records = [ensemble.members for ensemble in ensembles]
    for quantity, scale, deviations in _quantities(experiments[0].theory, records):
        if deviations.max() <= _EXACT * scale:
            exact.append(quantity)
        else:
            rows.append(Rate(quantity, fit_rate(widths, deviations)))
    return Rates(network, samples, members, seed, tuple(rows), tuple(exact))


def spawn_seeds(seed: int, number: int) -> list[int]:
    """Return seeds of independent ensembles, for ``run_ensemble``: equal seeds would share their streams.

    Examples
    --------
    >>> seeds = spawn_seeds(0, 2)
    >>> seeds == spawn_seeds(0, 3)[:2], len(set(seeds))
    (True, 2)
    """
    seed = require_integer("seed", seed, at_least=0, at_most=None)
    return [int(child.generate_state(1, np.uint64)[0]) for child in np.random.SeedSequence(seed).spawn(number)]


def _deviations(
    arrays: Sequence[NDArray[np.float64]], theory: Pair[NDArray[np.float64]], factors: Sequence[float]
) -> Pair[NDArray[np.float64]]:
    """Return the rms of factor x(s) . x(t) - theory for every layer; samples are the last axis but one."""
    rows = []
    for x, same, cross, factor in zip(arrays, *theory, factors, strict=False):
        products = factor * (x @ np.swapaxes(x, -1, -2))
        different = ~np.eye(x.shape[-2], dtype=bool)
        rows.append((_rms(np.diagonal(products, axis1=-2, axis2=-1) - same), _rms(products[..., different] - cross)))
    return Pair(*np.array(rows).T)


def _rms(x: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def _quantities(
    theory: OrderParameters, records: Sequence[Sequence[OrderParameters]]
) -> Iterator[tuple[str, float, NDArray[np.float64]]]:
    """Yield the name of every order parameter, its size, and its deviations: widths by members."""
    for name, symbol, first in (("activity", "qhat", 0), ("preactivation", "q", 1), ("sensitivity", "qtilde", 1)):
        expected = getattr(theory, name)
        if expected is None:
            continue
        deviations = np.array([[getattr(member, name) for member in members] for members in records])
        layers = len(expected.same) - (name == "preactivation")  # the C units of q^L do not become more with M
        for l in range(layers):
            for part, subscript in enumerate(("t", "st")):
                yield f"{symbol}^{l + first}_{subscript}", float(expected.same[l]), deviations[:, :, part, l]
