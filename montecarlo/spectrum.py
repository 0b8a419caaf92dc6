"""What is measured on the dual Gram: moments, the largest eigenvalue, its eigenspace, and the last layer's block."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.linalg import get_blas_funcs
from scipy.sparse import linalg as sparse_linalg

from meanfield import (
    AssumptionError,
    Bounds,
    Eigenspace,
    EigenvalueStatistics,
    OutputNormalization,
    ReadoutScales,
)
from meanfield.errors import require_instance

from .codec import register
from .dual import MEMORY_LIMIT, dual_gram
from .dual_operator import dual_operator, plain_trace
from .dual_tiles import dual_moments, sum_of_squares
from .eigenvalue_method import EigenvalueMethod, choose_method
from .lanczos import largest_eigenvalue_of
from .last_layer import last_layer_gram, require_plain_outputs
from .normalize import normalise_outputs, require_digits
from .propagate import Sweep

_DENSE = 200
"""Up to this size the dense eigensolver is faster than Lanczos iterations."""


def measure_eigenvalues(
    sweep: Sweep,
    *,
    biases: bool = True,
    memory_limit: float = MEMORY_LIMIT,
    method: EigenvalueMethod | str = EigenvalueMethod.AUTO,
) -> EigenvalueStatistics:
    """Measure the mean, the second moment and the largest eigenvalue of the Fisher information of a finite network.

    Parameters
    ----------
    sweep, biases, memory_limit
        As for :func:`dual_gram`.
    method : EigenvalueMethod
        Whether the Gram is formed; :func:`choose_method` tells what "auto" does. Both give the same to rounding.

    Returns
    -------
    EigenvalueStatistics
        The record that the theory fills, with lambda_max in ``prediction`` and as both ends of ``largest``; P counts
        the weights, and the biases if they are part of F. Behind batch or layer normalisation of the outputs
        ``readout`` has this network's own scales. Accurate to rounding in the precision of the sweep.

    Raises
    ------
    ParameterError
        If that would take more memory than the limit; nothing is allocated before.
    ArithmeticError
        If a gradient overflows, or too few digits are left behind normalised outputs: see :func:`dual_gram`.

    Notes
    -----
    Without the Gram the moments are sums over its tiles, each formed once: exact to rounding, no estimates.

    Equations: (S.3), (S.23), (S.34), (S.53)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> sweep = mc.propagate(mc.FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]]), [[1.0]])
    >>> measured = mc.measure_eigenvalues(sweep)
    >>> measured.prediction, measured.mean, measured.parameters
    (23.0, 5.75, 4.0)
    """
    require_instance("sweep", sweep, Sweep)
    finite = sweep.finite_network
    divides = finite.network.output_normalization in (OutputNormalization.BATCH, OutputNormalization.LAYER)
    readout = ReadoutScales.from_outputs(sweep.u[-1]) if divides else None
    parameters = finite.parameters(biases=biases)
    if _method_for(sweep, method, memory_limit) is EigenvalueMethod.DENSE:
        gram = dual_gram(sweep, biases=biases, memory_limit=memory_limit)
        return _statistics(*_moments(gram), largest_eigenvalue(gram), parameters, readout)
    trace, squares = dual_moments(sweep, biases=biases)
    return _statistics(trace, squares, largest_eigenvalue(dual_operator(sweep, biases=biases)), parameters, readout)


def measure_largest(
    sweep: Sweep,
    *,
    biases: bool = True,
    memory_limit: float = MEMORY_LIMIT,
    method: EigenvalueMethod | str = EigenvalueMethod.AUTO,
) -> float:
    """Measure lambda_max alone: with many outputs this needs far less time than the moments do.

    Parameters
    ----------
    sweep, biases, memory_limit, method
        As for :func:`measure_eigenvalues`; for many outputs "auto" forms no Gram: see :func:`choose_method`.

    Returns
    -------
    float
        Accurate to rounding in the precision of the sweep: the iterations go on until the residual is below 1e-12 of it
        (in float32 4e-6), the error is about its square over the gap to the next eigenvalue.

    Raises
    ------
    ParameterError, ArithmeticError
        As for :func:`measure_eigenvalues`; and if the iterations do not converge.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> measure_largest(mc.propagate(mc.FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]]), [[1.0]]))
    23.0
    """
    require_instance("sweep", sweep, Sweep)
    if _method_for(sweep, method, memory_limit, with_moments=False) is EigenvalueMethod.DENSE:
        return largest_eigenvalue(dual_gram(sweep, biases=biases, memory_limit=memory_limit))
    largest = largest_eigenvalue(dual_operator(sweep, biases=biases))
    of_outputs = normalise_outputs(sweep.u[-1], sweep.finite_network.network.output_normalization)
    # rounding is spread over all eigenvalues: of the largest it is less than the trace would say
    left = math.sqrt(sweep.outputs.size) * largest
    require_digits(left, plain_trace(sweep, of_outputs.inverse_variances, biases=biases), of_outputs)
    return largest


def measure_last_layer(sweep: Sweep, *, biases: bool = True) -> EigenvalueStatistics:
    """Measure the eigenvalue statistics of F_L, the block of F that belongs to the parameters of the last layer.

    Parameters
    ----------
    sweep, biases
        As for :func:`last_layer_gram`.

    Returns
    -------
    EigenvalueStatistics
        Of F_L; its P is C (M_{L-1} + 1), without the 1 if the biases are no part of F. lambda_max(F) is at least
        lambda_max(F_L). Accurate to rounding.

    Raises
    ------
    AssumptionError
        If the outputs are normalised.

    Equations: (S.62)-(S.64)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> sweep = mc.propagate(mc.FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]]), [[1.0]])
    >>> measure_last_layer(sweep).prediction, mc.measure_eigenvalues(sweep).prediction
    (5.0, 23.0)
    """
    gram = last_layer_gram(sweep, biases=biases)
    outputs = sweep.outputs.shape[1]
    parameters = outputs * (sweep.h[-1].shape[1] + (1 if biases else 0))
    trace, squares = _moments(gram)
    return _statistics(outputs * trace, outputs * squares, largest_eigenvalue(gram), parameters)


def measure_eigenspace(sweep: Sweep, *, biases: bool = True, memory_limit: float = MEMORY_LIMIT) -> Eigenspace:
    """Measure how well the mean gradients span the eigenspace of the C largest eigenvalues of F (Theorem 3.1).

    The alignment is the mean squared cosine of the principal angles, in parameter space, between the span of the
    E grad f_k, k = 1 .. C, and that of the C leading eigenvectors of F: 1 where Theorem 3.1 holds exactly. For C > 1
    only the subspace is determined; single eigenvectors are mixtures. The residual is |F v - lambda v|/(lambda |v|) for
    v = E grad f_k and the measured lambda_max, root mean square over k.

    Parameters
    ----------
    sweep, biases, memory_limit
        As for :func:`dual_gram`; outputs without normalisation.

    Returns
    -------
    Eigenspace
        The alignment is in [0, 1]. Accurate to rounding.

    Raises
    ------
    AssumptionError
        If the outputs are normalised: with mean subtraction E grad f_k = 0. Or if F has fewer than C positive
        eigenvalues.

    Notes
    -----
    With R = [grad f_k(t)]/sqrt(T), E grad f_k = R nu_k and an eigenvector of F is R w/sqrt(lambda), w one of F* = R'R;
    F v - lambda v = R (F* nu_k - lambda nu_k). All inner products are therefore those of F*, and no vector of
    parameters is formed.

    Equations: (12), (S.13), (S.15), (S.16), Theorem 3.1

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> finite = mc.FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]])
    >>> measure_eigenspace(mc.propagate(finite, [[1.0]])).alignment  # one sample: its gradient is the eigenvector
    1.0
    """
    require_instance("sweep", sweep, Sweep)
    require_plain_outputs(sweep.finite_network.network.output_normalization, "Theorem 3.1")
    gram = dual_gram(sweep, biases=biases, memory_limit=memory_limit)
    samples, outputs = sweep.outputs.shape
    size = len(gram)
    nu = np.kron(np.eye(outputs), np.full((samples, 1), samples**-0.5))
    # Dense: Lanczos iterations may miss copies of a degenerate eigenvalue
    eigenvalues, w = linalg.eigh(gram, subset_by_index=(size - outputs, size - 1))
    if eigenvalues[0] <= np.finfo(gram.dtype).eps * size * eigenvalues[-1]:
        raise AssumptionError(f"Theorem 3.1 needs {outputs} positive eigenvalues, and F has fewer")
    # N = R nu is orthonormalised by N'N = nu' F* nu = S S'; the cosines are S^-1 N' R w/sqrt(lambda), R'R w = lambda w
    products = nu.T @ gram @ nu
    s = linalg.cholesky(products, lower=True)
    cosines = linalg.solve_triangular(s, nu.T @ w * np.sqrt(eigenvalues), lower=True)
    off = gram @ nu - eigenvalues[-1] * nu
    squares = np.einsum("ik,ik->k", off, gram @ off) / np.diagonal(products)
    return Eigenspace(
        alignment=float(np.sum(cosines**2) / outputs),
        residual=float(np.sqrt(max(np.mean(squares), 0.0)) / eigenvalues[-1]),
        parameters=float(sweep.finite_network.parameters(biases=biases)),
        theorem="measured",
    )


@register
@dataclass(frozen=True, eq=False)
class Eigenvalues:
    """All eigenvalues of the dual F* of one network."""

    values: NDArray[np.float64]
    """In decreasing order: shape (C T,). Those of directions that a normalisation removes are zero up to rounding."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Eigenvalues) and np.array_equal(self.values, other.values)

    __hash__ = None  # type: ignore[assignment]  # arrays have none


