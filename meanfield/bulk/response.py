r"""What one batch-normalised layer does to small deviations from exchangeable samples: averages over the sphere.

Let Sigma = v (G + S) be the covariance over the samples of the preactivations of a layer, G the projector on the
contrasts, S small, S 1 = 0. The normalised vector n has, to first order in S, the density 1 + (T-1)/(2T) n'S n on its
sphere, and 1/sigma^2 n'S n has the mean E[n'S n]/(2v). With D = diag phi'(n), P = G - n n'/T, the layer makes

    Q = E[phi phi'],        Phi(Theta) = E[D P Theta P D],

and by the symmetry of the samples each of these maps is, on the matrices of one irreducible representation of the
permutations, one number. Matrices on the contrasts have three: G itself; G diag(e) G, e 1 = 0, deviations of single
samples; and those with S_ss = 0, S 1 = 0, deviations of pairs. All numbers are averages over two samples, because what
a third one adds is known from sum_s n_s = 0 and sum_s n_s^2 = T:

    E[f_s f_t n_s n_u] = -E[f_s f_t n_s (n_s + n_t)]/(T-2),
    E[f_s f_t n_u^2] = E[f_s f_t (T - n_s^2 - n_t^2)]/(T-2), and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import AssumptionError, require_integer
from ..functions import Activation, ScalarFunction
from ..gaussian import Array
from ..quadrature import SPHERE, SphereMethod


@dataclass(frozen=True)
class Deviation:
    """The maps of a layer on the deviations of one representation."""

    forward: float
    """Q has ``forward * S``, on the contrasts, for Sigma = v (G + S)."""
    backward: float
    """E[D P S P D] = ``backward * S``."""
    tilt: float
    """v E[D P D/sigma^2] T-3/T has ``tilt * S`` for Sigma = v (G + S)."""


@dataclass(frozen=True)
class BatchNormResponse:
    """Averages over the normalised vector of one layer, at T samples: see :func:`batch_norm_response`."""

    samples: int
    """T."""
    own: float
    """qhat_t - qhat_st: Q without deviations is this times G."""
    growth: float
    """p - r: E[D P D] without deviations is this times G."""
    of_samples: Deviation
    """Deviations of single samples, G diag(e) G."""
    of_pairs: Deviation
    """Deviations of pairs."""
    activity_noise: float
    """Var a_s - Cov(a_s, a_t), a = (phi - E phi)^2: by how much the lengths of the activities of samples scatter."""
    slope_fourth: float
    """E phi'^4/(E phi'^2)^2."""
    slope_square_overlap: float
    """E phi'_s^2 phi'_t^2/(E phi'^2)^2."""
    slope_overlap: float
    """E phi'_s phi'_t/E phi'^2."""
    noise_covariance: float
    """Cov(a_s - a_t, phi'_s^2)/E phi'^2."""


def batch_norm_response(activation: Activation, *, samples: int, method: SphereMethod = SPHERE) -> BatchNormResponse:
    """Return what a batch-normalised layer does to small deviations from exchangeable samples.

    Parameters
    ----------
    activation : Activation
    samples : int
        T >= 4.
    method : SphereMethod
        How to integrate.

    Returns
    -------
    BatchNormResponse
        Each average to about 1e-12 of its scale.

    Raises
    ------
    ParameterError
        For less than four samples: there are no deviations of pairs.
    AssumptionError
        For an activation that is constant.
    QuadratureError
        If a tolerance is not reached.

    Examples
    --------
    >>> import meanfield as mf
    >>> response = mf.batch_norm_response(mf.relu, samples=32)
    >>> round(response.own, 4), round(response.of_samples.forward, 4), round(response.of_pairs.forward, 4)
    (0.3488, 0.3248, 0.2374)
    """
    samples = require_integer("samples", samples, at_least=4)
    phi, slope = activation.value, activation.slope
    sphere = _Sphere(samples, method)
    mean = sphere.mean(phi)
    centred = _of(phi, lambda values, _: values - mean)
    lengths, squares = _of(centred, lambda values, _: values**2), _of(slope, lambda values, _: values**2)
    both = _of(slope, lambda values, u: values * centred(u))  # phi has no kinks but where its slope jumps
    square = sphere.square(slope)
    if square == 0:
        raise AssumptionError(f"the activation must not be constant: the slope of {activation.name} is 0")
    length_overlap, square_overlap = sphere.overlap(lengths), sphere.overlap(squares)
    return BatchNormResponse(
        samples=samples,
        own=sphere.square(phi) - sphere.overlap(phi),
        growth=sphere.growth(slope),
        of_samples=sphere.of_samples(phi, slope),
        of_pairs=sphere.of_pairs(phi, slope),
        activity_noise=sphere.square(lengths) - length_overlap,
        slope_fourth=sphere.square(squares) / square**2,
        slope_square_overlap=square_overlap / square**2,
        slope_overlap=sphere.overlap(slope) / square,
        noise_covariance=(sphere.square(both) - sphere.overlap(squares, lengths)) / square,
    )


class _Sphere:
    """Averages of a function f of one sample, with powers of n, over one and over two samples."""

    def __init__(self, samples: int, method: SphereMethod) -> None:
        self.T, self.method = samples, method

    def mean(self, f: ScalarFunction) -> float:
        return float(self.method.mean(f, dimension=self.T - 1).value)

    def square(self, f: ScalarFunction, power: int = 0) -> float:
        """E (f_s n_s^power)^2."""
        return float(self.method.second_moment(times(f, power), dimension=self.T - 1).value)

    def overlap(
        self, f: ScalarFunction, other: ScalarFunction | None = None, powers: tuple[int, int] = (0, 0)
    ) -> float:
        """E f_s n_s^a g_t n_t^b, g = other or f."""
        g, (a, b) = f if other is None else other, powers
        first = times(f, a)
        second = None if other is None and a == b else times(g, b)
        cosine = -1 / (self.T - 1)
        return float(self.method.overlap(first, dimension=self.T - 1, cosine=cosine, other=second).value)

    def pair(self, f: ScalarFunction, a: int, b: int) -> float:
        """E f_s n_s^a f_t n_t^b."""
        return self.overlap(f, powers=(a, b))

    def growth(self, slope: ScalarFunction) -> float:
        """P - r."""
        return (
            self.square(slope) * (1 - 1 / self.T)
            + (self.pair(slope, 0, 0) + self.pair(slope, 1, 1) - self.square(slope, 1)) / self.T
        )

    def of_pairs(self, phi: ScalarFunction, slope: ScalarFunction) -> Deviation:
        """Return (E[D P S P D])_st and (E[phi phi' n'S n])_st over S_st, for S with S_uu = 0 and S 1 = 0."""
        T = self.T
        square, product = self.pair(slope, 2, 0), self.pair(slope, 1, 1)
        third = -(square + product) / (T - 2)  # E D_s D_t n_s n_u
        backward = self.pair(slope, 0, 0) - 2 / T * (square - third) + self.pair_form(times(slope, 1)) / T**2
        tilt = -(self.pair_form(slope) + self.pair_form(times(slope, 1))) / T
        return Deviation(self.density * self.pair_form(phi), backward, (T - 3) / (2 * T) * tilt)

    def pair_form(self, f: ScalarFunction) -> float:
        """E[f_s f_t n'S n]/S_st: from u v = s t, from s u and t u, and from those without s and t."""
        T = self.T
        product, cube = self.pair(f, 1, 1), self.pair(f, 2, 0)
        one = -(cube + product) / (T - 2)
        none = (4 * cube + 2 * product - T * self.pair(f, 0, 0)) / ((T - 2) * (T - 3))
        return 2 * product - 4 * one + 2 * none

    def of_samples(self, phi: ScalarFunction, slope: ScalarFunction) -> Deviation:
        """Return the same for S = G diag(e) G, e 1 = 0: of x diag(e) + y (e 1' + 1 e' - 2 diag(e)) it is x - 2 y."""
        T, D, Dn = self.T, slope, times(slope, 1)
        # P S P = diag(e) - (e 1' + 1 e')/T - (n (e n)' + (e n) n')/T + (e.n)(n 1' + 1 n')/T^2 + n n' (sum e n^2)/T^2
        square = self.square(D, 1)
        x = (1 - 2 / T) * self.square(D) - 2 / T * square + 2 / (T * (T - 1)) * square + self.own_form(Dn) / T**2
        sums = (self.pair(D, 2, 0) + self.pair(D, 1, 1)) * T / (T - 2)
        y = -(self.pair(D, 0, 0) + self.pair(D, 1, 1)) / T + (sums + self.row_form(Dn)) / T**2
        tilt_own = (1 - 1 / T) * self.own_form(D) - self.own_form(Dn) / T
        tilt_row = -(self.row_form(D) + self.row_form(Dn)) / T
        return Deviation(
            forward=self.density * (self.own_form(phi) - 2 * self.row_form(phi)),
            backward=x - 2 * y,
            tilt=(T - 3) / (2 * T) * (tilt_own - 2 * tilt_row),
        )

    def own_form(self, f: ScalarFunction) -> float:
        """E[f_s^2 sum_u e_u n_u^2]/e_s."""
        here = self.square(f, 1)
        return here - (self.T * self.square(f) - here) / (self.T - 1)

    def row_form(self, f: ScalarFunction) -> float:
        """E[f_s f_t sum_u e_u n_u^2]/(e_s + e_t)."""
        here = self.pair(f, 2, 0)
        return here - (self.T * self.pair(f, 0, 0) - 2 * here) / (self.T - 2)

    @property
    def density(self) -> float:
        """What n'S n has in the density of n."""
        return (self.T - 1) / (2 * self.T)


def _of(f: ScalarFunction, formula: Callable[..., Array]) -> ScalarFunction:
    """Return formula(f(u), u), which is not smooth where f is not."""
    return ScalarFunction(lambda u: formula(f(u), u), kinks=f.kinks, jumps=f.jumps, noise=f.noise)


def times(f: ScalarFunction, power: int) -> ScalarFunction:
    """Return f(u) u^power."""
    return f if power == 0 else _of(f, lambda values, u: values * u**power)
