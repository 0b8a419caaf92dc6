"""The dual Gram without the Gram: as an operator, its moments from tiles, its largest eigenvalue, and float32."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import oracles
import pytest
from problems import RELU, TANH
from tolerances import DIFFERENCES, SINGLE, TWO_ROUTES

import meanfield as mf
import montecarlo as mc
from montecarlo import dual_tiles
from montecarlo.dual_operator import operator_memory, plain_trace
from montecarlo.dual_tiles import dual_moments, tiles_memory
from montecarlo.eigenvalue_method import Size
from montecarlo.propagate import sweep_memory

TWELVE = [(hidden, output) for hidden in ("none", "batch", "layer") for output in ("none", "mean", "batch", "layer")]


def member(
    network: mf.Network, *, width: int = 12, samples: int = 9, seed: int = 5, dtype: str = "float64"
) -> mc.Sweep:
    rng = np.random.default_rng(seed)
    finite = mc.sample_network(network, width=width, rng=rng)
    return mc.propagate(finite, mc.sample_inputs(network, width=width, samples=samples, rng=rng), dtype=dtype)


def mixed(hidden: str, output: str, outputs: int) -> mf.Network:
    """Layers narrower and wider than there are samples: both orders of the two products."""
    return mf.Network(
        activations=[mf.tanh, mf.erf, mf.relu],
        width_ratios=[1, 0.5, 2, 0.6],
        weight_variance=[2, 1.5, 1, 3],
        bias_variance=0.3,
        outputs=outputs,
    ).normalized(hidden=hidden, output=output)


@pytest.mark.parametrize(("hidden", "output"), TWELVE)
@pytest.mark.parametrize("outputs", [1, 2, 3, 4])
@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("samples", [3, 9, 40])
def test_operator_and_tiles_against_the_gram(
    hidden: str, output: str, outputs: int, biases: bool, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dual_tiles, "_TILE_ROWS", 13)  # several tiles, the last of them smaller
    sweep = member(mixed(hidden, output, 3 if output == "layer" else outputs), samples=samples)
    gram = mc.dual_gram(sweep, biases=biases)
    operator = mc.dual_operator(sweep, biases=biases)
    plain = mc.dual_gram(member(mixed(hidden, "none", sweep.outputs.shape[1]), samples=samples), biases=biases)
    scale = max(np.abs(gram).max(), TWO_ROUTES * np.abs(plain).max())
    np.testing.assert_allclose(operator @ np.eye(len(gram)), gram, rtol=0, atol=TWO_ROUTES * scale)
    trace, squares = dual_moments(sweep, biases=biases)
    assert trace == pytest.approx(np.trace(gram), rel=TWO_ROUTES)
    assert squares == pytest.approx(np.sum(gram**2), rel=TWO_ROUTES)
    single = member(mixed(hidden, output, sweep.outputs.shape[1]), samples=samples, dtype="float32")
    rough = mc.dual_operator(single, biases=biases) @ np.eye(len(gram), dtype=np.float32)
    np.testing.assert_allclose(rough, gram, rtol=0, atol=SINGLE * max(scale, np.abs(plain).max()))


@pytest.mark.parametrize("output", ["none", "mean"])
def test_operator_against_the_explicit_gradients(output: str) -> None:
    """Independent of the Gram: R'R v with R by finite differences, mean subtracted over the samples."""
    sweep = member(mixed("none", output, 3), samples=6)
    r = oracles.gradients(sweep.finite_network, sweep.h[0])
    v = np.random.default_rng(0).standard_normal((r.shape[1],))
    expected = r.T @ (r @ v)
    np.testing.assert_allclose(mc.dual_operator(sweep) @ v, expected, atol=DIFFERENCES * np.abs(expected).max())


