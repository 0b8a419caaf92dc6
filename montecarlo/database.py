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

from .codec import decode

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

ENVIRONMENT = {
    "montecarlo": __version__,
    "numpy": np.__version__,
    "scipy": scipy.__version__,
    "python": platform.python_version(),
    "machine": platform.machine(),
}
"""In which a store was begun."""


class StoreError(OSError):
    """A store could not be written: the disk is full, or gone."""


@dataclass(frozen=True)
class Contents:
    """What is in the file, checked to be what was written."""

    run: dict[str, Any]
    environment: dict[str, Any]
    ensembles: dict[str, dict[int, Any]]
    """The records by their numbers, for each fingerprint as :func:`canonical` text."""


def canonical(data: Mapping[str, Any]) -> str:
    """Return data ready for JSON as the one text that stands for it.

    Examples
    --------
    >>> canonical({"width": 200, "seed": 0})
    '{"seed": 0, "width": 200}'
    """
    return json.dumps(data, sort_keys=True, allow_nan=False)


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
    for place in (path.parent, *([path] if path.exists() else [])):
        if not os.access(place, os.W_OK):
            raise ParameterError("store", "a file that can be written to, in a folder that can", path)


def create(path: Path, run: Mapping[str, Any]) -> None:
    """Write a store without members, or nothing: it is made aside, and gets its name when it is complete."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_SCHEMA)
        connection.execute("INSERT INTO run VALUES (?, ?)", (canonical(run), json.dumps(ENVIRONMENT)))
        connection.commit()
        content = connection.serialize()
    path = path.resolve()
    for suffix in ("-wal", "-journal"):  # SQLite would take what they hold for parts of the new file
        left = path.with_name(path.name + suffix)
        if left.exists():
            raise ParameterError("store", f"a new file beside which nothing is left of an old one: delete {left}", path)
    aside = path.with_name(path.name + "-new")
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


def connect(path: Path) -> sqlite3.Connection:
    """Open a store for writing."""
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


def insert(connection: sqlite3.Connection, fingerprint: str, member: int, record: str) -> None:
    """Write a member in one transaction: when this returns, it is on the disk."""
    with connection:
        connection.execute("INSERT OR IGNORE INTO ensembles (fingerprint) VALUES (?)", (fingerprint,))
        connection.execute(
            "INSERT INTO members SELECT id, ?, ?, ? FROM ensembles WHERE fingerprint = ?",
            (member, record, _digest(fingerprint, member, record), fingerprint),
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
        run, environment = map(json.loads, connection.execute("SELECT description, environment FROM run").fetchone())
        rows = connection.execute(
            "SELECT fingerprint, member, record, digest FROM ensembles JOIN members ON ensemble = id "
            "ORDER BY id, member"
        )
        ensembles: dict[str, dict[int, Any]] = {}
        for fingerprint, member, record, digest in rows:
            if digest != _digest(fingerprint, member, record):
                raise ValueError(f"member {member} is not what was written")
            ensembles.setdefault(fingerprint, {})[member] = decode(record)
        return Contents(run, environment, ensembles)
    except ParameterError:
        raise
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        raise ParameterError("store", "undamaged", f"{path} ({error})") from error


def _digest(fingerprint: str, member: int, record: str) -> str:
    return hashlib.sha256(f"{fingerprint}\n{member}\n{record}".encode()).hexdigest()[:32]
