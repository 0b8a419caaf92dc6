"""Make the figures of gallery.md again, each by the command that stands above it. Run: python docs/make_gallery.py.

What it is given goes to every command: ``python docs/make_gallery.py --workers 2``.
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


if __name__ == "__main__":
    for _, *words in commands(GALLERY.read_text()):
        command = [sys.executable, "-m", "montecarlo", *words, *sys.argv[1:]]
        print("+", *words, flush=True)
        subprocess.run(command, check=True, cwd=GALLERY.parents[1])
