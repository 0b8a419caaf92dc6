"""The statistics of the eigenvalues, and the lemma that bounds the largest one by two moments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from ..errors import require_number
from ..readout import ReadoutScales
from ..records import table


class Regime(StrEnum):
    """How the number of samples T grows with the width M."""

    AUTO = "auto"
    """FIXED for T <= sqrt(M), else PROPORTIONAL: whichever T is closer to on a logarithmic scale, 1 or M."""
    FIXED = "fixed"
    """T = O(1): Theorem 3.3 (i)."""
    PROPORTIONAL = "proportional"
    """T = M/rho: Theorem 3.3 (ii)."""


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
class Correction:
    """A term that a theorem leaves out, and that separates it from networks of finite width."""

    quantity: Literal["mean", "second_moment", "largest", "prediction", "alignment", "residual"]
    """The field of :class:`EigenvalueStatistics` or :class:`Eigenspace` that it changes."""
    name: str
    """What the term is; a constant of its kind, measured on finite networks, belongs to it."""
    size: float
    """Its order, relative to the quantity (absolute for ``alignment`` and ``residual``, which are 1 and 0); inf if it
    is as large as the quantity itself."""
    sign: Literal[-1, 0, 1] = 0
    """1 if it can only raise the quantity, -1 if it can only lower it, 0 if it may do either."""


@dataclass(frozen=True)
class EigenvalueStatistics:
    """The eigenvalues of the Fisher information: their mean, second moment and the largest.

    The theory and a measurement on a finite network fill the same record.
    """

    mean: float
    """m_lambda = tr F / P; nan where the theorem leaves it unknown."""
    second_moment: float
    """s_lambda = tr F^2 / P; likewise."""
    parameters: float
    """P, by which both are divided."""
    largest: Bounds
    """lambda_max, or bounds of it."""
    prediction: float | None
    """lambda_max where the theorem is an equality, the spectrum is known (:func:`meanfield.spectrum`) or it was
    measured, else None."""
    theorem: str
    """What the numbers rest on."""
    regime: Regime | None = None
    """Of the theorems that have several: the one that was used."""
    rule: str = ""
    """Why that regime."""
    leading_order: bool = False
    """Whether these are the formulas as printed: P = alpha M^2, and no bias parameters."""
    omitted: tuple[str, ...] = ()
    """What the theorem leaves unknown, by name."""
    readout: ReadoutScales | None = None
    """With batch or layer normalisation of the outputs: the scales that the numbers rest on, or that were measured."""
    corrections: tuple[Correction, ...] = ()
    """What separates the theorem from finite networks, by its order of magnitude; empty for a measurement."""

    @property
    def lambda_max(self) -> float:
        """The largest eigenvalue, where it is a number: measured, or by a theorem that is an equality.

        Raises
        ------
        ValueError
            Where a theorem only bounds it.
        """
        if self.largest.lower != self.largest.upper:
            raise ValueError(f"lambda_max is bounded, by {self.largest} ({self.theorem})")
        return self.largest.lower

    def _predicted(self) -> list[tuple[str, str]]:
        if self.prediction is None or self.prediction == self.largest.lower:
            return []
        return [("", f"{self.prediction:.4g} by the spectrum")]

    def __str__(self) -> str:
        s = _known(self.second_moment)
        unbounded = any(c.quantity == "second_moment" and math.isinf(c.size) for c in self.corrections)
        rows = [
            ("m_lambda", _known(self.mean)),
            ("s_lambda", f"at least {s}" if unbounded else s),
            ("lambda_max", str(self.largest)),
            *self._predicted(),
            ("parameters", f"{self.parameters:.10g}"),
            ("theorem", self.theorem),
        ]
        if self.rule:
            rows.append(("regime", self.rule))
        if self.readout is not None:
            rows.append(("readout", str(self.readout)))
        if self.omitted:
            rows.append(("omitted", ", ".join(self.omitted)))
        largest = [c for c in self.corrections if c.quantity == "largest" and 0 < c.size < math.inf]
        for i, correction in enumerate(largest):
            rows.append(("" if i else "left out", f"{correction.name}, O({correction.size:.1g}) of lambda_max"))
        return table(rows)


def moment_bounds(mean: float, second_moment: float, parameters: float) -> Bounds:
    """Bound the largest of P non-negative eigenvalues by their mean m and second moment s: s/m and sqrt(P s).

    sum lambda^2 <= lambda_max sum lambda gives the lower bound, lambda_max^2 <= sum lambda^2 the upper one.

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
    mean = require_number("mean", mean, at_least=0)
    second_moment = require_number("second_moment", second_moment, at_least=0)
    parameters = require_number("parameters", parameters, above=0)
    lower = second_moment / mean if mean > 0 else 0.0
    upper = math.sqrt(parameters * second_moment)
    return Bounds(lower, max(lower, upper))  # where they are equal, rounding must not turn them round


def participation_ratio(mean: float, second_moment: float, parameters: float) -> float:
    """Return (tr F*)^2 / tr F*^2 = P m^2/s: the number of eigenvalues, if they were equal.

    Each of the (C T)^2 entries of F* fluctuates by sqrt(L/M) of its diagonal; together they raise tr F*^2 by L/M times
    this, relative to it.
    """
    return parameters * mean**2 / second_moment


def zero_statistics(theorem: str, parameters: float) -> EigenvalueStatistics:
    """Return the statistics of a Fisher information that is exactly zero, at any width."""
    return EigenvalueStatistics(
        mean=0.0,
        second_moment=0.0,
        parameters=parameters,
        largest=Bounds(0.0, 0.0),
        prediction=0.0,
        theorem=theorem,
        corrections=tuple(
            Correction(quantity, "finite width", 0.0) for quantity in ("mean", "second_moment", "largest")
        ),
    )


def _known(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.4g}"