@pytest.mark.parametrize(("hidden", "output"), [pair for pair in TWELVE if pair[0] != "batch"])
@pytest.mark.parametrize(("outputs", "samples"), [(1, 330), (3, 110)])
def test_largest_eigenvalue_by_both_methods(hidden: str, output: str, outputs: int, samples: int) -> None:
    """More than 200 rows: Lanczos iterations, with the Gram and without it, against the dense solver."""
    sweep = member(mixed(hidden, output, 3 if output == "layer" else outputs), width=60, samples=samples)
    exact = np.linalg.eigvalsh(mc.dual_gram(sweep))[-1]
    for method in ("dense", "matrix-free"):
        measured = mc.measure_eigenvalues(sweep, method=method)
        assert measured.prediction == pytest.approx(exact, rel=TWO_ROUTES)
        assert mc.measure_largest(sweep, method=method) == measured.prediction


def test_both_methods_with_batch_normalisation() -> None:
    sweep = member(mixed("batch", "batch", 4), width=20, samples=60)
    dense, free = (mc.measure_eigenvalues(sweep, method=method) for method in ("dense", "matrix-free"))
    assert dense.prediction == pytest.approx(np.linalg.eigvalsh(mc.dual_gram(sweep))[-1], rel=TWO_ROUTES)
    for key in ("mean", "second_moment", "prediction", "parameters"):
        assert getattr(free, key) == pytest.approx(getattr(dense, key), rel=TWO_ROUTES)
    assert free.readout == dense.readout


def test_degenerate_largest_eigenvalue() -> None:
    """A linear network whose last weights are orthonormal has F* = I_C x K: every eigenvalue 30 times."""
    network = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0, outputs=30)
    rng = np.random.default_rng(0)
    orthonormal = np.linalg.qr(rng.standard_normal((40, 30)))[0].T
    finite = mc.FiniteNetwork(network, [rng.standard_normal((40, 40)), orthonormal], [np.zeros(40), np.zeros(30)])
    for inputs in (rng.standard_normal((10, 40)), np.ones((10, 40))):  # and with a single eigenvalue beside zero
        sweep = mc.propagate(finite, inputs)
        eigenvalues = np.linalg.eigvalsh(mc.dual_gram(sweep))
        np.testing.assert_allclose(eigenvalues[-30:], eigenvalues[-1], rtol=TWO_ROUTES)
        for method in ("dense", "matrix-free"):
            assert mc.measure_largest(sweep, method=method) == pytest.approx(eigenvalues[-1], rel=TWO_ROUTES)


def test_zero_matrices() -> None:
    relu = replace(RELU, outputs=2)
    for samples in (5, 300):
        dead = mc.sample_network(relu, width=10, rng=np.random.default_rng(0))
        dead = mc.FiniteNetwork(relu, [0 * w for w in dead.weights], dead.biases)
        for sweep in (
            mc.propagate(dead, np.zeros((samples, 10))),
            member(relu.normalized(output="layer"), samples=samples),
            member(replace(RELU, outputs=150).normalized(output="batch"), samples=2),
        ):
            measured = mc.measure_eigenvalues(sweep, biases=False, method="matrix-free")
            assert (measured.mean, measured.second_moment, measured.prediction) == (0, 0, 0)
            assert mc.measure_largest(sweep, biases=False, method="matrix-free") == 0


@pytest.mark.parametrize("hidden", ["none", "batch", "layer"])
@pytest.mark.parametrize("samples", [6, 40])
def test_trace_before_the_normalisation(hidden: str, samples: int) -> None:
    """Exact, but for a batch of more than eight samples: from eight of them."""
    sweep = member(mixed(hidden, "none", 3), width=40, samples=samples)
    weights = np.random.default_rng(0).random((samples, 3)) if hidden != "batch" else np.ones((1, 3))
    exact = np.sum(np.diagonal(mc.dual_gram(sweep)).reshape(3, samples).T * weights)
    sampled = hidden == "batch" and samples > 8
    assert plain_trace(sweep, weights) == pytest.approx(exact, rel=0.5 if sampled else TWO_ROUTES)


