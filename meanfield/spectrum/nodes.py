"""What a hidden unit does to the sample's own part of its preactivation, given the part z that is shared.

With u(s) = sqrt(q_st) z + sqrt(v) y(s), v = q_t - q_st, a unit's activity over the samples is its mean m given z, a
part linear in y, of slope B, and noise of variance s11; its slope phi'(u) likewise has the mean m1, the slope B' and
noise of variance s22; s12 is the covariance of the two noises.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..functions import Activation
from ..gaussian import Array
from ..quadrature import CommonPart


@dataclass(frozen=True, eq=False)
class Nodes:
    """Averages over y given z, each an array over the nodes z of one hidden layer."""

    weights: Array
    """Of the nodes; their sum is 1."""
    activity: Array
    """m = E[phi | z]."""
    square: Array
    """E[phi^2 | z]."""
    response: Array
    """B = E[phi y | z]/sqrt(v), which is E[phi' | z] where phi does not jump."""
    slope: Array
    """m1 = E[phi' | z]."""
    slope_square: Array
    """E[phi'^2 | z]."""
    curvature: Array
    """B' = E[phi' y | z]/sqrt(v), that is E[phi'' | z]."""
    activity_noise: Array
    """s11 = Var phi - B^2 v."""
    noise_covariance: Array
    """s12 = Cov(phi, phi') - B B' v."""
    slope_noise: Array
    """s22 = Var phi' - B'^2 v."""

    @property
    def slope_variance(self) -> Array:
        """Var[phi' | z]."""
        return self.slope_square - self.slope**2


def nodes_of(activation: Activation, common: CommonPart) -> Nodes:
    """Return the averages of an activation and its slope at the nodes of a rule, or at given ones."""
    v, given = common.difference, common.given
    value, slope = activation.value(common.u), activation.slope(common.u)
    m, m1 = given(value), given(slope)
    response, curvature = (given(f * common.y) / math.sqrt(v) for f in (value, slope))
    square, slope_square = given(value**2), given(slope**2)
    return Nodes(
        weights=common.weights,
        activity=m,
        square=square,
        response=response,
        slope=m1,
        slope_square=slope_square,
        curvature=curvature,
        activity_noise=given((value - m[:, None]) ** 2) - response**2 * v,
        noise_covariance=given((value - m[:, None]) * (slope - m1[:, None])) - response * curvature * v,
        slope_noise=given((slope - m1[:, None]) ** 2) - curvature**2 * v,
    )
