"""The command ``montecarlo``."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from meanfield import Network, Regime, __version__, eigenvalue_statistics, propagate
from meanfield.cli import network_options, run
from meanfield.errors import ParameterError, require_integer
from meanfield.records import plain, table

from ..compare import HEADERS, compare
from ..dual import MEMORY_LIMIT
from ..ensemble import run_ensemble
from ..experiments import EigenvalueExperiment, OrderParameterExperiment
from ..paper import FIGURE_1, FIGURE_1_OUTPUTS, SharpnessCurve, figure_1

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__)
def montecarlo() -> None:
    """Finite random networks that check the mean-field theory of `meanfield`."""


def _ensemble_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--workers", type=int, default=_processors(), show_default="all processors", help="Processes."),
        click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same numbers."),
    ):
        command = option(command)
    return command


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@montecarlo.command("compare")
@network_options
@click.option("--width", type=int, default=200, show_default=True, help="M, the width.")
@click.option("--samples", type=int, help="T, the number of samples.  [default: the width]")
@click.option("--members", type=int, default=20, show_default=True, help="How many networks to sample.")
@click.option("--order-parameters", is_flag=True, help="Compare order parameters instead of eigenvalues.")
@click.option(
    "--regime",
    type=click.Choice([str(choice) for choice in Regime]),
    default="auto",
    show_default=True,
    help="Of Theorem 3.3: see `meanfield analyse --help`.",
)
@click.option("--leading-order", is_flag=True, help="The paper's formulas, without O(1/M) terms.")
@click.option("--memory-limit", type=float, default=MEMORY_LIMIT, show_default=True, help="GiB for one network.")
@_ensemble_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def compare_command(
    network: Network,
    width: int,
    samples: int | None,
    members: int,
    order_parameters: bool,
    regime: str,
    leading_order: bool,
    memory_limit: float,
    workers: int,
    seed: int,
    as_json: bool,
) -> None:
    """Sample finite networks and compare them with the theory.

    An equality holds for infinite width: the measured mean may differ by the size of the terms that the theory leaves
    out and by chance, together the interval "allowed". Where that is as large as the theory the verdict is
    "undecided". Exit status 0 says that the comparison ran, whatever the verdicts.

    \b
    Examples:
      montecarlo compare --activation tanh --weight-variance 3 --bias-variance 0.64 --width 400
      montecarlo compare --output-normalization mean --width 400 --samples 10 --members 50
      montecarlo compare --order-parameters --width 1000 --samples 20
    """
    samples = width if samples is None else samples
    require_integer("members", members, at_least=2)
    require_integer("seed", seed, at_least=0, at_most=None)
    theory: Any
    experiment: Any
    if order_parameters:
        experiment = OrderParameterExperiment(network, width, samples, memory_limit=memory_limit)
        theory = propagate(network)
    else:
        experiment = EigenvalueExperiment(network, width, samples, memory_limit=memory_limit)
        theory = eigenvalue_statistics(
            network, width=width, samples=samples, regime=regime, leading_order=leading_order
        )
    with (
        _executor(min(workers, members)) as executor,
        tqdm(total=members, unit="network", leave=False, disable=None) as bar,
    ):
        ensemble = run_ensemble(experiment, members=members, seed=seed, executor=executor, progress=bar.update)
    comparison = compare(theory, ensemble)
    if as_json:
        record = {
            "version": __version__,
            "experiment": plain(experiment),
            "members": members,
            "seed": seed,
            "theory": plain(theory),
            "comparison": [
                {**plain(row), "ratio": plain(row.ratio), "z": plain(row.z), "verdict": row.verdict}
                for row in comparison.rows
            ],
        }
        click.echo(json.dumps(record, indent=2))
        return
    if not order_parameters:
        regime_line = f", {theory.regime}" if theory.regime else ""
        click.echo(f"{theory.theorem}{regime_line}; {members} networks, M = {width}, T = {samples}\n")
    click.echo(str(comparison))


@montecarlo.group()
def figure() -> None:
    """Reproduce a figure of the paper: a table, an image and its data."""


@figure.command("1")
@click.option("--full", is_flag=True, help="The paper's size: 100 networks at each width up to 1000.")
@click.option("--widths", metavar="M,M,..", help="Widths.  [default: 50,100,200,400,800; with --full: ..,1000]")
@click.option("--members", type=int, help="Networks at each width.  [default: 40; with --full: 100]")
@_ensemble_options
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("figure1.png"),
    show_default=True,
    help="Image file (.png, .svg or .pdf); the data goes beside it as .json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the data as JSON instead of the table.")
def figure_1_command(
    full: bool, widths: str | None, members: int | None, workers: int, seed: int, output: Path, as_json: bool
) -> None:
    """Figure 1: the largest eigenvalue against the width, with and without mean subtraction.

    T = M, L = 3, alpha_l = C = 1; relu with variances (2, 0) and tanh with (3, 0.64).

    \b
    Examples:
      montecarlo figure 1
      montecarlo figure 1 --full --output figure1.pdf
    """
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
    sizes = _widths(widths, [50, 100, 200, 400, 800, *([1000] if full else [])])
    members = require_integer("members", (100 if full else 40) if members is None else members, at_least=2)

    runs = len(FIGURE_1) * len(FIGURE_1_OUTPUTS) * len(sizes) * members
    with _executor(workers) as executor, tqdm(total=runs, unit="network", leave=False, disable=None) as bar:
        curves = figure_1(widths=sizes, members=members, seed=seed, executor=executor, progress=bar.update)
    curve_data = [plain(curve) for curve in curves]
    record = {"version": __version__, "seed": seed, "members": members, "curves": curve_data}
    data = json.dumps(record, indent=2)
    click.echo(data if as_json else _figure_1_table(curves))
    output.with_suffix(".json").write_text(data + "\n")
    figures.save(figures.plot_figure_1(curves), output)
    click.echo(f"\nwrote {output} and {output.with_suffix('.json')}", err=True)


def _figure_1_table(curves: Sequence[SharpnessCurve]) -> str:
    rows = []
    for curve in curves:
        for point in curve.points:
            _, *cells = point.comparison["lambda_max"].cells
            rows.append((curve.name, curve.network.output_normalization, point.width, *cells))
    return table(rows, ("network", "output", "M = T", *HEADERS[1:]))


def _widths(text: str | None, default: list[int]) -> list[int]:
    if text is None:
        return default
    try:
        return [require_integer("widths", int(part), at_least=2) for part in text.split(",")]
    except ValueError:
        raise ParameterError("widths", "integers >= 2 separated by commas", repr(text)) from None


@contextmanager
def _executor(workers: int) -> Iterator[Executor | None]:
    """Provide a pool of processes, or None for a single worker; on an interrupt, what has not started is dropped."""
    workers = require_integer("workers", workers, at_least=1)
    if workers == 1:
        yield None
        return
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),  # Ctrl-C is for this process; it tells the others
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def main() -> None:
    """Run the command."""
    run(montecarlo, "montecarlo")
