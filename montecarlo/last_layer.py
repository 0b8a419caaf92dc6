"""The block of F that belongs to the parameters of the last layer: it bounds lambda_max from below."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meanfield import AssumptionError, OutputNormalization
from meanfield.errors import require_boolean, require_instance

from .propagate import Sweep, require_squares


def last_layer_gram(sweep: Sweep, *, biases: bool = True) -> NDArray[np.float64]:
    """Return the block of F*_L that belongs to one output; F*_L has C such blocks, all the same, and zeros elsewhere.

        F*_L(k, k')_st = (1/T) [h^{L-1}(s) . h^{L-1}(t) + 1] delta_kk',

    the dual of F_L, the block of F of the weights (and biases) of the last layer. lambda_max(F) >= lambda_max(F_L).

    Parameters
    ----------
    sweep : Sweep
        With outputs as they are; any normalisation in the hidden layers.
    biases : bool
        Whether the bias parameters are part of F: the "+ 1".

    Returns
    -------
    array of shape (T, T)

    Raises
    ------
    AssumptionError
        If the outputs are normalised.

    Notes
    -----
    (S.67) lacks the factor alpha_{L-1} M that (22) has, and (S.65) has alpha for alpha_{L-1}:
    ``test_bound_by_the_last_layer`` decides.

    Equations: (S.61)-(S.65)

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    >>> last_layer_gram(mc.propagate(mc.FiniteNetwork(network, [[[2.0]], [[3.0]]], [[0.0], [1.0]]), [[1.0]]))
    array([[5.]])
    """
    require_instance("sweep", sweep, Sweep)
    biases = require_boolean("biases", biases)
    require_plain_outputs(sweep.finite_network.network.output_normalization, "the last layer's block of Theorem 3.4")
    h = sweep.h[-1]
    require_squares(sweep, biases=biases, first_layer=len(sweep.h))
    return np.asarray((h @ h.T + biases) / sweep.samples)


def require_plain_outputs(choice: OutputNormalization, what: str) -> None:
    """Refuse outputs that are normalised."""
    if choice is not OutputNormalization.NONE:
        raise AssumptionError(f"{what} needs outputs without normalisation, not output_normalization={choice!s}")
