"""What does a step of training cost beyond its matrix products? Run: python benchmarks/training.py.

The limit is one product for every layer forward, one for its gradient, and one backward for every layer but the first,
as ``np.matmul(.., out=..)`` (that of the single output, an outer product, would be faster by ``np.multiply``, which the
step takes); both are timed in turn, in one process and by its own processor time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from clock import seconds
from threadpoolctl import threadpool_limits

import meanfield as mf
import montecarlo as mc
from meanfield.records import table

SECONDS = 0.02
"""How long the products take that are timed at a time."""

processor_seconds = partial(seconds, clock=time.process_time)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", default="100,200,400,1000", help="M, separated by commas")
    parser.add_argument("--samples", type=int, default=1000, help="T; 0 for T = M")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    rows = []
    with threadpool_limits(1, user_api="blas"):
        for activation, variances in ((mf.relu, (4.0, 1.0)), (mf.tanh, (3.0, 0.64))):
            for output in ("none", "mean", "batch"):
                network = mf.Network.uniform(
                    activation,
                    depth=3,
                    weight_variance=variances[0],
                    bias_variance=variances[1],
                    output_normalization=output,
                )
                for width in map(int, arguments.widths.split(",")):
                    steps, products = step_and_products(network, width, arguments.samples or width, arguments.rounds)
                    ratios = np.array(steps) / np.array(products)
                    rows.append(
                        (
                            f"{activation.name}, {output}",
                            width,
                            f"{1e3 * np.median(steps):.2f}",
                            f"{1e3 * np.median(products):.2f}",
                            f"{np.median(ratios):.2f}",
                            f"{ratios.min():.2f} .. {ratios.max():.2f}",
                        )
                    )
    print(f"T = {arguments.samples or 'M'}, L = 3, C = 1; one step, medians of {arguments.rounds} rounds")
    print(table(rows, ("network", "M", "step ms", "products ms", "ratio", "range")))


def step_and_products(network: mf.Network, width: int, samples: int, rounds: int) -> tuple[list[float], list[float]]:
    """Return the seconds of one step, and of its matrix products alone."""
    rng = np.random.default_rng(0)
    student, teacher = (mc.sample_network(network, width=width, rng=rng) for _ in range(2))
    inputs = mc.sample_inputs(network, width=width, samples=samples, rng=rng)
    labels = mc.forward(teacher, inputs).outputs
    products = matrix_products(student, samples)

    def steps(number: int) -> None:
        mc.train(student, inputs, labels, learning_rate=1e-4, steps=number)

    products()
    number = max(3, round(SECONDS / processor_seconds(products)))

    def many_products() -> None:
        for _ in range(number):
            products()

    measured: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        # the first step pays for the buffers, and the last forward sweep for the final loss
        both = processor_seconds(lambda: steps(2 * number)) - processor_seconds(lambda: steps(number))
        measured[0].append(both / number)
        measured[1].append(processor_seconds(many_products) / number)
    return measured[0][1:], measured[1][1:]


def matrix_products(finite: mc.FiniteNetwork, samples: int) -> Callable[[], None]:
    """Return a function that computes the products of one step, on arrays that are there already."""
    rng = np.random.default_rng(0)
    h = [rng.standard_normal((samples, width)) for width in finite.widths]
    out = [np.empty_like(one) for one in h]
    gradients = [np.empty_like(w) for w in finite.weights]

    def run() -> None:
        for layer, w in enumerate(finite.weights):
            np.matmul(h[layer], w.T, out=out[layer + 1])
        for layer, w in enumerate(finite.weights):
            np.matmul(h[layer + 1].T, h[layer], out=gradients[layer])
            if layer:
                np.matmul(h[layer + 1], w, out=out[layer])

    return run


if __name__ == "__main__":
    main()
