"""The experiments of the paper: their configurations, and the data that their figures show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield import (
    EigenvalueStatistics,
    Network,
    OutputNormalization,
    eigenvalue_statistics,
    fluctuations,
    learning_rate_bound,
    relu,
    spectrum,
    tanh,
)
from meanfield.errors import require_integer, require_sequence

from .compare import compare
from .comparison import Comparison
from .ensemble import Ensemble, run_ensembles
from .experiments import EigenvalueExperiment, SpectrumExperiment
from .power_law import RateFit
from .rates import Rates, measure_rates, spawn_seeds
from .spectrum import Eigenvalues
from .store import Store
from .sweeps import LearningRateSweep, SweepPlan, sweep_learning_rates

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
        As for :func:`run_ensembles`; ``progress`` is called ``4 * len(widths) * members`` times. The same seed serves
        every curve, so that each network is seen with and without mean subtraction.

    Returns
    -------
    tuple of SharpnessCurve
        Two for each network: without normalisation and with mean subtraction.

    Equations: (10), (18), figure 1
    """
    require_integer("members", members, at_least=2)
    widths = require_sequence("widths", widths)
    networks = [
        (name, network.normalized(output=output)) for name, network in FIGURE_1.items() for output in FIGURE_1_OUTPUTS
    ]
    # each curve begins with its widest: no worker is idle at the end, and the time left is not promised too short
    places = [(network, width) for _, network in networks for width in sorted(widths, reverse=True)]
    ensembles = run_ensembles(
        [EigenvalueExperiment(network, width, width) for network, width in places],
        members=members,
        seed=seed,
        executor=executor,
        store=store,
        progress=progress,
    )
    measured = dict(zip(places, ensembles, strict=True))

    def point(network: Network, width: int) -> SharpnessPoint:
        theory = eigenvalue_statistics(network, width=width, samples=width, regime="proportional")
        return SharpnessPoint(width, theory, measured[network, width])

    return tuple(
        SharpnessCurve(name, network, tuple(point(network, width) for width in widths)) for name, network in networks
    )


@dataclass(frozen=True, eq=False)
class DensityCurve:
    """The density of eigenvalues after mean subtraction, theory and experiment, for one network."""

    name: str
    width: int
    """M = T."""
    x: NDArray[np.float64]
    """Places, shape (points,)."""
    density: NDArray[np.float64]
    """By the theory, at the places."""
    largest: float
    """E lambda_max by the theory."""
    distance: float
    """Kolmogorov-Smirnov: the largest difference between the shares above x, of the theory and of all networks."""
    ensemble: Ensemble[Eigenvalues]

    @property
    def eigenvalues(self) -> NDArray[np.float64]:
        """Of each network but the one that mean subtraction makes zero, in decreasing order: (members, T - 1)."""
        return np.array([member.values[:-1] for member in self.ensemble.members])


def figure_spectrum(
    *,
    width: int,
    members: int,
    seed: int,
    executor: Executor | None = None,
    store: Store | None = None,
    progress: Callable[[], object] | None = None,
) -> tuple[DensityCurve, ...]:
    """Measure and predict the density of eigenvalues after mean subtraction for the networks of figure 1, with T = M.

    Parameters
    ----------
    width : int
        M = T, at least 20.
    members : int
        Networks, at least 2.
    seed, executor, store, progress
        As for :func:`run_ensembles`; ``progress`` is called ``2 * members`` times.

    Returns
    -------
    tuple of DensityCurve
        One for each network.
    """
    require_integer("width", width, at_least=20)
    require_integer("members", members, at_least=2)
    networks = {name: network.normalized(output="mean") for name, network in FIGURE_1.items()}
    ensembles = run_ensembles(
        [SpectrumExperiment(network, width, width) for network in networks.values()],
        members=members,
        seed=seed,
        executor=executor,
        store=store,
        progress=progress,
    )
    curves = []
    for (name, network), ensemble in zip(networks.items(), ensembles, strict=True):
        theory = spectrum(network, width=width, samples=width)
        x = np.linspace(0.5 * theory.lower_edge, 1.2 * theory.largest, 300)
        values = np.concatenate([member.values[:-1] for member in ensemble.members])
        shares = np.linspace(0.005, 0.995, 100)
        distance = np.max(np.abs(np.asarray(theory.above(np.quantile(values, 1 - shares))) - shares))
        density = np.asarray(theory.density(x))
        curves.append(DensityCurve(name, width, x, density, theory.largest, float(distance), ensemble))
    return tuple(curves)


FIGURE_S1 = FIGURE_1
"""The networks of figure S.1: those of figure 1."""

FIGURE_S1_SAMPLES = 100
"""T, how many samples each network of figure S.1 is given."""


FIGURE_S1_QUANTITY = "qtilde^1_st"
"""What figure S.1 shows: the overlap of the gradients of two samples in the first layer."""


