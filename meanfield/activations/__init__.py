"""The catalogue of activations, one file for each kind of mathematics.

An activation is a value, a slope and the closed forms that are known of either, in elementary and special functions. It
contains no integration: see ``meanfield.quadrature`` for that.
"""

from .catalogue import BY_NAME, FAMILIES, Family, by_name
from .clipped import hard_tanh
from .exponential import elu, selu
from .gelu import gelu
from .periodic import cosine, sine
from .piecewise_linear import absolute, identity, leaky_relu, relu
from .polynomial import hermite, monomial
from .probit import erf
from .sigmoidal import sigmoid, silu, softplus, tanh
from .symbolic import from_sympy

__all__ = [
    "BY_NAME",
    "FAMILIES",
    "Family",
    "absolute",
    "by_name",
    "cosine",
    "elu",
    "erf",
    "from_sympy",
    "gelu",
    "hard_tanh",
    "hermite",
    "identity",
    "leaky_relu",
    "monomial",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "sine",
    "softplus",
    "tanh",
]
