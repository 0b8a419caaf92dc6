"""What is measured on the dual Gram: moments, the largest eigenvalue, and the eigenspace that belongs to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.sparse import linalg as sparse_linalg

from meanfield import AssumptionError, Bounds, EigenvalueStatistics, OutputNormalization

from .dual import MEMORY_LIMIT, dual_gram
from .propagate import Sweep

_DENSE = 200
"""Up to this size the dense eigensolver is faster than Lanczos iterations."""

_ZERO = float(np.finfo(np.float64).eps)
"""An eigenvalue below this times the size, relative to the largest, is zero."""


def measure_eigenvalues(
    sweep: Sweep, *, biases: bool = True, memory_limit: float = MEMORY_LIMIT
) -> EigenvalueStatistics:
    """Measure the mean, the second moment and the largest eigenvalue of the Fisher information of a finite network.

    Parameters
    ----------
    sweep, biases, memory_limit
        As for :func:`dual_gram`, which is formed here.

    Returns
    -------
    EigenvalueStatistics
        The record that the theory fills, with lambda_max in ``prediction`` and as both ends of ``largest``; P counts
        the weights, and the biases if they are part of F. Accurate to rounding.

    Equations: (S.3), (S.23), (S.34)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> sweep = mc.propagate(mc.FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]]), [[1.0]])
    >>> measured = mc.measure_eigenvalues(sweep)
    >>> measured.prediction, measured.mean, measured.parameters
    (23.0, 5.75, 4.0)
    """
    gram = dual_gram(sweep, biases=biases, memory_limit=memory_limit)
    finite = sweep.finite_network
    parameters = sum(w.size + (b.size if biases else 0) for w, b in zip(finite.weights, finite.biases, strict=True))
    largest = _largest(gram)
    return EigenvalueStatistics(
        mean=float(np.trace(gram)) / parameters,
        second_moment=float(np.vdot(gram, gram)) / parameters,
        parameters=float(parameters),
        largest=Bounds(largest, largest),
        prediction=largest,
        theorem="measured",
    )


def measure_alignment(sweep: Sweep, *, biases: bool = True, memory_limit: float = MEMORY_LIMIT) -> float:
    """Measure how well the mean gradients span the eigenspace of the C largest eigenvalues of F (Theorem 3.1).

    It is the mean squared cosine of the principal angles, in parameter space, between the span of E grad f_k,
    k = 1 .. C, and that of the C leading eigenvectors of F: 1 where Theorem 3.1 holds exactly. For C > 1 only the
    subspace is determined; single eigenvectors are mixtures.

    Parameters
    ----------
    sweep, biases, memory_limit
        As for :func:`dual_gram`.

    Returns
    -------
    float
        In [0, 1], to rounding.

    Raises
    ------
    AssumptionError
        If the mean is subtracted in the last layer: then E grad f_k = 0. Or if F has fewer than C positive eigenvalues.

    Notes
    -----
    With R = [grad f_k(t)]/sqrt(T), E grad f_k = R nu_k and an eigenvector of F is R w/sqrt(lambda), w one of F* = R'R.
    All inner products are therefore those of F*, and no vector of parameters is formed.

    Equations: (12), (S.13), (S.15), Theorem 3.1
    """
    if sweep.finite_network.network.output_normalization is not OutputNormalization.NONE:
        raise AssumptionError("Theorem 3.1 needs outputs without normalisation: with mean subtraction E grad f_k = 0")
    gram = dual_gram(sweep, biases=biases, memory_limit=memory_limit)
    samples, outputs = sweep.outputs.shape
    size = len(gram)
    nu = np.kron(np.eye(outputs), np.full((samples, 1), samples**-0.5))
    # Dense: Lanczos iterations may miss copies of a degenerate eigenvalue
    eigenvalues, w = linalg.eigh(gram, subset_by_index=(size - outputs, size - 1))
    if eigenvalues[0] <= _ZERO * size * eigenvalues[-1]:
        raise AssumptionError(f"Theorem 3.1 needs {outputs} positive eigenvalues, and F has fewer")
    # N = R nu is orthonormalised by N'N = nu' F* nu = S S'; the cosines are S^-1 N' R w/sqrt(lambda), R'R w = lambda w
    s = linalg.cholesky(nu.T @ gram @ nu, lower=True)
    cosines = linalg.solve_triangular(s, nu.T @ w * np.sqrt(eigenvalues), lower=True)
    return float(np.sum(cosines**2) / outputs)


def _largest(gram: NDArray[np.float64]) -> float:
    """Return the largest eigenvalue."""
    size = len(gram)
    if size > _DENSE and gram.any():
        start = np.random.default_rng(0).standard_normal(size)  # fixed: the same matrix gives the same bits
        return float(sparse_linalg.eigsh(gram, k=1, which="LA", v0=start, tol=0, return_eigenvectors=False)[0])
    return float(linalg.eigh(gram, eigvals_only=True, subset_by_index=(size - 1, size - 1))[0])
