"""The slips of the paper: each is decided by a computation of its own, which the printed form fails.

The numbers are those of the paper's equations; what is implemented is on the left of each comparison.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from problems import RELU, RELU_BIASED, TANH
from tolerances import DIFFERENCES, LINEAR_ALGEBRA, ROUNDING, SIGMAS

import meanfield as mf
import montecarlo as mc

Array = NDArray[np.float64]

WIDTH, SAMPLES = 100, 7
PRINTED_IS_OFF = 0.01
"""By how much, relative, a printed form must miss at least, so that the test has decided something."""

UNEQUAL = mf.Network(
    activations=[mf.tanh, mf.relu],
    width_ratios=[0.5, 2.0, 1.5],
    weight_variance=2.0,
    bias_variance=0.3,
    outputs=4,
)


def leading(network: mf.Network, *, samples: int = SAMPLES) -> mf.Exchangeable:
    """(alpha M/T) K."""
    order = mf.propagate(network, samples=samples)
    return mf.dual_block(network, order, width=WIDTH, samples=samples, leading_order=True)


def outputs_of(network: mf.Network, *, samples: int = SAMPLES, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((samples, network.outputs)) + 0.5


def layer_normalised_dual(block: Array, u: Array) -> Array:
    """A(t) A(t')/(sigma(t) sigma(t')) block_tt', of shape (T, C, T, C), from (S.88)."""
    samples, outputs = u.shape
    derivative = np.empty((samples, outputs, outputs))
    for t, row in enumerate(u):
        centred = row - row.mean()
        sigma = math.sqrt(np.mean(centred**2))
        derivative[t] = (np.eye(outputs) - 1 / outputs - np.outer(centred, centred) / (outputs * sigma**2)) / sigma
    return np.asarray(np.einsum("tab,scb,ts->tasc", derivative, derivative, block))


def layer_statistics(u: Array) -> mf.EigenvalueStatistics:
    network = UNEQUAL.normalized(hidden="layer", output="layer")
    readout = mf.ReadoutScales.from_outputs(u)
    return mf.eigenvalue_statistics(network, width=WIDTH, samples=len(u), readout=readout, leading_order=True)


def test_1_the_square_of_eta_3_is_a_mean_of_squares() -> None:
    """(27), (S.113): tr F*^2 of the leading matrix itself."""
    network = UNEQUAL.normalized(hidden="layer", output="layer")
    u = outputs_of(network)
    dual = layer_normalised_dual(leading(network).dense(), u)
    statistics = layer_statistics(u)
    trace_of_square = float(np.vdot(dual, dual))
    assert statistics.second_moment * statistics.parameters == pytest.approx(trace_of_square, rel=ROUNDING)
    readout = statistics.readout
    assert readout is not None
    centred = u - u.mean(axis=1, keepdims=True)
    variance = np.mean(centred**2, axis=1)
    eta_3 = np.mean(centred @ centred.T / u.shape[1] / np.outer(variance, variance))  # g/(sigma sigma'), as printed
    printed = replace(readout, h3=eta_3**2)
    assert abs(eta_3**2 / readout.h3 - 1) > PRINTED_IS_OFF
    wrong = mf.eigenvalue_statistics(network, width=WIDTH, samples=SAMPLES, readout=printed, leading_order=True)
    assert abs(wrong.second_moment / statistics.second_moment - 1) > PRINTED_IS_OFF


def test_2_the_lower_bound_has_the_factor_alpha() -> None:
    """(S.37): s/m of the leading matrix after mean subtraction."""
    centred = leading(UNEQUAL).centred().dense()
    network = UNEQUAL.normalized(output="mean")
    lower = mf.eigenvalue_statistics(
        network, width=WIDTH, samples=SAMPLES, regime="proportional", leading_order=True
    ).largest.lower
    assert lower == pytest.approx(np.vdot(centred, centred) / np.trace(centred), rel=ROUNDING)
    assert abs(lower / network.alpha / lower - 1) > PRINTED_IS_OFF


