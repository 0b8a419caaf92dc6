"""Theorems 2.2 and 3.3 for many networks at once; for one network see ``eigenvalues``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..eigenvalues import Regime
from ..eigenvalues.hypotheses import CANCELLED, ZERO
from ..eigenvalues.mean_subtraction import choose_regime
from ..gaussian import Array
from ..normalization import OutputNormalization
from ..order_parameters import ALIKE
from ..records import Pair


@dataclass(frozen=True, eq=False)
class GridStatistics:
    """The eigenvalues of networks of one width and one number of samples, in arrays of one dimension."""

    mean: Array
    second_moment: Array
    lower: Array
    upper: Array
    prediction: Array
    theorem: str
    refused: NDArray[np.bool_]
    """Where kappa_2 is not told from zero: the theorem does not apply, or rounding decides."""
    lost: NDArray[np.bool_]
    """Where kappa_1 - kappa_2, which mean subtraction leaves, has lost its digits."""


def grid_statistics(
    block: Pair[Array],
    kappa: Pair[Array],
    alike: Array,
    *,
    output: OutputNormalization,
    outputs: int,
    width: int,
    samples: int,
    parameters: float,
    regime: Regime,
) -> GridStatistics:
    """Return what ``eigenvalue_statistics`` does for each network alone, without or with mean subtraction.

    Parameters
    ----------
    block : Pair of array
        F*(k, k) on and off its diagonal.
    kappa : Pair of array
    alike : array
        The smallest (q_t - q_st)/q_t of any layer.
    output : OutputNormalization
        NONE or MEAN.
    outputs, width, samples : int
        C, M and T, which is at least 2 for MEAN.
    parameters : float
        P.
    regime : Regime

    Equations: (10), (16), (17), (18), (S.37), (S.38)
    """
    rest = samples - 1
    refused = kappa.cross <= ZERO * kappa.same
    if output is OutputNormalization.NONE:
        uniform = block.same + rest * block.cross
        mean = outputs * samples * block.same / parameters
        second_moment = outputs * samples * (block.same**2 + rest * block.cross**2) / parameters
        nowhere = np.zeros(uniform.shape, dtype=bool)
        return GridStatistics(mean, second_moment, uniform, uniform, uniform, "Theorem 2.2", refused, nowhere)
    contrast = block.same - block.cross
    lost = (contrast <= CANCELLED * block.same) | (alike <= ALIKE)
    mean = outputs * rest * contrast / parameters
    second_moment = outputs * rest * contrast**2 / parameters
    chosen, _ = choose_regime(regime, samples, width)
    if chosen is Regime.FIXED:
        return GridStatistics(
            mean, second_moment, contrast, contrast, contrast, "Theorem 3.3 (i)", refused, lost & ~refused
        )
    upper = np.maximum(np.sqrt(parameters * second_moment), contrast)
    unknown = np.full(contrast.shape, np.nan)
    return GridStatistics(mean, second_moment, contrast, upper, unknown, "Theorem 3.3 (ii)", refused, lost & ~refused)
