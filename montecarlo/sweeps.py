"""Learning-rate sweeps: one network trained from the same initialisation at every rate, beside its own threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import KW_ONLY, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from meanfield import Network, ParameterError
from meanfield.errors import require_instance, require_integer, require_number, require_sequence

from .codec import register
from .ensemble import Ensemble, run_ensembles
from .forward import forward
from .problem import Problem
from .store import Store
from .threshold import Threshold, ThresholdExperiment, sample_trial
from .training import EXPLOSION, train, training_memory

_LARGEST_RATE = 1e30
"""Of a sweep: every network explodes far below it."""


@register
@dataclass(frozen=True)
class TrainingLoss:
    """What became of one network at one learning rate."""

    initial: float
    final: float
    """After the last step; infinite if the loss exploded."""
    exploded: int | None
    """After how many steps; None if it did not."""


@dataclass(frozen=True)
class TrainingExperiment(Problem):
    """Train a fresh network on the labels of a fresh teacher, at one learning rate.

    The teacher is an independent network of the same family, and its outputs are normalised like those of the student,
    so that the labels can be attained. Networks and inputs depend on the random stream alone, and are the same at every
    rate.

    Parameters
    ----------
    network : Network
        With any normalisation.
    width, samples : int
        M and T, as for :class:`EigenvalueExperiment`.
    learning_rate : float
        eta > 0.
    steps : int
        Of gradient descent, at least 1; 1000 in the paper.
    explosion : float
        The loss above which a descent is stopped.
    memory_limit : float
        GiB that one member may take: ``memory`` is what it will take.

    Raises
    ------
    ParameterError
        At construction, for numbers out of range and for a member that would not fit.

    Equations: (23), figure 2

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=4.0, bias_variance=1.0)
    >>> for rate in (1e-3, 1.0):
    ...     loss = TrainingExperiment(network, 50, 20, learning_rate=rate, steps=20).run(np.random.default_rng(0))
    ...     print(f"{loss.initial:.3f} {loss.final:.3f} {loss.exploded}")
    37.560 4.273 None
    37.560 inf 1
    """

    _: KW_ONLY
    learning_rate: float
    steps: int
    explosion: float = EXPLOSION

    def _require(self) -> None:
        super()._require()
        object.__setattr__(self, "learning_rate", require_number("learning_rate", self.learning_rate, above=0))
        require_integer("steps", self.steps, at_least=1)
        object.__setattr__(self, "explosion", require_number("explosion", self.explosion, above=0))

    @property
    def memory(self) -> float:
        """How many GiB one member takes, predicted."""
        return training_memory(self.network, self.width, self.samples)

    def run(self, rng: np.random.Generator) -> TrainingLoss:
        """Run one member."""
        student, teacher, inputs = sample_trial(self.network, self.width, self.samples, rng)
        labels = forward(teacher, inputs).outputs
        run = train(
            student, inputs, labels, learning_rate=self.learning_rate, steps=self.steps, explosion=self.explosion
        )
        return TrainingLoss(float(run.losses[0]), run.final_loss, run.exploded)


@dataclass(frozen=True)
class LearningRateSweep:
    """The training losses of one network at every learning rate, and the threshold of the same network."""

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    """After the last step; infinite where the loss exploded."""
    exploded: tuple[int | None, ...]
    """After how many steps; None where it did not."""
    initial_loss: float
    threshold: Threshold

    @property
    def smallest_exploding(self) -> float:
        """The smallest rate of the sweep at which the loss exploded; infinite if it never did."""
        rates = zip(self.learning_rates, self.exploded, strict=True)
        return min((rate for rate, step in rates if step is not None), default=math.inf)

    @property
    def largest_surviving(self) -> float:
        """The largest rate of the sweep below every one that exploded; 0 if there is none."""
        return max((rate for rate in self.learning_rates if rate < self.smallest_exploding), default=0.0)


@dataclass(frozen=True)
class SweepPlan:
    """What is trained: every network at every width and learning rate, each a task of its own.

    Parameters
    ----------
    networks : sequence of Network
    widths : sequence of int
        M, without repetitions, in any order.
    samples : int
        T.
    learning_rates : sequence of float
        Above 0, increasing, at most 1e30.
    steps, explosion
        As for :class:`TrainingExperiment`.

    Raises
    ------
    ParameterError
        At construction, for any of the experiments.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=4.0, bias_variance=1.0)
    >>> plan = SweepPlan([network], widths=[20, 40], samples=30, learning_rates=[1e-3, 1e-2, 1e-1], steps=10)
    >>> len(plan.experiments)  # at three rates, and a threshold, for each width
    8
    """

    networks: Sequence[Network]
    _: KW_ONLY
    widths: Sequence[int]
    samples: int
    learning_rates: Sequence[float]
    steps: int
    explosion: float = EXPLOSION
    experiments: tuple[TrainingExperiment | ThresholdExperiment, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        widths = require_sequence("widths", self.widths)
        if not widths or len(set(widths)) < len(widths):
            raise ParameterError("widths", "at least one, each once", widths)
        given = require_sequence("learning_rates", self.learning_rates)
        rates = tuple(require_number("learning_rates", rate, above=0) for rate in given)
        if not rates or any(after <= before for before, after in pairwise(rates)):
            raise ParameterError("learning_rates", "at least one, increasing", rates)
        if rates[-1] > _LARGEST_RATE:
            raise ParameterError("learning_rates", f"at most {_LARGEST_RATE:g}", rates[-1])
        networks = require_sequence("networks", self.networks)
        object.__setattr__(self, "networks", networks)
        object.__setattr__(self, "widths", widths)
        object.__setattr__(self, "learning_rates", rates)
        places = [(network, width) for network in networks for width in widths]
        experiments = [one for place in places for one in (self.measuring(*place), *self.training(*place))]
        object.__setattr__(self, "experiments", tuple(experiments))

    def measuring(self, network: Network, width: int) -> ThresholdExperiment:
        """Return the experiment that measures the threshold."""
        return ThresholdExperiment(network, width, self.samples)

    def training(self, network: Network, width: int) -> list[TrainingExperiment]:
        """Return the experiments that train at every rate."""
        common: dict[str, Any] = {"steps": self.steps, "explosion": self.explosion}
        return [
            TrainingExperiment(network, width, self.samples, learning_rate=rate, **common)
            for rate in self.learning_rates
        ]


def sweep_learning_rates(
    plan: SweepPlan,
    *,
    members: int,
    seed: int,
    executor: Executor | None = None,
    store: Store | None = None,
    progress: Callable[[], object] | None = None,
) -> tuple[tuple[tuple[LearningRateSweep, ...], ...], ...]:
    """Train networks at every width and learning rate, and measure their thresholds.

    Parameters
    ----------
    plan : SweepPlan
    members : int
        Trials: networks, teachers and inputs, each trained at every rate. The same trial of the same width begins with
        the same weights behind every normalisation.
    seed, executor, store, progress
        As for :func:`run_ensemble`; ``progress`` is called ``len(plan.experiments) * members`` times.

    Returns
    -------
    tuple of tuple of tuple of LearningRateSweep
        By network, by width, by trial.

    Notes
    -----
    2/lambda_max (23) is the threshold near a minimum, where the residual is small; ``threshold`` measures it there, for
    this network and these inputs. Where the loss explodes is another question. Were the model linear, with a share f of
    the residual along the first eigenvector, the loss would be above 1000 after n steps if

        f E(0) (eta lambda_max - 1)^2n > 1000,

    that is, for eta above (2/lambda_max) (1 + [(1000/(f E(0)))^(1/2n) - 1]/2): at f E(0) = 10 by 0.6 % for n = 200, and
    by 0.12 % for n = 1000. What is seen above that is not linear: the growing residual carries the network to where
    lambda_max is smaller, and it may come to rest there before its loss has grown to 1000.

    Equations: (23), figures 2 and S.2

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=4.0, bias_variance=1.0)
    >>> plan = SweepPlan([network], widths=[20, 40], samples=30, learning_rates=[1e-3, 1e-2, 1.0], steps=10)
    >>> (at_20, at_40), = sweep_learning_rates(plan, members=2, seed=0)
    >>> [sweep.smallest_exploding for sweep in at_40]
    [1.0, 1.0]
    """
    require_instance("plan", plan, SweepPlan)
    # mixed up, so that what is done tells at any time how long the rest will take
    order = np.random.default_rng(0).permutation(len(plan.experiments))
    shuffled = [plan.experiments[n] for n in order]
    ensembles: tuple[Ensemble[Any], ...] = run_ensembles(
        shuffled, members=members, seed=seed, executor=executor, store=store, progress=progress
    )
    trials = {experiment: ensemble.members for experiment, ensemble in zip(shuffled, ensembles, strict=True)}

    def sweeps(network: Network, width: int) -> tuple[LearningRateSweep, ...]:
        experiments = (plan.measuring(network, width), *plan.training(network, width))
        records = zip(*(trials[experiment] for experiment in experiments), strict=True)
        return tuple(_sweep(plan, *of_trial) for of_trial in records)

    return tuple(tuple(sweeps(network, width) for width in plan.widths) for network in plan.networks)


def _sweep(plan: SweepPlan, threshold: Threshold, *losses: TrainingLoss) -> LearningRateSweep:
    return LearningRateSweep(
        learning_rates=tuple(plan.learning_rates),
        losses=tuple(loss.final for loss in losses),
        exploded=tuple(loss.exploded for loss in losses),
        initial_loss=losses[0].initial,
        threshold=threshold,
    )
