"""Where a formula is not smooth, or not defined: the zeros of the arguments of its switches, judged at many digits.

A formula can break only where an argument of abs, sign, Max, a condition, a logarithm, a denominator or a root is zero.
Those zeros are found on a grid and refined; at each, the one-sided limits of the formula and of its derivatives at 60
digits say whether there is a kink, a jump, a pole, or nothing at all (as in abs(u)*sign(u)).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from .program import compile_tree, high_precision
from .tree import LARGEST_TREE, ONE, Node, add, derivative, negative

MOST_BREAKS = 100
"""How many kinks and jumps a formula may have."""

_COMPARED = ("maximum", "minimum", "less", "less_equal", "greater", "greater_equal")
_CLOSE, _CLOSER = "1e-25", "1e-50"
_ALIKE = 1e-9


@dataclass(frozen=True)
class Breaks:
    """Where a formula and its slope are not smooth."""

    kinks: tuple[float, ...] = ()
    jumps: tuple[float, ...] = ()
    slope_kinks: tuple[float, ...] = ()
    slope_jumps: tuple[float, ...] = ()


def find_breaks(node: Node) -> Breaks:
    """Return the kinks and jumps of a formula and of its slope.

    A place where the second or the third derivative jumps, or is infinite, counts as a kink of value and slope too.

    Raises
    ------
    ParameterError
        Where the formula or its slope is infinite or undefined, or if there are more than 100 such places.
    """
    import mpmath

    found_places: set[float] = set()
    for argument in dict.fromkeys(_switches(node)):
        found_places.update(zeros(compile_tree(argument)))
        if len(found_places) > MOST_BREAKS:
            raise _too_many(len(found_places))
    places = sorted(found_places)
    if not places:
        return Breaks()
    derivatives = [node]
    for _ in range(3):
        derivatives.append(derivative(derivatives[-1]))
        if sum(1 for _ in derivatives[-1].walk()) > LARGEST_TREE:
            raise ParameterError("expression", "a shorter formula", "one whose derivatives are too long")
    functions = [high_precision(part) for part in derivatives]
    arguments = [high_precision(argument) for argument in _switches(node)]
    found: dict[str, list[float]] = {"kinks": [], "jumps": [], "slope_kinks": [], "slope_jumps": []}
    with mpmath.workdps(70):
        for place in places:
            centre, near, nearer = _polished(arguments, place)
            for kind in _kinds(functions, centre, near, nearer):
                found[kind].append(float(centre))
    return Breaks(**{kind: tuple(where) for kind, where in found.items()})


def _switches(node: Node) -> Iterator[Node]:
    """Yield every argument at whose zeros the formula may break."""
    for part in node.walk():
        if part.operation in ("abs", "sign", "step", "log"):
            yield part.operands[0]
        elif part.operation == "log1p":
            yield add(ONE, part.operands[0])
        elif part.operation in _COMPARED:
            yield add(part.operands[0], negative(part.operands[1]))
        elif part.operation == "power":
            exponent = part.operands[1].number
            if (exponent < 0 or exponent.denominator != 1) and any(p.operation == "variable" for p in part.walk()):
                yield part.operands[0]


@cache
def _grid() -> NDArray[np.float64]:
    near, far = np.linspace(0, 40, 8001), np.geomspace(40, 1e6, 4001)
    half = np.unique(np.concatenate([np.geomspace(1e-12, 5e-3, 400), near, far]))
    return np.concatenate([-half[:0:-1], half])


def zeros(f: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> list[float]:
    """Return the isolated zeros of a function, also those that it touches without a change of sign."""
    u = _grid()
    y = np.nan_to_num(f(u), nan=np.inf)
    zero, sign = y == 0, np.sign(y)
    isolated = zero & ~np.roll(zero, 1) & ~np.roll(zero, -1)
    ends = zero & ~isolated & (~np.roll(zero, 1) | ~np.roll(zero, -1))  # of a stretch where it vanishes
    found = [*u[isolated], *u[ends]]
    crossing = np.flatnonzero(sign[:-1] * sign[1:] < 0)
    if crossing.size > MOST_BREAKS:
        raise _too_many(crossing.size)
    found += [_bisect(f, u[i], u[i + 1]) for i in crossing]
    size = np.abs(y)
    lowest = 1 + np.flatnonzero((size[1:-1] < size[:-2]) & (size[1:-1] < size[2:]) & ~zero[1:-1])
    lowest = lowest[(sign[lowest - 1] == sign[lowest]) & (sign[lowest] == sign[lowest + 1])]
    for i in lowest[: 2 * MOST_BREAKS]:
        found += _touching(f, u[i - 1], u[i + 1], max(size[i - 1], size[i + 1]))
    return [float(place) + 0.0 for place in found]


def _too_many(places: int) -> ParameterError:
    return ParameterError("expression", f"a function with at most {MOST_BREAKS} kinks, jumps and poles", places)


def _bisect(f: Callable[[NDArray[np.float64]], NDArray[np.float64]], a: float, b: float) -> float:
    sign = np.sign(f(np.array([a]))[0])
    while True:
        middle = a + (b - a) / 2
        if middle in (a, b):
            return float(b)
        here = np.sign(f(np.array([middle]))[0])
        if here == 0:
            return float(middle)
        a, b = (middle, b) if here == sign else (a, middle)


def _touching(f: Callable[[NDArray[np.float64]], NDArray[np.float64]], a: float, b: float, size: float) -> list[float]:
    """Return the lowest place of abs(f) in an interval if f vanishes there, or the two where it crosses zero."""
    left, right = a, b
    for _ in range(60):
        u = np.linspace(a, b, 9)
        y = f(u)
        i = int(np.argmin(np.abs(y)))
        if np.sign(y[0]) * np.sign(y[i]) < 0:
            return [_bisect(f, left, u[i]), _bisect(f, u[i], right)]
        a, b = u[max(i - 1, 0)], u[min(i + 1, 8)]
    return [float(u[i])] if abs(y[i]) <= 1e-12 * size else []


def _kinds(functions: list[Callable[[Any], Any]], centre: Any, near: Any, nearer: Any) -> Iterator[str]:
    """Return what is at one place, from the one-sided limits of a function and its first three derivatives."""
    import mpmath

    limits: list[tuple[Any, Any] | None] = []
    for f in functions:
        sides = []
        for side in (-1, 1):
            rough, fine = f(centre + side * near), f(centre + side * nearer)
            sides.append(fine if abs(rough - fine) <= _ALIKE * (1 + abs(fine)) else None)
        limits.append(None if None in sides else (sides[0], sides[1]))
    for what, pair in zip(("finite", "of finite slope"), limits[:2], strict=True):
        if pair is None or not all(map(mpmath.isfinite, pair)):
            got = f"one that is not at {float(centre):g}"
            raise ParameterError("expression", f"a real function that is {what} everywhere", got)
    breaks = [pair is None or bool(abs(pair[0] - pair[1]) > _ALIKE * (1 + abs(pair[0]))) for pair in limits]
    if breaks[0]:
        yield "jumps"
    elif any(breaks):
        yield "kinks"
    if breaks[1]:
        yield "slope_jumps"
    elif breaks[2] or breaks[3]:
        yield "slope_kinks"


def _polished(arguments: list[Callable[[Any], Any]], place: float) -> tuple[Any, Any, Any]:
    """Return a place at 60 digits and how close to it one can look: not very where an argument only touches zero."""
    import mpmath

    # the precision is set by the caller
    centre, width = mpmath.mpf(place), 4 * float(np.spacing(abs(place) + 1e-30))
    for f in arguments:
        if f(centre) == 0:
            return centre, mpmath.mpf(_CLOSE), mpmath.mpf(_CLOSER)
    for f in arguments:
        a, b = centre - width, centre + width
        if f(a) * f(b) < 0:
            below = f(a) < 0
            for _ in range(200):
                middle = (a + b) / 2
                a, b = (middle, b) if (f(middle) < 0) == below else (a, middle)
            return (a + b) / 2, mpmath.mpf(_CLOSE), mpmath.mpf(_CLOSER)
    return centre, mpmath.mpf("1e-7"), mpmath.mpf("5e-8")
