"""Where the networks of a command run, and where they are kept: the options, and what they ask for."""

from __future__ import annotations

import asyncio
import functools
import io
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from meanfield import Network
from meanfield.errors import ParameterError, require_integer, require_number

from ..database import read_copy
from ..ensemble import BLAS_THREADS
from ..executors import WorkerError
from ..processes import Processes
from ..store import Store

CONNECT = 5.0
"""How many seconds a scheduler has to answer."""

LINES = 60.0
"""After how many seconds the next line about progress comes, where there is no terminal for a bar."""


@dataclass(frozen=True)
class RunOptions:
    """What the options of an ensemble ask for."""

    seed: int
    workers: int | None
    """None for all processors, or those of the scheduler."""
    scheduler: str | None
    store: Path | None

    def __post_init__(self) -> None:
        require_integer("seed", self.seed, at_least=0, at_most=None)
        if self.workers is not None:
            require_integer("workers", self.workers, at_least=1)
            if self.scheduler is not None:
                raise click.UsageError("--workers is for this machine, --scheduler for another: give one of them")

    @contextmanager
    def running(self, study: Mapping[str, Any], runs: int) -> Iterator[dict[str, Any]]:
        """Provide what so many networks of a study run with: executor, store and progress."""
        with (
            opened(self.store, study) as store,
            self._executor(runs) as executor,
            progress(runs, store) as finished,
        ):
            yield {"executor": executor, "store": store, "progress": finished}

    @contextmanager
    def _executor(self, runs: int) -> Iterator[Executor | None]:
        """Provide the workers, None for this process alone; an interrupt ends them at once."""
        workers = min(_processors() if self.workers is None else self.workers, runs)
        if self.scheduler is not None:
            with _cluster(self.scheduler) as executor:
                yield executor
        elif workers == 1:
            yield None
        else:
            with Processes(workers, blas_threads=BLAS_THREADS) as processes:
                yield processes


_OPTIONS = (
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Run on the workers of this dask scheduler (tcp://HOST:PORT; extra `cluster`) instead of --workers.",
    ),
    click.option(
        "--workers",
        type=int,
        help="Processes on this machine; one that dies is replaced and its network run again.  "
        "[default: all processors]",
    ),
    click.option(
        "--store",
        type=click.Path(dir_okay=False, path_type=Path),
        help="File of finished networks: the same command goes on from it after an interruption.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same numbers."),
)


def ensemble_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of an ensemble, as one argument ``options``."""

    @functools.wraps(command)
    def with_options(
        *network: Network, seed: int, workers: int | None, scheduler: str | None, store: Path | None, **others: Any
    ) -> Any:
        return command(*network, options=RunOptions(seed, workers, scheduler, store), **others)

    return functools.reduce(lambda wrapped, option: option(wrapped), _OPTIONS, with_options)


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_widths(text: str | None, default: list[int], *, number: int = 1) -> list[int]:
    """Read so many widths, or more, separated by commas; in increasing order, each once, for lines to join them."""
    if text is None:
        return default
    try:
        widths = sorted({require_integer("widths", int(part), at_least=2) for part in text.split(",")})
    except ValueError:  # a ParameterError is one: it would speak of one width
        widths = []
    if len(widths) < number:
        several = f"at least {number} different " if number > 1 else ""
        raise ParameterError("widths", f"{several}integers >= 2 separated by commas", repr(text))
    return widths


def read_rates(text: str | None, default: list[float]) -> list[float]:
    """Read learning rates separated by commas; in increasing order, each once."""
    if text is None:
        return default
    try:
        return sorted({require_number("learning_rates", float(part), above=0) for part in text.split(",")})
    except ValueError:
        raise ParameterError("learning_rates", "numbers > 0 separated by commas", repr(text)) from None


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    """Provide the workers of a dask scheduler."""
    try:
        import distributed
        from distributed.core import connect
    except ImportError:
        message = "--scheduler needs the extra 'cluster' (in a clone of the project: pip install '.[cluster]')"
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
        try:
            yield client.get_executor()
        except WorkerError:
            if client.status == "running":
                raise
            message = f"the scheduler at {address} is gone; with --store FILE, the finished networks are kept"
            raise click.ClickException(message) from None


@contextmanager
def opened(path: Path | None, study: Mapping[str, Any]) -> Iterator[Store | None]:
    """Provide the store of a command, or None; on an interrupt, say what is safe and how to go on."""
    if path is None:
        try:
            yield None
        except KeyboardInterrupt:
            raise _Interrupted("interrupted; with --store FILE the finished networks would have been kept") from None
        return
    new = not path.exists()
    with _store(path, study) as store:
        try:
            yield store
        except KeyboardInterrupt:
            again = shlex.join(["montecarlo", *sys.argv[1:]])
            raise _Interrupted(f"interrupted; {len(store)} networks are safe in {path}; go on with: {again}") from None
        except Exception:
            if new and not len(store):
                _remove(path.resolve())  # refused before its first network; while it is locked, so that it is ours
            raise


def _remove(path: Path) -> None:
    """Remove a store with SQLite's journals, which closing would leave behind where the file is gone."""
    for suffix in ("", "-wal", "-shm"):
        with suppress(PermissionError):  # Windows keeps files that are open
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _store(path: Path, study: Mapping[str, Any]) -> Store:
    """Open a store; of another study's, say which command it belongs to."""
    try:
        return Store(path, run=study)
    except ParameterError:
        begun: Mapping[str, Any] = {}
        with suppress(ParameterError):  # what is wrong with the file is known already
            begun = read_copy(path).run
        if begun and _command(begun) != _command(study):
            expected = "a new file, or one that this command has begun"
            raise ParameterError("store", expected, f"{path}, begun by `montecarlo {_command(begun)}`") from None
        raise


def _command(study: Mapping[str, Any]) -> str:
    """Return what has begun a store; that of a single experiment has no name."""
    return str(study.get("command", "compare"))


@contextmanager
def progress(total: int, store: Store | None) -> Iterator[Callable[[], None]]:
    """Show how many networks are done and how long the others will take; what a store had took no time.

    At the mean pace of this run: the latest would mislead wherever small networks come before large ones. Where it is
    no terminal, as in the log of a night, a line now and then.
    """
    counted, terminal, said = 0, sys.stderr.isatty(), time.monotonic()
    pace: dict[str, Any] = {"smoothing": 0, "miniters": 1}  # else the many that a store had count as one great step
    with tqdm(total=total, unit=" networks", leave=False, file=None if terminal else io.StringIO(), **pace) as bar:

        def finished() -> None:
            nonlocal counted, said
            if store is not None and store.found > counted:
                bar.initial = store.found
                bar.n += store.found - counted
                counted = store.found
            bar.update()
            if not terminal and time.monotonic() - said >= LINES:
                said = time.monotonic()
                click.echo(tqdm.format_meter(**bar.format_dict), err=True)

        yield finished


class _Interrupted(click.ClickException):
    exit_code = 130  # as after any other interrupt
