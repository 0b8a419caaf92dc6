"""Integrals over the uniform law on a sphere: what a normalised vector leaves of a Gaussian one.

A function is resolved once, on panels in the latitude; its overlaps follow by the Gegenbauer series (smooth functions,
or many dimensions) or by nested panels (any function). ``SPHERE`` chooses.
"""

from .auto import SPHERE, SphereAuto
from .gegenbauer import Gegenbauer
from .method import SphereMethod
from .panels import SpherePanels

__all__ = ["SPHERE", "Gegenbauer", "SphereAuto", "SphereMethod", "SpherePanels"]
