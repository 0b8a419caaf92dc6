"""Gradient descent: the gradient, the threshold 2/lambda_max of every network, and what the paper's line is not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from problems import RELU_BIASED, TANH
from tolerances import DIFFERENCES, LINEAR_ALGEBRA, ROUNDING, THRESHOLD

import meanfield as mf
import montecarlo as mc
from meanfield import ParameterError
from montecarlo.sweeps import PRECISION

SMOOTH = mf.Network(
    activations=[mf.tanh, mf.erf],
    width_ratios=[1, 2, 0.5],
    weight_variance=2.0,
    bias_variance=0.3,
    outputs=3,
)


def problem(
    network: mf.Network, *, width: int = 8, samples: int = 6, seed: int | np.random.SeedSequence = 0
) -> tuple[mc.FiniteNetwork, Any, Any]:
    """Return a student, inputs, and the labels of a teacher."""
    rng = np.random.default_rng(seed)
    student, teacher = (mc.sample_network(network, width=width, rng=rng) for _ in range(2))
    inputs = mc.sample_inputs(network, width=width, samples=samples, rng=rng)
    return student, inputs, mc.propagate(teacher, inputs).outputs


def loss(finite: mc.FiniteNetwork, inputs: Any, labels: Any) -> float:
    """Return E as the paper has it, sample by sample."""
    outputs = mc.propagate(finite, inputs).outputs
    return float(sum((y - f) @ (y - f) for y, f in zip(labels, outputs, strict=True)) / (2 * len(labels)))


def numerical_gradient(finite: mc.FiniteNetwork, inputs: Any, labels: Any) -> list[list[Any]]:
    """Return dE/dW^l and dE/db^l by central differences."""
    arrays = [[w.copy() for w in finite.weights], [b.copy() for b in finite.biases]]
    gradients = [[np.empty_like(one) for one in part] for part in arrays]
    for part, of_part in zip(arrays, gradients, strict=True):
        for values, gradient in zip(part, of_part, strict=True):
            for index in np.ndindex(values.shape):
                at = values[index]
                sides = []
                for step in (1e-5, -1e-5):
                    values[index] = at + step
                    sides.append(loss(mc.FiniteNetwork(finite.network, *arrays), inputs, labels))
                values[index] = at
                gradient[index] = (sides[0] - sides[1]) / 2e-5
    return gradients


@pytest.mark.parametrize("hidden", ["none", "batch", "layer"])
@pytest.mark.parametrize("output", ["none", "mean", "batch", "layer"])
def test_one_step_is_the_explicit_update(hidden: str, output: str) -> None:
    """The weights move by -eta times the gradient by finite differences, behind every normalisation."""
    network = SMOOTH.normalized(hidden=hidden, output=output)
    student, inputs, labels = problem(network)
    run = mc.train(student, inputs, labels, learning_rate=0.1, steps=1)
    assert run.finite_network is not None
    weights, biases = numerical_gradient(student, inputs, labels)
    for before, after, gradient in (
        *zip(student.weights, run.finite_network.weights, weights, strict=True),
        *zip(student.biases, run.finite_network.biases, biases, strict=True),
    ):
        assert (before - after) / 0.1 == pytest.approx(gradient, abs=DIFFERENCES)
    assert max(np.abs(one).max() for one in weights) > 0.01
    assert run.losses == pytest.approx(
        [loss(one, inputs, labels) for one in (student, run.finite_network)], rel=ROUNDING
    )


def test_many_steps_are_one_step_many_times() -> None:
    student, inputs, labels = problem(TANH, width=20)
    at_once = mc.train(student, inputs, labels, learning_rate=0.02, steps=5)
    one: mc.FiniteNetwork | None = student
    losses = [loss(student, inputs, labels)]
    for _ in range(5):
        assert one is not None
        one = mc.train(one, inputs, labels, learning_rate=0.02, steps=1).finite_network
        assert one is not None
        losses.append(loss(one, inputs, labels))
    assert at_once.losses == pytest.approx(losses, rel=LINEAR_ALGEBRA)
    assert at_once.final_loss == at_once.losses[-1]


def test_the_student_is_not_changed() -> None:
    student, inputs, labels = problem(TANH, width=20)
    copies = [w.copy() for w in student.weights]
    x, y = inputs.copy(), labels.copy()
    mc.train(student, inputs, labels, learning_rate=0.02, steps=3)
    assert all(np.array_equal(w, copy) for w, copy in zip(student.weights, copies, strict=True))
    assert np.array_equal(inputs, x)
    assert np.array_equal(labels, y)


@pytest.mark.parametrize("output", ["none", "mean", "batch"])
def test_small_rates_make_the_loss_fall_at_every_step_and_can_reach_zero(output: str) -> None:
    """Labels of a teacher with the same normalisation can be attained: with T = 6 and P = 921 the loss vanishes."""
    student, inputs, labels = problem(RELU_BIASED.normalized(output=output), width=20)
    largest = mc.measure_eigenvalues(mc.propagate(student, inputs)).largest.lower
    run = mc.train(student, inputs, labels, learning_rate=0.5 / largest, steps=3000)
    assert np.all(np.diff(run.losses[:100]) < 0)
    assert run.final_loss < 1e-6 * run.losses[0]


def test_labels_that_are_not_centred_cannot_be_fitted_by_centred_outputs() -> None:
    """The loss stays above that of the mean: |mean y|^2/2."""
    student, inputs, labels = problem(RELU_BIASED.normalized(output="mean"), width=20)
    run = mc.train(student, inputs, labels + 3.0, learning_rate=0.01, steps=1000)
    assert run.final_loss == pytest.approx(4.5, rel=0.01)
    assert run.final_loss >= 4.5 * (1 - ROUNDING)


def test_in_a_linear_model_the_loss_follows_the_eigenvalues() -> None:
    """Nearby, r(n) = (I - eta F*)^n r(0): against the dual Gram of the network."""
    student, inputs, _ = problem(TANH, width=30, samples=10)
    sweep = mc.propagate(student, inputs)
    gram = mc.dual_gram(sweep)
    eta = 1.5 / np.linalg.eigvalsh(gram)[-1]
    residual = 1e-6 * np.random.default_rng(1).standard_normal(sweep.outputs.shape)
    run = mc.train(student, inputs, sweep.outputs + residual, learning_rate=eta, steps=20)
    expected = []
    for _ in range(21):
        expected.append(float(np.sum(residual**2)) / 20)
        residual = residual - eta * gram @ residual
    assert run.losses == pytest.approx(expected, rel=1e-4)  # the residual moves the network by a millionth


def test_an_explosion_stops_the_descent() -> None:
    student, inputs, labels = problem(RELU_BIASED, width=50, samples=50)
    run = mc.train(student, inputs, labels, learning_rate=1.0, steps=1000)
    assert run.exploded is not None
    assert len(run.losses) == run.exploded + 1 < 20
    assert not run.losses[-1] <= 1e3
    assert np.all(run.losses[:-1] <= 1e3)
    assert run.final_loss == math.inf
    assert run.finite_network is None
    huge = mc.train(student, inputs, labels, learning_rate=1e200, steps=1000)
    assert huge.exploded == 1


def test_outputs_that_lose_their_spread_have_exploded() -> None:
    """A rate so large that every unit dies leaves equal outputs, which batch normalisation cannot divide by."""
    student, inputs, labels = problem(RELU_BIASED.normalized(output="batch"), width=2, samples=5)
    run = mc.train(student, inputs, labels, learning_rate=10.0, steps=100)
    assert run.exploded == 1
    assert math.isnan(run.losses[-1])
    dead = mc.FiniteNetwork(student.network, [0 * w for w in student.weights], student.biases)
    with pytest.raises(ArithmeticError, match="no spread to divide by"):
        mc.train(dead, inputs, labels, learning_rate=0.1, steps=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be a finite number > 0, got 0"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"steps": -1}, "steps must be an integer >= 0, got -1"),
        ({"explosion": 0}, "explosion"),
        ({"labels": np.zeros(6)}, r"labels must be of shape \(6, 1\), got \(6,\)"),
        ({"labels": np.full((6, 1), np.inf)}, "labels must be finite"),
        ({"inputs": np.zeros((6, 3))}, r"inputs must be of shape \(T, 8\)"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], message: str) -> None:
    student, inputs, labels = problem(TANH)
    arguments = {"inputs": inputs, "labels": labels, "learning_rate": 0.1, "steps": 1} | change
    with pytest.raises(ParameterError, match=message):
        mc.train(student, **arguments)


def sweep_of(output: str, width: int, *, samples: int = 100, seed: int = 0, **options: Any) -> mc.LearningRateSweep:
    network = RELU_BIASED.normalized(output=output)
    options.setdefault("learning_rates", [1e-3, 1e-1])
    options.setdefault("steps", 1)
    experiments = mc.sweep_experiments(network, width, samples, **options)
    (sweep,) = mc.join_sweeps(mc.run_ensembles(experiments, members=1, seed=seed))
    return sweep


@pytest.mark.parametrize("width", [25, 50, 100, 200])
@pytest.mark.parametrize("output", ["none", "mean", "batch"])
def test_the_measured_threshold_is_that_of_lambda_max_width_by_width(output: str, width: int) -> None:
    """Gradient descent alone against the eigenvalue of the same network, at initialisation."""
    threshold = sweep_of(output, width).threshold
    assert threshold.unstable <= threshold.stable * PRECISION
    assert threshold.stable < threshold.critical * THRESHOLD
    assert threshold.unstable > threshold.critical / THRESHOLD


def test_the_threshold_does_not_depend_on_where_the_search_begins() -> None:
    student, inputs, _ = problem(RELU_BIASED, width=30, samples=20)
    for start in (1e-5, 1.0):
        stable, unstable = mc.measure_threshold(student, inputs, start=start, rng=np.random.default_rng(0))
        critical = 2 / mc.measure_eigenvalues(mc.propagate(student, inputs)).largest.lower
        assert stable / THRESHOLD < critical < unstable * THRESHOLD


def test_there_is_no_threshold_where_the_outputs_never_change() -> None:
    """Batch normalisation makes any two outputs -1 and 1."""
    student, inputs, _ = problem(RELU_BIASED.normalized(output="batch"), samples=2)
    with pytest.raises(ArithmeticError, match="do not depend on the parameters"):
        mc.measure_threshold(student, inputs, start=1.0, rng=np.random.default_rng(0))


def test_the_line_of_figure_2_right_is_not_the_threshold() -> None:
    """At fixed T = 200 the paper's line falls like 1/M; threshold and 2/lambda_max hardly change (slip 17)."""
    lines, thresholds = [], []
    for width in (25, 100):
        network = RELU_BIASED.normalized(output="mean")
        theory = mf.eigenvalue_statistics(network, width=width, samples=200, regime="proportional", leading_order=True)
        lines.append(mf.learning_rate_bound(theory).necessary)
        thresholds.append(sweep_of("mean", width, samples=200).threshold.measured)
    kappa = mf.kappas(RELU_BIASED)
    assert lines[0] == pytest.approx(2 / (25 / 200 * 2 * (kappa.same - kappa.cross)), rel=1e-12)
    assert lines[0] / lines[1] == pytest.approx(4, rel=1e-12)
    assert thresholds[0] / thresholds[1] < 2
    assert lines[0] > 10 * thresholds[0]


