"""The command ``meanfield phase``."""

from __future__ import annotations

import json

import click

from ..activations import by_name
from ..errors import AssumptionError, require_number
from ..phase import edge_of_chaos, fixed_point
from ..records import plain
from .options import activation_option


@click.command("phase", short_help="Where deep networks go: fixed points, depth scales, the edge of chaos.")
@activation_option()
@click.option("--weight-variance", type=float, default=2.0, show_default=True, help="sigma_w^2, of every layer.")
@click.option("--bias-variance", type=float, default=0.0, show_default=True, help="sigma_b^2, of every layer.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def phase_command(activation: str, weight_variance: float, bias_variance: float, as_json: bool) -> None:
    """Say where deep networks go: q*, c*, over how many layers, and the edge of chaos at this bias variance.

    \b
    Examples:
      meanfield phase --activation tanh --weight-variance 1.5 --bias-variance 0.05
      meanfield phase --activation relu --weight-variance 2
    """
    phi = by_name(activation)
    require_number("weight_variance", weight_variance, above=0)
    require_number("bias_variance", bias_variance, at_least=0)
    try:
        edge, why = edge_of_chaos(phi, bias_variance=bias_variance), ""
    except AssumptionError as error:
        edge, why = None, str(error)
    of_edge = f"edge of chaos at sigma_b^2 = {bias_variance:g}: " + (why if edge is None else f"sigma_w^2 = {edge:.8g}")
    try:
        point = fixed_point(phi, weight_variance=weight_variance, bias_variance=bias_variance)
    except AssumptionError:
        if not as_json:
            click.echo(of_edge)
        raise
    if as_json:
        names = ("phase", "variance_depth", "correlation_depth", "gradient_depth")
        derived = {name: plain(getattr(point, name)) for name in names}
        click.echo(json.dumps({**plain(point), **derived, "edge_of_chaos": edge}, indent=2))
        return
    click.echo(f"{point}\n\n{of_edge}")
