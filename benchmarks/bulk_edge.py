"""Where does the bulk of hidden batch normalisation end in finite networks? Run: python benchmarks/bulk_edge.py.

For each network: lambda_bulk, at which C (T-1) eigenvalues are in the leading order, lambda_max by
``mf.bulk_spectrum`` and of finite networks; measured over leading order and over theory, without and with the mean
eigenvalue of each network as a control (the readout's |W|^2 scatters by sqrt(2/M) and moves all eigenvalues alike);
the standard deviation over networks, and the edge of the density by the theory. M = 1000, T = 32, 64, 128, L = 3, 5,
20 networks: ten minutes on one core.
"""

from __future__ import annotations

import argparse
import math
import time
from itertools import product

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import meanfield as mf
import montecarlo as mc
from meanfield.records import table

HEADINGS = (
    *("network", "L", "T", "C", "lambda_bulk", "theory", "measured", "/lambda_bulk", "/theory", "with control"),
    *("sd", "sd measured", "edge", "seconds"),
)


def measured(network: mf.Network, *, width: int, samples: int, members: int) -> NDArray[np.float64]:
    """Return lambda_max and the mean of the C (T-1) eigenvalues, shape (members, 2)."""
    found = []
    for seed in np.random.SeedSequence([samples, network.depth, network.outputs]).spawn(members):
        rng = np.random.default_rng(seed)
        finite = mc.sample_network(network, width=width, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng))
        dual = mc.dual_gram(sweep)
        number = network.outputs * (samples - 1)
        found.append((mc.measure_largest(sweep), np.trace(dual) / number))
    return np.array(found)


def mean_and_error(values: NDArray[np.float64]) -> str:
    """Return the mean with its standard error in brackets."""
    return f"{values.mean():.3f}({values.std(ddof=1) / math.sqrt(values.size):.3f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--samples", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--depths", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--outputs", type=int, nargs="+", default=[1])
    parser.add_argument("--output", default="mean", choices=["mean", "batch"], help="normalisation of the outputs")
    parser.add_argument("--activations", nargs="+", default=["relu", "tanh", "gelu", "sigmoid"])
    parser.add_argument("--members", type=int, default=20)
    options = parser.parse_args()
    rows = []
    with threadpool_limits(1, user_api="blas"):
        for samples, depth, outputs, name in product(
            options.samples, options.depths, options.outputs, options.activations
        ):
            plain = mf.Network.uniform(getattr(mf, name), depth=depth, weight_variance=2.0, outputs=outputs)
            network = plain.normalized(hidden="batch", output=options.output)
            clock = time.perf_counter()
            bulk = mf.bulk_spectrum(network, width=options.width, samples=samples)
            theory = bulk.largest
            seconds = time.perf_counter() - clock
            largest, mean = measured(network, width=options.width, samples=samples, members=options.members).T
            controlled = largest / mean * bulk.degenerate if options.output == "mean" else largest
            cells = [f"{bulk.degenerate:.4g}", f"{theory:.4g}", f"{largest.mean():.4g}"]
            cells += [mean_and_error(values) for values in (largest / bulk.degenerate, largest / theory)]
            cells += [mean_and_error(controlled / theory), f"{bulk.largest_sd:.3g}", f"{largest.std(ddof=1):.3g}"]
            cells += [f"{bulk.edge:.4g}" if options.output == "mean" else "-", f"{seconds:.2f}"]
            rows.append((name, str(depth), str(samples), str(outputs), *cells))
    print(f"M = {options.width}, {options.members} networks, outputs: {options.output}")
    print(table(rows, HEADINGS))


if __name__ == "__main__":
    main()
