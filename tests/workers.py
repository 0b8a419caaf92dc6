"""A small ensemble, what it must give, and ways to look at the processes that run it; for the tests of executors."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from problems import TANH

import montecarlo as mc

EXPERIMENT = mc.EigenvalueExperiment(TANH.normalized(output="mean"), width=40, samples=60)
MEMBERS = 8
SERIAL = mc.run_ensemble(EXPERIMENT, members=MEMBERS, seed=3).members


def note_attempt(folder: Path, member: int | str) -> None:
    os.close(tempfile.mkstemp(prefix=f"{member}-{os.getpid()}-", dir=folder)[0])


def attempts(folder: Path, member: int | str = "*") -> list[Path]:
    return list(folder.glob(f"{member}-*"))


def wait_until(until: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        time.sleep(0.02)
    return until()


def running(folder: Path) -> set[int]:
    """Return which of the processes that left a file are running."""
    return {process for process in (int(path.name.split("-")[1]) for path in attempts(folder)) if exists(process)}


def exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # where nobody reaps orphans they stay as zombies
    state = Path(f"/proc/{process}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")
