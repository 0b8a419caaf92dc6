"""Where the members of an ensemble run: in this process, or on any ``concurrent.futures`` executor.

A worker that dies takes its member with it; the member runs again on another worker, from the same stream, so that the
bits are the same. ``Processes`` replaces workers that die, and a dask cluster does; a ``ProcessPoolExecutor`` cannot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Generator, Hashable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from .cluster import Cluster, reliable

Name = TypeVar("Name", bound=Hashable)
Task = TypeVar("Task")
Result = TypeVar("Result")

ATTEMPTS = 3
"""How often a member may be lost with its worker, the last time alone, before it is taken to be the reason."""

QUEUED_PER_WORKER = 4
"""How many members are handed over at a time, for each worker: enough that none waits, few enough to cancel quickly."""

QUEUED = 1000
"""The same for executors that do not say how many workers they have, such as a cluster, which grows with what waits."""

PATIENCE = 10.0
"""After how many seconds without a result to see whether a cluster is there, and has workers."""


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
        For a task that lost its worker three times, the last time alone, and for an executor that takes no more tasks,
        as a process pool whose worker died.
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
        yield from _on_workers(run, tasks, reliable(executor))


class _Waiting(Generic[Name, Task]):
    """The tasks that are to be handed over: those that were lost before fresh ones."""

    def __init__(self, tasks: Iterable[tuple[Name, Task]]) -> None:
        self.fresh = iter(tasks)
        self.again: list[tuple[Name, Task]] = []
        self.suspects: list[tuple[Name, Task]] = []
        self.losses = Counter[Name]()

    def lost(self, name: Name, task: Task, error: BaseException) -> None:
        """Take a task back that was lost with its worker; fail if it is the reason."""
        self.losses[name] += 1
        if self.losses[name] == ATTEMPTS:
            raise WorkerError(
                f"member {name} lost its worker {ATTEMPTS} times, the last time alone, so it is taken to be the "
                f"reason (is there enough memory for it?); the last time: {type(error).__name__}: {error}"
            ) from error
        # a cluster says of all that a dead worker had before it that they were lost: the last time they run alone
        (self.suspects if self.losses[name] == ATTEMPTS - 1 else self.again).append((name, task))

    def some(self, room: int) -> Iterator[tuple[Name, Task]]:
        """Yield so many, if there are."""
        while room and (task := self.again.pop() if self.again else next(self.fresh, None)):
            yield task
            room -= 1


def _on_workers(
    run: Callable[[Task], Result], tasks: Iterable[tuple[Name, Task]], executor: Executor
) -> Generator[tuple[Name, Result], None, None]:
    waiting = _Waiting(tasks)
    under_way: dict[Future[Result], tuple[Name, Task]] = {}
    finished: SimpleQueue[Future[Result]] = SimpleQueue()

    def hand_over(tasks: Iterable[tuple[Name, Task]]) -> None:
        for name, task in tasks:
            future = _submitted(executor, run, task)
            under_way[future] = name, task
            future.add_done_callback(finished.put)

    try:
        while True:
            if not waiting.suspects:
                hand_over(waiting.some(_queued(executor) - len(under_way)))
            else:
                waiting.again += _withdrawn(under_way)
                if not under_way:
                    hand_over([waiting.suspects.pop()])
            if not under_way:
                return
            future = _next(finished, under_way, executor)
            name, task = under_way.pop(future)
            error = future.exception() if not future.cancelled() else CancelledError()
            if error is None:
                yield name, future.result()
            elif isinstance(error, BrokenExecutor | CancelledError):
                waiting.lost(name, task, error)
            else:
                raise error
    finally:
        for future in under_way:
            future.cancel()


def _queued(executor: Executor) -> int:
    """Return how many tasks to hand over at a time."""
    workers = getattr(executor, "_max_workers", None)  # of the standard library's executors, which all have it
    return QUEUED_PER_WORKER * workers if isinstance(workers, int) else QUEUED


def _submitted(executor: Executor, run: Callable[[Task], Result], task: Task) -> Future[Result]:
    try:
        return executor.submit(run, task)
    except RuntimeError as refusal:  # it broke, it was shut down, or its cluster is gone
        raise _refused(refusal) from refusal


def _refused(refusal: RuntimeError) -> WorkerError:
    return WorkerError(
        f"the executor takes no more members ({type(refusal).__name__}: {refusal}): run again with a new one (with a "
        "store, what has finished is kept); montecarlo.Processes replaces workers that die"
    )


def _withdrawn(under_way: dict[Future[Result], tuple[Name, Task]]) -> list[tuple[Name, Task]]:
    """Take back what can be cancelled; of a cluster also what runs, which is a pity, but as rare as suspects are."""
    return [under_way.pop(future) for future in list(under_way) if future.cancel()]


def _next(
    finished: SimpleQueue[Future[Result]], under_way: Container[Future[Result]], executor: Executor
) -> Future[Result]:
    """Wait for one that was not withdrawn."""
    while True:
        try:
            future = finished.get(timeout=PATIENCE)
        except Empty:
            if isinstance(executor, Cluster):
                try:
                    executor.check()
                except RuntimeError as refusal:
                    raise _refused(refusal) from refusal
        else:
            if future in under_way:
                return future
