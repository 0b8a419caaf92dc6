"""Theory against ensemble, field by field."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from meanfield import Bounds, EigenvalueStatistics, OrderParameters, ParameterError
from meanfield.records import table

from .ensemble import Ensemble

_SIGMAS = 4.0
"""Standard errors of the ensemble's mean that are granted to chance."""

_ORDER_PARAMETER_ALLOWANCE = 4.0
"""Order parameters are granted this times L/M, relative to the value for one sample."""


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
    allowance: float = 0.0
    """Of an equality: by how much the terms that the theory leaves out may shift it, in absolute terms."""

    @property
    def is_equality(self) -> bool:
        """Whether the theory gives a value rather than bounds."""
        return self.theory.lower == self.theory.upper

    @property
    def ratio(self) -> float:
        """Measured / theory, for an equality; nan where the theory is 0 or a bound."""
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
    def agrees(self) -> bool:
        """Whether the theory, its allowance and 4 standard errors explain the measurement."""
        slack = self.allowance + _SIGMAS * self.standard_error + 1e-12 * abs(self.measured)
        return self.theory.lower - slack <= self.measured <= self.theory.upper + slack

    @property
    def verdict(self) -> str:
        """What ``agrees`` says: "agrees" or "differs" for an equality, "inside" or "outside" for bounds."""
        if self.is_equality:
            return "agrees" if self.agrees else "differs"
        return "inside" if self.agrees else "outside"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as it is printed."""
        measured = f"{self.measured:.4g} ± {self.standard_error:.1e}"
        if not self.is_equality:
            return (self.quantity, str(self.theory), measured, "", "", "", self.verdict)
        ratio = "" if math.isnan(self.ratio) else f"{self.ratio:.3f}"
        allowed = "" if math.isnan(self.ratio) else f"± {self.allowance / abs(self.theory.lower):.3f}"
        z = f"{self.z:+.1f}" if math.isfinite(self.z) else ""
        return (self.quantity, str(self.theory), measured, ratio, allowed, z, self.verdict)


HEADERS = ("quantity", "theory", "experiment", "ratio", "allowed", "z", "verdict")
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
    no verdict: the measured mean may differ by the allowance, the O(1/M) or O(1/sqrt(M)) size of the terms that the
    theory leaves out, and by 4 standard errors. A bound shows whether the measured mean is inside, up to 4 standard
    errors. A theory whose missing terms are as large as itself and not negative is a lower bound.

    Parameters
    ----------
    theory : EigenvalueStatistics or OrderParameters
        From ``meanfield``, for the network, the width and the number of samples of the ensemble.
    ensemble : Ensemble
        Of at least 2 members of the same kind of record.

    Raises
    ------
    ParameterError
        If the kinds differ, or a single member leaves no standard error.

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
    if isinstance(theory, OrderParameters):
        return Comparison(len(members), tuple(_order_rows(theory, members, _depth_over_width(ensemble))))
    return Comparison(len(members), tuple(_eigenvalue_rows(theory, members)))


def _eigenvalue_rows(theory: EigenvalueStatistics, members: Sequence[EigenvalueStatistics]) -> Iterator[Row]:
    if theory.allowance is None:
        raise ParameterError("theory", "from meanfield.eigenvalue_statistics", "a measurement")

    def row(quantity: str, bounds: Bounds, of: Callable[[EigenvalueStatistics], float], relative: float) -> Row:
        if math.isinf(relative):
            bounds, relative = Bounds(bounds.lower, math.inf), 0.0
        return _row(quantity, bounds, [of(member) for member in members], relative * abs(bounds.lower))

    allowance = theory.allowance
    yield row("m_lambda", Bounds(theory.mean, theory.mean), lambda m: m.mean, allowance.mean)
    moment = theory.second_moment
    yield row("s_lambda", Bounds(moment, moment), lambda m: m.second_moment, allowance.second_moment)
    equality = theory.prediction is not None
    yield row("lambda_max", theory.largest, lambda m: m.largest.lower, allowance.largest if equality else 0.0)


def _order_rows(theory: OrderParameters, members: Sequence[OrderParameters], depth_over_width: float) -> Iterator[Row]:
    for field, symbol, first in (("preactivation", "q", 1), ("activity", "qhat", 0), ("sensitivity", "qtilde", 1)):
        scale = getattr(theory, field).same
        for subscript, name in (("t", "same"), ("st", "cross")):
            values = getattr(getattr(theory, field), name)
            measured = np.array([getattr(getattr(member, field), name) for member in members])
            for i, value in enumerate(values.tolist()):
                allowance = _ORDER_PARAMETER_ALLOWANCE * depth_over_width * float(scale[i])
                yield _row(f"{symbol}^{i + first}_{subscript}", Bounds(value, value), measured[:, i], allowance)


def _row(quantity: str, theory: Bounds, values: Sequence[float] | np.ndarray[Any, Any], allowance: float) -> Row:
    sample = np.asarray(values, dtype=np.float64)
    return Row(quantity, theory, float(sample.mean()), float(sample.std(ddof=1)) / math.sqrt(sample.size), allowance)


def _depth_over_width(ensemble: Ensemble[Any]) -> float:
    experiment: Any = ensemble.experiment
    return float(experiment.network.depth / experiment.width)
