"""Make gallery.md again: each figure, and each table, by the command that stands above it.

Run: python docs/make_gallery.py. What it is given goes to every command: ``python docs/make_gallery.py --workers 2``.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

GALLERY = Path(__file__).with_name("gallery.md")


def commands(text: str) -> list[list[str]]:
    r"""Return the commands of a page, as lists of words.

    Examples
    --------
    >>> commands("```sh\nmontecarlo figure 1\n```")
    [['montecarlo', 'figure', '1']]
    """
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def with_output(section: str, printed: str) -> str:
    r"""Put what a command printed into its section, if that shows it.

    Examples
    --------
    >>> with_output("```text\nold\n```\n", "new\n")
    '```text\nnew\n```\n'
    """
    return re.sub(r"```text\n.*?```", lambda _: f"```text\n{printed.strip()}\n```", section, flags=re.DOTALL)


def main() -> None:
    """Run the commands, and write the page."""
    sections = re.split(r"(?m)^(?=## )", GALLERY.read_text())
    for number, section in enumerate(sections):
        for _, *words in commands(section):
            print("+", *words, flush=True)
            command = [sys.executable, "-m", "montecarlo", *words, *sys.argv[1:]]
            ran = subprocess.run(command, check=True, cwd=GALLERY.parents[1], stdout=subprocess.PIPE, text=True)
            sections[number] = with_output(section, ran.stdout)
    GALLERY.write_text("".join(sections))


if __name__ == "__main__":
    main()
