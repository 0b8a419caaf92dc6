"""How long do the matrices of real inputs take, and how accurate are they? Run: python benchmarks/gram.py.

Covariance and tangent kernel together, L = 3, for Gaussian inputs of dimension 1000 and for the digits of scikit-learn,
whose norms vary; two threads unless told otherwise. Times are medians, in parentheses the shortest; the error is the
largest difference from `mf.overlap`, pair by pair, on entries drawn at random other than those that `mf.gram` checks
itself, relative to the root of the product of the two diagonal entries. The plain way is the closed form in NumPy on
whole matrices.
"""

from __future__ import annotations

import argparse
import math
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import meanfield as mf
from meanfield.records import table

Array = NDArray[np.float64]

NETWORKS = {
    "relu": mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0),
    "erf": mf.Network.uniform(mf.erf, depth=3, weight_variance=3.0, bias_variance=0.64),
    "gelu": mf.Network.uniform(mf.gelu, depth=3, weight_variance=2.0, bias_variance=0.1),
    "tanh": mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64),
    "silu": mf.Network.uniform(mf.silu, depth=3, weight_variance=2.0, bias_variance=0.1),
    "tanh, layer norm": mf.Network.uniform(
        mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64, hidden_normalization="layer"
    ),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--dimension", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    rows = []
    for name, network in NETWORKS.items():
        for data, x in inputs(given.samples, given.dimension):
            call = partial(mf.gram, network, x, width=1000, threads=given.threads)
            rows.append(
                (name, data, len(x), times(call, given.rounds), f"{error(network, x):.0e}", f"{peak(call):.0f}")
            )
        if name == "relu":
            for data, x in inputs(given.samples, given.dimension):
                seconds = times(partial(plain_relu, x), given.rounds)
                rows.append(("relu, plain NumPy", data, len(x), seconds, "", f"{peak(partial(plain_relu, x)):.0f}"))
    print(table(rows, ("network", "inputs", "T", "ms", "error", "MiB")))


def inputs(samples: list[int], dimension: int) -> Iterator[tuple[str, Array]]:
    """Yield Gaussian inputs and digits."""
    digits = load_digits().data
    for count in samples:
        yield "Gaussian", np.random.default_rng(0).standard_normal((count, dimension))
        yield "digits", (digits / digits.std())[:count]


def times(call: Callable[[], object], rounds: int) -> str:
    """Return the median and the shortest time in milliseconds."""
    call()
    measured = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        measured.append(1e3 * (time.perf_counter() - start))
    return f"{np.median(measured):.0f} ({min(measured):.0f})"


def peak(call: Callable[[], object]) -> float:
    """Return the most memory that it has at one time, in MiB."""
    tracemalloc.start()
    call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 2**20


def error(network: mf.Network, x: Array, pairs: int = 25) -> float:
    """Return the largest error of the entries of some pairs of samples."""
    found = mf.gram(network, x, width=1000)
    assert found.tangent is not None
    worst = 0.0
    for s, t in np.random.default_rng(1).integers(0, len(x), (pairs, 2)).tolist():
        if s == t:
            continue
        for matrix, wanted in zip((found.covariance, found.tangent), recursion(network, x[s], x[t]), strict=True):
            worst = max(worst, abs(matrix[s, t] - wanted) / math.sqrt(matrix[s, s] * matrix[t, t]))
    return worst


def recursion(network: mf.Network, x: Array, y: Array) -> tuple[float, float]:
    """Return covariance and tangent kernel of two inputs, as the formulas say it."""
    units = (len(x), *network.widths(1000)[1:-1])
    ss, st, tt = (float(a @ b) / len(x) for a, b in ((x, x), (x, y), (y, y)))
    theta = 0.0
    for l, phi in enumerate(network.activations):
        a, b, c = (network.weight_variance[l] * qhat + network.bias_variance[l] for qhat in (ss, st, tt))
        norm = math.sqrt(a * c) if network.hidden_normalization == "layer" else 1.0
        theta += units[l] * st + 1
        if norm != 1:
            a, b, c = 1.0, b / norm, 1.0
        theta *= network.weight_variance[l + 1] / norm * mf.overlap(phi.slope, a, b, c)
        ss, st, tt = mf.second_moment(phi, a), mf.overlap(phi, a, b, c), mf.second_moment(phi, c)
    return network.weight_variance[-1] * st + network.bias_variance[-1], theta + units[-1] * st + 1


def plain_relu(x: Array, width: int = 1000) -> tuple[Array, Array]:
    """Do the same for relu (2, 0) with whole matrices."""
    qhat = x @ x.T / x.shape[1]
    theta = x.shape[1] * qhat + 1
    for _ in range(2):
        q = 2 * qhat
        sd = np.sqrt(np.diagonal(q))
        limit = np.outer(sd, sd)
        angle = np.arccos(np.clip(q / limit, -1, 1))
        qhat = (limit * np.sin(angle) + (math.pi - angle) * q) / (2 * math.pi)
        theta = 2 * theta * (math.pi - angle) / (2 * math.pi) + width * qhat + 1
    return 2 * qhat, theta


if __name__ == "__main__":
    main()
