"""meanfield: the Fisher information of wide neural networks by the mean-field theory of Karakida, Akaho and Amari.

The chain is activation, quadrature, order parameters, Fisher information, eigenvalues, learning rate; every link is a
plain function over frozen records, and ``analyse`` runs them all. Its experimental companion is ``montecarlo``.
"""

from ._version import __version__
from .activations import absolute, erf, from_sympy, identity, leaky_relu, relu, sigmoid, tanh
from .check import check_activation
from .eigenvalues import Bounds, Correction, EigenvalueStatistics, Regime, eigenvalue_statistics, moment_bounds
from .errors import AssumptionError, ParameterError, QuadratureError
from .fim import Exchangeable, dual_block, kappas
from .functions import Activation, ClosedForm, Parity, ScalarFunction
from .gaussian import GaussianPair
from .learning_rate import LearningRateBound, learning_rate_bound
from .network import HiddenNormalization, Network, OutputNormalization
from .order_parameters import OrderParameters, propagate
from .quadrature import (
    AUTO,
    Auto,
    Estimate,
    Exact,
    GaussHermite,
    Method,
    Panels,
    Trapezoid,
    mean,
    overlap,
    second_moment,
)
from .records import Pair
from .report import Report, analyse

__all__ = [
    "AUTO",
    "Activation",
    "AssumptionError",
    "Auto",
    "Bounds",
    "ClosedForm",
    "Correction",
    "EigenvalueStatistics",
    "Estimate",
    "Exact",
    "Exchangeable",
    "GaussHermite",
    "GaussianPair",
    "HiddenNormalization",
    "LearningRateBound",
    "Method",
    "Network",
    "OrderParameters",
    "OutputNormalization",
    "Pair",
    "Panels",
    "ParameterError",
    "Parity",
    "QuadratureError",
    "Regime",
    "Report",
    "ScalarFunction",
    "Trapezoid",
    "__version__",
    "absolute",
    "analyse",
    "check_activation",
    "dual_block",
    "eigenvalue_statistics",
    "erf",
    "from_sympy",
    "identity",
    "kappas",
    "leaky_relu",
    "learning_rate_bound",
    "mean",
    "moment_bounds",
    "overlap",
    "propagate",
    "relu",
    "second_moment",
    "sigmoid",
    "tanh",
]
