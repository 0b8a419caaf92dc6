"""The commands ``montecarlo figure 2`` and ``montecarlo figure s2``: training losses by width and learning rate."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click
import numpy as np

from meanfield.errors import require_integer
from meanfield.records import plain

from ..ensemble import family
from ..paper import figure_2, figure_2_plan
from ..sweeps import TrainingExperiment
from ..threshold import ThresholdExperiment
from .figure_options import FigureOptions, figure_options
from .figure_tables import training_table
from .options import read_rates, read_widths

_FULL_WIDTHS = [20, 50, 100, 200, 300, 400, 500, 600, 800, 1000]
"""Of figures 2 and S.2 at the paper's size; the paper does not say which widths it has."""


_OPTIONS = (
    click.option("--steps", type=int, help="Of gradient descent.  [default: 200; with --full: 1000]"),
    click.option("--samples", type=int, help="T, the number of samples.  [default: 200; with --full: 1000]"),
    click.option(
        "--learning-rates",
        metavar="X,X,..",
        help="In any order.  [default: 1e-4 to 10, 4 a decade; with --full: 8]",
    ),
    click.option(
        "--widths",
        metavar="M,M,..",
        help="In any order.  [default: 25,50,100,200,400; with --full: 10 up to 1000]",
    ),
    click.option("--full", is_flag=True, help="The paper's size: T = 1000 and 1000 steps; many hours."),
)


def _training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of figures 2 and S.2."""
    return functools.reduce(lambda wrapped, option: option(wrapped), _OPTIONS, command)


@click.command("2", short_help="Training losses over width and learning rate.")
@_training_options
@figure_options("figure2.png")
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


@click.command("s2", short_help="As figure 2, the smallest of several losses.")
@click.option("--members", type=int, help="Trials at each width.  [default: 3; with --full: 10]")
@_training_options
@figure_options("figureS2.png")
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
    options: FigureOptions,
) -> None:
    """Make figure 2 or S.2."""
    sizes: dict[str, Any] = {
        "samples": (1000 if full else 200) if samples is None else samples,
        "steps": (1000 if full else 200) if steps is None else steps,
    }
    plan = figure_2_plan(
        widths=read_widths(widths, _FULL_WIDTHS if full else [25, 50, 100, 200, 400]),
        learning_rates=read_rates(learning_rates, np.geomspace(1e-4, 10, 41 if full else 21).tolist()),
        **sizes,
    )
    seed = options.run.seed
    study = family("figure 2", TrainingExperiment, ThresholdExperiment, seed=seed, **sizes)
    with options.run.running(study, len(plan.experiments) * members) as how:
        maps = figure_2(plan, members=members, seed=seed, **how)
    record = {**sizes, "members": members, "maps": [plain(one) for one in maps]}
    options.finish(record, training_table(maps), lambda figures: figures.plot_figure_2(maps))
