"""Each normalisation beside its exact adjoint: over the samples of a batch, or over the units of a layer.

Arrays end in an axis of samples and one of units, (.., T, M). Batch normalisation of a layer and of the outputs, and
layer normalisation of either, are one map along one axis or the other; its statistics depend on what is normalised, and
the adjoint differentiates them as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield import HiddenNormalization, Network, OutputNormalization, ParameterError

SAMPLES, UNITS = -2, -1
"""The axes of batch normalisation and mean subtraction, and of layer normalisation."""

_NO_SPREAD = 16
"""A standard deviation below so many roundings, relative to the largest value, has no digit left."""

_LOST = {"float64": (1e-10, "six"), "float32": (1e-4, "three")}
"""If a normalisation of the outputs leaves less than this of F*, that has fewer digits: rounding is that of the whole.

Measured errors of lambda_max are about a rounding over what is left."""


@dataclass(frozen=True, eq=False)
class Normalised:
    """A normalised array, with all that the adjoint of the normalisation needs."""

    values: NDArray[np.float64]
    """After the normalisation: shape (T, M)."""
    axis: int | None = None
    """Over what the mean is taken; None if nothing is normalised."""
    deviation: NDArray[np.float64] | None = None
    """sqrt(sigma^2 + epsilon), by which was divided: of shape (1, M) or (T, 1); None if only the mean is subtracted."""
    epsilon: float = 0.0

    @property
    def is_constant(self) -> bool:
        """Whether the values are the same whatever was normalised: one, centred, is 0; two, standardised, are -1, 1."""
        return (
            self.epsilon == 0
            and self.axis is not None
            and self.values.shape[self.axis] == (1 if self.deviation is None else 2)
        )

    @property
    def inverse_variances(self) -> NDArray[np.float64]:
        """The 1/sigma^2 in the product of two Jacobians, or 1: an array that has as many axes as the values."""
        return np.ones((1, 1)) if self.deviation is None else self.deviation.astype(np.float64) ** -2

    def adjoint(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Apply the Jacobian, which is its own adjoint, to an array: forward to tangents, backward to gradients.

        J = I - 11'/n for mean subtraction, J = (I - 11'/n - xbar xbar'/n)/s for the standardisation of n values x to
        xbar, s^2 = sigma^2 + epsilon.

        Parameters
        ----------
        gradient : array of shape (.., T, M)
            With at least one axis in front; it is overwritten.

        Returns
        -------
        array
            ``gradient``, after the map.

        Notes
        -----
        (S.78) calls P = sigma J the derivative; the 1/sigma is in (S.77), as it is in (S.59) beside (S.60). The
        products of P at two samples, Gamma_kk' = sum_i P_ki(s) P_k'i(t), are

            delta_kk' - (n_k(t) n_k'(t) + n_k(s) n_k'(s) + 1)/M + n_k(s) n_k'(t) [sum_i n_i(s) n_i(t)]/M^2;

        (S.81) and (S.84) print the last sign as -. ``test_the_product_of_two_projectors`` decides.
        """
        if self.axis is None:
            return gradient
        if self.is_constant:
            gradient[...] = 0  # not to rounding, but exactly
            return gradient
        for part in gradient:  # one at a time, to save memory
            part -= part.mean(axis=self.axis, keepdims=True)
            if self.deviation is not None:
                product = part * self.values
                along = product.mean(axis=self.axis, keepdims=True)
                part -= np.multiply(self.values, along, out=product)
                part /= self.deviation
                del product  # or it is there beside the next
        return gradient


def centre(x: NDArray[np.float64], axis: int) -> Normalised:
    """Subtract the mean over the samples or the units.

    Examples
    --------
    >>> centre(np.array([[1.0], [4.0]]), SAMPLES).values.ravel()
    array([-1.5,  1.5])
    """
    return Normalised(x - x.mean(axis=axis, keepdims=True), axis)


