"""The command ``meanfield learning-rates``."""

from __future__ import annotations

import json
from typing import Any

import click
import numpy as np

from ..learning_rate_map import LearningRateMap, learning_rate_map
from ..network import Network
from ..normalization import HiddenNormalization, OutputNormalization
from ..records import plain
from .options import shape_options, theorem_options

_LONGEST = 10_000
"""Values in a range: more are a slip of the keyboard."""


def _values(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    """Read numbers and ranges a:b:n, of n equidistant values, separated by commas."""
    if value is None:
        return None
    try:
        return tuple(number for part in value.split(",") for number in _range(part))
    except ValueError:
        message = f"it must be numbers or ranges a:b:n (2 <= n <= {_LONGEST}) separated by commas, got {value!r}"
        raise click.BadParameter(message, context, parameter) from None


def _range(text: str) -> list[float]:
    if ":" not in text:
        return [float(text)]
    first, last, count = text.split(":")
    if not 2 <= int(count) <= _LONGEST or not np.isfinite([float(first), float(last)]).all():
        raise ValueError
    return [float(number) for number in np.linspace(float(first), float(last), int(count))]


def _widths(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        message = f"it must be integers separated by commas, got {value!r}"
        raise click.BadParameter(message, context, parameter) from None


def _pairs(context: click.Context, parameter: click.Parameter, value: str | None) -> list[tuple[str, str]] | None:
    """Read pairs hidden/output, separated by commas."""
    if value is None:
        return None
    pairs = []
    for part in value.split(","):
        hidden, _, output = part.partition("/")
        if hidden not in list(HiddenNormalization) or output not in list(OutputNormalization):
            hiddens, outputs = (", ".join(kinds) for kinds in (HiddenNormalization, OutputNormalization))
            message = f"it must be pairs hidden/output (hidden {hiddens}; output {outputs}), got {part!r}"
            raise click.BadParameter(message, context, parameter)
        pairs.append((hidden, output))
    return pairs


@click.command("learning-rates", short_help="Learning rates over normalisation, width and variances.")
@shape_options
@click.option(
    "--widths",
    callback=_widths,
    default="100,1000,10000",
    show_default=True,
    metavar="INTEGER[,..]",
    help="The values of M.",
)
@click.option(
    "--weight-variances",
    callback=_values,
    metavar="NUMBER|A:B:N[,..]",
    help="Values of sigma_w^2 of all layers; a:b:n are n from a to b.  [default: --weight-variance]",
)
@click.option(
    "--bias-variances",
    callback=_values,
    metavar="NUMBER|A:B:N[,..]",
    help="Values of sigma_b^2, likewise.  [default: --bias-variance]",
)
@click.option(
    "--normalizations",
    callback=_pairs,
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
