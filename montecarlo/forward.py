"""The forward sweep through a finite network, for all samples at once, and the checks of what enters it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from meanfield import ParameterError
from meanfield.errors import require_instance, require_real

from .network import FiniteNetwork
from .normalize import Normalised, normalise, require_normalisable

Arrays = tuple[NDArray[np.float64], ...]

_PRECISIONS = ("float64", "float32")


@dataclass(frozen=True, eq=False)
class Forward:
    """What the forward sweep leaves behind."""

    h: Arrays
    """h^l for l = 0 .. L-1, after normalisation and activation: shapes (T, M_l); h^0 are the inputs."""
    u: Arrays
    """u^l for l = 1 .. L, before any normalisation: shapes (T, M_l); u^l is at index l - 1."""
    normalised: tuple[Normalised, ...]
    """ubar^l for l = 1 .. L, at index l - 1, each with its adjoint; the last are the outputs f. Behind batch
    normalisation gamma and beta are not in them, but in the activation."""

    @property
    def outputs(self) -> NDArray[np.float64]:
        """f_k(t) after the output normalisation: shape (T, C)."""
        return self.normalised[-1].values


def forward(finite_network: FiniteNetwork, inputs: ArrayLike, *, dtype: DTypeLike = np.float64) -> Forward:
    """Propagate the inputs forward.

        u^l = W^l h^{l-1} + b^l,        h^l = phi(ubar^l),

    where ubar^l is u^l normalised over the samples (batch), over the units (layer) or not at all.

    Parameters
    ----------
    finite_network, inputs, dtype
        As for :func:`propagate`, which goes on from here to the gradients.

    Raises
    ------
    ParameterError, ArithmeticError
        As for :func:`propagate`.

    Equations: (1), (4), (13), (15), (20), (24)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> forward(FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]]), [[1.0], [2.0]]).outputs.ravel()
    array([ 7., 13.])
    """
    h = [require_inputs(finite_network, inputs, dtype=dtype)]
    network, precision = finite_network.network, h[0].dtype
    u, normalised = [], []
    for layer, (w, b) in enumerate(zip(finite_network.weights, finite_network.biases, strict=True), start=1):
        u.append(h[-1] @ _rounded("weights", w, precision).T + b.astype(precision, copy=False))
        normalised.append(normalise(u[-1], network, layer=layer))
        if layer < network.depth:
            phi = network.normalized_activations[layer - 1]
            h.append(phi(normalised[-1].values).astype(precision, copy=False))
    return Forward(tuple(h), tuple(u), tuple(normalised))


def require_precision(dtype: DTypeLike) -> np.dtype[Any]:
    """Return float64, or what stands for it: float32.

    Examples
    --------
    >>> require_precision("float16")
    Traceback (most recent call last):
    meanfield.errors.ParameterError: dtype must be float64 or float32, got float16
    """
    try:
        precision = np.dtype(dtype)
    except (TypeError, DeprecationWarning):  # of "a", an old word for text, where warnings are errors
        precision = None
    if precision is None or precision.name not in _PRECISIONS:
        raise ParameterError("dtype", " or ".join(_PRECISIONS), dtype if precision is None else precision.name)
    return precision


def require_inputs(
    finite_network: FiniteNetwork, inputs: ArrayLike, *, dtype: DTypeLike = np.float64
) -> NDArray[np.float64]:
    """Return the inputs as an array of shape (T, M_0), or raise ParameterError, before any work."""
    require_instance("finite_network", finite_network, FiniteNetwork)
    precision, x = require_precision(dtype), require_real("inputs", inputs)
    if x.ndim != 2 or x.shape[0] < 1 or x.shape[1] != finite_network.widths[0]:
        raise ParameterError("inputs", f"of shape (T, {finite_network.widths[0]}) with T >= 1", x.shape)
    h = _rounded("inputs", x, precision)
    if not np.isfinite(h).all():
        raise ParameterError("inputs", "finite", "inf or nan")
    require_normalisable(finite_network.network, finite_network.widths, len(h))
    return h


def smallest_size(precision: np.dtype[Any]) -> float:
    """Return the size below which squares have lost digits, or vanish: 3e-16 in float32, 1e-146 in float64."""
    limits = np.finfo(precision)
    return math.sqrt(limits.tiny / limits.eps)


def _rounded(parameter: str, values: NDArray[np.float64], precision: np.dtype[Any]) -> NDArray[np.float64]:
    """Return weights or inputs in a precision, or raise ParameterError if their squares would vanish in it."""
    largest, least = size(values), smallest_size(precision)
    if 0 < largest < least:
        raise ParameterError(parameter, f"zero, or of a size of at least {least:.0e} in {precision}", f"{largest:.3g}")
    with np.errstate(over="ignore"):  # what has become infinite is seen
        return values.astype(precision, copy=False)


def size(x: NDArray[np.float64]) -> float:
    """Return the largest magnitude in an array."""
    return float(max(x.max(), -x.min()))
