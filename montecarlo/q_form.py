"""The dual of normalised outputs as the paper writes it: Q F*_m, which is not symmetric."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from meanfield import OutputNormalization, ParameterError
from meanfield.errors import require_instance

from .dual import MEMORY_LIMIT, dual_gram, project_both_sides, require_memory
from .network import adopt
from .normalize import SAMPLES, UNITS, centre
from .propagate import Sweep


def q_matrix(sweep: Sweep) -> NDArray[np.float64]:
    """Return Q, with F = (R - Rbar) Q (R - Rbar)' for outputs behind batch or layer normalisation.

        batch:  Q(k, k')    = (I - u_k u_k'/(T sigma_k^2))/sigma_k^2 delta_kk',
        layer:  Q(k, k')_st = (delta_kk' - u_k(t) u_k'(t)/(C sigma(t)^2))/sigma(t)^2 delta_st,

    where u are the centred outputs.

    Parameters
    ----------
    sweep : Sweep
        With output normalisation "batch" or "layer".

    Returns
    -------
    array of shape (C T, C T)
        Symmetric; block (k, k') is rows kT .. (k+1)T, columns k'T .. (k'+1)T.

    Raises
    ------
    ParameterError
        For another normalisation of the outputs.

    Notes
    -----
    The paper calls Q(k, k) "a projector to the vector u_k". sigma_k^2 Q(k, k) is the projector onto its complement.

    Equations: (S.47), (S.93)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0, output_normalization="batch")
    >>> finite = mc.FiniteNetwork(network, [[[1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> q_matrix(mc.propagate(finite, [[-1.0], [-1.0], [1.0], [1.0]]))  # u is (-1, -1, 1, 1), sigma is 1
    array([[ 0.75, -0.25,  0.25,  0.25],
           [-0.25,  0.75,  0.25,  0.25],
           [ 0.25,  0.25,  0.75, -0.25],
           [ 0.25,  0.25, -0.25,  0.75]])
    """
    axis = _axis(sweep)
    u = centre(sweep.u[-1], axis).values
    samples, outputs = u.shape
    if axis == SAMPLES:
        variances = np.mean(u**2, axis=0)
        return np.asarray(
            linalg.block_diag(
                *((np.eye(samples) - np.outer(x, x) / (samples * v)) / v for x, v in zip(u.T, variances, strict=True))
            )
        )
    q = np.zeros((outputs, samples, outputs, samples))
    for t, x in enumerate(u):
        variance = np.mean(x**2)
        q[:, t, :, t] = (np.eye(outputs) - np.outer(x, x) / (outputs * variance)) / variance
    return q.reshape(outputs * samples, outputs * samples)


def q_form_gram(sweep: Sweep, *, biases: bool = True, memory_limit: float = MEMORY_LIMIT) -> NDArray[np.float64]:
    """Return Q F*_m, the dual of normalised outputs as the paper writes it.

    F*_m is the dual of the outputs with the mean over the samples (batch) or over the outputs (layer) subtracted. The
    product has the eigenvalues of the symmetric P F* P that :func:`dual_gram` returns.

    Parameters
    ----------
    sweep, biases, memory_limit
        As for :func:`dual_gram`; the outputs behind batch or layer normalisation.

    Returns
    -------
    array of shape (C T, C T)
        Not symmetric; four matrices of this size are held at a time.

    Raises
    ------
    ParameterError
        For another normalisation of the outputs, and where :func:`dual_gram` does.

    Notes
    -----
    (S.96) lacks the factor 1/T that (S.91) has.

    Equations: (S.46), (S.48), (S.92), (S.94)-(S.97)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0, output_normalization="batch")
    >>> finite = mc.FiniteNetwork(network, [[[1.0, 1.0]], [[1.0]]], [[0.0], [0.0]])
    >>> sweep = mc.propagate(finite, [[-2.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    >>> [round(float(np.trace(gram)), 12) for gram in (q_form_gram(sweep), mc.dual_gram(sweep))]
    [0.079881656805, 0.079881656805]
    """
    axis = _axis(sweep)
    size = sweep.outputs.size
    require_memory(8 * 4 * size**2 / 2**30, memory_limit)
    gram = dual_gram(_with_plain_outputs(sweep), biases=biases, memory_limit=memory_limit)
    project_both_sides(gram, centre(sweep.u[-1], axis))
    return np.asarray(q_matrix(sweep) @ gram)


def _axis(sweep: Sweep) -> int:
    require_instance("sweep", sweep, Sweep)
    output = sweep.finite_network.network.output_normalization
    if output not in (OutputNormalization.BATCH, OutputNormalization.LAYER):
        raise ParameterError(
            "sweep", "of outputs with batch or layer normalisation", f"output_normalization={output!s}"
        )
    return SAMPLES if output is OutputNormalization.BATCH else UNITS


def _with_plain_outputs(sweep: Sweep) -> Sweep:
    """Return the same sweep with its outputs as they are: u, h and delta do not depend on their normalisation."""
    finite = sweep.finite_network
    network = finite.network.normalized(output=OutputNormalization.NONE)
    return Sweep(adopt(network, finite.weights, finite.biases), sweep.u[-1], sweep.h, sweep.u, sweep.delta)
