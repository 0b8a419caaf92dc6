"""The spectrum of the mean-subtracted Fisher information where samples and width grow together, T = M/rho.

Each unit's activity and gradient over the samples are, given the part z that the samples share, a linear part in what
is the sample's own, and noise (``nodes``).
"""

from .drawn_edge import Edge, EdgeError
from .drawn_ensemble import DrawnLargest, drawn_largest
from .spectrum import Spectrum, spectrum

__all__ = ["DrawnLargest", "Edge", "EdgeError", "Spectrum", "drawn_largest", "spectrum"]
