"""Theory against ensemble, field by field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from meanfield import (
    Bounds,
    Eigenspace,
    EigenvalueStatistics,
    OrderParameters,
    ParameterError,
    Regime,
    eigenvalue_statistics,
    propagate,
)
from meanfield.errors import require_boolean

from .allowance import CONSTANTS, allowed, allowed_to_single_network
from .comparison import Comparison, Row
from .control_variate import controlled_mean, readout_norms
from .ensemble import Ensemble
from .experiments import LastLayerExperiment

OWN = " / own theory"
"""Ends the name of a quantity that is relative to the theory for each network's own scales (to its lower bound)."""


CONTROLLED = " at |W^L|"
"""Ends the name of a quantity whose mean is taken at the expected norm of the readout weights."""


def compare(
    theory: EigenvalueStatistics | OrderParameters | Eigenspace, ensemble: Ensemble[Any], *, control: bool = False
) -> Comparison:
    """Compare a record of the theory with an ensemble of the same kind of record.

    An equality of the theory holds for infinite width. Enough members refute it at any finite width, so z alone gives
    no verdict: the measured mean may differ by the O(1/M) or O(1/sqrt(M)) size of what the theory leaves out, and by
    chance (with a probability of 1 in 1000, by Student's t); where the two together may double the theory the verdict
    is "undecided". A bound shows whether the measured mean is inside, up to chance and an estimate of an omitted c2,
    and every single network, up to 4 sqrt(L/M) by which one may be off. A theory whose missing terms are as large as
    itself and not negative is a lower bound.

    With normalised outputs the theory is compared as it is, and then, in rows named ".. / own theory", with Q1, Q2 or
    eta_1, eta_2, eta_3 taken from each network: see :func:`compare_own_scales`.

    Parameters
    ----------
    theory : EigenvalueStatistics, OrderParameters or Eigenspace
        From ``meanfield``, for the network, the width and the number of samples of the ensemble.
    ensemble : Ensemble
        Of at least 2 members of the same kind of record, from one of the experiments here.
    control : bool
        Whether equalities of eigenvalues are compared once more, in rows named ".. at |W^L|", with the norm of the
        readout weights as control variate: a sharper mean of the same quantity, of at least 4 members. See
        :func:`readout_norms`.

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
    members = _members(ensemble, type(theory), at_least=4 if require_boolean("control", control) else 2)
    experiment: Any = ensemble.experiment
    if control and not isinstance(theory, EigenvalueStatistics):
        raise ParameterError("control", "left out for what is not an eigenvalue", control)
    if isinstance(theory, OrderParameters):
        depth_to_width = experiment.network.depth_to_width(experiment.width)
        return Comparison(len(members), tuple(_order_rows(theory, members, depth_to_width)))
    if not theory.corrections:
        raise ParameterError("theory", "from meanfield", "a measurement")
    _require_same_network(theory, ensemble)
    if isinstance(theory, Eigenspace):
        return Comparison(len(members), tuple(_eigenspace_rows(theory, members)))
    rows = tuple(_eigenvalue_rows([theory] * len(members), ensemble))
    if control:
        rows += tuple(_controlled_rows(theory, ensemble))
    if theory.readout is None:
        return Comparison(len(members), rows)
    own = compare_own_scales(ensemble, regime=theory.regime or Regime.AUTO, leading_order=theory.leading_order)
    return Comparison(len(members), rows + own.rows)


def compare_own_scales(
    ensemble: Ensemble[EigenvalueStatistics], *, regime: Regime | str = Regime.AUTO, leading_order: bool = False
) -> Comparison:
    """Compare each network of an ensemble with the theory for its own readout scales.

    The scales Q1, Q2 of (19) and eta_1, eta_2, eta_3 of (27) belong to one network: for few samples or outputs they
    vary so much that their expectations diverge, and means over networks say little. Given them, the theory makes a
    statement on each network, and each is measured in units of its theory: of its value, or of its lower bound.

    Parameters
    ----------
    ensemble : Ensemble
        Of at least 2 members of an EigenvalueExperiment whose outputs are batch or layer normalised.
    regime, leading_order
        As for :func:`meanfield.eigenvalue_statistics`.

    Returns
    -------
    Comparison
        Its quantities are named "m_lambda / own theory" and so on; what the theory has as zero stays as it is.

    Raises
    ------
    ParameterError
        For an ensemble of something else.

    Equations: (19), (26), (27)
    """
    members = _members(ensemble, EigenvalueStatistics)
    experiment: Any = ensemble.experiment
    if members[0].readout is None:
        raise ParameterError("ensemble", "of networks with batch or layer normalisation of the outputs", experiment)
    network, width, samples = experiment.network, experiment.width, experiment.samples
    order = propagate(network, samples=samples)
    theories = [
        eigenvalue_statistics(
            network,
            width=width,
            samples=samples,
            order=order,
            readout=member.readout,
            regime=regime,
            leading_order=leading_order,
            sharp=False,
        )
        for member in members
    ]
    return Comparison(len(members), tuple(_eigenvalue_rows(theories, ensemble, own=True)))


@dataclass(frozen=True)
class _Tested:
    """One quantity of one member, beside what the theory says of it and what it leaves out."""

    measured: float
    theory: Bounds
    allowed: Bounds

    def relative(self) -> _Tested:
        """Return it in units of the theory, or of its lower bound."""
        unit = self.theory.lower
        over = (Bounds(bounds.lower / unit, bounds.upper / unit) for bounds in (self.theory, self.allowed))
        return _Tested(self.measured / unit, *over)


LARGEST, SHARP = "lambda_max", "lambda_max (spectrum)"
"""Names of lambda_max: by a theorem, and by the spectrum where the theorem only has bounds of it."""

_FIELDS = {"m_lambda": "mean", "s_lambda": "second_moment", LARGEST: "largest", SHARP: "prediction"}


def _eigenvalue_rows(
    theories: Sequence[EigenvalueStatistics], ensemble: Ensemble[EigenvalueStatistics], *, own: bool = False
) -> Iterator[Row]:
    """Compare each member with its theory, in absolute terms or relative to it."""
    experiment: Any = ensemble.experiment
    for quantity, field in _FIELDS.items():
        if field == "prediction" and any(theory.prediction in (None, theory.largest.lower) for theory in theories):
            continue
        tested = [_tested(theory, member, field) for theory, member in zip(theories, ensemble.members, strict=True)]
        if math.isnan(tested[0].theory.lower):  # unknown
            continue
        if own and all(t.theory.lower > 0 for t in tested):
            quantity += OWN
            tested = [t.relative() for t in tested]
        outside = 0
        bounded = theories[0].largest.lower < theories[0].largest.upper
        if field == "largest" and bounded and (own or theories[0].readout is None):
            # these bounds hold for each network; those from expectations hold for a mean
            depth_to_width = experiment.network.depth_to_width(experiment.width)
            outside = sum(t.measured not in allowed_to_single_network(t.allowed, depth_to_width) for t in tested)
        yield _row(quantity, tested, outside)


def _tested(theory: EigenvalueStatistics, member: EigenvalueStatistics, field: str) -> _Tested:
    corrections = [correction for correction in theory.corrections if correction.quantity == field]
    if field == "largest":
        measured, stated = member.lambda_max, theory.largest
    elif field == "prediction" and theory.prediction is not None:
        measured, stated = member.lambda_max, Bounds(theory.prediction, theory.prediction)
    else:
        measured, value = getattr(member, field), getattr(theory, field)
        stated = Bounds(value, value)
    lower, upper = (allowed(end, corrections) for end in (stated.lower, stated.upper))
    if math.isinf(upper.upper):  # terms as large as the quantity, and not negative: what the theory has is a bound
        stated = Bounds(stated.lower, math.inf)
    return _Tested(measured, stated, Bounds(lower.lower, upper.upper))


def _controlled_rows(theory: EigenvalueStatistics, ensemble: Ensemble[EigenvalueStatistics]) -> Iterator[Row]:
    """Compare the equalities of a theory with means at the expected norm of the readout weights."""
    norms = readout_norms(ensemble)
    for row in _eigenvalue_rows([theory] * len(ensemble.members), ensemble):
        if not row.is_equality:
            continue
        field = _FIELDS[row.quantity]
        estimate = controlled_mean([_tested(theory, member, field).measured for member in ensemble.members], norms)
        yield replace(
            row,
            quantity=row.quantity + CONTROLLED,
            measured=estimate.mean,
            standard_error=estimate.standard_error,
            fitted=2,
        )


def _eigenspace_rows(theory: Eigenspace, members: Sequence[Eigenspace]) -> Iterator[Row]:
    for field in ("alignment", "residual"):
        value = getattr(theory, field)
        corrections = [correction for correction in theory.corrections if correction.quantity == field]
        interval = allowed(value, corrections, scale=1.0)
        yield _row(field, [_Tested(getattr(member, field), Bounds(value, value), interval) for member in members])


def _order_rows(theory: OrderParameters, members: Sequence[OrderParameters], depth_to_width: float) -> Iterator[Row]:
    expected, measured = theory.by_name(), [member.by_name() for member in members]
    if any(member.keys() != expected.keys() for member in measured):
        raise ParameterError(
            "theory", "for a network as deep as the ensemble's, normalised alike", f"depth {theory.activity.same.size}"
        )
    for name, pair in expected.items():
        # the overlap of two samples may be zero; what is left out is of the order of the value for one sample
        slack = pair.same * CONSTANTS["finite width"] * depth_to_width
        for subscript, part in (("t", "same"), ("st", "cross")):
            value = getattr(pair, part)
            bounds, interval = Bounds(value, value), Bounds(value - slack, value + slack)
            tested = [_Tested(getattr(member[name], part), bounds, interval) for member in measured]
            yield _row(f"{name}_{subscript}", tested)


def _row(quantity: str, tested: Sequence[_Tested], outside: int = 0) -> Row:
    """Average over the members."""
    measured = np.array([t.measured for t in tested])
    return Row(
        quantity=quantity,
        theory=_mean([t.theory for t in tested]),
        measured=float(measured.mean()),
        standard_error=float(measured.std(ddof=1)) / math.sqrt(measured.size),
        members=measured.size,
        allowed=_mean([t.allowed for t in tested]),
        outside=outside,
    )


def _mean(bounds: Sequence[Bounds]) -> Bounds:
    lower, upper = (float(np.mean(side)) for side in zip(*((b.lower, b.upper) for b in bounds), strict=True))
    return Bounds(lower, upper)


def _members(ensemble: Ensemble[Any], kind: type, *, at_least: int = 2) -> Sequence[Any]:
    members: Sequence[Any] = ensemble.members
    if len(members) < at_least:
        raise ParameterError("members", f"at least {at_least}, for a standard error", len(members))
    for member in members:
        if type(member) is not kind:
            expected = f"an ensemble of {kind.__name__}, as the theory is"
            raise ParameterError("ensemble", expected, f"members of type {type(member).__name__}")
    return members


def _require_same_network(theory: EigenvalueStatistics | Eigenspace, ensemble: Ensemble[Any]) -> None:
    """Refuse a theory for another network or width, as far as the number of parameters tells."""
    experiment: Any = ensemble.experiment
    network, width = experiment.network, experiment.width
    exact, leading = float(network.parameters(width)), network.alpha * width**2
    if isinstance(experiment, LastLayerExperiment):
        exact = float(network.outputs * (network.widths(width)[-2] + 1))
        leading = network.outputs * network.width_ratios[-1] * width
    leading_order = isinstance(theory, EigenvalueStatistics) and theory.leading_order
    if theory.parameters != (leading if leading_order else exact):
        expected = f"for the network and width of the ensemble, which have {exact:.10g} parameters"
        raise ParameterError("theory", expected, f"one of {theory.parameters:.10g} parameters")
