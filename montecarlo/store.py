"""The store of finished members: an SQLite file that survives what kills a run, and refuses what is not its own."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import numpy as np
import scipy

from meanfield import ParameterError, __version__

from .codec import decode, encode
from .fingerprint import differences
from .lock import Lock

Record = TypeVar("Record")

_MAGIC = b"SQLite format 3\0"
_APPLICATION = int.from_bytes(b"MFMC", "big")
"""SQLite keeps this number for the application that owns a file."""
_FORMAT = 1
"""Of the tables below."""
_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_FORMAT};
CREATE TABLE run (description TEXT NOT NULL, environment TEXT NOT NULL);
CREATE TABLE ensembles (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE);
CREATE TABLE members (
    ensemble INTEGER NOT NULL REFERENCES ensembles,
    member INTEGER NOT NULL,
    record TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (ensemble, member)
) WITHOUT ROWID;
"""
_OF_A_RUN = "the store of a run of montecarlo"


class StoreError(OSError):
    """A member could not be written: the disk is full, or gone."""


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
        On a local disk; created if it is not there or empty.
    run : mapping, optional
        What all ensembles of the file have in common, ready for JSON. A file with another run is refused. Within the
        run every ensemble is told apart by its own fingerprint.

    Raises
    ------
    ParameterError
        If the file is not a store, is damaged, belongs to a different run, or if another run is writing to it; it is
        left as it is, byte for byte.

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
        run = {} if run is None else run
        lock = self._lock = _lock(self.path)
        held = lock.is_held()  # a file that somebody has open is not to be opened and closed here: SQLite's locks go
        if not held and not _is_new(self.path):
            _require_header(self.path)  # before any file appears beside it
        _require_writable(self.path)
        if not lock.acquire():
            raise ParameterError("store", "a file that no other run is writing to", self.path)
        try:
            if _is_new(self.path):
                _create(self.path, run)
            else:
                _require_header(self.path)
                _require_run(self.path, run)
            self._connection = _connect(self.path)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        count: int = self._connection.execute("SELECT count(*) FROM members").fetchone()[0]
        return count

    def close(self) -> None:
        """Leave one file, and let others write."""
        try:
            self._connection.close()
        finally:
            self._lock.release()

    def members(self, fingerprint: Mapping[str, Any]) -> dict[int, Any]:
        """Return the members of an ensemble that are there, by their numbers."""
        return {n: r for e in _ensembles(self._connection, _canonical(fingerprint)) for n, r in e.members.items()}

    def add(self, fingerprint: Mapping[str, Any], member: int, record: object) -> None:
        """Write a member; when this returns it is safe.

        Raises
        ------
        ParameterError
            For a record of a type that is not registered.
        StoreError
            If it could not be written.
        """
        text, key = encode(record), _canonical(fingerprint)
        try:
            with self._connection:
                self._connection.execute("INSERT OR IGNORE INTO ensembles (fingerprint) VALUES (?)", (key,))
                (ensemble,) = self._connection.execute(
                    "SELECT id FROM ensembles WHERE fingerprint = ?", (key,)
                ).fetchone()
                self._connection.execute(
                    "INSERT INTO members VALUES (?, ?, ?, ?)", (ensemble, member, text, _digest(key, member, text))
                )
        except sqlite3.Error as error:
            raise StoreError(
                f"member {member} was lost: {self.path} could not be written ({error}). The members before it are "
                "safe, and the same run goes on from there when the cause is gone"
            ) from error


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
    lock = _lock(path)
    if not lock.is_held():
        _require_header(path)
        try:
            return _read_copy(path)[1]
        except ParameterError:
            if not lock.is_held():  # else a run has begun to write while the copy was made
                raise
    with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as connection:
        return _read(connection, path)[1]


def _lock(path: Path) -> Lock:
    path = path.resolve()  # one lock, whatever links lead to the file
    return Lock(path.with_name(path.name + ".lock"))


def _is_new(path: Path) -> bool:
    return not path.exists() or (path.is_file() and path.stat().st_size == 0)


