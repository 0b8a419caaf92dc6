"""What every experiment begins with: a network, its width and a number of samples, possible and within the memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, field

import numpy as np
from numpy.typing import NDArray

from meanfield import Network, OutputNormalization
from meanfield.errors import require_instance, require_integer, require_number

from .dual import MEMORY_LIMIT, require_memory
from .network import FiniteNetwork, sample_inputs, sample_network
from .normalize import require_normalisable


@dataclass(frozen=True)
class Problem(ABC):
    """A fresh network on fresh inputs; what is done with them is the experiment.

    Everything is checked at construction. The limit of the memory is none of an experiment's marks: with another one it
    is the same experiment, and goes on from the same store.
    """

    network: Network
    width: int
    samples: int
    _: KW_ONLY
    memory_limit: float = field(default=MEMORY_LIMIT, compare=False)

    def __post_init__(self) -> None:
        self._require()
        require_memory(self.memory, self.memory_limit)

    def _require(self) -> None:
        """Raise ParameterError for what is out of range."""
        require_number("memory_limit", self.memory_limit, above=0)
        require_problem(self.network, self.width, self.samples)
        if self.network.output_normalization is OutputNormalization.MEAN:  # which leaves nothing of one sample
            require_integer("samples", self.samples, at_least=2)

    @property
    @abstractmethod
    def memory(self) -> float:
        """How many GiB one member takes, predicted."""

    def sample(self, rng: np.random.Generator) -> tuple[FiniteNetwork, NDArray[np.float64]]:
        """Draw the network and the inputs."""
        return (
            sample_network(self.network, width=self.width, rng=rng),
            sample_inputs(self.network, width=self.width, samples=self.samples, rng=rng),
        )


def require_problem(network: Network, width: int, samples: int) -> None:
    """Raise ParameterError, before any work, unless a network of this width can be propagated on so many samples.

    Examples
    --------
    >>> import meanfield as mf
    >>> require_problem(mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0), width=10, samples=0)
    Traceback (most recent call last):
    meanfield.errors.ParameterError: samples must be an integer >= 1, got 0
    """
    require_instance("network", network, Network)
    require_normalisable(network, network.widths(width), require_integer("samples", samples, at_least=1))
