"""Is the rewritten formula the formula? Value and slope are compared with the original at many digits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from ..formulas import Node, Program, high_precision

ACCURACY = 1e-11
"""What the error may be: of the value relative to its largest within a distance of 1, of the slope relative to its
largest or to value/argument, and of both relative to what the same relative change of the argument makes of them."""

DIGITS, DIFFERENCE = 400, "1e-40"
"""So many digits that log(1 + exp(-u)) is right down to the smallest float, and so is a difference of its values."""

FARTHEST, LARGEST = 1e4, float(np.finfo(np.float64).max)

_SIZES = [1e-8, 1e-4, 0.01, 0.1, 0.3, 0.7, 1.3, 1.9, 2.7, 4, 5.5, 7.3, 9.1, 12, 15, 19, 24, 30, 37, 41]
_SIZES += [60, 100, 300, 700, 709, 711, 746, 800, 1e3, 3e3, 1e4]


def require_accurate(original: Node, value: Program, slope: Program, *, breaks: Iterable[float] = ()) -> None:
    """Raise unless value and slope are finite and accurate wherever the original is."""
    breaks = np.array([*breaks, np.inf])
    rng = np.random.default_rng(0)
    half = np.array(_SIZES)
    places = np.sort(np.concatenate([-half, [0.0], half, rng.normal(size=12) * 3, rng.normal(size=8) * 30]))
    places = np.array([place for place in places if np.abs(place - breaks).min() > 1e-6])
    grid = np.concatenate([np.linspace(-40, 40, 16001), np.geomspace(40, FARTHEST, 2000)])
    grid = np.concatenate([grid, -grid])
    broken = grid[~(np.isfinite(value(grid)) & np.isfinite(slope(grid)))]
    broken = broken[np.argsort(np.abs(broken))][
        np.linspace(0, max(broken.size - 1, 0), min(broken.size, 20)).astype(int)
    ]
    f = high_precision(original, DIGITS)
    for place in (*places, *broken):
        _compare(f, value, slope, float(place))


def _compare(f: Any, value: Program, slope: Program, place: float) -> None:
    import mpmath

    with mpmath.workdps(DIGITS):
        u, h = mpmath.mpf(place), mpmath.mpf(DIFFERENCE)
        exact = f(u)
        exact_slope = (f(u + h) - f(u - h)) / (2 * h)
        if not mpmath.isfinite(exact):
            raise ParameterError("expression", "a real function that is finite everywhere", _shown(exact, place))
        expected = float(exact), float(exact_slope)
    around = place + np.linspace(-1, 1, 41)
    by_argument = abs(expected[0]) / max(1.0, abs(place))
    for part, program, truth in zip(("value", "slope"), (value, slope), expected, strict=True):
        if not abs(truth) < LARGEST:
            continue  # overflow of the function itself
        got = float(program(np.array([place]))[0])
        scale = max(_scale(program, around, truth), by_argument) + abs(place) * _steepness(program, place)
        if not abs(got - truth) <= ACCURACY * scale + 1e-300:
            expected_text = (
                f"a formula that keeps its digits in floating point (its {part} at {place:g} is {truth:.6g})"
            )
            raise ParameterError("expression", expected_text, f"{got:.6g}; write it without what overflows or cancels")


def _scale(program: Program, around: NDArray[np.float64], truth: float) -> float:
    values = np.abs(program(around))
    return max(abs(truth), float(values[np.isfinite(values)].max(initial=0.0)))


def _steepness(program: Program, place: float) -> float:
    """Return about the slope, to which the rounding of the place is multiplied."""
    step = 1e-6 * max(abs(place), 1e-3)
    ends = program(np.array([place - step, place + step]))
    with np.errstate(over="ignore"):
        return float(abs(ends[1] - ends[0]) / (2 * step)) if np.isfinite(ends).all() else 0.0


def _shown(exact: Any, place: float) -> str:
    return f"one that is {'undefined or complex' if exact != exact else 'infinite'} at {place:g}"
