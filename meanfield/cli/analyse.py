"""The command ``meanfield analyse``."""

from __future__ import annotations

import json

import click
import numpy as np

from ..errors import AssumptionError, ParameterError, require_integer
from ..fim import kappas
from ..network import Network
from ..normalization import HiddenNormalization, OutputNormalization
from ..order_parameters import propagate
from ..readout import ReadoutScales, readout_scales
from ..records import plain
from ..report import analyse
from .options import network_options, theorem_options


@click.command("analyse", short_help="Order parameters, eigenvalues and learning rate of one network.")
@network_options
@click.option("--width", type=int, default=1000, show_default=True, help="M, the width.")
@click.option("--samples", type=int, help="T, the number of samples.  [default: the width]")
@click.option(
    "--readout-seed",
    type=int,
    help="For batch or layer normalisation of the outputs: draw what it divides by from the limiting law, with this "
    "seed, instead of taking the expectation, which is infinite for few samples or outputs.",
)
@theorem_options
@click.option(
    "--sharp/--no-sharp",
    default=True,
    show_default=True,
    help="Whether lambda_max after mean subtraction comes from the spectrum: seconds for deep networks.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def analyse_command(
    network: Network,
    width: int,
    samples: int | None,
    readout_seed: int | None,
    regime: str,
    leading_order: bool,
    sharp: bool,
    as_json: bool,
) -> None:
    """Predict order parameters, eigenvalues and learning rate of one network.

    Where no theorem applies the order parameters are printed, and the exit status is 1.

    \b
    Examples:
      meanfield analyse --activation tanh --weight-variance 3 --bias-variance 0.64
      meanfield analyse --activation tanh --activation relu --width-ratios 1,2,1 --outputs 10
      meanfield analyse --activation "x*tanh(log(1+exp(x)))"
      meanfield analyse --output-normalization mean --width 1000 --samples 10
      meanfield analyse --output-normalization layer --outputs 5 --readout-seed 0
      meanfield analyse --hidden-normalization batch --samples 100
    """
    samples = width if samples is None else samples
    network.widths(width)
    scales = None if readout_seed is None else _drawn_scales(network, samples, readout_seed)
    try:
        report = analyse(
            network,
            width=width,
            samples=samples,
            readout=scales,
            regime=regime,
            leading_order=leading_order,
            sharp=sharp,
        )
    except AssumptionError as error:
        if not as_json:
            click.echo(f"{_order_parameters(network, samples)}\n")
        raise AssumptionError(error.told(_OPTIONS)) from None
    click.echo(json.dumps(plain(report), indent=2) if as_json else str(report))


_OPTIONS = {"readout_scales": "--readout-seed 0", "propagate": "above"}
"""What functions are called here, where errors of the theory recommend them."""


def _drawn_scales(network: Network, samples: int, seed: int) -> ReadoutScales:
    seed = require_integer("readout_seed", seed, at_least=0, at_most=None)
    if network.output_normalization not in (OutputNormalization.BATCH, OutputNormalization.LAYER):
        expected = "left out where no batch or layer normalisation of the outputs divides"
        raise ParameterError("readout_seed", expected, seed)
    return readout_scales(network, samples=samples, rng=np.random.default_rng(seed))


def _order_parameters(network: Network, samples: int) -> str:
    """Return what is defined even where no theorem applies: the order parameters, and the kappas if there are any."""
    order = propagate(network, samples=samples)
    if network.hidden_normalization is HiddenNormalization.BATCH:
        return str(order)
    kappa = kappas(network, order)
    return f"kappa_1, kappa_2  {kappa.same:.6g}, {kappa.cross:.6g}\n\n{order}"
