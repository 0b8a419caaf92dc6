"""The choices of normalisation: of the pre-activations of hidden layers, and of the outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .errors import ParameterError, require_integer, require_number, require_sequence


class HiddenNormalization(StrEnum):
    """What normalises the pre-activations of the hidden layers."""

    NONE = "none"
    BATCH = "batch"
    """Batch normalisation, (20)-(21)."""
    LAYER = "layer"
    """Layer normalisation, (24)-(25)."""


class OutputNormalization(StrEnum):
    """What normalises the outputs."""

    NONE = "none"
    MEAN = "mean"
    """Subtraction of the mean over the samples, (15)."""
    BATCH = "batch"
    """Batch normalisation, (13)-(14)."""
    LAYER = "layer"
    """Layer normalisation, (24)-(25)."""


_SMALLEST, _LARGEST = 1e-20, 1e10
"""Of the settings of batch normalisation: far beyond, slopes are spikes that integrals miss."""


@dataclass(frozen=True, init=False)
class BatchNorm:
    """The settings of batch normalisation in the hidden layers: ubar = gamma (u - mean)/sqrt(sigma^2 + epsilon) + beta.

    Mean and variance sigma^2 are those of the T samples at each unit; gamma, beta and epsilon are numbers, not
    parameters that are trained.

    Parameters
    ----------
    gamma : float
        Of size 1e-20 to 1e10, of either sign.
    beta : float
        Up to 1e10 in size.
    epsilon : float
        0, or 1e-20 to 1e10.
    layers : iterable of int, optional
        The hidden layers, of 1 .. L-1, that are normalised; the others are plain. None: all of them.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=4, weight_variance=2.0)
    >>> mixed = network.normalized(hidden=mf.BatchNorm(epsilon=1e-5, layers=[1, 3]))
    >>> mixed.hidden_normalization.value, sorted(mixed.batch_norm_layers)
    ('batch', [1, 3])
    """

    gamma: float
    beta: float
    epsilon: float
    layers: tuple[int, ...] | None

    def __init__(
        self, gamma: float = 1.0, beta: float = 0.0, epsilon: float = 0.0, layers: Iterable[int] | None = None
    ) -> None:
        gamma, beta = require_number("gamma", gamma), require_number("beta", beta)
        epsilon = require_number("epsilon", epsilon, at_least=0)
        if not _SMALLEST <= abs(gamma) <= _LARGEST:
            raise ParameterError("gamma", f"{_SMALLEST:g} <= |gamma| <= {_LARGEST:g}", gamma)
        if abs(beta) > _LARGEST:
            raise ParameterError("beta", f"|beta| <= {_LARGEST:g}", beta)
        if epsilon and not _SMALLEST <= epsilon <= _LARGEST:
            raise ParameterError("epsilon", f"0, or {_SMALLEST:g} <= epsilon <= {_LARGEST:g}", epsilon)
        object.__setattr__(self, "gamma", gamma)
        object.__setattr__(self, "beta", beta)
        object.__setattr__(self, "epsilon", epsilon)
        if layers is not None:
            layers = tuple(require_integer("layers", layer, at_least=1) for layer in require_sequence("layers", layers))
            if not layers or len(set(layers)) < len(layers):
                raise ParameterError("layers", "one or more different hidden layers, or None for all of them", layers)
            layers = tuple(sorted(layers))
        object.__setattr__(self, "layers", layers)

    @property
    def is_standard(self) -> bool:
        """Whether all hidden layers are normalised to mean 0 and variance 1, as in the paper."""
        return self == BatchNorm()

    def of_layers(self, depth: int) -> frozenset[int]:
        """Return the hidden layers, of 1 .. L-1, that are normalised in a network of depth L.

        Raises
        ------
        ParameterError
            If it has no such layer.
        """
        hidden = range(1, depth)
        if self.layers is not None and self.layers[-1] not in hidden:
            raise ParameterError("layers", f"among the hidden layers 1 .. {depth - 1} of the network", self.layers)
        return frozenset(hidden if self.layers is None else self.layers)
