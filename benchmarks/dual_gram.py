"""What does the dual Gram cost beyond the matrix products that it needs? Run: python benchmarks/dual_gram.py.

The limit is `A @ A.T` for every activity and every sensitivity, which NumPy makes a symmetric product; both are timed
in turn, in one process, with one and two BLAS threads.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from clock import in_turn
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import meanfield as mf
import montecarlo as mc
from meanfield.records import table

WIDTH = SAMPLES = 1000
CASES = [("none", 1, 25), ("mean", 1, 25), ("none", 10, 5), ("mean", 10, 5)]
"""Normalisation of the outputs, their number, and how many rounds."""


def main() -> None:
    """Print the table."""
    rows = []
    for output, outputs, rounds in CASES:
        network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64, outputs=outputs)
        network = network.normalized(output=output)
        rng = np.random.default_rng(0)
        finite = mc.sample_network(network, width=WIDTH, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(network, width=WIDTH, samples=SAMPLES, rng=rng))
        for threads in (1, 2):
            with threadpool_limits(threads, user_api="blas"):
                gram, products = in_turn(rounds, partial(mc.dual_gram, sweep), partial(bare, sweep))
            ratios = np.array(gram) / np.array(products)
            rows.append(
                (
                    output,
                    outputs,
                    threads,
                    f"{1e3 * np.median(gram):.1f}",
                    f"{1e3 * np.median(products):.1f}",
                    f"{np.median(ratios):.3f}",
                    f"{ratios.min():.3f} .. {ratios.max():.3f}",
                    f"{error(sweep):.0e}",
                )
            )
    print(
        f"M = T = {WIDTH}, L = 3; medians of 25 rounds, 5 for C = 10; the error is relative to a plain sum of products"
    )
    print(table(rows, ("output", "C", "threads", "gram ms", "products ms", "ratio", "range", "error")))


def bare(sweep: mc.Sweep) -> None:
    """Compute the matrix products that no dual Gram can do without."""
    for h in sweep.h:
        h @ h.T
    for delta in sweep.delta[:-1]:
        gradients = delta.reshape(-1, delta.shape[-1])
        gradients @ gradients.T


def error(sweep: mc.Sweep) -> float:
    """Return the largest error of the first and the last block of the dual Gram, relative to its largest entry."""
    gram, last = mc.dual_gram(sweep), slice(-SAMPLES, None)
    errors = []
    for k, rows in ((0, slice(SAMPLES)), (-1, last)):
        expected = plain_block(sweep, k)
        errors.append(np.abs(gram[rows, rows] - expected).max())
    return float(max(errors) / np.abs(gram).max())


def plain_block(sweep: mc.Sweep, k: int) -> NDArray[np.float64]:
    """Return the block of one output as the formula says it."""
    total = sum((h @ h.T + 1) * (delta[k] @ delta[k].T) for h, delta in zip(sweep.h, sweep.delta, strict=True))
    match sweep.finite_network.network.output_normalization:
        case "none":
            return np.asarray(total / SAMPLES)
        case "mean":
            g = np.eye(SAMPLES) - 1 / SAMPLES
            return np.asarray(g @ (total / SAMPLES) @ g)
    return np.full((SAMPLES, SAMPLES), np.nan)


if __name__ == "__main__":
    main()
