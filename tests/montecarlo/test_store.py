"""A run that is killed loses nothing, a store takes only what is its own, and leaves alone what is not."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from problems import TANH
from tqdm import tqdm

import meanfield as mf
import montecarlo as mc
from montecarlo.cli import options
from montecarlo.fingerprint import fingerprint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")

EXPERIMENT = mc.EigenvalueExperiment(TANH.normalized(output="batch"), width=30, samples=10)
MEMBERS = 8
UNDISTURBED = mc.run_ensemble(EXPERIMENT, members=MEMBERS, seed=1).members


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


def run(store: Path, members: int = MEMBERS, **others: Any) -> mc.Ensemble[mf.EigenvalueStatistics]:
    return mc.run_ensemble(EXPERIMENT, members=members, seed=1, store=store, **others)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Return a store of all members."""
    path = tmp_path / "run.sqlite"
    run(path)
    return path


def test_what_is_stored_is_not_run_again(filled: Path) -> None:
    calls: list[int] = []
    assert run(filled, progress=lambda: calls.append(1)).members == UNDISTURBED
    assert calls == []
    more = run(filled, MEMBERS + 2, progress=lambda: calls.append(1))
    assert len(calls) == 2
    assert more.members == mc.run_ensemble(EXPERIMENT, members=MEMBERS + 2, seed=1).members
    assert run(filled, 3).members == UNDISTURBED[:3]
    assert files(filled.parent).keys() == {"run.sqlite"}


def test_a_member_is_safe_before_it_counts(tmp_path: Path) -> None:
    path, seen = tmp_path / "run.sqlite", []

    def look() -> None:
        (ensemble,) = mc.read_store(path)  # a reader beside the writer
        seen.append([UNDISTURBED[i] == record for i, record in ensemble.members.items()])

    with ThreadPoolExecutor(2) as threads:
        run(path, executor=threads, progress=look)
    assert seen == [[True] * (i + 1) for i in range(MEMBERS)]


@dataclass(frozen=True)
class Failing:
    """Works until the fourth member."""

    calls: list[int] = field(compare=False)

    def run(self, rng: np.random.Generator) -> float:
        """Count."""
        self.calls[0] += 1
        if self.calls[0] == 4:
            raise RuntimeError("out of luck")
        return float(rng.standard_normal())


def test_an_error_of_a_member_loses_no_other(tmp_path: Path) -> None:
    path, experiment = tmp_path / "run.sqlite", Failing([0])
    with pytest.raises(RuntimeError, match="out of luck"):
        mc.run_ensemble(experiment, members=6, seed=0, store=path)
    assert list(mc.read_store(path)[0].members) == [0, 1, 2]
    resumed = mc.run_ensemble(experiment, members=6, seed=0, store=path)
    assert experiment.calls == [7]
    assert resumed.members == mc.run_ensemble(experiment, members=6, seed=0).members


def test_a_store_refuses_another_experiment_and_says_what_differs(filled: Path) -> None:
    before = files(filled.parent)
    sizes = replace(EXPERIMENT, samples=12, biases=False)
    network = EXPERIMENT.network.normalized(output="mean")
    for experiment, seed, said in (
        (replace(EXPERIMENT, width=40), 1, r"\(width: 30 in the store, 40 asked\)"),
        (EXPERIMENT, 2, r"\(seed: 1 in the store, 2 asked\)"),
        (sizes, 1, "biases: True in the store, False asked; samples: 10 in the store, 12 asked"),
        (replace(EXPERIMENT, network=network), 1, "network.output_normalization: batch in the store, mean asked"),
    ):
        with pytest.raises(mf.ParameterError, match=f"store must be of the same run, got .*run.sqlite.*{said}"):
            mc.run_ensemble(experiment, members=2, seed=seed, store=filled)
    with pytest.raises(mf.ParameterError, match="experiment: EigenvalueExperiment in the store, nothing asked"):
        mc.Store(filled)
    assert files(filled.parent) == before


