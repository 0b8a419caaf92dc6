"""The blocks of code of a page, and what they print.

Run: python docs/blocks.py docs/guide/start.md, to write what the Python of a page prints into the page. A test runs
every block of every page; one under a comment ``<!-- not run here: REASON -->`` is left out.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^>]*?) -->\n)?^```(?P<language>python|sh)\n(?P<code>.*?)^```$"
    r"(?:\n\n```text\n(?P<printed>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of Python or of commands."""

    language: str
    code: str
    note: str
    """The comment above it, or nothing."""
    printed: str | None
    """What the page says that it prints, if it does."""
    span: tuple[int, int]
    """Where in the page that stands."""

    @property
    def runs(self) -> bool:
        """Whether it is to be run."""
        return not self.note.startswith("not run here:")


def blocks(text: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    return [
        Block(found["language"], found["code"], found["note"] or "", found["printed"], found.span("printed"))
        for found in _BLOCK.finditer(text)
    ]


def run_python(text: str) -> Iterator[tuple[Block, str]]:
    """Run the Python of a page from the top, in one namespace, and yield each block with what it printed."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(text):
        if block.language == "python" and block.runs:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(block.code, "page", "exec", dont_inherit=True), names)
            yield block, printed.getvalue()


def with_output(text: str) -> str:
    """Return a page that says what its Python prints."""
    for block, printed in reversed(list(run_python(text))):
        if block.printed is not None:
            start, end = block.span
            text = text[:start] + printed.strip("\n") + "\n" + text[end:]
    return text


def main() -> None:
    """Write the pages that are named anew."""
    pages = [Path(page).resolve() for page in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for page in pages:
            page.write_text(with_output(page.read_text()))


if __name__ == "__main__":
    main()
