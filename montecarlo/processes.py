"""Worker processes that are replaced when they die."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, TypeVar

from meanfield.errors import require_integer

from .blas import blas_threads_of_children

Result = TypeVar("Result")


class Processes(ThreadPoolExecutor):
    """Processes of this machine, each replaced when it dies; only the member that it ran is lost with it.

    Each is fed by a thread of this process, for a ``ProcessPoolExecutor`` breaks as a whole. They end with this
    process, however it ends, and at once when an error or Ctrl-C leaves the ``with`` block.

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
    RuntimeError
        From what is submitted, where a process cannot start: in a script that is not under ``if __name__ ==
        "__main__":``, for every process imports the script.

    Examples
    --------
    >>> with Processes(2) as processes:
    ...     processes.submit(abs, -3).result()
    3
    """

    def __init__(self, workers: int, *, blas_threads: int = 1) -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise SystemExit(1)  # a worker that imports its script has come to where the script starts workers
        super().__init__(require_integer("workers", workers, at_least=1))
        self._blas_threads = require_integer("blas_threads", blas_threads, at_least=1)
        self._own = threading.local()
        # Nothing is ever written to the line; the workers end when this end of it is closed, on purpose or by death.
        self._line, self._held = multiprocessing.Pipe(duplex=False)

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Run a function that pickles in one of the processes."""
        # here, so that no worker waits for it
        return super().submit(self._run, pickle.dumps((fn, args, kwargs)))

    def terminate(self) -> None:
        """End the processes at once, with what they are doing; what has not started is cancelled."""
        self.shutdown(wait=False, cancel_futures=True)
        self._held.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if kind is not None:  # nobody waits for what they are doing
            self.terminate()
        super().__exit__(kind, error, where)

    def _run(self, call: bytes) -> Any:
        """Run a function in the process of this thread."""
        if not hasattr(self._own, "worker"):
            self._own.worker = _Worker(self._line, self._blas_threads)
        try:
            answer = self._own.worker.answer(call)
        except (EOFError, OSError):  # before its answer, or in the middle of it
            code = self._own.worker.end()
            del self._own.worker
            raise BrokenProcessPool(f"the worker ended with exit code {code}") from None
        succeeded, result = pickle.loads(answer)
        if not succeeded:
            raise result
        return result


class _Worker:
    """A process, and the connection over which it gets calls; when that is closed, for want of users, it ends."""

    def __init__(self, line: Connection, blas_threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, line))
        with blas_threads_of_children(blas_threads), _without_interrupts():
            self.process.start()
        theirs.close()
        try:
            self.connection.recv_bytes()  # it is ready
        except (EOFError, OSError):
            code = self.end()
            if code is not None and code < 0:
                raise BrokenProcessPool(f"the worker ended with exit code {code} when it started") from None
            raise RuntimeError(_NOT_STARTED.format(code)) from None

    def answer(self, call: bytes) -> bytes:
        """Return what it answers; fail if it is gone."""
        self.connection.send_bytes(call)
        return self.connection.recv_bytes()

    def end(self) -> int | None:
        """Return how a process that is gone has ended: minus the number of the signal, if it was one."""
        self.process.kill()  # in case that only the connection is gone; it does not change how a process has ended
        self.process.join()
        return self.process.exitcode


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let processes that start here be deaf to Ctrl-C from the first moment; it goes to all that share a terminal."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which would clear the mask when the first process starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # of this thread, which is not the main one
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, line: Connection) -> None:
    """Answer calls until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()
    with suppress(EOFError, OSError):  # nobody is there any more
        connection.send_bytes(b"")
        while True:
            connection.send_bytes(_answer(connection.recv_bytes()))


def _answer(call: bytes) -> bytes:
    try:
        fn, args, kwargs = pickle.loads(call)
        return pickle.dumps((True, fn(*args, **kwargs)))
    except BaseException as error:
        where = traceback.format_exc()
        error.add_note(f"In a worker process:\n{where}")
        try:
            answer = pickle.dumps((False, error))
            pickle.loads(answer)
        except Exception:  # an error that does not pickle, or not back
            return pickle.dumps((False, RuntimeError(where)))
        return answer


def _end_with(line: Connection) -> None:
    try:
        line.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


_NOT_STARTED = (
    "a worker process could not start (exit code {}): a script that uses montecarlo.Processes must do so under "
    'if __name__ == "__main__":, because every worker imports it'
)