def test_an_open_store_holds_several_ensembles(tmp_path: Path) -> None:
    path, other = tmp_path / "several.sqlite", replace(EXPERIMENT, width=40)
    for _ in range(2):
        with mc.Store(path, run={"study": "widths"}) as store:
            for experiment in (EXPERIMENT, other):
                mc.run_ensemble(experiment, members=3, seed=1, store=store)
            assert len(store) == 6
    assert store.found == 6
    one, two = mc.read_store(path)
    assert tuple(one.members.values()) == UNDISTURBED[:3]
    assert two.fingerprint["experiment"]["width"] == 40
    with pytest.raises(mf.ParameterError, match="study: widths in the store, depths asked"):
        mc.Store(path, run={"study": "depths"})


def test_one_run_writes(filled: Path, tmp_path: Path) -> None:
    code = f"import montecarlo; montecarlo.Store({str(tmp_path / 'new.sqlite')!r})"

    def another() -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr.strip()

    with mc.Store(tmp_path / "new.sqlite") as store:
        with pytest.raises(mf.ParameterError, match="store must be a file that no other run is writing to"):
            mc.Store(tmp_path / "new.sqlite")
        store.add({"seed": 0}, 0, 1.0)
        mc.read_store(tmp_path / "new.sqlite")
        (tmp_path / "link.sqlite").symlink_to(tmp_path / "new.sqlite")
        with pytest.raises(mf.ParameterError, match="no other run"):
            mc.Store(tmp_path / "link.sqlite")
        assert another().splitlines()[-1].startswith("meanfield.errors.ParameterError: store must be a file that no ot")
        store.add({"seed": 0}, 1, 2.0)
    assert another() == ""
    assert mc.read_store(tmp_path / "new.sqlite")[0].members == {0: 1.0, 1: 2.0}


def test_forked_workers_do_not_keep_the_lock(tmp_path: Path) -> None:
    """They may outlive the run, if that was killed."""
    store = mc.Store(tmp_path / "run.sqlite")
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    try:
        store.close()
        mc.Store(tmp_path / "run.sqlite").close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_member_is_written_once(tmp_path: Path) -> None:
    with mc.Store(tmp_path / "run.sqlite") as store:
        store.add({"seed": 0}, 0, 1.0)
        with pytest.raises(mc.StoreError, match="UNIQUE constraint failed"):
            store.add({"seed": 0}, 0, 2.0)
        assert store.members({"seed": 0}) == {0: 1.0}


# What is not a store


def _text(path: Path) -> None:
    path.write_text("my thesis\n" * 50)


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE members (a); INSERT INTO members VALUES (1);")


