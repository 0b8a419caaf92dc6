"""What do large problems cost, with the dual Gram and without it? Run: python benchmarks/large.py [PART ..].

Parts: solver (lambda_max of a dual Gram of 2000 samples by Lanczos iterations, against a dense eigensolver),
single (what float32 changes at M = T = 1000), outputs (C = 10 at M = T = 1000 by both methods), wide (M = T = 4000).
All of them without an argument: five minutes, and 2 GiB. One BLAS thread, or as many as OMP_NUM_THREADS says. GiB is
what was predicted for one network, and what this process had taken at most until then.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from clock import timed
from numpy.typing import NDArray
from scipy import linalg
from threadpoolctl import threadpool_limits

import meanfield as mf
import montecarlo as mc
from meanfield.records import table
from montecarlo.spectrum import largest_eigenvalue

TANH = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
RELU = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
OUTPUTS = ("none", "mean", "batch")


def main() -> None:
    """Print a table for each part."""
    parts = {"solver": solver, "single": single, "outputs": outputs, "wide": wide}
    with threadpool_limits(int(os.environ.get("OMP_NUM_THREADS", "1")), user_api="blas"):
        for part in sys.argv[1:] or parts:
            parts[part]()
            print(flush=True)


def solver() -> None:
    """Compare the eigensolvers on one Gram, and the operator with it."""
    rows = []
    for output in OUTPUTS:
        sweep = sample(TANH.normalized(output=output), 1000, 2000)
        gram = mc.dual_gram(sweep)
        routes: tuple[Callable[[], float], ...] = (
            partial(dense_eigenvalue, gram),
            partial(largest_eigenvalue, gram),
            partial(mc.measure_largest, sweep, method="matrix-free"),
        )
        seconds, values = zip(*map(timed, routes), strict=True)
        dense, lanczos, _ = seconds
        errors = [abs(value / values[0] - 1) for value in values[1:]]
        rows.append((output, *(f"{s:.3f}" for s in seconds), f"{lanczos / dense:.3f}", *(f"{e:.0e}" for e in errors)))
    print("lambda_max of a dual Gram, tanh, M = 1000, T = 2000, C = 1; seconds")
    headings = ("output", "dense solver", "Lanczos", "without the Gram", "Lanczos/dense", "error", "without the Gram")
    print(table(rows, headings))


def single() -> None:
    """Compare float32 with float64."""
    rows = []
    for name, network in (("tanh", TANH), ("relu", RELU)):
        for output in OUTPUTS:
            finite, inputs = draw(network.normalized(output=output), 1000, 1000)
            (slow, double), (fast, single) = (
                timed(partial(measure, finite, inputs, dtype)) for dtype in ("float64", "float32")
            )
            errors = [
                getattr(single, key) / getattr(double, key) - 1 for key in ("mean", "second_moment", "prediction")
            ]
            rows.append((name, output, f"{slow:.2f}", f"{fast:.2f}", *(f"{e:.0e}" for e in errors)))
    print("float32 against float64, M = T = 1000, C = 1; seconds, and relative errors")
    print(table(rows, ("network", "output", "float64 s", "float32 s", "m_lambda", "s_lambda", "lambda_max")))


def outputs() -> None:
    """Compare the methods for ten outputs."""
    rows = []
    for output in ("none", "mean", "layer"):
        rows += both(replace(TANH, outputs=10).normalized(output=output), 1000, ("dense", "matrix-free"))
    print("tanh, M = T = 1000, C = 10: a Gram of 0.75 GiB")
    print(table(rows, HEADINGS))


def wide() -> None:
    """Measure a wide network by both methods, and in float32."""
    rows = both(RELU, 4000, ("dense", "matrix-free"))
    rows += both(RELU, 4000, ("dense",), dtype="float32")
    print("relu, M = T = 4000, C = 1, L = 3")
    print(table(rows, HEADINGS))


HEADINGS = (
    "output",
    "dtype",
    "method",
    "sweep s",
    "all s",
    "lambda_max s",
    "m_lambda",
    "s_lambda",
    "lambda_max",
    "GiB",
    "at most",
)


def both(network: mf.Network, size: int, methods: tuple[str, ...], dtype: str = "float64") -> list[tuple[str, ...]]:
    """Measure one network by every method."""
    finite, inputs = draw(network, size, size)
    forward, sweep = timed(partial(mc.propagate, finite, inputs, dtype=dtype))
    rows = []
    for method in methods:
        alone = timed(partial(mc.measure_largest, sweep, method=method))[0]
        seconds, measured = timed(partial(mc.measure_eigenvalues, sweep, method=method))
        numbers = [f"{x:.13g}" for x in (measured.mean, measured.second_moment, measured.prediction)]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        times = [f"{x:.1f}" for x in (forward, seconds, alone)]
        predicted = mc.EigenvalueExperiment(network, size, size, method=method, dtype=dtype).memory
        gib = f"{predicted:.2f}", f"{peak:.2f}"
        rows.append((str(network.output_normalization), dtype, method, *times, *numbers, *gib))
    return rows


def draw(network: mf.Network, width: int, samples: int) -> tuple[mc.FiniteNetwork, NDArray[np.float64]]:
    """Sample a network and inputs."""
    rng = np.random.default_rng(0)
    return mc.sample_network(network, width=width, rng=rng), mc.sample_inputs(
        network, width=width, samples=samples, rng=rng
    )


def sample(network: mf.Network, width: int, samples: int) -> mc.Sweep:
    """Sample and propagate."""
    return mc.propagate(*draw(network, width, samples))


def measure(finite: mc.FiniteNetwork, inputs: NDArray[np.float64], dtype: str) -> mf.EigenvalueStatistics:
    """Propagate and measure."""
    return mc.measure_eigenvalues(mc.propagate(finite, inputs, dtype=dtype))


def dense_eigenvalue(gram: NDArray[np.float64]) -> float:
    """Return the largest eigenvalue by reduction to a tridiagonal matrix."""
    return float(linalg.eigvalsh(gram, subset_by_index=(len(gram) - 1, len(gram) - 1))[0])


if __name__ == "__main__":
    main()
