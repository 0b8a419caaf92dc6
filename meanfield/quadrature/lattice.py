"""A function on an equispaced lattice, and the Gaussian smoothing of it, exact in Fourier space."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, special

from ..errors import QuadratureError
from ..gaussian import Array

_SOFT, _CENTRE, _MARGIN = 4.6, 5.0, 50.0
"""The width over which functions are cut off, in steps; its middle, in widths; and the room for it, in steps."""

DIGITS = 41.0
"""exp(-41) = 2e-18."""


@dataclass(frozen=True)
class Lattice:
    """The points (j + 1/2) step, symmetric about zero and reaching somewhat further than ``reach``."""

    step: float
    reach: float

    def exceeds(self, largest: int) -> bool:
        """Whether there are more points than that."""
        return 2 * (self.reach / self.step + _MARGIN) > largest

    @cached_property
    def size(self) -> int:
        """The number of points, even and good for fast Fourier transforms."""
        half = math.ceil(self.reach / self.step + _MARGIN)
        return 2 * int(fft.next_fast_len(half, real=True))

    @cached_property
    def u(self) -> Array:
        """The points."""
        return np.asarray(self.step * (np.arange(-self.size // 2, self.size // 2) + 0.5), dtype=np.float64)

    @cached_property
    def window(self) -> Array:
        """1 within reach, and smoothly 0 at the ends, so that a function times the window is periodic."""
        return np.asarray(special.erfc((np.abs(self.u) - self.reach) / (_SOFT * self.step) - _CENTRE) / 2)

    def stretched(self, factor: float) -> Lattice:
        """Return the lattice with as many points at ``factor`` times the distance."""
        return Lattice(factor * self.step, factor * self.reach)

    def expect(self, values: Array, sd: Array) -> Array:
        """Return E of values, shape (points,) or (rows, points), against N(0, sd^2) for every standard deviation."""
        half = self.size // 2
        folded = values[..., half:] + values[..., half - 1 :: -1]
        return np.asarray(np.einsum("...n,...n->...", gaussian(self.u[half:], sd[:, None]), folded) * self.step)


@dataclass(frozen=True)
class OnLattice:
    """A function on a lattice, softly cut off where it no longer matters."""

    lattice: Lattice
    values: Array

    def __post_init__(self) -> None:
        values = self.values * self.lattice.window
        if not np.isfinite(values).all():
            raise QuadratureError("the function is not finite everywhere, so its integral may not exist")
        object.__setattr__(self, "values", values)

    @cached_property
    def spectrum(self) -> NDArray[np.complex128]:
        """The Fourier transform."""
        return np.asarray(fft.rfft(self.values))

    @property
    def unseen(self) -> float:
        """The size of the end of the spectrum, and so of what the lattice does not see."""
        end = len(self.spectrum) - len(self.spectrum) // 8
        return float(2 * np.abs(self.spectrum[end:]).sum() / self.values.size)

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return float(np.abs(self.values).max())

    def smoothed(self, noise: Array) -> Array:
        """Return E f(u + s w), w standard normal, for every s: shape (noises, points)."""
        frequencies = 2 * math.pi * fft.rfftfreq(self.values.size, self.lattice.step)
        heat = np.exp(-0.5 * (noise[:, None] * frequencies) ** 2)
        return np.asarray(fft.irfft(self.spectrum * heat, self.values.size, overwrite_x=True))


def longest_step(strip: ArrayLike, *, order: ArrayLike = 0) -> Array:
    """Return the step at which the trapezoidal rule errs by exp(-41), all lengths in standard deviations.

    The integrand is analytic in a strip of this half-width, times a polynomial that oscillates as sqrt(order).
    """
    y = np.minimum(strip, math.sqrt(2 * DIGITS))
    return np.asarray(2 * math.pi * y / (DIGITS + y * y / 2 + np.sqrt(order) * y / 2))


def aliased(terms: Array, scale: Any) -> Any:
    """Return an estimate of the error of a sum over points j h, from the sums over even j and odd j.

    Each of these two errs by half their difference, and together they double the digits.
    """
    difference = 2 * np.abs(terms[..., ::2].sum(axis=-1) - terms[..., 1::2].sum(axis=-1)) / scale
    return 4 * difference**2 * scale


def gaussian(u: Array, sd: float | Array) -> Array:
    """Return the density of N(0, sd^2)."""
    return np.asarray(np.exp(-0.5 * (u / sd) ** 2) / (math.sqrt(2 * math.pi) * sd))
