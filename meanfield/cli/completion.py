"""The command ``completion``: what a shell needs to complete commands, options and activations."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class

from ..activations import BY_NAME, FAMILIES

_START = {
    "bash": 'eval "$({program} completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$({program} completion zsh)"   # in ~/.zshrc',
    "fish": "{program} completion fish > ~/.config/fish/completions/{program}.fish",
}


def completion_command(program: str) -> click.Command:
    """Return the command that prints the script of a shell for a program."""

    @click.command("completion", short_help="Print what a shell needs to complete commands and options.")
    @click.argument("shell", type=click.Choice(list(_START)))
    @click.pass_context
    def completion(context: click.Context, shell: str) -> None:
        group = context.find_root().command
        chosen = get_completion_class(shell)
        assert chosen is not None  # of every choice
        click.echo(chosen(group, {}, program, f"_{program.upper()}_COMPLETE").source())

    lines = "\n".join(f"  {line.format(program=program)}" for line in _START.values())
    completion.help = f"Print a script that makes a shell complete commands, options and activations.\n\n\b\n{lines}"
    return completion


def complete_activation(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the activations of the catalogue that begin so."""
    names = [*BY_NAME, *(f"{family}(" for family in FAMILIES)]
    return [CompletionItem(name) for name in sorted(names) if name.startswith(begun)]
