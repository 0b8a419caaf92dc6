"""Maps: eigenvalues, learning rates and kappas over any parameters of a network, as labelled arrays.

``axes`` reads what is swept, ``cells`` computes one network after the other, ``grid`` and ``theorems`` very many that
differ in their variances at once, and ``run`` puts them together.
"""

from .axes import LARGEST
from .record import Sweep
from .run import sweep

__all__ = ["LARGEST", "Sweep", "sweep"]
