"""The block of the last layer, and Theorem 3.4, against explicit matrices and one layer of batch normalisation."""

from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest
from numpy.typing import NDArray
from problems import MIXED_NETWORKS, RELU, TANH, sweep
from tolerances import LINEAR_ALGEBRA, ROUNDING, SIGMAS

import meanfield as mf
import montecarlo as mc
from montecarlo.allowance import allowed


@pytest.mark.parametrize(
    ("hidden", "samples"),
    # two samples behind batch normalisation are 1 and -1, and alike behind |u|, which this network has
    [pair for pair in itertools.product(["none", "batch", "layer"], [2, 3, 9]) if pair != ("batch", 2)],
)
@pytest.mark.parametrize("leading_order", [True, False])
def test_statistics_are_those_of_the_explicit_matrix(hidden: str, samples: int, leading_order: bool) -> None:
    network = MIXED_NETWORKS["variances by layer"].normalized(hidden=hidden)
    order = mf.propagate(network, samples=samples)
    width = 37
    units = 0.8 * width if leading_order else round(0.8 * width)
    same, cross = order.activity.same[-1], order.activity.cross[-1]
    block = (np.eye(samples) * (same - cross) + cross) * units + (not leading_order)
    matrix = np.kron(np.eye(3), block / samples)
    parameters = 3 * units if leading_order else 3 * (units + 1)
    statistics = mf.last_layer_statistics(network, width=width, samples=samples, leading_order=leading_order)
    assert statistics.parameters == pytest.approx(parameters, rel=ROUNDING)
    assert statistics.mean * parameters == pytest.approx(np.trace(matrix), rel=LINEAR_ALGEBRA)
    assert statistics.second_moment * parameters == pytest.approx(np.sum(matrix**2), rel=LINEAR_ALGEBRA)
    top = float(np.linalg.eigvalsh(matrix)[-1])
    assert statistics.prediction == pytest.approx(top, rel=LINEAR_ALGEBRA)
    assert statistics.largest.lower == statistics.largest.upper == statistics.prediction


def test_the_block_of_a_finite_network() -> None:
    # F*_L is (h h' + 1)/T for each output, and its largest eigenvalue below that of F
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, bias_variance=0.1, outputs=2)
    last, top, trace = [], [], []
    for seed in range(40):
        measured = sweep(network, width=400, samples=6, seed=seed)
        h = measured.h[-1]
        block = (h @ h.T + 1) / 6
        last.append(float(np.linalg.eigvalsh(block)[-1]))
        trace.append(2 * float(np.trace(block)))
        top.append(mc.measure_eigenvalues(measured).largest.lower)
    assert (np.array(last) < np.array(top)).all()
    theory = mf.last_layer_statistics(network, width=400, samples=6)
    assert theory.prediction is not None
    for value, values, field in (
        (theory.prediction, last, "largest"),
        (theory.mean * theory.parameters, trace, "mean"),
    ):
        interval = allowed(value, [c for c in theory.corrections if c.quantity == field])
        slack = SIGMAS * float(np.std(values, ddof=1)) / math.sqrt(len(values))
        assert interval.lower - slack < float(np.mean(values)) < interval.upper + slack
        assert slack < 0.1 * value


