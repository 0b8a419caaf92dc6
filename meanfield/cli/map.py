"""The command ``meanfield map``."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from .._version import __version__
from ..errors import ParameterError
from ..maps import AXES, MapQuantity, SweepMap, sweep_map
from ..network import Network
from ..records import table
from .files import drawing, require_writable, write_whole
from .options import shape_options, theorem_options
from .values import numbers_of, read_normalizations

_WHOLE = ("width", "samples", "depth", "outputs")
"""Parameters that are integers."""

Axis = tuple[str, list[float] | list[int]]


def _axis(context: click.Context, parameter: click.Parameter, value: str) -> Axis:
    """Read an axis such as weight-variance=1:4:60."""
    name, equals, text = value.partition("=")
    name = name.replace("-", "_")
    if name not in AXES or not equals:
        names = ", ".join(axis.replace("_", "-") for axis in AXES)
        message = f"it must be PARAMETER=VALUES with a parameter among {names}, got {value!r}"
        raise click.BadParameter(message, context, parameter)
    try:
        numbers = numbers_of(text)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None
    values = sorted(set(numbers))
    if name not in _WHOLE:
        return name, values
    if ":" not in text and any(number != round(number) for number in values):
        raise click.BadParameter(f"it must be integers for {name}, got {text!r}", context, parameter)
    return name, sorted({round(number) for number in values})


@click.command("map", short_help="A quantity over two parameters, for each normalisation: figure and data.")
@shape_options
@click.option(
    "--x",
    callback=_axis,
    default="weight-variance=0.5:4:41",
    show_default=True,
    metavar="PARAMETER=VALUES",
    help="What goes to the right: numbers and ranges a:b:n or a:b:n:log, separated by commas.",
)
@click.option(
    "--y",
    callback=_axis,
    default="bias-variance=0.025:1:40",
    show_default=True,
    metavar="PARAMETER=VALUES",
    help="What goes up, likewise.",
)
@click.option(
    "--quantity",
    type=click.Choice([str(choice) for choice in MapQuantity]),
    default="lambda-max",
    show_default=True,
    help="lambda_max, m_lambda, the learning rate 2/lambda_max, or kappa_2/kappa_1. Where lambda_max is bounded only, "
    "its lower bound takes its place.",
)
@click.option(
    "--normalizations",
    callback=read_normalizations,
    metavar="HIDDEN/OUTPUT[,..]",
    help="A panel for each pair, such as none/none,none/mean.  [default: all of which something is known]",
)
@click.option("--width", type=int, default=1000, show_default=True, help="M, unless it is an axis.")
@click.option("--samples", type=int, help="T, unless it is an axis.  [default: the width]")
@theorem_options
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("map.png"),
    show_default=True,
    help="Image file (.png, .svg or .pdf); the data goes beside it as .json and .csv.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the data as JSON instead of the table.")
def map_command(network: Network, x: Axis, y: Axis, output: Path, as_json: bool, **options: Any) -> None:
    """Draw a quantity over two parameters, with and without each normalisation.

    The edge of chaos is drawn where the axes are the two variances and nothing normalises the hidden layers. Cells to
    which no theorem applies are grey; the data says why.

    \b
    Examples:
      meanfield map --activation tanh --depth 10
      meanfield map --activation tanh --depth 50 --x weight-variance=0.5:4:200 --y bias-variance=0.01:1:200 \\
        --normalizations none/none,none/mean
      meanfield map --quantity learning-rate --x width=100:10000:21:log --y samples=10:10000:21:log
      meanfield map --activation tanh --quantity kappa-ratio --y depth=2,4,8,16,32 --bias-variance 0.1
    """
    if output.suffix not in (".png", ".svg", ".pdf"):
        raise ParameterError("output", "a file name that ends in .png, .svg or .pdf", output)
    files = output, output.with_suffix(".json"), output.with_suffix(".csv")
    for path in files:
        require_writable(path)
    figures = drawing()  # or else the work is in vain
    found = sweep_map(network, x=x, y=y, **options)
    data = json.dumps({"version": __version__, "quantity": found.quantity, "x": found.x, "y": found.y} | _data(found))
    click.echo(data if as_json else _text(found))
    write_whole(files[1], data + "\n")
    write_whole(files[2], _csv(found))
    figures.save(figures.plot_map(found), output)
    click.echo(f"\nwrote {files[0]}, {files[1]} and {files[2]}", err=True)


def _data(found: SweepMap) -> dict[str, Any]:
    edge = next((panel.edge for panel in found.panels if panel.edge is not None), None)
    curve = None if edge is None else {name: getattr(edge, name).tolist() for name in (found.x, found.y)}
    return {"sweep": found.sweep.to_dict(), "edge_of_chaos": curve}


def _csv(found: SweepMap) -> str:
    """Return a table with a row for each cell; what is not known is empty."""
    rows = list(found.sweep.rows())
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _text(found: SweepMap) -> str:
    """Return the range of the quantity for each normalisation."""
    rows = []
    for panel in found.panels:
        known = panel.values[np.isfinite(panel.values)]
        span = f"{known.min():.4g} to {known.max():.4g}" if known.size else "not known"
        rows.append((f"{panel.hidden}/{panel.output}", span, f"{known.size} of {panel.values.size}", panel.theorem))
    text = table(rows, ("hidden/output", str(found.quantity), "cells", "theorem"))
    reasons = [
        f"not known, {panel.hidden}/{panel.output}: {panel.reason.partition('. ')[0]}"
        for panel in found.panels
        if panel.reason
    ]
    return "\n\n".join([text, *reasons])
