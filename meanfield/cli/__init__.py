"""The command ``meanfield``: its commands, the options that describe a network, and how errors are shown."""

from .commands import main
from .options import network_options
from .run import run

__all__ = ["main", "network_options", "run"]
