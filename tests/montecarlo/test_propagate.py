"""The two sweeps against loops written from the equations."""

from __future__ import annotations

import numpy as np
import pytest
from problems import MIXED_NETWORKS, sweep
from tolerances import ROUNDING

import meanfield as mf
import montecarlo as mc

NETWORK = MIXED_NETWORKS["variances by layer"]


def test_forward_and_backward_one_sample_at_a_time() -> None:
    result = sweep(NETWORK)
    finite, depth = result.finite_network, NETWORK.depth
    for t in range(5):
        h = result.h[0][t]
        u = []
        for l in range(depth):
            u.append(finite.weights[l] @ h + finite.biases[l])
            h = NETWORK.activations[l](u[l]) if l < depth - 1 else u[l]
            np.testing.assert_allclose(result.u[l][t], u[l], rtol=ROUNDING, atol=ROUNDING)
        np.testing.assert_allclose(result.outputs[t], h, rtol=ROUNDING, atol=ROUNDING)
        for k in range(NETWORK.outputs):
            delta = np.eye(NETWORK.outputs)[k]
            np.testing.assert_array_equal(result.delta[-1][k, t], delta)
            for l in reversed(range(depth - 1)):
                delta = NETWORK.activations[l].slope(u[l]) * (finite.weights[l + 1].T @ delta)
                np.testing.assert_allclose(result.delta[l][k, t], delta, rtol=ROUNDING, atol=ROUNDING)


def test_shapes() -> None:
    result = sweep(NETWORK)
    widths = NETWORK.widths(12)
    assert result.outputs.shape == (5, 3)
    assert [h.shape for h in result.h] == [(5, m) for m in widths[:-1]]
    assert [u.shape for u in result.u] == [(5, m) for m in widths[1:]]
    assert [delta.shape for delta in result.delta] == [(3, 5, m) for m in widths[1:]]
    assert result.samples == 5


def test_mean_subtraction_centres_the_outputs_and_nothing_else() -> None:
    plain, centred = sweep(NETWORK), sweep(NETWORK.normalized(output="mean"))
    np.testing.assert_allclose(centred.outputs, plain.outputs - plain.outputs.mean(axis=0), atol=ROUNDING)
    for before, after in zip(plain.delta + plain.u, centred.delta + centred.u, strict=True):
        np.testing.assert_array_equal(before, after)


def test_bad_inputs() -> None:
    finite = sweep(NETWORK).finite_network
    for inputs in (np.ones(4), np.ones((5, 3)), np.ones((0, 4))):
        with pytest.raises(mf.ParameterError, match=r"inputs must be of shape \(T, 4\) with T >= 1"):
            mc.propagate(finite, inputs)
    with pytest.raises(mf.ParameterError, match="inputs must be finite"):
        mc.propagate(finite, np.full((2, 4), np.nan))


@pytest.mark.parametrize("change", [{"hidden": "batch"}, {"hidden": "layer"}, {"output": "batch"}, {"output": "layer"}])
def test_what_is_not_implemented_says_so(change: dict[str, str]) -> None:
    with pytest.raises(NotImplementedError, match="so far"):
        sweep(NETWORK.normalized(**change))
