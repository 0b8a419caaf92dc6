"""The integrals, with one file for each method.

``mean``, ``second_moment`` and ``overlap`` are all that the theory needs. Each method gives those of them that it
accepts with an error estimate; ``AUTO`` lets them try in turn. ``sphere`` has the same for points on a sphere, which is
what batch normalisation makes of Gaussians. No method knows an activation: it sees values, kinks and closed forms.
"""

from .auto import AUTO, Auto
from .conditional import CommonPart, common_part
from .cosine_series import CosineSeries
from .exact import Exact
from .gauss_hermite import GaussHermite
from .hermite_series import HermiteSeries
from .integrals import mean, overlap, second_moment
from .method import QUANTITIES, Estimate, Method, Quantity
from .panels import Panels
from .reference import Reference
from .sphere import SPHERE, Gegenbauer, SphereAuto, SphereMethod, SpherePanels
from .trapezoid import Trapezoid

__all__ = [
    "AUTO",
    "QUANTITIES",
    "SPHERE",
    "Auto",
    "CommonPart",
    "CosineSeries",
    "Estimate",
    "Exact",
    "GaussHermite",
    "Gegenbauer",
    "HermiteSeries",
    "Method",
    "Panels",
    "Quantity",
    "Reference",
    "SphereAuto",
    "SphereMethod",
    "SpherePanels",
    "Trapezoid",
    "common_part",
    "mean",
    "overlap",
    "second_moment",
]
