"""Layer normalisation in the hidden layers as a network without it, to leading order in the width."""

from __future__ import annotations

import math
from dataclasses import replace

from .affine import affine
from .errors import AssumptionError
from .network import Network
from .normalization import HiddenNormalization
from .order_parameters import STANDARD_INPUTS, propagate
from .quadrature import AUTO, Method
from .records import Pair


def without_layer_norm(network: Network, *, inputs: Pair[float] = STANDARD_INPUTS, method: Method = AUTO) -> Network:
    """Return the network without layer normalisation that has the same order parameters and kappas: phi(u/sqrt(q^l_t)).

    The mean of u^l over the units of a layer is O(M^(-1/2)), and their variance is q^l_t (1 + O(M^(-1/2))). So to
    leading order a layer-normalised layer is one with the activation phi_l(u/sqrt(q^l_t)), whose slope has the
    1/sqrt(q^l_t) of the Jacobian I/sigma. What else the Jacobian has, 11'/M and ubar ubar'/M, takes one or two of the M
    directions out of each gradient: O(1/M) of its square.

    Parameters
    ----------
    network : Network
        With layer normalisation in the hidden layers, or none: then it is returned as it is. The normalisation of the
        outputs stays.
    inputs : Pair of float
        qhat^0, as for :func:`propagate`. The variances q^l_t depend on it.
    method : Method
        How to integrate.

    Returns
    -------
    Network
        Of the same weights and widths. Its activations are picklable and have the closed forms and declarations of the
        old ones, but are not in the catalogue: ``Network.from_dict`` needs them.

    Raises
    ------
    AssumptionError
        For batch normalisation in the hidden layers.
    ParameterError, QuadratureError
        As :func:`propagate`.

    Notes
    -----
    It is the activation that must be stretched, not the weights: with weights W/sqrt(q) in front of phi, forward
    everything is the same, but gradients by W are those by W/sqrt(q) divided by sqrt(q), and each term of the kappas
    has a factor 1/q^l_t (``test_rescaled_weights_have_other_kappas``).

    What holds for the order parameters holds for everything that is made of them: m_lambda, Theorem 2.2, Theorem 4.1,
    Theorem 3.3 (i) and (19) for few samples. For T ~ M and mean-subtracted outputs the fluctuations of sigma(t) come
    in. They multiply row t of the T x M matrices of activities and gradients by 1 + O(M^(-1/2)): of their noise that
    changes nothing at leading order, of what a unit has in common for all samples it makes a matrix of rank one and
    O(1). So the density of the eigenvalues is that of the network returned, and at most a few eigenvalues for each
    layer are not. The fluctuations of order parameters between networks are different ones: sigma(t) takes those of
    |u(t)|^2 out.

    Equations: (S.71)-(S.74), (S.79)-(S.87)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
    >>> network = network.normalized(hidden="layer", output="mean")
    >>> plain = mf.without_layer_norm(network)
    >>> plain.hidden_normalization.value, plain.activations[0]
    ('none', Activation(tanh(0.524142 u)))
    >>> round(mf.kappas(plain).cross, 12) == round(mf.kappas(network).cross, 12)
    True
    """
    if network.hidden_normalization is HiddenNormalization.NONE:
        return network
    if network.hidden_normalization is HiddenNormalization.BATCH:
        raise AssumptionError(
            "without_layer_norm needs layer normalisation in the hidden layers: behind batch normalisation all samples "
            "meet, and no activation of one sample is equivalent to it"
        )
    variances = propagate(network, inputs=inputs, method=method).preactivation.same[:-1]
    activations = tuple(
        affine(phi, scale=1 / math.sqrt(q)) for phi, q in zip(network.activations, variances.tolist(), strict=True)
    )
    return replace(network, activations=activations, hidden_normalization=HiddenNormalization.NONE)
