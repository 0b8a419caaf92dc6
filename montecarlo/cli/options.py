"""What the commands share: options of an ensemble, lists of widths, and the processes that run them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import click

from meanfield.errors import ParameterError, require_integer, require_number


def ensemble_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of an ensemble."""
    for option in (
        click.option("--workers", type=int, default=_processors(), show_default="all processors", help="Processes."),
        click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same numbers."),
    ):
        command = option(command)
    return command


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_widths(text: str | None, default: list[int]) -> list[int]:
    """Read widths separated by commas."""
    if text is None:
        return default
    try:
        return [require_integer("widths", int(part), at_least=2) for part in text.split(",")]
    except ValueError:
        raise ParameterError("widths", "integers >= 2 separated by commas", repr(text)) from None


def read_rates(text: str | None, default: list[float]) -> list[float]:
    """Read learning rates separated by commas."""
    if text is None:
        return default
    try:
        return [require_number("learning_rates", float(part), above=0) for part in text.split(",")]
    except ValueError:
        raise ParameterError("learning_rates", "numbers > 0 separated by commas", repr(text)) from None


@contextmanager
def pool(workers: int) -> Iterator[Executor | None]:
    """Provide a pool of processes, or None for a single worker; on an interrupt, what has not started is dropped."""
    workers = require_integer("workers", workers, at_least=1)
    if workers == 1:
        yield None
        return
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),  # Ctrl-C is for this process; it tells the others
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
