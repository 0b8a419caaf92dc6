"""Sweeps: every cell is the direct call, dimensions are as asked, tables are accurate, reasons are given."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from typing import Any

import numpy as np
import pytest
from problems import TANH
from tolerances import ROUNDING, SWEEP

import meanfield as mf

RUN = sys.modules["meanfield.sweep.run"]
NETWORK = mf.Network.uniform(mf.tanh, depth=4, weight_variance=1.3, bias_variance=0.2, outputs=8)


def direct(network: mf.Network, **arguments: Any) -> mf.EigenvalueStatistics | str:
    """Return the statistics of one cell by a call of its own, or why there are none."""
    try:
        return mf.eigenvalue_statistics(network, sharp=False, **arguments)
    except (mf.AssumptionError, mf.QuadratureError, mf.ParameterError) as error:
        return str(error)


def assert_cell(found: mf.Sweep, cell: tuple[int, ...], network: mf.Network, rel: float, **arguments: Any) -> None:
    """Check a cell against a call of its own."""
    expected = direct(network, **arguments)
    if isinstance(expected, str):
        assert found.reasons[cell].split("=")[0] == expected.split("=")[0]  # numbers in it may be off by roundings
        assert math.isnan(found.lower[cell])
        assert not found.theorem[cell]
        return
    bound = mf.learning_rate_bound(expected)
    wanted = {
        "mean": expected.mean,
        "second_moment": expected.second_moment,
        "lower": expected.largest.lower,
        "upper": expected.largest.upper,
        "prediction": expected.prediction,
        "necessary": bound.necessary,
        "safe": bound.safe,
        "value": bound.value,
    }
    for name, value in wanted.items():
        value = math.nan if value is None else value
        assert float(getattr(found, name)[cell]) == pytest.approx(value, rel=rel, nan_ok=True), name
    assert found.theorem[cell] == expected.theorem
    assert cell not in found.reasons
    if network.hidden_normalization is not mf.HiddenNormalization.BATCH:
        kappa = mf.kappas(network)
        assert float(found.kappa_1[cell]) == pytest.approx(kappa.same, rel=rel)
        assert float(found.kappa_2[cell]) == pytest.approx(kappa.cross, rel=rel)


@pytest.mark.parametrize("leading_order", [False, True])
@pytest.mark.parametrize("hidden", ["none", "layer", "batch"])
def test_every_cell_is_the_direct_call(hidden: str, leading_order: bool) -> None:
    outputs, widths, weights = ["none", "mean", "batch", "layer"], [30, 200], [0.7, 2.0]
    found = mf.sweep(
        NETWORK,
        hidden_normalization=hidden,
        output_normalization=outputs,
        width=widths,
        samples=12,
        weight_variance=weights,
        leading_order=leading_order,
    )
    assert found.dims == ("output_normalization", "width", "weight_variance")
    assert found.shape == (4, 2, 2)
    for i, j, k in np.ndindex(4, 2, 2):
        network = dataclasses.replace(
            NETWORK.normalized(hidden=hidden, output=outputs[i]), weight_variance=(weights[k],) * 4
        )
        assert_cell(found, (i, j, k), network, ROUNDING, width=widths[j], samples=12, leading_order=leading_order)


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("activation", [mf.tanh, mf.relu]),
        ("depth", [2, 7]),
        ("width_ratio", [0.5, 2.0]),
        ("outputs", [1, 3]),
        ("bias_variance", [0.0, 0.5]),
        ("samples", [2, 50]),
    ],
)
def test_any_parameter_is_swept(parameter: str, values: list[Any]) -> None:
    swept: dict[str, Any] = {parameter: values}
    found = mf.sweep(NETWORK, width=100, **swept)
    assert found.dims == (parameter,)
    for i, value in enumerate(values):
        depth = value if parameter == "depth" else 4
        settings: dict[str, Any] = {
            "activation": mf.tanh,
            "depth": depth,
            "weight_variance": 1.3,
            "bias_variance": 0.2,
            "outputs": 8,
        }
        samples = 100
        if parameter == "samples":
            samples = value
        else:
            settings[parameter] = value
        network = mf.Network.uniform(settings.pop("activation"), **settings)
        assert_cell(found, (i,), network, ROUNDING, width=100, samples=samples)


def test_parameters_share_a_dimension_by_its_name() -> None:
    found = mf.sweep(TANH, width=("size", [50, 100]), samples=("size", [5, 100]), bias_variance=[0.1, 0.2, 0.3])
    assert found.dims == ("size", "bias_variance")
    assert found.coordinates["samples"] == ("size", (5, 100))
    for i, j in np.ndindex(2, 3):
        network = dataclasses.replace(TANH, bias_variance=((0.1, 0.2, 0.3)[j],) * 3)
        assert_cell(found, (i, j), network, ROUNDING, width=(50, 100)[i], samples=(5, 100)[i])


@pytest.mark.parametrize("phi", [mf.tanh, mf.silu, mf.softplus, mf.relu, mf.gelu, mf.elu])
@pytest.mark.parametrize("output", ["none", "mean", "batch"])
def test_many_variances_agree_with_the_direct_call(phi: mf.Activation, output: str) -> None:
    network = mf.Network.uniform(phi, depth=6, weight_variance=1.0, width_ratio=2.0, output_normalization=output)
    weights, biases = np.linspace(0.4, 2.5, 16), np.linspace(0.02, 1.0, 16)
    found = mf.sweep(network, width=60, samples=40, weight_variance=weights, bias_variance=biases)
    assert (found.error > 0) == (phi in (mf.tanh, mf.silu, mf.softplus))
    for i, j in [(0, 0), (0, 15), (15, 0), (15, 15), (7, 3), (2, 11)]:
        here = dataclasses.replace(network, weight_variance=(weights[i],) * 6, bias_variance=(biases[j],) * 6)
        assert_cell(found, (i, j), here, SWEEP, width=60, samples=40)


@pytest.mark.parametrize("hidden", ["none", "layer"])
def test_fifty_layers_of_tanh(hidden: str) -> None:
    network = mf.Network.uniform(mf.tanh, depth=50, weight_variance=1.0, hidden_normalization=hidden)
    weights, biases = np.linspace(0.5, 4, 16), np.append(0.0, np.geomspace(1e-3, 1, 15))
    found = mf.sweep(network, width=1000, weight_variance=weights, bias_variance=biases)
    for i, j in [(0, 0), (0, 1), (15, 1), (15, 15), (4, 8), (8, 4)]:
        here = dataclasses.replace(network, weight_variance=(weights[i],) * 50, bias_variance=(biases[j],) * 50)
        assert_cell(found, (i, j), here, SWEEP, width=1000, samples=1000)


def test_threads_and_tables_change_nothing_that_counts() -> None:
    arguments: dict[str, Any] = {
        "width": 100,
        "weight_variance": np.linspace(1, 2, 100),
        "bias_variance": np.linspace(0.1, 1, 100),
        "output_normalization": ["none", "mean"],
    }
    one, two = (mf.sweep(TANH, threads=threads, **arguments) for threads in (1, 2))
    plain = mf.sweep(TANH, **{**arguments, "weight_variance": [1.0, 2.0], "tolerance": 0})
    assert np.array_equal(one.lower, two.lower)
    assert one.lower[:, [0, -1]] == pytest.approx(plain.lower, rel=SWEEP)
    assert plain.error == 0 < one.error


def test_a_block_with_a_network_out_of_range_is_computed_one_by_one() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    weights = np.append(np.linspace(1, 2, 299), 1e80)
    found = mf.sweep(network, width=50, weight_variance=weights)
    assert list(found.reasons) == [(299,)]
    assert "range" in found.reasons[299,] or "variance" in found.reasons[299,]
    assert_cell(
        found, (3,), dataclasses.replace(network, weight_variance=(weights[3],) * 3), ROUNDING, width=50, samples=50
    )


def test_reasons_and_kappas_of_centred_cells() -> None:
    found = mf.sweep(TANH, width=100, bias_variance=[0.0, 0.5])
    assert list(found.reasons) == [(0,)]
    assert "needs a non-centred network" in found.reasons[0,]
    assert found.kappa_2[0] == 0 < found.kappa_1[0]
    assert "1 of 2 cells without eigenvalues, as at (0,)" in str(found)


def test_sharp_values_come_from_the_spectrum() -> None:
    network = TANH.normalized(output="mean")
    found = mf.sweep(network, width=[100], samples=100, sharp=True)
    expected = mf.eigenvalue_statistics(network, width=100, samples=100).prediction
    assert found.prediction[0] == pytest.approx(expected, rel=ROUNDING)


def test_plain_data() -> None:
    found = mf.sweep(TANH, width=[50, 100], activation=[mf.tanh, mf.relu], bias_variance=0.0, samples=20)
    data = json.loads(json.dumps(found.to_dict()))
    assert data["dims"] == ["activation", "width"]
    assert data["coordinates"]["activation"] == {"dim": "activation", "values": ["tanh", "relu"]}
    assert data["fixed"] == {"samples": 20, "bias_variance": 0.0}
    assert data["quantities"]["lower"][0] == [None, None]  # centred
    assert data["quantities"]["lower"][1] == found.lower[1].tolist()
    assert data["reasons"][0]["cell"] == [0, 0]
    rows = list(found.rows())
    assert [(row["activation"], row["width"]) for row in rows] == [
        ("tanh", 50),
        ("tanh", 100),
        ("relu", 50),
        ("relu", 100),
    ]
    assert rows[3]["kappa_1"] == found.kappa_1[1, 1]
    assert rows[0]["reason"]


def test_labelled_arrays() -> None:
    found = mf.sweep(TANH, width=("size", [50, 100]), samples=("size", [5, 10]), weight_variance=[1.0, 2.0, 3.0])
    data = found.to_xarray()
    assert dict(data.sizes) == {"size": 2, "weight_variance": 3}
    assert float(data["lower"].sel(weight_variance=2.0).isel(size=1)) == found.lower[1, 1]
    assert data["samples"].dims == ("size",)
    assert data["theorem"].values.tolist() == found.theorem.tolist()


def test_without_xarray_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(mf.ParameterError, match="xarray must be installed"):
        mf.sweep(TANH, width=[50]).to_xarray()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": None, "depth": [3]}, "width must be given"),
        ({"width": 100}, "width must be a sequence, or another parameter one"),
        ({"width": [100, 0]}, "width must be an integer >= 1, got 0"),
        ({"width": []}, "width must be one value, or a sequence of at least one"),
        ({"width": [100], "weight_variance": [0.0]}, "weight_variance must be a finite number > 0"),
        ({"width": [100], "activation": ["tanh"]}, "activation must be a meanfield.Activation"),
        (
            {"width": [100], "output_normalization": "max"},
            "output_normalization must be one of none, mean, batch, layer",
        ),
        (
            {"width": ("n", [1, 2]), "samples": ("n", [3])},
            "samples must be of 2 values, as many as width along n, got 1",
        ),
        ({"width": range(1, 1001), "weight_variance": np.linspace(1, 2, 1001)}, "at most 1e.06 cells"),
        ({"width": [100], "tolerance": 1e-15}, "tolerance must be a finite number >= 1e-12"),
        ({"width": [100], "threads": 0}, "threads must be an integer >= 1"),
        ({"width": [100], "sharp": 1}, "sharp must be True or False"),
    ],
)
def test_bad_input_is_refused_before_any_work(
    arguments: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RUN._Work, "fill", None)
    with pytest.raises(mf.ParameterError, match=message):
        mf.sweep(TANH, **arguments)


def test_layers_that_differ_have_no_other_depth() -> None:
    mixed = mf.Network(activations=[mf.relu, mf.tanh], width_ratios=[1, 1, 1], weight_variance=2.0)
    with pytest.raises(mf.ParameterError, match="depth must be left out for a network whose layers differ in their"):
        mf.sweep(mixed, width=100, depth=[3, 4])
    assert mf.sweep(mixed, width=100, depth=[3, 4], activation=mf.relu).shape == (2,)
    with pytest.raises(mf.ParameterError, match="width must be large enough to give each layer a unit"):
        mf.sweep(mixed, width=[100, 10], width_ratio=[1.0, 0.01])


@pytest.mark.parametrize("settings", [mf.BatchNorm(epsilon=0.5), mf.BatchNorm(layers=[1])], ids=str)
def test_settings_of_batch_normalisation_that_know_the_variances(settings: mf.BatchNorm) -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=1.0, hidden_normalization=settings)
    found = mf.sweep(network, width=100, samples=10, weight_variance=[0.5, 3.0])
    for i, variance in enumerate((0.5, 3.0)):
        alone = mf.Network.uniform(mf.tanh, depth=3, weight_variance=variance, hidden_normalization=settings)
        expected = mf.eigenvalue_statistics(alone, width=100, samples=10, sharp=False)
        assert found.mean.ravel()[i] == pytest.approx(expected.mean, rel=1e-12)
