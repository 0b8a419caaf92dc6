"""The learning rate above which a small residual grows: measured by gradient descent, to set beside lambda_max."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meanfield import Network
from meanfield.errors import require_instance, require_number

from .codec import register
from .eigenvalue_method import EigenvalueMethod, Size
from .forward import Forward, forward
from .network import FiniteNetwork, sample_inputs, sample_network
from .problem import Problem
from .propagate import propagate
from .spectrum import measure_largest
from .training import train, training_memory

PRECISION = 1.01
"""The ratio of the two rates between which a threshold is measured."""

STEPS = 200
"""In how many steps of gradient descent a residual has to grow."""

_NEARBY = 1e-6
"""How far the teacher is from the student where a threshold is measured, relative to every weight and bias."""

_GROWN = 10.0
"""A nearby residual is given up when its loss is this many times the first."""

_ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""Of the outputs, relative to their size."""

_HIGH = 10.0
"""Where the search begins: a rate that is too high is noticed in a few steps, one that is too low in all of them."""


@register
@dataclass(frozen=True)
class Threshold:
    """The measured threshold of one network, and its lambda_max at initialisation."""

    largest_eigenvalue: float
    """lambda_max of the Fisher information, bias parameters included."""
    stable: float
    """The largest rate found at which a small residual dies out."""
    unstable: float
    """The smallest rate found at which it grows: at most 1 % more than ``stable``."""

    @property
    def critical(self) -> float:
        """2/lambda_max, (23)."""
        return 2 / self.largest_eigenvalue

    @property
    def measured(self) -> float:
        """The geometric mean of ``stable`` and ``unstable``."""
        return math.sqrt(self.stable * self.unstable)

    @property
    def ratio(self) -> float:
        """The measured threshold divided by 2/lambda_max: 0.995 to 1.01, see :func:`measure_threshold`."""
        return self.measured / self.critical


@dataclass(frozen=True)
class ThresholdExperiment(Problem):
    """Measure threshold and lambda_max of a fresh network on fresh inputs.

    Parameters
    ----------
    network : Network
        With any normalisation.
    width, samples : int
        M and T, as for :class:`EigenvalueExperiment`.
    memory_limit : float
        GiB that one member may take: ``memory`` is what it will take.

    Raises
    ------
    ParameterError
        At construction, for numbers out of range and for a member that would not fit.

    Equations: (23)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=4.0, bias_variance=1.0)
    >>> round(ThresholdExperiment(network, 50, 20).run(np.random.default_rng(0)).ratio, 1)
    1.0
    """

    solver: EigenvalueMethod = field(init=False)
    """DENSE or MATRIX_FREE: how lambda_max is measured. An ensemble is told apart by this, not by the limit."""

    def _require(self) -> None:
        super()._require()
        solver = self._size.automatic(memory_limit=self.memory_limit, with_moments=False)
        object.__setattr__(self, "solver", solver)

    @property
    def memory(self) -> float:
        """How many GiB one member takes, predicted: lambda_max, or after that the training."""
        return max(self._size.memory(self.solver), training_memory(self.network, self.width, self.samples))

    @property
    def _size(self) -> Size:
        return Size(self.network, self.width, self.samples, with_sweep=True)

    def run(self, rng: np.random.Generator) -> Threshold:
        """Run one member."""
        student, _, inputs = sample_trial(self.network, self.width, self.samples, rng)
        largest = measure_largest(propagate(student, inputs), memory_limit=self.memory_limit, method=self.solver)
        return Threshold(largest, *measure_threshold(student, inputs, rng=rng))


def sample_trial(
    network: Network, width: int, samples: int, rng: np.random.Generator
) -> tuple[FiniteNetwork, FiniteNetwork, NDArray[np.float64]]:
    """Draw a student, a teacher of the same family, and inputs: the same for the same stream, whatever is measured."""
    student, teacher = (sample_network(network, width=width, rng=rng) for _ in range(2))
    return student, teacher, sample_inputs(network, width=width, samples=samples, rng=rng)


