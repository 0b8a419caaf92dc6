"""The command ``meanfield learning-rates``."""

from __future__ import annotations

import json
from typing import Any

import click
import numpy as np

from ..learning_rate_map import LearningRateMap, learning_rate_map
from ..network import Network
from ..records import plain
from .options import shape_options, theorem_options
from .values import read_integers, read_normalizations, read_numbers


@click.command("learning-rates", short_help="Learning rates over normalisation, width and variances.")
@shape_options
@click.option(
    "--widths",
    callback=read_integers,
    default="100,1000,10000",
    show_default=True,
    metavar="INTEGER[,..]",
    help="The values of M.",
)
@click.option(
    "--weight-variances",
    callback=read_numbers,
    metavar="NUMBER|A:B:N[:log][,..]",
    help="Values of sigma_w^2 of all layers; a:b:n are n from a to b, a:b:n:log by equal factors.  "
    "[default: --weight-variance]",
)
@click.option(
    "--bias-variances",
    callback=read_numbers,
    metavar="NUMBER|A:B:N[:log][,..]",
    help="Values of sigma_b^2, likewise.  [default: --bias-variance]",
)
@click.option(
    "--normalizations",
    callback=read_normalizations,
    metavar="HIDDEN/OUTPUT[,..]",
    help="Pairs such as none/none,none/mean.  [default: all twelve]",
)
@click.option("--samples", type=int, help="T, the number of samples.  [default: each width]")
@theorem_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables; null is infinite, or not known.")
def learning_rates_command(network: Network, as_json: bool, **grid: Any) -> None:
    """Map the largest usable learning rate over normalisation, width and variances.

    Three rates for each network: none above "necessary" converges; those below "safe" do, up to what the theorem leaves
    out; "value" is the threshold itself, where it is known.

    \b
    Examples:
      meanfield learning-rates --activation tanh --weight-variance 3 --bias-variance 0.64
      meanfield learning-rates --widths 100,1000,10000 --normalizations none/none,none/mean
      meanfield learning-rates --weight-variances 1:4:7 --bias-variances 0,0.5,1 --widths 1000
      meanfield learning-rates --outputs 10 --samples 100 --normalizations none/batch,none/layer
    """
    rates = learning_rate_map(network, **grid)
    click.echo(json.dumps(_as_json(rates), indent=2) if as_json else str(rates))


def _as_json(rates: LearningRateMap) -> dict[str, Any]:
    """Return plain data, one row for each cell."""
    weights, biases = rates.weight_variances or (None,), rates.bias_variances or (None,)
    cells = []
    for i, j, k, l in np.ndindex(rates.necessary.shape):
        cell = (i, j, k, l)
        hidden, output = rates.normalizations[i]
        cells.append(
            {
                "hidden_normalization": hidden,
                "output_normalization": output,
                "width": rates.widths[j],
                "samples": rates.samples[j],
                "weight_variance": weights[k],
                "bias_variance": biases[l],
                "necessary": plain(rates.necessary[cell]),
                "safe": plain(rates.safe[cell]),
                "value": plain(rates.value[cell]),
                "theorem": str(rates.theorems[cell]),
                "reason": rates.reasons.get(cell, ""),
            }
        )
    return {"network": plain(rates.network), "cells": cells}
