"""The matrices of real inputs against the recursion with ``mf.overlap``, entry by entry, and their options."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from tolerances import GRAM, LINEAR_ALGEBRA, NEARLY_PARALLEL, SINGLE

import meanfield as mf
from meanfield.errors import QuadratureError

Array = NDArray[np.float64]

ACTIVATIONS = [
    mf.relu, mf.leaky_relu(0.2), mf.identity, mf.absolute, mf.erf, mf.gelu, mf.sine, mf.cosine, mf.tanh, mf.sigmoid,
    mf.silu, mf.softplus, mf.elu, mf.selu, mf.hard_tanh, mf.monomial(2), mf.hermite(3),
    mf.from_sympy("x*tanh(log(1+exp(x)))"),
]  # fmt: skip

TANH = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
RELU = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)


def recursion(network: mf.Network, x: Array, y: Array, width: int, *, ntk: bool = False) -> tuple[float, float]:
    """Return covariance and tangent kernel of two inputs, as the formulas say it."""
    layer_norm = network.hidden_normalization == "layer"
    units = (len(x), *network.widths(width)[1:-1])
    ss, st, tt = float(x @ x) / len(x), float(x @ y) / len(x), float(y @ y) / len(x)
    theta = 0.0
    for l in range(network.depth):
        q = [network.weight_variance[l] * qhat + network.bias_variance[l] for qhat in (ss, st, tt)]
        theta += q[1] if ntk else units[l] * st + 1
        if l == network.depth - 1:
            return q[1], theta
        phi, norm = network.activations[l], 1.0
        if layer_norm:
            norm = math.sqrt(q[0] * q[2])
            q = [1.0, q[1] / norm, 1.0]
        ss, tt = mf.second_moment(phi, q[0]), mf.second_moment(phi, q[2])
        if np.array_equal(x, y):
            st, slopes = ss, mf.second_moment(phi.slope, q[0])
        else:
            limit = math.sqrt(q[0]) * math.sqrt(q[2])
            covariance = min(max(q[1], -limit), limit)
            st, slopes = mf.overlap(phi, q[0], covariance, q[2]), mf.overlap(phi.slope, q[0], covariance, q[2])
        theta *= network.weight_variance[l + 1] / norm * slopes
    raise AssertionError


def expected(network: mf.Network, x: Array, y: Array, width: int, *, ntk: bool = False) -> tuple[Array, Array]:
    both = np.array([[recursion(network, s, t, width, ntk=ntk) for t in y] for s in x])
    return both[..., 0], both[..., 1]


def samples(count: int = 5, dimension: int = 7, seed: int = 3) -> Array:
    """Return inputs of different sizes, two of them close to each other."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, dimension)) * np.linspace(0.5, 2.0, count)[:, None]
    x[1] = 0.9 * x[0] + 0.05 * rng.standard_normal(dimension)
    return np.asarray(x)


def assert_close(got: Array | None, wanted: Array, tolerance: float) -> None:
    assert got is not None
    diagonal = np.sqrt(np.abs(np.diagonal(wanted))) if wanted.shape[0] == wanted.shape[1] else np.ones(1)
    scale = np.multiply.outer(diagonal, diagonal) if diagonal.size > 1 else np.abs(wanted).max()
    assert (np.abs(got - wanted) <= tolerance * scale).all()


@pytest.mark.parametrize("hidden", ["none", "layer"])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda phi: phi.name)
def test_entries_are_those_of_the_recursion(activation: mf.Activation, hidden: str) -> None:
    network = mf.Network(
        activations=[activation, activation],
        width_ratios=[1, 2, 0.5],
        weight_variance=[1.5, 0.7, 1.2],
        bias_variance=[0.1, 0.0, 0.3],
        hidden_normalization=hidden,
    )
    x = samples()
    got = mf.gram(network, x, width=30)
    for matrix, wanted in zip((got.covariance, got.tangent), expected(network, x, x, 30), strict=True):
        assert_close(matrix, wanted, GRAM)
    assert got.error <= 10 * GRAM


@pytest.mark.parametrize("network", [RELU, TANH, TANH.normalized(hidden="layer")])
def test_the_ntk_parameterization(network: mf.Network) -> None:
    x = samples()
    got = mf.gram(network, x, parameterization="ntk")
    for matrix, wanted in zip((got.covariance, got.tangent), expected(network, x, x, 1, ntk=True), strict=True):
        assert_close(matrix, wanted, GRAM)


