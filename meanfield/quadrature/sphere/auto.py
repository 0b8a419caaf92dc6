"""The choice between the methods on the sphere."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import QuadratureError
from ...functions import Activation, ScalarFunction
from ..law import SphereLaw
from ..method import Estimate, as_function
from ..resolved import Resolved
from .gegenbauer import Gegenbauer
from .method import SphereMethod, require_cosine, require_dimension
from .panels import SpherePanels


@dataclass(frozen=True)
class SphereAuto(SphereMethod):
    """The Gegenbauer series where it is suited and converges, else panels.

    Parameters
    ----------
    tolerance, largest
        As for every method on the sphere.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.SPHERE.choose(mf.relu, dimension=99, cosine=-1 / 99)
    Gegenbauer(tolerance=1e-13, largest=20000000)
    >>> mf.SPHERE.choose(mf.relu, dimension=3, cosine=-1 / 3)
    SpherePanels(tolerance=1e-13, largest=20000000)
    """

    @property
    def methods(self) -> tuple[SphereMethod, ...]:
        """In the order of preference."""
        return Gegenbauer(self.tolerance, self.largest), SpherePanels(self.tolerance, self.largest)

    def accepts(
        self, f: ScalarFunction, *, dimension: float, cosine: float, other: ScalarFunction | None = None
    ) -> bool:
        """Any function."""
        return True

    def choose(
        self,
        f: ScalarFunction | Activation,
        *,
        dimension: float,
        cosine: float,
        other: ScalarFunction | Activation | None = None,
    ) -> SphereMethod:
        """Return the method that is tried first for the overlap."""
        f, g = as_function(f), None if other is None else as_function(other)
        dimension = require_dimension(dimension)
        cosine = require_cosine(cosine, dimension)
        return next(m for m in self.methods if m.accepts(f, dimension=dimension, cosine=cosine, other=g))

    def _overlap(self, f: Resolved[SphereLaw], g: Resolved[SphereLaw], cosine: float) -> Estimate:
        chosen = self.choose(f.f, dimension=f.law.dimension, cosine=cosine, other=g.f)
        try:
            return chosen._overlap(f, g, cosine)
        except QuadratureError:
            if isinstance(chosen, SpherePanels):
                raise
            return self.methods[-1]._overlap(f, g, cosine)


SPHERE = SphereAuto()
"""The series where it is suited, else panels."""
