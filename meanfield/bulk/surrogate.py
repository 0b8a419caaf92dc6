"""T F* on the contrasts, drawn: Wishart matrices one upon the other, and what single samples have besides."""

from __future__ import annotations

import math

import numpy as np
from scipy import linalg

from ..gaussian import Array
from .chain import Chain, WishartLayer


class Surrogate:
    """Draws of the dual Fisher information of several outputs, without what all samples share.

    Theta = sum_l (Xi^{l+1}_st x w_l (Q^l - d_l) + Xi^{l+1}_t x part_l) + bulk (exp(Z) - 1), with the Wishart matrices
    Q^l of ``chain`` and Xi the overlaps of the gradients of the outputs, of one sample and of two; Xi^L = 1.
    Z has one C x C matrix for each sample, in the basis of samples. The noises of the layers multiply, hence exp.
    """

    def __init__(self, chain: Chain, outputs: int) -> None:
        self.chain, self.outputs = chain, outputs
        self.contrasts = contrasts(chain.samples)
        excess = chain.shared - chain.gaussian
        self._excess = max(excess, 0.0)
        # where phi makes samples scatter less than Gaussian activities do, those of the Wishart matrices are reduced
        self._reduced = math.sqrt(chain.shared / chain.gaussian) - 1 if excess < 0 else 0.0

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return F* on the contrasts, shape (C (T-1), C (T-1)), and d^-1 Q^{L-1}, what the outputs are drawn with."""
        layers, freedom = self.chain.layers, self.chain.samples - 1
        overlaps = self._overlaps(rng)
        total = np.zeros((self.outputs * freedom, self.outputs * freedom))
        q: Array = np.zeros((freedom, freedom))
        for layer, (same, cross) in zip(layers, overlaps, strict=True):
            q = wishart(self._mean(layer, q), layer.width, rng)
            deviation = layer.weight * (q - layer.own * np.eye(freedom))
            total += np.kron(cross, self._reduce(deviation)) + np.kron(layer.part * same, np.eye(freedom))
        total += self.chain.bulk * self._of_samples(rng)
        return total / self.chain.samples, q / layers[-1].own

    def _overlaps(self, rng: np.random.Generator) -> list[tuple[Array, Array]]:
        """Return the overlaps of the gradients of the outputs above the layers 0 .. L-1.

        First, mean over samples, those of a sample with itself, then those of two samples. With one Wishart matrix W of
        mean 1 a layer makes of them root (1 + c (W - 1)) root' and root W root', c the correlation of two samples.
        """
        identity = np.eye(self.outputs)
        overlaps = [(identity, identity)]
        for layer in self.chain.layers[:0:-1]:
            noise = wishart(identity, layer.width, rng) - identity
            roots = [linalg.cholesky(one, lower=True) for one in overlaps[-1]]
            same, cross = (
                root @ (identity + c * noise) @ root.T for root, c in zip(roots, (layer.alike, 1.0), strict=True)
            )
            overlaps.append((same, cross))
        return overlaps[::-1]

    def _mean(self, layer: WishartLayer, q: Array) -> Array:
        """Return the mean of Q given that of the layer below: linear in the covariance of n, which is not in q.

        n = u/sigma has, along an eigenvector of q, the variance lambda (1 - 2 (lambda - mean lambda^2)/(T+1)) in units
        of the mean, up to O(1/T^2): a direction of large variance has its share in sigma^2.
        """
        identity = np.eye(len(q))
        if not layer.linear:
            return layer.own * identity
        square = q @ q
        below = float(np.trace(q)) / len(q)
        mean_square = float(np.trace(square)) / len(q)
        normalised = q / below - 2 / (len(q) + 2) * (square / below**2 - mean_square / below**2 * q / below)
        linear = layer.linear * layer.below * (len(q) + 2) / len(q)
        mean: Array = layer.own * identity + linear * (normalised - identity)
        return mean

    def _reduce(self, deviation: Array) -> Array:
        """Scale the part G diag(e) G of a matrix on the contrasts."""
        if not self._reduced:
            return deviation
        samples, h = self.chain.samples, self.contrasts
        diagonal = np.sum(h @ deviation * h, axis=1)
        e = samples / (samples - 2) * (diagonal - diagonal.mean())
        reduced: Array = deviation + self._reduced * (h.T * e) @ h
        return reduced

    def _of_samples(self, rng: np.random.Generator) -> Array:
        """Return exp(Z) over its mean, less 1, on the contrasts."""
        samples, c, h = self.chain.samples, self.outputs, self.contrasts
        noise = rng.standard_normal((samples, c, c))
        z = math.sqrt(self.chain.separate / 2) * (noise + noise.transpose(0, 2, 1))
        z += math.sqrt(self._excess) * rng.standard_normal(samples)[:, None, None] * np.eye(c)
        values, vectors = np.linalg.eigh(z)
        half = (self._excess + (c + 1) * self.chain.separate) / 2
        each = (vectors * np.exp(values - half)[:, None, :]) @ vectors.transpose(0, 2, 1) - np.eye(c)
        on_contrasts: Array = np.einsum("sa,skm,sb->kamb", h, each, h, optimize=True)
        return on_contrasts.reshape(c * (samples - 1), -1)


def contrasts(samples: int) -> Array:
    """Return an orthonormal basis of the contrasts, shape (T, T-1), by Helmert."""
    basis = np.triu(np.ones((samples, samples - 1)))
    n = np.arange(1.0, samples)
    basis[1:][np.arange(samples - 1), np.arange(samples - 1)] = -n
    normalised: Array = basis / np.sqrt(n * (n + 1))
    return normalised


def wishart(mean: Array, freedom: int, rng: np.random.Generator) -> Array:
    """Return a Wishart matrix of a given mean, by the triangular factor of Bartlett where there are enough degrees."""
    size = len(mean)
    root = np.asarray(linalg.cholesky(mean, lower=True))
    if freedom >= size:
        factor = np.tril(rng.standard_normal((size, size)), -1)
        factor[np.diag_indices(size)] = np.sqrt(rng.chisquare(freedom - np.arange(size)))
    else:
        factor = rng.standard_normal((size, freedom))
    half = root @ factor
    product: Array = half @ half.T / freedom
    return product
