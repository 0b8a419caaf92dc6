"""One writer: a lock that the system takes back when the process that holds it dies, however it dies."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

_PATIENCE = 1.0
"""Seconds to wait: a reader looks whether there is a writer by holding the lock for a moment."""


class Lock:
    """A lock on a file that is there only while it is held, or after a process that held it was killed.

    Parameters
    ----------
    path : Path
        In a folder that can be written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one, two = Lock(Path(folder, "lock")), Lock(Path(folder, "lock"))
    ...     one.acquire(), two.acquire(patience=0), two.is_held(), one.release(), two.acquire(), two.release()
    (True, False, True, None, True, None)
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self, *, patience: float = _PATIENCE) -> bool:
        """Take the lock; False if it stays in other hands.

        Raises
        ------
        OSError
            If the disk is full, or of a kind that has no locks.
        """
        end = time.monotonic() + patience
        while True:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            if _try(file):
                if self._is_current(file):
                    self._file = file
                    _HELD.add(self)
                    return True
                os.close(file)  # its holder has removed it meanwhile: it guards nothing
                continue
            os.close(file)
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)

    def is_held(self) -> bool:
        """Whether somebody holds it now; leaves no file."""
        try:
            file = os.open(self._path, os.O_RDWR)
        except FileNotFoundError:
            return False
        except PermissionError:  # somebody else's
            return True
        try:
            return not _try(file)
        finally:
            os.close(file)

    def release(self) -> None:
        """Give the lock back, and remove its file."""
        if self._file is None:
            return
        if sys.platform == "win32":
            os.close(self._file)
            with contextlib.suppress(OSError):  # Windows removes no file that another has opened meanwhile
                self._path.unlink()
        else:
            self._path.unlink(missing_ok=True)  # while it is held, so that no other's is removed
            os.close(self._file)
        self._forget()

    def drop_copy(self) -> None:
        """In a forked process: leave the lock to the one that took it."""
        if self._file is not None:
            os.close(self._file)
            self._forget()

    def _forget(self) -> None:
        self._file = None
        _HELD.discard(self)

    def _is_current(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), os.stat(self._path))
        except FileNotFoundError:
            return False


_HELD: set[Lock] = set()
"""The locks of this process."""

if sys.platform == "win32":
    import msvcrt

    def _try(file: int) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _let_go() -> None:
        """Close the copies that a fork makes: workers may outlive the writer, and would keep its lock."""
        for lock in tuple(_HELD):
            lock.drop_copy()

    os.register_at_fork(after_in_child=_let_go)