def test_3_4_the_last_layer_has_the_width_of_the_layer_below_it() -> None:
    """(S.65) has alpha and (S.67) no width at all, where it must be alpha_{L-1} M: against the block itself."""
    network = replace(UNEQUAL, outputs=1, hidden_normalization=mf.HiddenNormalization.BATCH)
    width = 400
    theory = mf.last_layer_statistics(network, width=width, samples=SAMPLES, leading_order=True)
    ensemble = mc.run_ensemble(mc.LastLayerExperiment(network, width, SAMPLES), members=20, seed=0)
    row = mc.compare(mf.last_layer_statistics(network, width=width, samples=SAMPLES), ensemble)["lambda_max"]
    assert row.agrees
    assert theory.prediction is not None
    qhat = mf.batch_norm_parameters(mf.relu, samples=SAMPLES)
    bound = (SAMPLES - 1) / SAMPLES * qhat.cross + qhat.same / SAMPLES
    assert theory.prediction == pytest.approx(network.width_ratios[-1] * width * bound, rel=ROUNDING)
    for printed in (network.alpha * width * bound, bound):
        assert printed not in row.interval


def test_5_the_denominator_of_batch_norm_is_a_standard_deviation() -> None:
    """(S.68), (S.69): by sampling; the root gives relu 1/2 and (S.70), the variance neither."""
    u = np.random.default_rng(0).standard_normal((100_000, 10)) * 3
    centred = u - u.mean(axis=1, keepdims=True)
    variance = np.mean(centred**2, axis=1, keepdims=True)
    qhat = mf.batch_norm_parameters(mf.relu, samples=10)
    for denominator, right in ((np.sqrt(variance), True), (variance, False)):
        phi = np.maximum(centred / denominator, 0)
        for drawn, expected in ((phi[:, 0] ** 2, qhat.same), (phi[:, 0] * phi[:, 1], qhat.cross)):
            z = (drawn.mean() - expected) / (drawn.std() / math.sqrt(len(drawn)))
            assert (abs(z) < SIGMAS) == right


def test_6_the_mixed_terms_of_the_second_moment_are_counted_once() -> None:
    """(S.35), with F0 any symmetric matrix; printed, K_tt and K_st stand beside the factors that they are."""
    rng, alpha, m = np.random.default_rng(0), 1.7, 50.0
    k = mf.Exchangeable(1.3, 0.4, SAMPLES).centred()
    f0 = rng.standard_normal((SAMPLES, SAMPLES))
    f0 = f0 + f0.T
    total = alpha * m / SAMPLES * k.dense() + f0 / SAMPLES
    kappa_difference = 0.9
    diagonal, off = np.trace(f0), f0.sum() - np.trace(f0)
    t, scale = SAMPLES, 2 * alpha * m * kappa_difference / SAMPLES**2
    mixed = scale * ((1 - 1 / t) * diagonal - off / t)
    expansion = (alpha * m / t) ** 2 * k.squared_norm + mixed + np.vdot(f0, f0) / t**2
    assert np.vdot(total, total) == pytest.approx(expansion, rel=ROUNDING)
    # as printed, with (K)_tt and (K)_st beside the factors (1 - 1/T) and -1/T that they stand for
    twice = scale * ((1 - 1 / t) * k.same * diagonal - k.cross / t * off)
    printed = expansion - mixed + twice
    assert abs(printed / expansion - 1) > PRINTED_IS_OFF / 10


def test_7_batch_norm_of_the_outputs_leaves_t_minus_2_directions() -> None:
    """(S.50), (S.51): P F* P of the leading matrix; the printed Q K misses even its own trace at finite T."""
    network = replace(UNEQUAL, outputs=1).normalized(output="batch")
    u = outputs_of(network)
    centred = (u - u.mean(axis=0))[:, 0]
    variance = float(np.mean(centred**2))
    project = (np.eye(SAMPLES) - 1 / SAMPLES - np.outer(centred, centred) / (SAMPLES * variance)) / math.sqrt(variance)
    dual = project @ leading(network).dense() @ project
    readout = mf.ReadoutScales.from_outputs(u)
    statistics = mf.eigenvalue_statistics(network, width=WIDTH, samples=SAMPLES, readout=readout, leading_order=True)
    assert statistics.mean * statistics.parameters == pytest.approx(np.trace(dual), rel=ROUNDING)
    assert statistics.second_moment * statistics.parameters == pytest.approx(np.vdot(dual, dual), rel=ROUNDING)
    # (S.51) without 1 - 2/T
    printed = readout.q1 * leading(network).contrast * SAMPLES
    assert abs(printed / np.trace(dual) - 1) > PRINTED_IS_OFF
    # Q K as printed, against the product itself
    k = mf.Exchangeable(1.3, 0.4, SAMPLES)
    q = (np.eye(SAMPLES) - np.outer(centred, centred) / (SAMPLES * variance)) / variance
    product = q @ k.centred().dense()
    ones, outer = np.ones((SAMPLES, SAMPLES)), np.outer(centred, centred)
    corrected = k.contrast / variance * (np.eye(SAMPLES) - ones / SAMPLES - outer / (SAMPLES * variance))
    printed_product = k.contrast / variance * (np.eye(SAMPLES) - (1 - 1 / SAMPLES) * outer / (SAMPLES * variance))
    assert np.allclose(product, corrected, rtol=0, atol=ROUNDING)
    assert np.abs(product - printed_product).max() > PRINTED_IS_OFF
    # sigma^2 Q is the projector onto the complement of u, not onto u
    assert np.allclose(variance * q @ centred, 0, atol=ROUNDING)


