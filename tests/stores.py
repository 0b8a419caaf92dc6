"""A small run with a store, what it must give, and ways to look at a store from outside; for the tests of stores."""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from problems import TANH

import meanfield as mf
import montecarlo as mc

EXPERIMENT = mc.EigenvalueExperiment(TANH.normalized(output="batch"), width=30, samples=10)
MEMBERS = 8
UNDISTURBED = mc.run_ensemble(EXPERIMENT, members=MEMBERS, seed=1).members


def run(store: Path, members: int = MEMBERS, **others: Any) -> mc.Ensemble[mf.EigenvalueStatistics]:
    """Run the ensemble with a store."""
    return mc.run_ensemble(EXPERIMENT, members=members, seed=1, store=store, **others)


def stored(path: Path) -> int:
    """Return how many members a store has, also while it is written."""
    return sum(len(ensemble.members) for ensemble in mc.read_store(path)) if path.exists() else 0


def contents(path: Path) -> list[tuple[Any, ...]]:
    """Return all members with their text, read without the library, from a file that must be whole."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute(
            "SELECT fingerprint, member, record, digest FROM ensembles JOIN members ON ensemble = id "
            "ORDER BY fingerprint, member"
        ).fetchall()


def files(folder: Path) -> dict[str, str]:
    """Return all files of a folder with the hashes of their contents."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def python(code: str, *options: str) -> list[str]:
    """Return a command that runs code to which the modules of the tests are at hand."""
    return [sys.executable, *options, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"]
