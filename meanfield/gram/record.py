"""The record of the two matrices, and what the theory says with them on the user's own data."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ..eigenvalues import Bounds, EigenvalueStatistics
from ..errors import AssumptionError, ParameterError
from ..gaussian import Array
from ..network import Network
from ..normalization import OutputNormalization
from ..records import table

_DENSE = 200
"""Up to this size all eigenvalues are computed at once."""


@dataclass(frozen=True, eq=False)
class Gram:
    """Covariance and tangent kernel of the limit, for one set of inputs or for two.

    The eigenvalues are those of the Fisher information F of one set of inputs: of F* = tangent / T, each C times. With
    mean subtraction of the outputs they are those of G F* G, G = I - 11'/T; the matrices stay those of the outputs
    before.
    """

    covariance: Array
    """E f(s) f(t) of each output f, before its normalisation: shape (T, T')."""
    tangent: Array | None
    """T F*: the sum over the parameters of the products of derivatives of f(s) and f(t), shape (T, T')."""
    network: Network = field(repr=False)
    parameterization: str
    parameters: float
    """P, the number of parameters of the network at this width; nan without a width."""
    symmetric: bool
    """Whether rows and columns are the same samples."""
    error: float
    """The largest difference found from ``mf.overlap`` on a sample of pairs, or estimated: relative to the root of the
    product of the two entries on the diagonal. Where something was sampled, the largest standard error."""
    covariance_error: Array | None = field(default=None, repr=False)
    """Standard errors of the covariance, where activations behind batch normalisation were sampled; None elsewhere."""
    tangent_error: Array | None = field(default=None, repr=False)
    """Those of the tangent kernel."""
    validity: tuple[str, ...] = ()
    """What is to be known before the numbers are used; empty where there is nothing."""

    @cached_property
    def fisher(self) -> NDArray[np.float64]:
        """F* = tangent / T for one output, with the mean over the samples subtracted if the network subtracts it."""
        if self.tangent is None:
            raise ParameterError("tangent", "computed for eigenvalues", "covariance alone")
        if not self.symmetric:
            raise ParameterError("other", "left out for eigenvalues, which are those of one set of inputs", "given")
        output = self.network.output_normalization
        if output not in (OutputNormalization.NONE, OutputNormalization.MEAN):
            raise AssumptionError(
                f"with {output} normalisation of the outputs the Fisher information depends on the outputs of the "
                "network at hand, and not on their covariance alone; take output='none' or 'mean'"
            )
        dual = self.tangent.astype(np.float64) / len(self.tangent)
        if output is OutputNormalization.MEAN:
            rows = dual.mean(axis=1)
            dual -= rows[:, None]
            dual -= rows
            dual += rows.mean()
        return dual

    @cached_property
    def eigenvalues(self) -> NDArray[np.float64]:
        """The T eigenvalues of F* for one output, from the smallest; those of F are these, C times each, and zeros."""
        return np.asarray(linalg.eigvalsh(self.fisher))

    @cached_property
    def largest(self) -> float:
        """lambda_max of F."""
        size = len(self.fisher)
        if "eigenvalues" in self.__dict__ or size <= _DENSE:
            return float(self.eigenvalues[-1])
        from scipy.sparse.linalg import eigsh  # half of this package's import time

        start = np.random.default_rng(0).standard_normal(size)
        return float(eigsh(self.fisher, k=1, which="LA", v0=start, tol=1e-13, return_eigenvectors=False)[0])

    @property
    def mean(self) -> float:
        """m_lambda = tr F / P."""
        return self.network.outputs * float(np.trace(self.fisher)) / self.parameters

    @property
    def second_moment(self) -> float:
        """s_lambda = tr F^2 / P."""
        return self.network.outputs * float(np.vdot(self.fisher, self.fisher)) / self.parameters

    def statistics(self) -> EigenvalueStatistics:
        """Return the same as a record of eigenvalues, for ``mf.learning_rate_bound`` or to compare with a measurement.

        To leading order in the width: a finite network differs by O(L/M), and for C > 1 its largest eigenvalues split.
        """
        return EigenvalueStatistics(
            mean=self.mean,
            second_moment=self.second_moment,
            parameters=self.parameters,
            largest=Bounds(self.largest, self.largest),
            prediction=self.largest,
            theorem=f"the limit on these inputs, {self.parameterization} parameterization",
        )

    def __str__(self) -> str:
        rows: list[tuple[str, Any]] = [
            ("shape", f"{self.covariance.shape[0]} x {self.covariance.shape[1]}, {self.covariance.dtype}"),
            ("parameterization", self.parameterization),
            ("error", f"{self.error:.1g}"),
            *(("beware", warning) for warning in self.validity),
        ]
        return table(rows)
