"""meanfield: the Fisher information of wide neural networks by the mean-field theory of Karakida, Akaho and Amari.

The chain is activation, quadrature, order parameters, Fisher information, eigenvalues, learning rate; every link is a
plain function over frozen records, and ``analyse`` runs them all. Its experimental companion is ``montecarlo``.
"""

from ._version import __version__
from .activations import absolute, erf, identity, leaky_relu, relu, sigmoid, tanh
from .batch_norm import batch_norm_parameters
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
    SPHERE,
    Auto,
    Estimate,
    Exact,
    GaussHermite,
    Gegenbauer,
    Method,
    Panels,
    SphereAuto,
    SphereMethod,
    SpherePanels,
    Trapezoid,
    mean,
    overlap,
    second_moment,
)
from .records import Pair
from .report import Report, analyse

__all__ = [
    "AUTO",
    "SPHERE",
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
    "Gegenbauer",
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
    "SphereAuto",
    "SphereMethod",
    "SpherePanels",
    "Trapezoid",
    "__version__",
    "absolute",
    "analyse",
    "batch_norm_parameters",
    "dual_block",
    "eigenvalue_statistics",
    "erf",
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
