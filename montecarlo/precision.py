"""What float32 costs: some networks of an ensemble measured again in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from meanfield import ParameterError
from meanfield.errors import require_instance

from .codec import flatten
from .ensemble import Ensemble, run_ensemble

_NETWORKS = 3
"""How many networks are measured again, if there are so many."""


@dataclass(frozen=True)
class PrecisionError:
    """How far networks in float32 are from themselves in float64."""

    width: int
    samples: int
    """M and T of these networks: those of the ensemble, or the largest of their halves that fit in float64."""
    networks: int
    """How many were measured again."""
    errors: Mapping[str, float]
    """Of every number of the record, relative to it: the largest of these networks."""

    @property
    def worst(self) -> str:
        """The number with the largest error."""
        return max(self.errors, key=lambda name: self.errors[name])

    def __str__(self) -> str:
        size = f"M = {self.width}, T = {self.samples}"
        which = "one network" if self.networks == 1 else f"the first {self.networks} networks"
        return (
            f"float32: off by up to {self.errors[self.worst]:.0e} ({self.worst}) in {which}, {size}; others may be more"
        )


def precision_error(ensemble: Ensemble[Any]) -> PrecisionError:
    """Estimate the errors of an ensemble in float32 from its first networks, at most three, run again in float64.

    Parameters
    ----------
    ensemble : Ensemble
        Of an experiment with ``dtype="float32"``.

    Returns
    -------
    PrecisionError
        Other networks have errors of the same kind, but not of the same size: several times as large, and where
        scales divide by outputs that happen to be small, a hundred times. Where float64 does not fit into the memory
        limit of the experiment M and T are halved until it does: errors grow slowly with the size.

    Raises
    ------
    ParameterError
        For an ensemble in float64.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> experiment = mc.EigenvalueExperiment(network, width=100, samples=100, dtype="float32")
    >>> error = precision_error(mc.run_ensemble(experiment, members=2, seed=0))
    >>> error.width, error.errors["mean"] < 1e-6, error.errors["prediction"] < 1e-5
    (100, True, True)
    """
    require_instance("ensemble", ensemble, Ensemble)
    single: Any = ensemble.experiment
    if getattr(single, "dtype", "float64") != "float32":
        raise ParameterError("ensemble", "of an experiment in float32", single)
    double = _in_double(single)
    records = ensemble.members[:_NETWORKS]
    if double.width != single.width:
        smaller = replace(single, width=double.width, samples=double.samples)
        records = run_ensemble(smaller, members=len(records), seed=ensemble.seed).members
    errors: dict[str, float] = {}
    for record, exact in zip(
        records, run_ensemble(double, members=len(records), seed=ensemble.seed).members, strict=True
    ):
        reference = flatten(exact)
        for name, value in flatten(record).items():
            if isinstance(value, float):
                error = abs(value - reference[name]) / (abs(reference[name]) or 1.0)
                errors[name] = max(error, errors.get(name, 0.0))
    return PrecisionError(double.width, double.samples, len(records), errors)


def _in_double(experiment: Any) -> Any:
    """Return the experiment in float64, at a size that fits."""
    width, samples = experiment.width, experiment.samples
    while True:
        try:
            return replace(experiment, dtype="float64", width=width, samples=samples)
        except ParameterError:
            if width < 2 or samples < 4:
                raise
            width, samples = width // 2, samples // 2
