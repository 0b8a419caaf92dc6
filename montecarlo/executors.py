"""Where the members of an ensemble run: in this process, or on any ``concurrent.futures`` executor.

A worker that dies takes its member with it; the member runs again on another worker, from the same stream, so that the
bits are the same. ``Processes`` replaces workers that die, and a dask cluster does; a ``ProcessPoolExecutor`` cannot.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, TypeVar
from uuid import uuid4

import threadpoolctl
from threadpoolctl import threadpool_limits

from meanfield.errors import require_integer

Task = TypeVar("Task")
Result = TypeVar("Result")

ATTEMPTS = 3
"""How often a member may be lost with its worker before it is taken to be the reason."""

QUEUED_PER_WORKER = 4
"""How many members are handed over at a time, for each worker: enough that none waits, few enough to cancel quickly."""

QUEUED = 1000
"""The same for executors that do not say how many workers they have, such as a cluster."""


class WorkerError(ChildProcessError):
    """Workers died, and the ensemble cannot go on: the message says which member, or what to do."""


def as_finished(
    run: Callable[[Task], Result], tasks: Iterable[tuple[int, Task]], executor: Executor | None
) -> Generator[tuple[int, Result], None, None]:
    """Run every task, and yield its number and its result as soon as it has one.

    A task that is lost with its worker is run again. The tasks are handed over a few at a time.

    Parameters
    ----------
    run : callable
        A function of a module, which pickles.
    tasks : iterable of (int, task)
        Numbered; each is yielded once.
    executor : concurrent.futures.Executor or None
        None runs them here, in their order. Any other: :class:`Processes`, threads, ``Client.get_executor()`` of dask.

    Raises
    ------
    WorkerError
        For a task that lost its worker three times, and for an executor that takes no more tasks, as a process pool
        whose worker died.
    Exception
        Whatever a task raises; it is not tried again. What has not started is cancelled.

    Examples
    --------
    >>> dict(as_finished(abs, enumerate([-3, 4]), None))
    {0: 3, 1: 4}
    >>> with ThreadPoolExecutor(2) as threads:
    ...     dict(as_finished(abs, enumerate([-3, 4]), threads)) == {0: 3, 1: 4}
    True
    """
    if executor is None:
        for number, task in tasks:
            yield number, run(task)
    else:
        yield from _on_workers(run, tasks, executor)


def _on_workers(
    run: Callable[[Task], Result], tasks: Iterable[tuple[int, Task]], executor: Executor
) -> Generator[tuple[int, Result], None, None]:
    fresh, again = iter(tasks), list[tuple[int, Task]]()
    losses = Counter[int]()
    under_way: dict[Future[Result], tuple[int, Task]] = {}
    finished: SimpleQueue[Future[Result]] = SimpleQueue()
    try:
        while True:
            while len(under_way) < _queued(executor) and (next_task := again.pop() if again else next(fresh, None)):
                try:
                    future = executor.submit(_attempt, run, next_task[1], uuid4().hex)
                except _refusals() as refusal:
                    under_way.clear()  # nor can it cancel
                    raise WorkerError(_REFUSED.format(type(refusal).__name__, refusal)) from refusal
                under_way[future] = next_task
                future.add_done_callback(finished.put)
            if not under_way:
                return
            future = finished.get()
            number, task = under_way.pop(future)
            error = future.exception() if not future.cancelled() else CancelledError()
            if error is None:
                yield number, future.result()
                continue
            if not isinstance(error, _losses()):
                raise error
            losses[number] += 1
            if losses[number] == ATTEMPTS:
                raise WorkerError(
                    f"member {number} lost its worker {ATTEMPTS} times, so it is taken to be the reason (is there "
                    f"enough memory for it?); the last time: {type(error).__name__}: {error}"
                ) from error
            again.append((number, task))
    finally:
        for future in under_way:
            future.cancel()


def _queued(executor: Executor) -> int:
    """Return how many tasks to hand over at a time."""
    workers = getattr(executor, "_max_workers", None)  # of the standard library's executors, which all have it
    return QUEUED_PER_WORKER * workers if isinstance(workers, int) else QUEUED


def _attempt(run: Callable[[Task], Result], task: Task, attempt: str) -> Result:
    """Run a task; dask takes calls with equal arguments for one, so each attempt has a name of its own."""
    return run(task)


def _losses() -> tuple[type[BaseException], ...]:
    """Return the errors by which an executor says that a task was lost with its worker."""
    distributed = sys.modules.get("distributed")  # what it raises can only be seen where it was imported
    return (BrokenExecutor, CancelledError, *([distributed.KilledWorker] if distributed else []))


def _refusals() -> tuple[type[BaseException], ...]:
    """Return the errors by which an executor refuses a task: it broke, it was shut down, or its cluster is gone."""
    client = sys.modules.get("distributed.client")
    return (RuntimeError, *([client.ClosedClientError] if client else []))


_REFUSED = (
    "the executor takes no more members ({}: {}): run again with a new one (with a store, what has finished is kept); "
    "montecarlo.executors.Processes replaces workers that die"
)


class Processes(ThreadPoolExecutor):
    """Processes of this machine, each replaced when it dies; only the member that it ran is lost with it.

    Each is the one worker of a ``ProcessPoolExecutor``, for a pool breaks as a whole, and is fed by a thread of this
    process. They end with this process, however it ends.

    Parameters
    ----------
    workers : int
        How many, at least 1.
    blas_threads : int
        With how many threads NumPy starts in each, at least 1. (An ensemble sets the number that it needs anyway; this
        saves the threads that it does not need.)

    Raises
    ------
    ParameterError
        For a number out of range.

    Examples
    --------
    >>> with Processes(2) as processes:
    ...     dict(as_finished(abs, enumerate([-3, 4]), processes)) == {0: 3, 1: 4}
    True
    """

    def __init__(self, workers: int, *, blas_threads: int = 1) -> None:
        super().__init__(require_integer("workers", workers, at_least=1))
        self._blas_threads = require_integer("blas_threads", blas_threads, at_least=1)
        self._own = threading.local()
        self._pools: set[ProcessPoolExecutor] = set()
        # Nothing is ever written to the line; a worker ends when the other end is closed, by this process or its death.
        self._line, self._held = multiprocessing.Pipe(duplex=False)

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Run a function that pickles in one of the processes."""
        return super().submit(self._run, fn, *args, **kwargs)

    def terminate(self) -> None:
        """End the processes at once, with what they are doing."""
        super().shutdown(wait=False, cancel_futures=True)
        self._held.close()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes when they have finished, as every executor does."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait:  # otherwise the threads still need them
            for pool in self._pools:
                pool.shutdown()
            self._line.close()
            self._held.close()

    def _run(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
        """Run a function in the process of this thread."""
        pool: ProcessPoolExecutor = getattr(self._own, "pool", None) or self._start()
        try:
            return pool.submit(fn, *args, **kwargs).result()
        except BrokenProcessPool:
            self._own.pool = None
            self._pools.discard(pool)
            pool.shutdown()
            raise

    def _start(self) -> ProcessPoolExecutor:
        """Start a process for this thread."""
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(1, context, initializer=_begin, initargs=(self._line,))
        with _blas_threads_of_children(self._blas_threads):
            pool.submit(int)  # it starts with its first task
        self._own.pool = pool
        self._pools.add(pool)
        return pool


def _begin(line: Connection) -> None:
    """Prepare a worker: Ctrl-C is for the process that started it, and without that it has nothing to work for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()


def _end_with(line: Connection) -> None:
    try:
        line.recv_bytes()
    except EOFError:
        os._exit(1)


_ENVIRONMENT = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
_environment_lock = threading.Lock()


@contextmanager
def _blas_threads_of_children(threads: int) -> Iterator[None]:
    """Let processes that start here load NumPy with so many threads: it reads the environment only then."""
    with _environment_lock:
        before = {name: os.environ.get(name) for name in _ENVIRONMENT}
        os.environ.update(dict.fromkeys(_ENVIRONMENT, str(threads)))
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


class _BlasLimits:
    """How many members compute in this process, and the limits before the first of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.members = 0
        self.first: threadpool_limits | None = None


_limits = _BlasLimits()


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Compute with so many BLAS threads.

    The threads of a process share one limit (as those of a dask worker do), and one that restored it would change the
    bits of another: the last to leave restores what the first has found.
    """
    with _limits.lock, _control():
        limit = threadpool_limits(limits=threads, user_api="blas")
        if not _limits.members:
            _limits.first = limit
        _limits.members += 1
    try:
        yield
    finally:
        with _limits.lock:
            _limits.members -= 1
            if not _limits.members and _limits.first is not None:
                with _control():
                    _limits.first.restore_original_limits()


@contextmanager
def _control() -> Iterator[None]:
    """Let this thread set limits: new versions of threadpoolctl silently ignore all but the first that did."""
    release = getattr(threadpoolctl.OpenBLASController, "clear_controlling_thread", _nothing)
    release(force=True)
    try:
        yield
    finally:
        release(force=True)


def _nothing(*, force: bool) -> None:
    pass
