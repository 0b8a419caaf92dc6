"""The catalogue by name, for the commands and for networks read back from plain data."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..errors import ParameterError
from ..functions import Activation
from .piecewise_linear import absolute, identity, leaky_relu, relu
from .probit import erf
from .sigmoidal import sigmoid, tanh

BY_NAME: dict[str, Activation] = {phi.name: phi for phi in (absolute, erf, identity, relu, sigmoid, tanh)}
"""Every activation without parameters."""

FAMILIES: dict[str, Callable[[float], Activation]] = {"leaky_relu": leaky_relu}
"""Every activation with one parameter, written as in ``leaky_relu(0.1)``."""

_CALL = re.compile(r"(\w+)\(([^()]*)\)")


def by_name(name: str) -> Activation:
    """Return an activation of the catalogue by its name.

    Parameters
    ----------
    name : str
        ``"tanh"``, or ``"leaky_relu(0.1)"`` for one with a parameter. The text is matched against a fixed list and
        never evaluated.

    Raises
    ------
    ParameterError
        If the catalogue has no such activation.

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
            return FAMILIES[call[1]](float(call[2]))
        except ValueError:
            raise ParameterError("activation", f"written as {call[1]}(NUMBER)", repr(name)) from None
    known = ", ".join([*sorted(BY_NAME), *(f"{family}(NUMBER)" for family in FAMILIES)])
    raise ParameterError("activation", f"one of {known}", repr(name))
