r"""The deviations of Theta from exchangeable samples through all layers of a batch-normalised network, to first order.

With M_l Q^l = X_l' X_l, K_l = (s_w^2_{l+1}/s_w^2_l) T/((T-3) d_{l-1}), d = qhat_t - qhat_st and the numbers of
``response``, the bulk and the deviations of Theta on the contrasts obey, layer by layer,

    bulk <- M_l d_l + K_l (p - r) bulk,
    dQ^l = (forward/d_{l-1}) dQ^{l-1} + noise,
    dTheta <- M_l dQ^l + K_l (backward dTheta + bulk tilt dQ^{l-1}/d_{l-1}).

Deviations of pairs and of samples have different numbers. Pairs: Theta is sum_l w_l Q^l, and the Q^l are Wishart
matrices, one upon the other. The same matrices have deviations of single samples, of the variance that Gaussian
activities make; that of the network is another one, because phi is not linear: the length of a sample's activities, and
that of its gradient, do not contract as overlaps do, and they scatter by the fourth moments of phi and phi'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..gaussian import Array
from .response import BatchNormResponse, Deviation


@dataclass(frozen=True)
class WishartLayer:
    """Q^l given Q^{l-1}: a Wishart matrix of M_l degrees of freedom and mean d_l G + linear (Q^{l-1} - d_{l-1} G)."""

    width: int
    """M_l."""
    linear: float
    """0 for the inputs."""
    own: float
    """d_l."""
    below: float
    """d_{l-1}; 1 for the inputs."""
    weight: float
    """w_l, of Q^l in Theta."""
    part: float
    """What the layer has of the bulk of Theta."""
    alike: float
    """Correlation of the gradients of two samples above the layer; of no use for the inputs."""


@dataclass(frozen=True)
class Chain:
    """Deviations of T F* on the contrasts."""

    samples: int
    """T."""
    layers: tuple[WishartLayer, ...]
    """0 .. L-1."""
    shared: float
    """Variance of the deviation of a sample, in units of bulk^2, that is the same for all outputs."""
    separate: float
    """Variance over two different outputs; of one output with itself it is twice that, besides ``shared``."""
    gaussian: float
    """Variance of it that the Wishart matrices have, all of it shared."""

    @property
    def bulk(self) -> float:
        """T lambda_bulk."""
        return sum(layer.part for layer in self.layers)


def chain_of(
    responses: Sequence[BatchNormResponse], widths: Sequence[int], weight_variance: Sequence[float], samples: int
) -> Chain:
    """Return the deviations at the outputs.

    Parameters
    ----------
    responses : sequence of BatchNormResponse
        Of the hidden layers, 1 .. L-1.
    widths : sequence of int
        M_0 .. M_{L-1}.
    weight_variance : sequence of float
        s_w^2 of the layers 1 .. L.
    samples : int
        T >= 6.
    """
    own = [1.0, *(response.own for response in responses)]
    weight, part = np.array([float(widths[0])]), np.array([float(widths[0])])
    network, gaussian = _Samples(widths[0], samples), _Samples(widths[0], samples)
    # the gradients of two samples: how much alike they are above layer l
    alike = np.cumprod([1.0, *(response.slope_overlap for response in responses[:0:-1])])[::-1]
    inverse_fourth = (samples - 3) / (samples - 5)  # E sigma^-4/(E sigma^-2)^2
    for l, response in enumerate(responses, start=1):
        below, bulk = own[l - 1], float(part.sum())
        k = weight_variance[l] / weight_variance[l - 1] * samples / ((samples - 3) * below)
        passed = k * response.growth
        pairs = response.of_pairs
        gaussian.layer(pairs, k, bulk, below)
        gaussian.activities(2 * response.own**2, widths[l])
        network.layer(response.of_samples, k, bulk, below)
        network.activities(response.activity_noise, widths[l])
        square, overlap = response.slope_fourth, response.slope_square_overlap
        network.gradients(
            passed * bulk,
            shared=inverse_fourth * (square - overlap) / widths[l],
            separate=inverse_fourth * (square - alike[l - 1] ** 2 * overlap) / widths[l],
            covariance=response.noise_covariance / widths[l],
            width=widths[l],
        )
        weight *= k * pairs.backward
        weight[-1] += k * bulk * pairs.tilt / below
        weight = np.append(weight, widths[l])
        part = np.append(part * passed, widths[l] * response.own)
    layers = []
    for l, width in enumerate(widths):
        below = own[l - 1] if l else 1.0
        linear = responses[l - 1].of_pairs.forward / below if l else 0.0
        correlation = float(alike[l - 1]) if l else 0.0
        layers.append(WishartLayer(width, linear, own[l], below, float(weight[l]), float(part[l]), correlation))
    bulk = float(part.sum())
    shared, separate = network.covariance[1, 1] / bulk**2, network.separate / bulk**2
    return Chain(samples, tuple(layers), float(shared), float(separate), float(gaussian.covariance[1, 1] / bulk**2))


class _Samples:
    """The covariance matrix of a sample's deviations in Q and in Theta, layer by layer."""

    def __init__(self, width: int, samples: int) -> None:
        self.samples = samples
        self.covariance: Array = np.zeros((2, 2))
        self.activities(2.0, width)
        self.separate = 0.0

    def layer(self, deviation: Deviation, k: float, bulk: float, below: float) -> None:
        """Pass through a layer; Theta does not have the new Q yet."""
        step = np.array([[deviation.forward / below, 0.0], [k * bulk * deviation.tilt / below, k * deviation.backward]])
        self.covariance = step @ self.covariance @ step.T
        self.separate *= (k * deviation.backward) ** 2

    def activities(self, variance: float, width: int) -> None:
        """Add Q, with its noise, to Theta.

        Of Q_ss = Gaussian^2 without the mean over samples, the part G diag(e) G has a variance larger by T/(T-2).
        """
        self.covariance[0, 0] += variance / width * self.samples / (self.samples - 2)
        onto = np.array([[1.0, 0.0], [width, 1.0]])
        self.covariance = onto @ self.covariance @ onto.T

    def gradients(self, passed: float, *, shared: float, separate: float, covariance: float, width: int) -> None:
        """Add the noise of the gradients, and its covariance with that of Q."""
        with_q = passed * covariance
        self.covariance += np.array([[0.0, with_q], [with_q, 2 * width * with_q + passed**2 * shared]])
        self.separate += passed**2 * separate
