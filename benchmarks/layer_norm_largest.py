"""How well is lambda_max behind layer normalisation predicted? Run: python benchmarks/layer_norm_largest.py [PART ..].

Parts: networks (one by one: the theory takes the outputs of each network; a line has the paper's bounds of lambda_max,
the mean over the networks of the lower and the upper one in units of the measured value, and measured/theory, the
median over the networks, the smallest and the largest; "with control" the theory takes more of each network,
``mc.predict_leading(sweep, control=True)``), law (quantiles over networks beside those of ``mf.layer_norm_spectrum``,
and the mean of log(measured/law), with the splitting at finite width and without it), hidden (finite networks with
layer normalisation in the hidden layers beside the same without it and with stretched activations,
``mf.without_layer_norm``, T = M/2). All of them without an argument, with M = 1000, T = 100 and 20 networks a line:
four minutes on one core.
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
    """Print a table for each part."""
    parts = {"networks": one_by_one, "law": law, "hidden": without}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--outputs", type=int, nargs="+", default=[4, 5, 10])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--draws", type=int, default=4000)
    options = parser.parse_args()
    print(f"M = {options.width}, T = {options.samples}, {options.members} networks a line", end="\n\n")
    with threadpool_limits(1, user_api="blas"):
        for part in options.parts or parts:
            parts[part](options)
            print(flush=True)


def tried(options: argparse.Namespace) -> Iterator[tuple[str, str, int, mf.Network]]:
    """Return the networks with layer normalisation of the outputs, by what they are called in a table."""
    for name, hidden, outputs in product(options.networks, ("none", "layer"), options.outputs):
        yield name, hidden, outputs, replace(NETWORKS[name], outputs=outputs).normalized(hidden=hidden, output="layer")


def one_by_one(options: argparse.Namespace) -> None:
    """Compare each network with the theory for its own outputs."""
    lines = []
    for *names, network in tried(options):
        measured, ends, ratios = [], [], []
        for sweep in sweeps(network, options):
            largest = mc.measure_largest(sweep)
            theory, control = mc.predict_leading(sweep), mc.predict_leading(sweep, control=True)
            measured.append(largest)
            ends.append((theory.largest.lower / largest, theory.largest.upper / largest))
            ratios.append([largest / (one.prediction or 0) for one in (theory, control)])
        bounds = "[{:.2f}, {:.2f}]".format(*np.mean(ends, axis=0))
        spread = [
            cell
            for column in np.transpose(ratios)
            for cell in (f"{np.median(column):.3f}", f"{column.min():.3f} .. {column.max():.3f}")
        ]
        lines.append((*names, f"{np.median(measured):.1f}", bounds, *spread))
    print("lambda_max of each network")
    headings = ("network", "hidden", "C", "median", "bounds/measured")
    print(table(lines, (*headings, "measured/theory", "from .. to", "with control", "from .. to")))


def law(options: argparse.Namespace) -> None:
    """Compare all networks with the law of lambda_max."""
    lines = []
    for *names, network in tried(options):
        measured = np.array([mc.measure_largest(sweep) for sweep in sweeps(network, options)])
        split, leading = (
            mf.layer_norm_spectrum(
                network, width=options.width, samples=options.samples, draws=options.draws, leading_order=leading_order
            )
            for leading_order in (False, True)
        )
        quantiles = (f"{np.quantile(measured, p):.1f} / {split.quantile(p):.1f}" for p in (0.25, 0.5, 0.75))
        error = np.log(measured).std(ddof=1) / np.sqrt(measured.size)
        off = [np.log(measured).mean() - np.log(one.draws).mean() for one in (split, leading)]
        lines.append((*names, *quantiles, f"{off[0]:+.3f} +- {error:.3f}", f"{off[1]:+.3f}"))
    print(f"measured / law of lambda_max over networks ({options.draws} draws)")
    headings = ("network", "hidden", "C", "25 %", "median", "75 %", "log(measured/law)", "leading order")
    print(table(lines, headings))


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
    print(f"lambda_max, T = {samples}, C = 1: layer normalisation in the hidden layers or not")
    print(table(lines, ("network", "output", "layer norm", "stretched activations", "ratio", "z")))


def sweeps(network: mf.Network, options: argparse.Namespace) -> Iterator[mc.Sweep]:
    """Sample networks and inputs, and propagate."""
    for seed in range(options.members):
        rng = np.random.default_rng(seed)
        finite = mc.sample_network(network, width=options.width, rng=rng)
        yield mc.propagate(finite, mc.sample_inputs(network, width=options.width, samples=options.samples, rng=rng))


if __name__ == "__main__":
    main()
