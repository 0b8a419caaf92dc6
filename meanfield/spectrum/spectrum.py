"""The eigenvalues of the mean-subtracted Fisher information where samples and width grow together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import AssumptionError, ParameterError, require_instance, require_integer, require_number
from ..network import Network
from ..normalization import HiddenNormalization, OutputNormalization
from ..order_parameters import STANDARD_INPUTS, OrderParameters, propagate, require_order
from ..quadrature import AUTO, Method
from ..records import Pair, table
from .collective import CollectiveModes, collective_modes
from .corrected import CorrectedCount
from .disorder import disorder
from .drawn_ensemble import DrawnLargest, drawn_largest
from .limit import limit_model
from .limit_density import LimitDensity, at_places
from .validity import warnings_of

_MOVED = 0.01
"""By collective modes, relative: what is worth a word where they are left out."""

_STANDS_ALONE = 0.1
"""By collective modes: further than units with large gradients are spread."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The eigenvalues of the Fisher information after mean subtraction, for T = M/rho: see :func:`spectrum`.

    Everything is computed when it is asked for, and kept.
    """

    network: Network
    width: int
    samples: int
    draws: int
    """How many networks are drawn for figures that need it: all of lambda_max for C > 1, its spread for C = 1."""
    seed: int
    order: OrderParameters = field(repr=False)
    _modes: CollectiveModes = field(repr=False)
    _limit: LimitDensity = field(repr=False)

    @overload
    def density(self, x: float) -> float: ...
    @overload
    def density(self, x: ArrayLike) -> float | NDArray[np.float64]: ...
    def density(self, x: ArrayLike) -> float | NDArray[np.float64]:
        """Return the density of the C T eigenvalues of F* at x > 0; its integral is 1.

        It is the limiting one, but for one output blurred by how samples differ at this width.
        """
        return at_places(x, self._limit.density)

    @overload
    def above(self, x: float) -> float: ...
    @overload
    def above(self, x: ArrayLike) -> float | NDArray[np.float64]: ...
    def above(self, x: ArrayLike) -> float | NDArray[np.float64]:
        """Return the share of the eigenvalues above x > 0, to about 1e-12."""
        return at_places(x, self._limit.above)

    @overload
    def number_above(self, x: float) -> float: ...
    @overload
    def number_above(self, x: ArrayLike) -> float | NDArray[np.float64]: ...
    def number_above(self, x: ArrayLike) -> float | NDArray[np.float64]:
        """Return how many of the C T eigenvalues lie above x > 0 on average at this width.

        For one output those that collective modes move out of the density are counted where they are: of deep networks
        one stands alone, though it has no share of a density. See ``docs/collective_modes.md``.
        """
        return at_places(x, self._count.above)

    def quantile(self, probability: float) -> float:
        """Return the place that has a share of the eigenvalues below it, which is between 0 and 1."""
        probability = require_number("probability", probability, above=0)
        if probability >= 1:
            raise ParameterError("probability", "between 0 and 1", probability)
        return self._limit.place(1 - probability)

    @property
    def mean(self) -> float:
        """The mean of the eigenvalues of F*, without the one of each output that is 0."""
        return self._limit.mean

    @property
    def second_moment(self) -> float:
        """Their mean square."""
        return self._limit.second_moment

    @cached_property
    def edge(self) -> float:
        """Where the density ends on the right: infinity for L >= 3, unless the network is centred.

        Every hidden unit whose shared gradient is large enough makes an eigenvalue of its own, and the gradients of
        wide networks are Gaussian: without bound. For L = 2 the gradients carry no shared activity.
        """
        return self._limit.edge() if self.has_edge else math.inf

    @cached_property
    def has_edge(self) -> bool:
        """Whether the density ends on the right, as M -> infinity."""
        return not np.any(self.order.activity.cross[1:-1] > 0) and self.order.activity.cross[0] == 0

    @cached_property
    def lower_edge(self) -> float:
        """Where the density begins on the left, with samples that differ by O(1/sqrt(M)) for one output."""
        return self._limit.lower_edge()

    @cached_property
    def drawn(self) -> DrawnLargest:
        """lambda_max of networks whose hidden units are drawn: see :func:`meanfield.drawn_largest`.

        Raises
        ------
        AssumptionError
            For other inputs than standard ones.
        """
        _require_standard_inputs(self.order)
        return drawn_largest(self.network, width=self.width, samples=self.samples, draws=self.draws, seed=self.seed)

    @cached_property
    def largest(self) -> float:
        """E lambda_max at this width: from the density for C = 1, from draws for C > 1."""
        return self.kth_largest(1)

    @property
    def largest_standard_error(self) -> float:
        """Of ``largest``, from the number of draws: 0 for C = 1, where nothing is drawn."""
        return 0.0 if self.network.outputs == 1 else self.drawn.standard_error

    @cached_property
    def largest_sd(self) -> float:
        """The standard deviation of lambda_max over networks, from draws."""
        return self.drawn.sd

    def largest_quantile(self, probability: float) -> float:
        """Return the value that lambda_max is below with a probability, from draws."""
        return self.drawn.quantile(probability)

    @cached_property
    def largest_median(self) -> float:
        """The median of lambda_max over networks: from the density for C = 1, from draws for C > 1."""
        if self.network.outputs > 1:
            return self.drawn.quantile(0.5)
        return self._count.place_of_median()

    def kth_largest(self, k: int) -> float:
        """Return the mean of the k-th largest eigenvalue at this width, k = 1 .. T - 1; for C > 1 only k = 1.

        The gradients of several outputs have overlaps that fluctuate by O(sqrt(C/M)), and the top of the spectrum is
        where they are large: draws have that for the largest eigenvalue.
        """
        k = require_integer("k", k, at_least=1)
        if k >= self._eigenvalues:
            raise ParameterError("k", f"below the number of eigenvalues, {self._eigenvalues}", k)
        if self.network.outputs > 1:
            if k > 1:
                raise AssumptionError(f"of several outputs only the largest eigenvalue is known, got k = {k}")
            return self.drawn.mean
        return self._count.place_of_mean(k)

    @property
    def c0(self) -> float:
        """c2/alpha, the constant of the second moment in Theorem 3.3 (ii): s_lambda = .. + c0/M."""
        return self.c2 / self.network.alpha

    @property
    def c1(self) -> float:
        """The constant of the lower bound in (18): c2/(alpha (kappa_1 - kappa_2))."""
        return self.c2 / (self.mean / self._rho)

    @property
    def c2(self) -> float:
        """The constant of the upper bound in (18): (second_moment - mean^2)/rho, without terms of O(1/M)."""
        return (self.second_moment - self._limit.model.disorder - self.mean**2) / self._rho

    @cached_property
    def validity(self) -> tuple[str, ...]:
        """What stands against these figures for this network and these sizes; empty where the theory holds."""
        found = warnings_of(self.network, self.order, self.width, self.samples)
        return (*found, *self._warnings_of_disorder(), *self._warnings_of_modes())

    def _described(self) -> str:
        median = f"median {self.largest_median:.5g}"
        if self.network.outputs == 1:
            return median
        return f"{median}, +- {self.largest_standard_error:.2g} from {self.drawn.draws} draws"

    @property
    def _rho(self) -> float:
        return self.width / self.samples

    @property
    def _eigenvalues(self) -> int:
        return self.network.outputs * self.samples

    @cached_property
    def _count(self) -> CorrectedCount:
        """The number of eigenvalues above x; with several outputs without the modes, which are not known for them."""
        return CorrectedCount(self._limit, self._modes if self.network.outputs == 1 else None, self._eigenvalues)

    def _warnings_of_disorder(self) -> tuple[str, ...]:
        """Return what is to be said where the blur of the density reaches below 0."""
        if self._limit.lowest >= 0:
            return ()
        return ("samples differ by so much that the density reaches below 0: low eigenvalues are not known",)

    def _warnings_of_modes(self) -> tuple[str, ...]:
        """Return what is to be said where collective modes move lambda_max."""
        several = self.network.outputs > 1
        count = CorrectedCount(self._limit, self._modes, self.samples) if several else self._count
        moved = count.place(0.5) / self._limit.place(0.5 / self.samples) - 1
        if several and abs(moved) > _MOVED:
            return (
                f"collective modes, which move lambda_max by {moved:+.0%} for one output, are left out for several",
            )
        if moved > _STANDS_ALONE:
            return (
                f"a collective mode moves lambda_max by {moved:+.0%}: it scatters from network to network by far more "
                "than others, and the next eigenvalues may be higher by some percent",
            )
        return ()

    def __str__(self) -> str:
        rows = [
            ("lambda_max", f"{self.largest:.5g}", self._described()),
            ("edge", f"{self.edge:.5g}", "of the limiting density"),
            ("mean", f"{self.mean:.5g}", "of the eigenvalues of F*"),
            ("c0, c1, c2", f"{self.c0:.4g}, {self.c1:.4g}, {self.c2:.4g}", "of Theorem 3.3 (ii)"),
        ]
        return "\n".join([table(rows), *self.validity])


def spectrum(
    network: Network,
    *,
    width: int,
    samples: int,
    inputs: Pair[float] = STANDARD_INPUTS,
    order: OrderParameters | None = None,
    draws: int = 40,
    seed: int = 0,
    method: Method = AUTO,
) -> Spectrum:
    """Return the spectrum of the Fisher information after mean subtraction, where T grows with the width.

    Theorem 3.3 (ii) bounds lambda_max between s/m and sqrt(P s). Here is lambda_max itself: activities and gradients
    of a wide network have, over the samples, the covariances of a Gaussian model, whose resolvent obeys closed
    equations; they give the density of eigenvalues and, at finite width, the expectation of the largest ones.

    Parameters
    ----------
    network : Network
        With ``output_normalization`` "mean", and hidden layers without normalisation; centred networks too.
    width : int
        M; the rounded widths of the layers enter.
    samples : int
        T >= 2. M and T are taken to be large and of the same order: ``validity`` says where that is in doubt.
    draws, seed : int
        Of networks whose hidden units are drawn, at least 2: they give lambda_max for C > 1, and its spread.
    inputs, order, method
        As for :func:`eigenvalue_statistics`.

    Returns
    -------
    Spectrum
        The equations are solved to about 1e-10. Finite networks differ by a few percent at M = 200, by about 1 % in
        lambda_max at M = 1000 with L = 2 and 3.

    Raises
    ------
    ParameterError
        For a width or a number of samples out of range.
    AssumptionError
        For other normalisations.
    QuadratureError
        If an average does not reach its tolerance or the equations are not solved; never is another branch returned.

    Equations: (18), (S.22)-(S.38), Theorem 3.3

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, output_normalization="mean")
    >>> eigenvalues = mf.spectrum(network, width=1000, samples=1000)
    >>> round(eigenvalues.largest, 2), eigenvalues.edge  # measured: 8.48 +- 0.05
    (8.44, inf)
    >>> round(eigenvalues.density(2.0), 3), round(eigenvalues.above(2.0), 3)
    (0.275, 0.404)
    """
    require_instance("network", network, Network)
    if network.output_normalization is not OutputNormalization.MEAN:
        raise AssumptionError(
            "the spectrum is that after mean subtraction: output_normalization must be mean, got "
            f'{network.output_normalization!s}; network.normalized(output="mean") has it'
        )
    if network.hidden_normalization is not HiddenNormalization.NONE:
        raise AssumptionError(
            f"the spectrum is known for hidden layers without normalisation, got {network.hidden_normalization!s}"
        )
    widths = network.widths(width)[:-1]
    samples = require_integer("samples", samples, at_least=2)
    order = propagate(network, inputs=inputs, method=method) if order is None else require_order(network, order)
    draws = require_integer("draws", draws, at_least=2)
    seed = require_integer("seed", seed, at_least=0, at_most=None)
    if network.outputs > 1:
        _require_standard_inputs(order)
    model = limit_model(network, order, widths, samples)
    modes = collective_modes(network, order, width=width)
    if network.outputs == 1:
        model = replace(model, disorder=disorder(modes, width=width, samples=samples))
    return Spectrum(network, width, samples, draws, seed, order, modes, LimitDensity(model))


def _require_standard_inputs(order: OrderParameters) -> None:
    inputs = Pair(*(float(activity[0]) for activity in order.activity))
    if inputs != STANDARD_INPUTS:
        raise AssumptionError(
            f"networks are drawn with standard inputs, {STANDARD_INPUTS}, got {inputs}: neither the spread of "
            "lambda_max nor lambda_max of several outputs is known for others"
        )
