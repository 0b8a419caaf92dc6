"""What do the collective modes do to lambda_max of deep networks? Run: python benchmarks/collective.py (five minutes).

Mean lambda_max of finite networks after mean subtraction, with its standard error, beside the spectrum's with the
eigenvalues that collective modes move, and without: both counted in the same way, so that the modes are the difference.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np

import meanfield as mf
import montecarlo as mc
from meanfield.records import table
from meanfield.spectrum.corrected import CorrectedCount
from meanfield.spectrum.limit import limit_model
from meanfield.spectrum.limit_density import LimitDensity

CASES = [
    (mf.relu, 2.0, 0.0, 5, 800, 1600),
    (mf.relu, 2.0, 0.0, 5, 400, 2000),
    (mf.relu, 2.0, 0.0, 8, 600, 1200),
    (mf.gelu, 2.0, 0.0, 8, 400, 400),
    (mf.gelu, 2.0, 0.1, 8, 400, 400),
    (mf.tanh, 3.0, 0.64, 5, 800, 800),
]


def without_modes(spectrum: mf.Spectrum) -> float:
    """Return lambda_max of the density alone."""
    network, width = spectrum.network, spectrum.width
    limit = LimitDensity(limit_model(network, spectrum.order, network.widths(width)[:-1], spectrum.samples))
    count = CorrectedCount(limit, None, network.outputs * spectrum.samples)
    return count.place_of_mean(1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=40, help="networks for each line")
    parser.add_argument("--scale", type=float, default=1.0, help="of widths and samples")
    arguments = parser.parse_args()
    rows = []
    for phi, weights, biases, depth, width, samples in CASES:
        network = mf.Network.uniform(
            phi, depth=depth, weight_variance=weights, bias_variance=biases, output_normalization="mean"
        )
        width, samples = round(arguments.scale * width), round(arguments.scale * samples)
        spectrum = mf.spectrum(network, width=width, samples=samples)
        start = time.perf_counter()
        largest = spectrum.largest
        seconds = time.perf_counter() - start
        alone = without_modes(spectrum)
        experiment = mc.EigenvalueExperiment(network, width, samples)
        ensemble = mc.run_ensemble(experiment, members=arguments.members, seed=7)
        measured = np.array([member.largest.lower for member in ensemble.members])
        mean, error = measured.mean(), measured.std(ddof=1) / math.sqrt(measured.size)
        rows.append(
            (
                f"{phi.name} ({weights:g}, {biases:g}) L = {depth} M = {width} T = {samples}",
                f"{mean:.3f} +- {error:.3f}",
                *(f"{x:.3f} {mean / x:.3f} +- {error / x:.3f}" for x in (alone, largest)),
                f"{seconds:.1f} s",
            )
        )
    print(table(rows, ("network", "measured", "without modes, ratio", "with modes, ratio", "time")))


if __name__ == "__main__":
    main()
