"""lambda_max of many surrogates, of outputs with batch normalisation or without; its mean by control variates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg, special

from ..gaussian import Array
from .chain import Chain
from .surrogate import Surrogate

_PLACES = 100_000
"""At which a quantile function is averaged."""


@dataclass(frozen=True, eq=False)
class BulkDraws:
    """lambda_max of surrogates."""

    values: Array
    """Shape (draws,)."""
    controls: Array
    """Numbers of the same draws less their expectations, shape (draws, controls)."""

    @property
    def mean(self) -> float:
        """The mean, with what the controls explain of its deviation taken out."""
        return float(self._fit[0][0])

    @property
    def standard_error(self) -> float:
        """Of ``mean``."""
        rest, unknowns = self._fit[1], self.controls.shape[1] + 1
        return float(np.linalg.norm(rest)) / math.sqrt(max(rest.size - unknowns, 1) * rest.size)

    @cached_property
    def _fit(self) -> tuple[Array, Array]:
        """Return the coefficients of the regression on 1 and the controls, and what it leaves."""
        design = np.column_stack([np.ones_like(self.values), self.controls])
        coefficients: Array = np.linalg.lstsq(design, self.values, rcond=None)[0].astype(np.float64)
        return coefficients, self.values - design @ coefficients


def draw_largest(chain: Chain, outputs: int, *, variance: float | None, draws: int, seed: int) -> BulkDraws:
    """Draw surrogates.

    Parameters
    ----------
    chain, outputs
        As for :class:`Surrogate`.
    variance : float, optional
        Of the outputs on the contrasts, if they are batch-normalised: given the activities they are Gaussian.
    draws, seed : int
        The generator is ``np.random.default_rng(seed)``.
    """
    surrogate, rng = Surrogate(chain, outputs), np.random.default_rng(seed)
    bulk, freedom = chain.bulk / chain.samples, chain.samples - 1
    values, controls = np.empty(draws), np.empty((draws, 1 if variance is None else 2))
    expected = _inverse_least(freedom, outputs)
    for n in range(draws):
        dual, overlap = surrogate.draw(rng)
        controls[n, 0] = np.trace(dual) / (bulk * len(dual)) - 1
        if variance is not None:
            z = rng.standard_normal((freedom, outputs))
            controls[n, 1] = freedom / np.min(np.sum(z**2, axis=0)) - expected
            dual = normalised(dual, math.sqrt(variance) * linalg.cholesky(overlap, lower=True) @ z, chain.samples)
        values[n] = linalg.eigh(dual, eigvals_only=True, subset_by_index=[len(dual) - 1] * 2)[0]
    return BulkDraws(values, controls)


def normalised(dual: Array, u: Array, samples: int) -> Array:
    """Return the dual of batch-normalised outputs u, shape (T-1, C): blocks P_k dual P_k'/(sigma_k sigma_k')."""
    lengths = np.linalg.norm(u, axis=0)
    identity, scale = np.eye(len(u)), math.sqrt(samples)  # sigma = |u|/sqrt(T)
    blocks = [(identity - np.outer(v, v)) * scale / length for v, length in zip((u / lengths).T, lengths, strict=True)]
    projector = linalg.block_diag(*blocks)
    return np.asarray(projector @ dual @ projector)


def _inverse_least(freedom: int, number: int) -> float:
    """Return E freedom/min(chi^2_k), over independent chi^2 variables of these degrees of freedom."""
    p = (np.arange(_PLACES) + 0.5) / _PLACES
    return float(np.mean(freedom / special.chdtri(freedom, p ** (1 / number))))
