"""What is done with each member of an ensemble: sample a network and inputs, propagate, measure."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from meanfield import Eigenspace, EigenvalueStatistics, Network, OrderParameters, OutputNormalization, ParameterError
from meanfield.errors import require_choice, require_integer

from .dual import MEMORY_LIMIT, gram_memory, require_memory
from .eigenvalue_method import EigenvalueMethod, choose_method
from .last_layer import require_plain_outputs
from .network import sample_inputs, sample_network
from .normalize import require_normalisable
from .order_parameters import measure_order_parameters
from .propagate import Sweep, propagate, require_precision, sweep_memory
from .spectrum import measure_eigenspace, measure_eigenvalues, measure_last_layer

Record_co = TypeVar("Record_co", covariant=True)


class Experiment(Protocol[Record_co]):
    """Anything that turns a stream of random numbers into a record; it must pickle to run in other processes."""

    def run(self, rng: np.random.Generator) -> Record_co:
        """Run one member."""
        ...


@dataclass(frozen=True)
class EigenvalueExperiment:
    """Measure the eigenvalue statistics of a fresh network on fresh inputs.

    Parameters
    ----------
    network : Network
        With any normalisation; C >= 2 with layer normalisation of the outputs.
    width, samples : int
        M >= 1, and T >= 1 (at least 2 with mean subtraction or batch normalisation).
    biases : bool
        Whether the bias parameters are part of F.
    memory_limit : float
        GiB that one member may take, with its dual Gram, weights and sweep.
    method : EigenvalueMethod
        Whether the dual Gram is formed: as for :func:`choose_method`. What "auto" chose is in ``solver``.
    dtype : str
        "float64", or "float32", which halves memory and time: see :func:`propagate` for its errors.

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
    >>> print(*(EigenvalueExperiment(wide, width=1000, samples=samples).solver for samples in (1000, 5000)))
    dense matrix-free
    """

    network: Network
    width: int
    samples: int
    _: KW_ONLY
    biases: bool = True
    memory_limit: float = field(default=MEMORY_LIMIT, compare=False)
    method: EigenvalueMethod | str = field(default=EigenvalueMethod.AUTO, compare=False)  # ``solver`` counts
    dtype: str = "float64"
    solver: EigenvalueMethod = field(init=False)
    """DENSE or MATRIX_FREE: the method, or what "auto" chose; it is part of what an ensemble prints."""

    def __post_init__(self) -> None:
        _validate(self.network, self.width, self.samples, self.dtype)
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

    def run(self, rng: np.random.Generator) -> EigenvalueStatistics:
        """Run one member."""
        sweep = _sweep(self.network, self.width, self.samples, rng, self.dtype)
        return measure_eigenvalues(sweep, biases=self.biases, memory_limit=self.memory_limit, method=self.solver)


@dataclass(frozen=True)
class EigenspaceExperiment:
    """Measure how well the mean gradients of a fresh network span the top eigenspace (Theorem 3.1).

    Parameters
    ----------
    network : Network
        With outputs as they are.
    width, samples, biases, memory_limit, dtype
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

    network: Network
    width: int
    samples: int
    _: KW_ONLY
    biases: bool = True
    memory_limit: float = field(default=MEMORY_LIMIT, compare=False)
    dtype: str = "float64"

    def __post_init__(self) -> None:
        _validate(self.network, self.width, self.samples, self.dtype)
        require_plain_outputs(self.network.output_normalization, "Theorem 3.1")
        gram = gram_memory(
            outputs=self.network.outputs,
            samples=self.samples,
            hidden=self.network.hidden_normalization,
            dtype=self.dtype,
        )
        # the dense eigensolver works on a copy of the Gram
        copy = gram_memory(outputs=self.network.outputs, samples=self.samples, dtype=self.dtype)
        sweep = sweep_memory(self.network, self.width, self.samples, dtype=self.dtype)
        require_memory(sweep + gram + copy, self.memory_limit)

    def run(self, rng: np.random.Generator) -> Eigenspace:
        """Run one member."""
        sweep = _sweep(self.network, self.width, self.samples, rng, self.dtype)
        return measure_eigenspace(sweep, biases=self.biases, memory_limit=self.memory_limit)


@dataclass(frozen=True)
class LastLayerExperiment:
    """Measure the eigenvalue statistics of the last layer's block of F (Theorem 3.4) in a fresh network.

    Parameters
    ----------
    network : Network
        With outputs as they are.
    width, samples, biases, memory_limit, dtype
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

    network: Network
    width: int
    samples: int
    _: KW_ONLY
    biases: bool = True
    memory_limit: float = field(default=MEMORY_LIMIT, compare=False)
    dtype: str = "float64"

    def __post_init__(self) -> None:
        _validate(self.network, self.width, self.samples, self.dtype)
        require_plain_outputs(self.network.output_normalization, "the last layer's block of Theorem 3.4")
        gram = gram_memory(outputs=1, samples=self.samples, dtype=self.dtype)
        sweep = sweep_memory(self.network, self.width, self.samples, dtype=self.dtype)
        require_memory(sweep + gram, self.memory_limit)

    def run(self, rng: np.random.Generator) -> EigenvalueStatistics:
        """Run one member."""
        return measure_last_layer(_sweep(self.network, self.width, self.samples, rng, self.dtype), biases=self.biases)


@dataclass(frozen=True)
class OrderParameterExperiment:
    """Measure the order parameters of a fresh network on fresh inputs.

    Parameters
    ----------
    network : Network
    width, samples : int
        M >= 1 and T >= 2.
    memory_limit : float
        GiB that one member may take.
    dtype : str
        "float64" or "float32".

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> OrderParameterExperiment(network, width=50, samples=20).run(np.random.default_rng(0)).activity.same.shape
    (3,)
    """

    network: Network
    width: int
    samples: int
    _: KW_ONLY
    memory_limit: float = field(default=MEMORY_LIMIT, compare=False)
    dtype: str = "float64"

    def __post_init__(self) -> None:
        _validate(self.network, self.width, self.samples, self.dtype)
        require_integer("samples", self.samples, at_least=2)
        require_memory(sweep_memory(self.network, self.width, self.samples, dtype=self.dtype), self.memory_limit)

    def run(self, rng: np.random.Generator) -> OrderParameters:
        """Run one member."""
        return measure_order_parameters(_sweep(self.network, self.width, self.samples, rng, self.dtype))


def _validate(network: Network, width: int, samples: int, dtype: str) -> None:
    if not isinstance(network, Network):
        raise ParameterError("network", "a meanfield.Network", repr(network))
    widths = network.widths(width)
    # one sample has nothing left after mean subtraction
    least = 2 if network.output_normalization is OutputNormalization.MEAN else 1
    require_normalisable(network, widths, require_integer("samples", samples, at_least=least))
    require_precision(dtype)


def _sweep(network: Network, width: int, samples: int, rng: np.random.Generator, dtype: str) -> Sweep:
    finite_network = sample_network(network, width=width, rng=rng)
    inputs = sample_inputs(network, width=width, samples=samples, rng=rng)
    return propagate(finite_network, inputs, dtype=dtype)
