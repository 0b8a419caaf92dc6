"""Ensembles: the same experiment on many independent members, on any executor, with the same bits."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from meanfield.errors import ParameterError, require_integer, require_sequence

from .blas import blas_threads
from .database import canonical
from .executors import as_finished
from .experiments import Experiment
from .fingerprint import fingerprint, versions
from .processes import Processes
from .store import Store

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
    store: str | os.PathLike[str] | Store | None = None,
    progress: Callable[[], object] | None = None,
) -> Ensemble[Record]:
    """Run an experiment on independent members.

    With a store nothing that is finished is ever computed again: a run that was killed and is started again, or is
    asked for more members, goes on where it was, and ends with the bits of an undisturbed one.

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
        (``Client.get_executor()``; best with one thread for each worker): their members are run again. A
        ``LocalCluster`` gives up a worker that dies while it starts, unless ``cluster.adapt(minimum=n, maximum=n)``;
        while a cluster has no workers, an ensemble waits for new ones, with a warning.
    store : str, Path or Store, optional
        An SQLite file in which each member is safe before it counts as finished. A path is for this one experiment: the
        file is created, or goes on if it was begun with the same fingerprint, and is refused otherwise. An open
        :class:`Store` may hold several ensembles. The experiment must be a dataclass, and its records of registered
        types (:func:`montecarlo.codec.register`).
    progress : callable, optional
        Called without arguments whenever a member has finished, but not for those that the store has already:
        ``tqdm(total=members).update``, for example.

    Returns
    -------
    Ensemble

    Raises
    ------
    ParameterError
        For a number of members or a seed out of range, and for a store of another experiment, which says what differs.
    StoreError
        If the store could not be written; what it has is safe.
    WorkerError
        For a member that lost its worker three times, the last time alone, or an executor that takes no more members.
    Exception
        Whatever a member raises; members that have not started are then cancelled.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> ensemble = mc.run_ensemble(mc.EigenvalueExperiment(network, width=50, samples=20), members=3, seed=0)
    >>> len(ensemble.members)
    3

    Interrupted or not, the second call finds what the first has finished, and adds two.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = {"experiment": ensemble.experiment, "seed": 0, "store": f"{folder}/run.sqlite"}
    ...     few, more = (mc.run_ensemble(**run, members=members) for members in (3, 5))
    >>> more.members[:3] == few.members == ensemble.members
    True
    """
    members, seed = _require([experiment], members, seed, executor, progress)
    with _opened(experiment, seed, store) as shelf:
        (ensemble,) = _run([experiment], [shelf], members=members, seed=seed, executor=executor, progress=progress)
    return ensemble


def run_ensembles(
    experiments: Sequence[Experiment[Record]],
    *,
    members: int,
    seed: int,
    executor: Executor | None = None,
    store: Store | None = None,
    progress: Callable[[], object] | None = None,
) -> tuple[Ensemble[Record], ...]:
    """Run several experiments side by side: workers that one of them does not need take members of the next.

    Parameters
    ----------
    experiments : sequence
        As for :func:`run_ensemble`. What takes longest had better come first.
    members, seed : int
        Of each. Member i of every experiment gets the same stream.
    executor, progress
        As for :func:`run_ensemble`.
    store : Store, optional
        Open, for a run to which all these experiments belong.

    Returns
    -------
    tuple of Ensemble
        In the order of the experiments; each is what :func:`run_ensemble` returns for it.

    Raises
    ------
    ParameterError, StoreError, WorkerError
        As for :func:`run_ensemble`, and if one experiment is to be stored twice.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> experiments = [mc.EigenvalueExperiment(network, width, 20) for width in (50, 20)]
    >>> wide, narrow = mc.run_ensembles(experiments, members=3, seed=0)
    >>> narrow.members == mc.run_ensemble(experiments[1], members=3, seed=0).members
    True
    """
    experiments = require_sequence("experiments", experiments)
    members, seed = _require(experiments, members, seed, executor, progress)
    if not isinstance(store, Store | None):
        raise ParameterError("store", "an open montecarlo.Store, which several experiments can share", repr(store))
    shelves = [_Shelf()] * len(experiments)
    if store is not None:
        prints = [fingerprint(experiment, seed=seed, blas_threads=BLAS_THREADS) for experiment in experiments]
        if len({canonical(one, parameter="fingerprint") for one in prints}) < len(prints):
            raise ParameterError("experiments", "different from each other, to be stored", experiments)
        shelves = [_Shelf(store, one) for one in prints]
    return _run(experiments, shelves, members=members, seed=seed, executor=executor, progress=progress)


def _run(
    experiments: Sequence[Experiment[Record]],
    shelves: Sequence[_Shelf],
    *,
    members: int,
    seed: int,
    executor: Executor | None,
    progress: Callable[[], object] | None,
) -> tuple[Ensemble[Record], ...]:
    report = progress if progress is not None else _silent
    records: list[dict[int, Record]] = [shelf.take(members) for shelf in shelves]
    missing = (
        (_Task(which, member, len(experiments) > 1), (experiment, stream(seed, member)))
        for which, experiment in enumerate(experiments)
        for member in range(members)
        if member not in records[which]
    )
    with closing(as_finished(_run_member, missing, executor)) as finished:
        for (which, member, _), record in finished:
            shelves[which].add(member, record)
            records[which][member] = record
            report()
    return tuple(
        Ensemble(experiment, seed, tuple(found[member] for member in range(members)))
        for experiment, found in zip(experiments, records, strict=True)
    )


class _Task(NamedTuple):
    """Which experiment, which of its members, and whether there are other experiments."""

    experiment: int
    member: int
    one_of_several: bool

    def __str__(self) -> str:
        return f"{self.member} of experiments[{self.experiment}]" if self.one_of_several else str(self.member)


def _require(
    experiments: Sequence[Experiment[Any]],
    members: int,
    seed: int,
    executor: Executor | None,
    progress: Callable[[], object] | None,
) -> tuple[int, int]:
    """Refuse, before any work, what would stop it; return the number of members and the seed."""
    if not experiments:
        raise ParameterError("experiments", "at least one", experiments)
    for experiment in experiments:
        if isinstance(experiment, type) or not callable(getattr(experiment, "run", None)):
            raise ParameterError("experiment", "an object with run(rng)", repr(experiment))
    if not isinstance(executor, Executor | None):
        raise ParameterError("executor", "a concurrent.futures.Executor, or None", repr(executor))
    if progress is not None and not callable(progress):
        raise ParameterError("progress", "a function without arguments, or None", repr(progress))
    if isinstance(executor, Processes | ProcessPoolExecutor):
        _require_pickle(experiments)
    return require_integer("members", members, at_least=1), require_integer("seed", seed, at_least=0, at_most=None)


def _require_pickle(experiments: Sequence[Experiment[Any]]) -> None:
    for experiment in experiments:
        try:
            pickle.dumps(experiment)
        except Exception as error:  # of any type: it is raised where the experiment says how it pickles
            expected = "one that pickles, to run in other processes: of functions of a module, no lambdas"
            raise ParameterError("experiment", expected, f"one that does not ({error})") from error


def family(command: str, *kinds: type, seed: int, **common: Any) -> dict[str, Any]:
    """Return what all ensembles of a study have in common, for a :class:`Store` that holds them all.

    Parameters
    ----------
    command : str
        The name of the study.
    kinds : type
        The classes of its experiments.
    seed : int
    common
        What else is the same in all of them.

    Examples
    --------
    >>> import montecarlo as mc
    >>> family("figure 1", mc.EigenvalueExperiment, seed=0)
    {'command': 'figure 1', 'version': 1, 'seed': 0, 'blas_threads': 1}
    """
    return {"command": command, **versions(*kinds), "seed": seed, "blas_threads": BLAS_THREADS, **common}


@dataclass(frozen=True)
class _Shelf:
    """The place of one ensemble in a store, or no place."""

    store: Store | None = None
    fingerprint: Mapping[str, Any] = field(default_factory=dict)

    def take(self, members: int) -> dict[int, Any]:
        """Return what is there of so many members."""
        return {} if self.store is None else self.store.members(self.fingerprint, below=members)

    def add(self, member: int, record: object) -> None:
        if self.store is not None:
            self.store.add(self.fingerprint, member, record)


@contextmanager
def _opened(experiment: object, seed: int, store: str | os.PathLike[str] | Store | None) -> Iterator[_Shelf]:
    """Find the place of an ensemble; a store that was given open stays open."""
    if store is None:
        yield _Shelf()
        return
    data = fingerprint(experiment, seed=seed, blas_threads=BLAS_THREADS)
    if isinstance(store, Store):
        yield _Shelf(store, data)
        return
    with Store(store, run=data) as own:
        yield _Shelf(own, data)


def stream(seed: int, member: int) -> np.random.SeedSequence:
    """Return the one of ``SeedSequence(seed).spawn(..)`` that has this number, without those before it."""
    return np.random.SeedSequence(seed, spawn_key=(member,))


def _run_member(task: tuple[Experiment[Record], np.random.SeedSequence]) -> Record:
    experiment, stream = task
    with blas_threads(BLAS_THREADS):
        return experiment.run(np.random.default_rng(stream))


def _silent() -> None:
    pass
