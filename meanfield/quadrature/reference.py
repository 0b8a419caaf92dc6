"""Integrals to any number of digits, by mpmath: slow, and by another route than the methods in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from ..errors import ParameterError, QuadratureError, require_integer
from ..functions import Activation, ScalarFunction
from ..gaussian import Array, GaussianPair, require_variance
from .method import QUANTITIES, Estimate, Method, Quantity, as_function, one_by_one

Real = Any
"""A number of mpmath, which has no types."""

_GUARD = 12
"""Digits of the arithmetic beyond those asked for."""

_EXACT = 40
"""The fewest digits in which the product of two doubles is exact."""

_GROWTH = 1.4
"""From one level to the next, of the number of nodes in a panel."""

_PANEL = 5
"""The longest panel, in standard deviations."""


@dataclass(frozen=True)
class Reference(Method):
    r"""Gauss-Legendre panels in the arithmetic of mpmath, with more nodes until two levels agree to all digits.

    The overlap is integrated over u and, given u, over v: with t^2 = Var v - (E uv)^2/Var u,

        E f(u) g(v) = E_u f(u) E_y g(u E uv/Var u + t y).

    Panels are split at the kinks and grow away from them and from zero; those over u grow also away from where a kink
    of g is seen, smoothed over t. The functions are taken to vary over ``scale`` (1, if they do not declare it) near
    those places, and elsewhere over a length in proportion to the distance from them; what oscillates far out may be
    refused. An overlap to 30 digits takes seconds, and a minute where kinks are seen sharply or variances are large.

    Parameters
    ----------
    digits : int
        Relative to the root mean square of the integrand, as the tolerance of
        :class:`~meanfield.quadrature.method.Refining`.
    levels : int
        How often to try, with 1.4 times the nodes of the level before, until giving up.

    Examples
    --------
    >>> import meanfield as mf
    >>> mf.Reference(20).second_moment(mf.relu, 2.0).value
    1.0
    """

    digits: int = 30
    levels: int = 5

    def __post_init__(self) -> None:
        object.__setattr__(self, "digits", require_integer("digits", self.digits, at_least=1, at_most=1000))
        object.__setattr__(self, "levels", require_integer("levels", self.levels, at_least=2, at_most=20))

    def accepts(self, f: ScalarFunction, quantity: Quantity, other: ScalarFunction | None = None) -> bool:
        """Functions that declare how to compute them to any precision."""
        return f.precise is not None and (other is None or other.precise is not None)

    def all_digits(
        self,
        quantity: Quantity,
        f: ScalarFunction | Activation,
        variance: float,
        covariance: float | None = None,
        other_variance: float | None = None,
        *,
        other: ScalarFunction | Activation | None = None,
    ) -> Real:
        """Return an integral as a number of mpmath; ``mean`` and the others round it to a double.

        Parameters
        ----------
        quantity : str
            "mean", "second_moment" or "overlap".
        f, other : ScalarFunction or Activation
            As for the methods of that name.
        variance, covariance, other_variance : float
            Taken as the doubles that they are. The last two are for the overlap.

        Raises
        ------
        QuadratureError
            If a function has no ``precise``, or the levels do not agree.

        Examples
        --------
        >>> import meanfield as mf, mpmath
        >>> mpmath.nstr(mf.Reference(30).all_digits("mean", mf.relu, 1.0), 30)  # 1/sqrt(2 pi)
        '0.398942280401432677939946059934'
        """
        import mpmath

        f = as_function(f)
        g = f if other is None else as_function(other)
        self._require_accepts(f, quantity, g)
        if quantity not in QUANTITIES:
            raise ParameterError("quantity", "one of " + ", ".join(QUANTITIES), repr(quantity))
        if quantity == "overlap":
            if covariance is None:
                raise ParameterError("covariance", "given for an overlap", None)
            pair = GaussianPair(variance, variance if other_variance is None else other_variance, covariance)
            found = self._pair(f, g, pair.variance, pair.other_variance, pair.covariance)
        else:
            found = self._one(f, quantity, float(require_variance("variance", variance)))
        with mpmath.workdps(self.digits):
            return +found.value  # rounded

    def _expect(self, f: ScalarFunction, variance: Array, quantity: Quantity) -> Estimate:
        return one_by_one(lambda a: self._one(f, quantity, a).rounded(), variance)

    def _expect_product(self, f: ScalarFunction, g: ScalarFunction, pair: GaussianPair) -> Estimate:
        def one(a: float, other: float, b: float) -> tuple[float, float, int, float]:
            return self._pair(f, g, a, other, b).rounded()

        return one_by_one(one, pair.variance, pair.other_variance, pair.covariance)

    def _one(self, f: ScalarFunction, quantity: Quantity, variance: float) -> _Digits:
        """E f(u) or E f(u)^2."""

        def levels(rules: Iterator[_Rule]) -> Iterator[tuple[Real, Real]]:
            for rule in rules:
                nodes = [(weight, value(u)) for u, weight in rule.gaussian(variance, _steep(rule, f))]
                square = rule.sum(weight * x * x for weight, x in nodes)
                if quantity == "second_moment":
                    yield square, square
                else:
                    yield rule.sum(weight * x for weight, x in nodes), rule.root(square)

        value = _Counted(f)
        return self._refine(levels, (value,))

    def _pair(self, f: ScalarFunction, g: ScalarFunction, a: float, other: float, b: float) -> _Digits:
        """E f(u) g(v)."""

        def levels(rules: Iterator[_Rule]) -> Iterator[tuple[Real, Real]]:
            for rule in rules:
                law = _Conditional(rule, a, other, b)
                given = law.expectation(second, g)
                steep = [*_steep(rule, f), *law.seen_from_u(g)]
                nodes = [(u, weight, first(u)) for u, weight in rule.gaussian(a, steep)]
                square = rule.sum(weight * x * x for _, weight, x in nodes)
                other_square = rule.sum(weight * second(v) ** 2 for v, weight in rule.gaussian(other, _steep(rule, g)))
                total = rule.sum(weight * x * given(law.slope * u) for u, weight, x in nodes if x != 0)
                yield total, rule.root(square * other_square)

        first, second = _Counted(f), _Counted(g)
        return self._refine(levels, (first, second))

    def _refine(
        self, levels: Callable[[Iterator[_Rule]], Iterator[tuple[Real, Real]]], functions: tuple[_Counted, ...]
    ) -> _Digits:
        """Return the first level that agrees with the one before, which has the larger error of the two."""
        import mpmath

        with mpmath.workdps(max(self.digits + _GUARD, _EXACT)):
            rules = (_Rule(self.digits, level) for level in range(self.levels))
            for (before, _), (value, scale) in pairwise(levels(rules)):
                difference = abs(value - before)
                rounding = scale * mpmath.mpf(10) ** -self.digits
                if difference <= rounding:
                    return _Digits(value, difference + rounding, sum(f.calls for f in functions), scale)
            got = f"the last two levels differ by {float(difference):.1g}"
        raise QuadratureError(
            f"{self} did not reach its digits: {got}; are all kinks and jumps declared? More levels may help"
        )


@dataclass(frozen=True)
class _Digits:
    """An estimate in the numbers of mpmath."""

    value: Real
    error: Real
    evaluations: int
    scale: Real

    def rounded(self) -> tuple[float, float, int, float]:
        value = float(self.value)
        return value, float(self.error) + math.ulp(value), self.evaluations, float(self.scale)


@dataclass
class _Counted:
    """A function at any precision, that counts its calls."""

    f: ScalarFunction
    calls: int = 0

    def __call__(self, u: Real) -> Real:
        self.calls += 1
        return self.f.precise(u)  # type: ignore[misc]  # accepted


Steep = tuple[Real, Real]
"""A place, and the length on which something happens there."""


def _steep(rule: _Rule, f: ScalarFunction) -> list[Steep]:
    """Return zero and the kinks of f, near which panels are short."""
    scale = rule.number(1.0 if f.scale is None else f.scale)
    return [(rule.number(place), scale) for place in {0.0, *f.breaks}]


class _Rule:
    """Integration against a Gaussian by panels, at one level."""

    def __init__(self, digits: int, level: int) -> None:
        import mpmath

        self.number, self.root, self.sum = mpmath.mpf, mpmath.sqrt, mpmath.fsum
        self.exp, self.pi, self.floor = mpmath.exp, +mpmath.pi, mpmath.floor
        self.legendre = _legendre(math.ceil((0.8 * digits + 3) * _GROWTH**level), mpmath.mp.prec)
        # exp(-reach^2/2) = 10^-(digits + 6), and more for functions that grow
        self.reach = math.sqrt(2 * math.log(10) * (digits + 6)) + 1 + 0.5 * level

    def gaussian(self, variance: float, steep: list[Steep]) -> Iterator[tuple[Real, Real]]:
        """Nodes and weights for N(0, variance)."""
        if variance == 0:
            yield self.number(0), self.number(1)
            return
        sd = self.root(self.number(variance))
        norm = sd * self.root(2 * self.pi)
        end = self.reach * sd
        for u, weight in self.between(-end, end, steep, _PANEL * sd):
            yield u, weight * self.exp(-((u / sd) ** 2) / 2) / norm

    def between(self, left: Real, right: Real, steep: list[Steep], longest: Real) -> Iterator[tuple[Real, Real]]:
        """Nodes and weights on an interval, in panels no longer than their distance to a steep place."""
        inside = {place for place, _ in steep if left < place < right}
        for panel in pairwise([left, *sorted(inside), right]):
            for low, high in _bisected(*panel, steep, longest):
                centre, half = (low + high) / 2, (high - low) / 2
                for x, weight in self.legendre:
                    yield centre + half * x, half * weight


def _bisected(low: Real, high: Real, steep: list[Steep], longest: Real) -> Iterator[tuple[Real, Real]]:
    length = high - low
    if length <= longest and all(length <= max(2 * width, place - high, low - place) for place, width in steep):
        yield low, high
    else:
        middle = (low + high) / 2
        yield from _bisected(low, middle, steep, longest)
        yield from _bisected(middle, high, steep, longest)


class _Conditional:
    """The law of v given u: mean slope u, standard deviation t."""

    def __init__(self, rule: _Rule, a: float, other: float, b: float) -> None:
        self.rule = rule
        a_, other_, b_ = map(rule.number, (a, other, b))
        self.slope = b_ / a_ if a else a_
        self.t = rule.root(max(a_ * other_ - b_ * b_, 0) / a_ if a else other_)

    def seen_from_u(self, g: ScalarFunction) -> list[Steep]:
        """Where and how steeply E[g(v) | u] varies with u."""
        if self.slope == 0:
            return []
        scale = self.rule.number(1.0 if g.scale is None else g.scale)
        places = [(self.rule.number(place), self.t or scale) for place in g.breaks] or [(0, max(scale, self.t))]
        return [(place / self.slope, width / abs(self.slope)) for place, width in places]

    def expectation(self, g: Callable[[Real], Real], declared: ScalarFunction) -> Callable[[Real], Real]:
        """Return E g(mean + t y) as a function of the mean.

        The line is divided into cells of the longest panel's length; what was computed for a cell is kept.
        """
        rule, t = self.rule, self.t
        if t == 0:
            return g
        length, steep = _PANEL * t, _steep(rule, declared)

        @cache
        def cell(i: int) -> list[tuple[Real, Real]]:
            nodes = rule.between(i * length, (i + 1) * length, steep, length)
            return [(v, weight * g(v)) for v, weight in nodes]

        half_precision = 1 / (2 * t * t)
        norm = t * rule.root(2 * rule.pi)

        @cache
        def given(mean: Real) -> Real:
            first, last = (int(rule.floor((mean + side * rule.reach * t) / length)) for side in (-1, 1))
            terms = (
                weighted * rule.exp(-half_precision * (v - mean) ** 2)
                for i in range(first, last + 1)
                for v, weighted in cell(i)
            )
            return rule.sum(terms) / norm

        return given


@cache
def _legendre(n: int, precision: int) -> list[tuple[Real, Real]]:
    """Nodes and weights on (-1, 1), by Newton's method; ``precision`` is that of mpmath at the call."""
    import mpmath

    def polynomial(x: Real) -> tuple[Real, Real]:
        below, value = mpmath.mpf(1), x
        for j in range(2, n + 1):
            below, value = value, ((2 * j - 1) * x * value - (j - 1) * below) / j
        return value, n * (below - x * value) / (1 - x * x)

    nodes = []
    for k in range(n):
        x, step = mpmath.cos(mpmath.pi * (k + mpmath.mpf(3) / 4) / (n + mpmath.mpf(1) / 2)), mpmath.mpf(1)
        while abs(step) > mpmath.eps**0.6:  # the next step squares it
            value, derivative = polynomial(x)
            step = value / derivative
            x -= step
        nodes.append((x, 2 / ((1 - x * x) * polynomial(x)[1] ** 2)))
    return nodes
