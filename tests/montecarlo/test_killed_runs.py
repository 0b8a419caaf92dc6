"""A run that is killed, interrupted, or meets a full disk loses nothing, and ends with the bits of an undisturbed one.

Kill it more often than every test run does: ROUNDS=25 pytest -n 2 tests/montecarlo/test_killed_runs.py
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import click
import pytest
from stores import EXPERIMENT, MEMBERS, UNDISTURBED, contents, files, python, run, stored
from tqdm import tqdm

import montecarlo as mc
from montecarlo import database
from montecarlo.cli import options
from montecarlo.fingerprint import fingerprint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")

KILLS = 80
ROUNDS = int(os.environ.get("ROUNDS", "1"))

# In a process of its own, which imports once and forks: a run starts within a few milliseconds.
FORK_AND_KILL = """
import os, random, signal, stores, time
from pathlib import Path
path, rng = Path("run.sqlite"), random.Random({seed})
for kill in range({kills}):
    child = os.fork()
    if child == 0:
        try:
            stores.run(path, {members})
        finally:
            os._exit(1)  # it ended, or was refused, before it was killed
    before, end = stores.stored(path), time.monotonic() + 10
    while kill % 2 and stores.stored(path) == before and time.monotonic() < end:
        time.sleep(0.002)  # every other time until it is at work, however busy the machine is
    time.sleep(rng.uniform(0, 0.02 if kill % 2 else 0.05))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    print(stores.stored(path), flush=True)
"""


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_run_that_is_killed_at_random_moments_ends_as_an_undisturbed_one(seed: int, tmp_path: Path) -> None:
    """Before there is a store, while it is made, opened and written; what is stored grows, and is what it must be."""
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    killed.mkdir()
    undisturbed.mkdir()
    code = FORK_AND_KILL.format(seed=seed, kills=KILLS, members=20 * KILLS)  # more than there is time for
    done = subprocess.run(python(code, "-Wignore"), cwd=killed, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    counts = [int(line) for line in done.stdout.split()]
    assert counts == sorted(counts)
    assert len(set(counts)) >= KILLS // 2  # it was killed at work
    members = counts[-1] + 10
    for folder in (killed, undisturbed):
        run(folder / "run.sqlite", members)
    assert contents(killed / "run.sqlite") == contents(undisturbed / "run.sqlite")
    assert files(killed).keys() == {"run.sqlite"}


def test_a_command_that_is_killed_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    """A figure, on two processes: four ensembles in one store, and the same data beside the image."""
    command = [sys.executable, "-m", "montecarlo", "figure", "1", "--widths", "20,30", "--members", "100"]
    command += ["--workers", "2", "--output", "one.svg"]
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    killed.mkdir()
    undisturbed.mkdir()
    rng, store, counts = random.Random(3), killed / "run.sqlite", [0]
    for _ in range(3):
        process = subprocess.Popen(
            [*command, "--store", "run.sqlite"], cwd=killed, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        end = time.monotonic() + 60
        while stored(store) == counts[-1] and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        _, error = process.communicate(timeout=10)  # which waits for its workers, too
        assert b"store" not in error  # it may say that its parts were torn from each other, but refused nothing
        counts.append(stored(store))
    assert all(before < after for before, after in pairwise(counts) if before < 800)
    assert counts[1] < 800  # it was killed at work
    subprocess.run([*command, "--store", "run.sqlite"], cwd=killed, check=True, capture_output=True)
    subprocess.run(command, cwd=undisturbed, check=True, capture_output=True)
    assert stored(store) == 800
    one, other = (json.loads((folder / "one.json").read_text()) for folder in (killed, undisturbed))
    assert one == other


@pytest.mark.parametrize(("workers", "number"), [("1", signal.SIGTERM), ("2", signal.SIGINT)])
def test_an_interrupt_leaves_a_store_and_says_how_to_go_on(workers: str, number: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "montecarlo", "compare", "--width", "100", "--members", "1000"]
    command += ["--workers", workers, "--store", "a run.sqlite"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    store, end = tmp_path / "a run.sqlite", time.monotonic() + 60
    while stored(store) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert files(tmp_path).keys() == {"a run.sqlite"}
    said, again = error.split("; go on with: ")
    assert said == f"montecarlo: interrupted; {stored(store)} networks are safe in a run.sqlite"
    assert shlex.split(again)[1:] == command[3:]
    members = max(mc.read_store(store)[0].members) + 1
    again = again.replace("1000", str(members))  # without those that were not begun
    done = subprocess.run([*command[:3], *shlex.split(again)[1:]], cwd=tmp_path, capture_output=True, text=True)
    assert f"{members} networks" in done.stdout
    assert stored(store) == members


def test_an_interrupt_without_a_store_says_what_would_have_helped() -> None:
    with pytest.raises(click.ClickException, match="with --store FILE") as error, options.opened(None, {}):
        raise KeyboardInterrupt
    assert error.value.exit_code == 130


class Bar(tqdm):  # type: ignore[type-arg]  # at run time it takes none
    """A progress bar that keeps itself for the test."""

    last: ClassVar[Bar]
    shown = io.StringIO()

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "disable": False, "file": Bar.shown, "mininterval": 0})
        Bar.last = self


def test_the_time_left_is_of_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 28 members 8 were there and took no time: when 15 are done after 70 s, 13 are left, at 10 s each."""
    run(tmp_path / "run.sqlite", 8)
    monkeypatch.setattr(options, "tqdm", Bar)
    study = fingerprint(EXPERIMENT, seed=1, blas_threads=1)
    with options.opened(tmp_path / "run.sqlite", study) as store, options.progress(28, store) as finished:
        mc.run_ensemble(EXPERIMENT, members=15, seed=1, store=store, progress=finished)
        Bar.last.start_t = time.time() - 70  # as if each had taken 10 s
        assert "| 15/28 [01:10<02:10, 10.0" in str(Bar.last)
    shown = [int(n) for n in re.findall(r"(\d+)/28", Bar.shown.getvalue())]
    assert list(dict.fromkeys(shown)) == [0, *range(9, 16)]


