"""Theory against ensemble, field by field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from meanfield import Bounds, EigenvalueStatistics, OrderParameters, ParameterError
from meanfield.records import table

from .allowance import CONSTANTS, allowed
from .ensemble import Ensemble

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
        slack = float(special.stdtrit(self.members - 1, 1 - _CHANCE / 2)) * self.standard_error
        slack += 1e-12 * abs(self.measured)
        return Bounds(self.allowed.lower - slack, self.allowed.upper + slack)

    @property
    def agrees(self) -> bool:
        """Whether the measurement is in ``interval``."""
        return self.measured in self.interval

    @property
    def verdict(self) -> str:
        """What ``agrees`` says: "agrees" or "differs" for an equality, "inside" or "outside" for bounds.

        An agreement is "undecided" where what the theory leaves out may be as large as the theory.
        """
        if not self.is_equality:
            return "inside" if self.agrees else "outside"
        width = max(self.allowed.upper - self.theory.upper, self.theory.lower - self.allowed.lower)
        if self.agrees and 0 < self.theory.lower <= width:
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


def compare(theory: EigenvalueStatistics | OrderParameters, ensemble: Ensemble[Any]) -> Comparison:
    """Compare a record of the theory with an ensemble of the same kind of record.

    An equality of the theory holds for infinite width. Enough members refute it at any finite width, so z alone gives
    no verdict: the measured mean may differ by the O(1/M) or O(1/sqrt(M)) size of the terms that the theory leaves out,
    and by chance (with a probability of 1 in 1000, by Student's t); where those terms may double the theory the verdict
    is "undecided". A bound shows whether the measured mean is inside, up to chance and an estimate of an omitted c2. A
    theory whose missing terms are as large as itself and not negative is a lower bound.

    Parameters
    ----------
    theory : EigenvalueStatistics or OrderParameters
        From ``meanfield``, for the network, the width and the number of samples of the ensemble.
    ensemble : Ensemble
        Of at least 2 members of the same kind of record, from one of the experiments here.

    Returns
    -------
    Comparison
        One row for each field; ``comparison["lambda_max"]`` finds one.

    Raises
    ------
    ParameterError
        If the kinds differ, a single member leaves no standard error, or the theory is for another network or width
        (as far as the number of parameters or the depth tells).

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0).normalized(output="mean")
    >>> ensemble = mc.run_ensemble(mc.EigenvalueExperiment(network, width=100, samples=100), members=4, seed=0)
    >>> comparison = mc.compare(mf.eigenvalue_statistics(network, width=100, samples=100), ensemble)
    >>> comparison["lambda_max"].verdict
    'inside'
    """
    members: Sequence[Any] = ensemble.members
    if len(members) < 2:
        raise ParameterError("members", "at least 2, for a standard error", len(members))
    for member in members:
        if type(member) is not type(theory):
            expected = f"an ensemble of {type(theory).__name__}, as the theory is"
            raise ParameterError("ensemble", expected, f"members of type {type(member).__name__}")
    experiment: Any = ensemble.experiment
    if isinstance(theory, OrderParameters):
        depth_over_width = experiment.network.depth / experiment.width
        return Comparison(len(members), tuple(_order_rows(theory, members, depth_over_width)))
    if not theory.corrections:
        raise ParameterError("theory", "from meanfield.eigenvalue_statistics", "a measurement")
    leading = experiment.network.alpha * experiment.width**2
    if not (theory.parameters == experiment.network.parameters(experiment.width) or theory.parameters == leading):
        expected = f"for the network and width of the ensemble, which have {members[0].parameters:.10g} parameters"
        raise ParameterError("theory", expected, f"one of {theory.parameters:.10g} parameters")
    return Comparison(len(members), tuple(_eigenvalue_rows(theory, members)))


def _eigenvalue_rows(theory: EigenvalueStatistics, members: Sequence[EigenvalueStatistics]) -> Iterator[Row]:
    def equality(quantity: str, field: str, value: float, measured: list[float]) -> Row:
        interval = allowed(value, [correction for correction in theory.corrections if correction.quantity == field])
        # terms as large as the quantity, and not negative: what the theory has is a lower bound
        bounds = Bounds(value, value if math.isfinite(interval.upper) else math.inf)
        return _row(quantity, bounds, measured, interval)

    yield equality("m_lambda", "mean", theory.mean, [member.mean for member in members])
    yield equality("s_lambda", "second_moment", theory.second_moment, [member.second_moment for member in members])
    largest = [member.largest.lower for member in members]
    if theory.prediction is None:
        upper = allowed(theory.largest.upper, [c for c in theory.corrections if c.quantity == "largest"]).upper
        yield _row("lambda_max", theory.largest, largest, Bounds(theory.largest.lower, upper))
    else:
        yield equality("lambda_max", "largest", theory.prediction, largest)


def _order_rows(theory: OrderParameters, members: Sequence[OrderParameters], depth_over_width: float) -> Iterator[Row]:
    if any(member.activity.same.shape != theory.activity.same.shape for member in members):
        raise ParameterError("theory", "for a network as deep as the ensemble's", f"depth {theory.activity.same.size}")
    for field, symbol, first in (("preactivation", "q", 1), ("activity", "qhat", 0), ("sensitivity", "qtilde", 1)):
        pair, measured = getattr(theory, field), [getattr(member, field) for member in members]
        for i, (same, cross) in enumerate(zip(*pair, strict=True)):
            # the overlap of two samples may be zero; what is left out is of the order of the value for one sample
            slack = float(same) * CONSTANTS["finite width"] * depth_over_width
            for subscript, value, values in (
                ("t", float(same), [m.same[i] for m in measured]),
                ("st", float(cross), [m.cross[i] for m in measured]),
            ):
                interval = Bounds(value - slack, value + slack)
                yield _row(f"{symbol}^{i + first}_{subscript}", Bounds(value, value), values, interval)


def _row(quantity: str, theory: Bounds, values: ArrayLike, allowance: Bounds) -> Row:
    sample = np.asarray(values, dtype=np.float64)
    standard_error = float(sample.std(ddof=1)) / math.sqrt(sample.size)
    return Row(quantity, theory, float(sample.mean()), standard_error, sample.size, allowance)
