"""What separates the order parameters of finite networks from their limits: variances, covariances and shifts, in 1/M.

``moments`` has averages over up to four samples, ``response`` what a layer makes of a change of its covariances and the
noise that it adds, ``linear`` puts the layers together, ``bias`` has the shifts, ``kernel`` the sum that F* is made of.
"""

from .kernel import KernelFluctuations
from .record import Fluctuations, fluctuations
from .samples import Kind, OrderParameter

__all__ = ["Fluctuations", "KernelFluctuations", "Kind", "OrderParameter", "fluctuations"]
