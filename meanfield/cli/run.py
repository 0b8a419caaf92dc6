"""How a command ends: every error in one line that names the option."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable
from typing import NoReturn

import click

from ..errors import AssumptionError, ParameterError
from .terminal import wants_colour

_SINGULAR = {"activations": "activation"}
"""Parameters whose option has another name: it is given once for each layer."""


def run(command: click.Command, name: str) -> None:
    """Run a click command as the program ``name`` and exit: 0 done, 1 refused, 2 a wrong option, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)  # so that pools of workers are shut down as after Ctrl-C
    try:
        code = command.main(prog_name=name, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:  # a bare command group: its help is the answer
        click.echo(error.format_message())
        sys.exit(0)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        _fail(context.command_path if context else name, " ".join(error.format_message().split()), error.exit_code)
    except ParameterError as error:
        words = _SINGULAR.get(error.parameter, error.parameter).split("_")
        option = "--" + "-".join(words)
        if option in _options(command, sys.argv[1:]):
            _fail(name, f"Invalid value for '{option}': it must be {error.expected}, got {error.got}", 2)
        _fail(name, f"the {' '.join(words)} must be {error.expected}, got {error.got}", 2)
    except (AssumptionError, ArithmeticError, OSError) as error:
        _fail(name, str(error), 1)
    except MemoryError:
        _fail(name, "out of memory: ask for a smaller width, depth or number of samples", 1)
    except (click.Abort, KeyboardInterrupt):
        _fail(name, "interrupted", 130)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _options(command: click.Command, words: Iterable[str]) -> set[str]:
    """Return the options of the command that these words call."""
    for word in words:
        if isinstance(command, click.Group):
            command = command.commands.get(word, command)
    return {option for parameter in command.params for option in parameter.opts}


def _interrupt(signal_number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _fail(name: str, message: str, code: int) -> NoReturn:
    who = click.style(f"{name}:", fg="red", bold=True)
    click.echo(f"{who} {message}", err=True, color=None if wants_colour() else False)
    sys.exit(code)
