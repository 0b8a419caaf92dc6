"""How many threads linear algebra takes: rounding depends on it, and workers must not fight over processors."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import threadpoolctl
from threadpoolctl import threadpool_limits


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


_ENVIRONMENT = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
_environment_lock = threading.Lock()


@contextmanager
def blas_threads_of_children(threads: int) -> Iterator[None]:
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
