"""Learning-rate sweeps: networks trained from the same initialisation at every rate, and their thresholds measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import Network, ParameterError
from meanfield.errors import require_integer, require_number, require_sequence

from .codec import register
from .dual import MEMORY_LIMIT
from .ensemble import Ensemble
from .experiments import EigenvalueExperiment
from .network import FiniteNetwork, sample_inputs, sample_network
from .propagate import propagate
from .spectrum import measure_eigenvalues
from .training import EXPLOSION, train

PRECISION = 1.02
"""The ratio of the two rates between which a threshold is measured."""

_NEARBY = 1e-6
"""How far the teacher is from the student where a threshold is measured, relative to every weight and bias."""

_THRESHOLD_STEPS = 200
"""A residual that grows by 1 % a step is seven times as large after 200."""

_GROWN = 10.0
"""A nearby residual is given up when its loss is this many times the first."""

_FLOOR = 1e-12
"""Below this, relative to the first loss, a nearby residual (1e-12 in the loss) has come near rounding."""


@register
@dataclass(frozen=True)
class Threshold:
    """lambda_max of a network at initialisation, and the learning rate above which its small residuals grow."""

    largest_eigenvalue: float
    """lambda_max of the Fisher information, bias parameters included."""
    stable: float
    """The largest rate found at which a small residual dies out."""
    unstable: float
    """The smallest rate found at which it grows: at most 2 % more than ``stable``."""

    @property
    def critical(self) -> float:
        """2/lambda_max, (23)."""
        return 2 / self.largest_eigenvalue

    @property
    def measured(self) -> float:
        """The geometric mean of ``stable`` and ``unstable``."""
        return math.sqrt(self.stable * self.unstable)


@register
@dataclass(frozen=True)
class Descent:
    """What is kept of one run of gradient descent."""

    initial_loss: float
    final_loss: float
    """After the last step; infinite if the loss exploded."""
    exploded: int | None
    """After how many steps; None if it did not."""


@dataclass(frozen=True)
class ThresholdExperiment:
    """Measure lambda_max and the threshold of a fresh network on fresh inputs.

    Parameters
    ----------
    network : Network
        With any normalisation.
    width, samples : int
        M and T, as for :class:`EigenvalueExperiment`.
    memory_limit : float
        GiB that one member may take.

    Raises
    ------
    ParameterError
        At construction, for numbers out of range and for a member that would not fit.

    Notes
    -----
    2/lambda_max (23) is the threshold near a minimum, where the residual is small; ``stable`` and ``unstable`` measure
    it there, for this network and these inputs.

    Equations: (23)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=4.0, bias_variance=1.0)
    >>> threshold = ThresholdExperiment(network, 50, 20).run(np.random.default_rng(0))
    >>> round(threshold.measured / threshold.critical, 1)
    1.0
    """

    network: Network
    width: int
    samples: int
    _: KW_ONLY
    memory_limit: float = MEMORY_LIMIT  # decides how lambda_max is measured

    def __post_init__(self) -> None:
        EigenvalueExperiment(self.network, self.width, self.samples, memory_limit=self.memory_limit)  # its checks

    def run(self, rng: np.random.Generator) -> Threshold:
        """Run one member."""
        student, inputs, _ = _problem(self.network, self.width, self.samples, rng)
        largest = measure_eigenvalues(propagate(student, inputs), memory_limit=self.memory_limit).largest.lower
        if not largest:
            raise ArithmeticError("lambda_max is zero: the outputs do not depend on the parameters")
        stable, unstable = measure_threshold(student, inputs, start=1.0, rng=rng)
        return Threshold(largest, stable, unstable)


@dataclass(frozen=True)
class TrainingExperiment:
    """Train a fresh network on the labels of a fresh teacher, by gradient descent at one learning rate.

    The teacher is an independent network of the same family, and its outputs are normalised like those of the student,
    so that the labels can be attained. Member i starts from the same network with the same labels at every learning
    rate, and that is the network of member i of the :class:`ThresholdExperiment` of the same sizes.

    Parameters
    ----------
    network, width, samples, memory_limit
        As for :class:`ThresholdExperiment`.
    learning_rate : float
        Above 0.
    steps : int
        Of gradient descent, at least 1; 1000 in the paper.
    explosion : float
        The loss above which a descent is stopped.

    Raises
    ------
    ParameterError
        As for :class:`ThresholdExperiment`.

    Notes
    -----
    Far from a minimum a rate above 2/lambda_max makes the loss grow at first, and then either it explodes or the
    growing residual carries the network to where lambda_max is smaller. Which of them depends on how much the loss may
    grow before it counts as exploded: see the figures 2 and S.2.

    Equations: (23), figure 2

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=4.0, bias_variance=1.0)
    >>> for rate in (1e-3, 1.0):
    ...     descent = TrainingExperiment(network, 50, 20, learning_rate=rate, steps=20).run(np.random.default_rng(0))
    ...     print(descent.final_loss < descent.initial_loss, descent.exploded is None)
    True True
    False False
    """

    network: Network
    width: int
    samples: int
    _: KW_ONLY
    learning_rate: float
    steps: int
    explosion: float = EXPLOSION
    memory_limit: float = field(default=MEMORY_LIMIT, compare=False)

    def __post_init__(self) -> None:
        EigenvalueExperiment(self.network, self.width, self.samples, memory_limit=self.memory_limit)  # its checks
        require_number("learning_rate", self.learning_rate, above=0)
        require_integer("steps", self.steps, at_least=1)
        require_number("explosion", self.explosion, above=0)

    def run(self, rng: np.random.Generator) -> Descent:
        """Run one member."""
        student, inputs, labels = _problem(self.network, self.width, self.samples, rng)
        run = train(
            student, inputs, labels, learning_rate=self.learning_rate, steps=self.steps, explosion=self.explosion
        )
        return Descent(float(run.losses[0]), run.final_loss, run.exploded)


@dataclass(frozen=True)
class LearningRateSweep:
    """The descents of one network at every learning rate, and its threshold."""

    threshold: Threshold
    learning_rates: tuple[float, ...]
    descents: tuple[Descent, ...]

    @property
    def losses(self) -> tuple[float, ...]:
        """After the last step, at every rate; infinite where the loss exploded."""
        return tuple(descent.final_loss for descent in self.descents)

    @property
    def smallest_exploding(self) -> float:
        """The smallest rate at which the loss exploded; infinite if it never did."""
        rates = zip(self.learning_rates, self.descents, strict=True)
        return min((rate for rate, descent in rates if descent.exploded is not None), default=math.inf)

    @property
    def largest_surviving(self) -> float:
        """The largest rate below every one that exploded; 0 if there is none."""
        return max((rate for rate in self.learning_rates if rate < self.smallest_exploding), default=0.0)


def sweep_experiments(
    network: Network,
    width: int,
    samples: int,
    *,
    learning_rates: Sequence[float],
    steps: int,
    explosion: float = EXPLOSION,
    memory_limit: float = MEMORY_LIMIT,
) -> tuple[ThresholdExperiment | TrainingExperiment, ...]:
    """Return the experiments of a learning-rate sweep: of the threshold, then one for each rate.

    Parameters
    ----------
    network, width, samples, steps, explosion, memory_limit
        As for :class:`TrainingExperiment`.
    learning_rates : sequence of float
        Above 0, increasing, at least one.

    Raises
    ------
    ParameterError
        As for :class:`TrainingExperiment`, before anything is run.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> len(sweep_experiments(network, 50, 20, learning_rates=[1e-3, 1e-2], steps=10))
    3
    """
    given = require_sequence("learning_rates", learning_rates)
    rates = [require_number("learning_rates", rate, above=0) for rate in given]
    if not rates or any(after <= before for before, after in pairwise(rates)):
        raise ParameterError("learning_rates", "at least one, increasing", tuple(rates))
    return (
        ThresholdExperiment(network, width, samples, memory_limit=memory_limit),
        *(
            TrainingExperiment(
                network,
                width,
                samples,
                learning_rate=rate,
                steps=steps,
                explosion=explosion,
                memory_limit=memory_limit,
            )
            for rate in rates
        ),
    )


def join_sweeps(ensembles: Sequence[Ensemble[Any]]) -> tuple[LearningRateSweep, ...]:
    """Return one sweep for each member, from the ensembles of :func:`sweep_experiments` in their order.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=4.0, bias_variance=1.0)
    >>> experiments = sweep_experiments(network, 50, 20, learning_rates=[1e-3, 1.0], steps=20)
    >>> (sweep,) = join_sweeps(mc.run_ensembles(experiments, members=1, seed=0))
    >>> sweep.largest_surviving, sweep.smallest_exploding
    (0.001, 1.0)
    """
    thresholds, *descents = ensembles
    rates = tuple(cast(TrainingExperiment, ensemble.experiment).learning_rate for ensemble in descents)
    return tuple(
        LearningRateSweep(threshold, rates, tuple(ensemble.members[member] for ensemble in descents))
        for member, threshold in enumerate(thresholds.members)
    )


def measure_threshold(
    finite_network: FiniteNetwork, inputs: ArrayLike, *, start: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Measure the learning rate above which a small residual grows, by gradient descent alone.

    The labels are those of a teacher so near that nothing but the residual changes; the rate is halved or doubled, then
    bisected, until two rates within 2 % of each other differ: at the lower one the loss falls at every one of 200
    steps, at the upper one it does not. lambda_max is not used; 2/lambda_max is what is expected.

    Parameters
    ----------
    finite_network : FiniteNetwork
        With any normalisation.
    inputs : array of shape (T, M_0)
    start : float
        The first rate that is tried, above 0.
    rng : numpy.random.Generator
        For the direction in which the teacher lies.

    Returns
    -------
    stable, unstable : float
        The lower is at most 1 to 2 % above the truth: a residual that grows by less is not seen in 200 steps. The upper
        is not below it.

    Raises
    ------
    ArithmeticError
        If the outputs do not depend on the parameters (two samples behind batch normalisation), or no rate between
        1e-30 and 1e30 is found.

    Equations: (23)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> student = mc.FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]])
    >>> stable, unstable = measure_threshold(student, [[1.0]], start=1.0, rng=np.random.default_rng(0))
    >>> stable < 2 / mc.dual_gram(mc.propagate(student, [[1.0]])).item() < unstable
    True
    """
    start = require_number("start", start, above=0)
    labels = propagate(_nearby(finite_network, rng), inputs).outputs
    if not np.any(labels - propagate(finite_network, inputs).outputs):
        raise ArithmeticError("the outputs do not depend on the parameters: there is no threshold")
    factor = 0.5 if _grows(finite_network, inputs, labels, start) else 2.0
    rate = start
    while _grows(finite_network, inputs, labels, rate * factor) == (factor < 1):
        rate *= factor
        if not 1e-30 < rate < 1e30:
            raise ArithmeticError("no threshold between learning rates of 1e-30 and 1e30")
    stable, unstable = sorted((rate, rate * factor))
    while unstable / stable > PRECISION:
        middle = math.sqrt(stable * unstable)
        if _grows(finite_network, inputs, labels, middle):
            unstable = middle
        else:
            stable = middle
    return stable, unstable


