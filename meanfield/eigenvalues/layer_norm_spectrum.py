"""lambda_max behind layer normalisation of the outputs as it varies from network to network: its law, by draws."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from ..errors import AssumptionError, ParameterError, require_boolean, require_count, require_integer, require_number
from ..gaussian import Array
from ..network import Network
from ..normalization import OutputNormalization
from ..order_parameters import STANDARD_INPUTS, OrderParameters, propagate, require_order
from ..quadrature import AUTO, Method
from ..readout import limiting_outputs
from ..records import Pair, table
from .layer_norm_secular import Secular
from .leading_spectrum import leading_block
from .splitting import drawn_overlaps, relative_splitting


@dataclass(frozen=True, eq=False)
class LayerNormSpectrum:
    """The law of lambda_max over networks and their samples: the outputs stay random at any width."""

    draws: Array
    """lambda_max of drawn networks, in increasing order: shape (draws,)."""
    tail_index: float
    """(C-1)/2: P(lambda_max > x) falls as x to minus this power; inf for T = inf, where lambda_max is bounded."""
    validity: tuple[str, ...] = ()
    """What to beware of: moments that do not exist."""

    @property
    def mean(self) -> float:
        """The mean of the draws; inf where the law has no mean."""
        return float(self.draws.mean()) if self.tail_index > 1 else math.inf

    @property
    def standard_error(self) -> float:
        """Of ``mean``, from the spread of the draws; inf where the law has no variance."""
        if self.tail_index <= 2:
            return math.inf
        return float(self.draws.std(ddof=1)) / math.sqrt(self.draws.size)

    @property
    def median(self) -> float:
        """That of the draws."""
        return self.quantile(0.5)

    def quantile(self, probability: float) -> float:
        """Return the value below which lambda_max lies with this probability, in [0, 1]: that of the draws."""
        probability = require_number("probability", probability, at_least=0)
        if probability > 1:
            raise ParameterError("probability", "a number in [0, 1]", probability)
        return float(np.quantile(self.draws, probability))

    def __str__(self) -> str:
        rows = [
            ("median", f"{self.median:.4g}"),
            ("5 % .. 95 %", f"{self.quantile(0.05):.4g} .. {self.quantile(0.95):.4g}"),
            ("mean", f"{self.mean:.4g}"),
            ("tail index", f"{self.tail_index:g}"),
            *(("" if i else "beware", warning) for i, warning in enumerate(self.validity)),
        ]
        return table(rows)


def layer_norm_spectrum(
    network: Network,
    *,
    width: int,
    samples: float,
    draws: int = 1000,
    seed: int = 0,
    inputs: Pair[float] = STANDARD_INPUTS,
    order: OrderParameters | None = None,
    leading_order: bool = False,
    method: Method = AUTO,
) -> LayerNormSpectrum:
    """Return the law of lambda_max over networks with layer normalisation of the outputs.

    For infinite width the outputs are u(t) = sqrt(q_st) a + sqrt(q_t - q_st) b(t) with standard normal a and b(t) of C
    components. Each draw of them gives a lambda_max (:func:`leading_eigenvalues`). It stays random however many samples
    there are, through a: for T -> inf, with c = T F*(k, k)_st (alpha M kappa_2 to leading order),

        lambda_max -> c A,    A = C E |x|^-2 (1 - x_perp^2/|x|^2)    given r^2 ~ chi^2_{C-1},

    where x ~ N(sqrt(q_st) r e, (q_t - q_st) I) has C - 1 components and x_perp is one orthogonal to e. At finite width
    the overlaps of the gradients of different outputs split what is degenerate here: F*(k, k')_st is drawn as well,
    from F*(k, k)_st (I + epsilon G) with G of the Gaussian orthogonal ensemble, epsilon = O(M^(-1/2)). It raises
    lambda_max by O(sqrt(C L/M)); ``leading_order=True`` leaves it out.

    Parameters
    ----------
    network : Network
        With layer normalisation of the outputs, C >= 2; not centred; its hidden layers with layer normalisation or
        none.
    width : int
        M.
    samples : int or math.inf
        T. For ``math.inf`` the draws are those of r in the formula above.
    draws : int
        How many networks, at least 2. A draw takes O(T C^2), 0.4 ms for T = 100 and C = 10.
    seed : int
        Of the draws.
    inputs, order, leading_order, method
        As for :func:`eigenvalue_statistics`.

    Returns
    -------
    LayerNormSpectrum
        With the error of a sample of ``draws``; each draw is exact to rounding.

    Raises
    ------
    ParameterError
        For numbers out of range.
    AssumptionError
        As :func:`leading_eigenvalues`; for outputs that are not layer-normalised, and for C = 3 with T = inf, where
        lambda_max grows at least as log T.

    Notes
    -----
    Which moments exist. As sigma(t) -> 0 for one sample, lambda_max -> F*_tt/sigma(t)^2: F restricted to that sample
    bounds it from below, and the trace, (C-2) sum_t F*_tt/sigma(t)^2, from above. C sigma(t)^2 = q_t chi^2_{C-1}, so

        P(lambda_max > x) ~ T (C F*_tt/(2 q_t x))^((C-1)/2)/Gamma((C+1)/2),

    and E lambda_max^p is finite for p < (C-1)/2 alone: no mean for C = 3, no variance for C = 4 and 5. F*_tt is O(1/T),
    so that the weight of this tail goes as T^((3-C)/2): for C >= 4 it vanishes with many samples, and A is bounded, by
    C (C-2)/((C-1) (C-3) (q_t - q_st)).

    Equations: (S.88)-(S.95), Theorem 4.1

    Examples
    --------
    >>> import math, meanfield as mf
    >>> network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64, outputs=10)
    >>> network = network.normalized(hidden="layer", output="layer")
    >>> print(mf.layer_norm_spectrum(network, width=1000, samples=math.inf))
    median       154.3
    5 % .. 95 %  92.91 .. 253.2
    mean         162
    tail index   inf
    """
    samples = require_count("samples", samples, at_least=1)
    draws = require_integer("draws", draws, at_least=2)
    rng = np.random.default_rng(require_integer("seed", seed, at_least=0, at_most=None))
    leading_order = require_boolean("leading_order", leading_order)
    if network.output_normalization is not OutputNormalization.LAYER:
        raise AssumptionError(
            "layer_norm_spectrum needs layer normalisation of the outputs, not "
            f"output_normalization={network.output_normalization!s}",
            {"eigenvalue_statistics": "what the other theorems say of lambda_max"},
        )
    order = propagate(network, inputs=inputs, samples=samples, method=method) if order is None else order
    finite = 1 if math.isinf(samples) else int(samples)
    if math.isinf(samples) and network.batch_norm:
        raise AssumptionError("behind batch normalisation the law is known for a finite batch. Give a finite T")
    require_order(network, order, samples=samples)
    block = leading_block(network, order, width=width, samples=finite, leading_order=leading_order)
    if network.outputs == 2:
        return LayerNormSpectrum(np.zeros(draws), math.inf)
    if math.isinf(samples) and network.outputs == 3:
        raise AssumptionError(
            "for C = 3 lambda_max has no limit for T -> inf: it grows at least as log T. Give a finite T"
        )
    # how the overlaps of gradients split behind batch normalisation is not derived
    epsilon = 0.0 if leading_order or network.batch_norm else relative_splitting(network, order, width=width)
    if math.isinf(samples):
        square = rng.chisquare(network.outputs - 1, draws)
        along, across = limit_of_many_samples(network.outputs, square, *(float(q[-1]) for q in order.preactivation))
        of_draws = block.cross * _split(along, across, drawn_overlaps(epsilon, network.outputs - 1, draws, rng))
        return LayerNormSpectrum(np.sort(of_draws), math.inf)
    found = np.zeros(draws)
    for i in range(draws):
        u = limiting_outputs(network, samples=finite, rng=rng, order=order)
        overlaps = block.cross * drawn_overlaps(epsilon, network.outputs, 1, rng)[0] if epsilon else None
        found[i] = Secular.of(block, u, overlaps=overlaps).largest()
    return LayerNormSpectrum(np.sort(found), (network.outputs - 1) / 2, _warnings(network.outputs))


def limit_of_many_samples(outputs: int, square: Array, same: float, cross: float) -> tuple[Array, Array]:
    """Return C E |x|^-2 (1 - x_i^2/|x|^2) along e and across it, which is A, given r^2 = ``square``.

    Of C outputs with variance q_t = ``same`` and overlap q_st = ``cross`` >= 0. |x|^2/(q_t - q_st) is a chi^2_{n+2j},
    n = C - 1, with j a Poisson number of mean a = q_st r^2/(2 (q_t - q_st)), and x_perp^2/|x|^2 an independent beta
    variable of mean 1/(n + 2j). So

        A = C/(q_t - q_st) E (n-1+2j)/((n-2+2j)(n+2j)) = C/(2 (q_t - q_st)) [h(n-2) + h(n)],
        h(k) = E 1/(k+2j) = exp(-a) 1F1(k/2; k/2+1; a)/k = 1F1(1; k/2+1; -a)/k,

    and along e, by the trace, C (n-1)/(2 (q_t - q_st)) [h(n-2) - h(n)].

    Within 1e-13 for C <= 30; along e, where it is small, of A. Where all outputs are alike, A = C/(q_st r^2).
    """
    c, own = outputs, same - cross
    if own <= 0:
        return np.zeros_like(square), np.asarray(c / (cross * square))
    a = cross * square / (2 * own)
    less, more = (special.hyp1f1(1, k / 2 + 1, -a) / k for k in (c - 3, c - 1))
    return np.asarray(c * (c - 2) / (2 * own) * (less - more)), np.asarray(c / (2 * own) * (less + more))


def _split(along: Array, across: Array, overlaps: Array) -> Array:
    """Return the largest eigenvalue of D^(1/2) X D^(1/2), D = diag(along, across, ..), for each draw of X."""
    d = np.repeat(across[:, None], overlaps.shape[1], axis=1)
    d[:, 0] = np.maximum(0.0, along)
    roots = np.sqrt(d)
    values = np.linalg.eigvalsh(roots[:, :, None] * overlaps * roots[:, None, :])
    return np.asarray(values[:, -1], dtype=np.float64)


def _warnings(outputs: int) -> tuple[str, ...]:
    if outputs == 3:
        return ("C = 3: lambda_max has no mean over networks, P(lambda_max > x) ~ 1/x; look at the median",)
    if outputs in (4, 5):
        power = (outputs - 1) / 2
        return (
            f"C = {outputs}: lambda_max has a mean over networks but no variance, P(lambda_max > x) ~ x^-{power:g}; "
            "means of measurements converge slowly, look at the median",
        )
    return ()