def normalised_layer(phi: mf.Activation, samples: int, width: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Activities (T, M) behind batch normalisation, of weights and inputs in a network of one hidden layer."""
    u = rng.normal(size=(samples, width)) @ rng.normal(size=(width, width)) / math.sqrt(width)
    u -= u.mean(axis=0)
    return np.asarray(phi.value(u / u.std(axis=0)))


@pytest.mark.parametrize(("phi", "samples"), [(mf.relu, 10), (mf.relu, 2), (mf.sigmoid, 4), (mf.tanh, 10)])
def test_behind_batch_normalisation(phi: mf.Activation, samples: int) -> None:
    network = mf.Network.uniform(phi, depth=2, weight_variance=1.0, hidden_normalization="batch")
    width, rng = 400, np.random.default_rng(0)
    theory = mf.last_layer_statistics(network, width=width, samples=samples)
    assert theory.prediction is not None
    uniform, contrast, top = [], [], []
    for _ in range(40):
        h = normalised_layer(phi, samples, width, rng)
        block = (h @ h.T + 1) / samples
        uniform.append(float(block.mean() * samples))
        contrast.append((float(np.trace(block)) - uniform[-1]) / (samples - 1))
        top.append(float(np.linalg.eigvalsh(block)[-1]))
    qhat = mf.batch_norm_parameters(phi, samples=samples)
    same, cross = ((width * q + 1) / samples for q in qhat)
    for expected, values in ((same + (samples - 1) * cross, uniform), (same - cross, contrast)):
        slack = SIGMAS * float(np.std(values, ddof=1)) / math.sqrt(len(values))
        assert abs(float(np.mean(values)) - expected) < slack + 4 / width * same * samples
    interval = allowed(theory.prediction, [c for c in theory.corrections if c.quantity == "largest"])
    slack = SIGMAS * float(np.std(top, ddof=1)) / math.sqrt(len(top))
    assert interval.lower - slack < float(np.mean(top)) < interval.upper + slack


def test_what_the_bound_is_worth_for_tanh() -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, hidden_normalization="batch")
    qhat = mf.batch_norm_parameters(mf.tanh, samples=10)
    assert (9 * qhat.cross + qhat.same) / 10 == pytest.approx(0.0027, abs=5e-5)
    largest = mf.last_layer_statistics(network, width=1000, samples=10, leading_order=True).prediction
    assert largest == pytest.approx(1000 * (qhat.same - qhat.cross) / 10, rel=ROUNDING)
    assert largest == pytest.approx(45.7, abs=0.05)


def test_theorem_3_4_as_printed() -> None:
    network = mf.Network(
        activations=[mf.tanh, mf.relu],  # only that of the last hidden layer enters
        width_ratios=[1, 2, 0.5],
        weight_variance=2.0,
        outputs=3,
        hidden_normalization="batch",
    )
    statistics = mf.eigenvalue_statistics(network, width=600, samples=10, leading_order=True)
    angle = math.acos(-1 / 9)
    cross = (math.sin(angle) - (math.pi - angle) * 1 / 9) / (2 * math.pi)  # (S.70): the arc cosine kernel
    assert statistics.largest.lower == pytest.approx(0.5 * (9 / 10 * cross + 0.5 / 10) * 600, rel=ROUNDING)
    assert statistics.largest.upper == math.inf
    assert statistics.prediction is None
    assert math.isnan(statistics.mean)
    assert math.isnan(statistics.second_moment)
    assert statistics.parameters == 3 * 600**2
    assert statistics.theorem == "Theorem 3.4"
    assert statistics.omitted[:2] == ("m_lambda", "s_lambda")
    printed = str(statistics)
    assert "m_lambda    unknown" in printed
    assert "s_lambda    unknown" in printed
    exact = mf.eigenvalue_statistics(network, width=600, samples=3)  # whose gradients have no mean
    assert exact.theorem == "Theorem 3.4"
    assert exact.parameters == network.parameters(600)
    assert exact.largest.lower == mf.last_layer_statistics(network, width=600, samples=3).prediction
    whole = mf.eigenvalue_statistics(network, width=600, samples=10).prediction
    assert whole is not None
    assert whole > mf.last_layer_statistics(network, width=600, samples=10).largest.lower


def test_relu_with_two_samples_has_no_overlap() -> None:
    # the paper calls qhat_st a positive constant; the values are phi(1) and phi(-1) = 0
    network = RELU.normalized(hidden="batch")
    statistics = mf.eigenvalue_statistics(network, width=100, samples=2, leading_order=True)
    assert statistics.largest.lower == pytest.approx(100 * 0.5 / 2, rel=ROUNDING)


def test_theorem_3_4_needs_a_non_negative_activation() -> None:
    for network in (TANH, MIXED_NETWORKS["variances by layer"]):
        with pytest.raises(mf.AssumptionError, match=r"Theorem 3\.4 needs a non-negative activation") as raised:
            mf.eigenvalue_statistics(network.normalized(hidden="batch"), width=100, samples=10, leading_order=True)
        assert "mf.last_layer_statistics" in str(raised.value)


@pytest.mark.parametrize("samples", [1, 2, 30])
def test_it_is_below_theorem_2_2(samples: int) -> None:
    for network in (RELU, TANH, TANH.normalized(hidden="layer")):
        last = mf.last_layer_statistics(network, width=100, samples=samples).prediction
        whole = mf.eigenvalue_statistics(network, width=100, samples=samples).prediction
        assert last is not None
        assert whole is not None
        assert last < whole


def test_corrections_stay_finite_without_overlap() -> None:
    for phi, samples in ((mf.relu, 2), (mf.tanh, 10), (mf.identity, 2)):
        network = mf.Network.uniform(phi, depth=3, weight_variance=1.0, hidden_normalization="batch")
        for correction in mf.last_layer_statistics(network, width=100, samples=samples).corrections:
            assert 0 <= correction.size < math.inf


def test_what_is_refused() -> None:
    batch = RELU.normalized(hidden="batch")
    for output in ("mean", "batch", "layer"):
        with pytest.raises(mf.AssumptionError, match=f"not output_normalization={output}"):
            mf.last_layer_statistics(batch.normalized(output=output), width=100, samples=10)
    for call in (mf.last_layer_statistics, mf.eigenvalue_statistics):
        with pytest.raises(mf.ParameterError, match="samples must be an integer >= 2, got 1"):
            call(batch, width=100, samples=1)
        with pytest.raises(mf.ParameterError, match="whose hidden layers are batch-normalised, got some with a sens"):
            call(batch, width=100, samples=5, order=mf.propagate(RELU))
    with pytest.raises(mf.ParameterError, match="samples must be an integer >= 1, got 0"):
        mf.last_layer_statistics(RELU, width=100, samples=0)
    with pytest.raises(mf.ParameterError, match="width must be an integer >= 1"):
        mf.last_layer_statistics(RELU, width=0, samples=5)


def test_what_applies_instead_is_said_also_by_an_error_of_a_worker() -> None:
    """It may have other names; a brace or a name in the reason is nobody's placeholder."""
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0, bias_variance=0.5).normalized(hidden="batch")
    with pytest.raises(mf.AssumptionError) as raised:
        mf.eigenvalue_statistics(network, width=100, samples=10, leading_order=True)
    for error in (raised.value, pickle.loads(pickle.dumps(raised.value))):
        assert str(error).endswith("a lower bound of lambda_max (mf.last_layer_statistics)")
        assert error.told({"last_layer_statistics": "--of"}).endswith("a lower bound of lambda_max (--of)")
    plain = mf.AssumptionError("mf.propagate {0}")
    assert str(plain) == plain.told({"propagate": "x"}) == str(pickle.loads(pickle.dumps(plain))) == "mf.propagate {0}"
