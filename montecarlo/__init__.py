"""montecarlo: finite random networks in NumPy that check the theory of ``meanfield``.

The chain is network, propagate, dual, spectrum, ensemble, compare. A measurement fills the same record as the theory,
so that comparing is field by field; the Fisher information itself is never formed, only its dual.
"""

from meanfield import __version__

from .compare import Comparison, Row, compare
from .dual import dual_gram, gram_memory
from .ensemble import Ensemble, run_ensemble
from .experiments import EigenvalueExperiment, OrderParameterExperiment
from .network import FiniteNetwork, sample_inputs, sample_network
from .order_parameters import measure_order_parameters
from .power_law import RateFit, fit_rate
from .propagate import Sweep, propagate
from .rates import DeviationExperiment, Rate, Rates, measure_rates
from .spectrum import measure_alignment, measure_eigenvalues

__all__ = [
    "Comparison",
    "DeviationExperiment",
    "EigenvalueExperiment",
    "Ensemble",
    "FiniteNetwork",
    "OrderParameterExperiment",
    "Rate",
    "RateFit",
    "Rates",
    "Row",
    "Sweep",
    "__version__",
    "compare",
    "dual_gram",
    "fit_rate",
    "gram_memory",
    "measure_alignment",
    "measure_eigenvalues",
    "measure_order_parameters",
    "measure_rates",
    "propagate",
    "run_ensemble",
    "sample_inputs",
    "sample_network",
]