def standardised(x: Array) -> Array:
    centred = x - x.mean()
    return np.asarray(centred / np.sqrt(np.mean(centred**2)))


def test_8_the_last_term_of_gamma_is_added() -> None:
    """(S.81), (S.84): Gamma_kk'(s, t) = sum_i P_ki(s) P_k'i(t)."""
    units = 9
    n_s, n_t = (standardised(x) for x in np.random.default_rng(0).standard_normal((2, units)))
    p_s, p_t = (np.eye(units) - 1 / units - np.outer(n, n) / units for n in (n_s, n_t))
    gamma = p_s @ p_t.T
    first = np.eye(units) - (np.outer(n_t, n_t) + np.outer(n_s, n_s) + 1) / units
    last = np.outer(n_s, n_t) * (n_s @ n_t) / units**2
    assert np.allclose(gamma, first + last, rtol=0, atol=ROUNDING)
    assert np.abs(gamma - (first - last)).max() > PRINTED_IS_OFF


def test_9_the_projector_is_sigma_times_the_derivative() -> None:
    """(S.78): the derivative of (u - mu)/sigma by differences."""
    x, step = np.random.default_rng(0).standard_normal(6) * 3, 1e-5
    n, sigma = standardised(x), x.std()
    derivative = np.array([(standardised(x + step * e) - standardised(x - step * e)) / (2 * step) for e in np.eye(6)]).T
    projector = np.eye(6) - 1 / 6 - np.outer(n, n) / 6
    assert np.allclose(derivative, projector / sigma, rtol=0, atol=DIFFERENCES)
    assert np.abs(derivative - projector).max() > PRINTED_IS_OFF


def test_10_the_overlap_of_gradients_comes_from_the_overlap_above() -> None:
    """(S.85) has qtilde_t on the right for qtilde_st (and (S.79) prints qhat on the left): finite networks decide."""
    network = TANH.normalized(hidden="layer")
    theory = mf.propagate(network)
    ensemble = mc.run_ensemble(mc.OrderParameterExperiment(network, width=400, samples=10), members=20, seed=0)
    row = mc.compare(theory, ensemble)["qtilde^1_st"]
    assert row.agrees
    qtilde = theory.backward
    printed = qtilde.cross[0] * qtilde.same[1] / qtilde.cross[1]
    assert printed not in row.interval


def test_11_a_layer_counts_with_the_width_below_it() -> None:
    """(S.99): M_{l-1}, not M_l; (S.96) lacks 1/T: the trace of F* of finite networks with unequal widths."""
    network = replace(UNEQUAL, outputs=1)
    width, rng = 400, np.random.default_rng(0)
    sweep = mc.propagate(
        mc.sample_network(network, width=width, rng=rng), mc.sample_inputs(network, width=width, samples=5, rng=rng)
    )
    order, units = mc.measure_order_parameters(sweep), network.widths(width)
    trace = np.trace(mc.dual_gram(sweep, biases=False))
    terms = order.backward.same * order.activity.same
    assert trace == pytest.approx(terms @ np.array(units[:-1]), rel=0.02)  # of averages, instead of the average
    assert abs(terms @ np.array(units[1:]) / trace - 1) > 0.1
    assert abs(5 * terms @ np.array(units[:-1]) / trace - 1) > 0.1


