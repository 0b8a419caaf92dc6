"""Real inputs as the theory sees them: their mean squares, and their overlaps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ParameterError, require_integer, require_real
from ..gaussian import Array

_ROUNDING = 1e-12
"""By how much an overlap may exceed what Cauchy-Schwarz allows, relative."""


@dataclass(frozen=True, init=False, eq=False)
class InputGram:
    r"""Inputs that are given by their overlaps x(s).x(t)/M_0 alone.

    Parameters
    ----------
    overlaps : array_like
        Shape (T, T), symmetric, for one set of inputs; shape (T, T') for two, which then need both mean squares.
    dimension : int
        M_0: with the standard parameterization the weights of the first layer count as many times.
    squares, other_squares : array_like, optional
        The mean squares x(s).x(s)/M_0 of the two sets, shapes (T,) and (T',).

    Raises
    ------
    ParameterError
        For overlaps that are not finite, not symmetric, or larger than their mean squares allow.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> inputs = mf.InputGram([[1.0, 0.0], [0.0, 1.0]], dimension=100)
    >>> mf.gram(network, inputs, width=100).covariance.round(6)
    array([[2.      , 0.987462],
           [0.987462, 2.      ]])
    """

    overlaps: Array
    dimension: int
    squares: Array
    other_squares: Array
    symmetric: bool

    def __init__(
        self,
        overlaps: ArrayLike,
        *,
        dimension: int,
        squares: ArrayLike | None = None,
        other_squares: ArrayLike | None = None,
    ) -> None:
        matrix = require_finite("overlaps", overlaps)
        if matrix.ndim != 2 or not matrix.size:
            raise ParameterError("overlaps", "of shape (T, T) or (T, T')", matrix.shape)
        symmetric = squares is None and other_squares is None
        if symmetric:
            if matrix.shape[0] != matrix.shape[1]:
                raise ParameterError("squares and other_squares", "given with overlaps of two sets of inputs", "none")
            if not np.allclose(matrix, matrix.T, rtol=_ROUNDING, atol=_ROUNDING * float(np.abs(matrix).max())):
                raise ParameterError("overlaps", "symmetric, unless squares and other_squares are given", "another")
            rows = columns = np.diagonal(matrix).copy()
        elif squares is None or other_squares is None:
            raise ParameterError("squares and other_squares", "given both, or neither", "one of them")
        else:
            rows, columns = require_finite("squares", squares), require_finite("other_squares", other_squares)
        for name, values, size in zip(("squares", "other_squares"), (rows, columns), matrix.shape, strict=True):
            if values.shape != (size,) or not (values >= 0).all():
                raise ParameterError(name, f"of shape ({size},), none below 0", f"{values.shape}, {values.min():g}")
        limit = np.sqrt(rows)[:, None] * np.sqrt(columns)
        excess = np.abs(matrix) - (1 + _ROUNDING) * limit
        if (excess > 0).any():
            s, t = np.unravel_index(int(excess.argmax()), matrix.shape)
            expected = f"at most {limit[s, t]:.17g} in absolute value at ({s}, {t}) (Cauchy-Schwarz)"
            raise ParameterError("overlaps", expected, float(matrix[s, t]))
        for name, value in (
            ("overlaps", matrix),
            ("dimension", require_integer("dimension", dimension, at_least=1)),
            ("squares", rows),
            ("other_squares", columns),
            ("symmetric", symmetric),
        ):
            object.__setattr__(self, name, value)

    factor = 1.0
    """What the products are to be multiplied by."""

    def products(self, rows: slice, columns: slice, out: Array) -> None:
        """Write the products of some inputs."""
        out[...] = self.overlaps[rows, columns]


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs that are given themselves, shapes (T, M_0) and (T', M_0), in the precision of the matrices."""

    inputs: Array
    other: Array
    symmetric: bool

    @property
    def dimension(self) -> int:
        """M_0."""
        return int(self.inputs.shape[1])

    @cached_property
    def squares(self) -> Array:
        """The mean squares of the inputs."""
        return self._mean_squares(self.inputs)

    @cached_property
    def other_squares(self) -> Array:
        """Those of the other inputs."""
        return self.squares if self.symmetric else self._mean_squares(self.other)

    def _mean_squares(self, x: Array) -> Array:
        return np.asarray(np.einsum("sj,sj->s", x, x, dtype=np.float64) / self.dimension)

    @property
    def factor(self) -> float:
        """What the products are to be multiplied by."""
        return 1 / self.dimension

    def products(self, rows: slice, columns: slice, out: Array) -> None:
        """Write the products of some inputs."""
        np.matmul(self.inputs[rows], self.other[columns].T, out=out)


def read_inputs(
    inputs: ArrayLike | InputGram, other: ArrayLike | None, dtype: np.dtype[np.floating]
) -> InputGram | Samples:
    """Return what ``gram`` was given as something that has squares and products."""
    if isinstance(inputs, InputGram):
        if other is not None:
            raise ParameterError("other", "left out where the inputs are an InputGram, which may hold two sets", "some")
        return inputs
    x = _require_samples("inputs", inputs, None).astype(dtype, copy=False)
    y = x if other is None else _require_samples("other", other, x.shape[1]).astype(dtype, copy=False)
    return Samples(x, y, other is None)


def require_finite(parameter: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return an array of finite doubles."""
    array = require_real(parameter, value)
    if array.size and not np.isfinite(array.min() + array.max()):
        raise ParameterError(parameter, "finite", "inf or nan")
    return array


def _require_samples(parameter: str, value: Any, dimension: int | None) -> Array:
    x = require_finite(parameter, value)
    if x.ndim != 2 or not x.size or dimension not in (None, x.shape[1]):
        expected = f"of shape (T, {'M_0' if dimension is None else dimension}) with T >= 1"
        raise ParameterError(parameter, expected, x.shape)
    largest = float(max(x.max(), -x.min()))
    if not (largest == 0 or 1e-15 < largest < 1e15):
        raise ParameterError(parameter, "zero, or of a size between 1e-15 and 1e15", f"{largest:g}")
    return np.ascontiguousarray(x)
