"""How close do drawn nodes come to lambda_max of finite networks? Run: python benchmarks/drawn.py.

For each network, number of outputs and width (T = M/rho): lambda_max of simulated networks and of drawn nodes, mean and
standard deviation over networks, with standard errors in brackets, and the seconds of one simulated network and of one
draw. With ``--own`` each simulated network is predicted from its own weights: mean and standard deviation of the ratio
simulated/predicted, and their correlation. Draws without an edge are counted, and are in no figure.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
from numpy.typing import NDArray

import meanfield as mf
import montecarlo as mc
from meanfield.records import table

Array = NDArray[np.float64]

NETWORKS = {
    "relu(2,0)": (mf.relu, 2.0, 0.0),
    "relu(4,1)": (mf.relu, 4.0, 1.0),
    "tanh(3,.64)": (mf.tanh, 3.0, 0.64),
    "gelu(2,.1)": (mf.gelu, 2.0, 0.1),
    "sigmoid(4,.5)": (mf.sigmoid, 4.0, 0.5),
}


def network_of(name: str, arguments: argparse.Namespace, outputs: int) -> mf.Network:
    """Return the network of a name."""
    phi, weight_variance, bias_variance = NETWORKS[name]
    return mf.Network.uniform(
        phi,
        depth=arguments.depth,
        weight_variance=weight_variance,
        bias_variance=bias_variance,
        outputs=outputs,
        output_normalization=arguments.output,
    )


def simulate(network: mf.Network, width: int, samples: int, members: int, own: bool) -> tuple[Array, Array]:
    """Return lambda_max of simulated networks, and what their own weights predict."""
    measured, predicted = [], []
    for stream in np.random.SeedSequence(1).spawn(members):
        rng = np.random.default_rng(stream)
        finite = mc.sample_network(network, width=width, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng))
        measured.append(mc.measure_largest(sweep))
        if own:
            predicted.append(mc.predict_largest(sweep).largest)
    return np.array(measured), np.array(predicted)


def error(values: Array) -> float:
    """Return the standard error of a mean."""
    return float(values.std(ddof=1) / math.sqrt(values.size))


def row(name: str, network: mf.Network, width: int, arguments: argparse.Namespace) -> list[str]:
    """Return a row of the table."""
    samples = round(width / arguments.rho)
    start = time.perf_counter()
    measured, predicted = simulate(network, width, samples, arguments.members, arguments.own)
    of_member = (time.perf_counter() - start) / arguments.members
    cells = [name, f"{network.outputs}", f"{width}", f"{measured.mean():.4g} ({error(measured):.2g})"]
    sd = float(measured.std(ddof=1))
    if arguments.own:
        ratio = measured / predicted
        correlation = np.corrcoef(measured, predicted)[0, 1]
        return [*cells, f"{ratio.mean():.4f} ({error(ratio):.2g})", f"{ratio.std(ddof=1):.3f}", f"{correlation:.3f}"]
    start = time.perf_counter()
    drawn = mf.drawn_largest(network, width=width, samples=samples, draws=arguments.draws, seed=2)
    of_draw = (time.perf_counter() - start) / arguments.draws
    off = drawn.mean / measured.mean() - 1
    uncertain = math.hypot(drawn.standard_error / drawn.mean, error(measured) / measured.mean())
    return [
        *cells,
        f"{drawn.mean:.4g} ({drawn.standard_error:.2g})",
        f"{100 * off:+.1f} ({100 * uncertain:.1f})",
        f"{sd:.3g}",
        f"{drawn.sd:.3g}",
        f"{drawn.sd / sd:.2f} ({drawn.sd / sd * math.sqrt(0.5 / measured.size + 0.5 / drawn.draws):.2f})",
        f"{len(drawn.failures)}",
        f"{of_member:.2f}",
        f"{of_draw:.2f}",
    ]


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["relu(2,0)", "tanh(3,.64)"])
    parser.add_argument("--outputs", nargs="+", type=int, default=[1, 2, 4, 10])
    parser.add_argument("--widths", nargs="+", type=int, default=[200, 400, 800])
    parser.add_argument("--rho", type=float, default=1.0, help="M/T")
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--output", choices=["mean", "batch"], default="mean", help="normalisation of the outputs")
    parser.add_argument("--members", type=int, default=40, help="simulated networks")
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--own", action="store_true", help="predict each network from its own weights")
    arguments = parser.parse_args()
    headers = ["network", "C", "M", "simulated"]
    if arguments.own:
        headers += ["simulated/predicted", "sd", "correlation"]
    else:
        headers += ["drawn", "off, %", "sd", "drawn sd", "ratio", "failed", "s a network", "s a draw"]
    rows = []
    for name in arguments.networks:
        for outputs in arguments.outputs:
            for width in arguments.widths:
                rows.append(row(name, network_of(name, arguments, outputs), width, arguments))
                print(*rows[-1], sep="  ", flush=True)
    print()
    print(table(rows, headers))


if __name__ == "__main__":
    main()
