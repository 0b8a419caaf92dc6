"""Order parameters behind batch normalisation in a hidden layer: integrals over a sphere instead of Gaussian ones."""

from __future__ import annotations

import math

from ..errors import ParameterError, require_count
from ..functions import Activation, ScalarFunction
from ..quadrature import SPHERE, SphereMethod
from ..records import Pair


def batch_norm_parameters(
    activation: Activation | ScalarFunction, *, samples: float, method: SphereMethod = SPHERE
) -> Pair[float]:
    r"""Return qhat_BN: the order parameters of a hidden layer whose preactivations are batch-normalised.

    One unit gives T preactivations, of mean 0 and variance 1 over the samples. Before normalisation they were Gaussian
    and exchangeable, so they are uniform on the sphere of radius sqrt(T) in the T - 1 dimensions orthogonal to
    (1, .., 1), whatever the variances of weights and biases and the layers below:

        qhat_t = E phi(u_t)^2,    qhat_st = E phi(u_s) phi(u_t),    E u_t^2 = 1,    E u_s u_t = -1/(T - 1).

    Parameters
    ----------
    activation : Activation or ScalarFunction
        phi; of an activation its value.
    samples : int
        T, at least 2, or ``math.inf``: then u_s and u_t are independent Gaussians.
    method : SphereMethod
        How to integrate. ``method.overlap(activation, dimension=T - 1, cosine=-1 / (T - 1))`` gives qhat_st with an
        estimate of its error.

    Returns
    -------
    Pair of float
        ``same`` is qhat_t, ``cross`` is qhat_st; both to 1e-13 of qhat_t.

    Raises
    ------
    ParameterError
        For less than two samples: batch normalisation makes one sample 0.
    QuadratureError
        If the tolerance is not reached.

    Notes
    -----
    The paper prints the variance as the denominator of (S.68) and (S.69). It must be its root: only then is the
    integral independent of the scale of the preactivations, and 1/2 for relu, as (S.70) implies
    (``test_the_denominator_is_the_root``).

    Equations: (S.66)-(S.70)

    Examples
    --------
    >>> import math
    >>> import meanfield as mf
    >>> qhat = mf.batch_norm_parameters(mf.relu, samples=10)
    >>> round(qhat.same, 12), round(qhat.cross, 12)
    (0.5, 0.132360617737)
    >>> limit = mf.batch_norm_parameters(mf.relu, samples=math.inf)
    >>> round(limit.cross, 12)  # 1/(2 pi)
    0.159154943092
    """
    freedom = require_count("samples", samples, at_least=2) - 1
    if not isinstance(method, SphereMethod):
        raise ParameterError("method", "a method on the sphere such as mf.SPHERE", repr(method))
    same = method.second_moment(activation, dimension=freedom).value
    if freedom == math.inf:
        return Pair(float(same), float(method.mean(activation, dimension=freedom).value) ** 2)
    return Pair(float(same), float(method.overlap(activation, dimension=freedom, cosine=-1 / freedom).value))
