"""How fast are the integrals of the package, and how accurate at that speed? Run: python benchmarks/integrals.py.

Medians on one core of what the package does by itself (`mf.AUTO`), each beside its target. Errors are relative to
E f(u)^2: the largest of a few entries, by another route that is good to 3e-14 itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import click
import numpy as np
from clock import median_seconds
from numpy.typing import NDArray

import meanfield as mf
from meanfield.records import table

Row = tuple[str, str, str, str, str]

SMOOTH = (mf.tanh, mf.sigmoid, mf.gelu, mf.silu, mf.softplus)
CHECKED = 5
"""Entries of an array that are compared with the panels."""

HARD_TANH = mf.ScalarFunction(lambda u: np.clip(u, -1, 1), kinks=(-1, 1))
WITH_SCALE = mf.ScalarFunction(lambda u: np.clip(u, -1, 1), kinks=(-1, 1), scale=1.0)
RAMP = mf.ScalarFunction(lambda u: np.clip(u, 0, 1), kinks=(0, 1))
CORRELATIONS = (0.3, 0.6, 0.9, 0.99, 0.9999)


def different_variances(size: int, largest: float) -> Iterator[Row]:
    """Overlaps of different variances in one call."""
    rng = np.random.default_rng(0)
    target = "8 us" if largest <= 2 else "80 us"
    a = rng.uniform(0.1, largest, size) if largest <= 2 else np.full(size, largest) * rng.uniform(0.99, 1.01, size)
    b = a * rng.uniform(-1, 1, size)
    for phi in SMOOTH:
        for part, f in (("", phi.value), ("slope of ", phi.slope)):
            seconds, error = measured(f, a, b)
            what = f"{size} variances {'up to' if largest <= 2 else 'about'} {largest:g}"
            yield what, part + phi.name, f"{1e6 * seconds / size:.3g} us", target, f"{error:.0e}"


def gram(size: int) -> Iterator[Row]:
    """One variance and many correlations, with the cost of a NumPy function on an array of that size."""
    correlation = np.random.default_rng(1).uniform(-1, 1, size)
    limits = {"tanh": partial(np.tanh, correlation), "arctan2": partial(np.arctan2, correlation, correlation + 2)}
    floor = {name: median_time(call) for name, call in limits.items()}
    for name, seconds in floor.items():
        yield f"{size} correlations", f"(np.{name} alone)", f"{1e9 * seconds / size:.3g} ns", "", ""
    for phi, variances, target in (
        (mf.tanh, (1.0, 10.0, 100.0), "40 ns"),
        (mf.silu, (1.0, 10.0, 100.0), "40 ns"),
        (mf.relu, (1.0,), "10 ns"),
        (mf.erf, (1.0,), "10 ns"),
    ):
        for a in variances:
            seconds, error = measured(phi.value, np.full(size, a), a * correlation, one_variance=True)
            name = "tanh" if target == "40 ns" else "arctan2"
            cost = f"{1e9 * seconds / size:.3g} ns ({seconds / floor[name]:.1f} x np.{name})"
            yield f"{size} correlations", f"{phi.name} at {a:g}", cost, target, f"{error:.0e}"


def kinked() -> Iterator[Row]:
    """One overlap of a function that has kinks and no closed form."""
    for name, f in (("hard_tanh", HARD_TANH), ("hard_tanh, scale=1", WITH_SCALE), ("ramp", RAMP)):
        for a in (1.0, 10.0, 100.0):
            times, errors = zip(*(single(f, a, a * c) for c in CORRELATIONS), strict=True)
            cost = " ".join(f"{1e3 * seconds:.2g}" for seconds in times) + " ms"
            yield "one, kinks", f"{name} at {a:g}", cost, "5 ms" if a > 10 else "1 ms", f"{max(errors):.0e}"


def one() -> Iterator[Row]:
    """One overlap."""
    for phi in (mf.relu, mf.erf, *SMOOTH):
        for a in (1.0, 100.0):
            times, errors = zip(*(single(phi.value, a, a * c) for c in (0.3, 0.9)), strict=True)
            cost = " ".join(f"{1e6 * seconds:.3g}" for seconds in times) + " us"
            yield "one, c = 0.3 and 0.9", f"{phi.name} at {a:g}", cost, "", f"{max(errors):.0e}"


def measured(
    f: mf.ScalarFunction, a: NDArray[np.float64], b: NDArray[np.float64], *, one_variance: bool = False
) -> tuple[float, float]:
    """Return seconds of a call, and the largest error of some entries."""
    variance = float(a[0]) if one_variance else a
    values = mf.AUTO.overlap(f, variance, b).value
    return median_time(partial(mf.AUTO.overlap, f, variance, b)), max(
        difference(f, float(a[i]), float(b[i]), float(values[i])) for i in range(min(CHECKED, b.size))
    )


def single(f: mf.ScalarFunction, a: float, b: float) -> tuple[float, float]:
    """Return seconds of a call for one overlap, and its error."""
    call = partial(mf.overlap, f, a, b)
    return median_time(call), difference(f, a, b, call())


def difference(f: mf.ScalarFunction, a: float, b: float, value: float) -> float:
    """Return the difference from another route: the closed form of hard_tanh; else panels, cut at more places."""
    if f in (HARD_TANH, WITH_SCALE):
        estimate = mf.quadrature.Exact().overlap(mf.hard_tanh, a, b)
    else:
        cut = mf.ScalarFunction(f.value, kinks=(*f.kinks, -0.7, 0.43), jumps=f.jumps)
        estimate = mf.Panels(tolerance=3e-14).overlap(cut, a, b)
    return abs(value - float(estimate.value)) / float(estimate.scale)


def median_time(call: Callable[[], object]) -> float:
    """Return the median of some calls, after one that is not counted."""
    call()
    return median_seconds(call, least=3, most=15, enough=0.2)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--size", type=int, default=1000, show_default=True, help="Overlaps of different variances in a call.")
@click.option("--correlations", type=int, default=500_000, show_default=True, help="Correlations at one variance.")
def main(size: int, correlations: int) -> None:
    """Print the table."""
    rows = [*different_variances(size, 2.0), *different_variances(size, 100.0), *gram(correlations), *kinked(), *one()]
    print(f"medians; for kinks at correlations {', '.join(map(str, CORRELATIONS))}\n")
    print(table(rows, ("what", "function", "each", "target", "error")))


if __name__ == "__main__":
    main()
