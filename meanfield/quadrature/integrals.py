"""The three integrals that the theory is made of, as plain functions."""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..functions import Activation, ScalarFunction
from .auto import AUTO
from .method import Method, require_method

Function = ScalarFunction | Activation


@overload
def mean(f: Function, variance: float, *, method: Method = ...) -> float: ...
@overload
def mean(f: Function, variance: ArrayLike, *, method: Method = ...) -> float | NDArray[np.float64]: ...
def mean(f: Function, variance: ArrayLike, *, method: Method = AUTO) -> float | NDArray[np.float64]:
    """Return E f(u), u ~ N(0, variance).

    Parameters
    ----------
    f : ScalarFunction or Activation
        For an activation, its value is meant.
    variance : array_like
        At least 0, of any shape.
    method : Method
        How to integrate. ``AUTO.mean(f, variance)`` gives the same with an error estimate.

    Returns
    -------
    float or array
        In the shape of ``variance``; with ``AUTO`` to 1e-13 of sqrt(E f^2).

    Raises
    ------
    ParameterError
        For a variance that is negative or not finite.
    QuadratureError
        If the tolerance is not reached.

    Examples
    --------
    >>> import meanfield as mf
    >>> round(mf.mean(mf.relu, 2.0), 12)
    0.564189583548
    """
    value: float | NDArray[np.float64] = require_method(method).mean(f, variance).value
    return value


@overload
def second_moment(f: Function, variance: float, *, method: Method = ...) -> float: ...
@overload
def second_moment(f: Function, variance: ArrayLike, *, method: Method = ...) -> float | NDArray[np.float64]: ...
def second_moment(f: Function, variance: ArrayLike, *, method: Method = AUTO) -> float | NDArray[np.float64]:
    """Return E f(u)^2, u ~ N(0, variance): the integral over one Gaussian in (5) and (7).

    Parameters and errors are those of :func:`mean`; the accuracy with ``AUTO`` is 1e-13 relative.

    Equations: (5), (7)

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.second_moment(mf.relu, [1.0, 3.0])
    array([0.5, 1.5])
    """
    value: float | NDArray[np.float64] = require_method(method).second_moment(f, variance).value
    return value


@overload
def overlap(
    f: Function,
    variance: float,
    covariance: float,
    other_variance: float | None = ...,
    *,
    other: Function | None = ...,
    method: Method = ...,
) -> float: ...
@overload
def overlap(
    f: Function,
    variance: ArrayLike,
    covariance: ArrayLike,
    other_variance: ArrayLike | None = ...,
    *,
    other: Function | None = ...,
    method: Method = ...,
) -> float | NDArray[np.float64]: ...
def overlap(
    f: Function,
    variance: ArrayLike,
    covariance: ArrayLike,
    other_variance: ArrayLike | None = None,
    *,
    other: Function | None = None,
    method: Method = AUTO,
) -> float | NDArray[np.float64]:
    """Return I_f[a, b] = E f(u) f(v), (u, v) ~ N(0, [[a, b], [b, a]]): the functional of (5) and (7).

    Parameters
    ----------
    f : ScalarFunction or Activation
        For an activation, its value is meant; pass ``activation.slope`` for I_phi'.
    variance, covariance : array_like
        a >= 0 and b, abs(b) <= a, broadcast against each other. The result is that of the given doubles: nothing is
        lost where b is close to a. An excess of up to 4 ulp is taken for rounding.
    other_variance : array_like, optional
        The variance of v, if it differs from that of u; then abs(b) <= sqrt(variance * other_variance).
    other : ScalarFunction or Activation, optional
        A second function g: the result is E f(u) g(v).
    method : Method
        How to integrate. ``AUTO.overlap(...)`` gives the same with an error estimate.

    Returns
    -------
    float or array
        With ``AUTO`` to 1e-13 of sqrt(E f(u)^2 E g(v)^2).

    Raises
    ------
    ParameterError
        For variances and covariances that no pair of Gaussians has.
    QuadratureError
        If the tolerance is not reached.

    Equations: (5), (7)

    Examples
    --------
    >>> import meanfield as mf
    >>> round(mf.overlap(mf.tanh, 3.0, 1.0), 12)
    0.17064134311
    >>> round(mf.overlap(mf.relu.slope, 3.0, 0.0), 12)
    0.25
    """
    value: float | NDArray[np.float64] = (
        require_method(method).overlap(f, variance, covariance, other_variance, other=other).value
    )
    return value
