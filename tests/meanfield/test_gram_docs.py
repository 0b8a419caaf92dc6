"""The programs in the page on real inputs run, and print what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "gram.md").read_text()


def test_the_page_runs() -> None:
    printed, names = io.StringIO(), {"__name__": "page"}
    with contextlib.redirect_stdout(printed):
        for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
            exec(block, names)
    output = "".join(re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL))
    assert printed.getvalue() == output
    assert "regressor" in names