@pytest.mark.parametrize("network", [RELU, TANH])
def test_two_sets_of_inputs(network: mf.Network) -> None:
    x, y = samples(6), samples(4, seed=4) * 1.3
    got = mf.gram(network, x, y, width=50)
    assert got.covariance.shape == (6, 4)
    for matrix, wanted in zip((got.covariance, got.tangent), expected(network, x, y, 50), strict=True):
        assert_close(matrix, wanted, GRAM)
    both = mf.gram(network, np.concatenate([x, y]), width=50)
    assert both.tangent is not None
    assert_close(got.tangent, both.tangent[:6, 6:], GRAM)


@pytest.mark.parametrize("network", [RELU, TANH, TANH.normalized(hidden="layer")])
def test_equal_parallel_and_opposite_inputs(network: mf.Network) -> None:
    """Where the correlation is 1 or -1, rounding of the products must not be taken for an angle."""
    x = np.random.default_rng(0).standard_normal((300, 50))
    x[10:20], x[20:30] = 2 * x[:10], -x[:10]
    x[150:] = x[:150]
    got = mf.gram(network, x, width=100)
    for matrix in (got.covariance, got.tangent):
        assert matrix is not None
        assert_close(matrix[:150, 150:], matrix[:150, :150], GRAM)
        wanted = expected(network, x[:30:10], x[:30:10], 100)[matrix is got.tangent]
        assert_close(matrix[:30:10, :30:10], wanted, GRAM)


def test_many_opposite_inputs() -> None:
    """The determinant of such a pair is rounding, of either sign: the angle is pi, and never -pi."""
    network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0)
    x = np.random.default_rng(0).standard_normal((40, 7))
    got = mf.gram(network, np.concatenate([x, -x]), width=10)
    assert got.tangent is not None
    # no unit sees both, and the bias of the readout is left
    assert np.abs(np.diagonal(got.covariance[:40, 40:])).max() <= GRAM
    assert np.abs(np.diagonal(got.tangent[:40, 40:]) - 1).max() <= GRAM


def test_nearly_equal_inputs() -> None:
    x = samples(2)
    x[1] = x[0] * (1 + 1e-6 * np.arange(7))
    got = mf.gram(RELU, x, width=50)
    for matrix, wanted in zip((got.covariance, got.tangent), expected(RELU, x, x, 50), strict=True):
        assert_close(matrix, wanted, NEARLY_PARALLEL)


@pytest.mark.parametrize("activation", [mf.relu, mf.tanh, mf.gelu, mf.sigmoid, mf.silu])
def test_an_input_of_zeros(activation: mf.Activation) -> None:
    network = mf.Network.uniform(activation, depth=3, weight_variance=2.0)
    x = samples()
    x[2] = 0
    got = mf.gram(network, x, width=30)
    for matrix, wanted in zip((got.covariance, got.tangent), expected(network, x, x, 30), strict=True):
        assert_close(matrix, wanted, GRAM)