def test_the_explosion_comes_down_to_the_threshold_as_the_width_grows() -> None:
    """A rate above 2/lambda_max ends in an explosion only where the loss has room to grow: its height grows with M."""
    highest = []
    for width in (25, 200):
        student, inputs, labels = problem(RELU_BIASED, width=width, samples=100)
        largest = mc.measure_eigenvalues(mc.propagate(student, inputs)).largest.lower
        run = mc.train(student, inputs, labels, learning_rate=3.2 / largest, steps=60, explosion=1e9)
        highest.append(run.losses.max())
    assert highest[1] > 4 * highest[0]


def test_a_sweep_is_of_one_network() -> None:
    """Its losses are those of separate runs from the same initialisation, and its explosions end them."""
    rates = [1e-4, 1e-3, 1.0, 3.0]
    sweep = sweep_of("none", 30, samples=40, learning_rates=rates, steps=10)
    (stream,) = np.random.SeedSequence(0).spawn(1)
    student, inputs, labels = problem(RELU_BIASED, width=30, samples=40, seed=stream)
    for rate, descent in zip(rates, sweep.descents, strict=True):
        run = mc.train(student, inputs, labels, learning_rate=rate, steps=10)
        assert (descent.final_loss, descent.exploded) == (run.final_loss, run.exploded)
        assert descent.initial_loss == pytest.approx(loss(student, inputs, labels), rel=ROUNDING)
    assert (sweep.largest_surviving, sweep.smallest_exploding) == (1e-3, 1.0)
    measured = mc.measure_eigenvalues(mc.propagate(student, inputs)).largest.lower
    assert sweep.threshold.critical == pytest.approx(2 / measured, rel=ROUNDING)


