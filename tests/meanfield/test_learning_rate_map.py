"""The map of learning rates: every cell is the direct call, order parameters are computed once, reasons are given."""

from __future__ import annotations

import dataclasses
import math
import pickle
import sys
from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
from problems import MIXED_NETWORKS, TANH
from tolerances import ROUNDING

import meanfield as mf

MODULE = sys.modules["meanfield.sweep.cells"]
"""Where cells are computed."""

WIDTHS = [30, 200]
WEIGHTS = [0.5, 2.0]
BIASES = [0.0, 0.3]
PAIRS = list(product(("none", "batch", "layer"), ("none", "mean", "batch", "layer")))
RELU_TANH = mf.Network(activations=[mf.relu, mf.tanh], width_ratios=[1, 2, 0.5], weight_variance=2.0, outputs=8)


def direct(network: mf.Network, **arguments: Any) -> mf.EigenvalueStatistics | str:
    """Return the statistics of one cell by a call of its own, or why there are none."""
    try:
        return mf.eigenvalue_statistics(network, sharp=False, **arguments)
    except (mf.AssumptionError, mf.QuadratureError) as error:
        return str(error)


def assert_cell(
    rates: mf.LearningRateMap, cell: tuple[int, int, int, int], expected: mf.EigenvalueStatistics | str
) -> None:
    found = [float(part[cell]) for part in (rates.necessary, rates.safe, rates.value)]
    if isinstance(expected, str):
        assert rates.reasons[cell] == expected
        assert all(map(math.isnan, found))
        assert rates.theorems[cell] == ""
        return
    assert cell not in rates.reasons
    bound = mf.learning_rate_bound(expected)
    wanted = [bound.necessary, bound.safe, math.nan if bound.value is None else bound.value]
    assert found == pytest.approx(wanted, rel=ROUNDING, nan_ok=True)
    assert not any(map(math.isnan, wanted[:2]))
    assert rates.theorems[cell] == expected.theorem


@pytest.mark.parametrize("samples", [None, 12])
@pytest.mark.parametrize("network", [RELU_TANH, mf.Network.uniform(mf.relu, depth=3, weight_variance=1.0, outputs=3)])
def test_every_cell_is_the_direct_call(network: mf.Network, samples: int | None) -> None:
    rates = mf.learning_rate_map(
        network, widths=WIDTHS, weight_variances=WEIGHTS, bias_variances=BIASES, samples=samples
    )
    assert rates.necessary.shape == rates.safe.shape == rates.value.shape == rates.theorems.shape == (12, 2, 2, 2)
    assert [tuple(map(str, pair)) for pair in rates.normalizations] == PAIRS
    assert rates.samples == (tuple(WIDTHS) if samples is None else (12, 12))
    outcomes: Counter[type] = Counter()
    for cell in np.ndindex(12, 2, 2, 2):
        i, j, k, l = cell
        variances: dict[str, Any] = {
            "weight_variance": (WEIGHTS[k],) * network.depth,
            "bias_variance": (BIASES[l],) * network.depth,
        }
        here = dataclasses.replace(network.normalized(hidden=PAIRS[i][0], output=PAIRS[i][1]), **variances)
        expected = direct(here, width=WIDTHS[j], samples=samples or WIDTHS[j])
        assert_cell(rates, (i, j, k, l), expected)
        outcomes[type(expected)] += 1
    assert outcomes[mf.EigenvalueStatistics] >= 16  # none/none and none/mean at the least
    assert set(rates.reasons) == {
        (i, j, k, l) for i, j, k, l in zip(*np.nonzero(np.isnan(rates.necessary)), strict=True)
    }


@pytest.mark.parametrize(
    "options",
    [{"regime": "fixed"}, {"regime": "proportional"}, {"leading_order": True}, {"method": mf.GaussHermite(5)}],
)
def test_options_are_handed_on(options: dict[str, Any]) -> None:
    pairs = [("none", "none"), ("none", "mean")]
    rates = mf.learning_rate_map(TANH, widths=[100], samples=8, normalizations=pairs, **options)
    plain = mf.learning_rate_map(TANH, widths=[100], samples=8, normalizations=pairs)
    for i, (hidden, output) in enumerate(pairs):
        expected = direct(TANH.normalized(hidden=hidden, output=output), width=100, samples=8, **options)
        assert_cell(rates, (i, 0, 0, 0), expected)
    same = np.array_equal(rates.necessary, plain.necessary) and np.array_equal(rates.safe, plain.safe)
    assert same == (options == {"regime": "fixed"})  # which is what 8 samples at width 100 have by themselves


def test_variances_left_out_are_those_of_the_network() -> None:
    network = MIXED_NETWORKS["variances by layer"]
    rates = mf.learning_rate_map(network, widths=[100], normalizations=[("none", "none")])
    assert rates.weight_variances is rates.bias_variances is None
    assert_cell(rates, (0, 0, 0, 0), direct(network, width=100, samples=100))
    rates = mf.learning_rate_map(network, widths=[100], bias_variances=[0.7], normalizations=[("none", "none")])
    biased = dataclasses.replace(network, bias_variance=(0.7,) * network.depth)
    assert_cell(rates, (0, 0, 0, 0), direct(biased, width=100, samples=100))


