"""The measured threshold of gradient descent against 2/lambda_max of the same networks, width by width."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from problems import RELU_BIASED, TANH
from tolerances import LINEARISED, OFFSET, ROUNDING, SIGMAS, TWO_ROUTES

import meanfield as mf
import montecarlo as mc
from montecarlo.fingerprint import describe
from montecarlo.threshold import PRECISION, STEPS, _loss_and_noise, _nearby, sample_trial

OUTPUTS = ("none", "mean", "batch")
WIDTHS = (20, 40, 80, 160)


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_threshold_is_2_over_lambda_max_width_by_width(output: str) -> None:
    """No network shows growth below it, and all show it from 1 % above on."""
    network = RELU_BIASED.normalized(output=output)
    experiments = [mc.ThresholdExperiment(network, width, 50) for width in WIDTHS]
    for ensemble in mc.run_ensembles(experiments, members=3, seed=0):
        for one in ensemble.members:
            assert one.stable < one.unstable <= one.stable * PRECISION
            assert one.unstable > one.critical * (1 - LINEARISED)
            assert one.stable < one.critical * (1 + OFFSET)
        ratios = np.array([one.ratio for one in ensemble.members])
        error = ratios.std(ddof=1) / math.sqrt(len(ratios))
        assert abs(ratios.mean() - 1) < SIGMAS * error + OFFSET


def first_growing(gram: Any, residual: Any, noise: float) -> float:
    """Return the smallest rate at which sum_i c_i^2 (1 - eta lambda_i)^2n rises within STEPS, by bisection."""
    eigenvalues, vectors = np.linalg.eigh(gram)
    squares = (vectors.T @ residual.ravel()) ** 2 / (2 * len(residual))
    steps = np.arange(STEPS + 1)[:, None]

    def rises(rate: float) -> bool:
        losses = ((1 - rate * eigenvalues) ** (2 * steps) * squares).sum(axis=1)
        return bool(np.any(np.diff(losses) > noise * (np.sqrt(2 * losses[:-1]) + noise)))

    low, high = 1 / eigenvalues[-1], 3 / eigenvalues[-1]
    while high / low > 1 + 1e-9:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if rises(middle) else (middle, high)
    return float(high)


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_offset_is_that_of_the_finite_number_of_steps(output: str) -> None:
    """Against the linear theory of the residual, eigenvalue by eigenvalue, and against the bound on its offset."""
    experiment = mc.ThresholdExperiment(RELU_BIASED.normalized(output=output), 60, 40)
    rng = np.random.default_rng(3)
    student, _, inputs = sample_trial(experiment.network, 60, 40, rng)
    state = rng.bit_generator.state
    sweep = mc.propagate(student, inputs)
    gram = mc.dual_gram(sweep)
    labels = mc.forward(_nearby(student, rng), inputs).outputs
    residual = sweep.outputs - labels
    _, noise = _loss_and_noise(mc.forward(student, inputs), labels)
    predicted = first_growing(gram, residual, noise)
    rng.bit_generator.state = state
    stable, unstable = mc.measure_threshold(student, inputs, rng=rng)
    assert stable * (1 - LINEARISED) < predicted < unstable * (1 + LINEARISED)

    eigenvalues, vectors = np.linalg.eigh(gram)
    share = float((vectors[:, -1] @ residual.ravel()) ** 2 / np.sum(residual**2))
    x = 2 * (predicted * eigenvalues[-1] / 2 - 1)  # eta lambda_max = 2 + x
    assert x >= 0
    assert 2 * x * share * (1 + x) ** (2 * STEPS) < (1 - share) / (math.e * STEPS)


def test_the_threshold_does_not_depend_on_where_the_search_begins() -> None:
    student, _, inputs = sample_trial(RELU_BIASED, 30, 20, np.random.default_rng(0))
    critical = 2 / mc.measure_largest(mc.propagate(student, inputs))
    for start in (1e-4, 1.0, 1e6):
        stable, unstable = mc.measure_threshold(student, inputs, start=start, rng=np.random.default_rng(0))
        assert stable / (1 + OFFSET) < critical < unstable * (1 + LINEARISED)


def test_behind_other_normalisations_it_is_2_over_lambda_max_as_well() -> None:
    for hidden, output in (("batch", "none"), ("layer", "mean"), ("none", "layer")):
        network = mf.Network.uniform(
            mf.tanh,
            depth=3,
            weight_variance=2.0,
            bias_variance=0.3,
            outputs=4,
            hidden_normalization=hidden,
            output_normalization=output,
        )
        one = mc.ThresholdExperiment(network, 20, 15).run(np.random.default_rng(0))
        assert one.stable / (1 + OFFSET) < one.critical < one.unstable * (1 + LINEARISED)


def test_there_is_no_threshold_where_the_outputs_never_change() -> None:
    """Batch normalisation makes any two outputs -1 and 1."""
    student, _, inputs = sample_trial(RELU_BIASED.normalized(output="batch"), 8, 2, np.random.default_rng(0))
    with pytest.raises(ArithmeticError, match="do not depend on the parameters"):
        mc.measure_threshold(student, inputs, rng=np.random.default_rng(0))


def test_the_line_of_figure_2_right_is_not_the_threshold() -> None:
    """At fixed T = 200 the paper's line falls like 1/M; threshold and 2/lambda_max hardly change (slip 17)."""
    lines, thresholds = [], []
    network = RELU_BIASED.normalized(output="mean")
    for width in (25, 100):
        theory = mf.eigenvalue_statistics(network, width=width, samples=200, regime="proportional", leading_order=True)
        lines.append(mf.learning_rate_bound(theory).necessary)
        thresholds.append(mc.ThresholdExperiment(network, width, 200).run(np.random.default_rng(0)).measured)
    kappa = mf.kappas(RELU_BIASED)
    assert lines[0] == pytest.approx(2 / (25 / 200 * 2 * (kappa.same - kappa.cross)), rel=ROUNDING)
    assert lines[0] / lines[1] == pytest.approx(4, rel=ROUNDING)
    assert thresholds[0] / thresholds[1] < 2
    assert lines[0] > 10 * thresholds[0]


