"""The command ``montecarlo``: a group of commands, one file each."""

from __future__ import annotations

import click

from meanfield import __version__
from meanfield.cli import completion_command, run

from .compare import compare_command
from .export import export_command
from .figure import figure
from .paper import paper_command
from .rates import rates_command

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__)
def montecarlo() -> None:
    """Finite random networks that check the mean-field theory of `meanfield`.

    
    Try:
      montecarlo compare --width 400                     twenty networks beside the theory
      montecarlo compare --output-normalization mean --width 400
      montecarlo figure 1                                the paper's first figure, in half a minute
      montecarlo figure spectrum                         all eigenvalues, beyond the paper
      montecarlo paper --width 200 --members 5           every theorem, line by line
      meanfield                                          the theory alone
    """


montecarlo.add_command(compare_command)
montecarlo.add_command(export_command)
montecarlo.add_command(figure)
montecarlo.add_command(paper_command)
montecarlo.add_command(rates_command)
montecarlo.add_command(completion_command("montecarlo"))


def main() -> None:
    """Run the command."""
    run(montecarlo, "montecarlo")
