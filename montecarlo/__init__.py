"""montecarlo: finite random networks in NumPy that check the theory of ``meanfield``.

The chain is network, propagate, dual, spectrum, ensemble, compare. A measurement fills the same record as the theory,
so that comparing is field by field; the Fisher information itself is never formed, only its dual.
"""

from meanfield import __version__

from .codec import register
from .compare import compare, compare_own_scales
from .comparison import Comparison, Row
from .control_variate import ControlledMean, controlled_mean, readout_norms
from .database import StoreError
from .dual import dual_gram, gram_memory
from .dual_operator import dual_operator
from .eigenvalue_method import EigenvalueMethod, choose_method
from .ensemble import Ensemble, run_ensemble, run_ensembles
from .executors import WorkerError
from .experiments import (
    EigenspaceExperiment,
    EigenvalueExperiment,
    LastLayerExperiment,
    OrderParameterExperiment,
    SpectrumExperiment,
)
from .export import table_rows, to_frame, to_xarray, write_table
from .forward import Forward, forward
from .last_layer import last_layer_gram
from .measured_fluctuations import MeasuredFluctuations, measure_fluctuations
from .network import FiniteNetwork, sample_inputs, sample_network
from .order_parameter_sampler import OrderParameterDraws, sample_order_parameters
from .order_parameters import measure_deviations, measure_order_parameters, measure_spread
from .power_law import RateFit, fit_rate
from .precision import PrecisionError, precision_error
from .predicted_largest import predict_largest
from .predicted_leading import predict_leading
from .processes import Processes
from .propagate import Sweep, propagate
from .q_form import q_form_gram, q_matrix
from .rates import DeviationExperiment, Rate, Rates, measure_rates
from .spectrum import (
    Eigenvalues,
    measure_all_eigenvalues,
    measure_eigenspace,
    measure_eigenvalues,
    measure_largest,
    measure_last_layer,
)
from .store import Store, StoredEnsemble, read_store
from .sweeps import LearningRateSweep, SweepPlan, TrainingExperiment, sweep_learning_rates
from .threshold import Threshold, ThresholdExperiment, measure_threshold
from .training import TrainingRun, train

__all__ = [
    "Comparison",
    "ControlledMean",
    "DeviationExperiment",
    "EigenspaceExperiment",
    "EigenvalueExperiment",
    "EigenvalueMethod",
    "Eigenvalues",
    "Ensemble",
    "FiniteNetwork",
    "Forward",
    "LastLayerExperiment",
    "LearningRateSweep",
    "MeasuredFluctuations",
    "OrderParameterDraws",
    "OrderParameterExperiment",
    "PrecisionError",
    "Processes",
    "Rate",
    "RateFit",
    "Rates",
    "Row",
    "SpectrumExperiment",
    "Store",
    "StoreError",
    "StoredEnsemble",
    "Sweep",
    "SweepPlan",
    "Threshold",
    "ThresholdExperiment",
    "TrainingExperiment",
    "TrainingRun",
    "WorkerError",
    "__version__",
    "choose_method",
    "compare",
    "compare_own_scales",
    "controlled_mean",
    "dual_gram",
    "dual_operator",
    "fit_rate",
    "forward",
    "gram_memory",
    "last_layer_gram",
    "measure_all_eigenvalues",
    "measure_deviations",
    "measure_eigenspace",
    "measure_eigenvalues",
    "measure_fluctuations",
    "measure_largest",
    "measure_last_layer",
    "measure_order_parameters",
    "measure_rates",
    "measure_spread",
    "measure_threshold",
    "precision_error",
    "predict_largest",
    "predict_leading",
    "propagate",
    "q_form_gram",
    "q_matrix",
    "read_store",
    "readout_norms",
    "register",
    "run_ensemble",
    "run_ensembles",
    "sample_inputs",
    "sample_network",
    "sample_order_parameters",
    "sweep_learning_rates",
    "table_rows",
    "to_frame",
    "to_xarray",
    "train",
    "write_table",
]
