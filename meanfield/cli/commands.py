"""The command ``meanfield``: a group of commands, one file each."""

from __future__ import annotations

import click

from .._version import __version__
from .activations import activations_command
from .analyse import analyse_command
from .completion import completion_command
from .crossover import crossover_command
from .learning_rates import learning_rates_command
from .map import map_command
from .phase import phase_command
from .run import run

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__)
def meanfield() -> None:
    """Mean-field theory of the Fisher information of wide neural networks.

    The largest eigenvalue of the Fisher information bounds the learning rate; here it is predicted from the activation,
    the variances of weights and biases, the depth and the normalisation. `montecarlo` measures it on finite networks.

    
    Try:
      meanfield analyse --activation tanh --weight-variance 3 --bias-variance 0.64
      meanfield analyse --output-normalization mean      lambda_max after mean subtraction
      meanfield learning-rates                           every normalisation, three widths
      meanfield phase --activation tanh                  where deep networks go
      montecarlo compare                                 twenty finite networks beside the theory
      montecarlo figure 1                                the paper's first figure
    """


meanfield.add_command(analyse_command)
meanfield.add_command(learning_rates_command)
meanfield.add_command(phase_command)
meanfield.add_command(map_command)
meanfield.add_command(crossover_command)
meanfield.add_command(activations_command)
meanfield.add_command(completion_command("meanfield"))


def main() -> None:
    """Run the command."""
    run(meanfield, "meanfield")
