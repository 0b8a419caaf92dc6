"""Whatever is no network, sweep, array or generator is refused by name, before any work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from problems import RELU

import meanfield as mf
import montecarlo as mc
from montecarlo.eigenvalue_method import Size

RNG = np.random.default_rng(0)
FINITE = mc.sample_network(RELU, width=6, rng=RNG)
INPUTS = mc.sample_inputs(RELU, width=6, samples=4, rng=RNG)
SWEEP = mc.propagate(FINITE, INPUTS)
NOTHING: Any = None
OLD: Any = np.random.RandomState(0)
SIZE: dict[str, Any] = {"width": 6, "samples": 4}

OF_SWEEPS: list[Callable[..., object]] = [
    *(mc.dual_gram, mc.dual_operator, mc.last_layer_gram, mc.q_matrix, mc.q_form_gram),
    *(mc.measure_eigenvalues, mc.measure_largest, mc.measure_last_layer, mc.measure_eigenspace),
    *(mc.measure_order_parameters, mc.measure_spread),
]
EXPERIMENTS: list[Callable[..., object]] = [
    *(mc.EigenvalueExperiment, mc.EigenspaceExperiment, mc.LastLayerExperiment, mc.OrderParameterExperiment),
    *(mc.DeviationExperiment, mc.ThresholdExperiment),
    lambda network, **size: mc.TrainingExperiment(network, **size, learning_rate=0.1, steps=1),
    mc.choose_method,
]


@pytest.mark.parametrize("measure", OF_SWEEPS)
def test_a_measurement_wants_a_sweep(measure: Callable[..., object]) -> None:
    for wrong in (None, FINITE, "sweep"):
        with pytest.raises(mf.ParameterError, match=r"^sweep must be a montecarlo\.Sweep, got "):
            measure(wrong)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(({"network": wrong}, r"^network must be a meanfield\.Network, got ") for wrong in (None, "relu", FINITE)),
        *(({"samples": wrong}, "^samples must be an integer >= ") for wrong in (-1, 0, np.nan, True, None, "a", 1.5)),
        *(({"width": wrong}, "^width must be an integer >= 1") for wrong in (-1, 0, np.nan, True, None, "a", 1.5)),
        *(({"memory_limit": wrong}, "^memory_limit must be a finite number > 0") for wrong in (-1, 0, None, "a", True)),
    ],
)
def test_an_experiment_wants_a_network_and_numbers(
    experiment: Callable[..., object], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(mf.ParameterError, match=message):
        experiment(**({"network": RELU, **SIZE} | change))


@pytest.mark.parametrize("wrong", ["text", [["a"]], 1j * INPUTS, None, [[1.0, 2.0], [3.0]], object()])
@pytest.mark.parametrize(
    ("parameter", "call"),
    [
        ("inputs", lambda x: mc.propagate(FINITE, x)),
        ("inputs", lambda x: mc.train(FINITE, x, np.zeros((4, 1)), learning_rate=0.1, steps=1)),
        ("inputs", lambda x: mc.measure_threshold(FINITE, x, rng=np.random.default_rng(0))),
        ("labels", lambda y: mc.train(FINITE, INPUTS, y, learning_rate=0.1, steps=1)),
        ("weights", lambda w: mc.FiniteNetwork(RELU, [w, w, w], FINITE.biases)),
    ],
)
def test_arrays_are_of_real_numbers(parameter: str, call: Callable[[object], object], wrong: object) -> None:
    with pytest.raises(mf.ParameterError, match=f"^{parameter} must be an array of real numbers, got "):
        call(wrong)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"finite_network must be a montecarlo\.FiniteNetwork, got None", lambda: mc.propagate(NOTHING, INPUTS)),
        ("finite_network", lambda: mc.train(NOTHING, INPUTS, INPUTS, learning_rate=0.1, steps=1)),
        ("finite_network", lambda: mc.measure_threshold(NOTHING, INPUTS, rng=RNG)),
        (
            r"rng must be a numpy\.random\.Generator, got None",
            lambda: mc.measure_threshold(FINITE, INPUTS, rng=NOTHING),
        ),
        ("rng", lambda: mc.sample_network(RELU, width=6, rng=NOTHING)),
        ("rng", lambda: mc.sample_inputs(RELU, **SIZE, rng=OLD)),
        ("network", lambda: mc.sample_network(NOTHING, width=6, rng=RNG)),
        ("network", lambda: mc.FiniteNetwork(NOTHING, FINITE.weights, FINITE.biases)),
        ("weights must be a sequence", lambda: mc.FiniteNetwork(RELU, NOTHING, FINITE.biases)),
        ("theory must be a meanfield.OrderParameters", lambda: mc.measure_deviations(SWEEP, NOTHING)),
        ("ensemble must be a montecarlo.Ensemble, got None", lambda: mc.precision_error(NOTHING)),
        ("plan must be a montecarlo.SweepPlan", lambda: mc.sweep_learning_rates(NOTHING, members=1, seed=0)),
        (
            "networks must be a sequence",
            lambda: mc.SweepPlan(NOTHING, widths=[6], samples=4, learning_rates=[0.1], steps=1),
        ),
        ("dtype must be float64 or float32", lambda: mc.choose_method(RELU, **SIZE, dtype="a")),
        ("with_sweep must be True or False", lambda: mc.choose_method(RELU, **SIZE, with_sweep=NOTHING)),
        ("method must be dense or matrix-free", lambda: Size(RELU, **SIZE).memory("auto")),
        ("hidden must be one of", lambda: mc.gram_memory(outputs=1, samples=4, hidden="bach")),
        ("outputs must be an integer >= 1", lambda: mc.gram_memory(outputs=0, samples=4)),
    ],
)
def test_every_object_is_named(message: str, call: Any) -> None:
    with pytest.raises(mf.ParameterError, match=message):
        call()


def test_a_bound_is_no_eigenvalue() -> None:
    assert mc.measure_eigenvalues(SWEEP).lambda_max == pytest.approx(mc.measure_largest(SWEEP))
    bounded = mf.eigenvalue_statistics(RELU.normalized(output="mean"), width=100, samples=100)
    with pytest.raises(ValueError, match="lambda_max is bounded"):
        _ = bounded.lambda_max
