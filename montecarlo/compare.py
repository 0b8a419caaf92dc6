"""Theory against ensemble, field by field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
from meanfield.eigenvalues import Correction

from .allowance import CONSTANTS, allowed, allowed_to_one
from .comparison import Comparison, Row
from .ensemble import Ensemble

OWN = " / own theory"
"""Ends the name of a quantity that is relative to the theory for each network's own scales (to its lower bound)."""


def compare(theory: EigenvalueStatistics | OrderParameters | Eigenspace, ensemble: Ensemble[Any]) -> Comparison:
    """Compare a record of the theory with an ensemble of the same kind of record.

    An equality of the theory holds for infinite width. Enough members refute it at any finite width, so z alone gives
    no verdict: the measured mean may differ by the O(1/M) or O(1/sqrt(M)) size of what the theory leaves out, and by
    chance (with a probability of 1 in 1000, by Student's t); where what is left out may double the theory the verdict
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
    members = _members(ensemble, type(theory))
    experiment: Any = ensemble.experiment
    if isinstance(theory, OrderParameters):
        depth_over_width = experiment.network.depth / experiment.width
        return Comparison(len(members), tuple(_order_rows(theory, members, depth_over_width)))
    if not theory.corrections:
        raise ParameterError("theory", "from meanfield", "a measurement")
    if isinstance(theory, Eigenspace):
        return Comparison(len(members), tuple(_eigenspace_rows(theory, members)))
    _require_same_network(theory, ensemble)
    rows = tuple(_eigenvalue_rows([theory] * len(members), members))
    if theory.readout is None:
        return Comparison(len(members), rows)
    own = compare_own_scales(
        ensemble,
        regime=Regime.PROPORTIONAL if "c0" in theory.omitted else Regime.FIXED,
        leading_order=theory.parameters != members[0].parameters,
    )
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
        )
        for member in members
    ]
    return Comparison(len(members), tuple(_eigenvalue_rows(theories, members, own=True)))


def _members(ensemble: Ensemble[Any], kind: type) -> Sequence[Any]:
    members: Sequence[Any] = ensemble.members
    if len(members) < 2:
        raise ParameterError("members", "at least 2, for a standard error", len(members))
    for member in members:
        if type(member) is not kind:
            expected = f"an ensemble of {kind.__name__}, as the theory is"
            raise ParameterError("ensemble", expected, f"members of type {type(member).__name__}")
    return members


def _require_same_network(theory: EigenvalueStatistics, ensemble: Ensemble[Any]) -> None:
    experiment: Any = ensemble.experiment
    measured, leading = ensemble.members[0].parameters, _leading_parameters(experiment)
    if theory.parameters not in (measured, leading):
        expected = f"for the network and width of the ensemble, which have {measured:.10g} parameters"
        raise ParameterError("theory", expected, f"one of {theory.parameters:.10g} parameters")


def _eigenvalue_rows(
    theories: Sequence[EigenvalueStatistics], members: Sequence[EigenvalueStatistics], *, own: bool = False
) -> Iterator[Row]:
    """Compare each member with its theory."""
    if not math.isnan(theories[0].mean):
        measured = [member.mean for member in members]
        yield _equality("m_lambda", "mean", [t.mean for t in theories], theories, measured, own)
        measured = [member.second_moment for member in members]
        yield _equality("s_lambda", "second_moment", [t.second_moment for t in theories], theories, measured, own)
    measured = [member.largest.lower for member in members]
    predictions = [t.prediction for t in theories if t.prediction is not None]
    if predictions:
        yield _equality("lambda_max", "largest", predictions, theories, measured, own)
        return
    granted = [_granted(t) for t in theories]
    outside = 0
    if own or theories[0].readout is None:  # bounds from expectations are none for a single network
        for value, bounds, t in zip(measured, granted, theories, strict=True):
            outside += value not in allowed_to_one(bounds, _corrections(t, "largest"))
    yield _row("lambda_max", [t.largest for t in theories], measured, granted, own, outside)


def _granted(theory: EigenvalueStatistics) -> Bounds:
    """Widen the bounds of lambda_max by what the theory leaves out."""
    corrections = _corrections(theory, "largest")
    return Bounds(allowed(theory.largest.lower, corrections).lower, allowed(theory.largest.upper, corrections).upper)


def _equality(
    quantity: str,
    field: str,
    values: Sequence[float],
    theories: Sequence[EigenvalueStatistics],
    measured: Sequence[float],
    own: bool,
) -> Row:
    granted = [allowed(value, _corrections(t, field)) for value, t in zip(values, theories, strict=True)]
    # terms as large as the quantity, and not negative: what the theory has is a lower bound
    bounds = [
        Bounds(value, value if math.isfinite(interval.upper) else math.inf)
        for value, interval in zip(values, granted, strict=True)
    ]
    return _row(quantity, bounds, measured, granted, own)


def _eigenspace_rows(theory: Eigenspace, members: Sequence[Eigenspace]) -> Iterator[Row]:
    for field in ("alignment", "residual"):
        value = getattr(theory, field)
        slack = sum(CONSTANTS[c.name] * c.size for c in theory.corrections if c.quantity == field)
        interval = Bounds(value - slack, value + slack)
        yield _row(field, [Bounds(value, value)], [getattr(member, field) for member in members], [interval])


def _order_rows(theory: OrderParameters, members: Sequence[OrderParameters], depth_over_width: float) -> Iterator[Row]:
    if any(member.activity.same.shape != theory.activity.same.shape for member in members):
        raise ParameterError("theory", "for a network as deep as the ensemble's", f"depth {theory.activity.same.size}")
    for field, symbol, first in (("preactivation", "q", 1), ("activity", "qhat", 0), ("sensitivity", "qtilde", 1)):
        pair, measured = getattr(theory, field), [getattr(member, field) for member in members]
        if pair is None:  # batch normalisation in the hidden layers
            continue
        for i, (same, cross) in enumerate(zip(*pair, strict=True)):
            # the overlap of two samples may be zero; what is left out is of the order of the value for one sample
            slack = float(same) * CONSTANTS["finite width"] * depth_over_width
            for subscript, value, values in (
                ("t", float(same), [m.same[i] for m in measured]),
                ("st", float(cross), [m.cross[i] for m in measured]),
            ):
                interval = Bounds(value - slack, value + slack)
                yield _row(f"{symbol}^{i + first}_{subscript}", [Bounds(value, value)], values, [interval])


def _row(
    quantity: str,
    theory: Sequence[Bounds],
    measured: Sequence[float],
    granted: Sequence[Bounds],
    own: bool = False,
    outside: int = 0,
) -> Row:
    """Average over the members; the theory is one for all, or one for each, relative to which they are taken."""
    values = np.asarray(measured, dtype=np.float64)
    if own and all(bounds.lower > 0 for bounds in theory):
        quantity += OWN
        scales = [bounds.lower for bounds in theory]
        values = values / scales
        theory, granted = (
            [Bounds(b.lower / scale, b.upper / scale) for b, scale in zip(bounds, scales, strict=True)]
            for bounds in (theory, granted)
        )
    standard_error = float(values.std(ddof=1)) / math.sqrt(values.size)
    return Row(quantity, _mean(theory), float(values.mean()), standard_error, values.size, _mean(granted), outside)


def _mean(bounds: Sequence[Bounds]) -> Bounds:
    lower, upper = (float(np.mean(side)) for side in zip(*((b.lower, b.upper) for b in bounds), strict=True))
    return Bounds(lower, upper)


def _corrections(theory: EigenvalueStatistics, quantity: str) -> list[Correction]:
    return [correction for correction in theory.corrections if correction.quantity == quantity]


def _leading_parameters(experiment: Any) -> float:
    return float(experiment.network.alpha * experiment.width**2)
