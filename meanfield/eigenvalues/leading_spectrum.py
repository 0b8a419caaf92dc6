"""The eigenvalues of the leading form of F, given the outputs of one network: all of them, whatever the outputs do."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..errors import AssumptionError, ParameterError, require_integer
from ..exchangeable import Exchangeable
from ..fim import dual_block
from ..gaussian import Array
from ..network import Network
from ..normalization import OutputNormalization
from ..order_parameters import STANDARD_INPUTS, OrderParameters, propagate, require_order
from ..quadrature import AUTO, Method
from ..readout import checked_outputs
from ..records import Pair
from .hypotheses import require_non_centred
from .layer_norm_secular import Secular

_THEOREM = "the leading spectrum"


def leading_eigenvalues(
    network: Network,
    outputs: ArrayLike,
    *,
    width: int,
    count: int | None = None,
    inputs: Pair[float] = STANDARD_INPUTS,
    order: OrderParameters | None = None,
    leading_order: bool = False,
    method: Method = AUTO,
) -> Array:
    """Return the eigenvalues of F to leading order, given the outputs u^L_k(t) of one network.

    To leading order F* has the exchangeable block of :func:`dual_block` for each output, with ``uniform`` eigenvalue
    lambda_1 and ``contrast`` lambda_2, and a normalisation of the outputs puts a projector on either side of it:

    ======  ==========================================================================================
    output  eigenvalues other than 0
    ======  ==========================================================================================
    none    lambda_1, C times; lambda_2, C (T-1) times
    mean    lambda_2, C (T-1) times
    batch   lambda_2/sigma_k^2, T - 2 times for each output k; sigma_k^2 its variance over the samples
    layer   T (C-2) roots of a secular equation of size C - 1; C - 2 or C - 1 of them are of O(M)
    ======  ==========================================================================================

    With layer normalisation A(t) = I - 11'/C - u(t) u(t)'/(C sigma(t)^2) in the coordinates of the centred outputs, and
    lambda is an eigenvalue where one of the matrix sum_t cross A(t)/(sigma(t)^2 lambda - contrast) is 1.

    Parameters
    ----------
    network : Network
        Not centred; its hidden layers with layer normalisation or none.
    outputs : array of shape (T, C)
        Before their normalisation; of a sweep of ``montecarlo``, ``sweep.u[-1]``. Without normalisation and with mean
        subtraction they only say what T is.
    width : int
        M.
    count : int, optional
        How many of the C T eigenvalues, from the largest down; all of them if left out. With layer normalisation one
        alone costs O(T C^2) a step, some five of them; others 50 steps each.
    inputs, order, leading_order, method
        As for :func:`eigenvalue_statistics`.

    Returns
    -------
    array of shape (count,)
        In decreasing order, within 1e-12 of the largest of the eigenvalues of the explicit matrix. Those of O(M) are
        lambda_max and the next ones of wide networks, for any T; the others, of O(M/T), for T << sqrt(M) alone:
        beyond it, the fluctuations of F* spread them, see :func:`eigenvalue_statistics`.

    Raises
    ------
    ParameterError
        For outputs of another shape, or without a spread to divide by, and numbers out of range.
    AssumptionError
        For a centred network, for batch normalisation in the hidden layers, and for layer normalisation of one output.
    QuadratureError
        As :func:`eigenvalue_statistics`.

    Equations: (16), (17), (S.22), (S.50), (S.88)-(S.95)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=4, output_normalization="layer")
    >>> outputs = np.random.default_rng(1).normal(size=(100, 4))
    >>> mf.leading_eigenvalues(network, outputs, width=1000, count=4).round(3)
    array([2370.501, 2192.415, 1802.994,  673.001])
    """
    _require_several(network)
    u = checked_outputs(outputs, network.output_normalization)
    samples = len(u)
    if u.shape[1] != network.outputs:
        raise ParameterError("outputs", f"of shape (T, {network.outputs}), as the network has them", f"shape {u.shape}")
    everything = u.size
    count = everything if count is None else require_integer("count", count, at_least=1, at_most=everything)
    order = propagate(network, inputs=inputs, samples=samples, method=method) if order is None else order
    require_order(network, order, samples=samples)
    block = leading_block(network, order, width=width, samples=samples, leading_order=leading_order)
    found = _eigenvalues(network.output_normalization, block, u, count)[:count]
    return np.concatenate([found, np.zeros(count - found.size)])


def leading_block(
    network: Network, order: OrderParameters, *, width: int, samples: int, leading_order: bool
) -> Exchangeable:
    """Return the block F*(k, k) before the outputs are normalised, of a network that is not centred."""
    _require_several(network)
    if network.batch_norm is None:  # else there are no kappas, and small overlaps are in the block
        require_non_centred(network, order, theorem=_THEOREM, width=width, samples=samples)
    block = dual_block(network, order, width=width, samples=samples, leading_order=leading_order)
    if block.cross <= 0 and network.output_normalization is OutputNormalization.LAYER:
        raise AssumptionError(
            f"{_THEOREM} needs gradients of different samples that overlap, F*_st > 0, and it is {block.cross:.3g}: "
            "behind batch normalisation of so few samples, or so many layers, their contrasts are larger",
            {"eigenvalue_statistics": "bounds"},
        )
    return block


def _require_several(network: Network) -> None:
    if network.output_normalization is OutputNormalization.LAYER and network.outputs == 1:
        raise AssumptionError(f"{_THEOREM} needs C >= 2: layer normalisation of a single output divides zero by zero")


def _eigenvalues(output: OutputNormalization, block: Exchangeable, u: Array, count: int) -> Array:
    """Return the ``count`` largest eigenvalues, or all that are not zero if these are fewer."""
    samples, outputs = u.shape
    match output:
        case OutputNormalization.NONE:
            return np.repeat([block.uniform, block.contrast], [outputs, outputs * (samples - 1)])
        case OutputNormalization.MEAN:
            return np.full(outputs * (samples - 1), block.contrast)
        case OutputNormalization.BATCH:
            if samples <= 2:
                return np.zeros(0)
            return np.repeat(block.contrast / np.sort(u.var(axis=0)), samples - 2)
        case OutputNormalization.LAYER:
            if outputs == 2:
                return np.zeros(0)
            equation = Secular.of(block, u)
            return np.array([equation.largest()]) if count == 1 else equation.all(min(count, samples * (outputs - 2)))