def _newer(path: Path) -> None:
    run(path, 2)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def _truncated(path: Path) -> None:
    run(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _header_only(path: Path) -> None:
    run(path)
    path.write_bytes(path.read_bytes()[:100])


def _overwritten(path: Path) -> None:
    run(path)
    data = bytearray(path.read_bytes())
    data[4096:12288] = random.Random(0).randbytes(8192)
    path.write_bytes(data)


def _digit(path: Path) -> None:
    """One digit of one number."""
    run(path)
    data = path.read_bytes()
    at = data.index(b'"mean":0.') + 12
    path.write_bytes(data[:at] + (b"1" if data[at : at + 1] != b"1" else b"2") + data[at + 1 :])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_text, "which is no SQLite file"),
        (lambda path: path.write_bytes(b"x"), "which is no SQLite file"),
        (_foreign, "an SQLite file of another program"),
        (_newer, "of format 1, which this version writes, got .* of format 99"),
        (_truncated, "undamaged"),
        (_header_only, "undamaged"),
        (_overwritten, "undamaged"),
        (_digit, r"undamaged, got .* \(member \d is not what was written\)"),
        (Path.mkdir, "which is not a file"),
    ],
)
def test_what_is_not_a_store_is_refused_and_left_as_it_is(
    make: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.sqlite"
    make(path)
    before = files(tmp_path)
    with pytest.raises(mf.ParameterError, match=message):
        run(path)
    with pytest.raises(mf.ParameterError, match=message):
        mc.read_store(path)
    assert files(tmp_path) == before


def test_any_damage_is_found_or_harmless(filled: Path) -> None:
    """Wherever a few bytes are changed, the store is refused untouched, or gives what was written."""
    data, rng, refused = filled.read_bytes(), random.Random(1), 0
    for _ in range(150):
        damaged, at = bytearray(data), rng.randrange(len(data))
        damaged[at : at + 3] = rng.randbytes(min(3, len(data) - at))
        filled.write_bytes(damaged)
        try:
            (ensemble,) = mc.read_store(filled)
        except mf.ParameterError:
            refused += 1
        else:
            assert tuple(ensemble.members.values()) == UNDISTURBED
        assert filled.read_bytes() == damaged
        assert files(filled.parent).keys() == {"run.sqlite"}
    assert 30 < refused < 150


def test_an_empty_file_and_a_new_one_become_stores(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").touch()
    for name in ("a.sqlite", "b.sqlite"):
        assert run(tmp_path / name).members == UNDISTURBED


def test_bad_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(mf.ParameterError, match="store must be in a folder that exists"):
        run(tmp_path / "no" / "run.sqlite")
    with pytest.raises(mf.ParameterError, match="store must be a file that exists"):
        mc.read_store(tmp_path / "run.sqlite")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_is_read_only_is_refused_and_can_be_read(filled: Path) -> None:
    filled.parent.chmod(0o555)
    try:
        with pytest.raises(mf.ParameterError, match="store must be a file that can be written to"):
            run(filled)
        assert tuple(mc.read_store(filled)[0].members.values()) == UNDISTURBED
    finally:
        filled.parent.chmod(0o755)


# Power, disks and signals


def test_a_cut_journal_leaves_a_store(tmp_path: Path) -> None:
    """As after a power cut, wherever the journal ends: some members, each as it was written, and the run goes on."""
    path, cut = tmp_path / "run.sqlite", tmp_path / "cut" / "run.sqlite"
    cut.parent.mkdir()
    counts = set()
    store = mc.Store(path, run=None)
    mc.run_ensemble(EXPERIMENT, members=MEMBERS, seed=1, store=store)
    size = path.with_name("run.sqlite-wal").stat().st_size
    for end in [*range(0, size, 2999), size]:
        shutil.copyfile(path, cut)
        cut.with_name("run.sqlite-wal").write_bytes(path.with_name("run.sqlite-wal").read_bytes()[:end])
        stored = {i: record for ensemble in mc.read_store(cut) for i, record in ensemble.members.items()}
        assert tuple(stored.values()) == UNDISTURBED[: len(stored)]
        counts.add(len(stored))
        with mc.Store(cut) as again:
            assert mc.run_ensemble(EXPERIMENT, members=MEMBERS, seed=1, store=again).members == UNDISTURBED
            assert again.found == len(stored)
    store.close()
    assert counts == set(range(MEMBERS + 1))
    assert contents(cut) == contents(path)


def test_a_full_disk_says_what_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    code = f"""
import resource, montecarlo as mc, test_store
resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000))
test_store.run({str(path)!r}, 8)
"""
    result = subprocess.run(_python(code), capture_output=True, text=True)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("montecarlo.store.StoreError: member ")
    assert "was lost" in last
    assert "The members before it are safe" in last
    (stored,) = mc.read_store(path)
    lost = int(last.split()[2])
    assert list(stored.members) == list(range(lost))
    assert 0 < lost < MEMBERS
    assert run(path).members == UNDISTURBED


def test_a_disk_that_is_full_from_the_start(tmp_path: Path) -> None:
    code = f"""
import resource, montecarlo as mc
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
mc.Store({str(tmp_path / "run.sqlite")!r})
"""
    result = subprocess.run(_python(code), capture_output=True, text=True)
    assert "StoreError" in result.stderr.splitlines()[-1]
    assert files(tmp_path) == {}


def _python(code: str) -> list[str]:
    """Return a command that runs code with this file as a module."""
    return [sys.executable, "-c", f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}\n{code}"]


def _kill_until_done(command: list[str], folder: Path, *, seed: int, kills: int) -> Iterator[int]:
    """Start a command again and again, kill it after a random time, and then let it end; yield what is stored."""
    rng, store, stored = random.Random(seed), folder / "run.sqlite", 0
    for kill in range(kills):
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if kill % 4 == 3:  # at any moment: also before there is a store, and while it is opened
            time.sleep(rng.uniform(0, 1.5))
        else:  # at work
            end = time.monotonic() + 60
            while _stored(store) == stored and process.poll() is None and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.25))
        process.kill()
        _, error = process.communicate(timeout=10)  # which waits for its workers, too
        assert b"store" not in error  # it may say that its parts were torn from each other, but refused nothing
        stored = _stored(store)
        yield stored
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


