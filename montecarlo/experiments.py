"""What is done with each member of an ensemble: sample a network and inputs, propagate, measure."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Protocol, TypeVar

import numpy as np

from meanfield import EigenvalueStatistics, Network, OrderParameters, OutputNormalization, ParameterError
from meanfield.errors import require_integer

from .dual import MEMORY_LIMIT, gram_memory, require_memory
from .network import sample_inputs, sample_network
from .order_parameters import measure_order_parameters
from .propagate import Sweep, propagate, require_supported
from .spectrum import measure_eigenvalues

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
    width, samples : int
        M >= 1, and T >= 1 (at least 2 with mean subtraction).
    biases : bool
        Whether the bias parameters are part of F.
    memory_limit : float
        GiB that one member may take, with its dual Gram, weights and sweep.

    Raises
    ------
    ParameterError
        At construction, for numbers out of range and for a member that would not fit.
    NotImplementedError
        At construction, for a normalisation that finite networks do not have yet.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> member = EigenvalueExperiment(network, width=50, samples=20).run(np.random.default_rng(0))
    >>> member.parameters
    5151.0
    """

    network: Network
    width: int
    samples: int
    _: KW_ONLY
    biases: bool = True
    memory_limit: float = MEMORY_LIMIT

    def __post_init__(self) -> None:
        _validate(self.network, self.width)
        # one sample has nothing left after mean subtraction
        least = 1 if self.network.output_normalization is OutputNormalization.NONE else 2
        require_integer("samples", self.samples, at_least=least)
        gram = gram_memory(outputs=self.network.outputs, samples=self.samples)
        require_memory(gram + sweep_memory(self.network, self.width, self.samples), self.memory_limit)

    def run(self, rng: np.random.Generator) -> EigenvalueStatistics:
        """Run one member."""
        sweep = _sweep(self.network, self.width, self.samples, rng)
        return measure_eigenvalues(sweep, biases=self.biases, memory_limit=self.memory_limit)


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
    memory_limit: float = MEMORY_LIMIT

    def __post_init__(self) -> None:
        _validate(self.network, self.width)
        require_integer("samples", self.samples, at_least=2)
        require_memory(sweep_memory(self.network, self.width, self.samples), self.memory_limit)

    def run(self, rng: np.random.Generator) -> OrderParameters:
        """Run one member."""
        return measure_order_parameters(_sweep(self.network, self.width, self.samples, rng))


def sweep_memory(network: Network, width: int, samples: int) -> float:
    """Return how many GiB weights, activities, pre-activations and sensitivities of one member take."""
    widths = network.widths(width)
    per_sample = sum(widths[:-1]) + (1 + network.outputs) * sum(widths[1:])
    return 8 * (network.parameters(width) + samples * per_sample) / 2**30


def _validate(network: Network, width: int) -> None:
    if not isinstance(network, Network):
        raise ParameterError("network", "a meanfield.Network", repr(network))
    network.widths(width)
    require_supported(network)


def _sweep(network: Network, width: int, samples: int, rng: np.random.Generator) -> Sweep:
    finite_network = sample_network(network, width=width, rng=rng)
    return propagate(finite_network, sample_inputs(network, width=width, samples=samples, rng=rng))
