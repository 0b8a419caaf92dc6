"""Files that commands write are whole or not there, and the same on every system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from meanfield.aside import aside


def test_what_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")

    def fail() -> None:
        with aside(path) as new:
            new.write_text("half")
            raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        fail()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.csv", "old")]
    with aside(path) as new:
        new.write_text("new")
        assert path.read_text() == "old"
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.csv", "new")]


def test_text_is_utf_8_whatever_the_system_prefers(tmp_path: Path) -> None:
    code = """
import warnings, pathlib
from meanfield.cli.files import write_whole
warnings.simplefilter("error", EncodingWarning)
write_whole(pathlib.Path("a.csv"), "σ ± 1\\n")
"""
    command = [sys.executable, "-X", "warn_default_encoding", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / "a.csv").read_bytes() == "σ ± 1\n".encode()
