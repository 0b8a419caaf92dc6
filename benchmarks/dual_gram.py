"""What does the dual Gram cost beyond the matrix products that it needs? Run: python benchmarks/dual_gram.py.

The limit is `A @ A.T` for every activity and every sensitivity, which NumPy makes a symmetric product; both are timed
in turn, in one process, with one and two BLAS threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import meanfield as mf
import montecarlo as mc
from meanfield.records import table

WIDTH = SAMPLES = 1000
ROUNDS = 25


def main() -> None:
    """Print the table."""
    rows = []
    for output in ("none", "mean"):
        network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
        network = network.normalized(output=output)
        rng = np.random.default_rng(0)
        finite = mc.sample_network(network, width=WIDTH, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(network, width=WIDTH, samples=SAMPLES, rng=rng))
        error = np.abs(mc.dual_gram(sweep) - plain_gram(sweep)).max() / np.abs(plain_gram(sweep)).max()
        for threads in (1, 2):
            with threadpool_limits(threads, user_api="blas"):
                gram, products = in_turn(partial(mc.dual_gram, sweep), partial(bare, sweep))
            ratios = np.array(gram) / np.array(products)
            rows.append(
                (
                    output,
                    threads,
                    f"{1e3 * np.median(gram):.1f}",
                    f"{1e3 * np.median(products):.1f}",
                    f"{np.median(ratios):.3f}",
                    f"{ratios.min():.3f} .. {ratios.max():.3f}",
                    f"{error:.0e}",
                )
            )
    print(
        f"M = T = {WIDTH}, L = 3, C = 1; medians of {ROUNDS} rounds; the error is relative to a plain sum of products"
    )
    print(table(rows, ("output", "threads", "gram ms", "products ms", "ratio", "range", "error")))


def bare(sweep: mc.Sweep) -> None:
    """Compute the matrix products that no dual Gram can do without."""
    for h in sweep.h:
        h @ h.T
    for delta in sweep.delta[:-1]:
        delta[0] @ delta[0].T


def plain_gram(sweep: mc.Sweep) -> NDArray[np.float64]:
    """Return the dual Gram as the formula says it, for one output."""
    total = sum((h @ h.T + 1) * (delta[0] @ delta[0].T) for h, delta in zip(sweep.h, sweep.delta, strict=True))
    if sweep.finite_network.network.output_normalization == "none":
        return np.asarray(total / SAMPLES)
    g = np.eye(SAMPLES) - 1 / SAMPLES
    return np.asarray(g @ (total / SAMPLES) @ g)


def in_turn(*commands: Callable[[], object]) -> list[list[float]]:
    """Time the commands A B A B .., after one round that is not counted; return seconds."""
    seconds: list[list[float]] = [[] for _ in commands]
    for _ in range(ROUNDS + 1):
        for command, times in zip(commands, seconds, strict=True):
            start = time.perf_counter()
            command()
            times.append(time.perf_counter() - start)
    return [times[1:] for times in seconds]


if __name__ == "__main__":
    main()