def test_the_explosion_of_a_linear_model_is_seen_where_the_growth_in_n_steps_says() -> None:
    """The loss is f E(0) (eta lambda_max - 1)^2n, on a network of which only one bias learns: exactly linear."""
    network = mf.Network(activations=[mf.identity], width_ratios=[1, 1], weight_variance=1.0)
    frozen = mc.FiniteNetwork(network, [np.zeros((5, 5)), np.zeros((1, 5))], [np.zeros(5), np.zeros(1)])
    # with all weights zero: f = b, lambda_max = 1, E = (b - 1)^2/2
    for steps in (50, 200):
        edge = 1 + (1e3 / 0.5) ** (1 / (2 * steps))
        for factor, survives in ((1 - 1e-6, True), (1 + 1e-6, False)):
            run = mc.train(frozen, np.ones((1, 5)), [[1.0]], learning_rate=edge * factor, steps=steps)
            assert (run.exploded is None) is survives
            assert survives or run.exploded == steps


def test_the_explosion_comes_down_to_the_threshold_as_the_width_grows() -> None:
    """A rate above 2/lambda_max ends in an explosion only where the loss has room to grow: its height grows with M."""
    highest = []
    for width in (25, 200):
        student, teacher, inputs = sample_trial(RELU_BIASED, width, 100, np.random.default_rng(0))
        labels = mc.forward(teacher, inputs).outputs
        largest = mc.measure_largest(mc.propagate(student, inputs))
        run = mc.train(student, inputs, labels, learning_rate=3.2 / largest, steps=60, explosion=1e9)
        highest.append(run.losses.max())
    assert highest[1] > 4 * highest[0]


def test_the_solver_tells_experiments_apart_and_the_limit_does_not() -> None:
    plain = mc.ThresholdExperiment(replace(TANH, outputs=6), 20, 400)
    assert plain.solver == "dense"
    assert replace(plain, memory_limit=20) == plain
    assert describe(replace(plain, memory_limit=20)) == describe(plain)
    tight = replace(plain, memory_limit=0.9 * plain.memory)
    assert tight.solver == "matrix-free"
    assert tight != plain
    assert tight.memory < plain.memory
    many = mc.ThresholdExperiment(replace(TANH, outputs=8), 20, 400)
    assert many.solver == "matrix-free"  # not for want of memory: it takes less time
    one, other = (experiment.run(np.random.default_rng(0)) for experiment in (plain, tight))
    assert one.largest_eigenvalue == pytest.approx(other.largest_eigenvalue, rel=TWO_ROUTES)


def test_other_activations() -> None:
    one = mc.ThresholdExperiment(TANH, 40, 30).run(np.random.default_rng(0))
    assert one.stable / (1 + OFFSET) < one.critical < one.unstable * (1 + LINEARISED)


@pytest.mark.parametrize("seed", range(3))
def test_rounding_of_large_outputs_is_no_growth(seed: int) -> None:
    """With samples that look alike the loss stalls far below its beginning; with large weights it begins above 1000."""
    for depth, variance, bias in ((3, 1e-4, 1.0), (3, 100.0, 0.0), (10, 100.0, 0.0)):
        network = mf.Network.uniform(mf.relu, depth=depth, weight_variance=variance, bias_variance=bias)
        threshold = mc.ThresholdExperiment(network, 40, 10).run(np.random.default_rng(seed))
        assert threshold.unstable > threshold.critical * (1 - LINEARISED)
        assert threshold.stable < threshold.critical * (1 + OFFSET)


def test_wrong_objects_are_refused() -> None:
    student, _, inputs = sample_trial(RELU_BIASED, 8, 4, np.random.default_rng(0))
    with pytest.raises(mf.ParameterError, match=r"rng must be a numpy\.random\.Generator, got None"):
        mc.measure_threshold(student, inputs, rng=None)  # type: ignore[arg-type]
    with pytest.raises(mf.ParameterError, match=r"finite_network must be a montecarlo\.FiniteNetwork"):
        mc.measure_threshold(None, inputs, rng=np.random.default_rng(0))  # type: ignore[arg-type]
