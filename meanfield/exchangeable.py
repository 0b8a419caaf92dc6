"""A matrix with one value on the diagonal and another off it: the leading form of F* for samples that are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import require_integer, require_number


@dataclass(frozen=True)
class Exchangeable:
    """A symmetric matrix with one value on the diagonal and another off it, (S.7).

    Parameters
    ----------
    same : float
        The value on the diagonal.
    cross : float
        The value off the diagonal.
    size : int
        The number of rows, at least 1.

    Equations: (S.7), (S.22)

    Examples
    --------
    >>> matrix = Exchangeable(3.0, 1.0, 4)
    >>> matrix.uniform, matrix.contrast, matrix.trace
    (6.0, 2.0, 12.0)
    """

    same: float
    cross: float
    size: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "same", require_number("same", self.same))
        object.__setattr__(self, "cross", require_number("cross", self.cross))
        object.__setattr__(self, "size", require_integer("size", self.size, at_least=1))

    @property
    def uniform(self) -> float:
        """The eigenvalue of (1, .., 1): ``same + (size - 1) cross``, once."""
        return self.same + (self.size - 1) * self.cross

    @property
    def contrast(self) -> float:
        """The eigenvalue of everything orthogonal to (1, .., 1): ``same - cross``, size - 1 times."""
        return self.same - self.cross

    @property
    def trace(self) -> float:
        """The sum of the eigenvalues."""
        return self.size * self.same

    @property
    def squared_norm(self) -> float:
        """The sum of the squared eigenvalues."""
        return self.size * (self.same**2 + (self.size - 1) * self.cross**2)

    def centred(self) -> Exchangeable:
        """Return G K G with the projector G = I - 11'/size, (S.22): the uniform direction is removed."""
        return Exchangeable(self.contrast * (1 - 1 / self.size), -self.contrast / self.size, self.size)

    def dense(self) -> NDArray[np.float64]:
        """Return the matrix itself, of shape (size, size)."""
        return np.full((self.size, self.size), self.cross) + self.contrast * np.eye(self.size)
