"""The closed forms of the catalogue as formulas of SymPy: the page typesets them, and a test evaluates them.

They are written again from the docstrings of ``meanfield.activations``, as one would write them on paper; the library
arranges the same for floating point. q is a variance; of a pair, a = q_s and b = q_t are the variances, c = q_st the
covariance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sympy import (
    Abs,
    Eq,
    Expr,
    Function,
    Integer,
    Max,
    Min,
    Mod,
    Piecewise,
    Sum,
    Symbol,
    acos,
    asin,
    atan,
    binomial,
    cos,
    cosh,
    diff,
    erf,
    erfc,
    exp,
    factorial,
    factorial2,
    floor,
    log,
    pi,
    sin,
    sinh,
    sqrt,
    symbols,
    tanh,
)

u = Symbol("u", real=True)
q, a, b = symbols("q q_s q_t", positive=True)
c = Symbol("q_st", real=True)
n = Symbol("n", integer=True, positive=True)
k = Symbol("k", integer=True, nonnegative=True)
slope = Symbol("p", real=True)
lam, alpha = symbols("lambda alpha", positive=True)

# Abbreviations that the page explains
theta, delta, noise, both = symbols("theta Delta D K", positive=True)
total, eta_s, eta_t = symbols("h eta_s eta_t", positive=True)

ABBREVIATIONS: dict[Symbol, Expr] = {
    delta: sqrt(a * b - c**2),
    theta: acos(c / sqrt(a * b)),
    noise: (1 + a) * (1 + b) - c**2,
    both: Integer(1) / 4 + atan(c / sqrt(noise)) / (2 * pi),
    total: sqrt(a + b + 2 * c),
    eta_s: acos((a + c) / sqrt(a * (a + b + 2 * c))),
    eta_t: acos((b + c) / sqrt(b * (a + b + 2 * c))),
}
"""What the letters in the overlaps stand for; one may contain those above it."""

erfcx, owens_t, wedge, normal_cdf = (Function(name) for name in ("erfcx", "T", "W", "Phi"))
hermite_he = Function("He")


@dataclass(frozen=True)
class Integrals:
    """E f(u) and E f(u)^2 at the variance q, E f(u) f(v); those that are known."""

    mean: Any = None
    second_moment: Any = None
    overlap: Any = None

    @property
    def known(self) -> tuple[str, ...]:
        """The names of those that are known, as in ``mf.ClosedForm``."""
        return tuple(name for name in ("mean", "second_moment", "overlap") if getattr(self, name) is not None)


@dataclass(frozen=True)
class Entry:
    """An activation of the catalogue, or a family of them."""

    formula: Any
    derivative: Any
    value: Integrals = Integrals()
    slope: Integrals = Integrals()
    constants: Mapping[Symbol, float] = field(default_factory=dict)
    """Numbers that stand for letters in the formulas."""


def _ramp(p: Any) -> tuple[Integrals, Integrals]:
    """Return the integrals of u for u > 0 and p u for u < 0, and of its slope."""
    half = (1 + p**2) / Integer(2)
    bent = (1 - p) ** 2
    return (
        Integrals((1 - p) * sqrt(q / (2 * pi)), half * q, bent / (2 * pi) * (delta - theta * c) + half * c),
        Integrals((1 + p) / Integer(2), half, half - bent * theta / (2 * pi)),
    )


def _elu() -> tuple[Integrals, Integrals]:
    """Return the integrals of lambda u for u > 0, lambda alpha (exp(u) - 1) for u < 0, and of its slope."""
    once, twice = erfcx(sqrt(q / 2)), erfcx(sqrt(2 * q))
    above, sd, other_sd = (pi - theta) / (2 * pi), sqrt(a), sqrt(b)

    def between(h: Expr) -> Expr:
        return wedge(h, 0) - wedge(h, theta)

    def beside(x: Expr) -> Expr:
        return sqrt(x / (8 * pi)) * (erfcx(delta / sqrt(2 * x)) - 1)

    of_sum = wedge(total, eta_s) + wedge(total, eta_t)
    single = sum(wedge(h, angle) for h in (sd, other_sd) for angle in (0, theta))
    either = c * (between(sd) + between(other_sd)) + beside(a) + beside(b)
    value = Integrals(
        lam * (sqrt(q / (2 * pi)) + alpha * (once - 1) / 2),
        lam**2 * (q / 2 + alpha**2 * (twice / 2 - once + Integer(1) / 2)),
        lam**2 * (delta / (2 * pi) + above * c + alpha * either + alpha**2 * (of_sum - single + above)),
    )
    step = Integrals(
        lam * (1 + alpha * once) / 2,
        lam**2 * (1 + alpha**2 * twice) / 2,
        lam**2 * (above + alpha * (between(sd) + between(other_sd)) + alpha**2 * of_sum),
    )
    return value, step


def _hard_tanh() -> tuple[Integrals, Integrals]:
    """Return the integrals of clip(u, -1, 1) and of its slope: corners and edges of the square abs(u), abs(v) < 1."""

    def slopes(x: Expr) -> tuple[Expr, Expr]:
        return (x - c) / delta, (x + c) / delta

    square = 2 * sum(
        atan(m) / (2 * pi) - owens_t(1 / sqrt(x), m) for x in (a, b) for m in slopes(x)
    )  # eight triangles, two of each kind
    sides = 0
    for x in (a, b):
        near, far = slopes(x)
        sides += 2 * (owens_t(1 / sqrt(x), far) - owens_t(1 / sqrt(x), near))
        sides -= sqrt(x / (2 * pi)) * exp(-1 / (2 * x)) * (erf(far / sqrt(2 * x)) - erf(near / sqrt(2 * x)))
    corners = 2 * delta / pi * exp(-(a + b) / (2 * delta**2)) * sinh(c / delta**2)
    inside = erf(1 / sqrt(2 * q))
    second = erfc(1 / sqrt(2 * q)) + q * (inside - sqrt(2 / (pi * q)) * exp(-1 / (2 * q)))
    return Integrals(Integer(0), second, c * square + sides + corners), Integrals(inside, inside, square)


def _gelu() -> tuple[Integrals, Integrals]:
    root = sqrt(1 + 2 * q)
    same = Integer(1) / 4 + atan(q / root) / (2 * pi)
    shift = (a / (1 + a) * (b + a * b - c**2) + c**2 / (1 + b)) / (2 * pi * sqrt(noise))
    lift = c / (2 * pi * sqrt(noise)) * (1 / (1 + a) + 1 / (1 + b) + 1 / noise)
    return (
        Integrals(q / sqrt(2 * pi * (1 + q)), q * same + q**2 / (pi * (1 + q) * root), c * both + shift),
        Integrals(Integer(1) / 2, same + q / (2 * pi * root) * (2 / (1 + q) + 1 / (1 + 2 * q)), both + lift),
    )


def _polynomial(degree: Any, less: int, factor: Any) -> Integrals:
    """Return the integrals of factor u^degree, or with ``less`` 1 of factor He_degree(u): sums over pairings."""

    def paired(x: Expr, y: Expr, across: Expr) -> Expr:
        pairings = binomial(degree, 2 * k) * factorial2(2 * k - 1)
        term = factorial(degree - 2 * k) * pairings**2 * ((x - less) * (y - less)) ** k * across ** (degree - 2 * k)
        return factor**2 * Sum(term, (k, 0, floor(degree / 2)))

    even = factor * factorial2(degree - 1) * (q - less) ** (degree / 2)
    return Integrals(Piecewise((even, Eq(Mod(degree, 2), 0)), (0, True)), paired(q, q, q), paired(a, b, c))


_SINE = Integrals(Integer(0), (1 - exp(-2 * q)) / 2, exp(-(a + b) / 2) * sinh(c))
_COSINE = Integrals(exp(-q / 2), (1 + exp(-2 * q)) / 2, exp(-(a + b) / 2) * cosh(c))
_HALF = Integrals(mean=Integer(1) / 2)
_SPREAD = (1 + 2 * a) * (1 + 2 * b)
_SIGMOID = 1 / (1 + exp(-u))
_ELU = Piecewise((lam * u, u > 0), (lam * alpha * (exp(u) - 1), True))
_ELU_SLOPE = Piecewise((lam, u > 0), (lam * alpha * exp(u), True))
_GELU_SLOPE = normal_cdf(u) + u * exp(-(u**2) / 2) / sqrt(2 * pi)

CATALOGUE: dict[str, Entry] = {
    "relu": Entry(Max(0, u), Piecewise((1, u > 0), (0, True)), *_ramp(Integer(0))),
    "leaky_relu": Entry(Piecewise((u, u > 0), (slope * u, True)), Piecewise((1, u > 0), (slope, True)), *_ramp(slope)),
    "absolute": Entry(Abs(u), Piecewise((1, u > 0), (-1, True)), *_ramp(Integer(-1))),
    "identity": Entry(u, Integer(1), *_ramp(Integer(1))),
    "hard_tanh": Entry(Max(-1, Min(u, 1)), Piecewise((1, Abs(u) < 1), (0, True)), *_hard_tanh()),
    "elu": Entry(_ELU, _ELU_SLOPE, *_elu(), constants={lam: 1, alpha: 1}),
    "selu": Entry(_ELU, _ELU_SLOPE, *_elu(), constants={lam: 1.0507009873554805, alpha: 1.6732632423543772}),
    "erf": Entry(
        erf(u),
        diff(erf(u), u),
        Integrals(Integer(0), 2 / pi * asin(2 * q / (1 + 2 * q)), 2 / pi * asin(2 * c / sqrt(_SPREAD))),
        Integrals(2 / sqrt(pi * (1 + 2 * q)), 4 / (pi * sqrt(1 + 4 * q)), 4 / (pi * sqrt(_SPREAD - 4 * c**2))),
    ),
    "gelu": Entry(u * normal_cdf(u), _GELU_SLOPE, *_gelu()),
    "monomial": Entry(u**n, n * u ** (n - 1), _polynomial(n, 0, Integer(1)), _polynomial(n - 1, 0, n)),
    "hermite": Entry(
        hermite_he(n, u), n * hermite_he(n - 1, u), _polynomial(n, 1, Integer(1)), _polynomial(n - 1, 1, n)
    ),
    "sine": Entry(sin(u), cos(u), _SINE, _COSINE),
    "cosine": Entry(cos(u), -sin(u), _COSINE, _SINE),
    "tanh": Entry(tanh(u), 1 / cosh(u) ** 2, value=Integrals(mean=Integer(0))),
    "sigmoid": Entry(_SIGMOID, 1 / (2 * cosh(u / 2)) ** 2, value=_HALF),
    "silu": Entry(u * _SIGMOID, _SIGMOID + u / (2 * cosh(u / 2)) ** 2, slope=_HALF),
    "softplus": Entry(log(1 + exp(u)), _SIGMOID, slope=_HALF),
}
