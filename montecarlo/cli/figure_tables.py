"""The tables that ``montecarlo figure ..`` prints."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from meanfield.records import table

from ..compare import LARGEST, SHARP
from ..comparison import HEADERS
from ..paper import FIGURE_S1_QUANTITY, DensityCurve, RateCurve, SharpnessCurve, TrainingMap


def figure_1_table(curves: Sequence[SharpnessCurve]) -> str:
    """Return lambda_max at every width, theory beside experiment."""
    rows = []
    for curve in curves:
        for point in curve.points:
            for row in point.comparison.rows:
                if row.quantity in (LARGEST, SHARP):
                    output = curve.network.output_normalization + ("" if row.quantity == LARGEST else ", spectrum")
                    rows.append((curve.name, output, point.width, *row.cells[1:]))
    return table(rows, ("network", "output", "M = T", *HEADERS[1:]))


def figure_s1_table(curves: Sequence[RateCurve]) -> str:
    """Return the deviations of qtilde^1_st, fits and theory."""
    return "\n\n".join(_rate_table(curve) for curve in curves)


def _rate_table(curve: RateCurve) -> str:
    fit = curve.fit
    rows = [
        (f"{width:g}", f"{deviation:.4g} ± {error:.1e}", f"{fitted:.4g}", f"{theory:.4g}", f"{deviation / theory:.3f}")
        for width, deviation, error, fitted, theory in zip(
            fit.widths, fit.deviations, fit.standard_errors, fit.line, curve.line, strict=True
        )
    ]
    headers = ("width", "deviation", f"{fit.prefactor:.3g} M^-q", f"theory {curve.variance**0.5:.4g} M^-1/2", "ratio")
    interval = f"{100 * fit.confidence:g} % [{fit.lower:.3f}, {fit.upper:.3f}]"
    return (
        f"{curve.name}: {FIGURE_S1_QUANTITY}\nq = {fit.q:.3f}, {interval}; "
        f"measured/theory {curve.ratio:.3f} ± {curve.ratio_error:.3f}\n{table(rows, headers)}"
    )


def spectrum_table(curves: Sequence[DensityCurve]) -> str:
    """Return lambda_max and the distance between density and eigenvalues."""
    rows = []
    for curve in curves:
        largest = curve.eigenvalues[:, 0]
        measured = f"{largest.mean():.4g} ± {largest.std(ddof=1) / math.sqrt(largest.size):.1e}"
        ratio = f"{largest.mean() / curve.largest:.3f}"
        rows.append((curve.name, curve.width, f"{curve.largest:.4g}", measured, ratio, f"{curve.distance:.3f}"))
    return table(rows, ("network", "M = T", "lambda_max", "measured", "ratio", "Kolmogorov-Smirnov"))


def training_table(maps: Sequence[TrainingMap]) -> str:
    """Return the thresholds at every width, the rates at which the loss explodes, and the lines."""
    rows = []
    for one in maps:
        for point in one.points:
            thresholds = [sweep.threshold for sweep in point.trials]
            surviving, exploding = (
                float(np.mean([getattr(sweep, name) / sweep.threshold.critical for sweep in point.trials]))
                for name in ("largest_surviving", "smallest_exploding")
            )
            rows.append(
                (
                    one.network.output_normalization,
                    point.width,
                    _mean([threshold.critical for threshold in thresholds], ".3g"),
                    _mean([threshold.measured for threshold in thresholds], ".3g"),
                    _mean([threshold.ratio for threshold in thresholds], ".4f"),
                    f"{surviving:.3g} .. {exploding:.3g}" if math.isfinite(exploding) else f"above {surviving:.3g}",
                    f"{point.line:.3g}",
                    f"{point.line / np.mean([threshold.measured for threshold in thresholds]):.3g}",
                )
            )
    headers = ("output", "M", "2/lambda_max", "threshold", "ratio", "explodes at", "line", "line/threshold")
    return f"{table(rows, headers)}\n\n{_TRAINING_NOTE}"


def _mean(values: Sequence[float], form: str) -> str:
    """Return a mean with its standard error, if there is one."""
    if len(values) == 1:
        return f"{values[0]:{form}}"
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    return f"{np.mean(values):{form}} ± {error:{form.replace('3g', '1g')}}"


_TRAINING_NOTE = """\
2/lambda_max: of the networks at initialisation; ± the standard error over the trials, if there are several.
threshold: the rate above which a small residual of the same networks grows, by gradient descent; within 1 %.
explodes at: between which rates, divided by 2/lambda_max: all up to the first survive, and the second explodes.
line: the theory, 2/lambda_max by Theorem 2.2, and 2/(lower bound of lambda_max) where the outputs are normalised, which
is not the threshold: at fixed T that bound grows like M, and lambda_max far more slowly."""