def measure_threshold(
    finite_network: FiniteNetwork, inputs: ArrayLike, *, rng: np.random.Generator, start: float = _HIGH
) -> tuple[float, float]:
    """Measure the learning rate above which a small residual grows, by gradient descent alone.

    The labels are those of a teacher so near that nothing but the residual changes; the rate is halved or doubled, then
    bisected, until two rates within 1 % of each other differ: at the lower one the loss falls at every one of n = 200
    steps, at the upper one it does not. lambda_max is not used; 2/lambda_max is what is expected.

    Parameters
    ----------
    finite_network : FiniteNetwork
        With any normalisation.
    inputs : array of shape (T, M_0)
    rng : numpy.random.Generator
        For the direction in which the teacher lies.
    start : float
        The first rate that is tried, above 0; better too high than too low.

    Returns
    -------
    stable, unstable : float
        ``unstable`` is not below 2/lambda_max, to the 1e-6 by which the residual moves the network; ``stable`` may be
        above it, by what n steps do not show, see the notes. Both hold where the outputs are differentiable: not where
        a sample lies on a kink, as that of relu if all units of a layer are dead and have no biases.

    Raises
    ------
    ParameterError
        For what does not fit the network, or is no generator or rate.
    ArithmeticError
        If the outputs do not depend on the parameters (two samples behind batch normalisation), or no rate between
        1e-30 and 1e30 is found.

    Notes
    -----
    A small residual is r(n) = (I - eta F*)^n r(0): with c_i its part along the i-th eigenvector, the loss is
    proportional to sum_i c_i^2 (1 - eta lambda_i)^2n. Below 2/lambda_max every term falls. Above it, at eta lambda_max
    = 2 + x, the first one grows like (1 + x)^2n, and the loss rises once that gains more in a step than all others
    lose. Another one, that has not died out, loses at most (1 - g^2) g^2n < 1/(2.718 n) of its first size in step n, so
    that growth is seen in n steps, if f is the share of the first, at the latest from

        2 x f (1 + x)^2n = (1 - f)/(2.718 n)

    on. With n = 200 the threshold seen is then above 2/lambda_max by a part x/2: 0.03 % at f = 1/2, 0.3 % at
    f = 1/100, 0.6 % at f = 1/1000.

    Equations: (23)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> student = mc.FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]])
    >>> stable, unstable = measure_threshold(student, [[1.0]], rng=np.random.default_rng(0))
    >>> stable < 2 / mc.dual_gram(mc.propagate(student, [[1.0]])).item() < unstable
    True
    """
    require_instance("finite_network", finite_network, FiniteNetwork)
    require_instance("rng", rng, np.random.Generator)
    start = require_number("start", start, above=0)
    labels = forward(_nearby(finite_network, rng), inputs).outputs
    first, noise = _loss_and_noise(forward(finite_network, inputs), labels)
    if first == 0:
        raise ArithmeticError("the outputs do not depend on the parameters: there is no threshold")

    def grows(rate: float) -> bool:
        """Tell whether the loss rises at any step, by more than rounding of the outputs can make it rise."""
        if not 1e-30 < rate < 1e30:
            raise ArithmeticError("no threshold between learning rates of 1e-30 and 1e30")
        run = train(finite_network, inputs, labels, learning_rate=rate, steps=STEPS, explosion=_GROWN * first)
        rises = np.diff(run.losses) > noise * (np.sqrt(2 * run.losses[:-1]) + noise)
        return run.exploded is not None or bool(np.any(rises))

    if grows(start):
        stable, unstable = start / 2, start
        while grows(stable):  # halving
            stable, unstable = stable / 2, stable
    else:
        stable, unstable = start, 2 * start
        while not grows(unstable):  # doubling
            stable, unstable = unstable, 2 * unstable
    while unstable / stable > PRECISION:  # bisecting
        middle = math.sqrt(stable * unstable)
        stable, unstable = (stable, middle) if grows(middle) else (middle, unstable)
    return stable, unstable


def _nearby(finite_network: FiniteNetwork, rng: np.random.Generator) -> FiniteNetwork:
    """Return a network whose every weight and bias is off by about a millionth."""

    def moved(values: NDArray[np.float64]) -> NDArray[np.float64]:
        scale = _NEARBY * math.sqrt(np.mean(np.square(values)))
        return values + scale * rng.standard_normal(values.shape)

    return FiniteNetwork(finite_network.network, map(moved, finite_network.weights), map(moved, finite_network.biases))


def _loss_and_noise(ahead: Forward, labels: NDArray[np.float64]) -> tuple[float, float]:
    """Return the loss, and the rounding of the outputs: relative to their size before what they have in common goes."""
    size = float(np.sqrt(np.sum(ahead.u[-1] ** 2, axis=1).mean()))
    deviation = ahead.normalised[-1].deviation
    if deviation is not None:
        size /= float(deviation.min())
    return float(np.sum((ahead.outputs - labels) ** 2)) / (2 * len(labels)), _ROUNDING * size
