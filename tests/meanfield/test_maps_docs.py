"""The page on maps: its programs print what it says, and its commands draw."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

import pytest

from meanfield.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "maps.md").read_text()


def test_the_programs_print_what_the_page_says() -> None:
    names: dict[str, object] = {"__name__": "page"}
    printed = []
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(block, names)
        printed.append(output.getvalue())
    assert printed == re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("line", re.findall(r"```sh\n(.*?)\n```", PAGE, re.DOTALL))
def test_the_commands_draw(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs" / "figures").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    assert (tmp_path / sys.argv[sys.argv.index("--output") + 1]).exists()
    assert Path(__file__).parents[2].joinpath(sys.argv[sys.argv.index("--output") + 1]).exists()
