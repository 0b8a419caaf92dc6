"""Do the intervals of `fit_rate` hold the true q as often as they say? Run: python benchmarks/rates.py.

Experiments are simulated: squared deviations of members from four laws, the same at every width. The table has the
coverage of intervals of nominally 95 %, and their mean width relative to that of `fit_rate`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

import montecarlo as mc
from meanfield.records import table

Array = NDArray[np.float64]
Interval = tuple[Array, Array]

Q, LEVEL, RESAMPLES, PAIRED = 0.5, 0.95, 999, 8


def nearly_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return means over many directions, and a fifth in common: overlaps of many samples."""
    return np.asarray(0.2 * rng.chisquare(1, shape) + 0.8 * rng.chisquare(100, shape) / 100)


def pairs(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return means over the pairs of 8 samples, which share a network and samples with each other."""
    s, t = np.triu_indices(PAIRED, 1)
    network, one = rng.standard_normal((*shape, 1)), rng.standard_normal((*shape, PAIRED))
    rest = rng.standard_normal((*shape, s.size))
    return np.asarray(np.mean(np.square(network + one[..., s] + one[..., t] + rest), axis=-1) / 4)


def one_direction(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return squares of one normal deviate: all samples deviate together."""
    return rng.chisquare(1, shape)


def log_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return what has heavier tails than anything here."""
    return rng.lognormal(size=shape)


LAWS = (nearly_normal, pairs, one_direction, log_normal)


def library(widths: Array, squares: Array) -> Interval:
    """Return the intervals of `fit_rate`."""
    fits = [mc.fit_rate(widths.tolist(), np.sqrt(experiment), confidence=LEVEL) for experiment in squares]
    return np.array([fit.lower for fit in fits]), np.array([fit.upper for fit in fits])


def delta_method(widths: Array, squares: Array, *, weighted: bool = False) -> Interval:
    """Return Student's t of Welch and Satterthwaite, variances by the delta method; weights 1 or 1/variance."""
    n, mean = squares.shape[-1], squares.mean(axis=-1)
    variance = squares.var(axis=-1, ddof=1) / (4 * n * mean**2)
    weight = 1 / variance if weighted else np.ones_like(variance)
    x = np.log(widths) - (weight @ np.log(widths) / weight.sum(axis=-1))[:, None]
    slope = weight * x / np.sum(weight * x**2, axis=-1, keepdims=True)
    parts = slope**2 * variance
    total = parts.sum(axis=-1)
    degrees = (n - 1) * total**2 / np.sum(parts**2, axis=-1)
    q = -np.sum(slope * np.log(mean) / 2, axis=-1)
    half = special.stdtrit(degrees, (1 + LEVEL) / 2) * np.sqrt(total)
    return q - half, q + half


def weighted(widths: Array, squares: Array) -> Interval:
    """Return the intervals of weighted least squares."""
    return delta_method(widths, squares, weighted=True)


def scatter(widths: Array, squares: Array) -> Interval:
    """Return the intervals from the scatter of the points about the line alone."""
    return library(widths, squares.mean(axis=-1))


def bootstrap(widths: Array, squares: Array, method: str) -> Interval:
    """Return the intervals of SciPy's bootstrap, members resampled within each width."""
    x = np.log(widths) - np.log(widths).mean()

    def q(*members: Array, axis: int = -1) -> Array:
        rms = [np.log(sample.mean(axis=axis)) / 2 for sample in members]
        return np.asarray(-sum(weight * y for weight, y in zip(x / (x @ x), rms, strict=True)))

    bootstrap_of: Any = stats.bootstrap  # its stubs do not know data of more than one dimension
    interval = bootstrap_of(
        tuple(np.moveaxis(squares, 1, 0)),
        q,
        n_resamples=RESAMPLES,
        batch=20,
        vectorized=True,
        axis=-1,
        confidence_level=LEVEL,
        method=method,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return interval.low, interval.high


METHODS: dict[str, Callable[[Array, Array], Interval]] = {
    "fit_rate": library,
    "scatter": scatter,
    "delta": delta_method,
    "weighted": weighted,
    "percentile": lambda widths, squares: bootstrap(widths, squares, "percentile"),
    "BCa": lambda widths, squares: bootstrap(widths, squares, "BCa"),
}


def rows(experiments: int) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the table."""
    rng = np.random.default_rng(0)
    for law in LAWS:
        for number in (4, 6):
            widths = np.array([100.0 * 2**i for i in range(number)])
            for members in (5, 10, 20, 50, 100):
                squares: Array = np.power(widths, -2 * Q)[:, None] * law(rng, (experiments, number, members))
                intervals = {name: method(widths, squares) for name, method in METHODS.items()}
                low, high = intervals["fit_rate"]
                size = np.mean(high - low)
                cells = [
                    f"{100 * np.mean((low <= Q) & (high >= Q)):.1f} ({np.mean(high - low) / size:.2f})"
                    for low, high in intervals.values()
                ]
                yield (law.__name__.replace("_", " "), f"{number}", f"{members}", *cells)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=2000, help="for each row")
    experiments = parser.parse_args().experiments
    error = 100 * np.sqrt(LEVEL * (1 - LEVEL) / experiments)
    print(f"coverage in %, standard error {error:.1f} ({experiments} experiments); in brackets the relative width")
    print(table(rows(experiments), ("law", "widths", "members", *METHODS)))


if __name__ == "__main__":
    main()
