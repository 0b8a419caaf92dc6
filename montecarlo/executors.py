"""Where the members of an ensemble run: in this process, or on any ``concurrent.futures`` executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, as_completed
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def as_finished(
    run: Callable[[Task], Result], tasks: Iterable[tuple[int, Task]], executor: Executor | None
) -> Iterator[tuple[int, Result]]:
    """Run every task, and yield its number and its result as soon as it has one.

    Parameters
    ----------
    run : callable
        A function of a module, which pickles.
    tasks : iterable of (int, task)
        Numbered; each is run once.
    executor : concurrent.futures.Executor or None
        None runs them here, in their order.

    Raises
    ------
    Exception
        Whatever a task raises; tasks that have not started are then cancelled.
    """
    if executor is None:
        for number, task in tasks:
            yield number, run(task)
        return
    futures = {executor.submit(run, task): number for number, task in tasks}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        for future in futures:
            future.cancel()
