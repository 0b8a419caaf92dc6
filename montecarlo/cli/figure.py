"""The commands ``montecarlo figure ..``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np

from meanfield import __version__
from meanfield.errors import ParameterError, require_integer
from meanfield.records import plain, table

from ..comparison import HEADERS
from ..ensemble import family
from ..experiments import EigenvalueExperiment
from ..paper import (
    FIGURE_1,
    FIGURE_1_OUTPUTS,
    FIGURE_2_OUTPUTS,
    FIGURE_S1,
    RateCurve,
    SharpnessCurve,
    TrainingMap,
    figure_1,
    figure_2,
    figure_2_experiments,
    figure_s1,
)
from ..rates import DeviationExperiment
from ..sweeps import ThresholdExperiment, TrainingExperiment
from .options import ensemble_options, opened, pool, progress, read_rates, read_widths

_FULL_WIDTHS = [20, 50, 100, 200, 300, 400, 500, 600, 800, 1000]
"""Of figures 2 and S.2 at the paper's size; the paper does not say which widths it has."""


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


def _training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of figures 2 and S.2."""
    for option in (
        click.option("--steps", type=int, help="Of gradient descent.  [default: 200; with --full: 1000]"),
        click.option("--samples", type=int, help="T, the number of samples.  [default: 200; with --full: 1000]"),
        click.option("--learning-rates", metavar="X,X,..", help="[default: 1e-4 to 10, 4 a decade; with --full: 8]"),
        click.option("--widths", metavar="M,M,..", help="[default: 25,50,100,200,400; with --full: 10 up to 1000]"),
        click.option("--full", is_flag=True, help="The paper's size: T = 1000 and 1000 steps; many hours."),
    ):
        command = option(command)
    return command


@figure.command("2")
@_training_options
@_figure_options("figure2.png")
def figure_2_command(**given: Any) -> None:
    """Figure 2: training losses against the width and the learning rate, one trial at each width.

    relu with variances (4, 1), L = 3, alpha_l = C = 1; gradient descent on the labels of a teacher network: without
    normalisation of the outputs, with mean subtraction, and with batch normalisation, which the paper does not have.
    Grey where the loss exploded (above 1000). Beside the paper's lines stand 2/lambda_max as measured at
    initialisation, and the rate above which a small residual of the same network grows.

    \b
    Examples:
      montecarlo figure 2
      montecarlo figure 2 --full --output figure2.pdf
    """
    _train_and_draw(members=1, **given)


@figure.command("s2")
@click.option("--members", type=int, help="Trials at each width.  [default: 3; with --full: 10]")
@_training_options
@_figure_options("figureS2.png")
def figure_s2_command(members: int | None, **given: Any) -> None:
    """Figure S.2: as figure 2, with the smallest loss over several trials.

    \b
    Examples:
      montecarlo figure s2
      montecarlo figure s2 --full --output figureS2.pdf
    """
    members = (10 if given["full"] else 3) if members is None else members
    _train_and_draw(members=require_integer("members", members, at_least=2), **given)


def _train_and_draw(
    *,
    members: int,
    full: bool,
    widths: str | None,
    learning_rates: str | None,
    samples: int | None,
    steps: int | None,
    workers: int,
    store: Path | None,
    seed: int,
    output: Path,
    as_json: bool,
) -> None:
    """Make figure 2 or S.2."""
    figures = _require_output(output, seed)
    sizes = read_widths(widths, _FULL_WIDTHS if full else [25, 50, 100, 200, 400])
    rates = read_rates(learning_rates, np.geomspace(1e-4, 10, 41 if full else 21).tolist())
    numbers = {
        "samples": (1000 if full else 200) if samples is None else samples,
        "steps": (1000 if full else 200) if steps is None else steps,
        "members": members,
        "seed": seed,
    }
    common = {"samples": numbers["samples"], "steps": numbers["steps"]}
    figure_2_experiments(widths=sizes, learning_rates=rates, **common)  # its checks
    runs = len(FIGURE_2_OUTPUTS) * len(sizes) * members * (len(rates) + 1)
    study = family("figure 2", ThresholdExperiment, TrainingExperiment, seed=seed)
    with (
        opened(store, study) as shelf,
        pool(workers) as executor,
        progress(runs, shelf) as finished,
    ):
        maps = figure_2(
            widths=sizes, learning_rates=rates, **numbers, executor=executor, store=shelf, progress=finished
        )
    data = json.dumps({"version": __version__, **numbers, "maps": [plain(one) for one in maps]}, indent=2)
    click.echo(data if as_json else _training_table(maps))
    _write(output, data, figures.plot_figure_2(maps))


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


def _training_table(maps: Sequence[TrainingMap]) -> str:
    rows = []
    for one in maps:
        for point in one.points:
            sweeps = point.sweeps
            critical = np.array([sweep.threshold.critical for sweep in sweeps])
            measured = np.array([sweep.threshold.measured for sweep in sweeps])
            surviving = np.mean([sweep.largest_surviving for sweep in sweeps] / critical)
            exploding = np.mean([sweep.smallest_exploding for sweep in sweeps] / critical)
            rows.append(
                (
                    one.network.output_normalization,
                    point.width,
                    f"{np.mean(critical):.3g}",
                    f"{np.mean(measured / critical):.3f}",
                    f"{surviving:.2f} .. {exploding:.2f}",
                    f"{np.mean(point.line / critical):.2f}",
                )
            )
    headers = ("output", "M", "critical = 2/lambda_max", "threshold/critical", "explodes/critical", "line/critical")
    return f"{table(rows, headers)}\n\n{_TRAINING_NOTE}"


_TRAINING_NOTE = """\
lambda_max: of the same networks at initialisation; means over the trials.
threshold: the rate above which a small residual of these networks grows, by gradient descent.
explodes: between the largest rate below all explosions and the smallest that explodes; inf where none does.
line: the theory, 2/lambda_max by Theorem 2.2, and 2/(lower bound of lambda_max) where the outputs are normalised."""