def _require_header(path: Path) -> None:
    """Refuse a file by its first bytes, which say whose it is, without opening it as a database."""
    if not path.is_file():
        raise ParameterError("store", _OF_A_RUN, f"{path}, which is not a file")
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(_MAGIC):
        raise ParameterError("store", _OF_A_RUN, f"{path}, which is no SQLite file")
    if int.from_bytes(header[68:72], "big") != _APPLICATION:
        raise ParameterError("store", _OF_A_RUN, f"{path}, an SQLite file of another program")
    version = int.from_bytes(header[60:64], "big")
    if version != _FORMAT:
        raise ParameterError("store", f"of format {_FORMAT}, which this version writes", f"{path} of format {version}")


def _require_writable(path: Path) -> None:
    if not path.parent.is_dir():
        raise ParameterError("store", "in a folder that exists", path)
    for place in (path.parent, *([path] if path.exists() else [])):
        if not os.access(place, os.W_OK):
            raise ParameterError("store", "a file that can be written to, in a folder that can", path)


def _create(path: Path, run: Mapping[str, Any]) -> None:
    """Write an empty store, or nothing: it is made aside, and gets its name when it is complete."""
    environment = {
        "montecarlo": __version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_SCHEMA)
        connection.execute("INSERT INTO run VALUES (?, ?)", (_canonical(run), json.dumps(environment)))
        connection.commit()
        content = connection.serialize()
    path = path.resolve()
    aside = path.with_name(path.name + ".new")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise StoreError(f"{path} could not be created ({error})") from error
    if hasattr(os, "O_DIRECTORY"):  # the name, too, is to survive a power cut
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for each other
        connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk, not on its way
        connection.execute("PRAGMA fullfsync = ON")  # macOS
        connection.execute("SELECT count(*) FROM members").fetchone()  # the journals are there
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(f"{path} could not be opened ({error})") from error
    return connection


def _require_run(path: Path, run: Mapping[str, Any]) -> None:
    stored, _ = _read_copy(path)
    differing = differences(stored, json.loads(_canonical(run)))
    if differing:
        raise ParameterError("store", "of the same run", f"{path} ({'; '.join(differing)})")


def _read_copy(path: Path) -> tuple[dict[str, Any], tuple[StoredEnsemble[Any], ...]]:
    """Read a copy, journals and all: even a damaged file is opened, and repaired, only there."""
    with TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        for suffix in ("", "-wal", "-journal"):
            source = path.resolve().with_name(path.resolve().name + suffix)
            if source.exists():
                shutil.copyfile(source, copy.with_name(copy.name + suffix))
        with closing(sqlite3.connect(copy)) as connection:
            return _read(connection, path, check=True)


def _read(
    connection: sqlite3.Connection, path: Path, *, check: bool = False
) -> tuple[dict[str, Any], tuple[StoredEnsemble[Any], ...]]:
    """Return the description of the run, and its ensembles."""
    try:
        if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
            raise ParameterError("store", _OF_A_RUN, path)
        if check:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(" ".join(found.split()))
        (description,) = connection.execute("SELECT description FROM run").fetchone()
        run: dict[str, Any] = json.loads(description)
        return run, tuple(_ensembles(connection))
    except ParameterError:
        raise
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        raise ParameterError("store", "undamaged", f"{path} ({error})") from error


def _ensembles(connection: sqlite3.Connection, key: str | None = None) -> list[StoredEnsemble[Any]]:
    """Return all ensembles, or the one with this fingerprint."""
    rows = connection.execute(
        "SELECT fingerprint, member, record, digest FROM ensembles JOIN members ON ensemble = id "
        "WHERE ? IS NULL OR fingerprint = ? ORDER BY id, member",
        (key, key),
    )
    members: dict[str, dict[int, Any]] = {}
    for fingerprint, member, text, digest in rows:
        if digest != _digest(fingerprint, member, text):
            raise ValueError(f"member {member} is not what was written")
        members.setdefault(fingerprint, {})[member] = decode(text)
    return [StoredEnsemble(json.loads(fingerprint), records) for fingerprint, records in members.items()]


def _canonical(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, allow_nan=False)


def _digest(key: str, member: int, text: str) -> str:
    return hashlib.sha256(f"{key}\n{member}\n{text}".encode()).hexdigest()[:32]
