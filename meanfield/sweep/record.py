"""What a sweep returns: labelled arrays, one for each quantity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from ..gaussian import Array
from ..network import Network
from ..records import plain, table

QUANTITIES = (
    "mean",
    "second_moment",
    "lower",
    "upper",
    "prediction",
    "necessary",
    "safe",
    "value",
    "kappa_1",
    "kappa_2",
)
"""The arrays of numbers of a sweep."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """Eigenvalues, learning rates and kappas of many networks, in arrays with one axis for each dimension.

    What is not known is nan: quantities that a theorem leaves open, and whole cells to which none applies, with a
    reason.
    """

    network: Network
    """With the parameters that all cells share."""
    dims: tuple[str, ...]
    """The names of the axes."""
    coordinates: Mapping[str, tuple[str, tuple[Any, ...]]]
    """Of every parameter that is swept: the dimension along which it changes, and its values there."""
    fixed: Mapping[str, Any]
    """Parameters that were given as one value."""
    mean: Array
    """m_lambda."""
    second_moment: Array
    """s_lambda."""
    lower: Array
    """A lower bound of lambda_max; equal to ``upper`` where the theorem is an equality."""
    upper: Array
    """An upper bound of lambda_max; inf where nothing bounds it."""
    prediction: Array
    """lambda_max, where it is known."""
    necessary: Array
    """2/lower: no learning rate above it converges."""
    safe: Array
    """2/upper."""
    value: Array
    """2/prediction."""
    kappa_1: Array
    """Of the order parameters alone, and so also where no theorem applies."""
    kappa_2: Array
    """Likewise."""
    theorem: NDArray[np.str_]
    """What a cell rests on; empty where there is a reason."""
    reasons: Mapping[tuple[int, ...], str]
    """By index, for each cell without eigenvalues: why no theorem applies, or which integral failed."""
    error: float
    """The largest error of an integral that was read off a table, relative to E phi^2 or E phi'^2; 0 without tables."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the arrays."""
        return self.mean.shape

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield plain data for each cell: its parameters, the quantities, the theorem and the reason."""
        axes = {dim: axis for axis, dim in enumerate(self.dims)}
        fixed = {name: _label(value) for name, value in self.fixed.items()}
        for cell in np.ndindex(self.shape):
            swept = {name: _label(values[cell[axes[dim]]]) for name, (dim, values) in self.coordinates.items()}
            numbers = {name: plain(getattr(self, name)[cell]) for name in QUANTITIES}
            yield {
                **fixed,
                **swept,
                **numbers,
                "theorem": str(self.theorem[cell]),
                "reason": self.reasons.get(cell, ""),
            }

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON; what is not known or infinite is None."""
        return {
            "network": plain(self.network),
            "dims": list(self.dims),
            "coordinates": {
                name: {"dim": dim, "values": [_label(value) for value in values]}
                for name, (dim, values) in self.coordinates.items()
            },
            "fixed": {name: _label(value) for name, value in self.fixed.items()},
            "quantities": {name: plain(getattr(self, name)) for name in QUANTITIES},
            "theorem": self.theorem.tolist(),
            "reasons": [{"cell": list(cell), "reason": reason} for cell, reason in self.reasons.items()],
            "error": self.error,
        }

    def to_xarray(self) -> Any:
        """Return an xarray Dataset with the same dimensions; reasons are an array of text, empty where there is none.

        Raises
        ------
        ParameterError
            If xarray is not installed.
        """
        try:
            xarray = import_module("xarray")
        except ModuleNotFoundError as error:
            if error.name != "xarray":
                raise
            expected = "installed (labelled arrays need it; in a clone of the project: pip install '.[export]')"
            raise ParameterError("xarray", expected, "no such module") from error
        reason = np.full(self.shape, "", dtype=object)
        for cell, text in self.reasons.items():
            reason[cell] = text
        numbers = {name: (self.dims, getattr(self, name)) for name in QUANTITIES}
        coordinates = {
            name: (dim, [_label(value) for value in values]) for name, (dim, values) in self.coordinates.items()
        }
        attributes = {name: _label(value) for name, value in self.fixed.items()} | {"table_error": self.error}
        return xarray.Dataset(
            {**numbers, "theorem": (self.dims, self.theorem), "reason": (self.dims, reason)}, coordinates, attributes
        )

    def __str__(self) -> str:
        rows = [
            (name if dim == name else f"{name} along {dim}", _span(values), str(len(values)))
            for name, (dim, values) in self.coordinates.items()
        ]
        for name in QUANTITIES:
            array = getattr(self, name)
            known = array[np.isfinite(array)]
            span = f"{known.min():.4g} to {known.max():.4g}" if known.size else "not known"
            rows.append((name, span, str(known.size)))
        text = table(rows, ("quantity", "range", "values"))
        if not self.reasons:
            return text
        first, reason = next(iter(self.reasons.items()))
        return f"{text}\n\n{len(self.reasons)} of {self.mean.size} cells without eigenvalues, as at {first}: {reason}"


def _label(value: Any) -> Any:
    """Return a number or a name, for a label."""
    label = plain(value)
    return str(value) if isinstance(label, dict) else label


def _span(values: tuple[Any, ...]) -> str:
    if all(isinstance(value, int | float) for value in values):
        return f"{min(values):g} to {max(values):g}"
    return ", ".join(str(_label(value)) for value in values)
