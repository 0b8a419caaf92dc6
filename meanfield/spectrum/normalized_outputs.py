"""What batch normalisation of the outputs divides by, in the model of one network.

Without the mean over the samples the outputs of a network are u(s) = sum_j zeta_j phi~_j(s)/sqrt(M_{L-1}): given the
nodes Gaussian, of covariance Sigma over the C outputs (``DrawnModel.covariance``), so that the covariance over T
samples is a Wishart matrix of T - 1 degrees of freedom over T. As the Jacobian of batch normalisation is (1/sigma_k) times the
projection orthogonal to 1 and u_k, and the projection removes one direction of T, the largest eigenvalue is that of the
model whose outputs are multiplied by 1/sigma_k. For C = 1 this is lambda_max(mean)/sigma^2: both are large in the same
networks, which have large zeta_j, so that the mean of the quotient is

    E lambda_max = (E lambda_max(mean)/D) (1 + (1 - k) cv^2),    k = Cov(lambda_max, sigma^2)/(E lambda_max D cv^2).

In sigma^2 the noise of T samples, 2 rho/M of cv^2, does not take part in k to leading order: to make samples larger in
the direction of u alone, one of M, moves lambda_max by O(1/M) of what it moves sigma^2.
"""

from __future__ import annotations

import numpy as np

from ..gaussian import Array
from .drawn import DrawnModel


def drawn_output_variances(model: DrawnModel, rng: np.random.Generator) -> Array:
    """Draw sigma_k^2 of the outputs over T samples, shape (C,): the diagonal of a Wishart matrix over T."""
    factor = np.linalg.cholesky(model.covariance)
    own = rng.standard_normal((model.samples - 1, model.outputs)) @ factor.T
    return np.asarray(np.sum(own**2, axis=0) / model.samples)
