"""Order parameters drawn without weight matrices have the law of those of networks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp
from tolerances import SIGMAS

import meanfield as mf
import montecarlo as mc
from meanfield import OrderParameter, Pair

NETWORKS = {
    "relu": mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0),
    "biased, unequal": mf.Network(
        activations=[mf.tanh, mf.gelu, mf.relu],
        width_ratios=[1.0, 0.5, 1.5, 1.0],
        weight_variance=[3.0, 2.0, 1.0, 1.5],
        bias_variance=[0.5, 0.0, 0.3, 0.1],
        outputs=2,
    ),
    "narrower than the samples": mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0, width_ratio=0.25),
}
WIDTH, SAMPLES, DRAWS = 8, 3, 6000


def _of_networks(network: mf.Network) -> list[np.ndarray]:
    """Return the same three arrays from networks that were run."""
    rng = np.random.default_rng(10)
    rows: list[list[np.ndarray]] = []
    for _ in range(DRAWS):
        inputs = mc.sample_inputs(network, width=WIDTH, samples=SAMPLES, rng=rng)
        sweep = mc.propagate(mc.sample_network(network, width=WIDTH, rng=rng), inputs)
        rows.append(
            [
                np.stack([h @ h.T / h.shape[1] for h in sweep.h]),
                np.stack([u @ u.T / u.shape[1] for u in sweep.u]),
                np.stack([np.einsum("ktm,lsm->klts", delta, delta) for delta in sweep.delta]),
            ]
        )
    return [np.stack(part) for part in zip(*rows, strict=True)]


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_the_law_is_that_of_networks(network: mf.Network) -> None:
    """Every marginal law, and all products of two order parameters in the mean: forward, backward and across."""
    drawn = mc.sample_order_parameters(
        network, width=WIDTH, samples=SAMPLES, draws=4 * DRAWS, rng=np.random.default_rng(0)
    )
    ours = [drawn.activity, drawn.preactivation, drawn.sensitivity]
    theirs = _of_networks(network)
    assert [one.shape[1:] for one in ours] == [one.shape[1:] for one in theirs]
    ours, theirs = ([part.reshape(len(part), -1) for part in parts] for parts in (ours, theirs))
    x, y = np.concatenate(ours, axis=1), np.concatenate(theirs, axis=1)
    varies = y.std(axis=0) > 1e-9
    np.testing.assert_allclose(x[:, ~varies].mean(axis=0), y[:, ~varies].mean(axis=0), atol=1e-9)
    x, y = x[:, varies], y[:, varies]
    for a, b in zip(x.T, y.T, strict=True):
        assert ks_2samp(a, b).pvalue > 1e-5
    # bounded functions of them: heavy tails of products would hide a difference
    x, y = np.tanh(x), np.tanh(y)
    (mean, error), (other, other_error) = map(_mean_products, (x, y))
    assert np.max(np.abs(mean - other) / (np.hypot(error, other_error) + 1e-9)) < SIGMAS


def _mean_products(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of all products of two columns, and their standard errors."""
    mean = x.T @ x / len(x)
    return mean, np.sqrt(((x**2).T @ x**2 / len(x) - mean**2) / len(x))


def test_gradients_depend_on_the_activities() -> None:
    """What tells the law from one with gradients of their own weights: the correlation of u . delta with the output."""
    network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    drawn = mc.sample_order_parameters(network, width=4, samples=1, draws=50_000, rng=np.random.default_rng(1))
    forward = drawn.of(OrderParameter("activity", 1, (0, 0)))
    output = drawn.of(OrderParameter("preactivation", 2, (0, 0)))
    backward = drawn.of(OrderParameter("sensitivity", 1, (0, 0)))
    # u^2 = (w . h)^2 with |w|^2 = qtilde^1: E u^2 qtilde = E |h|^2 |w|^4/M, and E |w|^4 = 1 + 2/M
    product = output * backward - 1.5 * forward
    assert abs(product.mean()) < SIGMAS * product.std() / np.sqrt(product.size)
    independent = output.mean() * backward.mean()
    assert (output * backward).mean() > independent + 0.3


def test_given_inputs_have_exactly_these_overlaps() -> None:
    drawn = mc.sample_order_parameters(
        NETWORKS["relu"],
        width=20,
        samples=3,
        draws=5,
        rng=np.random.default_rng(0),
        inputs=Pair(2.0, -0.5),
        random_inputs=False,
    )
    expected = np.full((3, 3), -0.5) + 2.5 * np.eye(3)
    np.testing.assert_allclose(drawn.activity[:, 0], np.broadcast_to(expected, (5, 3, 3)), atol=1e-12)
    assert drawn.activity[:, 1].std() > 0


def test_the_same_seed_gives_the_same_draws() -> None:
    first, second = (
        mc.sample_order_parameters(
            NETWORKS["relu"], width=10, samples=2, draws=7, rng=np.random.default_rng(3)
        ).sensitivity
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_bad_input_is_refused() -> None:
    rng, network = np.random.default_rng(0), NETWORKS["relu"]
    with pytest.raises(mf.AssumptionError, match="without normalisation"):
        mc.sample_order_parameters(network.normalized(hidden="layer"), width=9, samples=2, draws=1, rng=rng)
    for name, value in (("width", 0), ("samples", 0), ("draws", 0), ("random_inputs", 1)):
        given = {"width": 9, "samples": 2, "draws": 1, name: value}
        with pytest.raises(mf.ParameterError, match=name):
            mc.sample_order_parameters(network, rng=rng, **given)  # type: ignore[arg-type]
    with pytest.raises(mf.ParameterError, match="inputs"):
        mc.sample_order_parameters(network, width=9, samples=3, draws=1, rng=rng, inputs=Pair(1.0, -0.6))
    drawn = mc.sample_order_parameters(network, width=9, samples=3, draws=2, rng=rng)
    with pytest.raises(mf.ParameterError, match="samples"):
        drawn.of(OrderParameter("activity", 1, "st"))
    with pytest.raises(mf.ParameterError, match="at least 4"):
        mc.measure_fluctuations(drawn)
