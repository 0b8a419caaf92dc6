"""Covariance and tangent kernel of real inputs through hidden batch normalisation: whole T x T matrices, by layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from ..errors import ParameterError, QuadratureError
from ..functions import Activation
from ..gaussian import Array
from ..network import Network
from .batch_norm_homogeneous import homogeneous_layer, is_homogeneous
from .batch_norm_layer import RANK, Averages, centred, spread_of
from .batch_norm_sampled import FIRST, Sampling, sampled_layer
from .inputs import InputGram, Samples
from .layers import overlap_map
from .pairs import TilePairs

Own = tuple[Callable[[Array, Array], Array], ...]

Seed = np.random.SeedSequence

MATRICES = 28
"""So many T x T matrices in double precision are in memory at a time, and two for each scrambling."""


@dataclass(frozen=True, eq=False)
class BatchNormGram:
    """The two matrices behind batch normalisation, and what is known of their errors."""

    covariance: Array
    tangent: Array | None
    error: float
    covariance_error: Array | None
    """Standard errors; None where nothing was sampled."""
    tangent_error: Array | None
    validity: tuple[str, ...]


def batch_norm_gram(
    network: Network,
    inputs: InputGram | Samples,
    own: Own,
    *,
    tangent: bool,
    tolerance: float,
    sampling: Sampling,
    threads: int,
) -> BatchNormGram:
    """Return covariance of the outputs and tangent kernel of a network with hidden batch normalisation.

    Parameters
    ----------
    network : Network
    inputs : InputGram or Samples
        One set.
    own : tuple of callables
        (qhat^{l-1}, q^l) -> theta_l, for l = 1 .. L, the part of layer l's own parameters.
    tangent : bool
    tolerance : float
        Of integrals that are not sampled.
    sampling : Sampling
    threads : int
        Among which scramblings are shared.
    """
    chain = _Chain(network, own, tangent, tolerance)
    qhat = _overlaps(inputs, centre=1 in network.batch_norm_layers)
    if chain.samples_something:
        return _sampled(chain, qhat, sampling, threads)
    found = chain(qhat, None, 0)
    return BatchNormGram(found.activity, found.tangent, found.error, None, None, tuple(chain.warnings(found.ranks)))


def _sampled(chain: _Chain, qhat: Array, sampling: Sampling, threads: int) -> BatchNormGram:
    """Return means over scramblings, of more and more points until their standard errors are small enough."""
    seeds = np.random.SeedSequence(sampling.seed).spawn(sampling.scramblings)
    points = FIRST
    while True:
        found = _in_threads(partial(chain.scrambled, qhat, points), seeds, threads)
        covariance, covariance_error, error = _mean([one.activity for one in found])
        tangent, tangent_error = None, None
        if chain.tangent:
            tangent, tangent_error, worst = _mean([one.tangent for one in found if one.tangent is not None])
            error = max(error, worst)
        if error <= sampling.tolerance or points >= sampling.most:
            break
        # errors fall somewhere between like the number of points and its root
        doublings = min(max(1, math.ceil(math.log2(error / sampling.tolerance))), 3)
        points = min(points * 2**doublings, sampling.most)
    warnings = list(chain.warnings(found[0].ranks))
    if error > sampling.tolerance:
        stopped = f"sampling stopped at {sampling.scramblings} x {points} points with a standard error of {error:.1e}"
        more = f"allow more of them (mf.Sampling(most={8 * points}))"
        warnings.insert(0, f"{stopped}, above the tolerance of {sampling.tolerance:g}: {more}")
    return BatchNormGram(covariance, tangent, error, covariance_error, tangent_error, tuple(warnings))


@dataclass(frozen=True)
class _Chain:
    """The recursion, from the overlaps of the inputs to the outputs."""

    network: Network
    own: Own
    tangent: bool
    tolerance: float

    @property
    def samples_something(self) -> bool:
        """Whether some layer has no Laplace transform."""
        return any(not self._is_exact(layer) for layer in self.network.batch_norm_layers)

    def _is_exact(self, layer: int) -> bool:
        settings = self.network.batch_norm
        return settings is not None and settings.beta == 0 and is_homogeneous(self.network.activations[layer - 1])

    def scrambled(self, qhat: Array, points: int, seed: Seed) -> Averages:
        """Return what one scrambling gives."""
        return self(qhat, np.random.default_rng(seed), points)

    def __call__(self, qhat: Array, rng: np.random.Generator | None, points: int) -> Averages:
        s_w, s_b = self.network.weight_variance, self.network.bias_variance
        theta: Array | None = None
        error = 0.0
        ranks: list[tuple[int, int]] = []
        for l, phi in enumerate(self.network.normalized_activations):
            q = s_w[l] * qhat + s_b[l]
            if not (np.isfinite(q).all() and np.abs(q).max() < 1e140):
                raise QuadratureError(f"layer {l + 1}: the variances of the pre-activations leave the range of doubles")
            if self.tangent:
                theta = self.own[l](qhat, q) + (0.0 if theta is None else theta)
                if not np.abs(np.diagonal(theta)).max() < 1e290:
                    raise QuadratureError(f"layer {l + 1}: gradients have grown beyond the range of doubles")
            found = self._layer(l + 1, phi, q, theta, rng, points)
            qhat, error = found.activity, error + found.error
            ranks += found.ranks
            theta = None if found.tangent is None else s_w[l + 1] * found.tangent
        q = s_w[-1] * qhat + s_b[-1]
        return Averages(q, None if theta is None else theta + self.own[-1](qhat, q), error, tuple(ranks))

    def _layer(
        self, layer: int, phi: Activation, q: Array, theta: Array | None, rng: np.random.Generator | None, points: int
    ) -> Averages:
        settings = self.network.batch_norm
        if settings is None or layer not in self.network.batch_norm_layers:
            return _plain_layer(phi, q, theta, layer=layer, tolerance=self.tolerance)
        epsilon = settings.epsilon
        spread = spread_of(q, layer=layer, epsilon=epsilon, tangent=self.tangent)
        if rng is None or self._is_exact(layer):
            phi, square = self.network.activations[layer - 1], settings.gamma**2
            found = homogeneous_layer(phi, spread, theta, epsilon=epsilon, tolerance=self.tolerance)
            tangent = None if found.tangent is None else square * found.tangent
            found = replace(found, activity=square * found.activity, tangent=tangent)
        else:
            found = sampled_layer(phi, spread, theta, epsilon=epsilon, points=points, rng=rng)
        return replace(found, ranks=((layer, spread.rank),))

    def warnings(self, ranks: Iterable[tuple[int, int]]) -> Iterator[str]:
        """Yield what is to be known of the result, given the layers that were met and in how many directions each."""
        settings = self.network.batch_norm
        heavy = sorted(pair for pair in ranks if pair[1] in (RANK, RANK + 1))
        if self.tangent and settings is not None and settings.epsilon == 0 and heavy:
            layer, rank = heavy[0]
            yield (
                f"the samples differ in {rank} directions at hidden layer {layer}: 1/sigma^2 has a mean, but an "
                "infinite variance, and tangent kernels of single networks are heavy-tailed around this one"
            )


def _plain_layer(phi: Activation, q: Array, theta: Array | None, *, layer: int, tolerance: float) -> Averages:
    """Return E phi(u) phi(u)' and Theta o E phi'(u) phi'(u)' for a layer without normalisation."""
    sd, double = np.sqrt(np.maximum(np.diagonal(q), 0.0)), np.dtype(float)
    apart = q - np.diag(np.diagonal(q))  # on the diagonal a correlation of 1 would only ask for long series
    pairs, everything = TilePairs(sd, sd, apart), slice(None)
    try:
        maps = [
            overlap_map(f, sd, tolerance=tolerance, dtype=double)
            for f in (phi.value, phi.slope)[: 1 + (theta is not None)]
        ]
        values = [np.array(f(pairs, everything, everything)) for f in maps]
    except (QuadratureError, ParameterError) as error:
        raise QuadratureError(f"{phi.name}, layer {layer}: {error}") from error
    for value, f in zip(values, maps, strict=True):
        np.fill_diagonal(value, f.same)
    tangent = None if theta is None else theta * values[1]
    return Averages(values[0], tangent, max(f.error for f in maps))


def _overlaps(inputs: InputGram | Samples, *, centre: bool) -> Array:
    """Return x(s).x(t)/M_0, without what all inputs have in common if it drops out."""
    if centre and isinstance(inputs, Samples):
        x = inputs.inputs - inputs.inputs.mean(axis=0)
        return np.asarray(x @ x.T / inputs.dimension)
    size = inputs.squares.size
    products = np.empty((size, size))
    inputs.products(slice(0, size), slice(0, size), products)
    products *= inputs.factor
    products = (products + products.T) / 2
    return centred(products) if centre else products


def _in_threads(run: Callable[[Seed], Averages], seeds: list[Seed], threads: int) -> list[Averages]:
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:  # not threads of threads
        return list(pool.map(run, seeds))


def _mean(found: list[Array]) -> tuple[Array, Array, float]:
    """Return mean, standard errors, and the largest of them relative to the diagonal."""
    count, zero = len(found), np.zeros_like(found[0])
    mean = np.asarray(sum(found, start=zero) / count)
    deviation = np.sqrt(sum(((one - mean) ** 2 for one in found), start=zero) / (count - 1) / count)
    size = np.sqrt(np.diagonal(mean))
    return mean, deviation, float((deviation / np.multiply.outer(size, size)).max())
