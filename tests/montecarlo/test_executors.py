"""Workers that die, executors that break, a real cluster: no member is lost or doubled, and the bits are the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from pickle import PicklingError
from queue import Empty, SimpleQueue
from threading import Event, Thread, Timer
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest
from problems import TANH
from threadpoolctl import threadpool_info, threadpool_limits

import meanfield as mf
import montecarlo as mc
from montecarlo import Processes
from montecarlo.blas import _BlasLimits, blas_threads
from montecarlo.cli import main
from montecarlo.cluster import reliable
from montecarlo.executors import ATTEMPTS, QUEUED_PER_WORKER, WorkerError, as_finished

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")

EXPERIMENT = mc.EigenvalueExperiment(TANH.normalized(output="mean"), width=40, samples=60)
MEMBERS = 8
SERIAL = mc.run_ensemble(EXPERIMENT, members=MEMBERS, seed=3).members


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers of dask, whose scheduler gives a task up at the first death of its worker: the rest is ours.

    The nanny of a worker that dies while it starts gives it up for good; ``adapt`` then hires another one.
    """
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=50,
        scheduler_kwargs={"allowed_failures": 0},
    ) as cluster:
        cluster.adapt(minimum=2, maximum=2)
        yield cluster


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


def note_attempt(folder: Path, member: int | str) -> None:
    os.close(tempfile.mkstemp(prefix=f"{member}-{os.getpid()}-", dir=folder)[0])


def attempts(folder: Path, member: int | str = "*") -> list[Path]:
    return list(folder.glob(f"{member}-*"))


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
            assert _wait(lambda: set(attempts(tmp_path)) > before)
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


