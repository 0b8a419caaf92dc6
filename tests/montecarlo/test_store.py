"""A store takes only what is its own, and leaves alone what is not."""

from __future__ import annotations

import math
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stores import EXPERIMENT, MEMBERS, UNDISTURBED, files, python, run, stored

import meanfield as mf
import montecarlo as mc
from montecarlo import database

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")


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


def test_what_moves_no_bit_does_not_count(filled: Path) -> None:
    calls: list[int] = []
    more_memory = replace(EXPERIMENT, memory_limit=20.0, method="dense")  # which "auto" chose
    mc.run_ensemble(more_memory, members=MEMBERS, seed=1, store=filled, progress=lambda: calls.append(1))
    assert calls == []


def test_other_libraries_are_warned_of(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(database.ENVIRONMENT, "numpy", "99.0")
    monkeypatch.setitem(database.ENVIRONMENT, "python", "99.0")  # which moves no number
    said = rf"members may differ in their last digits \(numpy {np.__version__} then, 99\.0 now\)"
    with pytest.warns(UserWarning, match=said):
        mc.Store(filled, run=mc.read_store(filled)[0].fingerprint).close()


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


def test_one_run_writes(tmp_path: Path) -> None:
    path, link = tmp_path / "run.sqlite", tmp_path / "link.sqlite"
    refused = "store must be a file that no other run is writing to"
    link.symlink_to(path)
    code = f"import montecarlo; montecarlo.Store({str(path)!r})"
    with mc.Store(path) as store:
        for other in (path, link):
            with pytest.raises(mf.ParameterError, match=refused):
                mc.Store(other)
        assert refused in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
        store.add({"seed": 0}, 0, 1.0)
        mc.read_store(path)
        store.add({"seed": 0}, 1, 2.0)
    mc.Store(link).close()
    assert mc.read_store(path)[0].members == {0: 1.0, 1: 2.0}


def test_forked_workers_do_not_keep_the_lock(tmp_path: Path) -> None:
    """They may outlive the run, if that was killed."""
    code = """
import os, signal, montecarlo as mc
store, child = mc.Store("run.sqlite"), os.fork()
if child == 0:
    signal.pause()
try:
    store.close()
    mc.Store("run.sqlite").close()
finally:
    os.kill(child, signal.SIGKILL)
"""
    subprocess.run(python(code, "-Wignore"), cwd=tmp_path, check=True, timeout=60)


def test_a_file_named_like_a_lock_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run.sqlite.lock").write_text("somebody's")
    run(tmp_path / "run.sqlite", 1)
    assert (tmp_path / "run.sqlite.lock").read_text() == "somebody's"


def test_a_member_is_written_once(tmp_path: Path) -> None:
    with mc.Store(tmp_path / "run.sqlite") as store:
        store.add({"seed": 0}, 0, 1.0)
        with pytest.raises(mc.StoreError, match="UNIQUE constraint failed"):
            store.add({"seed": 0}, 0, 2.0)
        assert store.members({"seed": 0}) == {0: 1.0}


def test_a_disk_that_is_full_to_the_end_hides_no_error_and_keeps_no_lock(tmp_path: Path) -> None:
    """There is no room either to fold the log into the file: the next run does it."""
    code = """
import resource, montecarlo as mc
store = mc.Store("run.sqlite")
try:
    with store:
        for member in range(40):
            store.add({"seed": 0}, member, "x" * 20_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        store.add({"seed": 0}, 40, "x" * 20_000)
except mc.StoreError as error:
    print(error)
try:
    store.add({"seed": 0}, 41, 1.0)
except mc.StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with mc.Store("run.sqlite") as store:
    print(sorted(store.members({"seed": 0})) == list(range(40)), len(store))
"""
    done = subprocess.run(python(code, "-Wignore"), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    lost, closed, again = done.stdout.splitlines()
    assert lost.startswith("member 40 was lost: run.sqlite could not be written")
    assert "The 40 networks that it has are safe" in lost
    assert closed == "run.sqlite was closed: open a new Store"
    assert again == "True 40"
    assert files(tmp_path).keys() == {"run.sqlite"}


def test_an_error_is_said_also_where_the_file_cannot_be_asked(tmp_path: Path) -> None:
    """A connection answers to its own thread only."""
    with mc.Store(tmp_path / "run.sqlite") as store, ThreadPoolExecutor(1) as thread:
        store.add({"seed": 0}, 0, 1.0)
        with pytest.raises(mc.StoreError, match=r"member 1 was lost: .*thread.* The 1 networks that it has are safe"):
            thread.submit(store.add, {"seed": 0}, 1, 1.0).result()


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


def _execute(statement: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        run(path)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)

    return damage


def _with_journal(path: Path) -> None:
    """Damaged, and with its members in the journal, as after a kill."""
    with mc.Store(path) as store:
        store.add({"seed": 0}, 0, 1.0)
        journal = path.with_name("run.sqlite-wal").read_bytes()
    path.with_name("run.sqlite-wal").write_bytes(journal)
    data = path.read_bytes()
    path.write_bytes(data[:100] + bytes(3996) + data[4096:])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_text, "which is no SQLite file"),
        (lambda path: path.write_bytes(b"x"), "which is no SQLite file"),
        (_foreign, "an SQLite file of another program"),
        (_newer, "of format 2, which this version writes, got .* of format 99"),
        (_truncated, "undamaged"),
        (_header_only, "undamaged"),
        (_overwritten, "undamaged"),
        (_with_journal, "undamaged"),
        (_digit, r"undamaged, got .* \(member \d is not what was written\)"),
        (_execute("UPDATE run SET description = '[]'"), "the description of the run is not what was written"),
        (_execute("UPDATE run SET environment = 'null'"), "the description of the run is not what was written"),
        (_execute("DELETE FROM run"), "undamaged"),
        (_execute("DELETE FROM ensembles"), r"undamaged, got .* \(member 0 is not what was written\)"),
        (_execute("UPDATE members SET member = 'a' WHERE member = 3"), r"undamaged, got .* \(member a is not"),
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


@mc.register
@dataclass(frozen=True)
class Changed:
    """A record that is not what its fields say."""

    value: float

    def __post_init__(self) -> None:
        """Change it."""
        object.__setattr__(self, "value", 10 * self.value)


@mc.register
@dataclass(frozen=True)
class Derived:
    """A record with a field that cannot be given."""

    value: float
    double: float = field(init=False)

    def __post_init__(self) -> None:
        """Derive it."""
        object.__setattr__(self, "double", 2 * self.value)


@pytest.mark.parametrize("record", [Changed(1.0), Derived(1.0)])
def test_records_that_their_fields_do_not_give_back_are_refused(record: object, tmp_path: Path) -> None:
    with mc.Store(tmp_path / "run.sqlite") as store:
        with pytest.raises(mf.ParameterError, match="record must be the same when it is made again from its fields"):
            store.add({}, 0, record)
        assert len(store) == 0


def test_a_finished_run_is_in_one_file_though_it_is_being_read(filled: Path) -> None:
    """A reader keeps SQLite from removing the journals: they are empty then."""
    with mc.Store(filled.with_name("read.sqlite")) as store:
        store.add({"seed": 0}, 0, 1.0)
        reader = sqlite3.connect(f"file:{store.path}?mode=ro", uri=True)
        assert reader.execute("SELECT count(*) FROM members").fetchone() == (1,)
    copy = filled.with_name("copy.sqlite")
    copy.write_bytes(store.path.read_bytes())
    reader.close()
    assert stored(copy) == 1


def test_two_names_of_a_file_are_refused(filled: Path) -> None:
    """Each would have a lock of its own."""
    other = filled.with_name("other.sqlite")
    os.link(filled, other)
    for name in (filled, other):
        with pytest.raises(mf.ParameterError, match="a file with a single name"):
            run(name)
        assert len(mc.read_store(name)[0].members) == MEMBERS


@pytest.mark.parametrize("member", [True, -1, 1.5, 2**63, "1", None])
def test_bad_numbers_of_members_are_refused(member: Any, tmp_path: Path) -> None:
    with mc.Store(tmp_path / "run.sqlite") as store:
        store.add({"seed": 0}, 2**63 - 1, 1.0)
        with pytest.raises(mf.ParameterError, match="member must be an integer >= 0"):
            store.add({"seed": 0}, member, 1.0)
    (ensemble,) = mc.read_store(tmp_path / "run.sqlite")
    assert ensemble.members == {2**63 - 1: 1.0}


def test_what_is_not_ready_for_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    loop: list[Any] = []
    loop.append(loop)
    for run_of in (3, {"a": math.nan}, {"a": path}, {"a": 10**5000}, {"a": loop}):
        with pytest.raises(mf.ParameterError, match="run must be a mapping ready for JSON"):
            mc.Store(path, run=run_of)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
    with mc.Store(path) as store:
        with pytest.raises(mf.ParameterError, match="fingerprint must be a mapping ready for JSON"):
            store.add({"a": path}, 0, 1.0)
        for record in (loop, 10**5000):
            with pytest.raises(mf.ParameterError, match="record must be made of numbers and parts"):
                store.add({}, 0, record)
        store.add({}, 0, 1.0)
    assert mc.read_store(path)[0].seed is None


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    with mc.Store(tmp_path / "run.sqlite") as store:
        store.add({}, 0, 1.0)
    store.close()
    with pytest.raises(mc.StoreError, match="was closed: open a new Store"):
        store.add({}, 1, 1.0)
    assert store.members({}) == {0: 1.0}


@pytest.mark.parametrize("path", [3, b"a", "a\0b", "", None, True])
def test_what_is_no_name_of_a_file_is_refused(path: Any) -> None:
    for refused in (mc.Store, mc.read_store):
        with pytest.raises(mf.ParameterError, match="store must be the name of a file"):
            refused(path)


def test_names_of_any_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(Path(":memory:")).members == UNDISTURBED
    assert stored(Path(":memory:")) == MEMBERS
    assert files(tmp_path).keys() == {":memory:"}
    for name in ("a" * 253, "a" * 300):  # it, or that of its lock, is too long
        with pytest.raises(mc.StoreError, match="too long"):
            run(Path(name))
    with pytest.raises(mc.StoreError, match="too long"):
        mc.read_store("a" * 300)


def test_bad_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(mf.ParameterError, match="store must be in a folder that exists"):
        run(tmp_path / "no" / "run.sqlite")
    with pytest.raises(mf.ParameterError, match="store must be a file that exists"):
        mc.read_store(tmp_path / "run.sqlite")


@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may write everywhere")
def test_what_is_read_only_is_refused_and_can_be_read(filled: Path) -> None:
    filled.parent.chmod(0o555)
    try:
        with pytest.raises(mf.ParameterError, match="store must be a file that can be written to"):
            run(filled)
        assert tuple(mc.read_store(filled)[0].members.values()) == UNDISTURBED
    finally:
        filled.parent.chmod(0o755)


def test_a_reader_never_meets_a_run_half_way(tmp_path: Path) -> None:
    """While runs begin, write a member, and end."""
    code = "for n in range(40):\n with mc.Store('run.sqlite') as store: store.add({'seed': 0}, n, 1.0)"
    writer = subprocess.Popen(python(f"import montecarlo as mc\n{code}"), cwd=tmp_path)
    counts = []
    while writer.poll() is None:
        counts.append(stored(tmp_path / "run.sqlite"))
    assert writer.returncode == 0
    assert counts == sorted(counts)
    assert len(set(counts)) > 10


def test_export_while_a_run_writes(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    command = [sys.executable, "-m", "montecarlo", "export", "run.sqlite", "table.csv"]
    with mc.Store(tmp_path / "run.sqlite") as store:
        store.add({"seed": 0}, 0, 1.0)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.stderr == "wrote 1 networks to table.csv\n"
        store.add({"seed": 0}, 1, 1.0)
    assert (tmp_path / "table.csv").read_text() == "seed,member,value\n0,0,1.0\n"


def test_journals_of_a_store_that_was_deleted_are_refused(tmp_path: Path) -> None:
    """SQLite would take them for parts of the new file."""
    path = tmp_path / "run.sqlite"
    path.with_name("run.sqlite-wal").write_bytes(b"members")
    with pytest.raises(mf.ParameterError, match=r"nothing is left of an old one: delete .*run\.sqlite-wal"):
        mc.run_ensemble(EXPERIMENT, members=1, seed=0, store=path)
    assert path.with_name("run.sqlite-wal").read_bytes() == b"members"
    assert not path.exists()
