"""The tables of tests/data: Gaussian integrals and kappas to thirty digits, made by programs beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).with_name("data")


@dataclass(frozen=True)
class Truth:
    """The integrals of one function at one variance; u and v have the same."""

    name: str
    """Of the activation."""
    part: int
    """0 for its value, 1 for its slope."""
    variance: float
    covariances: NDArray[np.float64]
    digits: tuple[str, ...]
    """Mean, second moment and overlaps, to thirty digits."""

    @property
    def mean(self) -> float:
        """E f(u)."""
        return float(self.digits[0])

    @property
    def second_moment(self) -> float:
        """E f(u)^2."""
        return float(self.digits[1])

    @property
    def overlaps(self) -> NDArray[np.float64]:
        """E f(u) f(v), one for each covariance."""
        return np.array([float(x) for x in self.digits[2:]])

    def __str__(self) -> str:
        return f"{'slope of ' * self.part}{self.name} at {self.variance:g}"


def truths() -> Iterator[Truth]:
    """Every line of overlaps.json."""
    table = json.loads((DATA / "overlaps.json").read_text())
    correlations = np.array(table["correlations"])
    for key, rows in table["integrals"].items():
        name, part = key.split()
        for variance, digits in rows.items():
            a = float(variance)
            yield Truth(name, ("value", "slope").index(part), a, correlations * a, tuple(digits))


def networks() -> list[dict[str, Any]]:
    """Every line of kappas.json: arguments of mf.Network, with names for activations, and both kappas as text."""
    entries: list[dict[str, Any]] = json.loads((DATA / "kappas.json").read_text())
    return entries
