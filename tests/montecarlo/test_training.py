"""Gradient descent: the gradient, by differences and by hand, and what becomes of losses that explode."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from problems import RELU_BIASED, TANH
from tolerances import DIFFERENCES, LINEAR_ALGEBRA, ROUNDING

import meanfield as mf
import montecarlo as mc
from meanfield import ParameterError
from montecarlo.threshold import sample_trial
from montecarlo.training import training_memory

SMOOTH = mf.Network(
    activations=[mf.tanh, mf.erf],
    width_ratios=[1, 2, 0.5],
    weight_variance=2.0,
    bias_variance=0.3,
    outputs=3,
)


def problem(
    network: mf.Network, *, width: int = 8, samples: int = 6, seed: int = 0
) -> tuple[mc.FiniteNetwork, Any, Any]:
    """Return a student, inputs, and the labels of a teacher."""
    rng = np.random.default_rng(seed)
    student, teacher = (mc.sample_network(network, width=width, rng=rng) for _ in range(2))
    inputs = mc.sample_inputs(network, width=width, samples=samples, rng=rng)
    return student, inputs, mc.forward(teacher, inputs).outputs


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


@pytest.mark.parametrize("output", ["none", "mean", "batch"])
def test_one_step_is_that_of_the_explicit_jacobian(output: str) -> None:
    """(1/T) (df/dtheta)' (f - y) unit by unit, with the Jacobian of a relu network and of its outputs written out."""
    student, inputs, labels = problem(RELU_BIASED.normalized(output=output), width=7)
    (w1, w2, w3), (b1, b2, b3) = student.weights, student.biases
    rows, f = [], []
    for x in inputs:
        u1 = w1 @ x + b1
        h1 = np.where(u1 > 0, u1, 0)
        u2 = w2 @ h1 + b2
        h2 = np.where(u2 > 0, u2, 0)
        d2 = np.where(u2 > 0, w3[0], 0)
        d1 = np.where(u1 > 0, d2 @ w2, 0)
        parts = (np.outer(d1, x), d1, np.outer(d2, h1), d2, h2, [1.0])
        rows.append(np.concatenate([np.ravel(part) for part in parts]))
        f.append(w3[0] @ h2 + b3[0])
    u, jacobian, samples = np.array(f), np.array(rows), len(inputs)
    of_outputs = np.eye(samples)  # d f(s) / d u(t)
    if output != "none":
        of_outputs = of_outputs - 1 / samples
        u = u - u.mean()
    if output == "batch":
        sigma = np.sqrt(np.mean(u**2))
        of_outputs = (of_outputs - np.outer(u, u) / (samples * sigma**2)) / sigma
        u = u / sigma
    gradient = jacobian.T @ of_outputs.T @ (u - labels[:, 0]) / samples
    run = mc.train(student, inputs, labels, learning_rate=0.5, steps=1, explosion=1e300)
    trained = run.finite_network
    assert trained is not None
    moved = [
        (before - after) / 0.5
        for pair in zip((student.weights, student.biases), (trained.weights, trained.biases), strict=True)
        for before, after in zip(*pair, strict=True)
    ]
    ours = np.concatenate([moved[n].ravel() for n in (0, 3, 1, 4, 2, 5)])
    assert ours == pytest.approx(gradient, abs=LINEAR_ALGEBRA * np.abs(gradient).max())


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


@pytest.mark.parametrize("rate", [10.0, 1e4, 1e80, 1e160, 1e300, 1.7e308])
@pytest.mark.parametrize("output", ["none", "mean", "batch"])
@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "softplus", "elu"])
def test_no_rate_is_too_large_to_be_tried(name: str, output: str, rate: float) -> None:
    """Overflow, 0 * inf and inf - inf are explosions without a warning; what does not explode is finite."""
    network = mf.Network.uniform(
        getattr(mf, name), depth=3, weight_variance=4.0, bias_variance=1.0, output_normalization=output
    )
    student, inputs, labels = problem(network, width=12, samples=8)
    run = mc.train(student, inputs, labels, learning_rate=rate, steps=20)
    if run.exploded is None:
        assert output == "batch" or rate < 1e4
        assert math.isfinite(run.final_loss)
    else:
        assert not run.losses[-1] <= 1e3
        assert run.finite_network is None


def test_weights_that_overflow_behind_saturated_units_have_exploded() -> None:
    """The loss is 0.5 (1 - tanh(inf))^2: only the weights show it."""
    network = mf.Network.uniform(mf.tanh, depth=2, weight_variance=1.0)
    student = mc.FiniteNetwork(network, [[[1.0]], [[1.0]]], [[0.0], [0.0]])
    run = mc.train(student, [[1e10]], [[-1e-3]], learning_rate=1e308, steps=1, explosion=1e300)
    assert run.exploded == 1
    overflowing = mc.FiniteNetwork(network, [[[1e-3]], [[1.0]]], [[0.0], [0.0]])
    run = mc.train(overflowing, [[30.0]], [[100.0]], learning_rate=1e308, steps=1, explosion=1e300)
    assert run.exploded == 1
    assert run.finite_network is None


@pytest.mark.parametrize("hidden", ["none", "batch", "layer"])
@pytest.mark.parametrize(("width", "samples"), [(100, 1000), (400, 50)])
def test_memory_is_predicted(hidden: str, width: int, samples: int) -> None:
    network = SMOOTH.normalized(hidden=hidden, output="batch")
    tracemalloc.start()
    student, teacher, inputs = sample_trial(network, width, samples, np.random.default_rng(0))
    tracemalloc.reset_peak()
    mc.train(student, inputs, mc.forward(teacher, inputs).outputs, learning_rate=1e-4, steps=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.85 < peak / 2**30 / training_memory(network, width, samples) < 1.1


def test_training_behind_a_batch_takes_no_gradients_of_all_outputs() -> None:
    """delta(t; a) of all pairs of samples would take a hundred times the limit."""
    network = TANH.normalized(hidden="batch")
    training = mc.TrainingExperiment(network, 40, 1000, learning_rate=1e-3, steps=1, memory_limit=0.02)
    assert training.run(np.random.default_rng(0)).exploded is None
    with pytest.raises(ParameterError, match="memory_limit must be at least the"):
        mc.ThresholdExperiment(network, 40, 1000, memory_limit=0.02)


def test_what_cannot_be_normalised_is_refused_before_any_work() -> None:
    student, inputs, labels = problem(RELU_BIASED.normalized(output="batch"))
    with pytest.raises(ParameterError, match="samples must be at least 2 with batch normalisation, got 1"):
        mc.train(student, inputs[:1], labels[:1], learning_rate=0.1, steps=1)
    student, inputs, labels = problem(RELU_BIASED)
    normalised = mc.FiniteNetwork(student.network.normalized(output="layer"), student.weights, student.biases)
    with pytest.raises(ParameterError, match="outputs must be at least 2 with layer normalisation"):
        mc.train(normalised, inputs, labels, learning_rate=0.1, steps=1)
