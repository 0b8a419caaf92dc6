"""Batch normalisation in all hidden layers: how the degenerate bulk of F* splits at finite width, and where it ends.

The analytic F* has C (T - 1) equal eigenvalues, those of differences between samples. In a finite network Q and Theta
are matrices that fluctuate by O(1/sqrt(M)) in every entry, and T of these move an eigenvalue by O(sqrt(T/M)).
"""

from .bulk_spectrum import BulkSpectrum, bulk_spectrum
from .response import BatchNormResponse, batch_norm_response

__all__ = ["BatchNormResponse", "BulkSpectrum", "batch_norm_response", "bulk_spectrum"]
