"""The command ``meanfield crossover``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .._version import __version__
from ..activations import by_name
from ..batch_norm_gradients import eigenvalues_by_depth
from ..errors import ParameterError
from ..network import Network
from ..records import plain, table
from .files import drawing, require_writable, write_whole
from .options import activation_option
from .values import numbers_of


@click.command("crossover", short_help="The depth at which mean subtraction stops helping behind hidden batch norm.")
@activation_option()
@click.option("--samples", default="8,32,128", show_default=True, metavar="NUMBER[,..]", help="T, one or several.")
@click.option("--deepest", type=int, default=16, show_default=True, help="The last depth L.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("crossover.png"),
    show_default=True,
    help="Image file (.png, .svg or .pdf); the data goes beside it as .json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the data as JSON instead of the table.")
def crossover_command(activation: str, samples: str, deepest: int, output: Path, as_json: bool) -> None:
    """Draw the two leading eigenvalues of networks with hidden batch normalisation against the depth.

    One belongs to what all samples share, the other to the contrasts between them, and grows faster. From the depth at
    which it is the larger one, subtracting the mean over the samples in the last layer removes little of lambda_max.

    \b
    Examples:
      meanfield crossover
      meanfield crossover --activation tanh --samples 16,64 --deepest 10
    """
    if output.suffix not in (".png", ".svg", ".pdf"):
        raise ParameterError("output", "a file name that ends in .png, .svg or .pdf", output)
    try:
        counts = list(dict.fromkeys(int(number) for number in numbers_of(samples)))
    except ValueError as error:
        raise ParameterError("samples", "integers separated by commas", samples) from error
    files = output, output.with_suffix(".json")
    for path in files:
        require_writable(path)
    figures = drawing()  # or else the work is in vain
    network = Network.uniform(by_name(activation), depth=2, weight_variance=2.0, hidden_normalization="batch")
    curves = [eigenvalues_by_depth(network, samples=count, deepest=deepest) for count in counts]
    found = [{**plain(curve), "crossover": curve.crossover} for curve in curves]
    data = json.dumps({"version": __version__, "activation": activation, "curves": found})
    rows = [
        (
            curve.samples,
            curve.crossover or f"beyond {curve.depth[-1]}",
            f"{curve.shared[-1]:.4g}",
            f"{curve.contrasts[-1]:.4g}",
        )
        for curve in curves
    ]
    headers = ("T", "crossover L", f"lambda_one/M at L = {deepest}", f"lambda_bulk/M at L = {deepest}")
    click.echo(data if as_json else table(rows, headers))
    write_whole(files[1], data + "\n")
    figures.save(figures.plot_crossover(activation, curves), output)
    click.echo(f"\nwrote {files[0]} and {files[1]}", err=True)