def test_many_samples_of_one_variance_and_of_many() -> None:
    """More samples than a tile has rows and columns; the coefficients are interpolated in the variance."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1200, 3))
    for inputs in (x, x / np.linalg.norm(x, axis=1)[:, None]):
        got = mf.gram(TANH, inputs, width=100)
        assert got.tangent is not None
        np.testing.assert_array_equal(got.tangent, got.tangent.T)
        np.testing.assert_array_equal(got.covariance, got.covariance.T)
        for s, t in [(0, 1), (5, 1100), (1199, 1198), (300, 30), (130, 129), (40, 40)]:
            wanted = recursion(TANH, inputs[s], inputs[t], 100)
            size = math.sqrt(got.tangent[s, s] * got.tangent[t, t])
            assert abs(got.covariance[s, t] - wanted[0]) <= GRAM * got.covariance.max()
            assert abs(got.tangent[s, t] - wanted[1]) <= GRAM * size


def test_the_input_law_of_the_paper_gives_its_order_parameters() -> None:
    """x_s . x_t = 0 and |x|^2 = M_0: the entries are kappa_1 and kappa_2, with the bias parameters."""
    width, count = 200, 4
    got = mf.gram(TANH, np.eye(width)[:count] * math.sqrt(width), width=width)
    assert got.tangent is not None
    order = mf.propagate(TANH)
    from meanfield.fim import dual_block

    block = dual_block(TANH, order, width=width, samples=count)
    np.testing.assert_allclose(got.fisher, block.dense(), rtol=GRAM)
    theory = mf.eigenvalue_statistics(TANH, width=width, samples=count)
    assert got.statistics().largest.lower == pytest.approx(theory.largest.lower, rel=GRAM)
    assert got.mean == pytest.approx(theory.mean, rel=GRAM)
    assert got.second_moment == pytest.approx(theory.second_moment, rel=GRAM)
    assert mf.learning_rate_bound(got.statistics()).value == pytest.approx(
        mf.learning_rate_bound(theory).value, rel=GRAM
    )


def test_threads_blocks_and_products_of_inputs_give_the_same() -> None:
    x = np.random.default_rng(0).standard_normal((300, 20))
    for network in (RELU, TANH):
        whole = mf.gram(network, x, width=50, threads=1)
        assert whole.tangent is not None
        others = [mf.gram(network, x, width=50, threads=3)]
        others.append(mf.gram(network, mf.InputGram(x @ x.T / 20, dimension=20), width=50))
        for other in others:
            assert_close(other.tangent, whole.tangent, GRAM)
            assert_close(other.covariance, whole.covariance, GRAM)
        seen = np.zeros(300)
        for block in mf.gram_blocks(network, x, width=50, memory_limit=0.0005):
            assert block.tangent is not None
            assert block.covariance.nbytes + block.tangent.nbytes <= 0.0005 * 2**30
            np.testing.assert_allclose(block.tangent, whole.tangent[block.rows], rtol=GRAM, atol=GRAM)
            np.testing.assert_allclose(block.covariance, whole.covariance[block.rows], rtol=GRAM, atol=GRAM)
            seen[block.rows] += 1
        assert (seen == 1).all()


def test_products_of_two_sets_of_inputs() -> None:
    x, y = samples(6), samples(4, seed=4) * 1.3
    given = mf.InputGram(x @ y.T / 7, dimension=7, squares=(x**2).mean(axis=1), other_squares=(y**2).mean(axis=1))
    got, wanted = mf.gram(TANH, given, width=50), mf.gram(TANH, x, y, width=50)
    assert wanted.tangent is not None
    assert_close(got.tangent, wanted.tangent, GRAM)
    assert not got.symmetric


@pytest.mark.parametrize("network", [RELU, TANH, TANH.normalized(hidden="layer")])
def test_single_precision(network: mf.Network) -> None:
    x = np.random.default_rng(0).standard_normal((200, 20))
    single, double = (mf.gram(network, x, width=50, dtype=dtype) for dtype in ("float32", "float64"))
    assert double.tangent is not None
    assert single.covariance.dtype == np.float32
    assert_close(single.covariance, double.covariance, SINGLE)
    assert_close(single.tangent, double.tangent, SINGLE)


def test_eigenvalues_with_and_without_the_mean() -> None:
    x = np.random.default_rng(0).standard_normal((400, 20))
    for output, outputs in (("none", 1), ("mean", 3)):
        network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64, outputs=outputs)
        got = mf.gram(network.normalized(output=output), x, width=50)
        assert got.tangent is not None
        g = np.eye(400) - (1 / 400 if output == "mean" else 0.0)
        dual = g @ got.tangent @ g / 400
        values = np.linalg.eigvalsh(dual)
        largest = got.largest  # by iterations; what follows computes all eigenvalues
        np.testing.assert_allclose(got.eigenvalues, values, atol=LINEAR_ALGEBRA * values[-1])
        assert largest == pytest.approx(values[-1], rel=LINEAR_ALGEBRA)
        parameters = 20 * 50 + 50 + 50 * 50 + 50 + 50 * outputs + outputs
        assert got.parameters == parameters
        assert got.mean == pytest.approx(outputs * values.sum() / parameters, rel=LINEAR_ALGEBRA)
        assert got.second_moment == pytest.approx(outputs * (values**2).sum() / parameters, rel=LINEAR_ALGEBRA)
        assert mf.learning_rate_bound(got.statistics()).value == pytest.approx(2 / values[-1], rel=LINEAR_ALGEBRA)


def test_covariance_alone_and_without_biases() -> None:
    x = samples()
    whole = mf.gram(TANH, x, width=50)
    alone = mf.gram(TANH, x, tangent=False)
    assert alone.tangent is None
    assert math.isnan(alone.parameters)
    np.testing.assert_array_equal(alone.covariance, whole.covariance)
    weights = mf.gram(TANH, x, width=50, biases=False)
    assert whole.tangent is not None
    assert weights.tangent is not None
    # the bias of the readout has the derivative 1, and every other one adds something positive on the diagonal
    assert (np.diagonal(whole.tangent - weights.tangent) > 1).all()
    with pytest.raises(mf.ParameterError, match="covariance alone"):
        _ = alone.eigenvalues


def test_a_smooth_activation_of_ones_own_without_any_declaration() -> None:
    phi = mf.Activation("softsign, squared", lambda u: u * np.sqrt(1 + u * u) - 0.3)
    network = mf.Network.uniform(phi, depth=3, weight_variance=0.5, bias_variance=0.2)
    x = np.random.default_rng(0).standard_normal((80, 10))
    got = mf.gram(network, x, width=50)
    assert got.tangent is not None
    for s, t in [(0, 1), (70, 30)]:
        wanted = recursion(network, x[s], x[t], 50)
        assert got.covariance[s, t] == pytest.approx(wanted[0], abs=GRAM * got.covariance.max())
        assert got.tangent[s, t] == pytest.approx(wanted[1], abs=GRAM * got.tangent.max())


def test_kinks_without_a_closed_form() -> None:
    """The series falls off slowly; nearly parallel pairs are integrated one by one."""
    bent = mf.ScalarFunction(lambda u: np.abs(u) * np.exp(-u * u / 8), kinks=(0,))
    phi = mf.Activation("bent", bent)
    network = mf.Network.uniform(phi, depth=2, weight_variance=1.0, bias_variance=0.1)
    x = samples(4)
    x[3] = 1.1 * x[2] + 1e-3
    got = mf.gram(network, x, width=20)
    for matrix, wanted in zip((got.covariance, got.tangent), expected(network, x, x, 20), strict=True):
        assert_close(matrix, wanted, GRAM)


def test_undeclared_kinks_are_not_missed() -> None:
    """A kink that is hidden from the series: the entries are right, or there is an error."""
    phi = mf.Activation(
        "hidden kink", lambda u: np.maximum(u - 0.7, 0) + np.tanh(u), lambda u: (u > 0.7) + np.cosh(u) ** -2
    )
    network = mf.Network.uniform(phi, depth=2, weight_variance=1.0, bias_variance=0.1)
    x = samples(6)
    try:
        got = mf.gram(network, x, width=20)
    except QuadratureError:
        return
    for matrix, wanted in zip((got.covariance, got.tangent), expected(network, x, x, 20), strict=True):
        assert_close(matrix, wanted, GRAM)


def test_a_strip_declared_too_wide_is_found() -> None:
    """The series believes the declaration; the entries that are computed again do so, too, unless they integrate it."""
    wrong = mf.ScalarFunction(np.tanh, strip=40.0)
    phi = mf.Activation("tanh", wrong, mf.tanh.slope)
    network = mf.Network.uniform(phi, depth=2, weight_variance=3.0)
    with pytest.raises(QuadratureError):
        mf.gram(network, samples(), width=20)


Call = Callable[[], object]
X = np.ones((2, 3)) + np.eye(2, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mf.gram(RELU, X), "width must be given"),
        (lambda: mf.gram(RELU, X, width=0), "width must be an integer >= 1"),
        (lambda: mf.gram(RELU, [[1.0, math.nan]], width=5), "inputs must be finite"),
        (lambda: mf.gram(RELU, [1.0, 2.0], width=5), "inputs must be of shape"),
        (lambda: mf.gram(RELU, X, np.ones((2, 4)), width=5), r"other must be of shape \(T, 3\)"),
        (lambda: mf.gram(RELU, [["a"]], width=5), "inputs must be an array of real numbers"),
        (lambda: mf.gram(RELU, X, width=5, dtype="float16"), "dtype must be float64 or float32"),
        (lambda: mf.gram(RELU, X, width=5, tolerance=1.0), "tolerance must be at most"),
        (lambda: mf.gram(RELU, X, width=5, threads=0), "threads must be"),
        (lambda: mf.gram(RELU, X, width=5, parameterization="mup"), "parameterization must be one of"),
        (lambda: mf.gram(RELU, X, width=5, memory_limit=1e-9), "mf.gram_blocks gives some rows"),
        (lambda: mf.gram_blocks(RELU, X, width=5, memory_limit=1e-9), "of one row"),
        (lambda: mf.gram(RELU.normalized(hidden="batch"), X, X, width=5), "couples all samples"),
        (lambda: mf.gram(RELU.normalized(hidden="layer"), X * [[0], [1]], width=5), "variance to divide by"),
        (lambda: mf.gram(RELU, X, X, width=5).eigenvalues, "other must be left out"),
        (
            lambda: mf.gram(RELU.normalized(output="batch"), X, width=5).largest,
            "with batch normalisation of the outputs",
        ),
        (lambda: mf.InputGram([[1.0, 2.0], [2.0, 1.0]], dimension=3), "Cauchy-Schwarz"),
        (lambda: mf.InputGram([[1.0, 0.5], [0.4, 1.0]], dimension=3), "symmetric"),
        (lambda: mf.InputGram([[1.0, 0.5]], dimension=3), "squares and other_squares must be given"),
        (lambda: mf.InputGram([[1.0]], dimension=3, squares=[1.0]), "given both"),
        (lambda: mf.InputGram([[1.0]], dimension=3, squares=[1.0, 2.0], other_squares=[1.0]), r"shape \(1,\)"),
        (lambda: mf.gram(RELU, mf.InputGram([[1.0]], dimension=3), X, width=5), "other must be left out"),
    ],
)
def test_bad_input_is_refused(call: Call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_memory() -> None:
    assert mf.gram_memory(1000) == 2 * mf.gram_memory(1000, tangent=False) == 2 * mf.gram_memory(1000, dtype="float32")
    assert mf.gram_memory(10, 20) == 10 * 20 * 16 / 2**30


def test_a_closed_form_whose_terms_cancel_is_left() -> None:
    """Mutually huge terms in the closed form of the identity: where they cancel, the pair is integrated instead."""

    def cancelling(pair: mf.GaussianPair) -> tuple[Array, ...]:
        huge = 1e6 * (pair.covariance < 0.1) * np.ones_like(pair.covariance)
        return pair.covariance + huge, -huge

    closed = mf.ClosedForm("made up", second_moment=lambda a: a, overlap=cancelling)
    value = mf.ScalarFunction(lambda u: u, closed_form=closed, strip=1.0)
    phi = mf.Activation("identity with a bad formula", value, mf.identity.slope)
    network = mf.Network.uniform(phi, depth=2, weight_variance=1.0)
    wanted = mf.gram(mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0), samples(), width=10)
    got = mf.gram(network, samples(), width=10)
    assert (got.covariance < 0.1).any()
    assert_close(got.covariance, wanted.covariance, GRAM)


def test_too_many_single_integrals_are_refused() -> None:
    bent = mf.ScalarFunction(lambda u: np.abs(u) * np.exp(-u * u / 8), kinks=(0,))
    network = mf.Network.uniform(mf.Activation("bent", bent), depth=2, weight_variance=1.0)
    x = np.ones(3) + 1e-3 * np.random.default_rng(0).standard_normal((250, 3))
    with pytest.raises(QuadratureError, match="one by one, because they are so strongly correlated"):
        mf.gram(network, x, width=10)


@pytest.mark.parametrize("activation", [mf.tanh, mf.silu, mf.sigmoid])
@pytest.mark.parametrize("hidden", ["none", "layer"])
def test_samples_that_all_look_alike(activation: mf.Activation, hidden: str) -> None:
    """The series of smooth functions are long enough for every correlation, also 1: nothing is integrated alone."""
    x = np.ones(10) + 1e-5 * np.random.default_rng(0).standard_normal((100, 10))
    for s_w in (1.0, 3.0):
        network = mf.Network.uniform(
            activation, depth=4, weight_variance=s_w, bias_variance=0.3, hidden_normalization=hidden
        )
        got = mf.gram(network, x, width=20)
        wanted = recursion(network, x[0], x[1], 20)
        assert got.tangent is not None
        assert got.covariance[0, 1] == pytest.approx(wanted[0], rel=GRAM)
        assert got.tangent[0, 1] == pytest.approx(wanted[1], rel=GRAM)
