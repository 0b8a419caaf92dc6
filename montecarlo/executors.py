"""Where the members of an ensemble run: in this process, or on any ``concurrent.futures`` executor.

A worker that dies takes its member with it; the member runs again on another worker, from the same stream, so that the
bits are the same. ``Processes`` replaces workers that die, and a dask cluster does; a ``ProcessPoolExecutor`` cannot.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from queue import SimpleQueue
from typing import TypeVar
from uuid import uuid4

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
    "montecarlo.Processes replaces workers that die"
)
