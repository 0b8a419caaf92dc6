"""What is done with each member of an ensemble: sample a network and inputs, propagate, measure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from meanfield import (
    Eigenspace,
    EigenvalueStatistics,
    HiddenNormalization,
    OrderParameters,
)
from meanfield.errors import require_boolean, require_choice, require_integer

from .dual import gram_memory
from .eigenvalue_method import EigenvalueMethod, Size, choose_method
from .forward import require_precision
from .last_layer import require_plain_outputs
from .order_parameters import measure_order_parameters
from .problem import Problem
from .propagate import Sweep, propagate, sweep_memory
from .spectrum import (
    Eigenvalues,
    measure_all_eigenvalues,
    measure_eigenspace,
    measure_eigenvalues,
    measure_last_layer,
)

Record_co = TypeVar("Record_co", covariant=True)


class Experiment(Protocol[Record_co]):
    """Anything that turns a stream of random numbers into a record; it must pickle to run in other processes."""

    def run(self, rng: np.random.Generator) -> Record_co:
        """Run one member."""
        ...


@dataclass(frozen=True)
class _Measurement(Problem):
    """What is measured on the gradients of a fresh network, in one precision or the other."""

    dtype: str = field(default="float64", kw_only=True)

    def _require(self) -> None:
        super()._require()
        object.__setattr__(self, "dtype", require_precision(self.dtype).name)

    @property
    def memory(self) -> float:
        """How many GiB one member takes, predicted: its weights and sweep, and what the measurement adds."""
        return sweep_memory(self.network, self.width, self.samples, dtype=self.dtype)

    def _gram_memory(self, outputs: int, hidden: HiddenNormalization = HiddenNormalization.NONE) -> float:
        return gram_memory(outputs=outputs, samples=self.samples, hidden=hidden, dtype=self.dtype)

    def _sweep(self, rng: np.random.Generator) -> Sweep:
        return propagate(*self.sample(rng), dtype=self.dtype)


@dataclass(frozen=True)
class _FisherMeasurement(_Measurement):
    """What is measured of F, or of a block of it, with the bias parameters or without them."""

    biases: bool = True

    def _require(self) -> None:
        super()._require()
        require_boolean("biases", self.biases)


@dataclass(frozen=True)
class EigenvalueExperiment(_FisherMeasurement):
    """Measure the eigenvalue statistics of a fresh network on fresh inputs.

    Parameters
    ----------
    network : Network
        With any normalisation; C >= 2 with layer normalisation of the outputs.
    width, samples : int
        M >= 1, and T >= 1 (at least 2 with mean subtraction or batch normalisation).
    memory_limit : float
        GiB that one member may take: ``memory`` is what it will take.
    dtype : str
        "float64", or "float32", which halves memory and time: see :func:`propagate` for its errors.
    biases : bool
        Whether the bias parameters are part of F.
    method : EigenvalueMethod
        Whether the dual Gram is formed: as for :func:`choose_method`. What "auto" chose is in ``solver``.

    Raises
    ------
    ParameterError
        At construction, for numbers out of range and for a member that would not fit; it says what would need less.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> member = EigenvalueExperiment(network, width=50, samples=20).run(np.random.default_rng(0))
    >>> member.parameters
    5151.0
    >>> from dataclasses import replace
    >>> wide = replace(network, outputs=10)
    >>> for samples in (1000, 5000):
    ...     experiment = EigenvalueExperiment(wide, width=1000, samples=samples)
    ...     print(experiment.solver, round(experiment.memory, 1))
    dense 1.0
    matrix-free 1.1
    """

    method: EigenvalueMethod | str = field(default=EigenvalueMethod.AUTO, compare=False)
    solver: EigenvalueMethod = field(init=False)
    """DENSE or MATRIX_FREE: the method, or what "auto" chose. An ensemble is told apart by this, not by the limit."""

    def _require(self) -> None:
        super()._require()
        object.__setattr__(self, "method", require_choice("method", self.method, EigenvalueMethod))
        solver = choose_method(
            self.network,
            width=self.width,
            samples=self.samples,
            method=self.method,
            dtype=self.dtype,
            memory_limit=self.memory_limit,
            with_sweep=True,
        )
        object.__setattr__(self, "solver", solver)

    @property
    def memory(self) -> float:
        """How many GiB one member takes, predicted."""
        return Size(self.network, self.width, self.samples, with_sweep=True).memory(self.solver, self.dtype)

    def run(self, rng: np.random.Generator) -> EigenvalueStatistics:
        """Run one member."""
        return measure_eigenvalues(
            self._sweep(rng), biases=self.biases, memory_limit=self.memory_limit, method=self.solver
        )


@dataclass(frozen=True)
class SpectrumExperiment(_FisherMeasurement):
    """Measure all eigenvalues of the dual F* of a fresh network on fresh inputs.

    Parameters
    ----------
    network : Network
        With any normalisation.
    width, samples, memory_limit, dtype, biases
        As for :class:`EigenvalueExperiment`.

    Raises
    ------
    ParameterError
        As for :class:`EigenvalueExperiment`.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> SpectrumExperiment(network, width=50, samples=20).run(np.random.default_rng(0)).values.shape
    (20,)
    """

    @property
    def memory(self) -> float:
        """How many GiB one member takes, predicted."""
        of_gram = self._gram_memory(self.network.outputs, self.network.hidden_normalization)
        # the dense eigensolver works on a copy of the Gram
        return super().memory + of_gram + self._gram_memory(self.network.outputs)

    def run(self, rng: np.random.Generator) -> Eigenvalues:
        """Run one member."""
        return measure_all_eigenvalues(self._sweep(rng), biases=self.biases, memory_limit=self.memory_limit)


@dataclass(frozen=True)
class EigenspaceExperiment(_FisherMeasurement):
    """Measure how well the mean gradients of a fresh network span the top eigenspace (Theorem 3.1).

    Parameters
    ----------
    network : Network
        With outputs as they are.
    width, samples, memory_limit, dtype, biases
        As for :class:`EigenvalueExperiment`.

    Raises
    ------
    ParameterError
        As for :class:`EigenvalueExperiment`.
    AssumptionError
        At construction, if the outputs are normalised.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> member = EigenspaceExperiment(network, width=200, samples=20).run(np.random.default_rng(0))
    >>> member.alignment > 0.9
    True
    """

    def _require(self) -> None:
        super()._require()
        require_plain_outputs(self.network.output_normalization, "Theorem 3.1")

    @property
    def memory(self) -> float:
        """How many GiB one member takes, predicted."""
        of_gram = self._gram_memory(self.network.outputs, self.network.hidden_normalization)
        # the dense eigensolver works on a copy of the Gram
        return super().memory + of_gram + self._gram_memory(self.network.outputs)

    def run(self, rng: np.random.Generator) -> Eigenspace:
        """Run one member."""
        return measure_eigenspace(self._sweep(rng), biases=self.biases, memory_limit=self.memory_limit)


@dataclass(frozen=True)
class LastLayerExperiment(_FisherMeasurement):
    """Measure the eigenvalue statistics of the last layer's block of F (Theorem 3.4) in a fresh network.

    Parameters
    ----------
    network : Network
        With outputs as they are.
    width, samples, memory_limit, dtype, biases
        As for :class:`EigenvalueExperiment`.

    Raises
    ------
    ParameterError
        As for :class:`EigenvalueExperiment`.
    AssumptionError
        At construction, if the outputs are normalised.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, hidden_normalization="batch")
    >>> LastLayerExperiment(network, width=200, samples=20).run(np.random.default_rng(0)).parameters
    201.0
    """

    def _require(self) -> None:
        super()._require()
        require_plain_outputs(self.network.output_normalization, "the last layer's block of Theorem 3.4")

    @property
    def memory(self) -> float:
        """How many GiB one member takes, predicted."""
        return super().memory + self._gram_memory(outputs=1)

    def run(self, rng: np.random.Generator) -> EigenvalueStatistics:
        """Run one member."""
        return measure_last_layer(self._sweep(rng), biases=self.biases)


@dataclass(frozen=True)
class OrderParameterExperiment(_Measurement):
    """Measure the order parameters of a fresh network on fresh inputs.

    Parameters
    ----------
    network : Network
    width, samples : int
        M >= 1 and T >= 2.
    memory_limit, dtype
        As for :class:`EigenvalueExperiment`.

    Raises
    ------
    ParameterError
        As for :class:`EigenvalueExperiment`.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> OrderParameterExperiment(network, width=50, samples=20).run(np.random.default_rng(0)).activity.same.shape
    (3,)
    """

    def _require(self) -> None:
        super()._require()
        require_integer("samples", self.samples, at_least=2)

    @property
    def memory(self) -> float:
        """How many GiB one member takes, predicted."""
        # squares of the gradients of one layer, in float64
        squares = self.network.outputs * self.samples * max(self.network.widths(self.width)[1:])
        return super().memory + 8 * squares / 2**30

    def run(self, rng: np.random.Generator) -> OrderParameters:
        """Run one member."""
        return measure_order_parameters(self._sweep(rng))
