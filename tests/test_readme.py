"""The README's code runs, and prints what the README says it prints."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import meanfield as mf

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_code_of_the_readme_prints_what_it_says() -> None:
    blocks = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == README.count("```python") == 9
    names: dict[str, object] = {}
    for code, expected in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        assert printed.getvalue().strip() == expected.strip()


def test_the_version_is_the_same_everywhere() -> None:
    assert f"version: {mf.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {mf.__version__} " in (ROOT / "CHANGELOG.md").read_text()
