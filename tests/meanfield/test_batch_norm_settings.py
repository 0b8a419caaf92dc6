"""The settings of batch normalisation: what a network makes of them, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from problems import ALL_ACTIVATIONS
from tolerances import ROUNDING

import meanfield as mf
from meanfield.affine import affine

RELU = mf.Network.uniform(mf.relu, depth=4, weight_variance=2.0)
SOME = mf.BatchNorm(gamma=0.5, beta=-1.0, epsilon=1e-3, layers=(3, 1))


def test_settings_come_with_the_choice_and_go_with_it() -> None:
    assert RELU.batch_norm is None
    assert RELU.batch_norm_layers == frozenset()
    batch = RELU.normalized(hidden="batch")
    assert batch.batch_norm == mf.BatchNorm()
    assert batch.batch_norm_layers == {1, 2, 3}
    mixed = batch.normalized(hidden=SOME)
    assert mixed.hidden_normalization == "batch"
    assert mixed.batch_norm_layers == {1, 3}
    assert mixed.normalized(output="mean").batch_norm == SOME
    assert mixed.normalized(hidden="batch") == batch
    assert mixed.normalized(hidden="none") == RELU
    assert replace(mixed, outputs=2).batch_norm == SOME


@pytest.mark.parametrize("hidden", ["none", "layer", "batch", SOME])
def test_plain_data_and_back(hidden: str | mf.BatchNorm) -> None:
    network = RELU.normalized(hidden=hidden)
    data = json.loads(json.dumps(network.to_dict()))
    assert mf.Network.from_dict(data) == network
    assert ("batch_norm" in data) is (hidden is SOME)


def test_the_activation_sees_gamma_n_plus_beta_where_it_is_normalised() -> None:
    network = RELU.normalized(hidden=SOME)
    n = np.linspace(-3, 3, 13)
    first, second, third = network.normalized_activations
    assert second is mf.relu
    for phi in (first, third):
        np.testing.assert_allclose(phi(n), np.maximum(0.5 * n - 1, 0), rtol=ROUNDING)
        assert phi.value.kinks == (2.0,)


@pytest.mark.parametrize("phi", ALL_ACTIVATIONS, ids=str)
@pytest.mark.parametrize(("scale", "shift"), [(-0.7, 0.0), (1.3, 0.4)])
def test_an_affine_argument_keeps_every_declaration_true(phi: mf.Activation, scale: float, shift: float) -> None:
    other = affine(phi, scale=scale, shift=shift)
    mf.check_activation(other)
    u = np.linspace(-4, 4, 80)
    np.testing.assert_allclose(other(u), phi(scale * u + shift), rtol=ROUNDING)
    np.testing.assert_allclose(other.slope(u), scale * phi.slope(scale * u + shift), rtol=ROUNDING)
    if shift == 0:
        expected = float(mf.second_moment(phi, 0.7 * scale**2))
        assert float(mf.second_moment(other, 0.7)) == pytest.approx(expected, rel=1e-11)


def test_a_shift_makes_an_odd_activation_non_centred_and_epsilon_does_not() -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0)
    assert network.normalized(hidden=mf.BatchNorm(epsilon=0.1)).is_centered
    assert not network.normalized(hidden=mf.BatchNorm(beta=0.1)).is_centered
    biased = replace(network, bias_variance=(0.0, 0.3, 0.0))
    assert biased.normalized(hidden=mf.BatchNorm(layers=[2])).is_centered
    assert not biased.normalized(hidden=mf.BatchNorm(layers=[1])).is_centered


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": 0.0}, r"gamma must be 1e-20 <= \|gamma\| <= 1e\+10, got 0"),
        ({"gamma": 1e300}, "gamma must be"),
        ({"beta": -1e300}, "beta must be"),
        ({"epsilon": 1e300}, "epsilon must be 0, or"),
        ({"gamma": float("nan")}, "gamma must be"),
        ({"beta": "1"}, "beta must be"),
        ({"epsilon": -1e-5}, "epsilon must be"),
        ({"layers": ()}, "layers must be one or more different hidden layers"),
        ({"layers": (1, 1)}, "layers must be one or more different hidden layers"),
        ({"layers": (0,)}, "layers must be"),
        ({"layers": (1.5,)}, "layers must be"),
        ({"layers": 1}, "layers must be"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(mf.ParameterError, match=message):
        mf.BatchNorm(**settings)  # type: ignore[arg-type]


def test_settings_that_do_not_fit_the_network_are_refused() -> None:
    with pytest.raises(mf.ParameterError, match=r"layers must be among the hidden layers 1 \.\. 3"):
        RELU.normalized(hidden=mf.BatchNorm(layers=[4]))
    with pytest.raises(mf.ParameterError, match="batch_norm must be left out with hidden_normalization=none"):
        replace(RELU, batch_norm=SOME)
    with pytest.raises(mf.ParameterError, match="batch_norm must be left out where hidden"):
        replace(RELU, hidden_normalization=SOME, batch_norm=SOME)  # type: ignore[arg-type]
    with pytest.raises(mf.ParameterError, match="batch_norm must be a BatchNorm or None"):
        replace(RELU, hidden_normalization="batch", batch_norm=1e-5)  # type: ignore[arg-type]


def test_all_layers_are_all_layers_however_they_are_said() -> None:
    listed = RELU.normalized(hidden=mf.BatchNorm(layers=[1, 2, 3]))
    assert listed == RELU.normalized(hidden="batch")
    assert mf.bulk_spectrum(listed, width=100, samples=8).degenerate > 0
