"""The network of (1)-(2): its shape, its parameters' variances and its two choices of normalisation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, cast

import numpy as np

from .activations import by_name
from .affine import affine
from .errors import ParameterError, require_choice, require_integer, require_number, require_sequence
from .functions import Activation, Parity
from .normalization import BatchNorm, HiddenNormalization, OutputNormalization
from .quadrature import AUTO
from .records import plain

_ROUNDINGS = 256
"""Of a variance that should make a mean vanish, such as 1 for Hermite polynomials, behind several steep layers."""


@dataclass(frozen=True, init=False)
class Network:
    """A fully connected network with random Gaussian parameters and a linear readout, (1)-(2).

    Layer l = 0 .. L-1 has ``width_ratios[l] * M`` units, layer L has ``outputs`` units. Weights of layer l = 1 .. L are
    N(0, weight_variance / M_{l-1}), biases N(0, bias_variance).

    Parameters
    ----------
    activations : sequence of Activation
        One for each hidden layer: L - 1, at least one.
    width_ratios : sequence of float
        alpha_0 .. alpha_{L-1}, all > 0: the input and each hidden layer.
    weight_variance : float or sequence of float
        sigma_w^2 > 0: one number, or one for each layer 1 .. L. Stored as L numbers.
    bias_variance : float or sequence of float
        sigma_b^2 >= 0, likewise.
    outputs : int
        C >= 1.
    hidden_normalization : HiddenNormalization or str or BatchNorm
        "none", "batch" or "layer"; or a :class:`BatchNorm`, which is "batch" with settings of one's own.
    output_normalization : OutputNormalization or str
        "none", "mean", "batch" or "layer".
    batch_norm : BatchNorm, optional
        The settings with "batch"; left out otherwise.

    Raises
    ------
    ParameterError
        For numbers out of range and for sequences of the wrong length.

    Equations: (1), (2)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network(activations=[mf.relu, mf.tanh], width_ratios=[1, 2, 0.5], weight_variance=2.0)
    >>> network.depth, network.alpha, network.widths(100)
    (3, 3.0, (100, 200, 50, 1))
    """

    activations: tuple[Activation, ...]
    width_ratios: tuple[float, ...]
    weight_variance: tuple[float, ...]
    bias_variance: tuple[float, ...]
    outputs: int
    hidden_normalization: HiddenNormalization
    output_normalization: OutputNormalization
    batch_norm: BatchNorm | None

    # The signature takes what is convenient to write; the fields hold one number for each layer.
    def __init__(
        self,
        *,
        activations: Iterable[Activation],
        width_ratios: Iterable[float],
        weight_variance: float | Iterable[float],
        bias_variance: float | Iterable[float] = 0.0,
        outputs: int = 1,
        hidden_normalization: HiddenNormalization | str | BatchNorm = HiddenNormalization.NONE,
        output_normalization: OutputNormalization | str = OutputNormalization.NONE,
        batch_norm: BatchNorm | None = None,
    ) -> None:
        freeze = partial(object.__setattr__, self)
        freeze("activations", _all_activations(activations))
        depth = len(self.activations) + 1
        ratios = require_sequence("width_ratios", width_ratios)
        ratios = tuple(require_number("width_ratios", ratio, above=0) for ratio in ratios)
        if not all(1e-9 <= ratio <= 1e9 for ratio in ratios):
            raise ParameterError("width_ratios", "numbers between 1e-9 and 1e9", ratios)
        if len(ratios) != depth:
            expected = f"one for the input and one for each hidden layer: {depth} numbers for {depth - 1} activations"
            raise ParameterError("width_ratios", expected, len(ratios))
        freeze("width_ratios", ratios)
        freeze("weight_variance", _per_layer("weight_variance", weight_variance, depth, above=0))
        freeze("bias_variance", _per_layer("bias_variance", bias_variance, depth, at_least=0))
        freeze("outputs", require_integer("outputs", outputs, at_least=1))
        hidden, settings = _hidden("hidden_normalization", hidden_normalization, batch_norm)
        if settings is not None and len(settings.of_layers(depth)) == depth - 1:
            settings = replace(settings, layers=None)  # however all of them are said
        freeze("hidden_normalization", hidden)
        freeze("batch_norm", settings)
        freeze(
            "output_normalization", require_choice("output_normalization", output_normalization, OutputNormalization)
        )

    @classmethod
    def uniform(
        cls,
        activation: Activation,
        *,
        depth: int,
        weight_variance: float | Iterable[float],
        bias_variance: float | Iterable[float] = 0.0,
        width_ratio: float = 1.0,
        outputs: int = 1,
        hidden_normalization: HiddenNormalization | str | BatchNorm = HiddenNormalization.NONE,
        output_normalization: OutputNormalization | str = OutputNormalization.NONE,
    ) -> Network:
        """Return a network whose layers are all alike; what is not described here is as for :class:`Network`.

        Parameters
        ----------
        activation : Activation
            Of every hidden layer.
        depth : int
            L >= 2: the layers of weights, hidden and readout; L - 1 of them are hidden.
        width_ratio : float
            alpha_0 = .. = alpha_{L-1} > 0.

        Examples
        --------
        >>> import meanfield as mf
        >>> mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64).alpha
        2.0
        """
        depth = require_integer("depth", depth, at_least=2, at_most=10**6)
        width_ratio = require_number("width_ratio", width_ratio, above=0)
        return cls(
            activations=(activation,) * (depth - 1),
            width_ratios=(width_ratio,) * depth,
            weight_variance=weight_variance,
            bias_variance=bias_variance,
            outputs=outputs,
            hidden_normalization=hidden_normalization,
            output_normalization=output_normalization,
        )

    @property
    def depth(self) -> int:
        """L, the number of layers of weights."""
        return len(self.width_ratios)

    @property
    def alpha(self) -> float:
        """The sum over l = 1 .. L-1 of alpha_l alpha_{l-1}: there are about alpha M^2 parameters."""
        return sum(here * below for below, here in pairwise(self.width_ratios))

    def widths(self, width: int) -> tuple[int, ...]:
        """Return M_0 .. M_L: alpha_l * width rounded to whole units, and the outputs.

        Raises
        ------
        ParameterError
            If the width leaves a layer without a unit.
        """
        width = require_integer("width", width, at_least=1)
        layers = tuple(round(ratio * width) for ratio in self.width_ratios)
        for layer, units in enumerate(layers):
            if units < 1:
                least = f"large enough to give each layer a unit (alpha_{layer} = {self.width_ratios[layer]:g})"
                raise ParameterError("width", least, width)
        return (*layers, self.outputs)

    def parameters(self, width: int, *, biases: bool = True) -> int:
        """Return P, the exact number of weights and (unless ``biases`` is False) biases at this width."""
        widths = self.widths(width)
        return sum(here * (below + biases) for below, here in pairwise(widths))

    def depth_to_width(self, width: int) -> float:
        """Return L over the width of the narrowest layer, in units of which finite networks differ from the theory."""
        return self.depth / min(self.widths(width)[:-1])

    @property
    def batch_norm_layers(self) -> frozenset[int]:
        """The hidden layers, of 1 .. L-1, with batch normalisation."""
        return frozenset() if self.batch_norm is None else self.batch_norm.of_layers(self.depth)

    @cached_property
    def normalized_activations(self) -> tuple[Activation, ...]:
        """The activations as functions of what is normalised: phi(gamma n + beta) behind batch normalisation."""
        settings = self.batch_norm
        if settings is None:
            return self.activations
        return tuple(
            affine(phi, scale=settings.gamma, shift=settings.beta) if layer in self.batch_norm_layers else phi
            for layer, phi in enumerate(self.activations, start=1)
        )

    @cached_property
    def is_centered(self) -> bool:
        """Whether kappa_2 = 0 (Definition 2.1): no bias in a hidden layer, and E phi(u) = 0 at each one's own variance.

        Inputs are those of (3), without overlap. Odd functions have a mean of 0 by symmetry; other means are
        integrated, and are zero if they are no larger than their error estimate.

        Notes
        -----
        A bias of hidden layer l makes q^l_st > 0, hence qhat^l_st > 0 (all coefficients of its Hermite series are
        squares) and so on up to qhat^{L-1}_st, which enters kappa_2 with the factor qtilde^L_st = 1. The bias of the
        readout only shifts the outputs: it enters q^L, and not kappa_2. Batch normalisation in the hidden layers
        removes all their biases, and has no kappa_2; there the means alone decide.
        """
        # what batch normalisation subtracts contains the bias
        if any(self.bias_variance[l - 1] for l in range(1, self.depth) if l not in self.batch_norm_layers):
            return False
        activations = self.normalized_activations
        if all(phi.value.parity is Parity.ODD for phi in activations):
            return True
        activity = 1.0
        for layer, (phi, weight_variance) in enumerate(zip(activations, self.weight_variance, strict=False), start=1):
            variance = weight_variance * activity  # of samples without overlap
            if layer in self.batch_norm_layers and self.batch_norm is not None:
                variance /= variance + self.batch_norm.epsilon
            elif self.hidden_normalization is HiddenNormalization.LAYER:
                variance = 1.0
            if not _has_mean_zero(phi, variance):
                return False
            activity = float(AUTO.second_moment(phi, variance).value)
        return True

    def normalized(
        self,
        *,
        hidden: HiddenNormalization | str | BatchNorm | None = None,
        output: OutputNormalization | str | None = None,
    ) -> Network:
        """Return the same network with another normalisation; what is left out stays as it is.

        ``hidden="batch"`` is batch normalisation of all hidden layers, as in the paper; a :class:`BatchNorm` is one
        with other settings.
        """
        choice, settings = self.hidden_normalization, self.batch_norm
        if hidden is not None:
            choice, settings = _hidden("hidden", hidden, None)
        output = self.output_normalization if output is None else output
        return replace(
            self,
            hidden_normalization=choice,
            output_normalization=require_choice("output", output, OutputNormalization),
            batch_norm=settings,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, from which :meth:`from_dict` makes the network again; activations go by their names."""
        data: dict[str, Any] = plain(self)
        if self.batch_norm is None or self.batch_norm.is_standard:
            del data["batch_norm"]  # said by the choice of normalisation
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, activations: Iterable[Activation] = ()) -> Network:
        """Return the network that :meth:`to_dict` wrote.

        Parameters
        ----------
        data : mapping
            What :meth:`to_dict` returned.
        activations : iterable of Activation
            Those that are not in the catalogue; they are found by their names.
        """
        own = {phi.name: phi for phi in activations}
        fields = set(cls.__dataclass_fields__)
        if set(data) | {"batch_norm"} != fields:
            raise ParameterError("data", "a mapping with the keys " + ", ".join(sorted(fields)), sorted(data))
        activations = [own[name] if name in own else by_name(name) for name in data["activations"]]
        settings = data.get("batch_norm")
        batch_norm = None if settings is None else BatchNorm(**settings)
        return cls(**{**data, "activations": activations, "batch_norm": batch_norm})


