"""The same seed gives the same bits, in any order and on any executor."""

from __future__ import annotations

import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from problems import TANH
from threadpoolctl import threadpool_info
from tolerances import LINEAR_ALGEBRA

import meanfield as mf
import montecarlo as mc

EXPERIMENT = mc.EigenvalueExperiment(TANH.normalized(output="mean"), width=60, samples=250)


class Backwards(Executor):
    """Runs everything when the last task has been submitted, the last first."""

    def __init__(self, expected: int) -> None:
        self.tasks: list[tuple[Future[Any], Any, tuple[Any, ...]]] = []
        self.expected = expected

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Wait for the last task."""
        self.tasks.append((Future(), fn, args))
        if len(self.tasks) == self.expected:
            for future, function, arguments in reversed(self.tasks):
                future.set_result(function(*arguments))
        return self.tasks[-1][0]


def test_bits_do_not_depend_on_the_executor() -> None:
    serial = mc.run_ensemble(EXPERIMENT, members=6, seed=1)
    with ThreadPoolExecutor(3) as threads:
        assert mc.run_ensemble(EXPERIMENT, members=6, seed=1, executor=threads).members == serial.members
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        assert mc.run_ensemble(EXPERIMENT, members=6, seed=1, executor=processes).members == serial.members
    assert mc.run_ensemble(EXPERIMENT, members=6, seed=1, executor=Backwards(6)).members == serial.members


def test_more_members_continue_the_ensemble_and_seeds_differ() -> None:
    few, many = (mc.run_ensemble(EXPERIMENT, members=members, seed=1).members for members in (2, 4))
    assert many[:2] == few
    assert len(set(many)) == 4
    assert mc.run_ensemble(EXPERIMENT, members=2, seed=2).members != few


def test_member_i_owns_stream_i() -> None:
    stream = np.random.SeedSequence(5).spawn(3)[2]
    member = mc.run_ensemble(EXPERIMENT, members=3, seed=5).members[2]
    assert member.prediction == pytest.approx(EXPERIMENT.run(np.random.default_rng(stream)).prediction, rel=1e-13)


def test_the_first_of_very_many_members_does_not_wait_for_the_others() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mc.run_ensemble(EXPERIMENT, members=10**9, seed=0, progress=stop)


def test_progress_counts_members() -> None:
    seen: list[None] = []
    mc.run_ensemble(EXPERIMENT, members=3, seed=0, progress=lambda: seen.append(None))
    with ThreadPoolExecutor(2) as threads:
        mc.run_ensemble(EXPERIMENT, members=3, seed=0, executor=threads, progress=lambda: seen.append(None))
    assert len(seen) == 6


class Threads:
    """An experiment that looks at how many BLAS threads it may use."""

    def run(self, rng: np.random.Generator) -> set[int]:
        """Look."""
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_every_member_computes_with_one_blas_thread() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        for executor in (None, processes):
            assert mc.run_ensemble(Threads(), members=1, seed=0, executor=executor).members == ({1},)


@dataclass(frozen=True)
class Constant:
    """An experiment that returns what it has."""

    value: float

    def run(self, rng: np.random.Generator) -> float:
        """Return it."""
        return self.value


class Failing:
    """An experiment that never works, and counts how often it was tried."""

    tried = 0

    def run(self, rng: np.random.Generator) -> float:
        """Fail."""
        Failing.tried += 1
        time.sleep(0.01)
        raise RuntimeError("out of luck")


def test_an_error_of_a_member_reaches_the_caller() -> None:
    with pytest.raises(RuntimeError, match="out of luck"):
        mc.run_ensemble(Failing(), members=2, seed=0)
    Failing.tried = 0
    with ThreadPoolExecutor(1) as threads, pytest.raises(RuntimeError, match="out of luck"):
        mc.run_ensemble(Failing(), members=200, seed=0, executor=threads)
    assert Failing.tried < 100  # the others were cancelled


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"members": 0, "seed": 0}, "members must be an integer >= 1, got 0"),
        ({"members": 2, "seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"members": 2, "seed": 0.5}, r"seed must be an integer >= 0, got 0\.5"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(mf.ParameterError, match=message):
        mc.run_ensemble(EXPERIMENT, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"experiments": []}, "experiments must be at least one"),
        ({"experiments": EXPERIMENT}, "experiments must be a sequence"),
        ({"experiments": None}, "experiments must be a sequence, got None"),
        ({"experiments": [None]}, r"experiment must be an object with run\(rng\), got None"),
        ({"experiments": [mc.EigenvalueExperiment]}, r"experiment must be an object with run\(rng\)"),
        ({"executor": "a"}, r"executor must be a concurrent\.futures\.Executor, or None, got 'a'"),
        ({"progress": "a"}, "progress must be a function without arguments, or None, got 'a'"),
    ],
)
def test_wrong_objects(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(mf.ParameterError, match=message):
        mc.run_ensembles(**{"experiments": [EXPERIMENT], "members": 1, "seed": 0, **arguments})


def test_experiments_that_do_not_pickle_are_refused_before_any_work() -> None:
    network = mf.Network.uniform(mf.Activation("own", lambda u: u, slope=np.ones_like), depth=2, weight_variance=1.0)
    experiment = mc.EigenvalueExperiment(network, 10, 5)
    with mc.Processes(1) as processes, pytest.raises(mf.ParameterError, match="experiment must be one that pickles"):
        mc.run_ensemble(experiment, members=2, seed=0, executor=processes)
    with ThreadPoolExecutor(1) as threads:
        assert len(mc.run_ensemble(experiment, members=2, seed=0, executor=threads).members) == 2


def test_bad_experiments() -> None:
    with pytest.raises(mf.ParameterError, match="samples must be an integer >= 2, got 1"):
        mc.EigenvalueExperiment(TANH.normalized(output="mean"), width=10, samples=1)
    with pytest.raises(mf.ParameterError, match="width must be an integer >= 1, got 0"):
        mc.EigenvalueExperiment(TANH, width=0, samples=1)
    with pytest.raises(mf.ParameterError, match=r"network must be a meanfield\.Network"):
        mc.EigenvalueExperiment("tanh", width=10, samples=1)  # type: ignore[arg-type]
    with pytest.raises(mf.ParameterError, match="memory_limit must be a finite number > 0"):
        mc.EigenvalueExperiment(TANH, width=10, samples=10, memory_limit=0)


def test_the_numbers_of_version_1() -> None:
    """If these change, a store must not mix them with older ones: count up ``version`` of the class, and say so."""
    network = TANH.normalized(output="mean")
    kinds: list[Any] = [mc.EigenvalueExperiment, mc.EigenspaceExperiment, mc.LastLayerExperiment]
    kinds += [mc.OrderParameterExperiment, mc.DeviationExperiment]
    assert [getattr(kind, "version", 1) for kind in kinds] == [1] * 5
    eigenvalues, eigenspace, last_layer, order, deviation = (
        mc.run_ensemble(kind(network if i == 0 else TANH, 20, 10), members=1, seed=0).members[0]
        for i, kind in enumerate(kinds)
    )
    measured = [
        *(eigenvalues.mean, eigenvalues.second_moment, eigenvalues.prediction),
        *(eigenspace.alignment, eigenspace.residual, last_layer.prediction),
        *(order.activity.cross[2], order.preactivation.same[0], order.backward.cross[0]),
        *(deviation.activity.cross[2], deviation.backward.same[0]),
    ]
    expected = [
        *(0.03587844032399533, 0.1598565983901039, 6.57852077239265),
        *(0.9415467658492016, 0.14976975059160194, 5.394689892009178),
        *(0.18067265064423652, 2.624223336676611, 0.49977859706709826),
        *(0.10142920688331332, 0.6065656111656366),
    ]
    assert measured == pytest.approx(expected, rel=LINEAR_ALGEBRA)


def test_several_experiments_want_an_open_store(tmp_path: Path) -> None:
    experiments = [mc.EigenvalueExperiment(TANH, width, 10) for width in (10, 20)]
    with pytest.raises(mf.ParameterError, match=r"store must be an open montecarlo\.Store"):
        mc.run_ensembles(experiments, members=1, seed=0, store=str(tmp_path / "run.sqlite"))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
    twice = experiments[:1] * 2
    with (
        mc.Store(tmp_path / "run.sqlite") as store,
        pytest.raises(mf.ParameterError, match="different from each other"),
    ):
        mc.run_ensembles(twice, members=1, seed=0, store=store)


def test_whole_numbers_and_floats_are_different_experiments(tmp_path: Path) -> None:
    with mc.Store(tmp_path / "run.sqlite") as store:
        one, other = mc.run_ensembles([Constant(1), Constant(1.0)], members=1, seed=0, store=store)
    assert (type(one.members[0]), type(other.members[0])) == (int, float)
