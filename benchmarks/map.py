"""How long does a map take, and how accurate is it? Run: python benchmarks/map.py.

lambda_max over 200 x 200 variances at L = 50, all cells together (Theorem 2.2, and the lower bound of Theorem 3.3), and
the largest error of some cells against the plain computation: relative, of those cells of which kappa_1 - kappa_2 has
lost no more than half its digits. ``--tiny`` is for the tests.
"""

from __future__ import annotations

import argparse
import dataclasses
from functools import partial
from typing import Any

import numpy as np
from clock import timed

import meanfield as mf
from meanfield.records import table

ACTIVATIONS = {"tanh": mf.tanh, "relu": mf.relu, "erf": mf.erf, "silu": mf.silu}


def measured(phi: mf.Activation, output: str, *, points: int, depth: int, cells: int, threads: int) -> tuple[Any, ...]:
    """Return a row: seconds of the map, of the plain computation of all cells, error of the table, error of cells."""
    weight_variances = np.linspace(0.5, 4 if phi in (mf.tanh, mf.erf) else 1.9, points)  # beyond 2 relu grows
    bias_variances = np.linspace(0.01, 1, points)
    network = mf.Network.uniform(phi, depth=depth, weight_variance=1.0, output_normalization=output)
    seconds, found = timed(
        lambda: mf.sweep(
            network, width=1000, weight_variance=weight_variances, bias_variance=bias_variances, threads=threads
        )
    )
    rng = np.random.default_rng(0)
    kept = np.argwhere(np.isfinite(found.lower) & (found.kappa_1 - found.kappa_2 > 1e-7 * found.kappa_1))
    errors, plain_seconds = [], 0.0
    for i, j in rng.permutation(kept)[:cells].tolist():
        here = dataclasses.replace(
            network,
            weight_variance=(float(weight_variances[i]),) * depth,
            bias_variance=(float(bias_variances[j]),) * depth,
        )
        taken, plain = timed(partial(mf.eigenvalue_statistics, here, width=1000, samples=1000, sharp=False))
        plain_seconds += taken
        errors.append(abs(found.lower[i, j] / plain.largest.lower - 1))
    name = next(key for key, value in ACTIVATIONS.items() if value is phi)
    per_cell = plain_seconds / len(errors)
    return (
        name,
        output,
        f"{seconds:.2f}",
        f"{per_cell * found.lower.size:.0f}",
        f"{found.error:.0e}" if found.error else "closed forms",
        f"{max(errors):.0e}",
        f"{np.median(errors):.0e}",
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    size = {"points": 20, "depth": 5, "cells": 3} if options.tiny else {"points": 200, "depth": 50, "cells": 30}
    rows = [
        measured(phi, output, threads=options.threads, **size)
        for phi in ACTIVATIONS.values()
        for output in ("none", "mean")
    ]
    headers = ("activation", "outputs", "s", "s, cell by cell", "table off by", "largest error", "median")
    print(table(rows, headers))


if __name__ == "__main__":
    main()
