"""Processes that are replaced, end with the one that started them, and say where an error happened."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from pickle import PicklingError
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info
from workers import note_attempt, running, wait_until

import meanfield as mf
from montecarlo import Processes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


@dataclass(frozen=True)
class Sleeping:
    """An experiment that takes an hour."""

    folder: Path

    def run(self, rng: np.random.Generator) -> float:
        """Sleep."""
        note_attempt(self.folder, 0)
        time.sleep(3600)
        return 0.0


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_terminate_and_errors_end_the_processes_at_once(error: type[BaseException] | None, tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), Processes(2) as processes:
        futures = [processes.submit(Sleeping(tmp_path).run, np.random.default_rng(0)) for _ in range(5)]
        assert wait_until(lambda: len(running(tmp_path)) == 2)
        if error is not None:
            raise error
        processes.terminate()
    assert running(tmp_path) == set()
    assert [future.cancelled() for future in futures] == [False, False, True, True, True]


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    code = (
        "import pathlib, numpy, montecarlo, test_processes as t\n"
        "if __name__ == '__main__':\n"
        f"    experiment = t.Sleeping(pathlib.Path({str(tmp_path)!r}))\n"
        "    montecarlo.run_ensemble(experiment, members=9, seed=0, executor=montecarlo.Processes(2))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), str(here.parents[1]), os.environ.get("PYTHONPATH", "")])
    parent = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": path})
    try:
        assert wait_until(lambda: len(running(tmp_path)) == 2)
    finally:
        parent.kill()
        parent.wait()
    assert wait_until(lambda: not running(tmp_path))


def _threads(_: int) -> tuple[set[int], str | None]:
    """Return with how many threads NumPy was loaded, and why."""
    return {pool["num_threads"] for pool in threadpool_info()}, os.environ.get("OPENBLAS_NUM_THREADS")


@pytest.mark.parametrize("threads", [1, 2])
def test_processes_load_numpy_with_the_threads_they_need(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with Processes(1, blas_threads=threads) as processes:
        assert processes.submit(_threads, 0).result() == ({min(threads, os.cpu_count() or 1)}, str(threads))
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_script_that_starts_workers_while_it_is_imported_is_told(tmp_path: Path) -> None:
    """Every worker imports it: they would start workers in turn."""
    script = tmp_path / "script.py"
    script.write_text(
        "import montecarlo as mc\nwith mc.Processes(2) as pool:\n    print(pool.submit(abs, -3).result())\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "under if __name__ ==" in done.stderr.splitlines()[-1]
    assert done.stderr.count("Traceback") == 1
    guarded = "".join(f"    {line}\n" for line in script.read_text().splitlines())
    script.write_text(f"if __name__ == '__main__':\n{guarded}")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("3\n", "")


class Unpicklable(Exception):
    """An error that another process cannot get."""

    def __init__(self) -> None:
        super().__init__()
        self.because = lambda: None


class Irreversible(Exception):
    """An error that pickles, but not back."""

    def __init__(self, *, reason: str = "none") -> None:
        super().__init__(reason)


def _raise(kind: type[Exception]) -> None:
    raise kind


def _hang_up() -> None:
    os.closerange(3, 1000)
    time.sleep(3600)


def _return_lambda() -> object:
    return lambda: None


def test_errors_say_where_they_happened() -> None:
    with Processes(1) as processes:
        with pytest.raises(KeyError) as error:
            processes.submit(_raise, KeyError).result()
        assert "in _raise" in error.value.__notes__[0]
        for kind in (Unpicklable, Irreversible):
            with pytest.raises(RuntimeError, match="in _raise"):
                processes.submit(_raise, kind).result()
        with pytest.raises((AttributeError, PicklingError), match="pickle"):
            processes.submit(_return_lambda).result()
        with pytest.raises((AttributeError, PicklingError), match="pickle"):
            processes.submit(lambda: 0)
        assert processes.submit(abs, -3).result() == 3
        with pytest.raises(BrokenProcessPool, match="the worker ended with exit code 7"):
            processes.submit(os._exit, 7).result()
        assert processes.submit(abs, -3).result() == 3


def test_a_process_that_closes_its_connection_is_replaced() -> None:
    with Processes(1) as processes:
        with pytest.raises(BrokenProcessPool, match=r"exit code -9"):
            processes.submit(_hang_up).result()
        assert processes.submit(abs, -3).result() == 3


@pytest.mark.parametrize("workers", [0, 1.5, "two"])
def test_bad_number_of_processes(workers: Any) -> None:
    with pytest.raises(mf.ParameterError, match="workers must be an integer >= 1"):
        Processes(workers)


def test_a_process_that_comes_too_late_says_nothing() -> None:
    """The one that started it was killed meanwhile: there is nobody to tell."""
    code = """
from multiprocessing import Pipe
from montecarlo.processes import _work
connection, other = Pipe()
watched, kept_open = Pipe(duplex=False)
other.close()
_work(connection, watched)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
