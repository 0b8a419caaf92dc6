"""The statistics of the eigenvalues, and the lemma that bounds the largest one by two moments."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..records import table


@dataclass(frozen=True)
class Bounds:
    """An interval: lower = upper where a value is known, upper = inf where nothing bounds it."""

    lower: float
    upper: float

    def __contains__(self, value: float) -> bool:
        return self.lower <= value <= self.upper

    def __str__(self) -> str:
        if self.lower == self.upper:
            return f"{self.lower:.4g}"
        return f"[{self.lower:.4g}, {self.upper:.4g}]"


@dataclass(frozen=True)
class Allowance:
    """By how much, relative to the theory, finite networks may differ from it: the size of the terms left out.

    The orders in M are those of the derivation; the constants were read off finite networks, with room to spare.
    """

    mean: float
    second_moment: float
    """inf where a term of the same order is unknown and not negative: the theory is then a lower bound."""
    largest: float


@dataclass(frozen=True)
class EigenvalueStatistics:
    """The eigenvalues of the Fisher information: their mean, second moment and the largest.

    The theory and a measurement on a finite network fill the same record.
    """

    mean: float
    """m_lambda = tr F / P."""
    second_moment: float
    """s_lambda = tr F^2 / P."""
    parameters: float
    """P, by which both are divided."""
    largest: Bounds
    """lambda_max, or bounds of it."""
    prediction: float | None
    """lambda_max where the theorem is an equality or it was measured, else None."""
    theorem: str
    """What the numbers rest on."""
    regime: str = ""
    """For theorems with several regimes: which one was used, and why."""
    omitted: tuple[str, ...] = ()
    """What the theorem leaves unknown, by name."""
    allowance: Allowance | None = None
    """What separates the theorem from finite networks; None for a measurement."""

    def __str__(self) -> str:
        rows = [
            ("m_lambda", f"{self.mean:.4g}"),
            ("s_lambda", f"{self.second_moment:.4g}"),
            ("lambda_max", str(self.largest)),
            ("parameters", f"{self.parameters:.10g}"),
            ("theorem", self.theorem),
        ]
        if self.regime:
            rows.append(("regime", self.regime))
        rows += [("omitted" if i == 0 else "", name) for i, name in enumerate(self.omitted)]
        return table(rows)


def moment_bounds(mean: float, second_moment: float, parameters: float) -> Bounds:
    """Bound the largest of P non-negative eigenvalues by their mean m and second moment s: s/m and sqrt(P s).

    Parameters
    ----------
    mean, second_moment : float
        m >= 0 and s >= 0; both 0 for the zero matrix.
    parameters : float
        P > 0.

    Equations: (S.37), (S.38), Theorem B.1

    Examples
    --------
    >>> moment_bounds(mean=1.0, second_moment=2.0, parameters=8)  # eigenvalues 2, 2, 2, 2, 0, 0, 0, 0
    Bounds(lower=2.0, upper=4.0)
    """
    lower = second_moment / mean if mean > 0 else 0.0
    return Bounds(lower, max(lower, math.sqrt(parameters * second_moment)))  # equal where only one eigenvalue is not 0
