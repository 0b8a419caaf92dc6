"""The right edge of the spectrum of the model of one network, on the real axis.

Right of the edge the state is a smooth function of x, and -g grows as x falls; at the edge dx/dt = 0, where
t = tr g/C < 0. So the state is followed in t, with x as one of the unknowns, from the far right to the minimum of x(t).
Beyond it, often just beyond it, lie poles of single nodes. Near one of them x(t) is a + b/t + c/(t - t_p), for which

    q = (1 - t^2 dx/dt)^(-1/2)

is linear in 1/t: its secant finds the minimum, q = 1, and a pole that is overstepped is seen and bounds the next step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import linalg as sparse_linalg

from ..gaussian import Array
from .drawn_cavity import Cavity

_DERIVATIVE = 1e-30
"""The step of complex differentiation, which has no rounding to balance."""

_CONVERGED = 1e-9
"""Of a solution, relative to the size of its parts."""

_KRYLOV_STEP, _KRYLOV_TANGENT = 1e-3, 1e-6
"""Of the linear equations for a step of Newton's method, and for the derivative along the curve; relative."""

_AT_EDGE = 1e-3
"""Of q - 1, of which the square is the relative error of the edge."""

_ASIDE = 0.02
"""How far from the edge, in q, the slope of q is taken for the curvature."""

_TRACY_WIDOM_MEAN, _TRACY_WIDOM_SD = -1.2065335745820, 1.2679810801590
"""Of the largest eigenvalue of real symmetric matrices."""


class EdgeError(ArithmeticError):
    """The edge of the spectrum of a model was not found."""


@dataclass(frozen=True)
class Edge:
    """The edge of the spectrum of one model, where the density begins as sqrt(2 (x_e - x)/x'')/pi."""

    position: float
    """x_e."""
    curvature: float
    """x'' = d^2 x/dt^2 > 0."""
    eigenvalues: int
    """C T."""
    trace: float
    """t = tr g/C at the edge, negative."""
    removed: float = 0.0
    """What lambda_max loses, in the mean, where its eigenvectors are made orthogonal to the outputs."""

    def __str__(self) -> str:
        return f"lambda_max {self.largest:.4g} ± {self.largest_sd:.2g}, edge {self.position:.5g}"

    @property
    def scale(self) -> float:
        """(sqrt(x''/2)/(C T))^(2/3): the largest eigenvalue is x_e plus this times a Tracy-Widom deviate."""
        return float((math.sqrt(self.curvature / 2) / self.eigenvalues) ** (2 / 3))

    @property
    def largest(self) -> float:
        """The mean of the largest eigenvalue, given the nodes."""
        return self.position - self.removed + _TRACY_WIDOM_MEAN * self.scale

    @property
    def largest_sd(self) -> float:
        """Its standard deviation, given the nodes."""
        return _TRACY_WIDOM_SD * self.scale


@dataclass(frozen=True, eq=False)
class _Point:
    """A point of the curve x(t)."""

    state: Array
    x: float
    t: float
    tangent: Array
    """d state/dt."""
    slope: float
    """dx/dt."""

    @property
    def tau(self) -> float:
        """1/t."""
        return 1 / self.t

    @property
    def q(self) -> float:
        """Above 1 on the near side of the edge."""
        return 1 / math.sqrt(1 - self.t**2 * self.slope)

    def continues(self, near: _Point) -> bool:
        """Whether a point can be the next one: t(x) is a Stieltjes transform, so that x(t) is convex."""
        lost, step = near.x - self.x, near.t - self.t
        slack = 1e-6 * abs(self.x)
        return self.slope * step - slack <= lost <= near.slope * step + slack


def edge_of(cavity: Cavity, *, orthogonal_to_outputs: bool = False) -> Edge:
    """Return the right edge of the spectrum.

    Parameters
    ----------
    cavity : Cavity
    orthogonal_to_outputs : bool
        Whether the dual Fisher information of each output is projected orthogonal to that output, as by batch
        normalisation. A unit vector v removes (d/dt)(v' (F* - x)^-1 v)/(C T |v' (F* - x)^-1 v|) from lambda_max:
        between the first and the second eigenvalue there is an x where v' (F* - x)^-1 v = 0.

    Returns
    -------
    Edge
        Its position to about 1e-6, the curvature to a few percent, which counts with the power 1/3.

    Raises
    ------
    EdgeError
        If it was not found; a point that is not the edge is never returned.
    """
    curve = _Curve(cavity)
    near, partner = curve.start(), None  # the partner makes a secant of q
    far = 0.0  # 1/t that lies beyond the edge
    for _ in range(60):
        if abs(near.q - 1) < _AT_EDGE and partner is not None:
            return _minimum(curve, near, _rate(near, partner), orthogonal_to_outputs)
        tau = _next(near, partner, far)
        point = curve.at(1 / tau, near)
        if point is None or not point.continues(near):
            far = tau
        elif point.q < 1 - _AT_EDGE:
            far, partner = tau, point
        else:
            near, partner = point, near
        if far and abs(far / near.tau - 1) < 1e-9:
            break
    raise EdgeError(
        f"the edge of the spectrum of a model was not found: x(t) ends at x = {near.x:.6g}, "
        f"where t^2 dx/dt is still {near.t**2 * near.slope:.3g}"
    )


def _rate(point: _Point, other: _Point) -> float:
    """Return dq/d(1/t)."""
    return (point.q - other.q) / (point.tau - other.tau)