def measure_all_eigenvalues(sweep: Sweep, *, biases: bool = True, memory_limit: float = MEMORY_LIMIT) -> Eigenvalues:
    """Measure every eigenvalue of the dual F* of a finite network, which are those of F that are not zero.

    Parameters and errors are those of :func:`dual_gram`; it takes a dense eigensolver.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network, rng = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0), np.random.default_rng(0)
    >>> finite = mc.sample_network(network, width=20, rng=rng)
    >>> sweep = mc.propagate(finite, mc.sample_inputs(network, width=20, samples=5, rng=rng))
    >>> measure_all_eigenvalues(sweep).values.shape
    (5,)
    """
    gram = dual_gram(sweep, biases=biases, memory_limit=memory_limit)
    return Eigenvalues(np.asarray(linalg.eigvalsh(gram)[::-1], dtype=np.float64))


def _method_for(
    sweep: Sweep, method: EigenvalueMethod | str, memory_limit: float, *, with_moments: bool = True
) -> EigenvalueMethod:
    finite = sweep.finite_network
    # the widths of this network itself, which need not be those of its width ratios
    return choose_method(
        replace(finite.network, width_ratios=finite.widths[:-1]),
        width=1,
        samples=sweep.samples,
        method=method,
        dtype=sweep.outputs.dtype,
        memory_limit=memory_limit,
        with_moments=with_moments,
    )


