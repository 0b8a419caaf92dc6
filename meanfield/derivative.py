"""The slope of a function of which only values are known, never across a place where it is not smooth."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ParameterError
from .gaussian import Array

NODES = 16
"""Chebyshev points of one interpolation."""

SHRINK, LEVELS = 4.0, 12
"""Intervals that are tried: the first is about 1 long, each further one a quarter of the last."""

BLOCK = 1 << 12
"""How many slopes are computed at once."""

_LOST = 1e-3
"""An estimated error, relative to the slope or 1, that is no accuracy any more."""

_STEP = 1e-30
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class NumericalSlope:
    """The derivative of a vectorised function, by interpolation in Chebyshev points beside u.

    All points lie on one side of every break. The interval shrinks until the last coefficients of the interpolant say
    that it has converged, and the best one is taken. Where the function also accepts complex arguments, and
    Im f(u + ih)/h with h = 1e-30 agrees with the interpolant to its accuracy, that is the result, exact to rounding: so
    a function like abs, which takes complex arguments but is not analytic, does not deceive.

    Parameters
    ----------
    value : callable
        Vectorised, in double precision.
    breaks : tuple of float
        Where the function has a kink or a jump, in increasing order. At a break the slope is that on the left.

    Notes
    -----
    Errors relative to the largest slope, or value over argument, within a distance of 1, as measured by the tests:
    2e-15 by the complex step; without it 1e-13 for functions that vary on lengths of about 1, 1e-12 beside a break,
    1e-9 for sin(30 u) at u = 10000, where the rounding of u alone makes 1e-10. A slope takes 17 to 200 values.

    Examples
    --------
    >>> float(NumericalSlope(np.tanh)(np.array([0.0]))[0])
    1.0
    >>> NumericalSlope(np.abs, (0.0,))(np.array([-1e-9, 1e-9])).round(6)
    array([-1.,  1.])
    """

    value: Callable[[NDArray[np.float64]], ArrayLike]
    breaks: tuple[float, ...] = ()

    def __call__(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the slope at every entry of ``u``; raises ``ParameterError`` beside a kink that is not declared."""
        slope, error = self.with_error(u)
        lost = ~(error <= _LOST * np.maximum(np.abs(slope), 1.0))
        if lost.any():
            place = f"{float(np.asarray(u)[lost].flat[0]):.6g}"
            raise ParameterError(
                "value", f"smooth but for its declared kinks (declare one near {place}?)", "no slope there"
            )
        return slope

    def with_error(self, u: NDArray[np.float64]) -> tuple[Array, Array]:
        """Return the slope and an estimate of its error; infinite where there is no converged interpolant."""
        flat = np.ravel(np.asarray(u, dtype=np.float64))
        slope, error = np.empty(flat.shape), np.empty(flat.shape)
        for start in range(0, flat.size, BLOCK):
            part = slice(start, start + BLOCK)
            slope[part], error[part] = self._block(flat[part])
        return slope.reshape(np.shape(u)), error.reshape(np.shape(u))

    def _block(self, u: Array) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            slope, error = self._interpolated(u)
            exact = self._complex_step(u)
        if exact is not None:
            agrees = np.abs(exact - slope) <= 100 * error + 1e-9 * np.abs(slope)
            slope = np.where(agrees, exact, slope)
        return slope, error

    def _complex_step(self, u: Array) -> Array | None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                result = np.asarray(self.value(u + _STEP * 1j))  # type: ignore[arg-type]  # if it takes them
            except Exception:  # whatever a function of real numbers says to complex ones
                return None
        return result.imag / _STEP if result.dtype.kind == "c" and result.shape == u.shape else None

    def _interpolated(self, u: Array) -> tuple[Array, Array]:
        edges = np.array([-np.inf, *self.breaks, np.inf])
        segment = np.searchsorted(edges[1:-1], u, side="left")
        left, right = edges[segment], edges[segment + 1]
        slope, error = np.full(u.shape, np.nan), np.full(u.shape, np.inf)
        half, todo = 0.5 * np.maximum(1, np.abs(u) / 4), np.arange(u.size)
        for _ in range(LEVELS):
            x, estimate, target = self._on(u[todo], left[todo], right[todo], half[todo])
            better = estimate < error[todo]
            slope[todo[better]], error[todo[better]] = x[better], estimate[better]
            todo = todo[~(error[todo] <= target)]
            half /= SHRINK
            if not todo.size:
                break
        return slope, error

    def _on(self, u: Array, left: Array, right: Array, half: Array) -> tuple[Array, Array, Array]:
        """Return slope, estimated error and the error that is good enough, on intervals of half-length ``half``."""
        half = np.minimum(half, (right - left) / 2)
        centre = np.clip(u, left + half, right - half)
        nodes, transform, orders = _chebyshev()
        points = centre[:, None] + half[:, None] * nodes
        # rounding must not take a point across a break
        points = np.clip(points, np.nextafter(left, np.inf)[:, None], np.nextafter(right, -np.inf)[:, None])
        values = np.broadcast_to(np.asarray(self.value(points), dtype=np.float64), points.shape)
        # without the value itself, whose rounding would be magnified
        coefficients = (values - values[:, [NODES // 2]]) @ transform
        t = np.clip((u - centre) / half, -1, 1)
        derivatives = np.polynomial.chebyshev.chebder(coefficients.T, axis=0)
        slope = np.polynomial.chebyshev.chebval(t, derivatives, tensor=False) / half
        tail = np.abs(coefficients[:, -3:]).max(axis=1)
        size = np.abs(values).max(axis=1)
        # T_n' is at most n / sqrt(1 - t^2) inside and n^2 at the ends
        growth = np.minimum(orders[-1] ** 2, orders[-1] / np.sqrt(np.maximum(1 - t**2, 1e-30)))
        rounding = _EPS * (size + np.abs(centre) * np.abs(slope))
        estimate = growth / half * (tail + rounding)
        estimate = np.where(np.isfinite(slope) & np.isfinite(estimate), estimate, np.inf)
        return slope, estimate, growth / half * 8 * rounding


@cache
def _chebyshev() -> tuple[Array, Array, Any]:
    """Return the points, the matrix from values to coefficients, and the orders."""
    orders = np.arange(NODES)
    angles = (orders + 0.5) * np.pi / NODES
    transform = 2 / NODES * np.cos(np.outer(angles, orders))
    transform[:, 0] /= 2
    return np.cos(angles), transform, orders
