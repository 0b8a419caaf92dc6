"""The statistics of the eigenvalues of the Fisher information, with one file for each theorem.

A theorem is two moments, or an exchangeable matrix; the lemma that turns moments into bounds is in ``moments``, and
``statistics`` decides which theorem a network falls under.
"""

from .eigenspace import Eigenspace
from .mean_subtraction import Regime
from .moments import Bounds, Correction, EigenvalueStatistics, moment_bounds
from .statistics import eigenvalue_statistics

__all__ = [
    "Bounds",
    "Correction",
    "Eigenspace",
    "EigenvalueStatistics",
    "Regime",
    "eigenvalue_statistics",
    "moment_bounds",
]
