"""What the commands ``montecarlo figure ..`` share: the options, and how a figure is run, printed and written."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from meanfield import __version__
from meanfield.cli import show
from meanfield.cli.files import drawing, require_writable, write_whole
from meanfield.errors import ParameterError

from .options import RunOptions, ensemble_options

_FIGURES = "montecarlo.figures"


@dataclass(frozen=True)
class FigureOptions:
    """What the options of a figure ask for: how its networks run, and where image and data go."""

    run: RunOptions
    output: Path
    as_json: bool

    def __post_init__(self) -> None:
        if self.output.suffix not in (".png", ".svg", ".pdf"):
            raise ParameterError("output", "a file name that ends in .png, .svg or .pdf", self.output)
        for path in (self.output, self.data):
            require_writable(path)
            if self.run.store is not None and self.run.store.resolve() == path.resolve():
                raise ParameterError("store", "another file than the figure and its data", self.run.store)
        drawing(_FIGURES)  # or else the work is in vain

    @property
    def data(self) -> Path:
        """The file beside the image."""
        return self.output.with_suffix(".json")

    def finish(self, record: dict[str, Any], text: str, draw: Callable[[ModuleType], Any]) -> None:
        """Print the table or the data, and write data and image: each of them, or nothing."""
        data = json.dumps({"version": __version__, "seed": self.run.seed, **record}, indent=2)
        show(data if self.as_json else text)
        write_whole(self.data, data + "\n")
        figures = drawing(_FIGURES)
        figures.save(draw(figures), self.output)
        click.echo(f"\nwrote {self.output} and {self.data}", err=True)


def figure_options(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of a figure, as one argument ``options``."""
    output = click.option(
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path(default),
        show_default=True,
        help="Image file (.png, .svg or .pdf); the data goes beside it as .json.",
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print the data as JSON instead of the table.")

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_options(*, options: RunOptions, output: Path, as_json: bool, **others: Any) -> Any:
            return command(options=FigureOptions(options, output, as_json), **others)

        return ensemble_options(output(as_json(with_options)))

    return add
