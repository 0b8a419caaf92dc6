"""The README's equation map and the docstrings say the same."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

from test_layers import modules

README = (Path(__file__).parents[1] / "README.md").read_text()
ROWS = re.findall(r"^\| (\(.*?) \| .*? \| `([\w.]+)` \|$", README, re.MULTILINE)


def documented() -> dict[str, str]:
    """Return the Equations line of every function and class that has one, by its full name."""
    found = {}
    for module in modules():
        if module.endswith("__main__"):
            continue
        for name, thing in vars(importlib.import_module(module)).items():
            if (inspect.isfunction(thing) or inspect.isclass(thing)) and thing.__module__ == module:
                line = re.search(r"^\s*Equations: (.*)$", thing.__doc__ or "", re.MULTILINE)
                if line:
                    found[f"{module}.{name}"] = line[1]
    return found


def test_every_documented_equation_is_in_the_map_and_nothing_else() -> None:
    assert {where: equations for equations, where in ROWS} == documented()
    assert len(ROWS) == len(documented())


def expanded(equations: str) -> set[str]:
    """Return the numbers in a list such as "(5), (S.66)-(S.70), Theorem 3.4"."""
    found = set()
    for supplement, first, last in re.findall(r"\((S\.)?(\d+)\)(?:-\((?:S\.)?(\d+)\))?", equations):
        found |= {f"{supplement}{number}" for number in range(int(first), int(last or first) + 1)}
    return found


def test_ranges_are_expanded() -> None:
    assert expanded("(5), (S.66)-(S.68), Theorem 3.4") == {"5", "S.66", "S.67", "S.68"}


NUMBERED = {str(number) for number in range(1, 28)} | {f"S.{number}" for number in range(1, 114)}
"""All of the paper's equations: (1)-(27), (S.1)-(S.113)."""


def test_every_equation_of_the_paper_has_a_home() -> None:
    assert set().union(*(expanded(equations) for equations, _ in ROWS)) == NUMBERED
