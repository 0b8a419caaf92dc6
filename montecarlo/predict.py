"""What the theory predicts of one finite network, given the outputs that this network has."""

from __future__ import annotations

from dataclasses import replace

from meanfield import EigenvalueStatistics, OrderParameters, OutputNormalization, eigenvalue_statistics
from meanfield.errors import require_instance

from .propagate import Sweep


def predict_leading(sweep: Sweep, *, order: OrderParameters | None = None) -> EigenvalueStatistics:
    """Return the statistics of the eigenvalues by the theorem that applies, with the readout of this network.

    Behind layer normalisation lambda_max depends on the outputs of a network as much as on the kappas; given them, it
    is the largest root of a secular equation, ``prediction``. For other normalisations of the outputs this is
    :func:`meanfield.eigenvalue_statistics`, with Q1 and Q2 of this network behind batch normalisation.

    Parameters
    ----------
    sweep : Sweep
        From :func:`propagate`; its network says which variances the theory takes.
    order : OrderParameters, optional
        Those of the theory for standard normal inputs if left out; :func:`measure_order_parameters` of the sweep leaves
        out what the order parameters of one network deviate from the limit.

    Returns
    -------
    EigenvalueStatistics
        For the widths and the samples of the sweep, bias parameters included: what :func:`measure_eigenvalues`
        measures.

    Raises
    ------
    AssumptionError, ParameterError
        As :func:`meanfield.eigenvalue_statistics`.

    Equations: (19), (26), (27)

    Examples
    --------
    >>> import numpy as np, meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64, outputs=5)
    >>> network = network.normalized(hidden="layer", output="layer")
    >>> rng = np.random.default_rng(0)
    >>> finite = mc.sample_network(network, width=400, rng=rng)
    >>> sweep = mc.propagate(finite, mc.sample_inputs(network, width=400, samples=40, rng=rng))
    >>> round(mc.measure_largest(sweep) / mc.predict_leading(sweep).prediction, 3)
    1.026
    """
    require_instance("sweep", sweep, Sweep)
    finite = sweep.finite_network
    # the widths of this network itself, which need not be those of its width ratios
    network = replace(finite.network, width_ratios=tuple(map(float, finite.widths[:-1])))
    divides = network.output_normalization in (OutputNormalization.BATCH, OutputNormalization.LAYER)
    outputs = sweep.u[-1] if divides else None
    return eigenvalue_statistics(network, width=1, samples=sweep.samples, order=order, outputs=outputs)
