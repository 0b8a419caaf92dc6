"""How fast finite networks approach the theory: the rate q of qtilde^l_M,st = qtilde^l_st + O(M^-q), (S.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np

from meanfield import Network, OrderParameters, ParameterError
from meanfield import propagate as infinite_width
from meanfield.errors import require_integer, require_sequence
from meanfield.records import table

from .dual import MEMORY_LIMIT
from .ensemble import run_ensemble
from .order_parameters import measure_deviations
from .power_law import RateFit, fit_rate, require_widths
from .problem import Problem
from .propagate import propagate, sweep_memory
from .store import Store

_EXACT = 1e-10
"""A deviation below this part of the theory is rounding: at any width that fits in memory, chance is above 1e-5."""


@dataclass(frozen=True)
class DeviationExperiment(Problem):
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

    theory: OrderParameters = field(init=False, repr=False, compare=False)
    """Of infinite width; it travels with the experiment, so that no member computes it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "theory", infinite_width(self.network, samples=self.samples))

    def _require(self) -> None:
        super()._require()
        require_integer("samples", self.samples, at_least=2)

    @property
    def memory(self) -> float:
        """How many GiB one member takes, predicted: its weights and sweep, and the products of all pairs of samples."""
        products = 4 * 8 * self.network.outputs * self.samples**2 / 2**30
        return sweep_memory(self.network, self.width, self.samples) + products

    def run(self, rng: np.random.Generator) -> OrderParameters:
        """Run one member."""
        return measure_deviations(propagate(*self.sample(rng)), self.theory)


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
    """Order parameters that do not deviate, at some width or at all of them, as qtilde^L = 1."""

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
        As for :func:`run_ensembles`; ``progress`` is called ``len(widths) * members`` times.

    Returns
    -------
    Rates
        With 95 % intervals; see :func:`fit_rate` for what they cover.

    Notes
    -----
    What terms of higher order in 1/M add to q, at L = 3 for relu (2, 0) and tanh (3, 0.64), is largest for
    qtilde^1_st: 0.027 +- 0.004 at widths 50 to 400 (mean of 60 seeds), and 0.008 +- 0.002 at 100 to 1600 (40 seeds),
    where 95 % intervals from 100 members are +- 0.025. There 5 of 80 missed 1/2; of those of all order parameters,
    62 of 1120, or 5.5 %.

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
    if not isinstance(store, Store | None):
        raise ParameterError("store", "an open montecarlo.Store, which several widths can share", repr(store))
    widths = [require_integer("widths", width, at_least=1) for width in require_sequence("widths", widths)]
    require_widths(widths)
    experiments = [DeviationExperiment(network, width, samples, memory_limit=memory_limit) for width in widths]
    seeded = list(zip(experiments, spawn_seeds(seed, len(widths)), strict=True))
    ensembles = [
        run_ensemble(experiment, members=members, seed=width_seed, executor=executor, store=store, progress=progress)
        for experiment, width_seed in reversed(seeded)  # the small ones are done when the time left is short
    ][::-1]
    rows, exact = [], []
    records = [[member.by_name() for member in ensemble.members] for ensemble in ensembles]
    for name, pair in experiments[0].theory.by_name().items():
        if name == f"q^{network.depth}":  # the C units of the outputs do not become more with the width
            continue
        for subscript, part in (("t", "same"), ("st", "cross")):
            deviations = np.array([[getattr(member[name], part) for member in members] for members in records])
            if deviations.min() <= _EXACT * pair.same:
                exact.append(f"{name}_{subscript}")
            else:
                rows.append(Rate(f"{name}_{subscript}", fit_rate(widths, deviations)))
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
