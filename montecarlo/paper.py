"""The experiments of the paper: their configurations, and the data that their figures show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from meanfield import EigenvalueStatistics, Network, eigenvalue_statistics, relu, tanh

from .compare import compare
from .comparison import Comparison
from .ensemble import Ensemble, run_ensemble
from .experiments import EigenvalueExperiment
from .rates import Rates, measure_rates, spawn_seeds
from .store import Store

FIGURE_1 = {
    "relu (2, 0)": Network.uniform(relu, depth=3, weight_variance=2.0),
    "tanh (3, 0.64)": Network.uniform(tanh, depth=3, weight_variance=3.0, bias_variance=0.64),
}
"""The networks of figure 1, by activation and (weight variance, bias variance): L = 3, alpha_l = C = 1."""

FIGURE_1_OUTPUTS = ("none", "mean")
"""Their output normalisations: none, and mean subtraction."""


@dataclass(frozen=True)
class SharpnessPoint:
    """Theory and experiment for one network at one width, with T = M."""

    width: int
    theory: EigenvalueStatistics
    ensemble: Ensemble[EigenvalueStatistics]

    @property
    def comparison(self) -> Comparison:
        """Every quantity, side by side."""
        return compare(self.theory, self.ensemble)


@dataclass(frozen=True)
class SharpnessCurve:
    """The largest eigenvalue against the width, for one network."""

    name: str
    network: Network
    points: tuple[SharpnessPoint, ...]


def figure_1(
    *,
    widths: Sequence[int],
    members: int,
    seed: int,
    executor: Executor | None = None,
    store: Store | None = None,
    progress: Callable[[], object] | None = None,
) -> tuple[SharpnessCurve, ...]:
    """Measure and predict lambda_max against the width for the networks of figure 1, with T = M.

    Parameters
    ----------
    widths : sequence of int
        The widths M.
    members : int
        Networks at each width, at least 2.
    seed, executor, store, progress
        As for :func:`run_ensemble`; ``progress`` is called ``4 * len(widths) * members`` times. The same seed serves
        every curve, so that each network is seen with and without mean subtraction.

    Returns
    -------
    tuple of SharpnessCurve
        Two for each network: without normalisation and with mean subtraction.

    Equations: (10), (18), figure 1
    """
    networks = [
        (name, network.normalized(output=output)) for name, network in FIGURE_1.items() for output in FIGURE_1_OUTPUTS
    ]
    points: dict[tuple[str, Network], list[SharpnessPoint]] = {key: [] for key in networks}
    for width in widths:
        for name, network in networks:
            theory = eigenvalue_statistics(network, width=width, samples=width, regime="proportional")
            experiment = EigenvalueExperiment(network, width, width)
            ensemble = run_ensemble(
                experiment, members=members, seed=seed, executor=executor, store=store, progress=progress
            )
            points[name, network].append(SharpnessPoint(width, theory, ensemble))
    return tuple(SharpnessCurve(*key, tuple(points[key])) for key in networks)


FIGURE_S1 = FIGURE_1
"""The networks of figure S.1: those of figure 1."""

FIGURE_S1_SAMPLES = 100
"""T; at each width the paper has 100 networks."""


@dataclass(frozen=True)
class RateCurve:
    """How the order parameters of one network approach the theory."""

    name: str
    rates: Rates


def figure_s1(
    *,
    widths: Sequence[int],
    members: int,
    seed: int,
    executor: Executor | None = None,
    store: Store | None = None,
    progress: Callable[[], object] | None = None,
) -> tuple[RateCurve, ...]:
    """Measure how the standard deviation of qtilde^1_M,st falls with the width, and that of every order parameter.

    It is taken about the theory qtilde^1_st, over networks and over all pairs of T = 100 samples.

    Parameters
    ----------
    widths : sequence of int
        The widths M, increasing, at least 2.
    members : int
        Networks at each width, at least 2; 100 in the paper.
    seed, executor, store, progress
        As for :func:`measure_rates`; each network gets an independent seed. ``progress`` is called
        ``2 * len(widths) * members`` times.

    Returns
    -------
    tuple of RateCurve
        One for each network.

    Equations: (S.5), figure S.1
    """
    seeds = spawn_seeds(seed, len(FIGURE_S1))
    return tuple(
        RateCurve(
            name,
            measure_rates(
                network,
                widths=widths,
                samples=FIGURE_S1_SAMPLES,
                members=members,
                seed=curve_seed,
                executor=executor,
                store=store,
                progress=progress,
            ),
        )
        for (name, network), curve_seed in zip(FIGURE_S1.items(), seeds, strict=True)
    )