def test_a_script_that_starts_workers_while_it_is_imported_is_told(tmp_path: Path) -> None:
    """Every worker imports it: they would start workers in turn."""
    script = tmp_path / "script.py"
    script.write_text(
        "import montecarlo as mc\nwith mc.Processes(2) as pool:\n    print(pool.submit(abs, -3).result())\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "under if __name__ ==" in done.stderr.splitlines()[-1]
    assert done.stderr.count("Traceback") == 1
    guarded = "".join(f"    {line}\n" for line in script.read_text().splitlines())
    script.write_text(f"if __name__ == '__main__':\n{guarded}")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("3\n", "")


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


@dataclass(frozen=True)
class Sleeping:
    """An experiment that takes an hour."""

    folder: Path

    def run(self, rng: np.random.Generator) -> float:
        """Sleep."""
        note_attempt(self.folder, 0)
        time.sleep(3600)
        return 0.0


def _wait(until: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        time.sleep(0.02)
    return until()


def _running(folder: Path) -> set[int]:
    """Return which of the processes that left a file are running."""
    return {process for process in (int(path.name.split("-")[1]) for path in attempts(folder)) if _exists(process)}


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # where nobody reaps orphans they stay as zombies
    state = Path(f"/proc/{process}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_terminate_and_errors_end_the_processes_at_once(error: type[BaseException] | None, tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), Processes(2) as processes:
        futures = [processes.submit(Sleeping(tmp_path).run, np.random.default_rng(0)) for _ in range(5)]
        assert _wait(lambda: len(_running(tmp_path)) == 2)
        if error is not None:
            raise error
        processes.terminate()
    assert _running(tmp_path) == set()
    assert [future.cancelled() for future in futures] == [False, False, True, True, True]


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    code = (
        "import pathlib, numpy, montecarlo, test_executors as t\n"
        "if __name__ == '__main__':\n"
        f"    experiment = t.Sleeping(pathlib.Path({str(tmp_path)!r}))\n"
        "    montecarlo.run_ensemble(experiment, members=9, seed=0, executor=montecarlo.Processes(2))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), str(here.parents[1]), os.environ.get("PYTHONPATH", "")])
    parent = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": path})
    try:
        assert _wait(lambda: len(_running(tmp_path)) == 2)
    finally:
        parent.kill()
        parent.wait()
    assert _wait(lambda: not _running(tmp_path))


def _threads(_: int) -> tuple[set[int], str | None]:
    """Return with how many threads NumPy was loaded, and why."""
    return {pool["num_threads"] for pool in threadpool_info()}, os.environ.get("OPENBLAS_NUM_THREADS")


@pytest.mark.parametrize("threads", [1, 2])
def test_processes_load_numpy_with_the_threads_they_need(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with Processes(1, blas_threads=threads) as processes:
        assert processes.submit(_threads, 0).result() == ({min(threads, os.cpu_count() or 1)}, str(threads))
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ


def _blas() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_the_last_of_the_threads_restores_the_limit() -> None:
    """Members that overlap in one process, as in a dask worker with two threads."""
    inside, first_left = Event(), Event()

    def second() -> set[int]:
        with blas_threads(1):
            inside.set()
            assert first_left.wait(20)
            return _blas()

    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(1) as threads:
        with blas_threads(1):
            late = threads.submit(second)
            assert inside.wait(20)
        first_left.set()
        assert late.result() == {1}
        assert _blas() == {2}


def test_libraries_are_looked_for_again_after_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = _BlasLimits()
    known = limits.controller()
    assert limits.controller() is known
    monkeypatch.setitem(sys.modules, "a library with a BLAS of its own", ModuleType("new"))
    assert limits.controller() is not known


class Looking:
    """An experiment that looks at how many BLAS threads it may use."""

    def run(self, rng: np.random.Generator) -> set[int]:
        """Look."""
        return _blas()


def test_members_have_one_thread_whoever_has_set_another_limit() -> None:
    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(2) as threads:
        for executor in (None, threads):
            assert set(map(frozenset, mc.run_ensemble(Looking(), members=3, seed=0, executor=executor).members)) == {
                frozenset({1})
            }
        # in a thread, while this one holds a limit
        assert threads.submit(mc.run_ensemble, Looking(), members=1, seed=0).result().members == ({1},)
        assert _blas() == {2}


class Unpicklable(Exception):
    """An error that another process cannot get."""

    def __init__(self) -> None:
        super().__init__()
        self.because = lambda: None


class Irreversible(Exception):
    """An error that pickles, but not back."""

    def __init__(self, *, reason: str = "none") -> None:
        super().__init__(reason)


def _raise(kind: type[Exception]) -> None:
    raise kind


def _hang_up() -> None:
    os.closerange(3, 1000)
    time.sleep(3600)


def _return_lambda() -> object:
    return lambda: None


def test_errors_say_where_they_happened() -> None:
    with Processes(1) as processes:
        with pytest.raises(KeyError) as error:
            processes.submit(_raise, KeyError).result()
        assert "in _raise" in error.value.__notes__[0]
        for kind in (Unpicklable, Irreversible):
            with pytest.raises(RuntimeError, match="in _raise"):
                processes.submit(_raise, kind).result()
        with pytest.raises((AttributeError, PicklingError), match="pickle"):
            processes.submit(_return_lambda).result()
        with pytest.raises((AttributeError, PicklingError), match="pickle"):
            processes.submit(lambda: 0)
        assert processes.submit(abs, -3).result() == 3
        with pytest.raises(BrokenProcessPool, match="the worker ended with exit code 7"):
            processes.submit(os._exit, 7).result()
        assert processes.submit(abs, -3).result() == 3


def test_a_process_that_closes_its_connection_is_replaced() -> None:
    with Processes(1) as processes:
        with pytest.raises(BrokenProcessPool, match=r"exit code -9"):
            processes.submit(_hang_up).result()
        assert processes.submit(abs, -3).result() == 3


@pytest.mark.parametrize("workers", [0, 1.5, "two"])
def test_bad_number_of_processes(workers: Any) -> None:
    with pytest.raises(mf.ParameterError, match="workers must be an integer >= 1"):
        Processes(workers)


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def montecarlo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command that compares four small networks, and return exit status, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["montecarlo", "compare", "--width", "40", "--members", "4", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), *capsys.readouterr()

    return run


def test_the_command_on_a_cluster(montecarlo: Command, cluster: Any) -> None:
    code, out, err = montecarlo("--scheduler", cluster.scheduler_address)
    assert (code, err) == (0, "")
    assert montecarlo("--workers", "1")[1] == out


def _group(leader: int) -> set[int]:
    """Return which processes of the group of a process are running."""
    stats = [path.read_text().rpartition(")") for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    return {
        int(name.split()[0]) for name, _, rest in stats if int(rest.split()[2]) == leader and rest.split()[0] != "Z"
    }


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="/proc")
@pytest.mark.parametrize("processes", [3, 4])  # while the workers start: the command, one for multiprocessing, workers
def test_ctrl_c_in_a_terminal_is_one_line_and_leaves_nobody(processes: int, tmp_path: Path) -> None:
    """A terminal interrupts the whole group, also workers that import NumPy at this moment."""
    command = [
        sys.executable,
        "-m",
        "montecarlo",
        "compare",
        "--members",
        "9999",
        "--workers",
        "2",
        "--store",
        "run.db",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert _wait(lambda: len(_group(process.pid)) >= processes)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err.startswith("montecarlo: interrupted; 0 networks are safe in run.db")
    assert err.count("\n") == 1
    assert _wait(lambda: not _group(process.pid))


@contextmanager
def _without(package: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, package, None)  # import raises ImportError
        yield


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--scheduler", "tcp://127.0.0.1:1"),
            "'--scheduler': it must be the address of a dask scheduler that answers",
        ),
        (("--scheduler", "nowhere"), "got 'nowhere' (missing port number"),
        (("--scheduler", "tcp://127.0.0.1:1", "--workers", "2"), "give one of them"),
    ],
)
def test_a_wrong_scheduler_is_one_line_within_seconds(
    montecarlo: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("montecarlo.cli.options.CONNECT", 1.0)
    start = time.monotonic()
    code, out, err = montecarlo(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert time.monotonic() - start < 10


def test_a_scheduler_without_the_extra(montecarlo: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with _without("distributed", monkeypatch):
        code, _, err = montecarlo("--scheduler", "tcp://127.0.0.1:1")
    assert code == 1
    assert "pip install '.[cluster]'" in err
    assert err.count("\n") == 1


def test_help_says_where_it_can_run(montecarlo: Command) -> None:
    out = montecarlo("--help")[1]
    assert "--workers" in out
    assert "tcp://HOST:PORT" in out
