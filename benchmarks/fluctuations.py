"""How close are finite networks to the theory of their order 1/M? Run: python benchmarks/fluctuations.py (six minutes).

Variances, shifts and top eigenvalues of networks against the theory, and the time that it takes. --scale 0.1 takes a
tenth of the networks, --part one of the tables.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from functools import partial

import numpy as np
from clock import seconds
from scipy.linalg import eigh

import meanfield as mf
import montecarlo as mc
from meanfield.records import table

NETWORKS = {
    "relu (2, 0)": mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0),
    "tanh (3, 0.64)": mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64),
    "gelu, relu, tanh; unequal": mf.Network(
        activations=[mf.gelu, mf.relu, mf.tanh],
        width_ratios=[1.0, 0.5, 2.0, 1.5],
        weight_variance=[2.0, 1.5, 2.0, 1.0],
        bias_variance=[0.3, 0.0, 0.2, 0.1],
    ),
}
WIDTHS = (200, 400, 800, 1600)
SHIFT_WIDTHS = (64, 128)

ROUNDING = 1e-9


def main() -> None:
    """Print the tables."""
    parts = {"variances": variances, "shifts": shifts, "eigenvalues": eigenvalues, "times": times}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of networks")
    parser.add_argument("--part", choices=parts)
    arguments = parser.parse_args()
    for name in [arguments.part] if arguments.part else parts:
        parts[name](arguments.scale)


def entries(*records: mf.OrderParameters) -> list[tuple[str, tuple[float, ...]]]:
    """Return the finite entries that several records share, by name."""
    by_name = [record.by_name() for record in records]
    found = []
    for name in by_name[0]:
        for part, letters in (("same", "t"), ("cross", "st")):
            values = tuple(float(getattr(one[name], part)) for one in by_name)
            if np.isfinite(values).all():
                found.append((f"{name}_{letters}", values))
    return found


def variances(scale: float) -> None:
    """Compare M Var, and M Cov of disjoint pairs, at four widths and extrapolated to infinite width."""
    for label, network in NETWORKS.items():
        theory, rng = mf.fluctuations(network), np.random.default_rng(0)
        measured = [
            mc.measure_fluctuations(
                mc.sample_order_parameters(network, width=width, samples=4, draws=math.ceil(20_000 * scale), rng=rng)
            )
            for width in WIDTHS
        ]
        for field, meaning in (("variance", "M Var"), ("between", "M Cov of disjoint samples")):
            values = [getattr(one, field) for one in measured]
            errors = [getattr(one, f"{field}_error") for one in measured]
            rows = []
            for name, (expected, *rest) in entries(getattr(theory, field), *values, *errors):
                found, error = np.array(rest[: len(WIDTHS)]), np.array(rest[len(WIDTHS) :])
                if expected < ROUNDING or name == "qhat^0_t":
                    continue
                limit, limit_error = extrapolated(found, error)
                ratios = [f"{x:.3f} ± {dx:.3f}" for x, dx in zip(found / expected, error / expected, strict=True)]
                rows.append((name, f"{expected:.4g}", *ratios, f"{(limit - expected) / limit_error:+.1f}"))
            headers = ("quantity", "theory", *(f"M = {width}" for width in WIDTHS), "z of the limit")
            print(f"\n{label}: {meaning}, measured/theory\n\n{table(rows, headers)}", flush=True)


def extrapolated(values: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Return V of V + c/M fitted to all widths, and its standard error."""
    design = np.stack([np.ones(len(WIDTHS)), 1 / np.array(WIDTHS)], axis=1) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    return float((covariance @ design.T @ (values / errors))[0]), float(np.sqrt(covariance[0, 0]))


