"""A kernel for scikit-learn's Gaussian processes: the covariance or the tangent kernel of an infinitely wide network.

It needs scikit-learn, the extra ``sklearn``, and is the only module that does.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import AssumptionError, ParameterError
from .gram import Parameterization, gram, gram_diagonal
from .network import Network

try:
    from sklearn.gaussian_process.kernels import Kernel
except ImportError as error:  # pragma: no cover
    raise ImportError("meanfield.sklearn needs scikit-learn: pip install meanfield-fim[sklearn]") from error


class NetworkKernel(Kernel):  # type: ignore[misc]  # scikit-learn has no types
    """The kernel of a network of infinite width, with nothing left to fit.

    A Gaussian process with the covariance is the network with random parameters given the data, that is, trained in its
    last layer alone (NNGP); one with the tangent kernel has the mean of networks that are trained by gradient descent.
    Sums and products with other kernels work, and so do their hyperparameters: the network itself has none that
    scikit-learn would change. Choose its variances by hand, or compare the likelihoods of several networks.

    Parameters
    ----------
    network : Network
        Hidden normalisation "none" or "layer". Its outputs are taken before their normalisation.
    kind : str
        "covariance", or "tangent" for T F*.
    parameterization : Parameterization or str
        Of the tangent kernel; "ntk" does not need a width.
    width : int, optional
        M, for "standard".
    tolerance, threads
        As for :func:`meanfield.gram`.

    Examples
    --------
    >>> import meanfield as mf
    >>> from meanfield.sklearn import NetworkKernel
    >>> from sklearn.gaussian_process import GaussianProcessRegressor
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, bias_variance=0.1)
    >>> x = np.linspace(-2, 2, 21)[:, None]
    >>> regressor = GaussianProcessRegressor(NetworkKernel(network), alpha=1e-8).fit(x, np.abs(x[:, 0]))
    >>> regressor.predict([[1.05]]).round(2)
    array([1.05])
    """

    def __init__(
        self,
        network: Network,
        kind: Literal["covariance", "tangent"] = "covariance",
        parameterization: Parameterization | str = "ntk",
        width: int | None = None,
        tolerance: float = 1e-12,
        threads: int | None = None,
    ) -> None:
        # scikit-learn copies kernels by their parameters, which are to be kept as they are
        self.network = network
        self.kind = kind
        self.parameterization = parameterization
        self.width = width
        self.tolerance = tolerance
        self.threads = threads

    def __call__(
        self,
        X: ArrayLike,
        Y: ArrayLike | None = None,
        eval_gradient: bool = False,
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the matrix, shape (T, T'), and on demand its derivatives by no hyperparameters, shape (T, T, 0)."""
        if eval_gradient and Y is not None:
            raise ParameterError("Y", "left out with eval_gradient", "given")
        matrix = self._matrix(X, Y)
        return (matrix, np.empty((*matrix.shape, 0))) if eval_gradient else matrix

    def diag(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the diagonal of the matrix, shape (T,), without the rest of it."""
        covariance, tangent = gram_diagonal(
            self.network,
            X,
            width=self.width,
            parameterization=self.parameterization,
            tangent=self._tangent,
            tolerance=self.tolerance,
        )
        return covariance if tangent is None else tangent

    def is_stationary(self) -> bool:
        """Whether it depends on differences alone."""
        return False

    def __repr__(self) -> str:
        phi = ", ".join(dict.fromkeys(activation.name for activation in self.network.activations))
        return f"NetworkKernel({phi}, depth={self.network.depth}, {self.kind})"

    @property
    def _tangent(self) -> bool:
        if self.kind not in ("covariance", "tangent"):
            raise ParameterError("kind", "one of covariance, tangent", repr(self.kind))
        return self.kind == "tangent"

    def _matrix(self, x: ArrayLike, y: ArrayLike | None) -> NDArray[np.float64]:
        if getattr(self.network, "batch_norm", None) is not None:
            raise AssumptionError(
                "batch normalisation in the hidden layers couples all samples of a batch, and has no kernel of two",
                {"gram": "both matrices of one set of inputs, the batch"},
            )
        found = gram(
            self.network,
            x,
            y,
            width=self.width,
            parameterization=self.parameterization,
            tangent=self._tangent,
            tolerance=self.tolerance,
            threads=self.threads,
        )
        return found.covariance if found.tangent is None else found.tangent
