"""Full-batch gradient descent on the squared loss, with the labels of a teacher."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import blas

from meanfield import HiddenNormalization, Network, ParameterError
from meanfield.errors import require_integer, require_number, require_real

from .forward import require_inputs
from .network import FiniteNetwork
from .normalize import Normalised, normalise

Array: TypeAlias = NDArray[np.float64]

EXPLOSION = 1e3
"""The paper's limit: a loss above it has exploded."""

_CACHED = 2**14
"""Entries that an activation is given at once: 128 KiB stay in the cache, with what it allocates on its way."""


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """What became of one run of gradient descent."""

    learning_rate: float
    losses: Array = field(repr=False)
    """The loss before the first step and after every step, up to an explosion."""
    exploded: int | None
    """After how many steps the loss exploded; None if it did not."""
    finite_network: FiniteNetwork | None
    """The trained network; None if it exploded."""

    @property
    def final_loss(self) -> float:
        """The loss after the last step; infinite after an explosion."""
        return float(self.losses[-1]) if self.exploded is None else float("inf")


def train(
    finite_network: FiniteNetwork,
    inputs: ArrayLike,
    labels: ArrayLike,
    *,
    learning_rate: float,
    steps: int,
    explosion: float = EXPLOSION,
) -> TrainingRun:
    """Train all weights and biases by gradient descent in the batch of all samples.

        theta <- theta - eta grad E,        E = (1/2T) sum_t |y(t) - f(t)|^2,

    where f are the outputs after their normalisation, whose statistics, like those of the hidden layers, are those of
    the batch and are differentiated as well.

    Parameters
    ----------
    finite_network : FiniteNetwork
        Where the descent begins, with any normalisation; it is not changed.
    inputs : array of shape (T, M_0)
    labels : array of shape (T, C)
        y; finite. Only with labels of the same family, such as ``forward(teacher, inputs).outputs``, can the loss
        reach zero: mean subtraction or batch normalisation of the outputs cannot fit labels that are not so normalised.
    learning_rate : float
        eta > 0.
    steps : int
        At least 0.
    explosion : float
        The descent stops when the loss is above this, or no number, or when what is to be normalised has lost all its
        spread: behind units that are all dead there is nothing left to train.

    Returns
    -------
    TrainingRun
        To rounding of every step, which a descent near the threshold magnifies.

    Raises
    ------
    ParameterError
        If a number is out of range, or inputs and labels do not fit the network.
    ArithmeticError
        If what is to be normalised has no spread at the beginning.

    Equations: (23)

    Examples
    --------
    A linear network f = v w x + b with one sample, x = 1 and y = 3:

    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> student = mc.FiniteNetwork(network, [[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> run = mc.train(student, [[1.0]], [[3.0]], learning_rate=0.25, steps=1)
    >>> run.losses, run.finite_network.weights
    (array([2. , 0.125]), (array([[1.5]]), array([[1.5]])))
    """
    learning_rate = require_number("learning_rate", learning_rate, above=0)
    steps = require_integer("steps", steps, at_least=0)
    explosion = require_number("explosion", explosion, above=0)
    x = np.ascontiguousarray(require_inputs(finite_network, inputs))
    y = require_real("labels", labels)
    if y.shape != (len(x), finite_network.network.outputs):
        raise ParameterError("labels", f"of shape {(len(x), finite_network.network.outputs)}", y.shape)
    if not np.isfinite(y).all():
        raise ParameterError("labels", "finite", "inf or nan")

    descent = _Descent(finite_network, x)
    losses: list[float] = []
    with np.errstate(all="ignore"):  # what overflows has exploded
        for step in range(steps + 1):
            residual = descent.outputs(first=step == 0)
            residual -= y
            losses.append(float(np.vdot(residual, residual)) / (2 * len(y)))
            last = step == steps
            if not losses[-1] <= explosion or (last and not descent.is_finite()):
                return TrainingRun(learning_rate, np.array(losses), step, None)
            if not last:
                residual /= len(y)  # the gradient of E with respect to the outputs
                descent.step(residual, learning_rate)
    return TrainingRun(learning_rate, np.array(losses), None, descent.finite_network())


