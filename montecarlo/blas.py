"""How many threads linear algebra takes: rounding depends on it, and workers must not fight over processors."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import threadpoolctl
from threadpoolctl import ThreadpoolController


class _BlasLimits:
    """How many members compute in this process, and the limits before the first of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.members = 0
        self.restore: Callable[[], object] | None = None
        self._modules = 0
        self._controller: ThreadpoolController | None = None

    def controller(self) -> ThreadpoolController:
        """Find the BLAS libraries of this process: again only after imports, for it takes a millisecond."""
        if self._controller is None or self._modules != len(sys.modules):
            self._controller = ThreadpoolController()
            self._modules = len(sys.modules)
        return self._controller


_limits = _BlasLimits()


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Compute with so many BLAS threads.

    The threads of a process share one limit (as those of a dask worker do), and one that restored it would change the
    bits of another: the last to leave restores what the first has found.
    """
    with _limits.lock, _control():
        limit = _limits.controller().limit(limits=threads, user_api="blas")
        if not _limits.members:
            _limits.restore = limit.restore_original_limits
        _limits.members += 1
    try:
        yield
    finally:
        with _limits.lock:
            _limits.members -= 1
            if not _limits.members and _limits.restore is not None:
                with _control():
                    _limits.restore()


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
