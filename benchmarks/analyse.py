"""How long does the whole chain of the theory take, and how accurate is it? Run: python benchmarks/analyse.py.

Milliseconds of a warm call of `analyse` for L = 3, and the error of kappa_2 against fifteen published decimals.
"""

from __future__ import annotations

import timeit
from functools import partial

import numpy as np

import meanfield as mf
from meanfield.records import table

NETWORKS = [
    ("relu (2, 0)", mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0), 0.342854318141471),
    (
        "tanh (3, 0.64)",
        mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64),
        0.118615372062933,
    ),
    ("relu (4, 1)", mf.Network.uniform(mf.relu, depth=3, weight_variance=4.0, bias_variance=1.0), 2.331758739687525),
]


def main() -> None:
    """Print the table."""
    rows = []
    for name, network, kappa_2 in NETWORKS:
        for method in (mf.AUTO, mf.GaussHermite(50), mf.GaussHermite(200)):
            error = abs(mf.kappas(network, mf.propagate(network, method=method)).cross / kappa_2 - 1)
            call = partial(mf.analyse, network, width=1000, samples=1000, method=method)
            seconds = timeit.repeat(call, number=10, repeat=15)
            label = "AUTO" if method is mf.AUTO else str(method)
            rows.append((name, label, f"{1e2 * np.median(seconds):.2f}", f"{1e2 * min(seconds):.2f}", f"{error:.0e}"))
    print(table(rows, ("network", "method", "ms (median)", "ms (best)", "error of kappa_2")))


if __name__ == "__main__":
    main()
