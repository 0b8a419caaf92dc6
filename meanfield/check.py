"""Is what an activation declares true? Slope, kinks, jumps, parity, sign, strip and closed forms, each computed.

Only a false declaration is an error. What is merely unnecessary passes: a declared kink or jump where the function is
smooth costs time and no accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .derivative import NumericalSlope
from .errors import ParameterError
from .functions import Activation, Parity, ScalarFunction
from .gaussian import Array
from .quadrature import Estimate, Exact, Panels

RANGE = 40.0
"""Declarations are tested at arguments up to this."""

CELLS = (1000, 7919)
"""Into how many cells that range is split in the search for kinks and jumps; the edges are shifted at random."""

ROUNDING = 1e-13
"""Of two evaluations of one formula, relative to the largest value nearby."""

SLOPE = 1e-6
"""Of a slope, relative to value and slope nearby: far above the error of differences, far below any wrong formula."""

JUMP = 1e-7
"""A function that changes by this much of its size nearby, from one float to the next few, jumps."""

KINK, STEP = 1e-4, 1e-5
"""A slope that changes by this part of its size within a step, and by about as much as within ten steps, jumps."""

FLOOR = 1e-6
"""Nothing is asked of a function where it is below this part of its size between -5 and 5."""

CLOSED_FORM = 1e-11
"""Of closed forms, relative to the scale of the integral, beside the error estimates of both sides."""

VARIANCES = np.array([0.3, 1.0, 4.0])
CORRELATIONS = np.array([-0.95, -0.4, 0.5, 0.99])


def check_activation(activation: Activation) -> None:
    """Raise at the first declaration of an activation that is false; return if there is none.

    Checked are, for value and slope: real and finite values for arrays of any shape; jumps and kinks that are not
    declared; parity; non-negativity; the strip of analyticity; and the closed forms, against ``mf.Panels()``. And that
    the slope is the derivative of the value. A jump of the slope is a kink of the value and must be declared there too.

    Parameters
    ----------
    activation : Activation
        It is evaluated some hundred thousand times; about a second.

    Raises
    ------
    ParameterError
        Saying which declaration is false, where, and what was expected.
    QuadratureError
        If closed forms are declared and the integral to compare them with does not converge.

    Notes
    -----
    What lies beyond 40 in absolute value is not seen, nor are kinks and jumps that change a function by less than about
    1e-4 of its size nearby, or that are closer to each other than about 0.01; features narrower than 1e-4 are taken for
    kinks. A strip is refused from about 1.3 times the true one. A slope by the library is only checked to be finite.

    Examples
    --------
    >>> import numpy as np
    >>> import meanfield as mf
    >>> mf.check_activation(mf.tanh)
    >>> mf.check_activation(mf.Activation("clipped", lambda u: np.clip(u, -1, 1), lambda u: abs(u) < 1))
    Traceback (most recent call last):
    ...
    meanfield.errors.ParameterError: value.kinks of clipped must be complete: it has a kink at -1, got ()
    """
    if not isinstance(activation, Activation):
        raise ParameterError("activation", "an Activation", repr(activation))
    name, value, slope = activation.name, activation.value, activation.slope
    _check_values(f"value of {name}", value)
    _check_jumps(f"value.jumps of {name}", value)
    _check_kinks(f"value.kinks of {name}", value)
    _check_values(f"slope of {name}", slope)
    if not activation.slope_is_derived:
        _check_jumps(f"slope.jumps of {name}", slope)
        _check_kinks(f"slope.kinks of {name}", slope)
        _check_derivative(name, value, slope)
    for part, f in (("value", value), ("slope", slope)):
        _check_parity(f"{part}.parity of {name}", f)
        _check_sign(f"{part}.nonnegative of {name}", f)
        _check_strip(f"{part}.strip of {name}", f)
        _check_closed_form(f"{part}.closed_form of {name}", f)


def _places(f: ScalarFunction) -> Array:
    """Return arguments of every size, some close to the breaks and none at them."""
    rng = np.random.default_rng(0)
    half = np.concatenate([np.geomspace(1e-6, 1, 60), np.linspace(1, RANGE, 400), rng.uniform(0, 5, 200)])
    beside = [b + side * h for b in f.breaks for side in (-1, 1) for h in (1e-5, 1e-3, 0.03)]
    places = np.sort(np.concatenate([-half, half, beside]))
    distance = np.abs(places[:, None] - np.array([*f.breaks, np.inf])).min(axis=1)
    kept: Array = places[distance > 1e-6]
    return kept


def _size(f: ScalarFunction, u: Array, reach: float = 1.0) -> Array:
    """Return the largest abs(f) within ``reach`` of each place, or the floor."""
    nearby = np.abs(f(u[:, None] + reach * np.linspace(-1, 1, 21))).max(axis=1)
    size: Array = np.maximum(nearby, FLOOR * np.abs(f(np.linspace(-5, 5, 201))).max())
    return size


def _check_values(parameter: str, f: ScalarFunction) -> None:
    u = np.concatenate([_places(f), [0.0]])
    y = f(u)  # refuses complex values and other shapes
    if not np.isfinite(y).all():
        raise ParameterError(parameter, "finite", _at(u, y, ~np.isfinite(y)))
    size = ROUNDING * _size(f, u)
    if (np.abs(f(u[::-1])[::-1] - y) > size).any() or (np.abs(f(u.reshape(-1, 1))[:, 0] - y) > size).any():
        raise ParameterError(parameter, "elementwise", "values that depend on the other entries of the array")


def _cells(f: ScalarFunction, margin: float) -> Iterator[tuple[Array, Array]]:
    """Yield the two ends of cells, in several resolutions, away from the declared breaks by a relative margin."""
    rng = np.random.default_rng(1)
    for cells in CELLS:
        width = 2 * RANGE / cells
        edges = np.linspace(-RANGE, RANGE, cells + 1) + width * rng.uniform(-0.4, 0.4, cells + 1)
        edges = np.sort(np.concatenate([edges, f.breaks]))
        left, right = edges[:-1], edges[1:]
        left = left + margin * np.maximum(1, np.abs(left)) * np.isin(left, f.breaks)
        right = right - margin * np.maximum(1, np.abs(right)) * np.isin(right, f.breaks)
        wide = right - left > 40 * STEP
        yield left[wide], right[wide]


def _check_jumps(parameter: str, f: ScalarFunction) -> None:
    """Halve every cell towards the larger change of f, down to neighbouring floats."""
    for left, right in _cells(f, 1e-9):
        below, above, scale = f(left), f(right), _size(f, (left + right) / 2)
        for _ in range(60):
            middle = left + (right - left) / 2
            inside = (middle > left) & (middle < right)
            if not inside.any():
                break
            y = f(middle)
            to_left = np.abs(y - below) >= np.abs(above - y)
            right, above = np.where(inside & to_left, middle, right), np.where(inside & to_left, y, above)
            left, below = np.where(inside & ~to_left, middle, left), np.where(inside & ~to_left, y, below)
        jumps = np.abs(above - below) > JUMP * scale
        if jumps.any():
            raise ParameterError(parameter, f"complete: it has a jump at {_round(right[jumps][0])}", f.jumps)


def _check_kinks(parameter: str, f: ScalarFunction) -> None:
    """Follow the larger second difference down to a small step: divided by the step it stays where the slope jumps."""
    for left, right in _cells(f, 2e-3):
        centre, half = (left + right) / 2, (right - left) / 2
        shrink = (STEP / half) ** (1 / 16)
        for _ in range(16):
            half = half * shrink
            centre, last = _sharpest(f, centre, half, left, right)
        before = _sharpest(f, centre, 10 * half, left, right)[1]
        size = np.maximum(_size(f, centre), np.abs(f(right) - f(left)) / (right - left))
        kinks = (last > KINK * size) & (last > 0.3 * before)
        if kinks.any():
            raise ParameterError(
                parameter, f"complete: it has a kink at {_round(centre[kinks][0])}", f.kinks or f.breaks
            )


def _sharpest(f: ScalarFunction, centre: Array, half: Array, left: Array, right: Array) -> tuple[Array, Array]:
    """Return which of three centres has the largest second difference, and that over the step: a jump of the slope."""
    centres = np.clip(centre + np.stack([-half, np.zeros_like(half), half]) * 2 / 3, left + half, right - half)
    bends = np.abs(f(centres - half) - 2 * f(centres) + f(centres + half)) / half
    best = np.argmax(bends, axis=0)[None]
    return np.take_along_axis(centres, best, 0)[0], np.take_along_axis(bends, best, 0)[0]


def _check_derivative(name: str, value: ScalarFunction, slope: ScalarFunction) -> None:
    breaks = tuple(sorted({*value.breaks, *slope.breaks}))
    joint = ScalarFunction(value.value, kinks=breaks)
    u = _places(joint)
    expected, error = NumericalSlope(value, breaks).with_error(u)
    got = slope(u)
    allowed = SLOPE * np.maximum(_size(slope, u, 0.1), np.abs(expected)) + ROUNDING * _size(value, u) + 10 * error
    wrong = ~(np.abs(got - expected) <= allowed) & np.isfinite(expected)
    if wrong.any():
        first = _worst(wrong, np.abs(got - expected) - allowed)
        truth = f"the derivative of the value: {expected[first]:.9g} at {u[first]:.6g}"
        raise ParameterError(f"slope of {name}", truth, f"{got[first]:.9g}")
    missing = [place for place in slope.jumps if place not in value.breaks and _really_jumps(slope, place)]
    if missing:
        raise ParameterError(f"value.kinks of {name}", f"complete: the slope jumps at {missing[0]:g}", value.kinks)


def _really_jumps(f: ScalarFunction, place: float) -> bool:
    h = 1e-9 * max(1.0, abs(place))
    beside = f(np.array([place - h, place + h]))
    return bool(abs(beside[1] - beside[0]) > JUMP * max(1e-300, np.abs(beside).max()))


def _check_parity(parameter: str, f: ScalarFunction) -> None:
    if f.parity is None:
        return
    u = _places(f)
    u = u[np.abs(u[:, None] + np.array([*f.breaks, np.inf])).min(axis=1) > 1e-6]  # the reflections are beside breaks
    expected, got = f.parity.value * f(-u), f(u)
    wrong = np.abs(got - expected) > ROUNDING * _size(f, u)
    if wrong.any():
        truth = "odd" if f.parity is Parity.ODD else "even"
        i = _worst(wrong, np.abs(got - expected))
        raise ParameterError(parameter, f"true: {truth} means {expected[i]:.9g} at {u[i]:.6g}", got[i])


def _check_sign(parameter: str, f: ScalarFunction) -> None:
    u = np.concatenate([_places(f), np.linspace(-RANGE, RANGE, 20011)])
    y = f(u)
    wrong = y < 0
    if f.nonnegative and wrong.any():
        raise ParameterError(parameter, "true: no value below 0", _at(u, y, wrong))


def _check_strip(parameter: str, f: ScalarFunction) -> None:
    """Compare Chebyshev coefficients on intervals with the decay that they have for a function analytic in the strip.

    With sup abs(f) = M in the ellipse with half axes b, the strip, and a (rho - 1/rho)/2 = b, they are below
    2 M rho^-n. The interval is chosen for rho = 3.
    """
    if f.strip is None:
        return
    rho, orders, points = 3.0, np.arange(40), 40
    reach = 2 * f.strip / (rho - 1 / rho)
    angles = (np.arange(points) + 0.5) * np.pi / points
    centres = np.linspace(-12, 12, int(min(2001, max(97, 96 / min(f.strip, 1.0)))))
    values = f(centres[:, None] + reach * np.cos(angles))
    wide = reach * (rho + 1 / rho) / 2  # the ellipse reaches beyond the interval
    size = np.abs(f(centres[:, None] + wide * np.linspace(-1, 1, 41))).max(axis=1, keepdims=True)
    rounding = 1e-15 * np.maximum(size, np.abs(f(np.linspace(-5, 5, 201))).max())
    coefficients = 2 / points * values @ np.cos(np.outer(angles, orders))
    # a hundredfold, as functions grow towards the edge of their strip
    excess = np.abs(coefficients) / (100 * (size * rho ** -orders.astype(float) + rounding) + 1e-300)
    if (excess > 1).any():
        i = int(np.argmax(excess.max(axis=1)))
        what = (
            f"the half-width of a strip in which the function is analytic and bounded; near {centres[i]:.3g} it is not"
        )
        raise ParameterError(parameter, what, f.strip)


def _check_closed_form(parameter: str, f: ScalarFunction) -> None:
    form = f.closed_form
    known = () if form is None else form.known
    exact, panels = Exact(), Panels()
    scale = np.sqrt(np.asarray(panels.second_moment(f, VARIANCES).value)) if known else np.ones_like(VARIANCES)
    if "mean" in known:
        got, expected = exact.mean(f, VARIANCES), panels.mean(f, VARIANCES)
        _compare(f"{parameter}, mean", got, expected, scale, [f"variance {a:g}" for a in VARIANCES])
    if "second_moment" in known:
        got, expected = exact.second_moment(f, VARIANCES), panels.second_moment(f, VARIANCES)
        _compare(f"{parameter}, second_moment", got, expected, scale**2, [f"variance {a:g}" for a in VARIANCES])
    if "overlap" in known:
        a, other, r = (np.ravel(x) for x in np.meshgrid(VARIANCES, VARIANCES[1:], CORRELATIONS, indexing="ij"))
        product = np.ravel(scale[:, None, None] * scale[None, 1:, None] * np.ones(CORRELATIONS.shape))
        b = r * np.sqrt(a * other)
        got, expected = exact.overlap(f, a, b, other), panels.overlap(f, a, b, other)
        where = [f"variances {x:g} and {y:g}, covariance {z:.4g}" for x, y, z in zip(a, other, b, strict=True)]
        _compare(f"{parameter}, overlap", got, expected, product, where)


def _compare(parameter: str, got: Estimate, expected: Estimate, scale: Array, where: list[str]) -> None:
    value, truth = np.asarray(got.value), np.asarray(expected.value)
    wrong = ~(np.abs(value - truth) <= np.asarray(got.error) + np.asarray(expected.error) + CLOSED_FORM * scale)
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise ParameterError(parameter, f"the integral, {truth[i]:.12g} at {where[i]}", f"{value[i]:.12g}")


def _at(u: Array, y: Array, wrong: NDArray[np.bool_]) -> str:
    first = int(np.flatnonzero(wrong)[0])
    return f"{y[first]:.6g} at {u[first]:.6g}"


def _worst(wrong: NDArray[np.bool_], excess: Array) -> int:
    return int(np.argmax(np.where(wrong, excess, -np.inf)))


def _round(place: float) -> str:
    return f"{round(float(place), 4) + 0.0:g}"
