"""What a terminal shows that a file does not: verdicts and errors in colour, unless NO_COLOR is set."""

from __future__ import annotations

import os
import re

import click

_VERDICT = re.compile(
    r"(?m)(?<=  )(?:(?P<holds>agrees|agree|inside)|(?P<open>undecided)|(?P<fails>differs|outside|\d+ of \d+ outside))$"
)
"""At the end of a row of a table."""

_COLOURS = {"holds": "green", "open": "yellow", "fails": "red"}


def show(text: str) -> None:
    """Print text, with the verdicts at the ends of its lines in colour where the output is a terminal."""
    click.echo(_VERDICT.sub(_coloured, text), color=None if wants_colour() else False)


def _coloured(verdict: re.Match[str]) -> str:
    return click.style(verdict[0], fg=_COLOURS[verdict.lastgroup or ""])


def wants_colour() -> bool:
    """Whether the user has not asked for text without colours (https://no-color.org)."""
    return not os.environ.get("NO_COLOR")
