"""How well is lambda_max behind layer normalisation predicted, network by network? Run with --help for the options.

For each network the theory takes this network's own outputs. A line has the paper's bounds of lambda_max (the mean over
the networks of the lower and the upper one, in units of the measured value), and measured/theory: the median over the
networks, the smallest and the largest; "with control" the theory takes more of each network,
``mc.predict_leading(sweep, control=True)``. The second table is the law of lambda_max over networks beside the measured
quantiles; the third has finite networks with layer normalisation in the hidden layers beside the same without it and
with stretched activations, ``mf.without_layer_norm``.

python benchmarks/layer_norm_largest.py: M = 1000, T = 100, 20 networks a line; four minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
from threadpoolctl import threadpool_limits

import meanfield as mf
import montecarlo as mc
from meanfield.records import table

NETWORKS = {
    "relu (2, 0)": mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0),
    "tanh (3, 0.64)": mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64),
    "relu (4, 1)": mf.Network.uniform(mf.relu, depth=3, weight_variance=4.0, bias_variance=1.0),
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--outputs", type=int, nargs="+", default=[4, 5, 10])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--draws", type=int, default=2000)
    options = parser.parse_args()
    with threadpool_limits(1, user_api="blas"):
        one_by_one(options)
        without(options)


def one_by_one(options: argparse.Namespace) -> None:
    """Compare each network with the theory for its own outputs, and all of them with the law."""
    lines, laws = [], []
    for name, hidden, outputs in product(options.networks, ("none", "layer"), options.outputs):
        network = replace(NETWORKS[name], outputs=outputs).normalized(hidden=hidden, output="layer")
        found = list(measure(network, options))
        measured = np.array([largest for largest, *_ in found])
        ends = [(theory.largest.lower / largest, theory.largest.upper / largest) for largest, theory, _ in found]
        lines.append(
            (
                name,
                hidden,
                outputs,
                f"{np.median(measured):.1f}",
                "[{:.2f}, {:.2f}]".format(*np.mean(ends, axis=0)),
                *(spread([largest / (theory.prediction or 0) for largest, theory, _ in found]).split("|")),
                *(spread([largest / (theory.prediction or 0) for largest, _, theory in found]).split("|")),
            )
        )
        law = mf.layer_norm_spectrum(network, width=options.width, samples=options.samples, draws=options.draws)
        quantiles = (f"{np.quantile(measured, p):.1f} / {law.quantile(p):.1f}" for p in (0.25, 0.5, 0.75))
        laws.append((name, hidden, outputs, *quantiles, f"{np.mean(measured < law.median):.2f}"))
    print(f"lambda_max, M = {options.width}, T = {options.samples}, {options.members} networks a line")
    headings = ("network", "hidden", "C", "median", "bounds/measured")
    ratios = ("measured/theory", "from .. to", "with control", "from .. to")
    print(table(lines, (*headings, *ratios)), end="\n\n")
    print(f"measured / law of lambda_max over networks ({options.draws} draws)")
    print(table(laws, ("network", "hidden", "C", "25 %", "median", "75 %", "below the law's median")), end="\n\n")


def spread(ratios: list[float]) -> str:
    """Return the median, and the smallest and the largest."""
    return f"{np.median(ratios):.3f}|{min(ratios):.3f} .. {max(ratios):.3f}"


def without(options: argparse.Namespace) -> None:
    """Compare hidden layer normalisation with stretched activations, in finite networks with C = 1 and T = M/2."""
    lines = []
    samples = options.width // 2
    for name in options.networks:
        for output in ("none", "mean", "batch"):
            network = NETWORKS[name].normalized(hidden="layer", output=output)
            pair = (network, mf.without_layer_norm(network))
            measured = []
            for one in pair:
                experiment = mc.EigenvalueExperiment(one, options.width, samples)
                members = mc.run_ensemble(experiment, members=options.members, seed=0).members
                measured.append(np.array([member.lambda_max for member in members]))
            means = [values.mean() for values in measured]
            errors = [values.std(ddof=1) / np.sqrt(values.size) for values in measured]
            cells = [f"{mean:.4g} +- {error:.2g}" for mean, error in zip(means, errors, strict=True)]
            z = (means[0] - means[1]) / np.hypot(*errors)
            lines.append((name, output, *cells, f"{means[0] / means[1]:.3f}", f"{z:+.1f}"))
    print(f"lambda_max, M = {options.width}, T = {samples}, C = 1: layer normalisation in the hidden layers or not")
    print(table(lines, ("network", "output", "layer norm", "stretched activations", "ratio", "z")))


Compared = tuple[float, mf.EigenvalueStatistics, mf.EigenvalueStatistics]


def measure(network: mf.Network, options: argparse.Namespace) -> Iterator[Compared]:
    """Return lambda_max of each network, beside the theory for its own outputs, without control variates and with."""
    for seed in range(options.members):
        rng = np.random.default_rng(seed)
        finite = mc.sample_network(network, width=options.width, rng=rng)
        inputs = mc.sample_inputs(network, width=options.width, samples=options.samples, rng=rng)
        sweep = mc.propagate(finite, inputs)
        yield mc.measure_largest(sweep), mc.predict_leading(sweep), mc.predict_leading(sweep, control=True)


if __name__ == "__main__":
    main()
