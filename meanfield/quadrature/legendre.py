"""Gauss-Legendre panels: rules, series, and what the end of a series says about the rest of it."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from ..gaussian import Array

_GEOMETRIC = 1e-4
"""The end of a series relative to its start from which it is taken to fall off geometrically."""


@cache
def rule(nodes: int) -> tuple[Array, Array]:
    """Return nodes and weights on [-1, 1]; the weights of ``leggauss`` itself are off by up to 1e-13 at the ends."""
    return np.asarray(legendre.leggauss(nodes)[0], dtype=np.float64), 2 * series(nodes)[:, 0]


@cache
def series(nodes: int) -> Array:
    """Return the matrix that takes values at the nodes to the coefficients of the Legendre series through them."""
    t, _ = legendre.leggauss(nodes)
    return np.ascontiguousarray(np.linalg.inv(legendre.legvander(t, nodes - 1)).T)


def gauss(panels: Array, nodes: int) -> tuple[Array, Array]:
    """Return nodes and weights of the Gauss-Legendre rule on panels of shape (.., 2), in shape (.., nodes)."""
    t, weights = rule(nodes)
    left, right = panels[..., :1], panels[..., 1:]
    half = (right - left) / 2
    return (left + right) / 2 + half * t, half * weights


def between(places: Array) -> Array:
    """Return the panels between places in increasing order, shape (panels, 2)."""
    return np.stack([places[:-1], places[1:]], axis=-1)


def bisected(panels: Array) -> Array:
    """Return both halves of every panel: first the left ones, then the right ones."""
    middle = panels.mean(axis=-1)
    return np.concatenate([np.stack([panels[:, 0], middle], -1), np.stack([middle, panels[:, 1]], -1)])


def shorter(left: Array, right: Array, longest: float) -> tuple[Array, NDArray[np.int64]]:
    """Return panels from left to right, cut into equal parts of no more than this length, and into how many each."""
    parts = np.ceil((right - left) / longest).astype(np.int64)
    step = np.repeat((right - left) / parts, parts)
    start = np.repeat(left, parts) + counted(parts) * step
    return np.stack([start, start + step], axis=-1), parts


def counted(parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1, .., parts_i - 1 for every i, one after the other."""
    return np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)


def continued(values: Array, t: Array) -> Array:
    """Return the polynomial through values, shape (panels, nodes), at one point of every panel, near [-1, 1] or in it.

    This is the second barycentric formula.
    """
    x, barycentric = _barycentric(values.shape[-1])
    away = t[:, None] - x
    terms = barycentric / np.where(away == 0, 1e-300, away)
    return np.asarray((terms * values).sum(axis=-1) / terms.sum(axis=-1))


@cache
def _barycentric(nodes: int) -> tuple[Array, Array]:
    x, weights = rule(nodes)
    return x, np.asarray((-1.0) ** np.arange(nodes) * np.sqrt((1 - x * x) * weights), dtype=np.float64)


def missed(integrand: Array, noise: Array) -> Array:
    """Return what the Gauss rule misses, from how the series of the weighted integrand falls off; 0 below ``noise``.

    The rule is exact up to twice the degree of the series: where this falls off geometrically, the square of its end is
    missed. How it falls off is judged without its first term: a kink is small on a short panel, but not in comparison.
    """
    terms = np.abs(integrand @ _ends(integrand.shape[-1]))
    end, start = terms[..., -3:].max(axis=-1), terms[..., :-3].max(axis=-1)
    share = end / np.maximum(start, 1e-300)
    return np.where(end <= noise, 0.0, end * np.where(share <= _GEOMETRIC, 4 * share, 1.0))


@cache
def _ends(nodes: int) -> Array:
    """Return the matrix from weighted values to the first coefficients after the constant one, and the last three."""
    t, _ = rule(nodes)
    terms = legendre.legvander(t, nodes - 1) * (2 * np.arange(nodes) + 1)
    return np.ascontiguousarray(terms[:, [1, 2, 3, 4, -3, -2, -1]])
