"""The matrices, tile by tile: each goes through all layers while it is in the cache, and threads share the tiles."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..gaussian import Array
from .inputs import InputGram, Samples
from .layers import Chain

_ROWS, _COLUMNS = 128, 1024
"""Of a tile: small enough for a few of them to stay in the cache, and large enough for threads not to wait for each
other, since only one of them may be outside of NumPy at a time."""


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
        """Write some rows of the matrices, which begin with the first of them unless they are mirrored.

        With ``mirror`` only what is on the diagonal and to the right of it, and the same transposed below, in matrices
        that hold all rows.
        """
        first, below = (rows.start, 0) if mirror else (0, rows.start)
        products = covariance[rows.start - below : rows.stop - below, first:]
        self.inputs.products(rows, slice(first, None), products)  # where the results are to stand
        at = slice(rows.start - below, rows.stop - below)
        for left in range(first, self.columns, _COLUMNS):
            columns = slice(left, min(left + _COLUMNS, self.columns))
            overlaps = covariance[at, columns] * self.inputs.factor
            for matrix, result in zip((covariance, tangent), self._tile(overlaps, rows, columns), strict=True):
                if matrix is None or result is None:
                    continue
                matrix[at, columns] = result
                if mirror:
                    matrix[columns, rows] = result.T
        if mirror:
            for matrix in (covariance, tangent):
                if matrix is not None:  # rounding does not make it less than symmetric
                    above = np.triu(matrix[rows, rows], 1)
                    np.fill_diagonal(above, np.diagonal(matrix[rows, rows]) / 2)
                    matrix[rows, rows] = above + above.T

    def _tile(self, overlaps: Array, rows: slice, columns: slice) -> tuple[Array, Array | None]:
        samples = slice(columns.start + self.offset, columns.stop + self.offset)
        if not self.inputs.symmetric:
            return self.chain.tile(overlaps, rows, samples)
        # what is on the diagonal is known; there, a correlation of 1 would only ask for long series
        _put_diagonal(overlaps, rows, columns, np.zeros(self.columns))
        covariance, tangent = self.chain.tile(overlaps, rows, samples)
        _put_diagonal(covariance, rows, columns, self.chain.covariance)
        if tangent is not None and self.chain.tangent is not None:
            _put_diagonal(tangent, rows, columns, self.chain.tangent)
        return covariance, tangent

    def whole(self, *, threads: int) -> tuple[Array, Array | None]:
        """Return both matrices."""
        shape = self.rows, self.columns
        covariance = np.empty(shape, dtype=self.dtype)
        tangent = None if self.chain.tangent is None else np.empty(shape, dtype=self.dtype)
        write = partial(self._write, covariance, tangent, 0)
        if self.inputs.symmetric:
            write = partial(self.fill, covariance=covariance, tangent=tangent, mirror=True)
        _in_threads(write, _strips(0, self.rows), threads)
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


def default_threads() -> int:
    """Return two, or what this process may use: more would wait for each other."""
    return min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _strips(start: int, stop: int) -> Iterator[slice]:
    return (slice(first, min(first + _ROWS, stop)) for first in range(start, stop, _ROWS))


def _in_threads(write: Callable[[slice], None], strips: Iterator[slice], threads: int) -> None:
    with threadpool_limits(1, user_api="blas"):  # not threads of threads
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
