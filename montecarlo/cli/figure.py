"""The commands ``montecarlo figure ..``."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    FIGURE_S1,
    RateCurve,
    SharpnessCurve,
    TrainingMap,
    figure_1,
    figure_2,
    figure_2_plan,
    figure_s1,
)
from ..rates import DeviationExperiment
from ..sweeps import TrainingExperiment
from ..threshold import ThresholdExperiment
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
def figure_1_command(full: bool, widths: str | None, members: int | None, **given: Any) -> None:
    """Figure 1: the largest eigenvalue against the width, with and without mean subtraction.

    T = M, L = 3, alpha_l = C = 1; relu with variances (2, 0) and tanh with (3, 0.64).

    \b
    Examples:
      montecarlo figure 1
      montecarlo figure 1 --full --store figure1.sqlite --output figure1.pdf
    """
    sizes = _read_widths(widths, [50, 100, 200, 400, 800, *([1000] if full else [])])
    members = require_integer("members", (100 if full else 40) if members is None else members, at_least=2)
    work = _Work(**given)
    runs = len(FIGURE_1) * len(FIGURE_1_OUTPUTS) * len(sizes) * members
    with work.running(family("figure 1", EigenvalueExperiment, seed=work.seed), runs) as how:
        curves = figure_1(widths=sizes, members=members, seed=work.seed, **how)
    record = {"members": members, "curves": [plain(curve) for curve in curves]}
    work.finish(record, _figure_1_table(curves), lambda figures: figures.plot_figure_1(curves))


@figure.command("s1")
@click.option("--full", is_flag=True, help="One more width, 3200.")
@click.option("--widths", metavar="M,M,..", help="Widths.  [default: 100,200,400,800,1600; with --full: ..,3200]")
@click.option("--members", type=int, default=100, show_default=True, help="Networks at each width.")
@_figure_options("figureS1.png")
def figure_s1_command(full: bool, widths: str | None, members: int, **given: Any) -> None:
    """Figure S.1: the standard deviation of the backward overlap qtilde^1_st against the width.

    T = 100, L = 3, alpha_l = C = 1; relu with variances (2, 0) and tanh with (3, 0.64); about the theory, over 100
    networks and all pairs of samples. The data has the other order parameters as well, as `montecarlo rates` has.

    \b
    Examples:
      montecarlo figure s1
      montecarlo figure s1 --widths 50,100,200,400 --output figureS1.pdf
    """
    sizes = _read_widths(widths, [100, 200, 400, 800, 1600, *([3200] if full else [])])
    runs = len(FIGURE_S1) * len(sizes) * require_integer("members", members, at_least=2)
    work = _Work(**given)
    with work.running(family("figure s1", DeviationExperiment, seed=work.seed), runs) as how:
        curves = figure_s1(widths=sizes, members=members, seed=work.seed, **how)
    record = {"members": members, "curves": [plain(curve) for curve in curves]}
    work.finish(record, _figure_s1_table(curves), lambda figures: figures.plot_figure_s1(curves))


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

    Every width and learning rate is a task of its own, for any number of workers; more rates go on from the same store.

    \b
    Examples:
      montecarlo figure 2
      montecarlo figure 2 --full --store figure2.sqlite --output figure2.pdf
    """
    _train_and_draw(members=1, **given)


