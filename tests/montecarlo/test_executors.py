"""Workers that die, executors that break, a real cluster: no member is lost or doubled, and the bits are the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread, Timer
from typing import Any, cast

import numpy as np
import pytest
from workers import EXPERIMENT, MEMBERS, SERIAL, attempts, note_attempt, wait_until

import meanfield as mf
import montecarlo as mc
from montecarlo import Processes
from montecarlo.cluster import reliable
from montecarlo.executors import ATTEMPTS, QUEUED_PER_WORKER, WorkerError, as_finished

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


@pytest.fixture(params=["processes", "dask"], scope="module")
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Two workers that are replaced when they die, as they do in test after test."""
    if request.param == "processes":
        with Processes(2) as processes:
            yield processes
    else:
        cluster = request.getfixturevalue("cluster")
        distributed = pytest.importorskip("distributed")
        with distributed.Client(cluster, set_as_default=False) as client:
            client.wait_for_workers(2)
            yield client.get_executor()


@dataclass(frozen=True)
class Deadly:
    """An experiment of which the first attempts on member 2 kill their worker; each attempt leaves a file."""

    folder: Path
    deaths: int
    seconds: float = 0.05

    def run(self, rng: np.random.Generator) -> mf.EigenvalueStatistics:
        """Note the attempt, and work or die."""
        seed = rng.bit_generator.seed_seq
        assert isinstance(seed, np.random.SeedSequence)
        note_attempt(self.folder, seed.spawn_key[0])
        time.sleep(self.seconds)  # so that the other worker is in the middle of a member
        if seed.spawn_key[0] == 2 and len(attempts(self.folder, 2)) <= self.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        return EXPERIMENT.run(rng)


