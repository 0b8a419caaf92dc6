"""The parameters of a sweep: which values they take, along which dimensions, and the networks that this makes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, require_choice, require_instance, require_integer, require_number
from ..functions import Activation
from ..network import Network
from ..normalization import BatchNorm, HiddenNormalization, OutputNormalization

Codes = NDArray[np.intp]

LARGEST = 10**6
"""Cells of a sweep."""


def _activation(name: str, value: Any) -> Activation:
    require_instance(name, value, Activation)
    return value  # type: ignore[no-any-return]


def _hidden(name: str, value: Any) -> HiddenNormalization | BatchNorm:
    return value if isinstance(value, BatchNorm) else require_choice(name, value, HiddenNormalization)


CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "activation": _activation,
    "depth": lambda name, value: require_integer(name, value, at_least=2, at_most=10**6),
    "width_ratio": lambda name, value: require_number(name, value, above=0),
    "outputs": lambda name, value: require_integer(name, value, at_least=1),
    "hidden_normalization": _hidden,
    "output_normalization": lambda name, value: require_choice(name, value, OutputNormalization),
    "width": lambda name, value: require_integer(name, value, at_least=1),
    "samples": lambda name, value: require_integer(name, value, at_least=1),
    "weight_variance": lambda name, value: require_number(name, value, above=0),
    "bias_variance": lambda name, value: require_number(name, value, at_least=0),
}
"""What may be swept, in the order of the dimensions, and how a value is checked."""

VARIANCES = ("weight_variance", "bias_variance")
OF_CHAIN = ("activation", "depth", "width_ratio", "hidden_normalization")
"""Beside the variances, what order parameters depend on; those behind batch normalisation on the samples, too."""


@dataclass(frozen=True)
class Axes:
    """The values of every parameter that is swept, and the dimension along which they lie."""

    network: Network
    values: Mapping[str, tuple[Any, ...]]
    """Of each swept parameter."""
    along: Mapping[str, str]
    """The dimension of each swept parameter: its own name, unless it shares one."""
    fixed: Mapping[str, Any]
    """Parameters that are given as one value, for all cells."""

    @property
    def dims(self) -> tuple[str, ...]:
        """The dimensions, in order."""
        return tuple(dict.fromkeys(self.along.values()))

    @property
    def shape(self) -> tuple[int, ...]:
        """How many cells there are along each dimension."""
        sizes = {self.along[name]: len(values) for name, values in self.values.items()}
        return tuple(sizes[dim] for dim in self.dims)

    def codes(self, names: Iterable[str]) -> Codes:
        """Return for every cell one number that tells the combination of values of these parameters apart."""
        total = np.zeros(self.shape, dtype=np.intp)
        for name in names:
            if name in self.values:
                axis = self.dims.index(self.along[name])
                codes = np.arange(len(self.values[name]))
                total = total * len(codes) + codes.reshape(-1, *(1,) * (len(self.shape) - axis - 1))
        return total.ravel()

    def at(self, cell: int) -> dict[str, Any]:
        """Return the value of every parameter, swept or given, at the cell of this flat index."""
        place = dict(zip(self.dims, np.unravel_index(cell, self.shape), strict=True))
        swept = {name: values[int(place[self.along[name]])] for name, values in self.values.items()}
        return {**self.fixed, **swept}

    def network_at(self, cell: int) -> Network:
        """Return the network of a cell."""
        return with_parameters(self.network, self.at(cell))

    def size_at(self, cell: int) -> tuple[int, int]:
        """Return M and T of a cell; T = M where no number of samples is given."""
        here = self.at(cell)
        return here["width"], here.get("samples", here["width"])


def read_axes(network: Network, given: Mapping[str, Any]) -> Axes:
    """Return the axes that the arguments of a sweep describe; what is None is left to the network.

    A sequence has a dimension of its own, and ``("name", sequence)`` lies along the dimension of that name.
    """
    require_instance("network", network, Network)
    values: dict[str, tuple[Any, ...]] = {}
    along: dict[str, str] = {}
    fixed: dict[str, Any] = {}
    for name, check in CHECKS.items():
        value = given.get(name)
        if value is None:
            continue
        if not _is_sequence(value):
            fixed[name] = check(name, value)
            continue
        dim, items = _along(name, value)
        values[name], along[name] = tuple(check(name, item) for item in items), dim
        if not items:
            raise ParameterError(name, "one value, or a sequence of at least one", "none")
    _check(network, values, along, fixed)
    return Axes(network, values, along, fixed)


def _is_sequence(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)


def _along(name: str, value: Iterable[Any]) -> tuple[str, list[Any]]:
    """Return the dimension, and the values along it."""
    items = value.tolist() if isinstance(value, np.ndarray) else list(value)
    named = len(items) == 2 and isinstance(items[0], str) and isinstance(items[1], Iterable)
    if named and not isinstance(items[1], str):
        values = items[1].tolist() if isinstance(items[1], np.ndarray) else list(items[1])
        return items[0], values
    return name, items


def _check(
    network: Network, values: Mapping[str, tuple[Any, ...]], along: Mapping[str, str], fixed: Mapping[str, Any]
) -> None:
    """Refuse dimensions of two sizes, sweeps without a width, and parameters that the network does not leave open."""
    sizes: dict[str, tuple[str, int]] = {}
    for name, items in values.items():
        first, size = sizes.setdefault(along[name], (name, len(items)))
        if size != len(items):
            raise ParameterError(name, f"of {size} values, as many as {first} along {along[name]}", len(items))
    if "width" not in values and "width" not in fixed:
        raise ParameterError("width", "given: one value, or a sequence", "None")
    if not values:
        raise ParameterError("width", "a sequence, or another parameter one (one cell is eigenvalue_statistics)", fixed)
    cells = math.prod(size for _, size in sizes.values())
    if cells > LARGEST:
        raise ParameterError(next(iter(values)), f"few enough for a sweep of at most {LARGEST:g} cells", f"{cells:.3g}")
    if "depth" in values or "depth" in fixed:
        _require_uniform(network, {**values, **fixed})


def _require_uniform(network: Network, given: Mapping[str, Any]) -> None:
    own = {
        "activation": network.activations,
        "width_ratio": network.width_ratios,
        "weight_variance": network.weight_variance,
        "bias_variance": network.bias_variance,
    }
    for name, of_layers in own.items():
        if name not in given and len(set(of_layers)) > 1:
            raise ParameterError("depth", f"left out for a network whose layers differ in their {name}", given["depth"])


def with_parameters(network: Network, parameters: Mapping[str, Any]) -> Network:
    """Return a network with one value of these parameters for all its layers."""
    depth = parameters.get("depth", network.depth)

    def of_layers(name: str, own: tuple[Any, ...], count: int) -> tuple[Any, ...]:
        if name in parameters:
            return (parameters[name],) * count
        return own if len(own) == count else own[:1] * count

    changed = replace(
        network,
        activations=of_layers("activation", network.activations, depth - 1),
        width_ratios=of_layers("width_ratio", network.width_ratios, depth),
        weight_variance=of_layers("weight_variance", network.weight_variance, depth),
        bias_variance=of_layers("bias_variance", network.bias_variance, depth),
        outputs=parameters.get("outputs", network.outputs),
    )
    return changed.normalized(
        hidden=parameters.get("hidden_normalization"), output=parameters.get("output_normalization")
    )