@figure.command("s2")
@click.option("--members", type=int, help="Trials at each width.  [default: 3; with --full: 10]")
@_training_options
@_figure_options("figureS2.png")
def figure_s2_command(members: int | None, **given: Any) -> None:
    """Figure S.2: as figure 2, with the smallest loss over several trials.

    It goes on from a store of figure 2, whose trial is the first.

    \b
    Examples:
      montecarlo figure s2
      montecarlo figure s2 --full --store figure2.sqlite --output figureS2.pdf
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
    **given: Any,
) -> None:
    """Make figure 2 or S.2."""
    sizes: dict[str, Any] = {
        "samples": (1000 if full else 200) if samples is None else samples,
        "steps": (1000 if full else 200) if steps is None else steps,
    }
    plan = figure_2_plan(
        widths=_read_widths(widths, _FULL_WIDTHS if full else [25, 50, 100, 200, 400]),
        learning_rates=read_rates(learning_rates, np.geomspace(1e-4, 10, 41 if full else 21).tolist()),
        **sizes,
    )
    work = _Work(**given)
    study = family("figure 2", TrainingExperiment, ThresholdExperiment, seed=work.seed, **sizes)
    with work.running(study, len(plan.experiments) * members) as how:
        maps = figure_2(plan, members=members, seed=work.seed, **how)
    record = {**sizes, "members": members, "maps": [plain(one) for one in maps]}
    work.finish(record, _training_table(maps), lambda figures: figures.plot_figure_2(maps))


class _Work:
    """What all figures do: refuse before the work what would stop the command after it, run, print and write."""

    def __init__(self, *, seed: int, output: Path, store: Path | None, workers: int, as_json: bool) -> None:
        try:
            from .. import figures  # matplotlib is optional, and slow to import
        except ModuleNotFoundError as error:
            raise click.UsageError("figures need matplotlib: pip install matplotlib") from error
        self.figures = figures
        self.seed = require_integer("seed", seed, at_least=0, at_most=None)
        self.output, self.data = output, output.with_suffix(".json")
        self.store, self.workers, self.as_json = store, workers, as_json
        if output.suffix not in (".png", ".svg", ".pdf"):
            raise ParameterError("output", "a file name that ends in .png, .svg or .pdf", output)
        if not (output.parent.is_dir() and os.access(output.parent, os.W_OK)):
            raise ParameterError("output", "in a folder that exists and can be written to", output)
        if self.data.is_dir():
            raise ParameterError("output", "such that the data can be written beside it", f"{self.data}, a folder")
        if store is not None and store.resolve() in (self.output.resolve(), self.data.resolve()):
            raise ParameterError("store", "another file than the figure and its data", store)

    @contextmanager
    def running(self, study: Mapping[str, Any], runs: int) -> Iterator[dict[str, Any]]:
        """Provide what an ensemble runs with."""
        with (
            opened(self.store, study) as shelf,
            pool(min(self.workers, runs)) as executor,
            progress(runs, shelf) as finished,
        ):
            yield {"executor": executor, "store": shelf, "progress": finished}

    def finish(self, record: dict[str, Any], text: str, draw: Callable[[ModuleType], Any]) -> None:
        """Print the table or the data, and write data and image: each of them, or nothing."""
        data = json.dumps({"version": __version__, "seed": self.seed, **record}, indent=2)
        click.echo(data if self.as_json else text)
        aside = self.data.with_name(f".{self.data.name}.new")
        try:
            aside.write_text(data + "\n")
            aside.replace(self.data)
        finally:
            aside.unlink(missing_ok=True)
        self.figures.save(draw(self.figures), self.output)
        click.echo(f"\nwrote {self.output} and {self.data}", err=True)


def _read_widths(text: str | None, default: list[int]) -> list[int]:
    """Return widths in increasing order, for lines to join them."""
    return sorted(set(read_widths(text, default)))


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
            thresholds = [sweep.threshold for sweep in point.trials]
            surviving, exploding = (
                float(np.mean([getattr(sweep, name) / sweep.threshold.critical for sweep in point.trials]))
                for name in ("largest_surviving", "smallest_exploding")
            )
            rows.append(
                (
                    one.network.output_normalization,
                    point.width,
                    _mean([threshold.critical for threshold in thresholds], ".3g"),
                    _mean([threshold.measured for threshold in thresholds], ".3g"),
                    _mean([threshold.ratio for threshold in thresholds], ".4f"),
                    f"{surviving:.3g} .. {exploding:.3g}" if math.isfinite(exploding) else f"above {surviving:.3g}",
                    f"{point.line:.3g}",
                    f"{point.line / np.mean([threshold.measured for threshold in thresholds]):.3g}",
                )
            )
    headers = ("output", "M", "2/lambda_max", "threshold", "ratio", "explodes at", "line", "line/threshold")
    return f"{table(rows, headers)}\n\n{_TRAINING_NOTE}"


def _mean(values: Sequence[float], form: str) -> str:
    """Return a mean with its standard error, if there is one."""
    if len(values) == 1:
        return f"{values[0]:{form}}"
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    return f"{np.mean(values):{form}} ± {error:{form.replace('3g', '1g')}}"


_TRAINING_NOTE = """\
2/lambda_max: of the networks at initialisation; ± the standard error over the trials, if there are several.
threshold: the rate above which a small residual of the same networks grows, by gradient descent; within 0.5 %.
explodes at: between which rates, divided by 2/lambda_max: all up to the first survive, and the second explodes.
line: the theory, 2/lambda_max by Theorem 2.2, and 2/(lower bound of lambda_max) where the outputs are normalised, which
is not the threshold: at fixed T that bound grows like M, and lambda_max far more slowly."""
