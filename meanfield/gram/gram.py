"""The limit on real inputs: covariance of the outputs and tangent kernel of the samples that are given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..errors import ParameterError, require_number
from ..gaussian import Array
from ..network import Network
from .batch_norm_sampled import Sampling
from .check import check
from .inputs import InputGram
from .matrices import Problem
from .record import Gram
from .request import Parameterization, gram_memory, read_request, threads_of
from .whole_batch import gram_of_batch

MEMORY_LIMIT = 8.0
"""GiB that the matrices may take unless the user says otherwise."""

TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class GramBlock:
    """Some rows of the two matrices."""

    rows: slice
    covariance: Array
    """Shape (rows, T')."""
    tangent: Array | None
    """In the same shape."""


def gram(
    network: Network,
    inputs: ArrayLike | InputGram,
    other: ArrayLike | None = None,
    *,
    width: int | None = None,
    parameterization: Parameterization | str = Parameterization.STANDARD,
    biases: bool = True,
    tangent: bool = True,
    dtype: DTypeLike = np.float64,
    tolerance: float = TOLERANCE,
    threads: int | None = None,
    memory_limit: float = MEMORY_LIMIT,
    sampling: Sampling | None = None,
) -> Gram:
    r"""Return the covariance of the outputs and the tangent kernel of an infinitely wide network on real inputs.

    With qhat^0_st = x(s).x(t)/M_0 and q^{l+1} = s_w^2 qhat^l + s_b^2 for every pair of samples,

        qhat^{l+1}_st = E phi(u) phi(v),        (u, v) ~ N(0, [[q^{l+1}_ss, q^{l+1}_st], [q^{l+1}_st, q^{l+1}_tt]]);

    the covariance is q^L, and T F* = \sum_l qtilde^l (M_{l-1} qhat^{l-1} + 1), with qtilde of (7) for each pair. With
    layer normalisation in the hidden layers each sample's pre-activations are divided by sqrt(q_ss). With batch
    normalisation all samples together are the batch, u(s) of one unit ~ N(0, q), G = I - 11'/T:

        qhat <- E phi(n) phi(n)',    Theta <- s_w^2 E[s^-2 D P Theta P D],    n = G u/s,    s^2 = |G u|^2/T + epsilon,

    D = diag phi'(n), P = G - n n'/T.

    Parameters
    ----------
    network : Network
        The normalisation of the outputs enters the eigenvalues alone.
    inputs : array_like of shape (T, M_0), or InputGram
        Real inputs, in the scale that the network sees: M_0 is their dimension, whatever ``width_ratios`` says.
    other : array_like of shape (T', M_0), optional
        A second set, for the columns: test against training inputs. Not with hidden batch normalisation.
    width : int
        M, from which the other layers have M_l = alpha_l M units. Not needed for "ntk", where it cancels.
    parameterization : Parameterization or str
        Of the tangent kernel. "standard": M_0 is the dimension of the inputs, M_l counts the weights of the layers
        above. "ntk": T F* = \sum_l qtilde^l q^l.
    biases : bool
        Whether the tangent kernel has the derivatives by the biases, the "+ 1" (with "ntk": s_b^2 of each q^l).
    tangent : bool
        False: the covariance alone, in less than half the time.
    dtype : float64 or float32
        Of the matrices. In float32 they are off by some 1e-6; half the memory and time.
    tolerance : float
        Of each integral without a closed form, relative to its scale; from 1e-14 to 1e-3.
    threads : int, optional
        Two, or one where there is but one processor, if left out; more rarely help. BLAS has one thread in each.
    memory_limit : float
        GiB that the matrices may take; see :func:`gram_memory`, and :func:`gram_blocks` for what does not fit. Hidden
        batch normalisation needs some 40 matrices, and O(T^3) operations.
    sampling : Sampling, optional
        How averages behind batch normalisation are sampled; relu, leaky relu, the absolute value and the identity have
        none, without ``beta``, and take ``tolerance``.

    Returns
    -------
    Gram
        Relative to the root of the product of the two diagonal entries, accurate to about ``tolerance``, and checked
        against ``mf.overlap`` on a sample of pairs. A tangent kernel of an activation with kinks is known only to 1e-8
        between samples that differ by 1e-8 and less, but are not equal or parallel: their angle is the root of a
        difference of the products x(s).x(t). With hidden batch normalisation ``error`` is estimated: of the
        trapezoidal rule, or the largest standard error of what is sampled.

    Raises
    ------
    ParameterError
        For inputs that are not finite or of the wrong shape, a missing width, and matrices that exceed the memory.
    AssumptionError
        Behind batch normalisation without epsilon: for samples that differ in less than 3 directions, such as T <= 3,
        where the mean of 1/sigma^2 is infinite. For two sets of inputs.
    QuadratureError
        If integrals do not reach the tolerance, or the check fails.

    Equations: (5), (6), (7), (S.7)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
    >>> x = np.random.default_rng(0).standard_normal((500, 100))
    >>> found = mf.gram(network, x, width=1000)
    >>> found.covariance.shape, found.error < 1e-11
    ((500, 500), True)
    >>> round(found.largest, 1), round(mf.learning_rate_bound(found.statistics()).value, 6)
    (243.3, 0.008219)
    """
    given = read_request(network, inputs, other, width, parameterization, biases, tangent, dtype, tolerance)
    if not (sampling is None or isinstance(sampling, Sampling)):
        raise ParameterError("sampling", "a meanfield.Sampling or None", repr(sampling))
    if network.batch_norm is not None:
        return gram_of_batch(given, Sampling() if sampling is None else sampling, threads_of(threads), memory_limit)
    problem = given.problem()
    needed = gram_memory(problem.rows, problem.columns, tangent=tangent, dtype=dtype)
    if needed > require_number("memory_limit", memory_limit, above=0):
        expected = f"at least the {needed:.3g} GiB that this needs; mf.gram_blocks gives some rows at a time"
        raise ParameterError("memory_limit", expected, f"{memory_limit:g} GiB")
    covariance, kernel = problem.whole(threads=threads_of(threads))
    error = check(problem, covariance, kernel, rows=slice(0, problem.rows), tolerance=tolerance)
    return Gram(covariance, kernel, network, given.kind.value, given.parameters, problem.inputs.symmetric, error)


def gram_blocks(
    network: Network,
    inputs: ArrayLike | InputGram,
    other: ArrayLike | None = None,
    *,
    width: int | None = None,
    parameterization: Parameterization | str = Parameterization.STANDARD,
    biases: bool = True,
    tangent: bool = True,
    dtype: DTypeLike = np.float64,
    tolerance: float = TOLERANCE,
    threads: int | None = None,
    memory_limit: float = MEMORY_LIMIT,
) -> Iterator[GramBlock]:
    """Yield the rows of both matrices in blocks that fit the memory, each checked like the whole.

    Parameters and errors are those of :func:`gram`; ``memory_limit`` is for one block. Bad input is refused at the
    call, not at the first block.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> x = np.random.default_rng(0).standard_normal((1000, 20))
    >>> trace = 0.0
    >>> for block in mf.gram_blocks(network, x, width=100, memory_limit=0.005):
    ...     trace += np.trace(block.tangent[:, block.rows])
    >>> bool(abs(trace / np.trace(mf.gram(network, x, width=100).tangent) - 1) < 1e-12)
    True
    """
    given = read_request(network, inputs, other, width, parameterization, biases, tangent, dtype, tolerance)
    problem = given.require_pairs("mf.gram_blocks").problem()
    row = gram_memory(1, problem.columns, tangent=tangent, dtype=dtype)
    rows = int(require_number("memory_limit", memory_limit, above=0) / row)
    if rows < 1:
        raise ParameterError("memory_limit", f"at least the {row:.3g} GiB of one row", f"{memory_limit:g} GiB")
    return _blocks(problem, rows, threads_of(threads), tolerance)


def _blocks(problem: Problem, rows: int, threads: int, tolerance: float) -> Iterator[GramBlock]:
    for start in range(0, problem.rows, rows):
        some = slice(start, min(start + rows, problem.rows))
        covariance, kernel = problem.some(some.start, some.stop, threads=threads)
        check(problem, covariance, kernel, rows=some, tolerance=tolerance)
        yield GramBlock(some, covariance, kernel)


def gram_diagonal(
    network: Network,
    inputs: ArrayLike,
    *,
    width: int | None = None,
    parameterization: Parameterization | str = Parameterization.STANDARD,
    biases: bool = True,
    tangent: bool = True,
    tolerance: float = TOLERANCE,
) -> tuple[Array, Array | None]:
    """Return the diagonals of both matrices of :func:`gram`, shape (T,) each: parameters and errors are the same.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> gram_diagonal(network, [[1.0, 1.0], [0.0, 2.0]], width=100)
    (array([2., 4.]), array([205., 407.]))
    """
    given = read_request(network, inputs, None, width, parameterization, biases, tangent, np.float64, tolerance)
    problem = given.require_pairs("gram_diagonal").problem()
    return problem.chain.covariance, problem.chain.tangent