def _problem(
    network: Network, width: int, samples: int, rng: np.random.Generator
) -> tuple[FiniteNetwork, NDArray[np.float64], NDArray[np.float64]]:
    """Return a fresh student, inputs, and the labels of a fresh teacher."""
    student, teacher = (sample_network(network, width=width, rng=rng) for _ in range(2))
    inputs = sample_inputs(network, width=width, samples=samples, rng=rng)
    return student, inputs, propagate(teacher, inputs).outputs


def _nearby(finite_network: FiniteNetwork, rng: np.random.Generator) -> FiniteNetwork:
    """Return a network whose every weight and bias is off by about a millionth."""

    def moved(values: NDArray[np.float64]) -> NDArray[np.float64]:
        scale = _NEARBY * math.sqrt(np.mean(np.square(values)))
        return values + scale * rng.standard_normal(values.shape)

    return FiniteNetwork(finite_network.network, map(moved, finite_network.weights), map(moved, finite_network.biases))


def _grows(finite_network: FiniteNetwork, inputs: ArrayLike, labels: NDArray[np.float64], rate: float) -> bool:
    """Tell whether the loss rises at any step, above rounding."""
    first = train(finite_network, inputs, labels, learning_rate=rate, steps=0).final_loss
    run = train(finite_network, inputs, labels, learning_rate=rate, steps=_THRESHOLD_STEPS, explosion=_GROWN * first)
    return bool(np.any((np.diff(run.losses) > 0) & (run.losses[1:] > _FLOOR * first))) or run.exploded is not None
