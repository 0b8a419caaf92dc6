"""What one would otherwise take for E f(u) f(v): general integrators and fixed rules, each in its best form.

All but one integrate over independent standard normals x and y, u = sd x and v = c u + t y, cut off at 9 standard
deviations where they need an end. Those that can are told where kinks and jumps lie, and asked for 1e-13 of E f(u)^2.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy import integrate, special

import meanfield as mf

Answer = tuple[float, float | None]
"""Value, and the error that is claimed."""

_REACH = 9.0
_TOLERANCE = 1e-13
_DEFAULT = 1.49e-8
"""The tolerance of dblquad if one does not ask for another."""

_NEAR = 0.9
"""The correlation up to which an adaptive rule on a rectangle does better with kinks along its sides."""

SCALAR: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "tanh": (math.tanh, lambda u: 1 - math.tanh(u) ** 2),
    "gelu": (
        lambda u: u * math.erfc(-u / math.sqrt(2)) / 2,
        lambda u: math.erfc(-u / math.sqrt(2)) / 2 + u * math.exp(-u * u / 2) / math.sqrt(2 * math.pi),
    ),
    "relu": (lambda u: max(u, 0.0), lambda u: float(u > 0)),
    "hard_tanh": (lambda u: max(-1.0, min(u, 1.0)), lambda u: float(abs(u) < 1)),
}
"""Value and slope, for the integrators that ask for one value at a time: NumPy is slow at that."""


@dataclass(frozen=True)
class Problem:
    """One overlap."""

    name: str
    """Of the activation."""
    part: int
    """0 for its value, 1 for its slope."""
    variance: float
    correlation: float
    covariance: float
    digits: str
    """The overlap to thirty digits."""
    square: float
    """E f(u)^2, to which errors are relative."""

    @property
    def f(self) -> mf.ScalarFunction:
        """The function itself."""
        phi = mf.activations.by_name(self.name)
        return phi.slope if self.part else phi.value

    @property
    def loadings(self) -> tuple[float, float, float]:
        """Sd, m and t of u = sd x and v = m x + t y."""
        sd = math.sqrt(self.variance)
        pair = mf.GaussianPair(self.variance, self.variance, self.covariance)
        return sd, self.covariance / sd, math.sqrt(pair.determinant) / sd


class Watched:
    """A function that counts its values, and raises TimeoutError after the deadline."""

    def __init__(self, f: Callable[..., Any], deadline: float) -> None:
        self.f, self.deadline, self.evaluations = f, deadline, 0

    def __call__(self, u: Any) -> Any:
        """Return f(u)."""
        self.evaluations += getattr(u, "size", 1)
        if time.perf_counter() > self.deadline:
            raise TimeoutError
        return self.f(u)


Peer = Callable[[Problem, Callable[..., Any]], Answer]
"""From a problem and its function (watched, perhaps) to an answer."""


def scalar(problem: Problem) -> Callable[..., Any]:
    """Return the function for one number at a time."""
    known = SCALAR.get(problem.name)
    return problem.f.value if known is None else known[problem.part]


def in_plane(problem: Problem, f: Callable[..., Any]) -> Callable[[float, float], float]:
    """Return the integrand over y and x."""
    sd, slope, noise = problem.loadings

    def integrand(y: float, x: float) -> float:
        return float(f(sd * x) * f(slope * x + noise * y)) * math.exp(-0.5 * (x * x + y * y)) / (2 * math.pi)

    return integrand


def outer_splits(problem: Problem) -> list[float]:
    """Return where f(u) is not smooth, in units of x."""
    sd, _, _ = problem.loadings
    return [kink / sd for kink in problem.f.breaks if abs(kink / sd) < _REACH]


def inner_splits(problem: Problem) -> Callable[[float], list[float]]:
    """Return where f(v) is not smooth, in units of y, as a function of x."""
    _, slope, noise = problem.loadings
    breaks = problem.f.breaks
    reach = _REACH * noise
    return lambda x: [(kink - slope * x) / noise for kink in breaks if abs(kink - slope * x) < reach]


def dblquad(problem: Problem, f: Callable[..., Any]) -> Answer:
    """SciPy's dblquad with the tolerances that it has by itself; it cannot be told of kinks."""
    integrand, tolerance = in_plane(problem, f), _DEFAULT * problem.square
    value, error = integrate.dblquad(integrand, -_REACH, _REACH, -_REACH, _REACH, epsabs=tolerance)
    return float(value), float(error)


