"""Batch normalisation in the hidden layers: averages over a sphere, forward and backward through its Jacobian."""

from .averages import BatchNormAverages, batch_norm_averages
from .forward import batch_norm_parameters

__all__ = ["BatchNormAverages", "batch_norm_averages", "batch_norm_parameters"]