def training_memory(network: Network, width: int, samples: int) -> float:
    """Return how many GiB it takes to train a network on the labels of another one, to about a tenth.

    The gradient of the loss is one array for every layer, whatever normalises it: a batch in the hidden layers takes no
    C T^2 numbers for every unit, as it does where the gradients of all outputs are measured.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> [round(training_memory(network.normalized(hidden=hidden), 1000, 1000), 3) for hidden in ("none", "batch")]
    [0.119, 0.149]
    """
    widths = network.widths(width)
    hidden = sum(widths[1:-1])
    # inputs and labels; h with its column of ones, u, and gradients
    per_sample = widths[0] + widths[-1] + sum(below + 1 for below in widths[:-1]) + sum(widths[1:]) + hidden
    if network.hidden_normalization is not HiddenNormalization.NONE:
        per_sample += hidden + 2 * max(widths[1:-1])  # normalised, and what that takes on its way
    # student, teacher, the parameters on their way, and the trained network
    return 8 * (4 * network.parameters(width) + samples * per_sample) / 2**30


class _Descent:
    """The parameters on their way, with what one forward sweep leaves for the gradient.

    Every layer's biases are one more column of its weights, and its inputs have a column of ones: one product serves
    both, forward and in the gradient. That, and arrays that are there already, is what sets it apart from ``forward``.
    """

    def __init__(self, finite_network: FiniteNetwork, inputs: Array) -> None:
        self.network = finite_network.network
        self.parameters = [
            np.column_stack([w, b]) for w, b in zip(finite_network.weights, finite_network.biases, strict=True)
        ]
        samples, (_, *widths) = len(inputs), finite_network.widths
        self.u = [np.empty((samples, width)) for width in widths]
        self.gradients = [np.empty((samples, width)) for width in widths[:-1]]
        self.h = [np.ones((samples, width + 1)) for width in finite_network.widths[:-1]]
        self.h[0][:, :-1] = inputs
        self.normalised: list[Normalised] = []

    def finite_network(self) -> FiniteNetwork:
        """Return the network as it is now."""
        weights, biases = zip(*((p[:, :-1], p[:, -1]) for p in self.parameters), strict=True)
        return FiniteNetwork(self.network, weights, biases)

    def is_finite(self) -> bool:
        """Tell whether all parameters are numbers: behind a saturated unit the loss does not show it."""
        return all(np.isfinite(p).all() for p in self.parameters)

    def outputs(self, *, first: bool) -> Array:
        """Return the outputs, in an array to be overwritten; not numbers where there was no spread to divide by."""
        try:
            self._forward()
        except ArithmeticError:
            if first:
                raise
            return np.full_like(self.u[-1], np.nan)
        return self.normalised[-1].values.copy()

    def _forward(self) -> None:
        self.normalised.clear()
        for layer, (h, parameters, u) in enumerate(zip(self.h, self.parameters, self.u, strict=True), start=1):
            np.matmul(h, parameters.T, out=u)
            self.normalised.append(normalise(u, self.network, layer=layer))
            if layer < self.network.depth:
                phi, values, above = (
                    self.network.normalized_activations[layer - 1],
                    self.normalised[-1].values,
                    self.h[layer],
                )
                for rows in _slabs(u):
                    above[rows, :-1] = phi(values[rows])

    def step(self, gradient: Array, learning_rate: float) -> None:
        """Subtract eta grad E from every parameter, given the gradient with respect to the outputs."""
        for layer in reversed(range(self.network.depth)):
            delta, parameters = self.normalised[layer].adjoint(gradient[None])[0], self.parameters[layer]
            if layer > 0:  # before the weights change
                gradient = self.gradients[layer - 1]
                _product(delta, parameters[:, :-1], out=gradient)
                slope, values = self.network.normalized_activations[layer - 1].slope, self.normalised[layer - 1].values
                for rows in _slabs(gradient):
                    gradient[rows] *= slope(values[rows])
            # parameters - eta delta'h in one product: BLAS adds in place, and reads C order as the transpose
            blas.dgemm(-learning_rate, self.h[layer].T, delta.T, beta=1.0, c=parameters.T, trans_b=1, overwrite_c=1)


def _product(left: Array, right: Array, *, out: Array) -> None:
    """Multiply two matrices; of one column and one row BLAS would be slower."""
    if left.shape[1] == 1:
        np.multiply(left, right, out=out)
    else:
        np.matmul(left, right, out=out)


def _slabs(x: Array) -> Iterator[slice]:
    """Cut rows into slabs that stay in the cache."""
    step = max(1, _CACHED // x.shape[1])
    return (slice(start, start + step) for start in range(0, len(x), step))
