"""Shared tables: the networks of the paper, harder ones, and functions with every kind of difficulty."""

from __future__ import annotations

import numpy as np

import meanfield as mf
import montecarlo as mc

RELU = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
TANH = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
RELU_BIASED = mf.Network.uniform(mf.relu, depth=3, weight_variance=4.0, bias_variance=1.0)

PUBLISHED_KAPPAS = [
    (RELU, 1.5, 0.342854318141471),
    (TANH, 0.955521904182836, 0.118615372062933),
    (RELU_BIASED, 7.25, 2.331758739687525),
    (RELU.normalized(hidden="layer"), 0.75, 0.171427159070736),
    (TANH.normalized(hidden="layer"), 0.494090157996425, 0.105305902019289),
    (RELU_BIASED.normalized(hidden="layer"), 0.55, 0.222659232232737),
]
"""Network, kappa_1, kappa_2: fifteen decimals, from independent high-precision integrals."""

MIXED_NETWORKS = {
    "three kinds, unequal widths": mf.Network(
        activations=[mf.relu, mf.tanh, mf.erf],
        width_ratios=[1, 2, 0.5, 1],
        weight_variance=2.0,
        bias_variance=0.1,
    ),
    "variances by layer": mf.Network(
        activations=[mf.tanh, mf.absolute, mf.sigmoid, mf.leaky_relu(0.2)],
        width_ratios=[0.3, 1, 1.5, 1, 0.8],
        weight_variance=[1.5, 1.0, 4.0, 2.0, 1.0],
        bias_variance=[0.5, 0.0, 0.2, 0.1, 0.3],
        outputs=3,
    ),
    "ten layers": mf.Network(
        activations=[mf.tanh] * 9,
        width_ratios=[1, 1, 2, 2, 1, 1, 0.5, 0.5, 1, 1],
        weight_variance=2.5,
        bias_variance=0.3,
    ),
    "layer norm": mf.Network(
        activations=[mf.erf, mf.identity, mf.sigmoid],
        width_ratios=[2, 1, 1, 3],
        weight_variance=1.7,
        bias_variance=0.4,
        hidden_normalization="layer",
    ),
    "shallow": mf.Network(activations=[mf.sigmoid], width_ratios=[0.1, 5], weight_variance=8.0, bias_variance=0.5),
}
"""For agreement with a computation at 30 digits."""

CATALOGUE = [mf.absolute, mf.erf, mf.identity, mf.leaky_relu(0.2), mf.relu, mf.sigmoid, mf.tanh]

ALL_ACTIVATIONS = [
    *CATALOGUE,
    *(mf.cosine, mf.elu, mf.gelu, mf.hard_tanh, mf.selu, mf.silu, mf.sine, mf.softplus),
    *(mf.monomial(1), mf.monomial(2), mf.monomial(5), mf.hermite(2), mf.hermite(3), mf.hermite(8)),
]

RAMP = mf.ScalarFunction(lambda u: np.clip(u, -1, 1), kinks=(-1, 1))
STAIRS = mf.ScalarFunction(np.floor, jumps=range(-40, 41))
KINKED_EXPONENTIAL = mf.ScalarFunction(lambda u: np.where(u > 0, u, np.expm1(np.minimum(u, 0))), kinks=(0,))
CUBIC = mf.ScalarFunction(lambda u: u**3 - u)
WAVE = mf.ScalarFunction(lambda u: np.sin(3 * u))

PIECEWISE = {"ramp": RAMP, "kinked exponential": KINKED_EXPONENTIAL}
"""Functions of other people, with kinks, that no closed form helps with."""


def sweep(network: mf.Network, *, width: int = 12, samples: int = 5, seed: int = 3) -> mc.Sweep:
    """Sample a small network and inputs, and propagate them."""
    rng = np.random.default_rng(seed)
    finite = mc.sample_network(network, width=width, rng=rng)
    return mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng))
