"""How much faster are two processes than one? Run: python benchmarks/throughput.py.

Members of M = T = 200 with the same number of BLAS threads each, serially and on two processes, in turn. The processes
run before the clock starts; what their start costs, once for a run, is timed by itself. The limit of the machine is two
serial runs side by side, which share nothing but memory and clock. The bits are compared. On a machine that does other
work as well, the median has its noise; the fastest of many short rounds are nearer to a quiet machine.
"""

from __future__ import annotations

import os
from concurrent.futures import Executor, wait

import numpy as np
from clock import seconds

import meanfield as mf
import montecarlo as mc
from meanfield.records import table

WIDTH = SAMPLES = 200
MEMBERS = 200
WORKERS = 2
ROUNDS = 9

NETWORK = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
EXPERIMENT = mc.EigenvalueExperiment(NETWORK.normalized(output="mean"), width=WIDTH, samples=SAMPLES)


def main() -> None:
    """Print the table."""
    serial, steady, limit, start, whole = [], [], [], [], []
    with mc.Processes(WORKERS) as processes:
        wait([processes.submit(os.getpid) for _ in range(20 * WORKERS)])
        ensemble(processes)
        for _ in range(ROUNDS):
            serial.append(seconds(ensemble))
            steady.append(seconds(lambda: ensemble(processes)))
            limit.append(seconds(lambda: wait([processes.submit(ensemble) for _ in range(WORKERS)])))
            start.append(seconds(begin_and_end))
            whole.append(seconds(begin_run_and_end))
        same = ensemble().members == ensemble(processes).members
    one = np.array(serial)
    rows = [
        row("serial", one, one / one),
        row(f"{WORKERS} processes, running", np.array(steady), one / steady),
        row(f"{WORKERS} serial runs side by side, each", np.array(limit), WORKERS * one / limit),
        row(f"start and end of {WORKERS} processes", np.array(start), None),
        row(f"{WORKERS} processes with start and end", np.array(whole), one / whole),
    ]
    print(f"{MEMBERS} members of M = T = {WIDTH}, {mc.ensemble.BLAS_THREADS} BLAS thread each; medians of {ROUNDS}")
    print(table(rows, ("run", "seconds", "ms a member", "times serial", "range", "fastest against fastest")))
    print(f"the same bits: {same}")


def row(name: str, times: np.ndarray, ratios: np.ndarray | None) -> tuple[str, ...]:
    """Return a line of the table."""
    middle = float(np.median(times))
    numbers = (f"{middle:.2f}", f"{1e3 * middle / MEMBERS:.2f}")
    if ratios is None:
        return name, *numbers, "", "", ""
    fastest = (ratios * times).min() / times.min()
    return name, *numbers, f"{np.median(ratios):.2f}", f"{ratios.min():.2f} .. {ratios.max():.2f}", f"{fastest:.2f}"


def ensemble(executor: Executor | None = None) -> mc.Ensemble[mf.EigenvalueStatistics]:
    """Run the members."""
    return mc.run_ensemble(EXPERIMENT, members=MEMBERS, seed=0, executor=executor)


def begin_and_end() -> None:
    """Start processes that do one member each."""
    with mc.Processes(WORKERS) as processes:
        mc.run_ensemble(EXPERIMENT, members=WORKERS, seed=0, executor=processes)


def begin_run_and_end() -> None:
    """Start processes for one run."""
    with mc.Processes(WORKERS) as processes:
        ensemble(processes)


if __name__ == "__main__":
    main()
