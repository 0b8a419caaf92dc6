"""The record of a comparison: a quantity of the theory beside the mean of an ensemble, and what is said of the two."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special

from meanfield import Bounds
from meanfield.records import table

_CHANCE = 1e-3
"""Probability with which chance alone may carry a mean out of its interval."""


@dataclass(frozen=True)
class Row:
    """One quantity of the theory against the mean of an ensemble."""

    quantity: str
    theory: Bounds
    """lower = upper for an (asymptotic) equality."""
    measured: float
    """The mean over the members."""
    standard_error: float
    """Of that mean."""
    members: int
    """How many there were."""
    allowed: Bounds
    """Where the terms that the theory leaves out may put the measurement."""
    outside: int = 0
    """Of bounds that hold for each network: how many members are outside, beyond what one network may be off."""
    fitted: int = 1
    """How many numbers were estimated from the members: their mean, and with a control variate a slope."""

    @property
    def is_equality(self) -> bool:
        """Whether the theory gives a value rather than bounds."""
        return self.theory.lower == self.theory.upper

    @property
    def ratio(self) -> float:
        """Measured over theory, for an equality; nan where the theory is 0 or a bound."""
        return self.measured / self.theory.lower if self.is_equality and self.theory.lower else math.nan

    @property
    def z(self) -> float:
        """The difference in standard errors, for an equality; nan for bounds."""
        difference = self.measured - self.theory.lower
        if not self.is_equality:
            return math.nan
        if difference == 0:
            return 0.0
        return difference / self.standard_error if self.standard_error else math.copysign(math.inf, difference)

    @property
    def interval(self) -> Bounds:
        """``allowed``, widened for chance: by 3.6 standard errors for 40 members, by 13 for 4 (Student's t)."""
        slack = float(special.stdtrit(self.members - self.fitted, 1 - _CHANCE / 2)) * self.standard_error
        slack += 1e-12 * abs(self.measured)
        return Bounds(self.allowed.lower - slack, self.allowed.upper + slack)

    @property
    def agrees(self) -> bool:
        """Whether the measured mean is in ``interval``, and every single network where the bounds hold for each."""
        return not self.outside and self.measured in self.interval

    @property
    def verdict(self) -> str:
        """What ``agrees`` says: "agrees" or "differs" for an equality, "inside" or "outside" for bounds.

        An agreement is "undecided" where the interval is as wide as the theory is large. A mean inside its
        bounds is not enough where they hold for each network: "2 of 20 outside" says how many are not.
        """
        if not self.is_equality:
            if self.outside and self.measured in self.interval:
                return f"{self.outside} of {self.members} outside"
            return "inside" if self.agrees else "outside"
        width = max(self.interval.upper - self.theory.upper, self.theory.lower - self.interval.lower)
        if self.agrees and 0 < abs(self.theory.lower) <= width:
            return "undecided"
        return "agrees" if self.agrees else "differs"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as it is printed, under ``HEADERS``."""
        ratio = "" if math.isnan(self.ratio) else f"{self.ratio:.3f}"
        z = f"{self.z:+.1f}" if math.isfinite(self.z) else ""
        measured = f"{self.measured:.4g} ± {self.standard_error:.1e}"
        return (self.quantity, str(self.theory), measured, ratio, z, str(self.interval), self.verdict)


HEADERS = ("quantity", "theory", "experiment", "ratio", "z", "allowed", "verdict")
"""Of a printed comparison."""


@dataclass(frozen=True)
class Comparison:
    """The rows of a comparison; prints as a table."""

    members: int
    rows: tuple[Row, ...]

    @property
    def agrees(self) -> bool:
        """Whether every row does."""
        return all(row.agrees for row in self.rows)

    def __getitem__(self, quantity: str) -> Row:
        for row in self.rows:
            if row.quantity == quantity:
                return row
        raise KeyError(f"no quantity {quantity!r}; there are " + ", ".join(row.quantity for row in self.rows))

    def __str__(self) -> str:
        return table((row.cells for row in self.rows), HEADERS)
