"""The physical solution of the cavity equations on the real axis, by continuation from far above it.

High in the upper half plane the equations are a contraction. On the way down to the real axis each step is solved by
Newton's method from the last, and kept only if it is the physical solution: Im g, Im U > 0 > Im S, of which there is
one at every x with Im x > 0. Steps that fail are made smaller. So no branch can be changed without notice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import QuadratureError
from ..gaussian import Array
from .limit_cavity import Complex, LimitCavity

_FIRST = 3.0
"""Height of the start above the real axis, in units of |x| and the mean eigenvalue."""

_LAST = 1e-7
"""Height from which the next step is onto the real axis, in the same units."""

_STEP = 0.15
"""From one height to the next, at first."""

_CONVERGED = 1e-11
"""Of Newton's method, relative to the size of the unknowns."""

_ITERATIONS = 12
"""Of Newton's method, before a step is given up."""

_DIFFERENCE = 1e-7
"""Step of the differences that give its derivatives, relative."""

_ATTEMPTS = 60
"""Heights that are tried."""


def solve(cavity: LimitCavity, x: Array) -> Complex:
    """Return the state at x + i0, shape (points, unknowns), for real x != 0 of shape (points,).

    Raises
    ------
    QuadratureError
        If the physical solution was lost, and no smaller step finds it again.
    """
    scale = np.abs(x) + _mean(cavity)
    height = _FIRST * scale
    state = far(cavity, x + 1j * height)
    factor = np.full(x.shape, _STEP)
    todo = np.ones(x.shape, dtype=bool)
    for _ in range(_ATTEMPTS):
        at = np.flatnonzero(todo)
        if not at.size:
            return state
        low = height[at] * factor[at]
        low[low < _LAST * scale[at]] = 0.0
        new, good = _newton(cavity, state[at], x[at] + 1j * low)
        good &= _physical(cavity, new, low)
        kept, lost = at[good], at[~good]
        state[kept], height[kept] = new[good], low[good]
        factor[kept] = np.maximum(factor[kept] ** 1.5, 0.02)
        todo[kept[low[good] == 0]] = False
        stuck = lost[(height[lost] <= _LAST * scale[lost] / _STEP) & (factor[lost] > 0.9)]
        todo[stuck] = False  # an edge, or a pole: what is known is a hair above the axis
        factor[lost] = np.sqrt(factor[lost])
    raise QuadratureError(
        f"the density of eigenvalues was not found at x = {', '.join(f'{one:.6g}' for one in x[todo][:3])}"
    )


def _mean(cavity: LimitCavity) -> float:
    """Return the mean eigenvalue, tot at g = 0."""
    state = np.zeros((1, cavity.size), dtype=np.complex128)
    return float((1 / cavity.map(state, np.zeros(1, dtype=np.complex128))[0, 0]).real)


def far(cavity: LimitCavity, x: Complex) -> Complex:
    """Iterate the equations where they are a contraction."""
    state = np.zeros((x.size, cavity.size), dtype=np.complex128)
    for _ in range(100):
        new = cavity.map(state, x)
        done = np.abs(new - state).max() <= 1e-8 * np.abs(new).max()
        state = new
        if done:
            break
    return state


def _newton(cavity: LimitCavity, state: Complex, x: Complex) -> tuple[Complex, NDArray[np.bool_]]:
    """Solve the equations from a start; return the states, and which of them have converged."""
    state = state.copy()
    good = np.zeros(x.shape, dtype=bool)
    points = np.arange(x.size)
    identity = np.eye(cavity.size)
    for _ in range(_ITERATIONS):
        here = state[points]
        size = np.abs(here) + 1e-3 * np.abs(here).max(axis=0)
        step = _DIFFERENCE * size
        # the state, and the state moved in each of its unknowns, in one call
        moved = here[:, None, :] + np.concatenate([np.zeros((1, cavity.size)), identity])[None] * step[:, None, :]
        images = cavity.map(moved.reshape(-1, cavity.size), np.repeat(x[points], cavity.size + 1))
        images = images.reshape(moved.shape)
        residual = images[:, 0] - here
        slopes = (images[:, 1:] - images[:, :1]) / step[:, :, None]  # of every image by every unknown
        matrix = identity - slopes.swapaxes(1, 2)
        with np.errstate(all="ignore"):
            change = np.linalg.solve(matrix, residual[:, :, None])[:, :, 0]
        finite = np.isfinite(change).all(axis=1)
        state[points[finite]] += change[finite]
        small = finite & np.all(np.abs(change) <= _CONVERGED * size, axis=1)
        good[points[small]] = True
        points = points[finite & ~small]
        if not points.size:
            break
    return state, good


def _physical(cavity: LimitCavity, state: Complex, height: Array) -> NDArray[np.bool_]:
    """Return which states lie in the half planes of the physical solution, on the axis up to rounding."""
    hidden = len(cavity.model.layers)
    sign = np.concatenate([[1.0], np.full(hidden, -1.0), np.ones(hidden - 1)])
    slack = np.where(height > 0, 1e-13, 1e-9) * np.abs(state).max(axis=1)
    there: NDArray[np.bool_] = np.all(sign * state.imag >= -slack[:, None], axis=1)
    return there