def test_order_parameters_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[str] = Counter()

    def counted(network: mf.Network, **arguments: Any) -> mf.OrderParameters:
        calls[network.hidden_normalization] += 1
        return mf.propagate(network, **arguments)

    monkeypatch.setattr(MODULE, "propagate", counted)
    arguments: dict[str, Any] = {"widths": [20, 30, 40], "weight_variances": [1, 2, 3, 4], "bias_variances": [0.1, 0.2]}
    mf.learning_rate_map(RELU_TANH, **arguments)
    assert calls == {"none": 8, "layer": 8, "batch": 3}  # by variances, and behind batch norm by T
    calls.clear()
    mf.learning_rate_map(RELU_TANH, **arguments, samples=5)
    assert calls == {"none": 8, "layer": 8, "batch": 1}


def test_shared_order_parameters_behind_batch_norm_have_their_own_preactivations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def watched(network: mf.Network, *, order: mf.OrderParameters, samples: int, **others: Any) -> None:
        seen.append((order, mf.propagate(network, samples=samples)))
        raise mf.AssumptionError("watched")

    monkeypatch.setattr(MODULE, "eigenvalue_statistics", watched)
    mf.learning_rate_map(RELU_TANH, widths=[9, 20], weight_variances=[1, 2.5], bias_variances=[0, 0.4])
    assert len(seen) == 12 * 2 * 4
    assert all(shared == own for shared, own in seen)


def test_a_failed_integral_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("none", "none"), ("none", "mean")]
    method = mf.Trapezoid(largest=20)
    kinked = mf.Network.uniform(mf.relu, depth=3, weight_variance=1.0)
    rates = mf.learning_rate_map(kinked, widths=[50, 60], normalizations=pairs, method=method)
    with pytest.raises(mf.QuadratureError) as error:
        mf.propagate(kinked, method=method)
    assert rates.reasons == dict.fromkeys([(i, j, 0, 0) for i in range(2) for j in range(2)], str(error.value))
    # digits that are lost after the order parameters, and only behind mean subtraction
    deep = mf.Network.uniform(mf.sigmoid, depth=20, weight_variance=2.0, bias_variance=0.3)
    rates = mf.learning_rate_map(deep, widths=[1000], samples=10, normalizations=pairs)
    assert "has lost its digits" in rates.reasons[1, 0, 0, 0]
    assert (0, 0, 0, 0) not in rates.reasons


def test_centred_cells_have_a_reason_and_others_none() -> None:
    rates = mf.learning_rate_map(
        TANH, widths=[100, 200], bias_variances=[0, 0.5], normalizations=[("none", "none"), ("none", "mean")]
    )
    assert sorted(rates.reasons) == [(i, j, 0, 0) for i in range(2) for j in range(2)]
    assert all("needs a non-centred network" in reason for reason in rates.reasons.values())
    assert np.isfinite(rates.necessary[..., 1]).all()


def test_one_sample_leaves_nothing_to_normalise() -> None:
    rates = mf.learning_rate_map(TANH, widths=[1, 100], samples=1, normalizations=[("none", "none"), ("none", "mean")])
    assert rates.reasons == dict.fromkeys([(1, 0, 0, 0), (1, 1, 0, 0)], "samples must be an integer >= 2, got 1")
    assert np.isfinite(rates.necessary[0]).all()


def test_the_theory_of_the_map() -> None:
    # without normalisation the rate falls like 1/M, by (10) and (23); behind mean subtraction the necessary one stays
    rates = mf.learning_rate_map(
        TANH, widths=[10**3, 10**4, 10**5], normalizations=[("none", "none"), ("none", "mean")], leading_order=True
    )
    kappa = mf.kappas(TANH)
    for j, width in enumerate(rates.widths):
        uniform = TANH.alpha * ((width - 1) * kappa.cross + kappa.same)
        assert rates.value[0, j, 0, 0] == pytest.approx(2 / uniform, rel=ROUNDING)
        assert rates.necessary[1, j, 0, 0] == pytest.approx(2 / (TANH.alpha * (kappa.same - kappa.cross)), rel=ROUNDING)
    assert np.isnan(rates.value[1]).all()
    assert (rates.safe <= rates.necessary).all()


def test_one_pair_of_variances_prints_one_table() -> None:
    text = str(mf.learning_rate_map(TANH, widths=[100, 1000], normalizations=[("none", "none"), ("none", "mean")]))
    lines = text.splitlines()
    assert lines[0].split() == ["hidden/output", "M", "T", "necessary", "safe", "value", "theorem"]
    report = mf.learning_rate_bound(mf.eigenvalue_statistics(TANH, width=1000, samples=1000))
    assert lines[2].split() == ["none/none", "1000", "1000", *[f"{report.value:.4g}"] * 3, "Theorem", "2.2"]
    assert lines[4].split()[-4:] == ["-", "Theorem", "3.3", "(ii)"]
    assert "no learning rate for" not in text
    assert "necessary  2/lower: no rate above it converges" in text