# Power and disks


def test_a_cut_journal_leaves_a_store(tmp_path: Path) -> None:
    """As after a power cut, wherever the journal ends: some members, each as it was written, and the run goes on."""
    path, cut = tmp_path / "run.sqlite", tmp_path / "cut" / "run.sqlite"
    journal = path.with_name("run.sqlite-wal")
    cut.parent.mkdir()
    counts = set()
    store = mc.Store(path)
    mc.run_ensemble(EXPERIMENT, members=MEMBERS, seed=1, store=store)
    size = journal.stat().st_size
    for end in [*range(0, size, 2999), size]:
        shutil.copyfile(path, cut)
        cut.with_name(journal.name).write_bytes(journal.read_bytes()[:end])
        there = {i: record for ensemble in mc.read_store(cut) for i, record in ensemble.members.items()}
        assert tuple(there.values()) == UNDISTURBED[: len(there)]
        counts.add(len(there))
        with mc.Store(cut) as again:
            assert mc.run_ensemble(EXPERIMENT, members=MEMBERS, seed=1, store=again).members == UNDISTURBED
            assert again.found == len(there)
    store.close()
    assert counts == set(range(MEMBERS + 1))
    assert contents(cut) == contents(path)


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    mc.Store(tmp_path / "run.sqlite").close()
    with closing(database.connect(tmp_path / "run.sqlite")) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL: no test can cut the power
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# Files can grow to this size and no further, as on a disk with so much room.
FILL = """
import resource, stores, montecarlo as mc
from pathlib import Path
for limit in range(1000, 85000, 4000):
    path = Path(f"{limit}.sqlite")
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        stores.run(path)
        said = "done"
    except mc.StoreError as error:
        said = str(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(stores.stored(path), said)
    assert stores.run(path).members == stores.UNDISTURBED
"""


def test_a_full_disk_loses_what_it_says_and_no_more(tmp_path: Path) -> None:
    done = subprocess.run(python(FILL), cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    counts = [int(count) for count, _ in lines]
    assert counts == sorted(counts)
    assert len(set(counts)) > 3
    assert {0, MEMBERS} < set(counts)
    for count, said in lines:
        if "could not be written" in said:
            assert said.startswith(f"member {count} was lost: ")
            assert f"The {count} networks that it has are safe" in said
        else:
            assert ("could not be created" in said or "could not be opened" in said) == (int(count) == 0)
    assert {path.suffix for path in tmp_path.iterdir()} == {".sqlite"}
