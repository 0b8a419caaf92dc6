"""The eigenspace of the largest eigenvalues: what Theorem 3.1 says, and what a measurement finds."""

from __future__ import annotations

from dataclasses import dataclass

from .moments import Correction


@dataclass(frozen=True)
class Eigenspace:
    """How well the mean gradients E grad f_k span the eigenspace of the C largest eigenvalues of F."""

    alignment: float
    """The mean squared cosine of the principal angles between the two: 1 in the limit of infinite width."""
    residual: float
    """|F v - lambda v|/(lambda |v|) for v = E grad f_k and lambda = lambda_max, rms over k: 0 in the limit."""
    theorem: str
    """What the numbers rest on."""
    corrections: tuple[Correction, ...] = ()
    """What separates the theorem from finite networks; empty for a measurement."""
