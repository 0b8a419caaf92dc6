"""The group of commands ``montecarlo figure ..``."""

from __future__ import annotations

import click

from .curve_figures import figure_1_command, figure_s1_command, figure_spectrum_command
from .training_figures import figure_2_command, figure_s2_command


@click.group(short_help="The figures of the paper, and one beyond it: table, image and data.")
def figure() -> None:
    """Reproduce a figure of the paper, or draw one beyond it: a table, an image and its data."""


for command in (figure_1_command, figure_s1_command, figure_2_command, figure_s2_command, figure_spectrum_command):
    figure.add_command(command)