def test_several_variances_print_a_block_for_each_normalisation() -> None:
    rates = mf.learning_rate_map(
        TANH,
        widths=[100, 1000],
        weight_variances=[1, 2.5],
        bias_variances=[0, 0.5],
        normalizations=[("none", "none"), ("none", "mean"), ("none", "layer")],
    )
    blocks = str(rates).split("\n\n")
    assert [block.split(":")[0] for block in blocks[:2]] == ["none/none", "none/mean"]
    rows = blocks[0].splitlines()[1:]
    assert rows[0].split() == ["sigma_w^2", "sigma_b^2", "M", "=", "100", "M", "=", "1000"]
    assert rows[1].split() == ["1", "0", "-", "-"]
    assert rows[4].split() == ["2.5", "0.5", *(f"{rates.value[0, j, 1, 1]:.4g}" for j in range(2))]
    interval = f"[{rates.safe[1, 0, 1, 1]:.4g}, {rates.necessary[1, 0, 1, 1]:.4g}]"
    assert interval in blocks[1].splitlines()[-1]
    notes = blocks[2].splitlines()
    assert notes[0] == "no learning rate for"
    where = ", as at M = 100, sigma_w^2 = 1, sigma_b^2 = 0"  # kappa_1 is in the reasons: they differ
    assert notes[1].startswith(f"none/none, 4 of 8 cells{where}: Theorem 2.2 needs a non-centred network")
    assert notes[3].startswith("none/layer, 8 of 8 cells: ")


def test_a_map_of_the_networks_own_weights_says_so() -> None:
    rates = mf.learning_rate_map(TANH, widths=[100], bias_variances=[0.1, 0.2], normalizations=[("none", "none")])
    assert [line.split()[:2] for line in str(rates).splitlines()[2:4]] == [["own", "0.1"], ["own", "0.2"]]


def test_a_map_without_any_rate_prints_its_reasons() -> None:
    text = str(mf.learning_rate_map(TANH, widths=[100], bias_variances=[0], normalizations=[("none", "none")]))
    assert text.startswith("no learning rate for\nnone/none, 1 of 1 cells: Theorem 2.2")


def test_maps_travel_between_processes() -> None:
    rates = mf.learning_rate_map(TANH, widths=[100], normalizations=PAIRS[:2], bias_variances=[0, 1])
    again = pickle.loads(pickle.dumps(rates))
    assert again.reasons == rates.reasons
    assert np.array_equal(again.necessary, rates.necessary, equal_nan=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": 100}, "widths must be a sequence, got 100"),
        ({"widths": []}, "widths must be a sequence of at least one, got none"),
        ({"widths": [100, 0]}, "widths must be an integer >= 1, got 0"),
        ({"widths": [10.0]}, "widths must be an integer >= 1, got 10.0"),
        ({"weight_variances": [1, 0]}, "weight_variances must be a finite number > 0, got 0"),
        ({"weight_variances": 2.0}, "weight_variances must be a sequence, got 2.0"),
        ({"weight_variances": []}, "weight_variances must be a sequence of at least one"),
        ({"bias_variances": [-1]}, "bias_variances must be a finite number >= 0, got -1"),
        ({"bias_variances": [math.nan]}, "bias_variances must be a finite number >= 0, got nan"),
        ({"normalizations": ("none", "mean")}, "normalizations must be a sequence of pairs .* got 'none'"),
        ({"normalizations": [("none", "max")]}, "normalizations must be one of none, mean, batch, layer, got 'max'"),
        ({"normalizations": [("mean", "none")]}, "normalizations must be one of none, batch, layer, got 'mean'"),
        ({"normalizations": [3]}, "normalizations must be a sequence of pairs"),
        ({"samples": 0}, "samples must be an integer >= 1, got 0"),
        ({"regime": "few"}, "regime must be one of auto, fixed, proportional, got 'few'"),
        ({"method": "auto"}, "method must be a method of integration"),
    ],
)
def test_bad_input_is_refused_before_any_work(
    arguments: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def untouchable(*_: object, **__: object) -> None:
        raise AssertionError("integrated")

    monkeypatch.setattr(MODULE, "propagate", untouchable)
    with pytest.raises(mf.ParameterError, match=message):
        mf.learning_rate_map(TANH, **{"widths": [100], **arguments})


def test_a_width_that_leaves_a_layer_empty_is_refused() -> None:
    with pytest.raises(mf.ParameterError, match="width must be large enough to give each layer a unit"):
        mf.learning_rate_map(MIXED_NETWORKS["shallow"], widths=[100, 4])


def test_a_cell_beyond_the_range_of_doubles_is_a_reason() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=9)
    rates = mf.learning_rate_map(network, widths=[100], weight_variances=[2.0, 1e-70, 1e90], samples=20)
    assert np.isfinite(rates.necessary[0, 0, 0, 0])
    assert any("range of doubles" in reason or "variance" in reason for reason in rates.reasons.values())


def test_a_map_has_a_limit() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    with pytest.raises(mf.ParameterError, match=r"widths must be few enough for a map of at most 1e\+06 cells"):
        mf.learning_rate_map(network, widths=range(1, 1001), weight_variances=np.linspace(1, 2, 1000))