@dataclass(frozen=True)
class RateCurve:
    """How the order parameters of one network approach the theory."""

    name: str
    rates: Rates
    variance: float
    """M Var(qtilde^1_st) by the theory of fluctuations."""
    line: tuple[float, ...]
    """The standard deviation that this gives at the widths, sqrt(variance/M): no constant is fitted."""
    ratio: float
    """Measured over theory: the geometric mean over the widths."""
    ratio_error: float
    """Standard error of it, from the members."""

    @property
    def fit(self) -> RateFit:
        """Of qtilde^1_st."""
        return self.rates[FIGURE_S1_QUANTITY]


def rate_curve(name: str, rates: Rates) -> RateCurve:
    """Compare measured deviations of qtilde^1_st with the theory, constant and slope.

    Equations: (S.5), figure S.1
    """
    fit, variance = rates[FIGURE_S1_QUANTITY], float(fluctuations(rates.network).variance.backward.cross[0])
    line = tuple(math.sqrt(variance / width) for width in fit.widths)
    ratios = np.array(fit.deviations) / line
    relative = np.array(fit.standard_errors) / fit.deviations
    ratio = float(np.exp(np.log(ratios).mean()))
    error = ratio * math.sqrt(float(np.sum(relative**2))) / relative.size
    return RateCurve(name, rates, variance, line, ratio, error)


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

    It is taken about its limit qtilde^1_st, over networks and over all pairs of T = 100 samples. The theory of
    ``meanfield.fluctuations`` gives its constant as well as its slope.

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
        rate_curve(
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


FIGURE_2 = Network.uniform(relu, depth=3, weight_variance=4.0, bias_variance=1.0)
"""The network of figures 2 and S.2: L = 3, alpha_l = C = 1."""

FIGURE_2_OUTPUTS = ("none", "mean", "batch")
"""Its output normalisations: the paper's two, and batch normalisation."""


@dataclass(frozen=True)
class TrainingPoint:
    """The training losses of networks of one width, and the lambda_max of the theory."""

    width: int
    theory: EigenvalueStatistics
    """Theorem 2.2, Theorem 3.3 (ii) or (19), as printed."""
    line: float
    """The paper's line: 2/lambda_max by Theorem 2.2, or 2/(the lower bound of lambda_max)."""
    threshold: float | None
    """2/lambda_max by the spectrum, for mean subtraction."""
    trials: tuple[LearningRateSweep, ...]


@dataclass(frozen=True)
class TrainingMap:
    """The training losses against the width and the learning rate, for one normalisation of the outputs."""

    network: Network
    samples: int
    steps: int
    points: tuple[TrainingPoint, ...]


def figure_2_plan(*, widths: Sequence[int], learning_rates: Sequence[float], samples: int, steps: int) -> SweepPlan:
    """Return what figures 2 and S.2 train, with all its checks.

    Behind batch normalisation, the expectation of (19) needs T > 5.
    """
    require_integer("samples", samples, at_least=6)
    networks = [FIGURE_2.normalized(output=output) for output in FIGURE_2_OUTPUTS]
    return SweepPlan(networks, widths=widths, samples=samples, learning_rates=learning_rates, steps=steps)


def figure_2(
    plan: SweepPlan,
    *,
    members: int,
    seed: int,
    executor: Executor | None = None,
    store: Store | None = None,
    progress: Callable[[], object] | None = None,
) -> tuple[TrainingMap, ...]:
    """Train the network of figures 2 and S.2 at every width and learning rate, and measure its thresholds.

    Parameters
    ----------
    plan : SweepPlan
        From :func:`figure_2_plan`; T = 1000 and 1000 steps in the paper.
    members : int
        Trials: 1 for figure 2, 10 for figure S.2, which shows the smallest loss over the trials.
    seed, executor, store, progress
        As for :func:`sweep_learning_rates`. The same seed serves every map, so that each network is seen with every
        normalisation of its outputs.

    Returns
    -------
    tuple of TrainingMap
        Without normalisation of the outputs, with mean subtraction and with batch normalisation.

    Notes
    -----
    The paper's line for mean subtraction, 2/(rho alpha (kappa_1 - kappa_2)), is made of the lower bound of lambda_max,
    and is not the threshold: at fixed T it falls like 1/M, from far above, while lambda_max hardly changes. The line at
    the threshold is 2/lambda_max by the spectrum, which ``threshold`` has. Every
    record has lambda_max at initialisation, and the threshold that gradient descent shows near a minimum, which is
    2/lambda_max; :func:`sweep_learning_rates` says what explosions are beside it.

    Equations: (10), (18), (23), figures 2 and S.2
    """
    sweeps = sweep_learning_rates(plan, members=members, seed=seed, executor=executor, store=store, progress=progress)
    maps = []
    for network, of_network in zip(plan.networks, sweeps, strict=True):
        points = []
        for width, trials in zip(plan.widths, of_network, strict=True):
            theory = eigenvalue_statistics(
                network, width=width, samples=plan.samples, regime="proportional", leading_order=True
            )
            line, threshold = learning_rate_bound(theory).necessary, None
            if network.output_normalization is OutputNormalization.MEAN:
                threshold = 2 / spectrum(network, width=width, samples=plan.samples).largest
            points.append(TrainingPoint(width, theory, line, threshold, trials))
        maps.append(TrainingMap(network, plan.samples, plan.steps, tuple(points)))
    return tuple(maps)
