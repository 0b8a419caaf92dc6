"""The catalogue of activations, one file for each kind of mathematics.

An activation is a value, a slope and the closed forms that are known of either. It contains no integration: see
``meanfield.quadrature`` for that.
"""

from .catalogue import BY_NAME, FAMILIES, by_name
from .piecewise_linear import absolute, identity, leaky_relu, relu
from .probit import erf
from .sigmoidal import sigmoid, tanh
from .symbolic import from_sympy

__all__ = [
    "BY_NAME",
    "FAMILIES",
    "absolute",
    "by_name",
    "erf",
    "from_sympy",
    "identity",
    "leaky_relu",
    "relu",
    "sigmoid",
    "tanh",
]