METHODS = ("dense", "matrix-free")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("measure", [mc.measure_eigenvalues, mc.measure_largest])
@pytest.mark.parametrize("output", ["mean", "batch"])
@pytest.mark.parametrize(("dtype", "fine", "lost"), [("float64", 1e-4, 1e-6), ("float32", 1e-1, 1e-3)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_every_method_refuses_samples_that_look_alike(
    method: str, measure: Callable[..., object], output: str, dtype: str, fine: float, lost: float, outputs: int
) -> None:
    network = replace(TANH, outputs=outputs).normalized(output=output)
    rng = np.random.default_rng(0)
    finite, x = mc.sample_network(network, width=30, rng=rng), rng.standard_normal((25, 30))
    measure(mc.propagate(finite, 1 + fine * x, dtype=dtype), method=method)
    sweep = mc.propagate(finite, 1 + lost * x, dtype=dtype)
    digits = {"float64": "six", "float32": "three"}[dtype]
    with pytest.raises(ArithmeticError, match=f"fewer than {digits} digits: F vanishes, or all samples look alike"):
        measure(sweep, method=method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_same_sample_again_and_again(method: str, dtype: str) -> None:
    """F* is K 11' without normalisation, and nothing that could be told from rounding with mean subtraction."""
    inputs = np.ones((30, 1)) * np.random.default_rng(1).standard_normal((1, 12))
    finite = mc.sample_network(TANH, width=12, rng=np.random.default_rng(0))
    one = mc.measure_largest(mc.propagate(finite, inputs[:1]))
    same = mc.measure_eigenvalues(mc.propagate(finite, inputs, dtype=dtype), method=method)
    assert same.prediction == pytest.approx(one, rel=TWO_ROUTES if dtype == "float64" else SINGLE)
    centred = mc.FiniteNetwork(TANH.normalized(output="mean"), finite.weights, finite.biases)
    sweep = mc.propagate(centred, inputs, dtype=dtype)
    for measure in (mc.measure_eigenvalues, mc.measure_largest):
        with pytest.raises(ArithmeticError, match="all samples look alike"):
            measure(sweep, method=method)


@pytest.mark.parametrize(("hidden", "output"), TWELVE)
def test_no_more_than_three_rows(hidden: str, output: str) -> None:
    """C T <= 3: the smallest networks that each normalisation allows, and those whose F* is zero."""
    outputs, samples = (3, 1) if output == "layer" else (1, 3)
    if hidden == "batch" and output == "layer":
        samples = 2
    sweep = member(mixed(hidden, output, outputs), samples=samples)
    exact = np.linalg.eigvalsh(mc.dual_gram(sweep))[-1]
    assert mc.measure_largest(sweep, method="matrix-free") == pytest.approx(exact, rel=TWO_ROUTES)
    assert mc.measure_eigenvalues(sweep, method="matrix-free").prediction == pytest.approx(exact, rel=TWO_ROUTES)
    if output in ("mean", "batch"):
        pair = member(mixed(hidden, output, 1), samples=2)
        largest = mc.measure_largest(pair, method="matrix-free")
        assert (largest == 0) == (output == "batch")
        assert largest == pytest.approx(np.linalg.eigvalsh(mc.dual_gram(pair))[-1], rel=TWO_ROUTES)


def test_mean_subtraction_leaves_nothing_of_one_sample() -> None:
    """Zero by every method, not its rounding."""
    sweep = member(mixed("none", "mean", 3), samples=1)
    assert not mc.dual_gram(sweep).any()
    assert dual_moments(sweep) == (0, 0)
    for method in METHODS:
        measured = mc.measure_eigenvalues(sweep, method=method)
        assert (measured.mean, measured.second_moment, measured.lambda_max) == (0, 0, 0)
        assert mc.measure_largest(sweep, method=method) == 0


SMALL = r"of a size of at least 3e-16 in float32, got "


@pytest.mark.parametrize("scale", [1e-24, 1e-40, 1e-60])
def test_inputs_and_weights_whose_squares_vanish_in_single_precision_are_refused(scale: float) -> None:
    finite, x = mc.sample_network(RELU, width=10, rng=np.random.default_rng(0)), np.eye(10)
    with pytest.raises(mf.ParameterError, match=f"inputs must be zero, or {SMALL}"):
        mc.propagate(finite, scale * x, dtype="float32")
    small = mc.FiniteNetwork(RELU, [scale * w for w in finite.weights], finite.biases)
    with pytest.raises(mf.ParameterError, match=f"weights must be zero, or {SMALL}"):
        mc.propagate(small, x, dtype="float32")
    exact, tiny = (mc.measure_eigenvalues(mc.propagate(finite, s * x), biases=False) for s in (1, scale))
    assert tiny.lambda_max == pytest.approx(scale**2 * exact.lambda_max, rel=TWO_ROUTES)  # relu, in float64
    assert not mc.propagate(finite, 0 * x, dtype="float32").outputs.any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("measure", [mc.measure_eigenvalues, mc.measure_largest])
def test_gradients_whose_squares_vanish_in_single_precision(method: str, measure: Callable[..., object]) -> None:
    """Thirty layers with weights of a tenth: h^29 and delta^1 are 1e-29, and the biases' gradients are 1."""
    network = mf.Network.uniform(mf.tanh, depth=30, weight_variance=0.01)
    single, double = (member(network, dtype=dtype) for dtype in ("float32", "float64"))
    assert single.h[-1].any()
    with pytest.raises(
        ArithmeticError, match=r"squares of gradients of .* vanish in float32: scale the inputs, or use"
    ):
        measure(single, biases=False, method=method)
    with pytest.raises(ArithmeticError, match="vanish in float32"):
        mc.measure_last_layer(single, biases=False)
    with_biases = [mc.measure_largest(sweep, method=method) for sweep in (single, double)]
    assert with_biases[0] == pytest.approx(with_biases[1], rel=SINGLE)
    activity = [mc.measure_order_parameters(sweep).activity.same for sweep in (single, double)]
    assert activity[1][-1] < 1e-50
    assert activity[0] == pytest.approx(activity[1], rel=SINGLE)


def test_one_sample_of_one_output() -> None:
    sweep = member(RELU, samples=1)
    assert mc.measure_largest(sweep, method="matrix-free") == pytest.approx(mc.dual_gram(sweep)[0, 0], rel=TWO_ROUTES)


def test_gradients_that_overflow() -> None:
    finite = mc.sample_network(RELU, width=10, rng=np.random.default_rng(0))
    large = np.ones((4, 10))
    large[3] = 1e160
    with np.errstate(all="ignore"):
        sweep = mc.propagate(finite, large)
        for measure in (mc.measure_eigenvalues, mc.measure_largest):
            for method in ("dense", "matrix-free"):
                with pytest.raises(ArithmeticError, match="gradients are not finite"):
                    measure(sweep, method=method)


@pytest.mark.parametrize(("hidden", "output"), TWELVE)
def test_single_precision(hidden: str, output: str) -> None:
    """The same network to rounding: weights are drawn in float64 whatever the precision."""
    network = TANH.normalized(hidden=hidden, output=output)
    network = replace(network, outputs=4)
    double, single = (member(network, width=60, samples=60, dtype=dtype) for dtype in ("float64", "float32"))
    arrays = [single.outputs, *single.h, *single.u, *single.delta, mc.dual_gram(single)]
    assert {array.dtype for array in arrays} == {np.dtype("float32")}
    assert mc.dual_operator(single).dtype == np.float32
    expected = mc.measure_eigenvalues(double)
    for method in ("dense", "matrix-free"):
        measured = mc.measure_eigenvalues(single, method=method)
        for key in ("mean", "second_moment", "prediction"):
            assert isinstance(getattr(measured, key), float)
            error = abs(getattr(measured, key) / getattr(expected, key) - 1)
            assert 0 < error < SINGLE
    assert mc.measure_order_parameters(single).activity.same == pytest.approx(
        mc.measure_order_parameters(double).activity.same, rel=SINGLE
    )
    if output == "none":
        both = [mc.measure_eigenspace(sweep).alignment for sweep in (single, double)]
        assert both[0] == pytest.approx(both[1], rel=SINGLE)
        top = [mc.measure_last_layer(sweep).prediction for sweep in (single, double)]
        assert top[0] == pytest.approx(top[1], rel=SINGLE)


def test_spread_lost_in_single_precision() -> None:
    """What is 1e-6 of the values has digits in float64 and none in float32."""
    network = mf.Network(
        activations=[mf.identity], width_ratios=[1, 1], weight_variance=1, output_normalization="batch"
    )
    finite = mc.FiniteNetwork(network, [[[1.0]], [[1.0]]], [[0.0], [0.0]])
    inputs = 1 + 1e-6 * np.arange(3.0)[:, None]
    assert mc.propagate(finite, inputs).outputs[:, 0] == pytest.approx([-(1.5**0.5), 0, 1.5**0.5], abs=1e-8)
    with pytest.raises(ArithmeticError, match="no spread"):
        mc.propagate(finite, inputs, dtype="float32")


def test_the_method_is_chosen_and_said() -> None:
    network = replace(TANH, outputs=10)
    free = mc.EigenvalueExperiment(network, width=1000, samples=5000)
    assert (free.method, free.solver) == ("auto", "matrix-free")
    assert "method=<EigenvalueMethod.AUTO: 'auto'>, solver=<EigenvalueMethod.MATRIX_FREE" in str(free)
    assert replace(free, samples=1000).solver == "dense"
    assert mc.EigenvalueExperiment(network, width=1000, samples=1000).solver == "dense"
    assert mc.EigenvalueExperiment(network, width=1000, samples=3500, dtype="float32").solver == "dense"
    assert mc.EigenvalueExperiment(network, width=1000, samples=3500).solver == "matrix-free"
    assert mc.EigenvalueExperiment(network, width=10, samples=10, method="matrix-free").solver == "matrix-free"
    message = r"at least the 21\.\d GiB that this needs \(method matrix-free: 1\.\d+ GiB, dtype float32: 10\.\d GiB\)"
    with pytest.raises(mf.ParameterError, match=message):
        mc.EigenvalueExperiment(network, width=1000, samples=5000, method="dense")
    with pytest.raises(mf.ParameterError, match=r"GiB that this needs \(dtype float32: [\d.]+ GiB\), got 1 GiB"):
        mc.EigenvalueExperiment(network, width=1000, samples=5000, memory_limit=1)
    with pytest.raises(mf.ParameterError, match="method must be"):
        mc.EigenvalueExperiment(network, width=10, samples=10, method="lanczos")
    with pytest.raises(mf.ParameterError, match="dtype must be float64 or float32, got float16"):
        mc.EigenvalueExperiment(network, width=10, samples=10, dtype="float16")


@pytest.mark.parametrize("output", ["none", "mean", "batch", "layer"])
def test_experiments_take_the_method_that_they_say(output: str) -> None:
    network = replace(TANH, outputs=4).normalized(output=output)
    need = sweep_memory(network, 20, 700) + Size(network, 20, 700).memory("matrix-free")
    dense, free = (mc.EigenvalueExperiment(network, 20, 700, memory_limit=limit) for limit in (1.0, 1.01 * need))
    assert (dense.solver, free.solver) == ("dense", "matrix-free")
    first, second = (experiment.run(np.random.default_rng(0)) for experiment in (dense, free))
    assert first != second  # another order of rounding
    assert first.prediction == pytest.approx(second.prediction, rel=TWO_ROUTES)


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("hidden", "output", "outputs", "width", "samples"),
    [
        ("none", "none", 10, 100, 300),
        ("layer", "mean", 4, 200, 300),
        ("none", "batch", 10, 100, 200),
        ("none", "layer", 10, 100, 200),
        ("none", "mean", 1, 300, 1500),
        ("batch", "none", 3, 50, 90),
    ],
)
def test_memory_of_every_method_is_predicted(
    hidden: str, output: str, outputs: int, width: int, samples: int, dtype: str, traced: None
) -> None:
    network = replace(TANH, outputs=outputs).normalized(hidden=hidden, output=output)
    rng = np.random.default_rng(0)
    finite = mc.sample_network(network, width=width, rng=rng)
    inputs = mc.sample_inputs(network, width=width, samples=samples, rng=rng)
    tracemalloc.reset_peak()
    sweep = mc.propagate(finite, inputs, dtype=dtype)
    held, peak = tracemalloc.get_traced_memory()
    assert 0.75 < peak / 2**30 / sweep_memory(network, width, samples, dtype=dtype) < 1.2
    for method in ("dense", "matrix-free"):
        tracemalloc.reset_peak()
        mc.measure_eigenvalues(sweep, method=method)
        used = (tracemalloc.get_traced_memory()[1] - held) / 2**30
        predicted = Size(network, width, samples).memory(method, dtype)
        assert used < 1.2 * predicted, method
        if hidden != "batch":  # slabs of gradients as for larger ones
            assert used > 0.4 * predicted, method


def test_without_the_gram_memory_grows_with_the_samples_not_their_square() -> None:
    network = replace(TANH, outputs=10)
    for memory in (operator_memory, tiles_memory):
        assert memory(network, 500, 40_000) < 2.2 * memory(network, 500, 20_000)
    assert mc.gram_memory(outputs=10, samples=40_000) > 1000


def test_wrong_objects_are_refused() -> None:
    measures: list[Any] = [mc.dual_gram, mc.dual_operator, mc.measure_eigenvalues, mc.measure_largest]
    for refused in (*measures, mc.measure_last_layer, mc.measure_eigenspace):
        with pytest.raises(mf.ParameterError, match=r"sweep must be a montecarlo\.Sweep, got None"):
            refused(None)
    with pytest.raises(mf.ParameterError, match=r"ensemble must be a montecarlo\.Ensemble, got None"):
        mc.precision_error(None)  # type: ignore[arg-type]
    with pytest.raises(mf.ParameterError, match=r"network must be a meanfield\.Network, got None"):
        mc.choose_method(None, width=10, samples=10)  # type: ignore[arg-type]
    arguments: list[tuple[dict[str, Any], str]] = [
        *(({"samples": samples}, "samples must be an integer >= 1") for samples in (0, -1, math.nan, True, 1.5)),
        *(({"memory_limit": limit}, "memory_limit must be a finite number > 0") for limit in (None, "a", 0)),
        ({"dtype": "half a"}, "dtype must be float64 or float32, got half a"),
    ]
    for given, message in arguments:
        with pytest.raises(mf.ParameterError, match=message):
            mc.choose_method(TANH, **{"width": 10, "samples": 10, **given})
    with pytest.raises(mf.ParameterError, match="method must be dense or matrix-free"):
        Size(TANH, 10, 10).memory("auto")


def test_of_two_methods_the_one_that_fits_is_chosen_and_the_smaller_one_advised() -> None:
    """A wide network with few rows of the Gram: the operator's layers are larger than the Gram."""
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=8)
    size: dict[str, Any] = {"width": 10_000, "samples": 400}
    dense, free = (Size(network, **size).memory(method) for method in METHODS)
    assert dense < 0.5 < free
    for limit, chosen in ((0.5, "dense"), (1.0, "matrix-free")):
        assert mc.choose_method(network, **size, memory_limit=limit, with_moments=False) == chosen
    with pytest.raises(mf.ParameterError, match=rf"\(method dense: {dense:.3g} GiB, dtype float32: "):
        mc.choose_method(network, **size, memory_limit=0.5, method="matrix-free")
    with pytest.raises(mf.ParameterError, match=r"\(dtype float32: "):
        mc.choose_method(network, **size, memory_limit=0.01, with_moments=False)
