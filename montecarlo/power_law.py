"""A power law, deviation = prefactor M^-q, fitted to measurements, with an honest confidence interval of q."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from meanfield import ParameterError
from meanfield.errors import require_number, require_sequence
from meanfield.records import table


@dataclass(frozen=True)
class RateFit:
    """A power law, deviation = prefactor M^-q; prints as a table."""

    q: float
    lower: float
    upper: float
    """Of the confidence interval of q; ``0.5 in fit`` asks whether it holds a value."""
    confidence: float
    prefactor: float
    widths: tuple[float, ...]
    deviations: tuple[float, ...]
    """One for each width: the root mean square over members, where there are members."""
    standard_errors: tuple[float, ...]
    """Of the deviations: from the members, or else from their scatter about the line."""

    def __contains__(self, q: float) -> bool:
        return self.lower <= q <= self.upper

    @property
    def line(self) -> tuple[float, ...]:
        """The power law at the widths."""
        return tuple(self.prefactor * width**-self.q for width in self.widths)

    def __str__(self) -> str:
        rows = [
            (f"{width:g}", f"{deviation:.4g} ± {error:.1e}", f"{fitted:.4g}")
            for width, deviation, error, fitted in zip(
                self.widths, self.deviations, self.standard_errors, self.line, strict=True
            )
        ]
        interval = f"{100 * self.confidence:g} % [{self.lower:.3f}, {self.upper:.3f}]"
        return f"q = {self.q:.3f}, {interval}\n" + table(rows, ("width", "deviation", f"{self.prefactor:.3g} M^-q"))


def fit_rate(
    widths: Sequence[float], deviations: Sequence[ArrayLike] | NDArray[np.float64], *, confidence: float = 0.95
) -> RateFit:
    """Fit deviation = prefactor M^-q by least squares in logarithms, with a confidence interval of q.

    Parameters
    ----------
    widths : sequence of float
        M, positive and increasing; at least 2, or 3 where each has a single deviation.
    deviations : sequence of float, or of sequences of float
        For each width the deviations of at least 2 independent members, all positive: the point is their root mean
        square. Or one number, positive: then the points are taken to scatter equally about the line.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    RateFit
        The interval covers chance, not the curvature that terms of higher order in 1/M give at small widths.

    Raises
    ------
    ParameterError
        For too few widths or members, widths that do not increase, deviations that are not positive and finite.

    Equations: (S.5)

    Notes
    -----
    All points have the same weight, and the variance of each, of log(rms) over its members, is estimated by the
    jackknife; the interval is Student's t with the degrees of freedom of Welch and Satterthwaite. This was chosen by
    the coverage of intervals of nominally 95 % in simulated experiments, for 5 to 100 members at 4 or 6 widths and
    squared deviations from nearly normal to log-normal (``benchmarks/rates.py``; 40 cases, each +- 0.5 %):

    =====================================  ================  =======================
    method                                 lowest, highest   10 members, 6 widths [1]_
    =====================================  ================  =======================
    equal weights, jackknife, Welch        93.3 to 96.4 %    95.2 %
    equal weights, delta method, Welch     87.9 to 96.4 %    91.5 %
    weights from the delta method, Welch   79.5 to 94.5 %    86.8 %
    bootstrap of members, percentile       86.5 to 94.8 %    91.0 %
    bootstrap of members, BCa              84.5 to 94.3 %    91.5 %
    scatter of the points about the line   94.0 to 96.0 %    95.6 %, 1.24 times as wide
    =====================================  ================  =======================

    Weights from the data are worst: where chance makes a mean small it makes its error small too. The scatter about the
    line, Student's t with two degrees of freedom less than widths, is what single deviations leave.

    .. [1] Squared deviations with the law of chi-square of one degree of freedom.

    Examples
    --------
    >>> print(fit_rate([100, 400, 1600], [[0.19, 0.21], [0.11, 0.10], [0.049, 0.051]]))
    q = 0.500, 95 % [0.357, 0.644]
    width            deviation    2.04 M^-q
    100       0.2002 ± 1.0e-02       0.2036
    400       0.1051 ± 5.0e-03       0.1017
    1600     0.05001 ± 1.0e-03      0.05084
    """
    confidence = require_number("confidence", confidence, above=0)
    if confidence >= 1:
        raise ParameterError("confidence", "below 1", confidence)
    size, samples = require_widths(widths), _samples(deviations)
    if len(samples) != size.size:
        raise ParameterError("deviations", f"given for each of the {size.size} widths", f"{len(samples)} of them")
    x = np.log(size)
    c = (x - x.mean()) / np.sum((x - x.mean()) ** 2)  # the least-squares slope is c . y
    if samples[0].ndim:
        y, variance, degrees = _from_members(samples, c)
    else:
        y, variance, degrees = _from_scatter(np.array(samples), x, c)
    q = -c @ y
    half = special.stdtrit(degrees, (1 + confidence) / 2) * np.sqrt(c**2 @ variance)
    prefactor = np.exp(y.mean() + q * x.mean())
    return RateFit(
        q=float(q),
        lower=float(q - half),
        upper=float(q + half),
        confidence=confidence,
        prefactor=float(prefactor),
        widths=tuple(size.tolist()),
        deviations=tuple(np.exp(y).tolist()),
        standard_errors=tuple((np.exp(y) * np.sqrt(variance)).tolist()),
    )


def require_widths(widths: Sequence[float]) -> NDArray[np.float64]:
    """Return widths that are positive, increasing, and at least two."""
    values = [require_number("widths", width, above=0) for width in require_sequence("widths", widths)]
    if len(values) < 2:
        raise ParameterError("widths", "at least 2", f"{len(values)}")
    if any(wider <= width for width, wider in pairwise(values)):
        raise ParameterError("widths", "in increasing order, all different", values)
    return np.array(values)


def _from_members(
    samples: Sequence[NDArray[np.float64]], c: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return log(rms) for each width, its variance by the jackknife, and the degrees of freedom of the slope."""
    y, variance = np.array([_log_rms(members) for members in samples]).T
    freedom = np.array([members.size - 1 for members in samples])
    parts = c**2 * variance
    total = parts.sum()
    return y, variance, float(total**2 / np.sum(parts**2 / freedom)) if total else np.inf


