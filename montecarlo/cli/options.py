"""What the commands share: options of an ensemble, lists of widths, and the processes or the cluster that run them."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from tqdm import tqdm

from meanfield.errors import ParameterError, require_integer, require_number

from ..ensemble import BLAS_THREADS
from ..processes import Processes
from ..store import Store

CONNECT = 5.0
"""How many seconds a scheduler has to answer."""

_SCHEDULER = "montecarlo.scheduler"
"""Where a command's context keeps the address."""


def ensemble_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of an ensemble."""
    for option in (
        click.option(
            "--scheduler",
            metavar="ADDRESS",
            callback=_keep_scheduler,
            expose_value=False,
            help="Run on the workers of this dask scheduler (tcp://HOST:PORT; extra `cluster`) instead of --workers.",
        ),
        click.option(
            "--workers",
            type=int,
            default=_processors(),
            show_default="all processors",
            help="Processes on this machine; one that dies is replaced and its network run again.",
        ),
        click.option(
            "--store",
            type=click.Path(dir_okay=False, path_type=Path),
            help="File of finished networks: the same command goes on from it after an interruption.",
        ),
        click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same numbers."),
    ):
        command = option(command)
    return command


def _keep_scheduler(context: click.Context, option: click.Parameter, address: str | None) -> None:
    """Keep the address where :func:`pool` finds it, so that commands know only how many workers there are here."""
    context.meta[_SCHEDULER] = address


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
    """Provide what --workers or --scheduler ask for, None for a single worker; an interrupt ends it at once."""
    workers = require_integer("workers", workers, at_least=1)
    context = click.get_current_context(silent=True)
    address = context.meta.get(_SCHEDULER) if context else None
    if context and address is not None:
        if context.get_parameter_source("workers") is not ParameterSource.DEFAULT:
            raise click.UsageError("--workers is for this machine, --scheduler for another: give one of them", context)
        with _cluster(address) as executor:
            yield executor
    elif workers == 1:
        yield None
    else:
        with Processes(workers, blas_threads=BLAS_THREADS) as processes:
            yield processes


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    """Provide the workers of a dask scheduler."""
    try:
        import distributed
        from distributed.core import connect
    except ImportError:
        message = "--scheduler needs the extra 'cluster': pip install 'meanfield-fim[cluster]'"
        raise click.ClickException(message) from None

    async def knock() -> None:
        arguments = distributed.Security().get_connection_args("client")
        await (await connect(address, timeout=CONNECT, **arguments)).close()

    try:
        asyncio.run(knock())  # a Client that finds nobody takes longer to give up, and complains when it is deleted
    except Exception as error:  # what another kind of server answers is read as anything, even as too little memory
        reason = str(error) if isinstance(error, OSError | ValueError) else "what answers there is something else"
        expected = "the address of a dask scheduler that answers, such as tcp://10.0.0.1:8786"
        raise ParameterError("scheduler", expected, f"{address!r} ({reason})") from None
    with distributed.Client(address, set_as_default=False) as client:
        if not client.scheduler_info()["workers"]:
            click.echo(f"the scheduler at {address} has no workers yet: waiting for them", err=True)
        yield client.get_executor()


@contextmanager
def opened(path: Path | None, run: Mapping[str, Any]) -> Iterator[Store | None]:
    """Provide the store of a command, or None; on an interrupt, say what is safe and how to go on."""
    if path is None:
        try:
            yield None
        except KeyboardInterrupt:
            raise _Interrupted("interrupted; with --store FILE the finished networks would have been kept") from None
        return
    with Store(path, run=run) as store:
        try:
            yield store
        except KeyboardInterrupt:
            again = shlex.join(["montecarlo", *sys.argv[1:]])
            raise _Interrupted(f"interrupted; {len(store)} networks are safe in {path}; go on with: {again}") from None


@contextmanager
def progress(total: int, store: Store | None) -> Iterator[Callable[[], None]]:
    """Show how many networks are done and how long the others will take; what a store had took no time.

    At the mean pace of this run: the latest would mislead wherever small networks come before large ones.
    """
    counted = 0
    pace: dict[str, Any] = {"smoothing": 0, "miniters": 1}  # else the many that a store had count as one great step
    with tqdm(total=total, unit=" networks", leave=False, disable=None, **pace) as bar:

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