def _next(near: _Point, partner: _Point | None, far: float) -> float:
    """Return 1/t where q = 1 is expected, not too far ahead, and before what is known to be beyond."""
    rate = math.inf if partner is None else _rate(near, partner)
    tau = near.tau + (1 - near.q) / rate if rate < 0 else near.tau / 1.2
    if not near.tau < tau <= near.tau / 1.5:
        tau = near.tau / 1.5
    if far and tau > near.tau + 0.9 * (far - near.tau):
        tau = (near.tau + far) / 2
    return tau


def _minimum(curve: _Curve, point: _Point, rate: float, orthogonal_to_outputs: bool) -> Edge:
    """Return the edge next to a point: with h = t^2 dx/dt = 1 - q^-2, x'' = h'/t^2 = -2 (dq/d(1/t))/t^4 there."""
    aside = curve.at(1 / (point.tau + _ASIDE / rate), point)
    if aside is None or not point.continues(aside):
        raise EdgeError(f"x(t) has no smooth minimum at x = {point.x:.6g}")
    curvature = -2 * _rate(point, aside) / point.t**4
    position = point.x - point.slope**2 / (2 * curvature)
    eigenvalues = curve.cavity.model.outputs * curve.cavity.model.samples
    removed = 0.0
    if orthogonal_to_outputs:
        along = curve.cavity.of_outputs(point.state + 1j * _DERIVATIVE * point.tangent)
        removed = float(np.sum(along.imag / _DERIVATIVE / np.abs(along.real))) / eigenvalues
    return Edge(position, curvature, eigenvalues, point.t, removed)


class _Curve:
    """The solutions of the cavity equations, along t."""

    def __init__(self, cavity: Cavity) -> None:
        self.cavity = cavity
        self._unit = np.eye(cavity.model.outputs)
        self._scale = np.ones(cavity.start().size + 1)

    def start(self) -> _Point:
        """Return a point on the far right, to which iterations from zero rise."""
        zero = self.cavity.start()
        mean = float(np.trace(self.cavity.sweep(zero).total)) / len(self._unit)
        x = 4 * mean
        for _ in range(60):
            state = self._iterate(zero, x)
            if state is not None:
                self._scale = np.append(self.cavity.sizes(state), x)
                point = self._correct(state, x, self._trace(state))
                if point is not None and point.slope > 0:
                    return point
            x *= 1.5
        raise EdgeError(f"no solution was found right of the spectrum, up to x = {x:.3g}")

    def at(self, t: float, near: _Point) -> _Point | None:
        """Return the point at t, or None if there is none before the next pole."""
        state = near.state + (t - near.t) * near.tangent
        x = near.x - near.t**2 * near.slope * (1 / t - near.tau)
        return self._correct(state, x, t)

    def _iterate(self, state: Array, x: float) -> Array | None:
        """Return the fixed point at x, which is stable right of the edge, or None if it is slow to come."""
        for _ in range(60):
            new = self._map(state, x)
            if new is None:
                return None
            if np.all(np.abs(new - state) <= 1e-6 * self.cavity.sizes(new)):
                return new
            state = new
        return None

    def _map(self, state: Array, x: float) -> Array | None:
        """Return the state after one sweep, or None beyond a pole."""
        sweep = self.cavity.sweep(state)
        if not (sweep.distance > 0 and np.isfinite(sweep.rest).all()):
            return None
        g = np.linalg.inv(sweep.total - x * self._unit)
        if np.max(np.linalg.eigvalsh(g)) >= 0:
            return None
        return self.cavity.with_g(g, sweep.rest).astype(np.float64, copy=False)

    def _correct(self, state: Array, x: float, t: float) -> _Point | None:
        """Solve for state and x at given t by Newton's method."""
        for _ in range(12):
            new = self._map(state, x)
            if new is None:
                return None
            residual = np.append(new - state, t - self._trace(state))
            operator = self._derivative(state, x)
            if np.max(np.abs(residual / self._scale)) < _CONVERGED:
                tangent = self._solve(operator, np.append(np.zeros(state.size), 1.0), _KRYLOV_TANGENT)
                if tangent is None or t**2 * tangent[-1] >= 1:
                    return None
                return _Point(state, x, t, tangent[:-1], float(tangent[-1]))
            step = self._solve(operator, residual, _KRYLOV_STEP)
            if step is None:
                return None
            state, x = state + step[:-1], x + float(step[-1])
        return None

    def _derivative(self, state: Array, x: float) -> Callable[[Array], Array]:
        """Return the derivative of (state - map, trace of g) in a direction of (state, x)."""

        def along(direction: Array) -> Array:
            moved = state + 1j * _DERIVATIVE * direction[:-1]
            sweep = self.cavity.sweep(moved)
            g = np.linalg.inv(sweep.total - (x + 1j * _DERIVATIVE * direction[-1]) * self._unit)
            mapped = self.cavity.with_g(g, sweep.rest).imag / _DERIVATIVE
            return np.append(direction[:-1] - mapped, self._trace(direction[:-1]))

        return along

    def _solve(self, operator: Callable[[Array], Array], right: Array, tolerance: float) -> Array | None:
        scale = self._scale
        # the last equation is that of the trace of g, which has the scale of g
        rows = np.append(scale[:-1], scale[0])
        size = scale.size
        scaled = sparse_linalg.LinearOperator((size, size), lambda v: operator(scale * v.ravel()) / rows, dtype=float)
        krylov = min(size, 80)
        solution, info = sparse_linalg.gmres(scaled, right / rows, rtol=tolerance, restart=krylov, maxiter=2)
        return scale * solution if info == 0 else None

    def _trace(self, state: Array) -> float:
        return float(np.trace(self.cavity.g(state))) / len(self._unit)
