"""The catalogue by name, for the commands and for networks read back from plain data."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import ParameterError
from ..functions import Activation
from .clipped import hard_tanh
from .exponential import elu, selu
from .gelu import gelu
from .periodic import cosine, sine
from .piecewise_linear import absolute, identity, leaky_relu, relu
from .polynomial import hermite, monomial
from .probit import erf
from .sigmoidal import sigmoid, silu, softplus, tanh
from .symbolic import from_sympy


@dataclass(frozen=True)
class Family:
    """Activations with one parameter."""

    make: Callable[[Any], Activation]
    example: float
    """A value of the parameter, of its type."""


_WITHOUT_PARAMETERS = (
    *(absolute, identity, relu, hard_tanh),
    *(erf, gelu, sigmoid, silu, softplus, tanh),
    *(elu, selu),
    *(cosine, sine),
)

BY_NAME: dict[str, Activation] = {phi.name: phi for phi in _WITHOUT_PARAMETERS}
"""Every activation without parameters."""

FAMILIES: dict[str, Family] = {
    "hermite": Family(hermite, 2),
    "leaky_relu": Family(leaky_relu, 0.1),
    "monomial": Family(monomial, 3),
}
"""Every activation with one parameter, written as in ``leaky_relu(0.1)``."""

_CALL = re.compile(r"(\w+)\(([^()]*)\)")


def by_name(name: str) -> Activation:
    """Return an activation of the catalogue by its name, or the one that a formula describes.

    Parameters
    ----------
    name : str
        ``"tanh"``, or ``"leaky_relu(0.1)"`` for one with a parameter, or a formula for :func:`meanfield.from_sympy`
        such as ``"x*tanh(log(1+exp(x)))"``. The text is never evaluated as Python.

    Raises
    ------
    ParameterError
        If the catalogue has no such activation, and the text is no formula.

    Examples
    --------
    >>> by_name("leaky_relu(0.1)")
    Activation(leaky_relu(0.1))
    """
    if name in BY_NAME:
        return BY_NAME[name]
    call = _CALL.fullmatch(name.replace(" ", ""))
    if call and call[1] in FAMILIES:
        try:
            parameter = _number(call[2])
        except ValueError:
            raise ParameterError("activation", f"written as {call[1]}(NUMBER)", repr(name)) from None
        return FAMILIES[call[1]].make(parameter)
    known = ", ".join([*sorted(BY_NAME), *(f"{family}(NUMBER)" for family in FAMILIES)])
    if name.isidentifier() and len(name) > 1:
        meant = difflib.get_close_matches(name, BY_NAME, n=1)
        got = f"{name!r}; did you mean {meant[0]}?" if meant else repr(name)
        raise ParameterError("activation", f"one of {known}, or a formula such as x*tanh(x)", got)
    try:
        return from_sympy(name)
    except ParameterError as error:
        raise ParameterError("activation", f"one of {known}, or {error.expected}", error.got) from None


def _number(text: str) -> float:
    """Return an int where the text is one: degrees are not floats."""
    try:
        return int(text)
    except ValueError:
        return float(text)
