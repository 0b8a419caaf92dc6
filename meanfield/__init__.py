"""meanfield: the Fisher information of wide neural networks by the mean-field theory of Karakida, Akaho and Amari.

The chain is activation, quadrature, order parameters, Fisher information, eigenvalues, learning rate; every link is a
plain function over frozen records, and ``analyse`` runs them all. Its experimental companion is ``montecarlo``.
"""

from ._version import __version__
from .activations import (
    absolute,
    cosine,
    elu,
    erf,
    from_sympy,
    gelu,
    hard_tanh,
    hermite,
    identity,
    leaky_relu,
    monomial,
    relu,
    selu,
    sigmoid,
    silu,
    sine,
    softplus,
    tanh,
)
from .batch_norm import batch_norm_parameters
from .check import check_activation
from .eigenvalues import (
    Bounds,
    Correction,
    Eigenspace,
    EigenvalueStatistics,
    Regime,
    eigenvalue_statistics,
    moment_bounds,
)
from .errors import AssumptionError, ParameterError, QuadratureError
from .fim import Exchangeable, dual_block, kappas
from .functions import Activation, ClosedForm, Parity, ScalarFunction
from .gaussian import GaussianPair
from .learning_rate import LearningRateBound, learning_rate_bound
from .learning_rate_map import LearningRateMap, learning_rate_map
from .network import HiddenNormalization, Network, OutputNormalization
from .order_parameters import OrderParameters, propagate
from .quadrature import (
    AUTO,
    SPHERE,
    Auto,
    CosineSeries,
    Estimate,
    Exact,
    GaussHermite,
    Gegenbauer,
    HermiteSeries,
    Method,
    Panels,
    Reference,
    SphereAuto,
    SphereMethod,
    SpherePanels,
    Trapezoid,
    mean,
    overlap,
    second_moment,
)
from .readout import ReadoutScales, expected_readout_scales, readout_scales
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
    "CosineSeries",
    "Eigenspace",
    "EigenvalueStatistics",
    "Estimate",
    "Exact",
    "Exchangeable",
    "GaussHermite",
    "GaussianPair",
    "Gegenbauer",
    "HermiteSeries",
    "HiddenNormalization",
    "LearningRateBound",
    "LearningRateMap",
    "Method",
    "Network",
    "OrderParameters",
    "OutputNormalization",
    "Pair",
    "Panels",
    "ParameterError",
    "Parity",
    "QuadratureError",
    "ReadoutScales",
    "Reference",
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
    "check_activation",
    "cosine",
    "dual_block",
    "eigenvalue_statistics",
    "elu",
    "erf",
    "expected_readout_scales",
    "from_sympy",
    "gelu",
    "hard_tanh",
    "hermite",
    "identity",
    "kappas",
    "leaky_relu",
    "learning_rate_bound",
    "learning_rate_map",
    "mean",
    "moment_bounds",
    "monomial",
    "overlap",
    "propagate",
    "readout_scales",
    "relu",
    "second_moment",
    "selu",
    "sigmoid",
    "silu",
    "sine",
    "softplus",
    "tanh",
]
