"""The kernel in scikit-learn's Gaussian processes."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, WhiteKernel
from tolerances import GRAM, LINEAR_ALGEBRA

import meanfield as mf
from meanfield.sklearn import NetworkKernel

NETWORK = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, bias_variance=0.1)
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((20, 4)), RNG.standard_normal((7, 4))


@pytest.mark.parametrize("kind", ["covariance", "tangent"])
@pytest.mark.parametrize("network", [NETWORK, mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0)])
def test_it_is_the_gram(network: mf.Network, kind: Literal["covariance", "tangent"]) -> None:
    kernel = NetworkKernel(network, kind, "standard", width=50)
    one, two = mf.gram(network, X, width=50), mf.gram(network, X, Y, width=50)
    np.testing.assert_array_equal(kernel(X), getattr(one, kind))
    np.testing.assert_array_equal(kernel(X, Y), getattr(two, kind))
    np.testing.assert_allclose(kernel.diag(X), np.diagonal(getattr(one, kind)), rtol=GRAM)
    matrix, gradient = kernel(X, eval_gradient=True)
    np.testing.assert_array_equal(matrix, kernel(X))
    assert gradient.shape == (20, 20, 0)
    with pytest.raises(mf.ParameterError, match="eval_gradient"):
        kernel(X, Y, eval_gradient=True)


def test_it_can_be_copied_and_compared() -> None:
    kernel = NetworkKernel(NETWORK, "tangent", width=50)
    again = clone(kernel)
    assert again == kernel
    assert again is not kernel
    assert again.get_params()["network"] == NETWORK
    assert again.set_params(kind="covariance") != kernel
    assert kernel.theta.size == 0
    assert not kernel.is_stationary()
    assert repr(kernel) == "NetworkKernel(relu, depth=3, tangent)"
    np.testing.assert_array_equal(clone(kernel)(X), kernel(X))


def test_regression_is_that_of_linear_algebra() -> None:
    y = np.sin(X[:, 0])
    regressor = GaussianProcessRegressor(NetworkKernel(NETWORK), alpha=1e-3).fit(X, y)
    mean, sd = regressor.predict(Y, return_std=True)
    k, cross, prior = (mf.gram(NETWORK, *inputs, tangent=False).covariance for inputs in ((X,), (Y, X), (Y,)))
    weights = np.linalg.solve(k + 1e-3 * np.eye(20), np.column_stack([y, cross.T]))
    np.testing.assert_allclose(mean, cross @ weights[:, 0], atol=LINEAR_ALGEBRA)
    variance = np.diagonal(prior - cross @ weights[:, 1:])
    np.testing.assert_allclose(sd**2, variance, atol=LINEAR_ALGEBRA * prior.max())


def test_hyperparameters_of_other_kernels_are_fitted_beside_it() -> None:
    kernel = ConstantKernel(1.0) * NetworkKernel(NETWORK) + WhiteKernel(0.1)
    y = 3 * np.sin(X[:, 0]) + RNG.standard_normal(20)
    regressor = GaussianProcessRegressor(kernel).fit(X, y)
    assert regressor.kernel_.theta.shape == (2,)
    assert regressor.log_marginal_likelihood_value_ > GaussianProcessRegressor(kernel, optimizer=None).fit(
        X, y
    ).log_marginal_likelihood(kernel.theta)


def test_digits_are_recognised() -> None:
    """Against a kernel of another seed of the data, linear regression: 500 digits are learnt, 500 others recognised."""
    x, y = load_digits(return_X_y=True)
    x, targets = x / x.std(), np.eye(10)[y]
    regressor = GaussianProcessRegressor(NetworkKernel(NETWORK, "tangent"), alpha=1e-2).fit(x[:500], targets[:500])
    right = (regressor.predict(x[500:1000]).argmax(axis=1) == y[500:1000]).mean()
    linear = np.linalg.lstsq(np.column_stack([x[:500], np.ones(500)]), targets[:500], rcond=None)[0]
    baseline = (np.column_stack([x[500:1000], np.ones(500)]) @ linear).argmax(axis=1) == y[500:1000]
    assert right > 0.93 > baseline.mean()


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (NetworkKernel(NETWORK, "both"), "kind must be one of"),  # type: ignore[arg-type]
        (NetworkKernel(NETWORK, "tangent", "standard"), "width must be given"),
        (NetworkKernel(NETWORK.normalized(hidden="batch")), "couples all samples"),
    ],
)
def test_bad_parameters_are_refused(kernel: NetworkKernel, message: str) -> None:
    for call in (kernel, kernel.diag):
        with pytest.raises(ValueError, match=message):
            call(X)
