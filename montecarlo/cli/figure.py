"""The commands ``montecarlo figure ..``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from meanfield import __version__
from meanfield.errors import ParameterError, require_integer
from meanfield.records import plain, table

from ..comparison import HEADERS
from ..ensemble import family
from ..experiments import EigenvalueExperiment
from ..paper import FIGURE_1, FIGURE_1_OUTPUTS, FIGURE_S1, RateCurve, SharpnessCurve, figure_1, figure_s1
from ..rates import DeviationExperiment
from .options import ensemble_options, opened, pool, progress, read_widths


def _figure_options(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of an ensemble, and those that say where the figure goes."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--json", "as_json", is_flag=True, help="Print the data as JSON instead of the table."),
            click.option(
                "--output",
                type=click.Path(dir_okay=False, path_type=Path),
                default=Path(default),
                show_default=True,
                help="Image file (.png, .svg or .pdf); the data goes beside it as .json.",
            ),
            ensemble_options,
        ):
            command = option(command)
        return command

    return add


@click.group()
def figure() -> None:
    """Reproduce a figure of the paper: a table, an image and its data."""


@figure.command("1")
@click.option("--full", is_flag=True, help="The paper's size: 100 networks at each width up to 1000.")
@click.option("--widths", metavar="M,M,..", help="Widths.  [default: 50,100,200,400,800; with --full: ..,1000]")
@click.option("--members", type=int, help="Networks at each width.  [default: 40; with --full: 100]")
@_figure_options("figure1.png")
def figure_1_command(
    full: bool,
    widths: str | None,
    members: int | None,
    workers: int,
    seed: int,
    store: Path | None,
    output: Path,
    as_json: bool,
) -> None:
    """Figure 1: the largest eigenvalue against the width, with and without mean subtraction.

    T = M, L = 3, alpha_l = C = 1; relu with variances (2, 0) and tanh with (3, 0.64).

    \b
    Examples:
      montecarlo figure 1
      montecarlo figure 1 --full --store figure1.sqlite --output figure1.pdf
    """
    figures = _require_output(output, seed)
    sizes = read_widths(widths, [50, 100, 200, 400, 800, *([1000] if full else [])])
    members = require_integer("members", (100 if full else 40) if members is None else members, at_least=2)

    runs = len(FIGURE_1) * len(FIGURE_1_OUTPUTS) * len(sizes) * members
    with (
        opened(store, family("figure 1", EigenvalueExperiment, seed=seed)) as shelf,
        pool(workers) as executor,
        progress(runs, shelf) as finished,
    ):
        curves = figure_1(widths=sizes, members=members, seed=seed, executor=executor, store=shelf, progress=finished)
    record = {"version": __version__, "seed": seed, "members": members, "curves": [plain(curve) for curve in curves]}
    data = json.dumps(record, indent=2)
    click.echo(data if as_json else _figure_1_table(curves))
    _write(output, data, figures.plot_figure_1(curves))


@figure.command("s1")
@click.option("--full", is_flag=True, help="One more width, 3200.")
@click.option("--widths", metavar="M,M,..", help="Widths.  [default: 100,200,400,800,1600; with --full: ..,3200]")
@click.option("--members", type=int, default=100, show_default=True, help="Networks at each width.")
@_figure_options("figureS1.png")
def figure_s1_command(
    full: bool,
    widths: str | None,
    members: int,
    workers: int,
    seed: int,
    store: Path | None,
    output: Path,
    as_json: bool,
) -> None:
    """Figure S.1: the standard deviation of the backward overlap qtilde^1_st against the width.

    T = 100, L = 3, alpha_l = C = 1; relu with variances (2, 0) and tanh with (3, 0.64); about the theory, over 100
    networks and all pairs of samples. The data has the other order parameters as well, as `montecarlo rates` has.

    \b
    Examples:
      montecarlo figure s1
      montecarlo figure s1 --widths 50,100,200,400 --output figureS1.pdf
    """
    figures = _require_output(output, seed)
    sizes = read_widths(widths, [100, 200, 400, 800, 1600, *([3200] if full else [])])
    runs = len(FIGURE_S1) * len(sizes) * require_integer("members", members, at_least=2)
    with (
        opened(store, family("figure s1", DeviationExperiment, seed=seed)) as shelf,
        pool(workers) as executor,
        progress(runs, shelf) as finished,
    ):
        curves = figure_s1(widths=sizes, members=members, seed=seed, executor=executor, store=shelf, progress=finished)
    record = {"version": __version__, "seed": seed, "members": members, "curves": [plain(curve) for curve in curves]}
    data = json.dumps(record, indent=2)
    click.echo(data if as_json else _figure_s1_table(curves))
    _write(output, data, figures.plot_figure_s1(curves))


def _require_output(output: Path, seed: int) -> ModuleType:
    """Return the module of figures; what would stop the command after the work is said before it."""
    try:
        from .. import figures  # matplotlib is optional, and slow to import
    except ModuleNotFoundError as error:
        raise click.UsageError("figures need matplotlib: pip install matplotlib") from error
    if output.suffix not in (".png", ".svg", ".pdf"):
        raise ParameterError("output", "a file name that ends in .png, .svg or .pdf", output)
    if not output.parent.is_dir():
        raise ParameterError("output", "in a folder that exists", output)
    for path in (output, output.with_suffix(".json")):
        with path.open("a"):  # whether it can be written is known before the work
            pass
    require_integer("seed", seed, at_least=0, at_most=None)
    return figures


def _write(output: Path, data: str, image: Any) -> None:
    """Write the data and the image."""
    from .. import figures

    output.with_suffix(".json").write_text(data + "\n")
    figures.save(image, output)
    click.echo(f"\nwrote {output} and {output.with_suffix('.json')}", err=True)


def _figure_1_table(curves: Sequence[SharpnessCurve]) -> str:
    rows = []
    for curve in curves:
        for point in curve.points:
            _, *cells = point.comparison["lambda_max"].cells
            rows.append((curve.name, curve.network.output_normalization, point.width, *cells))
    return table(rows, ("network", "output", "M = T", *HEADERS[1:]))


def _figure_s1_table(curves: Sequence[RateCurve]) -> str:
    return "\n\n".join(f"{curve.name}: qtilde^1_st\n{curve.rates['qtilde^1_st']}" for curve in curves)
