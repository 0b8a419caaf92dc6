"""Which normalisation cures the pathological sharpness? Run: python benchmarks/twelve.py (a quarter of an hour).

For each of the twelve combinations of hidden and output normalisation: lambda_max by the theory and of finite networks
with C = 6 outputs, at several widths with M/T fixed, and the power of M with which it grows. Where lambda_max is
proportional to the squared readout weights, their norm is taken as a control variate.
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np
from tqdm import tqdm

import meanfield as mf
import montecarlo as mc
from meanfield.records import table

HIDDEN, OUTPUT = ("none", "batch", "layer"), ("none", "mean", "batch", "layer")
NETWORKS = {"relu": (mf.relu, 2.0, 0.0), "tanh": (mf.tanh, 3.0, 0.64)}
HEADERS = ("activation", "hidden", "output", "M", "theory", "by", "measured", "ratio", "power, theory", "measured")


def theory(network: mf.Network, width: int, samples: int) -> tuple[float, str]:
    """Return lambda_max at finite width, and what it rests on."""
    if network.output_normalization == "layer":
        try:
            law = mf.layer_norm_spectrum(network, width=width, samples=samples, draws=400, seed=0)
        except mf.AssumptionError:  # odd activations behind batch normalisation: gradients of samples hardly overlap
            return mf.eigenvalue_statistics(network, width=width, samples=samples).largest.lower, "lower bound"
        return law.median, "secular law"
    if network.hidden_normalization == "batch":
        statistics = mf.eigenvalue_statistics(network, width=width, samples=samples, sharp=False)
        if statistics.theorem.endswith("lambda_one"):
            return statistics.largest.lower, "Theta"
        return mf.bulk_spectrum(network, width=width, samples=samples).largest, "end of the bulk"
    if network.output_normalization == "none":
        if network.hidden_normalization == "layer":
            statistics = mf.eigenvalue_statistics(network, width=width, samples=samples)
            assert statistics.prediction is not None
            return statistics.prediction, "Theorem 2.2"
        return float(mf.top_eigenvalues(network, width=width, samples=samples).each[0]), "top eigenvalues"
    plain = mf.without_layer_norm(network)
    return mf.drawn_largest(plain, width=width, samples=samples, draws=12).mean, "drawn nodes"


def power(widths: list[int], values: list[float]) -> float:
    """Return the slope of log lambda_max over log M."""
    return float(np.polyfit(np.log(widths), np.log(values), 1)[0])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[160, 320, 640])
    parser.add_argument("--ratio", type=int, default=8, help="M/T")
    parser.add_argument("--outputs", type=int, default=6)
    parser.add_argument("--members", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--activations", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    options = parser.parse_args()
    rows = []
    with mc.Processes(options.workers) as workers:
        for name, hidden, output in tqdm(list(product(options.activations, HIDDEN, OUTPUT)), leave=False):
            phi, weight_variance, bias_variance = NETWORKS[name]
            network = mf.Network.uniform(
                phi,
                depth=3,
                weight_variance=weight_variance,
                bias_variance=bias_variance,
                outputs=options.outputs,
                hidden_normalization=hidden,
                output_normalization=output,
            )
            predicted, measured, cells = [], [], []
            for width in options.widths:
                samples = width // options.ratio
                value, by = theory(network, width, samples)
                ensemble = mc.run_ensemble(
                    mc.EigenvalueExperiment(network, width, samples), members=options.members, seed=0, executor=workers
                )
                largest = [member.lambda_max for member in ensemble.members]
                if output == "layer":  # heavy-tailed: the median of networks
                    middle = float(np.median(largest))
                    error = 1.25 * float(np.std(largest, ddof=1)) / np.sqrt(len(largest))
                else:
                    estimate = mc.controlled_mean(largest, mc.readout_norms(ensemble))
                    middle, error = estimate.mean, estimate.standard_error
                predicted.append(value)
                measured.append(middle)
                cells.append((width, f"{value:.4g}", by, f"{middle:.4g} ± {error:.1g}", f"{middle / value:.3f}"))
            growth = [f"{power(options.widths, values):.2f}" for values in (predicted, measured)]
            first = True
            for cell in cells:
                rows.append((name if first else "", *((hidden, output) if first else ("", "")), *cell, *growth))
                growth, first = ["", ""], False
    print(table(rows, HEADERS))


if __name__ == "__main__":
    main()
