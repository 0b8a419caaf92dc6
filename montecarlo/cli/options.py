"""What the commands share: options of an ensemble, lists of widths, and the processes that run them."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from meanfield.errors import ParameterError, require_integer

from ..store import Store


def ensemble_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of an ensemble."""
    for option in (
        click.option("--workers", type=int, default=_processors(), show_default="all processors", help="Processes."),
        click.option(
            "--store",
            type=click.Path(dir_okay=False, path_type=Path),
            help="File of finished networks: the same command goes on from it after an interruption.",
        ),
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
        initializer=_begin_worker,
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Leave Ctrl-C to the process that has the pool, which tells the others, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)  # without its parent a worker would wait for work for ever


@contextmanager
def opened(path: Path | None, run: Mapping[str, Any]) -> Iterator[Store | None]:
    """Provide the store of a command, or None; on an interrupt, say what is safe and how to go on."""
    if path is None:
        yield None
        return
    with Store(path, run=run) as store:
        try:
            yield store
        except KeyboardInterrupt:
            safe = f"{len(store)} networks are safe in {path}, and the same command goes on from there"
            raise _Interrupted(f"interrupted; {safe}") from None


@contextmanager
def progress(total: int, store: Store | None) -> Iterator[Callable[[], None]]:
    """Show how many networks are done and how long the others will take; what a store had took no time."""
    counted = 0
    with tqdm(total=total, unit="network", leave=False, disable=None) as bar:

        def finished() -> None:
            nonlocal counted
            if store is not None and store.found > counted:
                bar.initial = store.found
                bar.n += store.found - counted
                counted = store.found
            bar.update()

        yield finished


class _Interrupted(click.ClickException):
    exit_code = 130  # as after any other interrupt