def test_a_sweep_without_an_explosion() -> None:
    sweep = sweep_of("none", 10, samples=10, learning_rates=[1e-5, 1e-4])
    assert (sweep.largest_surviving, sweep.smallest_exploding) == (1e-4, math.inf)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rates": []}, "learning_rates must be at least one, increasing"),
        ({"learning_rates": [0.1, 0.1]}, "learning_rates"),
        ({"learning_rates": [-0.1]}, "learning_rates"),
        ({"learning_rates": 0.1}, "learning_rates must be a sequence"),
        ({"steps": 0}, "steps must be an integer >= 1, got 0"),
        ({"width": 0}, "width"),
        ({"samples": 1}, "samples"),
        ({"memory_limit": 1e-6}, "memory_limit"),
        ({"explosion": -1}, "explosion"),
    ],
)
def test_an_experiment_checks_its_numbers_at_construction(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"width": 10, "samples": 10, "learning_rates": [0.1], "steps": 1} | change
    with pytest.raises(ParameterError, match=message):
        mc.sweep_experiments(RELU_BIASED.normalized(output="mean"), **arguments)


def test_sweeps_are_the_same_on_two_workers_and_from_a_store(tmp_path: Path) -> None:
    experiments = mc.sweep_experiments(RELU_BIASED, 20, 20, learning_rates=[1e-3, 1e-2], steps=5)
    serial = mc.run_ensembles(experiments, members=3, seed=0)
    assert [mc.run_ensemble(one, members=3, seed=0) for one in experiments] == list(serial)
    for found in (0, 9):  # the second finds what the first has written
        with mc.Processes(2) as pool, mc.Store(tmp_path / "sweep.sqlite") as store:
            assert mc.run_ensembles(experiments, members=3, seed=0, executor=pool, store=store) == serial
            assert store.found == found
