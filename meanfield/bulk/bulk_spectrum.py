"""The eigenvalues of differences between samples, of networks with batch normalisation in all hidden layers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import AssumptionError, ParameterError, require_instance, require_integer, require_number
from ..network import Network
from ..normalization import HiddenNormalization, OutputNormalization
from ..quadrature import SPHERE, SphereMethod
from ..records import table
from ..spectrum.limit_density import LimitDensity, at_places
from .chain import Chain, chain_of
from .density import bulk_density
from .draws import BulkDraws, draw_largest
from .response import batch_norm_response

_LEAST_SAMPLES = 6
"""Below, 1/sigma^2 of a hidden unit has no variance."""

_LEAST_DRAWS = 8

_DRAWS, _ROWS = 64, 8192
"""By default, and the rows of all their matrices together: the spread of lambda_max falls with their size."""

_FEW_SAMPLES = 20

_LARGE = 0.25
"""Of the relative standard deviation of single samples, or sqrt(2 L C/M): the theory is of first order in it."""


@dataclass(frozen=True, eq=False)
class BulkSpectrum:
    """The C (T-1) eigenvalues of F* that are all equal in the analytic theory: see :func:`bulk_spectrum`.

    Everything is computed when it is asked for, and kept.
    """

    network: Network
    width: int
    samples: int
    draws: int
    """How many surrogates give ``largest`` and the like."""
    seed: int
    _chain: Chain = field(repr=False)
    _limit: LimitDensity = field(repr=False)

    @property
    def degenerate(self) -> float:
        """lambda_bulk, where all of them are in the leading order, for outputs that are not batch-normalised."""
        return self._chain.bulk / self.samples

    @cached_property
    def drawn(self) -> BulkDraws:
        """lambda_max of each surrogate."""
        variance = None
        if self.network.output_normalization is OutputNormalization.BATCH:
            variance = self.network.weight_variance[-1] * self._chain.layers[-1].own
        return draw_largest(self._chain, self.network.outputs, variance=variance, draws=self.draws, seed=self.seed)

    @property
    def largest(self) -> float:
        """E lambda_max at this width."""
        return self.drawn.mean

    @property
    def largest_standard_error(self) -> float:
        """Of ``largest``, from the number of draws."""
        return self.drawn.standard_error

    @property
    def largest_sd(self) -> float:
        """The standard deviation of lambda_max over networks."""
        return float(self.drawn.values.std(ddof=1))

    def largest_quantile(self, probability: float) -> float:
        """Return the value that lambda_max is below with a probability, between 0 and 1."""
        probability = require_number("probability", probability, above=0)
        if probability >= 1:
            raise ParameterError("probability", "between 0 and 1", probability)
        return float(np.quantile(self.drawn.values, probability))

    @overload
    def density(self, x: float) -> float: ...
    @overload
    def density(self, x: ArrayLike) -> float | NDArray[np.float64]: ...
    def density(self, x: ArrayLike) -> float | NDArray[np.float64]:
        """Return the density of the C (T-1) eigenvalues of F* at x > 0; its integral is 1.

        It is that of T and M to infinity with T/M kept, where what single samples have besides the Wishart matrices is
        a semicircle of its variance.
        """
        return at_places(x, self._density.density)

    @overload
    def above(self, x: float) -> float: ...
    @overload
    def above(self, x: ArrayLike) -> float | NDArray[np.float64]: ...
    def above(self, x: ArrayLike) -> float | NDArray[np.float64]:
        """Return the share of the eigenvalues above x > 0, to about 1e-12."""
        return at_places(x, self._density.above)

    @cached_property
    def edge(self) -> float:
        """Where the density ends on the right."""
        return self._density.edge()

    @cached_property
    def lower_edge(self) -> float:
        """Where the density ends on the left."""
        return self._density.lower_edge()

    @property
    def mean(self) -> float:
        """The mean of the eigenvalues."""
        return self._density.mean

    @property
    def second_moment(self) -> float:
        """Their mean square."""
        return self._density.second_moment

    @cached_property
    def validity(self) -> tuple[str, ...]:
        """What stands against these figures for this network and these sizes; empty where the theory holds."""
        found = []
        chain, network = self._chain, self.network
        if self.samples < _FEW_SAMPLES:
            found.append(f"T = {self.samples} samples are few: the fluctuations of 1/sigma^2 are not small")
        spread = math.sqrt(chain.shared + 2 * chain.separate)
        if spread > _LARGE:
            found.append(f"samples differ by {spread:.0%}: the theory is of first order in that")
        narrow = math.sqrt(2 * network.depth * network.outputs / self.width)
        if narrow > _LARGE:
            found.append(f"M = {self.width} is narrow for depth {network.depth} and {network.outputs} outputs")
        narrowest = min(network.widths(self.width)[:-1])
        if self.samples > narrowest:
            found.append(f"T = {self.samples} is large for the width, {narrowest}: compared with networks up to T = M")
        return tuple(found)

    @property
    def _density(self) -> LimitDensity:
        if self.network.output_normalization is OutputNormalization.BATCH:
            raise AssumptionError(
                "the density is that of outputs without batch normalisation, which multiplies the eigenvalues of each "
                'by 1/sigma_k^2: network.normalized(output="mean") has it; largest is known',
            )
        return self._limit

    def __str__(self) -> str:
        error = f"+- {self.largest_standard_error:.2g} from {self.draws} draws, sd {self.largest_sd:.2g}"
        rows = [
            ("lambda_max", f"{self.largest:.5g}", error),
            ("degenerate", f"{self.degenerate:.5g}", "all of them, in the leading order"),
        ]
        return "\n".join([table(rows), *self.validity])


def bulk_spectrum(
    network: Network,
    *,
    width: int,
    samples: int,
    draws: int | None = None,
    seed: int = 0,
    method: SphereMethod = SPHERE,
) -> BulkSpectrum:
    r"""Return how the degenerate eigenvalue of differences between samples splits at finite width.

    With batch normalisation in all hidden layers the analytic F* has one large eigenvalue for each output, that of
    what all samples share, and C (T-1) times

        lambda_bulk = (M d/T) sum_{l=1}^{L} alpha_{l-1} chi^{L-l}

    (d = qhat_t - qhat_st, 1 for the inputs; equal layers), which are the largest beyond a depth, and of mean-subtracted
    outputs in any case. In finite networks they repel: the largest is higher by O(sqrt(T/M)), 10 to 100 % at M = 1000.

    Parameters
    ----------
    network : Network
        ``hidden_normalization`` "batch", ``output_normalization`` "none", "mean" or "batch". With "none" the
        eigenvalues are those of the contrasts, without the C of what samples share.
    width : int
        M; the rounded widths of the layers enter.
    samples : int
        T >= 6.
    draws : int, optional
        Of the surrogates, at least 8; by default 64, and 8192/(C T) where that is less.
    seed : int
        Of the draws.
    method : SphereMethod
        How to integrate over the normalised vectors.

    Returns
    -------
    BulkSpectrum
        Finite networks with M = 1000 and T = 32 .. 128 have the same mean lambda_max within about 3 % (L = 3) and 5 %
        (L = 5): ``docs/bulk_edge.md``.

    Raises
    ------
    ParameterError
        For a width or a number of samples out of range.
    AssumptionError
        For other normalisations.
    QuadratureError
        If an average does not reach its tolerance.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> bulk = mf.bulk_spectrum(network.normalized(hidden="batch", output="mean"), width=1000, samples=128)
    >>> round(bulk.degenerate, 1), round(bulk.largest, 1)  # in networks it is 18.5 +- 0.2
    (12.5, 18.4)
    """
    require_instance("network", network, Network)
    if network.hidden_normalization is not HiddenNormalization.BATCH:
        raise AssumptionError(
            "the bulk is that of batch normalisation in all hidden layers: hidden_normalization must be batch, got "
            f"{network.hidden_normalization!s}"
        )
    if network.batch_norm is not None and not network.batch_norm.is_standard:
        raise AssumptionError(
            "the bulk is that of batch normalisation in all hidden layers with gamma = 1, beta = 0, epsilon = 0, got "
            f"{network.batch_norm}",
            {"batch_norm_backward": "the eigenvalue to leading order"},
        )
    if network.output_normalization is OutputNormalization.LAYER:
        raise AssumptionError(
            "the bulk is that of outputs each by itself: output_normalization must be none, mean or batch, got layer"
        )
    widths = network.widths(width)[:-1]
    samples = require_integer("samples", samples, at_least=_LEAST_SAMPLES)
    few = max(_LEAST_DRAWS, min(_DRAWS, _ROWS // (network.outputs * samples)))
    draws = few if draws is None else require_integer("draws", draws, at_least=_LEAST_DRAWS)
    seed = require_integer("seed", seed, at_least=0)
    respond = lru_cache(lambda phi: batch_norm_response(phi, samples=samples, method=method))
    responses = [respond(phi) for phi in network.activations]
    chain = chain_of(responses, widths, network.weight_variance, samples)
    return BulkSpectrum(network, width, samples, draws, seed, chain, bulk_density(chain, network.outputs))
