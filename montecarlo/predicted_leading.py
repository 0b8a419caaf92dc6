"""What the theory predicts of one finite network, given the outputs that this network has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from meanfield import (
    AssumptionError,
    EigenvalueStatistics,
    OrderParameters,
    OutputNormalization,
    dual_block,
    eigenvalue_statistics,
)
from meanfield.eigenvalues.layer_norm_secular import Secular
from meanfield.errors import require_boolean, require_instance
from meanfield.gaussian import Array

from .order_parameters import measure_order_parameters
from .propagate import Sweep


def predict_leading(sweep: Sweep, *, control: bool = False) -> EigenvalueStatistics:
    """Return the statistics of the eigenvalues by the theorem that applies, with the readout of this network.

    Behind layer normalisation lambda_max depends on the outputs of a network as much as on the kappas; given them, it
    is the largest root of a secular equation, ``prediction``. For other normalisations of the outputs this is
    :func:`meanfield.eigenvalue_statistics`, with Q1 and Q2 of this network behind batch normalisation.

    Parameters
    ----------
    sweep : Sweep
        From :func:`propagate`, T >= 2. Of the network the theory takes variances, widths and, where they are
        normalised by batch or layer, the outputs.
    control : bool
        Whether the theory takes more of this network, by which others differ from it, as control variates: its order
        parameters, and with layer-normalised outputs also how the gradients of different outputs overlap in the last
        hidden layer, delta_k . delta_k' (in the limit the identity), and the size of each sample's gradients. Then what
        is left of measured/theory tests the form of the leading matrix, and the kappas only through what they are made
        of.

    Returns
    -------
    EigenvalueStatistics
        For the widths and the samples of the sweep, bias parameters included: what :func:`measure_eigenvalues`
        measures. At M = 1000, L = 3 and C = 4 to 10 the median over networks is within 5 % of the prediction, and most
        of them within 10 %; with ``control`` within 2 % and 6 % (docs/layer_norm.md).

    Raises
    ------
    AssumptionError, ParameterError
        As :func:`meanfield.eigenvalue_statistics`; and with ``control``, for a network so narrow that the overlaps of
        its gradients are not positive definite.

    Equations: (19), (26), (27)

    Examples
    --------
    >>> import numpy as np, meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64, outputs=5)
    >>> network = network.normalized(hidden="layer", output="layer")
    >>> rng = np.random.default_rng(0)
    >>> finite = mc.sample_network(network, width=400, rng=rng)
    >>> sweep = mc.propagate(finite, mc.sample_inputs(network, width=400, samples=40, rng=rng))
    >>> measured = mc.measure_largest(sweep)
    >>> [round(measured / mc.predict_leading(sweep, control=control).prediction, 2) for control in (False, True)]
    [1.09, 1.0]
    """
    require_instance("sweep", sweep, Sweep)
    control = require_boolean("control", control)
    finite = sweep.finite_network
    if control and finite.network.batch_norm is not None:
        raise AssumptionError(
            "control=True takes order parameters of the network, and behind batch normalisation in the hidden layers "
            "there are no backward order parameters"
        )
    # the widths of this network itself, which need not be those of its width ratios
    network = replace(finite.network, width_ratios=tuple(map(float, finite.widths[:-1])))
    output = network.output_normalization
    outputs = sweep.u[-1] if output in (OutputNormalization.BATCH, OutputNormalization.LAYER) else None
    order = measure_order_parameters(sweep) if control else None
    theory = eigenvalue_statistics(network, width=1, samples=sweep.samples, order=order, outputs=outputs)
    if order is None or output is not OutputNormalization.LAYER or network.outputs == 2:
        return theory
    block = dual_block(network, order, width=1, samples=sweep.samples)
    equation = Secular.of(block, sweep.u[-1], overlaps=_overlaps(sweep, order), norms=_norms(sweep))
    return replace(theory, prediction=equation.largest())


def _overlaps(sweep: Sweep, order: OrderParameters) -> Array:
    """Return F*(k, k')_st for s != t: of its layers all but the last have a share of delta_k . delta_k'."""
    delta = sweep.delta[-2].astype(np.float64)
    outputs, samples, _ = delta.shape
    total = delta.sum(axis=1)
    between = total @ total.T - np.einsum("kti,jti->kj", delta, delta)
    between *= outputs / np.trace(between)
    units = np.array(sweep.finite_network.widths[:-1])
    layers = order.backward.cross * (units * order.activity.cross + 1) / samples
    overlaps: Array = layers[-1] * np.eye(outputs) + layers[:-1].sum() * between
    return overlaps


def _norms(sweep: Sweep) -> Array:
    """Return the squared norm of each sample's gradients, of all outputs before their normalisation, over the mean."""
    square = np.zeros(sweep.samples)
    for h, delta in zip(sweep.h, sweep.delta, strict=True):
        of_units = np.einsum("ti,ti->t", h, h, dtype=np.float64)
        square += (of_units + 1) * np.einsum("kti,kti->t", delta, delta, dtype=np.float64)
    return np.asarray(square / square.mean())
