"""Hypothesis strategies for pairs of Gaussians, activations and networks."""

from __future__ import annotations

from hypothesis import strategies as st
from problems import ALL_ACTIVATIONS

import meanfield as mf

variances = st.floats(0.01, 20.0)
correlations = st.floats(-1.0, 1.0)
activations = st.sampled_from(ALL_ACTIVATIONS)
functions = st.sampled_from([part for phi in ALL_ACTIVATIONS for part in (phi.value, phi.slope)])
tame = st.sampled_from([phi for phi in ALL_ACTIVATIONS if not phi.name.startswith(("monomial", "hermite"))])
"""Those of at most linear growth: four layers of u^5 leave nothing that is comparable."""


@st.composite
def networks(draw: st.DrawFn) -> mf.Network:
    """Networks of up to five layers, not centred."""
    hidden = draw(st.lists(tame, min_size=1, max_size=4))
    depth = len(hidden) + 1
    ratios = st.floats(0.2, 3.0)
    return mf.Network(
        activations=hidden,
        width_ratios=draw(st.lists(ratios, min_size=depth, max_size=depth)),
        weight_variance=draw(st.floats(0.5, 4.0)),
        bias_variance=draw(st.floats(0.05, 1.0)),
        outputs=draw(st.integers(1, 5)),
    )
