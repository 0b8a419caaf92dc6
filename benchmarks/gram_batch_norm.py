"""How accurate are the matrices of real inputs behind batch norm? Run: python benchmarks/gram_batch_norm.py.

First the theory alone, L = 3, on the digits of scikit-learn: seconds, the error that it estimates, and the error found,
both relative to the diagonal. For relu that is the largest difference from the finest rule; for activations that are
sampled the root of the mean square over the entries, against other points, with the errors of both. Then finite
networks: m_lambda and lambda_max, without normalisation of the outputs and with the mean subtracted, as a ratio of
measured to theory, with standard errors; and the root of the mean square over the entries of the tangent kernel,
measured less theory, relative to the diagonal, beside the part of it that is chance.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import meanfield as mf
import montecarlo as mc
from meanfield.records import table

Array = NDArray[np.float64]

ACTIVATIONS = [mf.relu, mf.tanh, mf.gelu]


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, nargs="+", default=[8, 30, 100])
    parser.add_argument("--widths", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--members", type=int, default=12)
    parser.add_argument("--most", type=int, default=2**16, help="points of a scrambling, at least 2048")
    parser.add_argument("--networks-up-to", type=int, default=30, help="samples of the finite networks")
    given = parser.parse_args()
    rows = [accuracy(phi, data(t), most=given.most) for phi in ACTIVATIONS for t in given.samples]
    print(table(rows, ("network", "T", "seconds", "estimated", "found")), flush=True)
    print()
    some = [t for t in given.samples if t <= given.networks_up_to]
    rows = [
        networks(phi, data(t), width, given.members, most=given.most)
        for phi in ACTIVATIONS
        for t in some
        for width in given.widths
    ]
    headers = ("network", "T", "M", "m_lambda", "lambda_max", "lambda_max, mean", "entries", "of which chance")
    print(table(rows, headers))


def data(samples: int) -> Array:
    """Return some digits."""
    digits = load_digits().data
    return np.asarray((digits / digits.std())[:samples])


def a_network(phi: mf.Activation, dimension: int, width: int) -> mf.Network:
    """Return a network of depth 3 for inputs of a dimension."""
    return mf.Network(
        activations=[phi, phi],
        width_ratios=[dimension / width, 1, 1],
        weight_variance=2.0,
        bias_variance=0.1,
        hidden_normalization="batch",
    )


def accuracy(phi: mf.Activation, x: Array, *, most: int) -> tuple[object, ...]:
    """Return a row on the theory alone."""
    network = a_network(phi, x.shape[1], 1000)
    start = time.perf_counter()
    found = mf.gram(network, x, width=1000, sampling=mf.Sampling(most=most))
    seconds = time.perf_counter() - start
    assert found.tangent is not None
    finer = mf.Sampling(tolerance=1e-9, most=most // 2, scramblings=16, seed=1)
    other = mf.gram(network, x, width=1000, tolerance=1e-14, sampling=finer)
    assert other.tangent is not None
    off = relative(found.tangent - other.tangent, other.tangent)
    estimated, error = found.error, float(off.max())
    if found.tangent_error is not None and other.tangent_error is not None:
        both = np.hypot(found.tangent_error, other.tangent_error)
        estimated, error = rms(relative(both, other.tangent)), rms(off)
    return (phi.name, len(x), f"{seconds:.2f}", f"{estimated:.1e}", f"{error:.1e}")


def networks(phi: mf.Activation, x: Array, width: int, members: int, *, most: int) -> tuple[object, ...]:
    """Return a row on finite networks beside it."""
    network = a_network(phi, x.shape[1], width)
    theory = mf.gram(network, x, width=width, sampling=mf.Sampling(most=most))
    assert theory.tangent is not None
    kernels = np.array([measured(network, x, width, member) for member in range(members)])
    chance = kernels.std(axis=0, ddof=1) / math.sqrt(members)
    g = np.eye(len(x)) - 1 / len(x)
    centred = [g @ kernel @ g for kernel in kernels]
    return (
        phi.name,
        len(x),
        width,
        ratio(kernels, theory.tangent, np.trace),
        ratio(kernels, theory.tangent, largest),
        ratio(np.array(centred), g @ theory.tangent @ g, largest),
        f"{rms(relative(kernels.mean(axis=0) - theory.tangent, theory.tangent)):.4f}",
        f"{rms(relative(chance, theory.tangent)):.4f}",
    )


def measured(network: mf.Network, x: Array, width: int, member: int) -> Array:
    """Return T F* of one network."""
    finite = mc.sample_network(network, width=width, rng=np.random.default_rng([width, member]))
    return np.asarray(mc.dual_gram(mc.propagate(finite, x)) * len(x))


def largest(matrix: Array) -> float:
    """Return the largest eigenvalue."""
    return float(np.linalg.eigvalsh(matrix)[-1])


def ratio(kernels: Array, theory: Array, of: Callable[[Array], float]) -> str:
    """Return the mean over networks as a ratio to the theory, and its standard error."""
    values = np.array([of(kernel) for kernel in kernels]) / of(theory)
    return f"{values.mean():.4f}({values.std(ddof=1) / math.sqrt(len(values)):.4f})"


def relative(matrix: Array, to: Array) -> Array:
    """Return absolute values relative to the root of the product of two entries on the diagonal of another matrix."""
    size = np.sqrt(np.diagonal(to))
    return np.asarray(np.abs(matrix) / np.multiply.outer(size, size))


def rms(matrix: Array) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt((matrix**2).mean()))


if __name__ == "__main__":
    main()
