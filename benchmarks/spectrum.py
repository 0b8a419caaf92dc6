"""Is the spectrum after mean subtraction that of finite networks? Run: python benchmarks/spectrum.py (ten minutes).

For each network: measured over predicted, with its standard error, of the mean of the k-th largest eigenvalue for
k = 1, 2, 3 and 10; the Kolmogorov-Smirnov distance between the density and the eigenvalues of all networks, as they are
and in units of each network's own mean, which fluctuates by O(1/sqrt(M)) from one to the next; and the seconds of
lambda_max and of a density of 200 points.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import meanfield as mf
import montecarlo as mc
from meanfield.records import table

RANKS = (1, 2, 3, 10)
LAWS = {
    "relu (2, 0)": (mf.relu, 2.0, 0.0),
    "relu (4, 1)": (mf.relu, 4.0, 1.0),
    "tanh (3, 0.64)": (mf.tanh, 3.0, 0.64),
    "gelu (2, 0.1)": (mf.gelu, 2.0, 0.1),
    "sigmoid (4, 0.5)": (mf.sigmoid, 4.0, 0.5),
}
SIZES = [(2, 1.0), (3, 0.25), (3, 1.0), (3, 4.0), (5, 1.0)]
"""Depth, and rho = M/T."""


def networks() -> dict[str, tuple[mf.Network, float]]:
    """Return networks with their rho, by name."""
    found = {}
    for depth, rho in SIZES:
        for name, (phi, weights, biases) in LAWS.items():
            network = mf.Network.uniform(phi, depth=depth, weight_variance=weights, bias_variance=biases)
            found[f"{name}, L = {depth}, rho = {rho:g}"] = network, rho
    unequal = mf.Network(activations=[mf.relu, mf.tanh], width_ratios=[0.5, 1.5, 1.0], weight_variance=2.0)
    return found | {"relu, tanh (2, 0), alpha = 0.5, 1.5, 1": (unequal, 1.0)}


def eigenvalues(network: mf.Network, width: int, samples: int, seed: int) -> NDArray[np.float64]:
    """Return the eigenvalues of F* of one network but that of the mean, in decreasing order."""
    rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(seed,)))
    with threadpool_limits(1):
        finite = mc.sample_network(network, width=width, rng=rng)
        inputs = mc.sample_inputs(network, width=width, samples=samples, rng=rng)
        gram = mc.dual_gram(mc.propagate(finite, inputs))
        return np.asarray(np.linalg.eigvalsh(gram)[:0:-1], dtype=np.float64)


def distance(spectrum: mf.Spectrum, values: NDArray[np.float64]) -> float:
    """Return the Kolmogorov-Smirnov distance of values from the density, at 200 of their quantiles."""
    shares = np.linspace(0.0025, 0.9975, 200)
    above = np.asarray(spectrum.above(np.quantile(values, 1 - shares)))
    return float(np.max(np.abs(above - shares)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--only", default="", help="what a network's name has to contain")
    options = parser.parse_args()
    rows = []
    with ProcessPoolExecutor(min(2, len(os.sched_getaffinity(0)))) as executor:
        for name, (plain, rho) in tqdm(networks().items(), leave=False):
            if options.only not in name:
                continue
            network, samples = plain.normalized(output="mean"), round(options.width / rho)
            one = partial(eigenvalues, network, options.width, samples)
            found = np.array(list(executor.map(one, range(options.members))))
            clock = time.perf_counter()
            spectrum = mf.spectrum(network, width=options.width, samples=samples)
            largest = spectrum.largest
            seconds = time.perf_counter() - clock
            clock = time.perf_counter()
            spectrum.density(np.linspace(spectrum.mean / 20, 1.2 * largest, 200))
            seconds_of_density = time.perf_counter() - clock
            ratios = []
            for rank in RANKS:
                values = found[:, rank - 1] / spectrum.kth_largest(rank)
                ratios.append(f"{values.mean():.3f}({values.std(ddof=1) / math.sqrt(values.size):.3f})")
            own = found / found.mean(axis=1, keepdims=True) * spectrum.mean
            distances = [f"{distance(spectrum, values):.3f}" for values in (found, own)]
            times = [f"{seconds:.2f}", f"{seconds_of_density:.2f}"]
            rows.append((name, f"{largest:.4g}", *ratios, *distances, *times, str(len(spectrum.validity))))
    ranks = [f"k = {rank}" for rank in RANKS]
    print(table(rows, ("network", "lambda_max", *ranks, "KS", "KS own", "s", "s density", "warnings")))


if __name__ == "__main__":
    main()
