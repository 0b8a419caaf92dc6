"""The command ``montecarlo rates``."""

from __future__ import annotations

import json

import click

from meanfield import Network, __version__
from meanfield.cli import network_options
from meanfield.errors import require_integer
from meanfield.records import plain

from ..dual import MEMORY_LIMIT
from ..ensemble import family
from ..fingerprint import describe
from ..rates import DeviationExperiment, measure_rates
from .options import RunOptions, ensemble_options, read_widths


@click.command("rates", short_help="How fast finite networks approach the theory.")
@network_options
@click.option("--widths", metavar="M,M,..", help="In any order, at least two.  [default: 100,200,400,800,1600]")
@click.option("--samples", type=int, default=20, show_default=True, help="T, the number of samples.")
@click.option("--members", type=int, default=100, show_default=True, help="Networks at each width.")
@click.option("--memory-limit", type=float, default=MEMORY_LIMIT, show_default=True, help="GiB for one network.")
@ensemble_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def rates_command(
    network: Network,
    widths: str | None,
    samples: int,
    members: int,
    memory_limit: float,
    options: RunOptions,
    as_json: bool,
) -> None:
    """Measure how fast finite networks approach the theory.

    The root mean square deviation of each order parameter from its value at infinite width, over networks and samples,
    is fitted with prefactor M^-q, (S.5). The 95 % interval of q covers chance; at small widths terms of higher order in
    1/M bend the line. Exit status 0 says that it ran, whatever the verdicts.

    \b
    Examples:
      montecarlo rates
      montecarlo rates --activation tanh --weight-variance 3 --bias-variance 0.64 --widths 50,200,800
    """
    sizes = read_widths(widths, [100, 200, 400, 800, 1600], number=2)
    require_integer("members", members, at_least=2)
    study = family("rates", DeviationExperiment, seed=options.seed, network=describe(network), samples=samples)
    with options.running(study, len(sizes) * members) as how:
        rates = measure_rates(
            network,
            widths=sizes,
            samples=samples,
            members=members,
            seed=options.seed,
            memory_limit=memory_limit,
            **how,
        )
    if as_json:
        click.echo(json.dumps({"version": __version__, **plain(rates)}, indent=2))
        return
    click.echo(f"{members} networks at each width, T = {samples}\n\n{rates}")
