"""The command ``meanfield``: its commands, the options that describe a network, and how errors are shown."""

from .commands import main
from .completion import completion_command
from .options import network_options
from .run import run
from .terminal import show

__all__ = ["completion_command", "main", "network_options", "run", "show"]