def _hidden(
    parameter: str, choice: HiddenNormalization | str | BatchNorm, settings: BatchNorm | None
) -> tuple[HiddenNormalization, BatchNorm | None]:
    """Return the choice and, for batch normalisation, its settings."""
    if not (settings is None or isinstance(settings, BatchNorm)):
        raise ParameterError("batch_norm", "a BatchNorm or None", repr(settings))
    if isinstance(choice, BatchNorm):
        if settings is not None:
            raise ParameterError("batch_norm", f"left out where {parameter} is a BatchNorm", settings)
        return HiddenNormalization.BATCH, choice
    chosen = require_choice(parameter, choice, HiddenNormalization)
    if chosen is HiddenNormalization.BATCH:
        return chosen, BatchNorm() if settings is None else settings
    if settings is not None:
        raise ParameterError("batch_norm", f"left out with {parameter}={chosen!s}", settings)
    return chosen, None


def _has_mean_zero(phi: Activation, variance: float) -> bool:
    """Whether E phi(u) = 0 up to its error, at a variance that is itself known to some roundings only."""
    mean = AUTO.mean(phi, variance)
    beside = AUTO.mean(phi, variance * (1 + _ROUNDINGS * np.finfo(float).eps))
    return abs(float(mean.value)) <= float(mean.error) + abs(float(beside.value - mean.value))


def _all_activations(activations: Iterable[Activation]) -> tuple[Activation, ...]:
    activations = require_sequence("activations", activations)
    if not activations:
        raise ParameterError("activations", "one for each hidden layer, at least one", "none")
    for phi in activations:
        if not isinstance(phi, Activation):
            raise ParameterError("activations", "a sequence of Activation", repr(phi))
    return activations


def _per_layer(
    parameter: str,
    value: float | Iterable[float],
    depth: int,
    *,
    above: float | None = None,
    at_least: float | None = None,
) -> tuple[float, ...]:
    value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    values: tuple[Any, ...] = require_sequence(parameter, cast(Iterable[float], value)) if several else (value,) * depth
    if len(values) != depth:
        raise ParameterError(parameter, f"one number, or one for each of the {depth} layers of weights", len(values))
    return tuple(require_number(parameter, v, above=above, at_least=at_least) for v in values)