LONG = 400


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_that_is_killed_at_random_moments_ends_as_an_undisturbed_one(seed: int, tmp_path: Path) -> None:
    for name in ("killed", "undisturbed"):
        (tmp_path / name).mkdir()
    command = _python(f"import test_store\nfrom pathlib import Path\ntest_store.run(Path('run.sqlite'), {LONG})")
    counts = list(_kill_until_done(command, tmp_path / "killed", seed=seed, kills=8))
    run(tmp_path / "undisturbed" / "run.sqlite", LONG)
    assert counts == sorted(counts)
    assert 0 < counts[-1]
    assert len({*counts}) > 3  # it was killed at work
    assert contents(tmp_path / "killed" / "run.sqlite") == contents(tmp_path / "undisturbed" / "run.sqlite")
    assert files(tmp_path / "killed").keys() == {"run.sqlite"}
    assert run(tmp_path / "killed" / "run.sqlite", MEMBERS).members == UNDISTURBED


def test_a_command_that_is_killed_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    """A figure, on two processes: four ensembles in one store, and the same data beside the image."""
    command = [sys.executable, "-m", "montecarlo", "figure", "1", "--widths", "20,30", "--members", "100"]
    command += ["--workers", "2", "--output", "one.svg"]
    for name in ("killed", "undisturbed"):
        (tmp_path / name).mkdir()
    counts = list(_kill_until_done([*command, "--store", "run.sqlite"], tmp_path / "killed", seed=3, kills=5))
    subprocess.run(command, cwd=tmp_path / "undisturbed", check=True, capture_output=True)
    assert counts == sorted(counts)
    assert len({*counts}) > 2  # it was killed at work
    assert sum(len(ensemble.members) for ensemble in mc.read_store(tmp_path / "killed" / "run.sqlite")) == 800
    one, other = ((tmp_path / name / "one.json").read_text() for name in ("killed", "undisturbed"))
    assert json.loads(one) == json.loads(other)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_leaves_a_store_and_says_how_to_go_on(workers: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "montecarlo", "compare", "--width", "100", "--members", "1000"]
    command += ["--workers", workers, "--store", "run.sqlite"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while _stored(tmp_path / "run.sqlite") < 3 and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    stored = _stored(tmp_path / "run.sqlite")
    assert error == (
        f"montecarlo: interrupted; {stored} networks are safe in run.sqlite, and the same command goes on from there\n"
    )
    assert files(tmp_path).keys() == {"run.sqlite"}
    command[command.index("1000")] = str(stored)  # no more members than are there
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert _stored(tmp_path / "run.sqlite") == stored
    assert f"{stored} networks" in done.stdout


def _stored(path: Path) -> int:
    """Return how many members a store has, read while it is written."""
    return sum(len(ensemble.members) for ensemble in mc.read_store(path)) if path.exists() else 0


class Bar(tqdm):  # type: ignore[type-arg]  # at run time it takes none
    """A progress bar that keeps itself for the test."""

    last: ClassVar[Bar]

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "disable": False, "file": io.StringIO(), "mininterval": 0})
        Bar.last = self


def test_the_time_left_is_of_what_is_left(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members that the store has are done, and took no time."""
    monkeypatch.setattr(options, "tqdm", Bar)
    run_of = fingerprint(EXPERIMENT, seed=1, blas_threads=1)
    with options.opened(filled, run_of) as store, options.progress(MEMBERS + 4, store) as finished:
        mc.run_ensemble(EXPERIMENT, members=MEMBERS + 4, seed=1, store=store, progress=finished)
        state = Bar.last.format_dict
        assert (state["n"], state["initial"], state["total"]) == (MEMBERS + 4, MEMBERS, MEMBERS + 4)


def test_export_while_a_run_writes(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    command = [sys.executable, "-m", "montecarlo", "export", "run.sqlite", "table.csv"]
    with mc.Store(tmp_path / "run.sqlite") as store:
        store.add({"seed": 0}, 0, 1.0)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.stderr == "wrote 1 networks to table.csv\n"
        store.add({"seed": 0}, 1, 1.0)
    assert (tmp_path / "table.csv").read_text() == "seed,member,value\n0,0,1.0\n"
