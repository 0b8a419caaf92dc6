"""The store of finished members: a file that survives what kills a run, and refuses what is not its own."""

from __future__ import annotations

import json
import os
import sqlite3
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from meanfield import ParameterError

from .codec import encode
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


@dataclass(frozen=True)
class StoredEnsemble(Generic[Record]):
    """What a store has of one ensemble."""

    fingerprint: Mapping[str, Any]
    """What its members' bits depend on."""
    members: Mapping[int, Record]
    """By their numbers, in increasing order."""

    @property
    def seed(self) -> int:
        """Of the ensemble."""
        return int(self.fingerprint["seed"])


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
        If the file is not a store, is damaged, belongs to a different run, or if another run is writing to it; it is
        left as it is, byte for byte.
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

    found: int = 0
    """How many members were read instead of being run again."""

    def __init__(self, path: str | os.PathLike[str], *, run: Mapping[str, Any] | None = None) -> None:
        self.path = Path(path)
        self._lock = _lock(self.path)
        require_writable(self.path)
        try:
            if not self._lock.acquire():
                raise ParameterError("store", "a file that no other run is writing to", self.path)
        except OSError as error:
            raise StoreError(f"{self.path} could not be locked ({error})") from error
        try:
            if is_new(self.path):
                create(self.path, run or {})
            contents = read_copy(self.path)
            _require_run(self.path, contents, json.loads(canonical(run or {})))
            self._ensembles = contents.ensembles
            self._connection = connect(self.path)
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
        count: int = self._connection.execute("SELECT count(*) FROM members").fetchone()[0]
        return count  # of those on the disk: an interrupt may have come before the last was noted here

    def close(self) -> None:
        """Leave one file, and let others write."""
        try:
            self._connection.close()
        finally:
            self._lock.release()

    def members(self, fingerprint: Mapping[str, Any]) -> dict[int, Any]:
        """Return the members of an ensemble that are there, by their numbers."""
        return dict(self._ensembles.get(canonical(fingerprint), {}))

    def add(self, fingerprint: Mapping[str, Any], member: int, record: object) -> None:
        """Write a member; when this returns it is safe.

        Raises
        ------
        ParameterError
            For a record of a type that is not registered.
        StoreError
            If it could not be written.
        """
        text, key = encode(record), canonical(fingerprint)
        try:
            insert(self._connection, key, member, text)
        except sqlite3.Error as error:
            raise StoreError(
                f"member {member} was lost: {self.path} could not be written ({error}). The {len(self)} networks that "
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
        If the file is not a store, or damaged; it is left as it is.
    """
    path = Path(path)
    if not path.exists():
        raise ParameterError("store", "a file that exists", path)
    ensembles = _contents(path).ensembles
    return tuple(StoredEnsemble(json.loads(key), members) for key, members in ensembles.items())


def _contents(path: Path) -> Contents:
    lock = _lock(path)
    if not lock.is_held():
        try:
            return read_copy(path)
        except ParameterError:
            if not lock.is_held():  # else a run has begun to write while the copy was made
                raise
    return read_beside(path)  # through SQLite alone: closing the file here would take away this process's locks on it


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
