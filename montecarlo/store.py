"""The store of finished members: a file that survives what kills a run, and refuses what is not its own."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import warnings
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from meanfield import ParameterError
from meanfield.errors import require_integer

from .codec import decode, encode
from .database import (
    ENVIRONMENT,
    Contents,
    StoreError,
    canonical,
    connect,
    create,
    insert,
    is_new,
    read_beside,
    read_copy,
    require_writable,
)
from .fingerprint import differences
from .lock import Lock

Record = TypeVar("Record")

_NUMBERS = ("numpy", "scipy", "machine")
"""What of the environment the members' last digits depend on."""

_PATIENCE = 2.0
"""Seconds in which a run that begins or ends has its journals in order."""


@dataclass(frozen=True)
class StoredEnsemble(Generic[Record]):
    """What a store has of one ensemble."""

    fingerprint: Mapping[str, Any]
    """What its members' bits depend on."""
    members: Mapping[int, Record]
    """By their numbers, in increasing order."""

    @property
    def seed(self) -> int | None:
        """Of the ensemble; None where a fingerprint of one's own has none."""
        seed: int | None = self.fingerprint.get("seed")
        return seed


class Store:
    """The finished members of a run, in one SQLite file; a context manager.

    A member that was added is on the disk: it survives a killed process and a power cut. One run at a time may write;
    others may read with :func:`read_store` while it does.

    Parameters
    ----------
    path : str or Path
        Created if it is not there or empty. On a local disk: SQLite's journal is shared through memory, which does not
        reach the other computers of a network file system. (A cluster's workers do not touch the file, the process that
        calls :func:`run_ensemble` does.)
    run : mapping, optional
        What all ensembles of the file have in common, ready for JSON. A file with another run is refused. Within the
        run every ensemble is told apart by its own fingerprint.

    Raises
    ------
    ParameterError
        If the file is not a store, is damaged, has several names (hard links), belongs to a different run, or if
        another run is writing to it; it is left as it is, byte for byte.
    StoreError
        If it cannot be created or opened, as on a full disk.

    Warns
    -----
    UserWarning
        If the file was begun with another NumPy or SciPy, or on another kind of machine: the members to come may differ
        in their last digits from those that an undisturbed run would have had.

    Notes
    -----
    Each member is one transaction, written to SQLite's write-ahead log and on the disk (``synchronous = FULL``) before
    it counts. A log, whose frames carry checksums, ends at the last complete member wherever a power cut tears it; and
    readers do not hold up the writer, as they would with a rollback journal.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Store(Path(folder, "s.sqlite"), run={"width": 200}) as store:
    ...         store.add({"seed": 0}, 3, 0.1)
    ...         store.members({"seed": 0})
    ...     Store(Path(folder, "s.sqlite"), run={"width": 400})
    Traceback (most recent call last):
        ...
    meanfield.errors.ParameterError: store must be of the same run, got ... (width: 200 in the store, 400 asked)
    """

    def __init__(self, path: str | os.PathLike[str], *, run: Mapping[str, Any] | None = None) -> None:
        self.path = _path(path)
        asked = json.loads(canonical({} if run is None else run, parameter="run"))
        try:
            self._lock = _lock(self.path)
            require_writable(self.path)
            free = self._lock.acquire()
        except OSError as error:  # a name that is too long, a disk that is full or has no locks
            raise StoreError(f"{self.path} could not be locked ({error})") from error
        if not free:
            expected = "a file that no other run is writing to (it can be read and exported meanwhile)"
            raise ParameterError("store", expected, self.path)
        try:
            if is_new(self.path):
                create(self.path, asked)
            contents = read_copy(self.path)
            _require_run(self.path, contents, asked)
            self._ensembles = contents.ensembles
            self._found = 0
            self._connection: sqlite3.Connection | None = connect(self.path)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        count: int = self._opened.execute("SELECT count(*) FROM members").fetchone()[0]
        return count  # of those on the disk: an interrupt may have come before the last was noted here

    def close(self) -> None:
        """Leave one file, and let others write."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                # a reader may keep the journals from being removed: let them be empty, and all in one file; on a full
                # disk the members are safe in the log, and the next run folds it in
                with closing(connection), suppress(sqlite3.Error):
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._lock.release()

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"{self.path} was closed: open a new Store")
        return self._connection

    @property
    def found(self) -> int:
        """How many members it has given, which need not be run again."""
        return self._found

    def members(self, fingerprint: Mapping[str, Any], *, below: int | None = None) -> dict[int, Any]:
        """Return the members of an ensemble that are there, by their numbers: all, or those with smaller ones."""
        there = self._ensembles.get(canonical(fingerprint, parameter="fingerprint"), {})
        given = {member: record for member, record in there.items() if below is None or member < below}
        self._found += len(given)
        return given

    def add(self, fingerprint: Mapping[str, Any], member: int, record: object) -> None:
        """Write a member, of a number from 0 to 2^63 - 1; when this returns it is safe.

        Raises
        ------
        ParameterError
            For another number, a fingerprint that is not ready for JSON, or a record of a type that is not registered
            or that its fields do not give back, as where a dataclass changes or adds some after it was made.
        StoreError
            If it could not be written: it is there already, the disk is full, or the store was closed.
        """
        member = require_integer("member", member, at_least=0, at_most=2**63 - 1)
        text = encode(record)
        key = canonical(fingerprint, parameter="fingerprint")
        if not _given_back(text):
            expected = "the same when it is made again from its fields (no init=False, nothing changed after that)"
            raise ParameterError("record", expected, repr(record))
        try:
            insert(self._opened, key, member, text)
        except sqlite3.Error as error:
            known = sum(map(len, self._ensembles.values()))  # the file may be beyond asking
            raise StoreError(
                f"member {member} was lost: {self.path} could not be written ({error}). The {known} networks that "
                "it has are safe, and the same run goes on from there when the cause is gone"
            ) from error
        self._ensembles.setdefault(key, {})[member] = record


def read_store(path: str | os.PathLike[str]) -> tuple[StoredEnsemble[Any], ...]:
    """Read all that a store has, also while a run writes to it.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    tuple of StoredEnsemble
        In the order in which they were begun.

    Raises
    ------
    ParameterError
        If the file is not there, not a store, or damaged; it is left as it is.
    StoreError
        If it cannot be looked for, as where its name is too long.
    """
    path = _path(path)
    try:
        exists = path.exists()
    except OSError as error:
        raise StoreError(f"{path} could not be read ({error})") from error
    if not exists:
        raise ParameterError("store", "a file that exists", path)
    ensembles = _contents(path).ensembles
    return tuple(StoredEnsemble(json.loads(key), members) for key, members in ensembles.items())


def _contents(path: Path) -> Contents:
    lock = _lock(path)
    end = time.monotonic() + _PATIENCE
    while True:
        writer = lock.is_held()
        try:
            # beside a writer through SQLite alone: closing a copied file would take away this process's locks on it
            return read_beside(path) if writer else read_copy(path)
        except ParameterError:
            if not (writer or lock.is_held()) or time.monotonic() >= end:
                raise
        time.sleep(0.02)  # a run begins or ends at this moment


def _given_back(text: str) -> bool:
    try:
        return encode(decode(text)) == text
    except ParameterError:
        return False


def _path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike) or "\0" in str(path) or not str(path):
        raise ParameterError("store", "the name of a file", repr(path))
    return Path(path)


def _lock(path: Path) -> Lock:
    path = path.resolve()  # one lock, whatever links lead to the file
    return Lock(path.with_name(path.name + "-lock"))


def _require_run(path: Path, contents: Contents, run: Mapping[str, Any]) -> None:
    differing = differences(contents.run, run)
    if differing:
        raise ParameterError("store", "of the same run", f"{path} ({'; '.join(differing)})")
    versions = ((name, contents.environment[name], ENVIRONMENT[name]) for name in _NUMBERS)
    changed = [f"{name} {then} then, {now} now" for name, then, now in versions if then != now]
    if changed:
        message = f"{path} was begun elsewhere, and further members may differ in their last digits"
        warnings.warn(f"{message} ({'; '.join(changed)})", stacklevel=3)
