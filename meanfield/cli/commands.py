"""The command ``meanfield``."""

from __future__ import annotations

import json
from typing import Any

import click

from .._version import __version__
from ..activations import BY_NAME, FAMILIES
from ..eigenvalues import Regime
from ..errors import AssumptionError
from ..fim import kappas
from ..functions import Activation, ScalarFunction
from ..network import HiddenNormalization, Network
from ..order_parameters import propagate
from ..quadrature import QUANTITIES, Exact
from ..records import plain, table
from ..report import analyse
from .options import network_options
from .run import run

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__)
def meanfield() -> None:
    """Mean-field theory of the Fisher information of wide neural networks.

    The largest eigenvalue of the Fisher information bounds the learning rate; here it is predicted from the activation,
    the variances of weights and biases, the depth and the normalisation. `montecarlo` measures it on finite networks.
    """


@meanfield.command("analyse")
@network_options
@click.option("--width", type=int, default=1000, show_default=True, help="M, the width.")
@click.option("--samples", type=int, help="T, the number of samples.  [default: the width]")
@click.option(
    "--regime",
    type=click.Choice([str(choice) for choice in Regime]),
    default="auto",
    show_default=True,
    help='For mean subtraction: "fixed" is T = O(1), "proportional" is T ~ M, "auto" takes "fixed" for T <= sqrt(M).',
)
@click.option("--leading-order", is_flag=True, help="The paper's formulas, without O(1/M) terms.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def analyse_command(
    network: Network, width: int, samples: int | None, regime: str, leading_order: bool, as_json: bool
) -> None:
    """Predict order parameters, eigenvalues and learning rate of one network.

    \b
    Examples:
      meanfield analyse --activation tanh --weight-variance 3 --bias-variance 0.64
      meanfield analyse --activation tanh --activation relu --width-ratios 1,2,1 --outputs 10
      meanfield analyse --activation "x*tanh(log(1+exp(x)))"
      meanfield analyse --output-normalization mean --width 1000 --samples 10
    """
    samples = width if samples is None else samples
    try:
        report = analyse(network, width=width, samples=samples, regime=regime, leading_order=leading_order)
    except (AssumptionError, NotImplementedError):
        if not as_json and network.hidden_normalization is not HiddenNormalization.BATCH:
            order = propagate(network)  # these are defined even where no theorem applies
            click.echo("kappa_1, kappa_2  {:.6g}, {:.6g}\n".format(*kappas(network, order)))
            click.echo(f"{order}\n")
        raise
    click.echo(json.dumps(plain(report), indent=2) if as_json else str(report))


@meanfield.command("activations")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def activations_command(as_json: bool) -> None:
    """List the activations, and which integrals of value and slope are known in closed form.

    \b
    Example:
      meanfield activations
    """
    catalogue = [*BY_NAME.values(), *(family.make(family.example) for family in FAMILIES.values())]
    catalogue.sort(key=lambda phi: phi.name)
    if as_json:
        click.echo(json.dumps({phi.name: _closed_forms(phi) for phi in catalogue}, indent=2))
        return
    rows = [
        (phi.name, part, ", ".join(form["known"]) or "none", form["source"])
        for phi in catalogue
        for part, form in _closed_forms(phi).items()
    ]
    click.echo(table(rows, ("activation", "part", "closed forms", "source")))
    click.echo("\nParameters in brackets are yours to choose; these are examples.")


def _closed_forms(phi: Activation) -> dict[str, dict[str, Any]]:
    return {"value": _closed_form(phi.value), "slope": _closed_form(phi.slope)}


def _closed_form(f: ScalarFunction) -> dict[str, Any]:
    known = [quantity for quantity in QUANTITIES if Exact().accepts(f, quantity)]
    source = f.closed_form.source if f.closed_form else "odd function" if known else ""
    return {"known": known, "source": source}


def main() -> None:
    """Run the command."""
    run(meanfield, "meanfield")
