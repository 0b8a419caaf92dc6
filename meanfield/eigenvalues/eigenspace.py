"""Theorem 3.1: the mean gradients of the outputs span the eigenspace of the largest eigenvalues."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import AssumptionError, require_integer
from ..fim import dual_block
from ..network import Network
from ..normalization import HiddenNormalization, OutputNormalization
from ..order_parameters import STANDARD_INPUTS, OrderParameters, propagate, require_order
from ..quadrature import AUTO, Method
from ..records import Pair, table
from .hypotheses import require_non_centred
from .moments import Correction


@dataclass(frozen=True)
class Eigenspace:
    """How the mean gradients E grad f_k, k = 1 .. C, compare with the eigenvectors of the C largest eigenvalues of F.

    The theory and a measurement on a finite network fill the same record.
    """

    alignment: float
    """The mean squared cosine of the principal angles between their span and the top eigenspace, from 0 to 1."""
    residual: float
    """The root mean square over k of norm(F v - lambda_max v)/(lambda_max norm(v)), v = E grad f_k; at least 0."""
    parameters: float
    """P, by which the network and its width are recognised."""
    theorem: str
    """What the numbers rest on."""
    corrections: tuple[Correction, ...] = ()
    """What separates the theorem from finite networks, in absolute terms; empty for a measurement."""

    def __str__(self) -> str:
        rows = [("alignment", f"{self.alignment:.6g}"), ("residual", f"{self.residual:.4g}"), ("theorem", self.theorem)]
        for i, correction in enumerate(self.corrections):
            what = f"{correction.name}, O({correction.size:.1g}) in the {correction.quantity}"
            rows.append(("" if i else "left out", what))
        return table(rows)


def eigenspace(
    network: Network,
    *,
    width: int,
    samples: int,
    inputs: Pair[float] = STANDARD_INPUTS,
    order: OrderParameters | None = None,
    method: Method = AUTO,
) -> Eigenspace:
    """Return the alignment and the residual of the mean gradients at infinite width: 1 and 0.

    With F E grad f_k = lambda_max E grad f_k + O(M^(1/2-q*)), (S.16), whose first term is of order M^(1/2) in each
    entry, the residual of a finite network falls as M^-q* = M^(-1/2); ``corrections`` say from where.

    Parameters
    ----------
    network : Network
        Not centred, without normalisation of the outputs, and none or layer normalisation in the hidden layers.
    width : int
        M >= 1.
    samples : int
        T >= 1.
    inputs : Pair of float
        qhat^0, as for :func:`propagate`.
    order : OrderParameters, optional
        What :func:`propagate` returned; then ``inputs`` and ``method`` are not used.
    method : Method
        How to integrate.

    Returns
    -------
    Eigenspace
        With the orders of what finite networks miss; these are absolute, as the quantities are 1 and 0.

    Raises
    ------
    AssumptionError
        With another normalisation, or for a centred network.

    Notes
    -----
    For C > 1 the theorem is one about the C-dimensional space: its eigenvalues are degenerate to leading order, single
    eigenvectors are mixtures of the mean gradients, and the splitting of their eigenvalues, O(sqrt(C L/M)), stays in
    the residual. What leaves the space are fluctuations along the contrasts of the samples, whose eigenvalues are
    smaller by ``contrast/uniform``: that is O(kappa_1/kappa_2 C L/M contrast/uniform) in the alignment, and its root in
    the residual.

    Equations: (12), (S.15), (S.16), Theorem 3.1

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> print(mf.eigenspace(network, width=1000, samples=100))
    alignment  1
    residual   0
    theorem    Theorem 3.1
    left out   finite width, O(0.0004) in the alignment
               finite width, O(0.02) in the residual
    """
    parameters = float(network.parameters(width))
    samples = require_integer("samples", samples, at_least=1)
    if network.output_normalization is not OutputNormalization.NONE:
        raise AssumptionError(
            f"Theorem 3.1 needs outputs without normalisation, not {network.output_normalization!s}: with mean "
            "subtraction and batch normalisation E grad f_k = 0"
        )
    if network.hidden_normalization is HiddenNormalization.BATCH:
        raise AssumptionError(
            "Theorem 3.1 needs hidden layers without batch normalisation, with which the gradient of one sample "
            "reaches all the others"
        )
    order = propagate(network, inputs=inputs, method=method) if order is None else order
    require_order(network, order, samples=samples)
    require_non_centred(network, order, theorem="Theorem 3.1", width=width, samples=samples)
    block = dual_block(network, order, width=width, samples=samples)
    depth_to_width = network.depth_to_width(width)
    across = 0.0
    if samples > 1:  # else there are no contrasts
        across = network.outputs * depth_to_width * block.same / block.cross * block.contrast / block.uniform
    corrections = [
        Correction("alignment", "finite width", across, sign=-1),
        Correction("residual", "finite width", math.sqrt(across), sign=1),
    ]
    if network.outputs > 1:
        splitting = math.sqrt(network.outputs * depth_to_width)
        corrections.append(Correction("residual", "splitting", splitting, sign=1))
    layer_norm = network.hidden_normalization is HiddenNormalization.LAYER
    theorem = "Theorem 3.1 with layer normalisation in the hidden layers" if layer_norm else "Theorem 3.1"
    return Eigenspace(1.0, 0.0, parameters, theorem, tuple(corrections))
