"""Do single readout weights make the largest eigenvalues? Run: python benchmarks/readout_outliers.py (a minute).

For L >= 3 every unit j of the last hidden layer whose readout weight is beyond a pole of the cavity equations makes an
eigenvalue of its own. In wide layers such weights are rare; in a narrow one they stand out. The table has, over
networks: the correlation of lambda_max with the largest squared readout weight, and the mean weight that the top
eigenvector's gradient, sum_s v_s delta_j(s), has on that one unit. Below, how lambda_max grows with M.
"""

from __future__ import annotations

import argparse

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import meanfield as mf
import montecarlo as mc
from meanfield.records import table


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=600)
    parser.add_argument("--members", type=int, default=60)
    options = parser.parse_args()
    rows = []
    for ratio in (0.02, 0.05, 0.2, 1.0):
        network = mf.Network(
            activations=[mf.relu, mf.relu], width_ratios=[1, 1, ratio], weight_variance=2.0, output_normalization="mean"
        )
        largest, weights, shares = [], [], []
        for stream in tqdm(np.random.SeedSequence(0).spawn(options.members), leave=False):
            rng = np.random.default_rng(stream)
            with threadpool_limits(1):
                finite = mc.sample_network(network, width=options.width, rng=rng)
                inputs = mc.sample_inputs(network, width=options.width, samples=options.width, rng=rng)
                sweep = mc.propagate(finite, inputs)
                values, vectors = np.linalg.eigh(mc.dual_gram(sweep))
            gradient = vectors[:, -1] @ sweep.delta[-2][0]  # of the units of the last hidden layer
            first = int(np.argmax(finite.weights[-1][0] ** 2))
            largest.append(values[-1])
            weights.append(finite.weights[-1][0, first] ** 2)
            shares.append(gradient[first] ** 2 / np.sum(gradient**2))
        correlation = np.corrcoef(largest, weights)[0, 1]
        theory = mf.spectrum(network, width=options.width, samples=options.width).largest
        rows.append(
            (
                f"{ratio:g}",
                f"{np.mean(largest):.3f}({np.std(largest, ddof=1) / np.sqrt(options.members):.3f})",
                f"{theory:.3f}",
                f"{correlation:.2f}",
                f"{np.mean(shares):.2f}",
                f"{1 / (ratio * options.width):.3f}",
            )
        )
    headers = ("alpha_2", "lambda_max", "theory", "correlation", "share of the unit", "one of alpha_2 M")
    print(f"relu (2, 0), L = 3, M = T = {options.width}, {options.members} networks\n{table(rows, headers)}\n")
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, output_normalization="mean")
    widths = [10**power for power in range(2, 10)]
    growth = [f"{mf.spectrum(network, width=width, samples=width).largest:.3f}" for width in widths]
    print(table([("lambda_max", *growth)], ("M = T", *(f"1e{power}" for power in range(2, 10)))))


if __name__ == "__main__":
    main()