def _moments(gram: NDArray[np.float64]) -> tuple[float, float]:
    """Return the trace and the sum of the squares of a Gram."""
    return float(np.trace(gram, dtype=np.float64)), sum_of_squares(gram)


def _statistics(
    trace: float, squares: float, largest: float, parameters: int, readout: ReadoutScales | None = None
) -> EigenvalueStatistics:
    return EigenvalueStatistics(
        mean=trace / parameters,
        second_moment=squares / parameters,
        parameters=float(parameters),
        largest=Bounds(largest, largest),
        prediction=largest,
        theorem="measured",
        readout=readout,
    )


def largest_eigenvalue(gram: NDArray[np.float64] | sparse_linalg.LinearOperator) -> float:
    """Return the largest eigenvalue of a Gram, or of an operator."""
    size = gram.shape[0]
    if not isinstance(gram, np.ndarray):
        return largest_eigenvalue_of(gram.matvec, size, dtype=gram.dtype).value
    if size <= _DENSE:
        if not np.isfinite(gram).all():
            raise ArithmeticError("gradients are not finite: the network or its inputs are too large")
        return float(linalg.eigh(gram, eigvals_only=True, subset_by_index=(size - 1, size - 1))[0])
    # reads one triangle of the Gram, half the memory traffic of gram @ v
    symv = get_blas_funcs("symv", (gram,))
    return largest_eigenvalue_of(partial(symv, 1.0, gram.T), size, dtype=gram.dtype).value
