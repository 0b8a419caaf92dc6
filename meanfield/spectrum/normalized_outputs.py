"""What batch normalisation of the outputs divides by, in the model of one network.

Without their mean over the samples the outputs of a network are u(s) = sum_j zeta_j phi~_j(s)/sqrt(M_{L-1}): given the
nodes Gaussian, of covariance Sigma over the C outputs (``DrawnModel.covariance``), so that the covariance over T
samples is a Wishart matrix of T - 1 degrees of freedom over T. The Jacobian of batch normalisation is 1/sigma_k times a
projection, orthogonal to 1 and u_k, which removes one direction of T: the largest eigenvalue is that of the model whose
outputs are multiplied by 1/sigma_k. For C = 1 it is lambda_max(mean)/sigma^2. Both are large in the same networks,
those with large zeta_j; so that, with D = E sigma^2 and cv^2 = Var(sigma^2)/D^2, the mean of the quotient is

    E lambda_max = (E lambda_max(mean)/D) (1 + (1 - k) cv^2),
    k = Cov(lambda_max(mean), sigma^2)/(E lambda_max(mean) D cv^2).

k is a property of the network, which the draws give. The noise of T samples, 2/T of cv^2, does not take part in it to
leading order: samples that are larger in the direction of u alone, one of M, move lambda_max by O(1/M) of what they
move sigma^2 by. The projection takes O(1/T) of lambda_max (``edge_of``).
"""

from __future__ import annotations

import numpy as np

from ..gaussian import Array
from .drawn import DrawnModel


def drawn_output_variances(model: DrawnModel, rng: np.random.Generator) -> Array:
    """Draw sigma_k^2 of the outputs over T samples, shape (C,): the diagonal of a Wishart matrix over T."""
    values, vectors = np.linalg.eigh(model.covariance)  # of any rank
    own = rng.standard_normal((model.samples - 1, model.outputs)) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    return np.asarray(np.sum(own**2, axis=0) / model.samples)
