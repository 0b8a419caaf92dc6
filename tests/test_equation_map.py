"""The README's equation map and the docstrings say the same."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest
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


MAIN_TEXT = [1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 22, 23, 26, 27]


@pytest.mark.parametrize("number", MAIN_TEXT)
def test_the_equations_of_the_main_text_have_a_home(number: int) -> None:
    assert any(f"({number})" in equations for equations, _ in ROWS)
