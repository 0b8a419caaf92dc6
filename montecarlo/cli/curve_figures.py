"""The commands ``montecarlo figure 1``, ``s1`` and ``spectrum``: quantities against the width, and a density."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import click

from meanfield.errors import require_integer
from meanfield.records import plain

from ..ensemble import family
from ..experiments import EigenvalueExperiment, SpectrumExperiment
from ..paper import FIGURE_1, FIGURE_1_OUTPUTS, FIGURE_S1, figure_1, figure_s1, figure_spectrum
from ..rates import DeviationExperiment
from .figure_options import FigureOptions, figure_options
from .figure_tables import figure_1_table, figure_s1_table, spectrum_table
from .options import read_widths


@click.command("1", short_help="lambda_max against the width, with and without mean subtraction.")
@click.option("--full", is_flag=True, help="The paper's size: 100 networks at each width up to 1000.")
@click.option("--widths", metavar="M,M,..", help="In any order.  [default: 50,100,200,400,800; with --full: ..,1000]")
@click.option("--members", type=int, help="Networks at each width.  [default: 40; with --full: 100]")
@figure_options("figure1.png")
def figure_1_command(full: bool, widths: str | None, members: int | None, options: FigureOptions) -> None:
    """Figure 1: the largest eigenvalue against the width, with and without mean subtraction.

    T = M, L = 3, alpha_l = C = 1; relu with variances (2, 0) and tanh with (3, 0.64).

    \b
    Examples:
      montecarlo figure 1
      montecarlo figure 1 --full --store figure1.sqlite --output figure1.pdf
    """
    _measure_and_draw(
        figure_1,
        study=("figure 1", EigenvalueExperiment),
        curves=len(FIGURE_1) * len(FIGURE_1_OUTPUTS),
        widths=read_widths(widths, [50, 100, 200, 400, 800, *([1000] if full else [])]),
        members=(100 if full else 40) if members is None else members,
        options=options,
        table=figure_1_table,
        draw=lambda figures, curves: figures.plot_figure_1(curves),
    )


@click.command("s1", short_help="How backward overlaps fluctuate, against the width.")
@click.option("--full", is_flag=True, help="One more width, 3200.")
@click.option(
    "--widths",
    metavar="M,M,..",
    help="In any order, at least two.  [default: 100,200,400,800,1600; with --full: ..,3200]",
)
@click.option("--members", type=int, default=100, show_default=True, help="Networks at each width.")
@figure_options("figureS1.png")
def figure_s1_command(full: bool, widths: str | None, members: int, options: FigureOptions) -> None:
    """Figure S.1: the standard deviation of the backward overlap qtilde^1_st against the width.

    T = 100, L = 3, alpha_l = C = 1; relu with variances (2, 0) and tanh with (3, 0.64); about its limit, over 100
    networks and all pairs of samples. The line is that of mf.fluctuations, sqrt(M Var)/sqrt(M). The data has the other
    order parameters as well, as `montecarlo rates` has.

    \b
    Examples:
      montecarlo figure s1
      montecarlo figure s1 --widths 50,100,200,400 --output figureS1.pdf
    """
    _measure_and_draw(
        figure_s1,
        study=("figure s1", DeviationExperiment),
        curves=len(FIGURE_S1),
        widths=read_widths(widths, [100, 200, 400, 800, 1600, *([3200] if full else [])], number=2),
        members=members,
        options=options,
        table=figure_s1_table,
        draw=lambda figures, curves: figures.plot_figure_s1(curves),
    )


@click.command("spectrum", short_help="Beyond the paper: the density of all eigenvalues.")
@click.option("--width", type=int, default=600, show_default=True, help="M = T.")
@click.option("--members", type=int, default=20, show_default=True, help="Networks of each kind.")
@figure_options("spectrum.png")
def figure_spectrum_command(width: int, members: int, options: FigureOptions) -> None:
    """Beyond the paper: the density of eigenvalues after mean subtraction.

    T = M, L = 3, alpha_l = C = 1; relu with variances (2, 0) and tanh with (3, 0.64): the eigenvalues of all networks
    as a histogram, under the density of the theory, and lambda_max.

    \b
    Examples:
      montecarlo figure spectrum
      montecarlo figure spectrum --width 1000 --members 20 --output spectrum.pdf
    """
    seed = options.run.seed
    runs = len(FIGURE_1) * require_integer("members", members, at_least=2)
    require_integer("width", width, at_least=20)
    with options.run.running(family("figure spectrum", SpectrumExperiment, seed=seed), runs) as how:
        curves = figure_spectrum(width=width, members=members, seed=seed, **how)
    record = {"members": members, "curves": [plain(curve) for curve in curves]}
    options.finish(record, spectrum_table(curves), lambda figures: figures.plot_spectrum(curves))


def _measure_and_draw(
    measure: Callable[..., Sequence[Any]],
    *,
    study: tuple[str, type],
    curves: int,
    widths: Sequence[int],
    members: int,
    options: FigureOptions,
    table: Callable[[Sequence[Any]], str],
    draw: Callable[[ModuleType, Sequence[Any]], Any],
) -> None:
    """Make figure 1 or S.1: so many curves, each with a point for every width."""
    runs = curves * len(widths) * require_integer("members", members, at_least=2)
    seed = options.run.seed
    with options.run.running(family(*study, seed=seed), runs) as how:
        measured = measure(widths=widths, members=members, seed=seed, **how)
    record = {"members": members, "curves": [plain(curve) for curve in measured]}
    options.finish(record, table(measured), lambda figures: draw(figures, measured))