@pytest.mark.parametrize("kind", ["serial", "threads", "processes", "pool", "dask"])
def test_the_bits_are_the_same_everywhere(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with ExitStack() as stack:
        if kind == "dask":
            distributed = pytest.importorskip("distributed")
            client = distributed.Client(request.getfixturevalue("cluster"), set_as_default=False)
            executor = stack.enter_context(client).get_executor()
        else:
            kinds: dict[str, Callable[[], Executor | None]] = {
                "serial": lambda: None,
                "threads": lambda: stack.enter_context(ThreadPoolExecutor(3)),
                "processes": lambda: stack.enter_context(Processes(2)),
                "pool": lambda: stack.enter_context(ProcessPoolExecutor(2, mp_context=get_context("spawn"))),
            }
            executor = kinds[kind]()
        assert mc.run_ensemble(EXPERIMENT, members=MEMBERS, seed=3, executor=executor).members == SERIAL
        finished: list[None] = []
        for members in (3, MEMBERS, MEMBERS):  # some, the rest, and none
            stored = mc.run_ensemble(
                EXPERIMENT,
                members=members,
                seed=3,
                executor=executor,
                store=tmp_path / "run.sqlite",
                progress=lambda: finished.append(None),
            )
    assert stored.members == SERIAL
    assert len(finished) == MEMBERS
    assert mc.run_ensemble(EXPERIMENT, members=MEMBERS, seed=3, store=tmp_path / "run.sqlite").members == SERIAL


@pytest.mark.parametrize("deaths", [0, ATTEMPTS - 1])
def test_a_member_runs_again_on_another_worker(executor: Executor, deaths: int, tmp_path: Path) -> None:
    finished: list[None] = []
    ensemble = mc.run_ensemble(
        Deadly(tmp_path, deaths), members=MEMBERS, seed=3, executor=executor, progress=lambda: finished.append(None)
    )
    assert ensemble.members == SERIAL
    assert len(finished) == MEMBERS  # none is doubled
    assert len({path.name.split("-")[1] for path in attempts(tmp_path, 2)}) == deaths + 1
    if isinstance(executor, Processes):  # dask puts a second task beside the first, and they die together
        assert len(attempts(tmp_path)) == MEMBERS + deaths


def test_workers_that_are_killed_from_outside(executor: Executor, tmp_path: Path) -> None:
    def kill_one() -> None:
        finished.append(None)
        if len(finished) == 2:
            before = set(attempts(tmp_path))
            assert wait_until(lambda: set(attempts(tmp_path)) > before)
            (begun, *_) = set(attempts(tmp_path)) - before
            os.kill(int(begun.name.split("-")[1]), signal.SIGKILL)

    finished: list[None] = []
    ensemble = mc.run_ensemble(Deadly(tmp_path, 0, 0.2), members=MEMBERS, seed=3, executor=executor, progress=kill_one)
    assert ensemble.members == SERIAL
    assert len(finished) == MEMBERS
    assert len(attempts(tmp_path)) > MEMBERS


def test_a_member_that_always_kills_its_worker_is_named(executor: Executor, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=f"member 2 lost its worker {ATTEMPTS} times"):
        mc.run_ensemble(Deadly(tmp_path, 99), members=MEMBERS, seed=3, executor=executor)
    if isinstance(executor, Processes):  # dask starts tasks again that died with another one
        assert len(attempts(tmp_path, 2)) == ATTEMPTS
    assert mc.run_ensemble(EXPERIMENT, members=2, seed=3, executor=executor).members == SERIAL[:2]  # it still works


@dataclass(frozen=True)
class Parcel:
    """A number that kills the first worker that sends it."""

    folder: Path
    value: float

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        """Send it as a number."""
        note_attempt(self.folder, 1)
        if len(attempts(self.folder, 1)) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return float, (self.value,)


@dataclass(frozen=True)
class LateDeath:
    """An experiment that kills its worker first after its work, when the result is sent, and then in its work."""

    folder: Path

    def run(self, rng: np.random.Generator) -> float:
        """Work."""
        note_attempt(self.folder, 0)
        if len(attempts(self.folder, 0)) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return cast(float, Parcel(self.folder, rng.random()))


def test_a_worker_that_dies_with_its_result(executor: Executor, tmp_path: Path) -> None:
    (stream,) = np.random.SeedSequence(3).spawn(1)
    ensemble = mc.run_ensemble(LateDeath(tmp_path), members=1, seed=3, executor=executor)
    assert ensemble.members == (np.random.default_rng(stream).random(),)
    assert len(attempts(tmp_path, 0)) == 3
    assert len(attempts(tmp_path, 1)) == 2


class Crowded(Executor):
    """A worker that dies with everything it has, as often as a deadly task is there beside others."""

    def __init__(self, deadly: set[int], alone: bool) -> None:
        self.deadly = deadly
        self.alone = alone
        self.waiting: SimpleQueue[tuple[Future[Any], Callable[[int], int], int] | None] = SimpleQueue()
        self.thread = Thread(target=self._work)
        self.thread.start()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Put it beside the others."""
        future: Future[Any] = Future()
        self.waiting.put((future, fn, *args))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End."""
        self.waiting.put(None)
        self.thread.join()

    def _work(self) -> None:
        crowd: list[tuple[Future[Any], Callable[[int], int], int]] = []
        while True:
            try:
                if (call := self.waiting.get(timeout=0.1)) is None:
                    return
                if call[0].set_running_or_notify_cancel():
                    crowd.append(call)
            except Empty:  # nobody else comes
                dies = {number for _, _, number in crowd} & self.deadly and (len(crowd) > 1 or not self.alone)
                for future, fn, number in crowd:
                    future.set_exception(BrokenExecutor()) if dies else future.set_result(fn(number))
                crowd = []


def test_who_was_beside_the_reason_is_not_blamed() -> None:
    with Crowded({2, 4}, alone=True) as executor:
        assert dict(as_finished(abs, enumerate(range(6)), executor)) == {i: i for i in range(6)}
    with Crowded({2}, alone=False) as executor, pytest.raises(WorkerError, match="member 2 lost its worker 3 times"):
        dict(as_finished(abs, enumerate(range(6)), executor))


@dataclass(frozen=True)
class Failing:
    """An experiment that never works; each attempt leaves a file."""

    folder: Path

    def run(self, rng: np.random.Generator) -> float:
        """Fail."""
        note_attempt(self.folder, 0)
        time.sleep(0.05)
        raise mf.ParameterError("luck", "good", "bad")


def test_an_error_of_a_member_is_passed_on_and_not_tried_again(executor: Executor, tmp_path: Path) -> None:
    with pytest.raises(mf.ParameterError, match="luck must be good, got bad"):
        mc.run_ensemble(Failing(tmp_path), members=1, seed=0, executor=executor)
    assert len(attempts(tmp_path)) == 1
    with pytest.raises(mf.ParameterError, match="luck must be good, got bad"):
        mc.run_ensemble(Failing(tmp_path), members=100, seed=0, executor=executor)
    time.sleep(0.3)
    assert len(attempts(tmp_path)) < 20  # the others were cancelled


def test_an_interrupt_cancels_what_has_not_started(executor: Executor, tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mc.run_ensemble(Deadly(tmp_path, 0), members=100, seed=0, executor=executor, progress=interrupt)
    time.sleep(0.3)
    assert len(attempts(tmp_path)) < 20


def test_a_process_pool_that_broke_says_what_to_do(tmp_path: Path) -> None:
    with (
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool,
        pytest.raises(WorkerError, match=r"no more members \(BrokenProcessPool: .*run again with a new one"),
    ):
        mc.run_ensemble(Deadly(tmp_path, 1), members=MEMBERS, seed=3, executor=pool)


class Losing(Executor):
    """Gives every second future back cancelled, as dask does when its scheduler forgets a task."""

    submitted = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it here, or lose it."""
        self.submitted += 1
        future: Future[Any] = Future()
        if self.submitted % 2:
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_a_member_that_was_forgotten_runs_again() -> None:
    losing = Losing()
    assert dict(as_finished(abs, enumerate([-1, -2, -3]), losing)) == {0: 1, 1: 2, 2: 3}
    assert losing.submitted == 6


def test_a_scheduler_that_dies_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client gives up and closes, and the futures hear nothing of it."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("montecarlo.executors.PATIENCE", 0.1)
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    scheduler = subprocess.Popen([*command, "--scheduler-file", str(file)], stderr=subprocess.DEVNULL)
    try:
        with distributed.Client(scheduler_file=str(file), set_as_default=False, timeout="3s") as client:
            Timer(0.5, scheduler.kill).start()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="the cluster has no workers")
                with pytest.raises(WorkerError, match="takes no more members"):
                    mc.run_ensemble(EXPERIMENT, members=2, seed=3, executor=client.get_executor())
    finally:
        scheduler.kill()
        scheduler.wait()


def test_members_are_handed_over_a_few_at_a_time() -> None:
    taken = []

    def tasks() -> Iterator[tuple[int, int]]:
        for number in range(500):
            taken.append(number)
            yield number, -number

    with ThreadPoolExecutor(2) as threads:
        for finished, (number, result) in enumerate(as_finished(abs, tasks(), threads)):
            assert result == number
            assert len(taken) <= finished + 1 + 2 * QUEUED_PER_WORKER
    assert len(taken) == 500


@pytest.mark.parametrize("gone", ["client", "cluster"])
@pytest.mark.parametrize("late", [False, True])
def test_a_cluster_that_is_gone_is_said(gone: str, late: bool) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=":0", silence_logs=50) as cluster,
        distributed.Client(cluster.scheduler_address, set_as_default=False, timeout="1s") as client,
    ):
        close = {"client": client, "cluster": cluster}[gone].close
        executor = client.get_executor()
        if not late:
            close()
        with pytest.raises(WorkerError, match="takes no more members"):
            mc.run_ensemble(EXPERIMENT, members=200, seed=0, executor=executor, progress=close if late else None)


def test_what_was_submitted_while_the_client_closes_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("montecarlo.executors.PATIENCE", 0.1)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0", silence_logs=50) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        executor = reliable(client.get_executor())
        never: Future[int] = Future()  # as one that the client has not heard of any more when it gave up the others
        monkeypatch.setattr(executor, "submit", lambda *_: never)
        monkeypatch.setattr("montecarlo.executors.reliable", lambda _: executor)
        client.close()
        with pytest.raises(WorkerError, match="the connection to the scheduler is closed"):
            list(as_finished(abs, enumerate([-3]), executor))


def test_a_cluster_without_workers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("montecarlo.executors.PATIENCE", 0.1)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0", silence_logs=50) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):

        def hire(message: str, *_: object, **__: object) -> None:
            said.append(message)
            cluster.scale(1)

        said: list[str] = []
        monkeypatch.setattr("montecarlo.cluster.warnings.warn", hire)
        ensemble = mc.run_ensemble(EXPERIMENT, members=MEMBERS, seed=3, executor=client.get_executor())
    assert ensemble.members == SERIAL
    assert said[0] == "the cluster has no workers: waiting for new ones"
