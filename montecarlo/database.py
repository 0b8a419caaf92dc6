"""The SQLite file of a store: how it is made, told from other files, opened for writing, and read."""

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
from typing import Any
from urllib.parse import quote

import numpy as np
import scipy

from meanfield import ParameterError, __version__
from meanfield.aside import aside

from .codec import decode

_MAGIC = b"SQLite format 3\0"
_APPLICATION = int.from_bytes(b"MFMC", "big")
"""SQLite keeps this number for the application that owns a file."""
_FORMAT = 2
"""Of the tables below."""
_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_FORMAT};
CREATE TABLE run (description TEXT NOT NULL, environment TEXT NOT NULL, digest TEXT NOT NULL);
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

ENVIRONMENT = {
    "montecarlo": __version__,
    "numpy": np.__version__,
    "scipy": scipy.__version__,
    "python": platform.python_version(),
    "machine": platform.machine(),
}
"""In which a store was begun."""


class StoreError(OSError):
    """A store could not be created, opened, written or read: the disk is full, a name too long, or it was closed."""


@dataclass(frozen=True)
class Contents:
    """What is in the file, checked to be what was written."""

    run: dict[str, Any]
    environment: dict[str, Any]
    ensembles: dict[str, dict[int, Any]]
    """The records by their numbers, for each fingerprint as :func:`canonical` text."""


def canonical(data: Mapping[str, Any], *, parameter: str) -> str:
    """Return data ready for JSON as the one text that stands for it; refuse other data.

    Examples
    --------
    >>> canonical({"width": 200, "seed": 0}, parameter="run")
    '{"seed": 0, "width": 200}'
    """
    expected = "a mapping ready for JSON"
    if not isinstance(data, Mapping):
        raise ParameterError(parameter, expected, repr(data))
    try:
        return json.dumps(dict(data), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ParameterError(parameter, expected, f"one that is not ({error})") from None


def is_new(path: Path) -> bool:
    """Whether there is no file yet, or an empty one."""
    return not path.exists() or (path.is_file() and path.stat().st_size == 0)


def require_store(path: Path) -> None:
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


def require_writable(path: Path) -> None:
    """Refuse a file, or a folder for it, that cannot be written to."""
    if not path.parent.is_dir():
        raise ParameterError("store", "in a folder that exists", path)
    if path.is_file() and path.stat().st_nlink > 1:  # each has a lock of its own
        raise ParameterError("store", "a file with a single name", f"{path}, which hard links give another one")
    for place in (path.parent, *([path] if path.exists() else [])):
        if not os.access(place, os.W_OK):
            raise ParameterError("store", "a file that can be written to, in a folder that can", path)


def create(path: Path, run: Mapping[str, Any]) -> None:
    """Write a store without members, or nothing: it is made aside, and gets its name when it is complete."""
    description, environment = canonical(run, parameter="run"), json.dumps(ENVIRONMENT)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_SCHEMA)
        row = (description, environment, _digest(description, environment))
        connection.execute("INSERT INTO run VALUES (?, ?, ?)", row)
        connection.commit()
        content = connection.serialize()
    path = path.resolve()
    for suffix in ("-wal", "-journal"):  # SQLite would take what they hold for parts of the new file
        left = path.with_name(path.name + suffix)
        if left.exists():
            raise ParameterError("store", f"a new file beside which nothing is left of an old one: delete {left}", path)
    try:
        with aside(path) as new, new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"{path} could not be created ({error})") from error
    if hasattr(os, "O_DIRECTORY"):  # the name, too, is to survive a power cut
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def connect(path: Path) -> sqlite3.Connection:
    """Open a store for writing."""
    connection = sqlite3.connect(path.absolute())
    try:
        connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for each other
        connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk, not on its way
        connection.execute("PRAGMA fullfsync = ON")  # macOS
        connection.execute("SELECT count(*) FROM members").fetchone()  # the journals are there
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(f"{path} could not be opened ({error})") from error
    return connection


def insert(connection: sqlite3.Connection, fingerprint: str, member: int, record: str) -> None:
    """Write a member in one transaction: when this returns, it is on the disk."""
    with connection:
        connection.execute("INSERT OR IGNORE INTO ensembles (fingerprint) VALUES (?)", (fingerprint,))
        connection.execute(
            "INSERT INTO members SELECT id, ?, ?, ? FROM ensembles WHERE fingerprint = ?",
            (member, record, _digest(fingerprint, str(member), record), fingerprint),
        )


def read_copy(path: Path) -> Contents:
    """Read a file that nobody writes from a copy, journals and all: damage is looked at, and repaired, only there."""
    require_store(path)
    path = path.resolve()
    with TemporaryDirectory() as folder:
        for suffix in ("", "-wal", "-journal"):
            source = path.with_name(path.name + suffix)
            if source.exists():
                shutil.copyfile(source, Path(folder, source.name))
        with closing(sqlite3.connect(Path(folder, path.name))) as connection:
            return _read(connection, path)


def read_beside(path: Path) -> Contents:
    """Read a file that a run is writing."""
    with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as connection:
        return _read(connection, path)


def _read(connection: sqlite3.Connection, path: Path) -> Contents:
    try:
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(" ".join(found.split()))
        return Contents(*_read_run(connection), _read_ensembles(connection))
    except ParameterError:
        raise
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        raise ParameterError("store", "undamaged", f"{path} ({error})") from error


def _read_run(connection: sqlite3.Connection) -> tuple[dict[str, Any], dict[str, Any]]:
    ((description, environment, digest),) = connection.execute("SELECT description, environment, digest FROM run")
    if digest != _digest(description, environment):
        raise ValueError("the description of the run is not what was written")
    return json.loads(description), json.loads(environment)


def _read_ensembles(connection: sqlite3.Connection) -> dict[str, dict[int, Any]]:
    rows = connection.execute(
        "SELECT fingerprint, member, record, digest FROM members LEFT JOIN ensembles ON ensemble = id "
        "ORDER BY id, member"
    )
    ensembles: dict[str, dict[int, Any]] = {}
    for fingerprint, member, record, digest in rows:
        if digest != _digest(fingerprint, str(member), record):
            raise ValueError(f"member {member} is not what was written")
        ensembles.setdefault(fingerprint, {})[member] = decode(record)
    return ensembles


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(map(str, texts)).encode()).hexdigest()[:32]
