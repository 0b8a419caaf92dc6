"""The matrices, tile by tile: each tile goes through all layers while it is in the cache, and threads share the tiles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..gaussian import Array
from .inputs import InputGram, Samples
from .layers import Chain

_ROWS, _COLUMNS = 64, 256
"""Of a tile: a dozen of them stay in the cache."""


@dataclass(frozen=True, eq=False)
class Problem:
    """All that the matrices follow from: the inputs, and what the network does to each of them and to pairs."""

    inputs: InputGram | Samples
    chain: Chain
    dtype: np.dtype[Any]

    @property
    def rows(self) -> int:
        """T."""
        return int(self.inputs.squares.size)

    @property
    def columns(self) -> int:
        """T'."""
        return int(self.inputs.other_squares.size)

    @property
    def offset(self) -> int:
        """Where the columns begin among the samples of the chain."""
        return 0 if self.inputs.symmetric else self.rows

    def fill(self, rows: slice, covariance: Array, tangent: Array | None, *, mirror: bool) -> None:
        """Write some rows of the matrices, at most as many as a tile has.

        With ``mirror`` only what is on the diagonal and to the right of it, and the same transposed below, in matrices
        that hold all rows.
        """
        first = rows.start if mirror else 0
        strip = self.inputs.strip(rows, slice(first, None)).astype(self.dtype, copy=False)
        at = rows if mirror else slice(0, rows.stop - rows.start)
        for start in range(first, self.columns, _COLUMNS):
            columns = slice(start, min(start + _COLUMNS, self.columns))
            tile = np.ascontiguousarray(strip[:, start - first : columns.stop - first])
            samples = slice(columns.start + self.offset, columns.stop + self.offset)
            results = self.chain.tile(tile, rows, samples)
            own = self.chain.covariance, self.chain.tangent
            for matrix, result, diagonal in zip((covariance, tangent), results, own, strict=True):
                if matrix is None or result is None or diagonal is None:
                    continue
                if self.inputs.symmetric:
                    _put_diagonal(result, rows, columns, diagonal)
                matrix[at, columns] = result
                if mirror:
                    matrix[columns, rows] = result.T

    def whole(self, *, threads: int) -> tuple[Array, Array | None]:
        """Return both matrices."""
        shape = self.rows, self.columns
        covariance = np.empty(shape, dtype=self.dtype)
        tangent = None if self.chain.tangent is None else np.empty(shape, dtype=self.dtype)
        fill = partial(self.fill, covariance=covariance, tangent=tangent, mirror=True)
        if self.inputs.symmetric:
            _in_threads(fill, _strips(0, self.rows), threads)
        else:
            _in_threads(partial(self._write, covariance, tangent, 0), _strips(0, self.rows), threads)
        return covariance, tangent

    def some(self, start: int, stop: int, *, threads: int) -> tuple[Array, Array | None]:
        """Return some rows of both matrices."""
        shape = stop - start, self.columns
        covariance = np.empty(shape, dtype=self.dtype)
        tangent = None if self.chain.tangent is None else np.empty(shape, dtype=self.dtype)
        _in_threads(partial(self._write, covariance, tangent, start), _strips(start, stop), threads)
        return covariance, tangent

    def _write(self, covariance: Array, tangent: Array | None, start: int, rows: slice) -> None:
        at = slice(rows.start - start, rows.stop - start)
        self.fill(rows, covariance[at], None if tangent is None else tangent[at], mirror=False)


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _strips(start: int, stop: int) -> Iterator[slice]:
    return (slice(first, min(first + _ROWS, stop)) for first in range(start, stop, _ROWS))


def _in_threads(write: Any, strips: Iterator[slice], threads: int) -> None:
    if threads == 1:
        for strip in strips:
            write(strip)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(write, strips):  # raises what a thread raised
            pass


def _put_diagonal(tile: Array, rows: slice, columns: slice, diagonal: Array) -> None:
    """Write the exact values of each sample with itself."""
    both = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))
    if both.size:
        tile[both - rows.start, both - columns.start] = diagonal[both]
