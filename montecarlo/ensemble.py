"""Ensembles: the same experiment on many independent members, on any executor, with the same bits."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import numpy as np

from meanfield.errors import require_integer

from .blas import blas_threads
from .executors import as_finished
from .experiments import Experiment

Record = TypeVar("Record")

BLAS_THREADS = 1
"""With how many BLAS threads each member computes, wherever it runs: rounding depends on it."""


@dataclass(frozen=True)
class Ensemble(Generic[Record]):
    """The records of an ensemble, with what is needed to run it again."""

    experiment: Experiment[Record]
    seed: int
    members: tuple[Record, ...]
    """In the order of their seeds, whatever the order they finished in."""

    def __str__(self) -> str:
        return f"{len(self.members)} members of {self.experiment}, seed {self.seed}"


def run_ensemble(
    experiment: Experiment[Record],
    *,
    members: int,
    seed: int,
    executor: Executor | None = None,
    progress: Callable[[], object] | None = None,
) -> Ensemble[Record]:
    """Run an experiment on independent members.

    Parameters
    ----------
    experiment : EigenvalueExperiment, OrderParameterExperiment, or any object with ``run(rng)``
    members : int
        How many, at least 1.
    seed : int
        At least 0. Member i gets the i-th stream spawned from ``numpy.random.SeedSequence(seed)``, so that more members
        continue the same ensemble.
    executor : concurrent.futures.Executor, optional
        Where to run; in this process if left out. Each member computes with one BLAS thread everywhere, so the bits are
        the same on one kind of machine. For other processes the activations must pickle: give functions of a module,
        no lambdas. :class:`montecarlo.Processes` replaces workers that die, and so does a cluster of dask
        (``Client.get_executor()``; best with one thread for each worker): their members are run again.
    progress : callable, optional
        Called without arguments whenever a member has finished: ``tqdm(total=members).update``, for example.

    Returns
    -------
    Ensemble

    Raises
    ------
    ParameterError
        For a number of members or a seed out of range.
    WorkerError
        For a member that lost its worker three times, or an executor that takes no more members.
    Exception
        Whatever a member raises; members that have not started are then cancelled.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> ensemble = mc.run_ensemble(mc.EigenvalueExperiment(network, width=50, samples=20), members=3, seed=0)
    >>> len(ensemble.members)
    3
    """
    members = require_integer("members", members, at_least=1)
    seed = require_integer("seed", seed, at_least=0, at_most=None)
    report = progress if progress is not None else _silent
    streams = np.random.SeedSequence(seed).spawn(members)
    records: dict[int, Record] = {}
    with closing(as_finished(partial(_run_member, experiment), enumerate(streams), executor)) as finished:
        for member, record in finished:
            records[member] = record
            report()
    return Ensemble(experiment, seed, tuple(records[member] for member in range(members)))


def _run_member(experiment: Experiment[Record], stream: np.random.SeedSequence) -> Record:
    with blas_threads(BLAS_THREADS):
        return experiment.run(np.random.default_rng(stream))


def _silent() -> None:
    pass
