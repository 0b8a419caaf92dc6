"""The statistics of the eigenvalues of the Fisher information, with one file for each theorem.

A theorem is two moments, or an exchangeable matrix; the lemma that turns moments into bounds is in ``moments``, what
the theorems assume in ``hypotheses``, and ``statistics`` decides which theorem a network falls under.
"""

from .eigenspace import Eigenspace, eigenspace
from .last_layer import last_layer_statistics
from .layer_norm_spectrum import LayerNormSpectrum, layer_norm_spectrum
from .leading_spectrum import leading_eigenvalues
from .log_statistics import LogStatistics, log_statistics
from .mean_subtraction import sharpness_exponents
from .moments import Bounds, Correction, EigenvalueStatistics, Regime, moment_bounds
from .statistics import eigenvalue_statistics
from .top_eigenvalues import TopEigenvalues, top_eigenvalues

__all__ = [
    "Bounds",
    "Correction",
    "Eigenspace",
    "EigenvalueStatistics",
    "LayerNormSpectrum",
    "LogStatistics",
    "Regime",
    "TopEigenvalues",
    "eigenspace",
    "eigenvalue_statistics",
    "last_layer_statistics",
    "layer_norm_spectrum",
    "leading_eigenvalues",
    "log_statistics",
    "moment_bounds",
    "sharpness_exponents",
    "top_eigenvalues",
]
