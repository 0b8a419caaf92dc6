"""The command on workers: on a cluster, interrupted in a terminal, and with a wrong address."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from workers import wait_until

from montecarlo.cli import main

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def montecarlo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command that compares four small networks, and return exit status, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["montecarlo", "compare", "--width", "40", "--members", "4", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), *capsys.readouterr()

    return run


def test_the_command_on_a_cluster(montecarlo: Command, cluster: Any) -> None:
    code, out, err = montecarlo("--scheduler", cluster.scheduler_address)
    assert (code, err) == (0, "")
    assert montecarlo("--workers", "1")[1] == out


def _group(leader: int) -> set[int]:
    """Return which processes of the group of a process are running."""
    stats = [path.read_text().rpartition(")") for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    return {
        int(name.split()[0]) for name, _, rest in stats if int(rest.split()[2]) == leader and rest.split()[0] != "Z"
    }


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="/proc")
@pytest.mark.parametrize("processes", [3, 4])  # while the workers start: the command, one for multiprocessing, workers
def test_ctrl_c_in_a_terminal_is_one_line_and_leaves_nobody(processes: int, tmp_path: Path) -> None:
    """A terminal interrupts the whole group, also workers that import NumPy at this moment."""
    command = [
        sys.executable,
        "-m",
        "montecarlo",
        "compare",
        "--members",
        "9999",
        "--workers",
        "2",
        "--store",
        "run.db",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert wait_until(lambda: len(_group(process.pid)) >= processes)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err.startswith("montecarlo: interrupted; 0 networks are safe in run.db")
    assert err.count("\n") == 1
    assert wait_until(lambda: not _group(process.pid))


@contextmanager
def _without(package: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, package, None)  # import raises ImportError
        yield


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--scheduler", "tcp://127.0.0.1:1"),
            "'--scheduler': it must be the address of a dask scheduler that answers",
        ),
        (("--scheduler", "nowhere"), "got 'nowhere' (missing port number"),
        (("--scheduler", "tcp://127.0.0.1:1", "--workers", "2"), "give one of them"),
    ],
)
def test_a_wrong_scheduler_is_one_line_within_seconds(
    montecarlo: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("montecarlo.cli.options.CONNECT", 1.0)
    start = time.monotonic()
    code, out, err = montecarlo(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert time.monotonic() - start < 10


def test_a_scheduler_without_the_extra(montecarlo: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with _without("distributed", monkeypatch):
        code, _, err = montecarlo("--scheduler", "tcp://127.0.0.1:1")
    assert code == 1
    assert "pip install '.[cluster]'" in err
    assert err.count("\n") == 1


def test_help_says_where_it_can_run(montecarlo: Command) -> None:
    out = montecarlo("--help")[1]
    assert "--workers" in out
    assert "tcp://HOST:PORT" in out