def standardise(x: NDArray[np.float64], axis: int, *, epsilon: float = 0.0, what: str = "layer") -> Normalised:
    """Subtract the mean over the samples or the units, and divide by the standard deviation.

        xbar = (x - mean)/s,        d xbar / d x = (I - 11'/n - xbar xbar'/n)/s,        s^2 = sigma^2 + epsilon.

    Parameters
    ----------
    x : array of shape (T, M)
    axis : int
        ``SAMPLES`` for batch normalisation, ``UNITS`` for layer normalisation.
    epsilon : float
        What is added to the variance.
    what : str
        What x is, for the message of an error.

    Returns
    -------
    Normalised
        To rounding of x, relative to s.

    Raises
    ------
    ArithmeticError
        If some s is zero, up to rounding, or x is not finite; nothing has been divided by then.

    Equations: (13), (14), (20), (21), (24), (25), (S.60), (S.78), (S.81), (S.84)

    Examples
    --------
    >>> by_sample = standardise(np.array([[1.0, 3.0], [5.0, 1.0]]), UNITS)
    >>> by_sample.values, by_sample.deviation.ravel()
    (array([[-1.,  1.], [ 1., -1.]]), array([1., 2.]))
    """
    if not np.isfinite(x).all():
        raise ArithmeticError(
            f"{what} is not finite, and cannot be normalised: the network or its inputs are too large"
        )
    centred = x - x.mean(axis=axis, keepdims=True)
    scale = np.abs(centred).max(axis=axis, keepdims=True)  # so that no square overflows or vanishes
    if epsilon > 0:
        deviation = np.sqrt(np.mean(np.square(centred), axis=axis, keepdims=True) + epsilon)
        return Normalised(centred / deviation, axis, deviation, epsilon)
    flat = scale <= _NO_SPREAD * np.finfo(x.dtype).eps * np.abs(x).max(axis=axis, keepdims=True)
    if flat.any():
        first = int(np.flatnonzero(flat)[0])
        over = (
            f"all {len(x)} samples at unit {first}" if axis == SAMPLES else f"all {x.shape[1]} units at sample {first}"
        )
        raise ArithmeticError(f"{what} has the same value for {over}: there is no spread to divide by")
    deviation = scale * np.sqrt(np.mean(np.square(centred / scale), axis=axis, keepdims=True))
    return Normalised(centred / deviation, axis, deviation)


def normalise(u: NDArray[np.float64], network: Network, *, layer: int) -> Normalised:
    """Normalise the pre-activations u^l of a layer, of shape (T, M_l): of a hidden one, or for l = L the outputs.

    Equations: (13), (15), (20), (24)
    """
    if layer == network.depth:
        return normalise_outputs(u, network.output_normalization)
    what = f"the pre-activation of layer {layer}"
    if network.hidden_normalization is HiddenNormalization.LAYER:
        return standardise(u, UNITS, what=what)
    if network.batch_norm is not None and layer in network.batch_norm_layers:
        return standardise(u, SAMPLES, epsilon=network.batch_norm.epsilon, what=what)
    return Normalised(u)


def normalise_outputs(u: NDArray[np.float64], choice: OutputNormalization) -> Normalised:
    """Normalise the outputs u^L, of shape (T, C).

    Equations: (13), (15), (24)
    """
    if choice is OutputNormalization.NONE:
        return Normalised(u)
    if choice is OutputNormalization.MEAN:
        return centre(u, SAMPLES)
    return standardise(u, SAMPLES if choice is OutputNormalization.BATCH else UNITS, what="the output")


def require_digits(left: float, whole: float, of_outputs: Normalised) -> None:
    """Raise ArithmeticError if a normalisation of the outputs takes out almost all of F*, and its digits with it.

    Parameters
    ----------
    left : float
        A trace, or an eigenvalue, of P F* P.
    whole : float
        The trace of F*, weighted with 1/sigma^2.
    of_outputs : Normalised
        The outputs. Where their normalisation leaves nothing by definition, zero has all its digits.

    Examples
    --------
    >>> require_digits(1e-12, 1.0, centre(np.array([[1.0], [4.0]]), SAMPLES))
    Traceback (most recent call last):
    ArithmeticError: what normalised outputs leave of F* is 1.0e-12 of it, and has fewer than six digits: F vani...
    """
    if not (math.isfinite(left) and math.isfinite(whole)):
        raise ArithmeticError("F* is not finite: the spread of the outputs is too small to divide by")
    if of_outputs.axis is None or of_outputs.is_constant:
        return
    least, digits = _LOST[of_outputs.values.dtype.name]
    if left < least * whole:
        alike = "samples" if of_outputs.axis == SAMPLES else "outputs"
        raise ArithmeticError(
            f"what normalised outputs leave of F* is {left / whole:.1e} of it, and has fewer than {digits} digits: "
            f"F vanishes, or all {alike} look alike"
        )


def require_normalisable(network: Network, widths: tuple[int, ...], samples: int) -> None:
    """Raise ParameterError, before any work, if a normalisation would have a single value to take the spread of.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0, output_normalization="layer")
    >>> require_normalisable(network, (5, 5, 1), samples=10)
    Traceback (most recent call last):
    meanfield.errors.ParameterError: outputs must be at least 2 with layer normalisation of the outputs, got 1
    """
    hidden, output = network.hidden_normalization, network.output_normalization
    if (hidden is HiddenNormalization.BATCH or output is OutputNormalization.BATCH) and samples < 2:
        raise ParameterError("samples", "at least 2 with batch normalisation", samples)
    if hidden is HiddenNormalization.LAYER and min(widths[1:-1]) < 2:
        expected = "such that every hidden layer has at least 2 units, with layer normalisation"
        raise ParameterError("width", expected, f"widths {widths}")
    if output is OutputNormalization.LAYER and widths[-1] < 2:
        raise ParameterError("outputs", "at least 2 with layer normalisation of the outputs", widths[-1])
