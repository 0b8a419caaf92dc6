"""What a unit does to the sample's own part, against samples drawn and fitted."""

from __future__ import annotations

import numpy as np
import pytest

import meanfield as mf
from meanfield.quadrature import common_part
from meanfield.spectrum.nodes import nodes_of

SIGMAS = 5.0
DRAWS = 400_000


@pytest.mark.parametrize("phi", [mf.relu, mf.tanh, mf.gelu], ids=str)
def test_nodes_are_the_regression_of_drawn_units_on_their_own_part(phi: mf.Activation) -> None:
    covariance, difference = 0.6, 1.3
    z = np.array([-1.1, 0.4])
    common = common_part([phi.value, phi.slope], covariance=covariance, difference=difference, z=z)
    nodes = nodes_of(phi, common)
    own = np.sqrt(difference) * np.random.default_rng(0).standard_normal(DRAWS)
    for j, shared in enumerate(np.sqrt(covariance) * z):
        value, slope = phi(shared + own), phi.slope(shared + own)
        rest = value - nodes.activity[j] - nodes.response[j] * own
        rest_slope = slope - nodes.slope[j] - nodes.curvature[j] * own
        products = {
            "linear part of phi": (rest * own, 0.0),
            "linear part of phi'": (rest_slope * own, 0.0),
            "mean": (rest, 0.0),
            "mean of the slope": (rest_slope, 0.0),
            "square": (value**2, nodes.square[j]),
            "square of the slope": (slope**2, nodes.slope_square[j]),
            "s11": (rest**2, nodes.activity_noise[j]),
            "s12": (rest * rest_slope, nodes.noise_covariance[j]),
            "s22": (rest_slope**2, nodes.slope_noise[j]),
        }
        for name, (drawn, expected) in products.items():
            error = drawn.std() / np.sqrt(DRAWS)
            assert abs(drawn.mean() - expected) <= SIGMAS * error + 1e-12, name
    np.testing.assert_allclose(nodes.slope_variance, nodes.slope_square - nodes.slope**2)


def test_a_linear_unit_has_no_noise() -> None:
    nodes = nodes_of(mf.identity, common_part([mf.identity.value], covariance=0.5, difference=2.0))
    np.testing.assert_allclose(nodes.response, 1.0, rtol=1e-12)
    for noise in (nodes.activity_noise, nodes.noise_covariance, nodes.slope_noise, nodes.curvature):
        np.testing.assert_allclose(noise, 0.0, atol=1e-10)
