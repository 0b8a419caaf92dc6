"""Where the members of an ensemble run: in this process, or on any ``concurrent.futures`` executor.

A worker that dies takes its member with it; the member runs again on another worker, from the same stream, so that the
bits are the same. ``Processes`` replaces workers that die, and a dask cluster does; a ``ProcessPoolExecutor`` cannot.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Generator, Hashable, Iterable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar
from uuid import uuid4

Name = TypeVar("Name", bound=Hashable)
Task = TypeVar("Task")
Result = TypeVar("Result")

ATTEMPTS = 3
"""How often a member may be lost with its worker before it is taken to be the reason.

The last attempt is made when no other member is under way, for a worker that dies takes along what waits for it too.
"""

QUEUED_PER_WORKER = 4
"""How many members are handed over at a time, for each worker: enough that none waits, few enough to cancel quickly."""

QUEUED = 1000
"""The same for executors that do not say how many workers they have, such as a cluster."""

LISTEN = 5.0
"""After how many seconds of silence it is asked whether the executor is still there."""


class WorkerError(ChildProcessError):
    """Workers died, and the ensemble cannot go on: the message says which member, or what to do."""


def as_finished(
    run: Callable[[Task], Result], tasks: Iterable[tuple[Name, Task]], executor: Executor | None
) -> Generator[tuple[Name, Result], None, None]:
    """Run every task, and yield its name and its result as soon as it has one.

    A task that is lost with its worker is run again. The tasks are handed over a few at a time.

    Parameters
    ----------
    run : callable
        A function of a module, which pickles.
    tasks : iterable of (name, task)
        The names can be hashed; each is yielded once.
    executor : concurrent.futures.Executor or None
        None runs them here, in their order. Others: :class:`montecarlo.Processes`, threads, ``get_executor()`` of dask.

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
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as threads:
    ...     dict(as_finished(abs, enumerate([-3, 4]), threads)) == {0: 3, 1: 4}
    True
    """
    if executor is None:
        for name, task in tasks:
            yield name, run(task)
    else:
        workers: _OnWorkers[Name, Task, Result] = _OnWorkers(run, executor)
        yield from workers.results(tasks)


class _OnWorkers(Generic[Name, Task, Result]):
    """Tasks on their way over the workers of an executor."""

    def __init__(self, run: Callable[[Task], Result], executor: Executor) -> None:
        self.run, self.executor = run, executor
        self.losses = Counter[Name]()
        self.again: list[tuple[Name, Task]] = []
        self.suspects: list[tuple[Name, Task]] = []
        self.under_way: dict[Future[Result], tuple[Name, Task]] = {}
        self.finished: SimpleQueue[Future[Result]] = SimpleQueue()

    def results(self, tasks: Iterable[tuple[Name, Task]]) -> Generator[tuple[Name, Result], None, None]:
        """Yield the name and the result of each."""
        fresh = iter(tasks)
        try:
            while True:
                while len(self.under_way) < _queued(self.executor) and (
                    next_task := self.again.pop() if self.again else next(fresh, None)
                ):
                    self.hand_over(next_task)
                if not self.under_way:
                    if not self.suspects:
                        return
                    self.hand_over(self.suspects.pop())
                future = self.next_finished()
                task = self.under_way.pop(future)
                error = CancelledError() if future.cancelled() else future.exception()
                if error is None:
                    yield task[0], future.result()
                elif isinstance(error, _losses()):
                    self.lose(task, error)
                else:
                    raise error
        finally:
            for future in self.under_way:
                future.cancel()

    def hand_over(self, task: tuple[Name, Task]) -> None:
        try:
            future = self.executor.submit(_attempt, self.run, task[1], uuid4().hex)
        except _refusals() as refusal:
            raise self.gone(f"{type(refusal).__name__}: {refusal}") from refusal
        self.under_way[future] = task
        future.add_done_callback(self.finished.put)

    def next_finished(self) -> Future[Result]:
        while True:
            try:
                return self.finished.get(timeout=LISTEN)
            except Empty:
                if _is_gone(self.executor):
                    raise self.gone("its scheduler does not answer") from None

    def gone(self, why: str) -> WorkerError:
        self.under_way.clear()  # nor can it cancel
        return WorkerError(_GONE.format(why))

    def lose(self, task: tuple[Name, Task], error: BaseException) -> None:
        """Have a task that was lost with its worker run again."""
        name, _ = task
        self.losses[name] += 1
        if self.losses[name] == ATTEMPTS:
            raise WorkerError(_LOST.format(name, ATTEMPTS, type(error).__name__, error)) from error
        (self.suspects if self.losses[name] == ATTEMPTS - 1 else self.again).append(task)


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


def _is_gone(executor: Executor) -> bool:
    """Return whether a cluster has lost its scheduler for good: it tells nobody who waits for a future."""
    client = getattr(executor, "_client", None)
    return getattr(client, "status", None) == "closed"


_GONE = (
    "the executor takes no more members ({}): run again with a new one (with a store, what has finished is kept); "
    "montecarlo.Processes replaces workers that die"
)

_LOST = (
    "member {} lost its worker {} times, at last with no other member under way, so it is taken to be the reason (is "
    "there enough memory for it?): {}: {}"
)
