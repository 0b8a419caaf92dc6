"""The files that a command writes: whether it can is known before the work, and each is whole or not there."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click

from ..aside import aside
from ..errors import ParameterError


def require_writable(path: Path) -> None:
    """Refuse an --output that could not be written; nothing is touched."""
    folder = path.parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise ParameterError("output", "in a folder that exists and can be written to", path)
    if path.is_dir():
        raise ParameterError("output", "a file", f"{path}, a folder")


def write_whole(path: Path, text: str) -> None:
    """Write a text file, or nothing."""
    with aside(path) as new:
        new.write_text(text, encoding="utf-8", newline="\n")


def drawing(figures: str = "meanfield.figures") -> ModuleType:
    """Return the module that draws, or say what it needs."""
    try:
        return import_module(figures)  # matplotlib is optional, and slow to import
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        message = "figures need the extra 'plot' (in a clone of the project: pip install '.[plot]')"
        raise click.ClickException(message) from error
