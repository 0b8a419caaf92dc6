"""How large are the terms that the theorems leave out? Run: python benchmarks/allowance.py (a minute or two).

For each kind of missing term, the largest constant that any of 330 configurations needs: the excess of the measured
mean over the theory, less two standard errors and what terms of other kinds are granted, as a multiple of its size.
``montecarlo.allowance.CONSTANTS`` holds these, rounded up.
"""

from __future__ import annotations

import itertools
import math
import os
from concurrent.futures import ProcessPoolExecutor

from tqdm import tqdm

import meanfield as mf
import montecarlo as mc
from meanfield.records import table
from montecarlo.allowance import CONSTANTS, allowed

MEMBERS = 30
LAWS = [(mf.relu, 2.0, 0.0), (mf.tanh, 3.0, 0.64), (mf.relu, 4.0, 1.0), (mf.tanh, 1.2, 0.1), (mf.sigmoid, 4.0, 0.5)]
SAMPLES = [("none", 2), ("none", 30), ("none", 150), ("mean", 2), ("mean", 8), ("mean", 15)]


def main() -> None:
    """Print the table."""
    worst = dict.fromkeys(CONSTANTS, (-math.inf, ""))
    cases = list(itertools.product(LAWS, (2, 3, 6), (1, 10), (60, 300), SAMPLES))
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as executor:
        for (phi, weights, biases), depth, outputs, width, (output, samples) in tqdm(cases, leave=False):
            if samples > width:
                continue
            network = mf.Network.uniform(
                phi,
                depth=depth,
                weight_variance=weights,
                bias_variance=biases,
                outputs=outputs,
                output_normalization=output,
            )
            theory = mf.eigenvalue_statistics(network, width=width, samples=samples, regime="fixed")
            experiment = mc.EigenvalueExperiment(network, width, samples)
            rows = mc.compare(theory, mc.run_ensemble(experiment, members=MEMBERS, seed=1, executor=executor)).rows
            where = f"{phi.name} ({weights:g}, {biases:g}), L = {depth}, C = {outputs}, M = {width}, T = {samples}"
            for row, field in zip(rows, ("mean", "second_moment", "largest"), strict=True):
                for name, constant in needed(theory, row, field):
                    worst[name] = max(worst[name], (constant, f"{where}, {output}, {row.quantity}"))
    names = [name for name in CONSTANTS if math.isfinite(worst[name][0])]  # not those of bounds and of other theorems
    rows_out = [(name, f"{CONSTANTS[name]:g}", f"{worst[name][0]:.2f}", worst[name][1]) for name in names]
    print(table(rows_out, ("missing term", "granted", "needed", "by")))


def needed(theory: mf.EigenvalueStatistics, row: mc.Row, field: str) -> list[tuple[str, float]]:
    """Return the constants that this row asks for, by the names of its corrections."""
    corrections = [correction for correction in theory.corrections if correction.quantity == field]
    found = []
    for correction in corrections:
        others = allowed(1.0, [other for other in corrections if other is not correction])
        error = 2 * row.standard_error / row.theory.lower
        excess = row.ratio - others.upper - error
        if correction.sign <= 0:
            excess = max(excess, others.lower - row.ratio - error)
        found.append((correction.name, excess / correction.size))
    return found


if __name__ == "__main__":
    main()
