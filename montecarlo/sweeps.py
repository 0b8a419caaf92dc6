"""Learning-rate sweeps: one network trained from the same initialisation at every rate, and its threshold measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import Network, ParameterError
from meanfield.errors import require_integer, require_number, require_sequence

from .codec import register
from .dual import MEMORY_LIMIT
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
class LearningRateSweep:
    """The training losses of one network at every learning rate, and the threshold of the same network."""

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    """After the last step; infinite where the loss exploded."""
    exploded: tuple[int | None, ...]
    """After how many steps; None where it did not."""
    initial_loss: float
    largest_eigenvalue: float
    """lambda_max of the Fisher information at initialisation, bias parameters included."""
    stable: float
    """The largest rate found at which a small residual dies out."""
    unstable: float
    """The smallest rate found at which it grows: at most 2 % more than ``stable``."""

    @property
    def critical(self) -> float:
        """2/lambda_max at initialisation, (23)."""
        return 2 / self.largest_eigenvalue

    @property
    def threshold(self) -> float:
        """The measured threshold: the geometric mean of ``stable`` and ``unstable``."""
        return math.sqrt(self.stable * self.unstable)

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
class LearningRateExperiment:
    """Train a fresh network on the labels of a fresh teacher, at every learning rate from the same initialisation.

    The teacher is an independent network of the same family, and its outputs are normalised like those of the student,
    so that the labels can be attained.

    Parameters
    ----------
    network : Network
        With any normalisation.
    width, samples : int
        M and T, as for :class:`EigenvalueExperiment`.
    learning_rates : sequence of float
        Above 0, increasing.
    steps : int
        Of gradient descent, at least 1; 1000 in the paper.
    explosion : float
        The loss above which a descent is stopped.
    memory_limit : float
        GiB that one member may take.

    Raises
    ------
    ParameterError
        At construction, for numbers out of range and for a member that would not fit.

    Notes
    -----
    2/lambda_max (23) is the threshold near a minimum, where the residual is small; ``stable`` and ``unstable`` measure
    it there, for this network and these inputs. Far from one, a rate above it makes the loss grow at first, and then
    either it explodes or the growing residual carries the network to where lambda_max is smaller. Which of them depends
    on how much the loss may grow before it counts as exploded: see the figures 2 and S.2.

    Equations: (23), figure 2

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=4.0, bias_variance=1.0)
    >>> experiment = LearningRateExperiment(network, 50, 20, learning_rates=[1e-3, 1.0], steps=20)
    >>> sweep = experiment.run(np.random.default_rng(0))
    >>> sweep.losses[0] < sweep.initial_loss, sweep.losses[1]
    (True, inf)
    >>> round(sweep.threshold / sweep.critical, 1)
    1.0
    """

    network: Network
    width: int
    samples: int
    _: KW_ONLY
    learning_rates: Sequence[float]
    steps: int
    explosion: float = EXPLOSION
    memory_limit: float = MEMORY_LIMIT

    def __post_init__(self) -> None:
        EigenvalueExperiment(self.network, self.width, self.samples, memory_limit=self.memory_limit)  # its checks
        given = require_sequence("learning_rates", self.learning_rates)
        rates = tuple(require_number("learning_rates", rate, above=0) for rate in given)
        if not rates or any(after <= before for before, after in pairwise(rates)):
            raise ParameterError("learning_rates", "at least one, increasing", rates)
        object.__setattr__(self, "learning_rates", rates)
        require_integer("steps", self.steps, at_least=1)
        require_number("explosion", self.explosion, above=0)

    def run(self, rng: np.random.Generator) -> LearningRateSweep:
        """Run one member."""
        student, teacher = (sample_network(self.network, width=self.width, rng=rng) for _ in range(2))
        inputs = sample_inputs(self.network, width=self.width, samples=self.samples, rng=rng)
        labels = propagate(teacher, inputs).outputs
        statistics = measure_eigenvalues(propagate(student, inputs), memory_limit=self.memory_limit)
        start = math.sqrt(self.learning_rates[0] * self.learning_rates[-1])
        stable, unstable = measure_threshold(student, inputs, start=start, rng=rng)
        runs = [
            train(student, inputs, labels, learning_rate=rate, steps=self.steps, explosion=self.explosion)
            for rate in self.learning_rates
        ]
        return LearningRateSweep(
            learning_rates=tuple(self.learning_rates),
            losses=tuple(run.final_loss for run in runs),
            exploded=tuple(run.exploded for run in runs),
            initial_loss=float(runs[0].losses[0]),
            largest_eigenvalue=statistics.largest.lower,
            stable=stable,
            unstable=unstable,
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
