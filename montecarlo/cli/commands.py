"""The command ``montecarlo``: a group of commands, one file each."""

from __future__ import annotations

import click

from meanfield import __version__
from meanfield.cli import run

from .compare import compare_command
from .export import export_command
from .figure import figure
from .paper import paper_command
from .rates import rates_command

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__)
def montecarlo() -> None:
    """Finite random networks that check the mean-field theory of `meanfield`."""


montecarlo.add_command(compare_command)
montecarlo.add_command(export_command)
montecarlo.add_command(figure)
montecarlo.add_command(paper_command)
montecarlo.add_command(rates_command)


def main() -> None:
    """Run the command."""
    run(montecarlo, "montecarlo")