def nquad(problem: Problem, f: Callable[..., Any]) -> Answer:
    """SciPy's nquad, split at the kinks."""
    options = {"epsabs": _TOLERANCE * problem.square, "epsrel": 0.0, "limit": 200}
    inner, outer = inner_splits(problem), outer_splits(problem)

    def of_inner(x: float) -> Any:
        return options | ({"points": points} if (points := inner(x)) else {})

    of_outer: Any = options | ({"points": outer} if outer else {})
    value, error = integrate.nquad(in_plane(problem, f), [(-_REACH, _REACH)] * 2, opts=[of_inner, of_outer])[:2]
    return float(value), float(error)


def fp_quad(problem: Problem, f: Callable[..., Any]) -> Answer:
    """Integrate by the tanh-sinh rule of mpmath in machine numbers, nested and split at 0 and at the kinks."""
    integrand, inner = in_plane(problem, f), inner_splits(problem)

    def over_y(x: float) -> float:
        return float(mpmath.fp.quad(lambda y: integrand(y, x), sorted({-_REACH, 0.0, _REACH, *inner(x)})))

    value, error = mpmath.fp.quad(over_y, sorted({-_REACH, 0.0, _REACH, *outer_splits(problem)}), error=True)
    return float(value), float(error)


def cubature(problem: Problem, f: Callable[..., Any]) -> Answer:
    """SciPy's cubature; kinks at moderate correlation lie along the sides of its rectangles, in u and v themselves."""
    sd, slope, noise = problem.loadings
    plane = bool(problem.f.breaks) and abs(problem.correlation) < _NEAR

    def integrand(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = points[..., 0], points[..., 1]
        jacobian = 1.0
        v = slope * x + noise * y
        if plane:
            v, y, jacobian = sd * y, (sd * y - slope * x) / noise, sd / noise
        return np.asarray(f(sd * x) * f(v) * np.exp(-0.5 * (x * x + y * y)) * (jacobian / (2 * math.pi)))

    points = list(product(outer_splits(problem), repeat=2)) if plane else None
    ends = np.full(2, _REACH)
    found = integrate.cubature(integrand, -ends, ends, rtol=0, atol=_TOLERANCE * problem.square, points=points)
    return float(found.estimate), float(found.error)


def qmc_quad(problem: Problem, f: Callable[..., Any]) -> Answer:
    """SciPy's qmc_quad over the unit square, 8 x 4096 points; it claims three of its standard errors."""
    sd, slope, noise = problem.loadings

    def integrand(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = special.ndtri(points)
        return np.asarray(f(sd * x) * f(slope * x + noise * y))

    found = integrate.qmc_quad(integrand, np.zeros(2), np.ones(2), n_points=4096)
    return float(found.integral), 3 * float(found.standard_error)


def gauss_hermite(nodes: int) -> Peer:
    """Return the tensor rule that most codes use; it claims nothing."""

    def peer(problem: Problem, f: Callable[..., Any]) -> Answer:
        sd, slope, noise = problem.loadings
        x, weights = _rule(nodes)
        return float((weights * f(sd * x)) @ (f(slope * x[:, None] + noise * x) @ weights)), None

    return peer


@cache
def _rule(nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, weights = special.roots_hermitenorm(nodes)
    return x, weights / weights.sum()


def peers() -> Iterator[tuple[str, Peer, bool]]:
    """Yield name, peer, and whether it asks for one value at a time."""
    yield "dblquad", dblquad, True
    yield "nquad", nquad, True
    if hasattr(integrate, "cubature"):  # SciPy 1.15
        yield "cubature", cubature, False
    yield "qmc_quad", qmc_quad, False
    yield "mpmath.fp.quad", fp_quad, True
    for nodes in (20, 50, 100, 200):
        yield f"tensor {nodes} x {nodes}", gauss_hermite(nodes), False
