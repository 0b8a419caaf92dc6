"""Scalar functions, activations and the catalogue."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from problems import ALL_ACTIVATIONS, RAMP
from tolerances import DIFFERENCES

import meanfield as mf
from meanfield.activations import by_name


def test_pair_unpacks_and_has_names() -> None:
    same, cross = mf.Pair(1.0, 0.5)
    assert (same, cross) == (1.0, 0.5)
    assert mf.Pair(same=1.0, cross=0.5).cross == 0.5


def test_a_constant_may_return_one_number() -> None:
    np.testing.assert_array_equal(mf.ScalarFunction(lambda u: 2.0)([[1.0, 2.0]]), [[2.0, 2.0]])


def test_a_function_that_is_not_vectorised_is_refused() -> None:
    with pytest.raises(mf.ParameterError, match=r"value must be vectorised \(shape \(3,\) in"):
        mf.ScalarFunction(lambda u: np.ones(2))(np.zeros(3))


def test_complex_values_and_sums_over_an_axis_are_refused() -> None:
    with pytest.raises(mf.ParameterError, match="value must be a real function, got complex values"):
        mf.ScalarFunction(lambda u: u * 1j)(1.0)
    with pytest.raises(mf.ParameterError, match="value must be vectorised"):
        mf.ScalarFunction(lambda u: u.sum(axis=0))(np.ones((3, 4)))


def test_breaks_are_kinks_and_jumps_in_order() -> None:
    assert mf.ScalarFunction(np.abs, kinks=[3, 0], jumps=[1, 0]).breaks == (0.0, 1.0, 3.0)


def test_bad_declarations() -> None:
    with pytest.raises(mf.ParameterError, match="kinks must be a finite number, got nan"):
        mf.ScalarFunction(np.abs, kinks=[np.nan])
    for places in (0, None, "12", {1.0: 2}):
        with pytest.raises(mf.ParameterError, match="kinks must be a sequence"):
            mf.ScalarFunction(np.abs, kinks=places)  # type: ignore[arg-type]
    with pytest.raises(mf.ParameterError, match="value must be a callable, got 3"):
        mf.ScalarFunction(3)  # type: ignore[arg-type]


def test_bare_callables_become_functions() -> None:
    phi = mf.Activation("square", np.square, lambda u: 2 * u)
    assert isinstance(phi.value, mf.ScalarFunction)
    assert isinstance(phi.slope, mf.ScalarFunction)
    np.testing.assert_array_equal(phi([2.0, 3.0]), [4.0, 9.0])


@pytest.mark.parametrize("phi", ALL_ACTIVATIONS, ids=repr)
def test_slope_is_the_derivative_of_the_value(phi: mf.Activation) -> None:
    step = 1e-5
    u = np.linspace(-4, 4, 101) + 0.0123  # beside the kinks
    np.testing.assert_allclose(
        phi.slope(u), (phi(u + step) - phi(u - step)) / (2 * step), rtol=DIFFERENCES, atol=DIFFERENCES
    )


VALUES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "relu": lambda u: np.maximum(u, 0),
    "absolute": np.abs,
    "cosine": np.cos,
    "elu": lambda u: np.where(u > 0, u, np.exp(u) - 1),
    "hard_tanh": lambda u: np.minimum(np.maximum(u, -1), 1),
    "hermite(3)": lambda u: u**3 - 3 * u,
    "hermite(4)": lambda u: u**4 - 6 * u**2 + 3,
    "identity": lambda u: u,
    "leaky_relu(0.2)": lambda u: np.maximum(u, 0.2 * u),
    "monomial(5)": lambda u: u**5,
    "selu": lambda u: 1.0507009873554805 * np.where(u > 0, u, 1.6732632423543772 * (np.exp(u) - 1)),
    "sigmoid": lambda u: 1 / (1 + np.exp(-u)),
    "silu": lambda u: u / (1 + np.exp(-u)),
    "sine": np.sin,
    "softplus": lambda u: np.log(1 + np.exp(u)),
    "tanh": lambda u: (np.exp(2 * u) - 1) / (np.exp(2 * u) + 1),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_are_the_textbook_ones(name: str) -> None:
    u: NDArray[np.float64] = np.linspace(-5, 5, 41)
    np.testing.assert_allclose(by_name(name)(u), VALUES[name](u), rtol=1e-12, atol=1e-15)  # of the textbook formula


@pytest.mark.parametrize("phi", ALL_ACTIVATIONS, ids=repr)
def test_the_catalogue_finds_and_pickles_every_activation(phi: mf.Activation) -> None:
    assert by_name(phi.name).name == phi.name
    copy = pickle.loads(pickle.dumps(phi))
    np.testing.assert_array_equal(copy([-1.0, 0.0, 2.0]), phi([-1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(copy.slope([-1.0, 0.0, 2.0]), phi.slope([-1.0, 0.0, 2.0]))
    assert copy.value.closed_form is None or mf.mean(copy, 2.0) == mf.mean(phi, 2.0)


def test_unknown_names() -> None:
    with pytest.raises(mf.ParameterError, match=r"activation must be one of absolute, cosine, .*, got 'swoosh'"):
        by_name("swoosh")
    with pytest.raises(mf.ParameterError, match=r"activation must be written as leaky_relu\(NUMBER\)"):
        by_name("leaky_relu(__import__)")
    with pytest.raises(mf.ParameterError, match="degree must be an integer >= 1"):
        by_name("monomial(2.5)")
    with pytest.raises(mf.ParameterError, match="degree must be at most 20, got 21"):
        by_name("hermite(21)")


def test_leaky_relu_reaches_its_neighbours() -> None:
    u = np.linspace(-2, 2, 9)
    np.testing.assert_array_equal(mf.leaky_relu(0.0)(u), mf.relu(u))
    np.testing.assert_array_equal(mf.leaky_relu(1.0)(u), mf.identity(u))
    np.testing.assert_array_equal(mf.leaky_relu(-1.0)(u), mf.absolute(u))
    with pytest.raises(mf.ParameterError, match="slope must be a finite number"):
        mf.leaky_relu(float("nan"))


def test_known_closed_forms_are_listed() -> None:
    assert mf.relu.value.closed_form is not None
    assert mf.relu.value.closed_form.known == ("mean", "second_moment", "overlap")
    assert mf.sigmoid.value.closed_form is not None
    assert mf.sigmoid.value.closed_form.known == ("mean",)
    assert RAMP.closed_form is None


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(mf.ParameterError, match="value must be a real function, got values of type"):
        mf.ScalarFunction(lambda u: "a")(1.0)
    with pytest.raises(mf.ParameterError, match="variance must be a finite number"):
        mf.overlap(mf.tanh, [[1], [2, 3]], 0.1)


@pytest.mark.parametrize("scalar", [lambda u: u if u > 0 else 0.0, lambda u: float(u)], ids=["condition", "float"])
def test_functions_of_one_number_are_told_to_be_vectorised(scalar: Callable[[float], float]) -> None:
    with pytest.raises(mf.ParameterError, match="vectorised: an array in, an array out"):
        mf.mean(mf.ScalarFunction(scalar), 1.0)  # type: ignore[arg-type]
    assert mf.mean(mf.ScalarFunction(np.vectorize(scalar, otypes=[float]), kinks=[0]), 1.0) >= 0


def test_a_slope_by_the_library_needs_the_kinks() -> None:
    with pytest.raises(mf.ParameterError, match=r"smooth but for its declared kinks \(declare one near"):
        mf.second_moment(mf.Activation("clip", lambda u: np.clip(u, -0.7, 0.9)).slope, 2.0)


def test_a_method_must_be_one() -> None:
    with pytest.raises(mf.ParameterError, match="method must be a method of integration"):
        mf.overlap(mf.tanh, 1.0, 0.5, method="auto")  # type: ignore[call-overload]
    with pytest.raises(mf.ParameterError, match="method must be a method on the sphere"):
        mf.batch_norm_parameters(mf.tanh, samples=4, method=mf.AUTO)  # type: ignore[arg-type]
