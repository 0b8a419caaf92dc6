"""The command ``meanfield activations``."""

from __future__ import annotations

import json
from typing import Any

import click

from ..activations import BY_NAME, FAMILIES
from ..functions import Activation, ScalarFunction
from ..quadrature import QUANTITIES, Exact
from ..records import table


@click.command("activations", short_help="The activations, and what of them is known in closed form.")
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
