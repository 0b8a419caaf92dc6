"""Options that commands share: those that describe a network, and those that choose a theorem."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from ..activations import by_name
from ..eigenvalues import Regime
from ..errors import ParameterError, require_integer
from ..network import Network
from ..normalization import HiddenNormalization, OutputNormalization
from .completion import complete_activation

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def _numbers(context: click.Context, parameter: click.Parameter, value: str) -> float | tuple[float, ...]:
    """Read one number, or several separated by commas."""
    try:
        numbers = tuple(float(part) for part in value.split(","))
    except ValueError:
        message = f"it must be a number, or numbers separated by commas, got {value!r}"
        raise click.BadParameter(message, context, parameter) from None
    return numbers[0] if len(numbers) == 1 else numbers


def _numbers_option(name: str, default: str, text: str) -> Option:
    return click.option(name, callback=_numbers, default=default, show_default=True, metavar="NUMBER[,..]", help=text)


def activation_option(name: str = "activation", text: str = "Activation of every hidden layer.", **more: Any) -> Option:
    """Give a command the option ``--activation``, which a shell completes."""
    return click.option(
        "--activation",
        name,
        default=("relu",) if more.get("multiple") else "relu",
        show_default=True,
        metavar="NAME|FORMULA",
        shell_complete=complete_activation,
        help=f"{text} `meanfield activations` lists the names; a formula is one like x*tanh(log(1+exp(x))).",
        **more,
    )


_SHAPE = (
    activation_option(
        "activations",
        "Activation of every hidden layer; give it once for each hidden layer if they differ.",
        multiple=True,
    ),
    click.option("--depth", type=int, help="L, the layers of weights.  [default: 3, or as many as are described]"),
    _numbers_option("--weight-variance", "2", "sigma_w^2, or one for each layer of weights."),
    _numbers_option("--bias-variance", "0", "sigma_b^2, or one for each layer of weights."),
    _numbers_option("--width-ratios", "1", "alpha_l: one for all layers, or alpha_0,..,alpha_{L-1}."),
    click.option("--outputs", type=int, default=1, show_default=True, help="C, the number of outputs."),
)

_NORMALIZATIONS = (
    click.option(
        "--hidden-normalization",
        type=click.Choice([str(choice) for choice in HiddenNormalization]),
        default="none",
        show_default=True,
        help='In every hidden layer. With "batch" Theorem 3.4 bounds lambda_max from below, for outputs without '
        "normalisation and activations that are nowhere negative.",
    ),
    click.option(
        "--output-normalization",
        type=click.Choice([str(choice) for choice in OutputNormalization]),
        default="none",
        show_default=True,
        help='Of the outputs: "mean" subtracts the mean over the samples, "batch" also divides by the deviation over '
        'the samples, "layer" normalises over the outputs of each sample.',
    ),
)

_THEOREM = (
    click.option(
        "--regime",
        type=click.Choice([str(choice) for choice in Regime]),
        default="auto",
        show_default=True,
        help='For mean subtraction: "fixed" is T = O(1), "proportional" is T ~ M, "auto" takes "fixed" for '
        "T <= sqrt(M).",
    ),
    click.option("--leading-order", is_flag=True, help="The paper's formulas, without O(1/M) terms."),
)


def network_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a network; it gets the ``Network`` as its first argument."""
    return _with(_SHAPE + _NORMALIZATIONS, _with_network(command))


def shape_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Do the same without the two options of normalisation, for a command that goes through all kinds."""
    return _with(_SHAPE, _with_network(command))


def theorem_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that choose between the forms of a theorem."""
    return _with(_THEOREM, command)


def _with(options: tuple[Option, ...], command: Callable[..., Any]) -> Callable[..., Any]:
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def _with_network(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command as a function of the options of its network."""
    fields = ("weight_variance", "bias_variance", "outputs", "hidden_normalization", "output_normalization")

    @functools.wraps(command)
    def with_network(
        activations: tuple[str, ...],
        depth: int | None,
        width_ratios: float | tuple[float, ...],
        **others: Any,
    ) -> Any:
        description = {name: others.pop(name) for name in fields if name in others}
        depth = _depth(activations, depth, width_ratios)
        functions = [by_name(name) for name in activations]
        network = Network(
            activations=functions * (depth - 1) if len(functions) == 1 else functions,
            width_ratios=width_ratios if isinstance(width_ratios, tuple) else (width_ratios,) * depth,
            **description,
        )
        return command(network, **others)

    return with_network


def _depth(activations: tuple[str, ...], depth: int | None, width_ratios: float | tuple[float, ...]) -> int:
    """Return L, from whichever option says it."""
    if depth is None:
        if len(activations) > 1:
            return len(activations) + 1
        return len(width_ratios) if isinstance(width_ratios, tuple) else 3
    require_integer("depth", depth, at_least=2, at_most=10**6)
    if len(activations) not in (1, depth - 1):
        raise ParameterError("activations", f"one, or {depth - 1} for depth {depth}", len(activations))
    return depth