def _log_rms(members: NDArray[np.float64]) -> tuple[float, float]:
    """Return log(rms) over members and its variance, from what it is without each of them."""
    n, squares, nothing = members.size, 2 * np.log(members), [-np.inf]
    before = np.concatenate([nothing, np.logaddexp.accumulate(squares)])  # sums of squares that neither overflow
    after = np.concatenate([np.logaddexp.accumulate(squares[::-1])[::-1], nothing])  # nor cancel
    without = (np.logaddexp(before[:-1], after[1:]) - np.log(n - 1)) / 2
    return (before[-1] - np.log(n)) / 2, (n - 1) * float(np.var(without))


def _from_scatter(
    deviations: NDArray[np.float64], x: NDArray[np.float64], c: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return the logarithms, their common variance about the line, and its degrees of freedom."""
    if x.size < 3:
        raise ParameterError("widths", "at least 3, where each has a single deviation", f"{x.size}")
    y = np.log(deviations)
    residuals = y - y.mean() - (c @ y) * (x - x.mean())
    degrees = x.size - 2
    return y, np.full(x.size, residuals @ residuals / degrees), degrees


def _samples(deviations: Sequence[ArrayLike] | NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the deviations for each width: all single numbers, or all arrays of at least 2."""
    expected = "for each width a positive finite number, or at least 2 of them"
    entries = require_sequence("deviations", deviations)
    try:
        if any(map(np.iscomplexobj, entries)):  # NumPy would drop the imaginary parts
            raise TypeError
        samples = [np.asarray(entry, dtype=np.float64) for entry in entries]
    except (TypeError, ValueError):
        raise ParameterError("deviations", expected, repr(deviations)) from None
    if len({sample.ndim for sample in samples}) > 1:
        raise ParameterError("deviations", "for all widths numbers, or for all sequences", "both")
    for sample in samples:
        if sample.ndim > 1 or (sample.ndim and sample.size < 2) or not (np.isfinite(sample) & (sample > 0)).all():
            raise ParameterError("deviations", expected, sample)
    return samples