def test_12_the_trace_sums_over_the_outputs() -> None:
    """(S.110)-(S.112): the entry for one k is not C - 3 + g^2 times the rest; the sum over k is."""
    network = UNEQUAL.normalized(hidden="layer", output="layer")
    u, block = outputs_of(network), leading(network)
    dual = layer_normalised_dual(block.dense(), u)
    square = np.einsum("tasc,scta->ta", dual, dual)
    centred = u - u.mean(axis=1, keepdims=True)
    variance = np.mean(centred**2, axis=1)
    g = centred @ centred.T / u.shape[1] / np.sqrt(np.outer(variance, variance))
    corrected = (block.dense() ** 2 / np.outer(variance, variance) * (u.shape[1] - 3 + g**2)).sum(axis=1)
    assert np.allclose(square.sum(axis=1), corrected, rtol=ROUNDING)
    assert np.abs(square[:, 0] / corrected - 1).min() > PRINTED_IS_OFF


def test_13_the_readout_is_linear_and_the_inputs_have_no_gradient() -> None:
    """(5) runs to l = L-2 and (7) from l = 1: L forward and L backward order parameters, and no more."""
    order = mf.propagate(RELU)
    assert order.activity.same.size == order.backward.same.size == RELU.depth
    # outputs have the variance of the linear readout; printed to L-1 they would be relu's, half of it
    ensemble = mc.run_ensemble(mc.OrderParameterExperiment(RELU, width=200, samples=50), members=40, seed=0)
    row = mc.compare(order, ensemble)["q^3_t"]
    assert row.agrees
    assert row.theory.lower / 2 not in row.interval


def test_14_three_outputs_are_enough_for_layer_norm() -> None:
    """The remark on C = 2 speaks of C > 3 as non-trivial; it is C > 2."""
    for outputs, is_zero in ((2, True), (3, False)):
        network = replace(UNEQUAL, outputs=outputs).normalized(hidden="layer", output="layer")
        u = outputs_of(network)
        assert np.allclose(layer_normalised_dual(leading(network).dense(), u), 0, atol=LINEAR_ALGEBRA) == is_zero
        readout = mf.ReadoutScales.from_outputs(u)
        statistics = mf.eigenvalue_statistics(network, width=WIDTH, samples=SAMPLES, readout=readout)
        assert (statistics.largest.upper == 0) == is_zero


def test_15_the_mean_gradients_are_columns() -> None:
    """R-bar is P x C T like R, so that (R - R-bar)'(R - R-bar) = G F* G."""
    rng = np.random.default_rng(0)
    r = rng.standard_normal((11, SAMPLES))  # P x T, C = 1
    r_bar = np.repeat(r.mean(axis=1, keepdims=True), SAMPLES, axis=1)
    assert r_bar.shape == r.shape
    g = np.eye(SAMPLES) - 1 / SAMPLES
    assert np.allclose((r - r_bar).T @ (r - r_bar), g @ r.T @ r @ g, rtol=0, atol=ROUNDING * 100)


def test_16_the_constants_of_theorem_3_4_may_be_zero_or_nearly_so() -> None:
    """The relu of two samples, which are 1 and -1 after batch norm, has no overlap."""
    assert mf.batch_norm_parameters(mf.relu, samples=2).cross == 0
    # an odd activation: the bound holds, and is worth little in the uniform direction
    qhat = mf.batch_norm_parameters(mf.tanh, samples=10)
    assert mf.Exchangeable(qhat.same, qhat.cross, 10).uniform / 10 == pytest.approx(0.0027, abs=5e-5)
    with pytest.raises(mf.AssumptionError, match=r"Theorem 3\.4"):
        mf.eigenvalue_statistics(TANH.normalized(hidden="batch"), width=WIDTH, samples=10, leading_order=True)


def test_17_the_line_of_figure_2_is_not_the_threshold() -> None:
    """At fixed T lambda_max hardly changes with M, and its lower bound, on which the line rests, grows like M."""
    network = RELU_BIASED.normalized(output="mean")
    measured, lower = {}, {}
    for width in (50, 200):
        experiment = mc.EigenvalueExperiment(network, width, 1000)
        ensemble = mc.run_ensemble(experiment, members=4, seed=0)
        measured[width] = np.mean([member.largest.lower for member in ensemble.members])
        lower[width] = mf.eigenvalue_statistics(network, width=width, samples=1000).largest.lower
    assert lower[200] / lower[50] == pytest.approx(4, rel=0.05)
    assert 0.8 < measured[200] / measured[50] < 1.5
    assert measured[50] / lower[50] > 30