def shifts(scale: float) -> None:
    """Compare M times the shift of every mean, with and without the dependence of gradients on activities."""
    for label, network in NETWORKS.items():
        theory, rng = mf.fluctuations(network), np.random.default_rng(1)
        measured = [
            mc.measure_fluctuations(
                mc.sample_order_parameters(network, width=width, samples=4, draws=math.ceil(200_000 * scale), rng=rng)
            )
            for width in SHIFT_WIDTHS
        ]
        records = [record for one in measured for record in (one.bias, one.bias_error)]
        rows = []
        for name, (expected, independent, *rest) in entries(theory.bias, theory.bias_assuming_independence, *records):
            values, errors = rest[::2], rest[1::2]
            if max(errors) < ROUNDING or name.startswith("qhat^0"):
                continue
            cells = [f"{x:.3f} ± {dx:.3f}" for x, dx in zip(values, errors, strict=True)]
            z = [f"{(x - expected) / dx:+.1f}" for x, dx in zip(values, errors, strict=True)]
            rows.append((name, f"{expected:.3f}", f"{independent:.3f}", *cells, *z))
        widths = [f"M = {width}" for width in SHIFT_WIDTHS]
        headers = ("M x shift of", "theory", "independent", *widths, *(f"z, {width}" for width in widths))
        print(f"\n{label}\n\n{table(rows, headers)}", flush=True)


def eigenvalues(scale: float) -> None:
    """Compare the C largest eigenvalues of networks with Theorem 2.2 with its terms of order 1/M."""
    rows = []
    networks = max(4, math.ceil(100 * scale))
    for index, (label, network) in enumerate(list(NETWORKS.items())[:2]):
        for outputs in (1, 2, 4, 10):
            several = replace(network, outputs=outputs)
            for width in (200, 400, 800):
                samples = 200 // outputs
                theory = mf.top_eigenvalues(several, width=width, samples=samples)
                rng = np.random.default_rng([width, outputs, index])
                found = np.array([largest(several, width, samples, rng) for _ in range(networks)]) / theory.theorem_2_2
                mean = found.mean(axis=1)
                error, top_error = (x.std(ddof=1) / math.sqrt(networks) for x in (mean, found[:, 0]))
                of_all, of_top = theory.mean / theory.theorem_2_2, float(theory.each[0]) / theory.theorem_2_2
                rows.append(
                    (
                        label,
                        outputs,
                        width,
                        samples,
                        f"{mean.mean():.4f} ± {error:.4f}",
                        f"{of_all:.4f}",
                        f"{(mean.mean() - of_all) / error:+.1f}",
                        f"{found[:, 0].mean():.4f} ± {top_error:.4f}",
                        f"{of_top:.4f}",
                        f"{(found[:, 0].mean() - of_top) / top_error:+.1f}",
                        f"{mean.std(ddof=1) * theory.theorem_2_2 / theory.deviation:.2f}",
                    )
                )
    headers = ("network", "C", "M", "T", "mean of all", "theory", "z", "largest", "theory", "z", "sd/theory")
    print(f"\nrelative to Theorem 2.2, {networks} networks\n\n{table(rows, headers)}", flush=True)


def largest(network: mf.Network, width: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return the C largest eigenvalues of the Fisher information of one network, the largest first."""
    inputs = mc.sample_inputs(network, width=width, samples=samples, rng=rng)
    gram = mc.dual_gram(mc.propagate(mc.sample_network(network, width=width, rng=rng), inputs))
    last = len(gram) - 1
    values: np.ndarray = eigh(gram, eigvals_only=True, subset_by_index=[last + 1 - network.outputs, last])[::-1]
    return values


def times(scale: float) -> None:
    """Print how long each takes, warm, in seconds of the processor."""
    rounds = max(3, math.ceil(20 * scale))
    rows = []
    for phi in (mf.relu, mf.tanh, mf.gelu, mf.sigmoid, mf.elu):
        for depth in (3, 10):
            network = mf.Network.uniform(phi, depth=depth, weight_variance=2.0, bias_variance=0.1)
            taken = [
                np.median([seconds(command, clock=time.process_time) for _ in range(rounds)])
                for command in (partial(mf.fluctuations, network), partial(mf.propagate, network))
            ]
            rows.append((phi.name, depth, *(f"{1e3 * one:.1f} ms" for one in taken)))
    print(f"\n{table(rows, ('activation', 'L', 'fluctuations', 'propagate'))}", flush=True)


if __name__ == "__main__":
    main()
