"""What is asked of ``gram``: read and checked before any work."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..errors import AssumptionError, ParameterError, require_boolean, require_choice, require_integer, require_number
from ..gaussian import Array
from ..network import Network
from .batch_norm import Own
from .inputs import InputGram, Samples, read_inputs
from .layers import make_chain
from .matrices import Problem, default_threads

_SINGLE = 1e-7
"""The least tolerance in single precision."""


class Parameterization(StrEnum):
    """Which parameters the tangent kernel takes derivatives by; the functions of the network are the same."""

    STANDARD = "standard"
    """The weights and biases of (1)-(2), W^l_ij ~ N(0, s_w^2/M_{l-1}), b ~ N(0, s_b^2): the paper's."""
    NTK = "ntk"
    """Weights and biases of variance 1 that are multiplied by s_w/sqrt(M_{l-1}) and s_b: Jacot et al. (2018)."""


@dataclass(frozen=True, eq=False)
class Request:
    """What is to be computed."""

    network: Network
    inputs: InputGram | Samples
    own: Own
    kind: Parameterization
    parameters: float
    tangent: bool
    precision: np.dtype[Any]
    tolerance: float

    def problem(self) -> Problem:
        """Return the problem of pairs, with every sample taken through the layers by itself."""
        read = self.inputs
        squares = read.squares if read.symmetric else np.concatenate([read.squares, read.other_squares])
        chain = make_chain(
            self.network, squares, self.own, tangent=self.tangent, tolerance=self.tolerance, dtype=self.precision
        )
        return Problem(read, chain, self.precision)

    def require_pairs(self, what: str) -> Request:
        """Return itself, if every entry is a function of two samples."""
        if self.network.batch_norm is not None:
            raise AssumptionError(
                f"batch normalisation in the hidden layers couples all samples of the batch: {what} has no part of the "
                "matrices by itself",
                {"gram": "both matrices of one set of inputs, the batch"},
            )
        return self


def gram_memory(
    samples: int, other_samples: int | None = None, *, tangent: bool = True, dtype: DTypeLike = np.float64
) -> float:
    """Return how many GiB the matrices of :func:`gram` take; all else is a few MiB for each thread.

    Behind batch normalisation of hidden layers some twenty times as much is needed, which :func:`gram` checks itself.

    Examples
    --------
    >>> round(gram_memory(2000), 3), round(gram_memory(50_000), 1)
    (0.06, 37.3)
    """
    rows = require_integer("samples", samples, at_least=1)
    columns = rows if other_samples is None else require_integer("other_samples", other_samples, at_least=1)
    return _precision(dtype).itemsize * rows * columns * (2 if tangent else 1) / 2**30


def read_request(
    network: Network,
    inputs: ArrayLike | InputGram,
    other: ArrayLike | None,
    width: int | None,
    parameterization: Parameterization | str,
    biases: bool,
    tangent: bool,
    dtype: DTypeLike,
    tolerance: float,
) -> Request:
    """Return what was given; or raise, before any work."""
    if not isinstance(network, Network):
        raise ParameterError("network", "a meanfield.Network", repr(network))
    kind = require_choice("parameterization", parameterization, Parameterization)
    tangent, biases = require_boolean("tangent", tangent), require_boolean("biases", biases)
    precision = _precision(dtype)
    tolerance = require_number("tolerance", tolerance, at_least=1e-14)
    if tolerance > 1e-3:
        raise ParameterError("tolerance", "at most 1e-3", tolerance)
    if precision == np.float32:
        tolerance = max(tolerance, _SINGLE)
    if width is None and tangent and kind is Parameterization.STANDARD:
        raise ParameterError("width", "given (M) for the tangent kernel of the standard parameterization", "None")
    batch = network.batch_norm is not None
    read = read_inputs(inputs, other, np.dtype(np.float64) if batch else precision)
    units = () if width is None else (read.dimension, *network.widths(width)[1:])
    if kind is Parameterization.STANDARD:
        own = tuple(_standard(m, biases) for m in units[:-1])
    else:
        own = tuple(_ntk(0.0 if biases else s_b) for s_b in network.bias_variance)
    parameters = sum(here * (below + biases) for below, here in pairwise(units)) or math.nan
    return Request(network, read, own, kind, float(parameters), tangent, precision, tolerance)


def _standard(units: int, biases: bool) -> Callable[[Array, Array], Array]:
    def own(qhat: Array, q: Array) -> Array:
        theta = qhat * units
        if biases:
            theta += 1
        return theta

    return own


def _ntk(left_out: float) -> Callable[[Array, Array], Array]:
    return lambda qhat, q: q - left_out


def _precision(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        precision = np.dtype(dtype)
    except TypeError:
        raise ParameterError("dtype", "float64 or float32", dtype) from None
    if precision.name not in ("float64", "float32"):
        raise ParameterError("dtype", "float64 or float32", precision.name)
    return precision


def threads_of(threads: int | None) -> int:
    """Return how many threads share the tiles."""
    return default_threads() if threads is None else require_integer("threads", threads, at_least=1, at_most=1024)
