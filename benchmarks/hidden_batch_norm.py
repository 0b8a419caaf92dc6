"""Is F* behind hidden batch normalisation Theta? Run: python benchmarks/hidden_batch_norm.py (ten minutes).

Of finite networks over the theory of ``mf.batch_norm_backward``: the trace of F* (Theta_t), and lambda_max where what
all samples share is on top, both at the expected norm of the readout weights; below, the growth per layer of the
squared gradient in deep networks.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import meanfield as mf
import montecarlo as mc
from meanfield.records import table

ACTIVATIONS = {"relu": mf.relu, "tanh": mf.tanh, "gelu": mf.gelu, "sigmoid": mf.sigmoid}


def network(phi: mf.Activation, depth: int) -> mf.Network:
    """Return a network whose hidden layers are batch-normalised."""
    return mf.Network.uniform(phi, depth=depth, weight_variance=2.0, hidden_normalization="batch")


def cell(values: list[float], norms: list[float], theory: float) -> str:
    """Return measured over theory."""
    estimate = mc.controlled_mean(values, norms)
    return f"{estimate.mean / theory:.3f} ({estimate.standard_error / theory:.3f})"


def compared(phi: mf.Activation, depth: int, samples: int, options: argparse.Namespace) -> list[str]:
    """Return a row: the theory, and measured over theory."""
    normalised = network(phi, depth)
    block = mf.dual_block(normalised, mf.propagate(normalised, samples=samples), width=options.width, samples=samples)
    traces, largest, norms = [], [], []
    for stream in np.random.SeedSequence(0).spawn(options.members):
        rng = np.random.default_rng(stream)
        finite = mc.sample_network(normalised, width=options.width, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(normalised, width=options.width, samples=samples, rng=rng))
        gram = mc.dual_gram(sweep)
        traces.append(float(np.trace(gram)))
        largest.append(float(np.linalg.eigvalsh(gram)[-1]))
        norms.append(float(np.sum(finite.weights[-1] ** 2)) / 2.0)
    on_top = block.uniform > block.contrast
    return [
        *(phi.name, str(depth), str(samples), f"{block.same * samples / options.width:.4f}"),
        cell(traces, norms, block.trace),
        f"{block.uniform / options.width:.4f}" if on_top else "bulk on top",
        cell(largest, norms, block.uniform) if on_top else "",
    ]


def growth(phi: mf.Activation, depth: int, width: int, samples: int, members: int) -> list[str]:
    """Return a row: chi, and the geometric mean of the growth of the squared gradients over the layers."""
    deep = network(phi, depth)
    chi = float(mf.batch_norm_backward(deep, samples=samples).chi[1])
    rates = []
    for stream in np.random.SeedSequence(1).spawn(members):
        rng = np.random.default_rng(stream)
        finite = mc.sample_network(deep, width=width, rng=rng)
        sweep = mc.propagate(finite, mc.sample_inputs(deep, width=width, samples=samples, rng=rng))
        first, last = (float(np.sum(sweep.delta[index] ** 2)) for index in (1, depth - 2))
        rates.append((first / last) ** (1 / (depth - 3)))
    mean, error = float(np.mean(rates)), float(np.std(rates, ddof=1)) / math.sqrt(members)
    return [phi.name, f"{chi:.4f}", f"{mean:.4f} ({error:.4f})", f"{mean / chi:.3f}"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--samples", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--depths", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--members", type=int, default=12)
    parser.add_argument("--deep", type=int, nargs=3, default=[13, 600, 8], metavar=("L", "M", "T"))
    options = parser.parse_args()
    cases = [
        (phi, depth, samples) for phi in ACTIVATIONS.values() for depth in options.depths for samples in options.samples
    ]
    with threadpool_limits(1):
        rows = [compared(*case, options) for case in tqdm(cases, leave=False)]
        depth, width, samples = options.deep
        deep = [growth(phi, depth, width, samples, options.members) for phi in tqdm(ACTIVATIONS.values(), leave=False)]
    print(table(rows, ("activation", "L", "T", "Theta_t/M", "measured/theory", "lambda_one/M", "measured/theory")))
    print(f"\ngrowth per layer, L = {depth}, M = {width}, T = {samples}")
    print(table(deep, ("activation", "chi", "measured", "ratio")))


if __name__ == "__main__":
    main()
