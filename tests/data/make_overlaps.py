"""Make overlaps.json: E f(u) f(v) to 30 digits, (u, v) centred Gaussians of variance a and covariance b.

It imports neither meanfield nor montecarlo, and needs the ball arithmetic of python-flint:

    python tests/data/make_overlaps.py            # compute what the table lacks, function by function
    python tests/data/make_overlaps.py --check    # compute every entry again by another route, and compare

The mathematics. With |b| the shared variance, s^2 = a - |b| the private one, and f_s(m) = E f(m + s y),

    E f(u) f(v) = E f_s(m) f_s(sign(b) m),    m ~ N(0, |b|).

f_s is known in closed form for what is linear or exponential between kinks, for erf and for gelu. For tanh, sigmoid,
silu and softplus it is a closed form of a similar function (erf, Phi, gelu, a smoothed relu) plus the trapezoidal rule
for the difference, which decays exponentially and is analytic in a strip. What is left is one integral over m of a
smooth function, by Gauss-Legendre panels that grow geometrically away from the places where f_s may be steep. At
b = +-a there is no f_s: the integral is that of f(m) f(+-m), split at the kinks. Polynomials, sine and cosine are
written down.

The other route of ``--check`` conditions on u itself, E f(u) f_t(b u / a) with t^2 = (a^2 - b^2)/a: another integrand,
with kinks, and with other nodes, another step, a longer range and more bits.

Rounding is bounded by ball arithmetic. What the rules leave out shows in the comparison of the two routes: on all that
is integrated they agree to 5e-30 of E f(u)^2, the rounding of the table to thirty digits. So do the arc-cosine and
arcsine kernels (relu, leaky_relu, absolute, erf), and rigorous integrals of second moments (acb.integral). Making the
table takes seven minutes, checking it twice that.

The table has ``"correlations": [...]`` and ``"integrals": {"tanh slope": {"1.0": [mean, second moment, overlap, ...],
...}, ...}``: thirty digits as text, a line for each function and variance, the overlaps in the order of the
correlations. Variance and covariance are exactly the doubles ``variance`` and ``correlation * variance``. Parameters of
functions, too, are exactly the doubles: 0.2 of leaky_relu, 1.0507009873554805 and 1.6732632423543772 of selu.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from flint import arb, arb_poly, ctx

TABLE = Path(__file__).with_name("overlaps.json")

VARIANCES = (1e-8, 1e-4, 1e-2, 0.3, 1.0, 2.0, 10.0, 100.0, 1e4, 1e6)
CORRELATIONS = (-1.0, -1 + 1e-9, -0.95, -0.3, 0.0, 0.1, 0.7, 0.99, 0.9999, 1 - 1e-9, 1 - 1e-12, 1.0)
"""The covariance is the double nearest to correlation * variance."""

Real = Any  # a ball: python-flint has no types
Map = Callable[[Real], Real]


@dataclass(frozen=True)
class Rules:
    """How finely everything is integrated."""

    bits: int = 220
    """Of the arithmetic."""
    nodes: int = 48
    """Of a Gauss-Legendre panel."""
    start: float = 1.0
    """Length of the panels next to a steep place, in units of its width."""
    reach: float = 13.5
    """Where Gaussians are cut off, in standard deviations."""
    nats: float = 88.0
    """Natural logarithm of the error that the trapezoidal rule may have, with the opposite sign."""


MAKE = Rules()
CHECK = Rules(bits=300, nodes=61, start=0.7, reach=14.3, nats=97.0)


def phi(x: Real) -> Real:
    """Return the standard normal density."""
    return (-x * x / 2).exp() / (2 * arb.pi()).sqrt()


def cdf(x: Real) -> Real:
    """Return the standard normal distribution function."""
    return (-x / arb(2).sqrt()).erfc() / 2


# Functions of which f_s is known


@dataclass(frozen=True)
class Piece:
    """(p + q u + r e^u) on an interval; None is an infinite end."""

    left: float | None
    right: float | None
    p: float = 0.0
    q: float = 0.0
    r: float = 0.0

    def value(self, u: Real) -> Real:
        """Return the value at a point of the interval."""
        return self.p + self.q * u + (self.r * u.exp() if self.r else 0)

    def smoothed(self, m: Real, s: Real) -> Real:
        """E of the piece at m + s y, from the incomplete moments of the Gaussian."""
        total = arb(0)
        mass, density = self._between(m, s, arb(0))
        if self.p or self.q:
            total += (self.p + self.q * m) * mass + self.q * s * density
        if self.r:
            total += self.r * (m + s * s / 2).exp() * self._between(m, s, s)[0]
        return total

    def _between(self, m: Real, s: Real, shift: Real) -> tuple[Real, Real]:
        """Return the mass of y - shift between the ends and phi(left) - phi(right)."""
        ends = [None if end is None else (end - m) / s - shift for end in (self.left, self.right)]
        low, high = ends
        density = (phi(low) if low is not None else 0) - (phi(high) if high is not None else 0)
        if low is not None and high is not None:
            # from the side on which both are small
            mass = cdf(high) - cdf(low) if low < 0 else cdf(-low) - cdf(-high)
        elif low is not None:
            mass = cdf(-low)
        else:
            mass = cdf(high) if high is not None else arb(1)
        return mass, density


@dataclass(frozen=True)
class Function:
    """A function, its f_s, and where it is steep."""

    value: Map
    smoothed: Callable[[Real, Real], Real] | None
    """(m, s) -> E f(m + s y); None where it is a comparison plus a sum."""
    kinks: tuple[float, ...] = ()
    width: float = 1.0
    """The length on which f varies between its kinks, near zero; elsewhere it varies in proportion to the distance."""
    exponential: bool = False
    """Whether f_s(m) is also steep at m = -s^2, where e^u on u < 0 comes to dominate."""
    comparison: tuple[Map, Callable[[Real, Real], Real]] | None = None
    """A similar function and its f_s."""
    strip: float = 0.0
    """Distance of the nearest pole from the real axis."""
    decay: float = 0.0
    """The difference from the comparison is no more than (1 + |u|) exp(-decay |u|)."""


def pieces(*parts: Piece) -> Function:
    """Return the function that is made of pieces."""

    def value(u: Real) -> Real:
        for part in parts[:-1]:
            if u < part.right:
                return part.value(u)
        return parts[-1].value(u)

    def smoothed(m: Real, s: Real) -> Real:
        return sum((part.smoothed(m, s) for part in parts), arb(0))

    kinks = tuple(float(part.right) for part in parts[:-1] if part.right is not None)
    return Function(value, smoothed, kinks=kinks, exponential=any(part.r for part in parts))


def sides(negative: Piece, positive: Piece) -> Function:
    """Return a function with a kink at zero."""
    return pieces(replace(negative, left=None, right=0.0), replace(positive, left=0.0, right=None))


def ramp(positive: float, negative: float) -> tuple[Function, Function]:
    """Return p u for u > 0 and n u for u < 0, and its slope."""
    everywhere = Piece(None, None)
    if positive == negative:
        return pieces(replace(everywhere, q=positive)), pieces(replace(everywhere, p=positive))
    return (
        sides(replace(everywhere, q=negative), replace(everywhere, q=positive)),
        sides(replace(everywhere, p=negative), replace(everywhere, p=positive)),
    )


def exponential_unit(scale: float, alpha: Real) -> tuple[Function, Function]:
    """Return scale u for u > 0 and scale alpha (e^u - 1) for u < 0, and its slope."""
    product = arb(scale) * alpha
    everywhere = Piece(None, None)
    return (
        sides(replace(everywhere, p=-product, r=product), replace(everywhere, q=scale)),
        sides(replace(everywhere, r=product), replace(everywhere, p=scale)),
    )


def gelu_smoothed(m: Real, s: Real) -> Real:
    """E (m + s y) Phi(m + s y)."""
    t = (1 + s * s).sqrt()
    return m * cdf(m / t) + s * s / t * phi(m / t)


def cdf_smoothed(m: Real, s: Real) -> Real:
    """E Phi(m + s y)."""
    return cdf(m / (1 + s * s).sqrt())


def gelu_slope_smoothed(m: Real, s: Real) -> Real:
    """E [Phi + u phi](m + s y), the derivative of gelu_smoothed."""
    t = (1 + s * s).sqrt()
    return cdf(m / t) + m / t**3 * phi(m / t)


def erf_smoothed(m: Real, s: Real) -> Real:
    """E erf(m + s y)."""
    return (m / (1 + 2 * s * s).sqrt()).erf()


def bell_smoothed(m: Real, s: Real) -> Real:
    """E 2/sqrt(pi) exp(-(m + s y)^2)."""
    t2 = 1 + 2 * s * s
    return 2 / (arb.pi() * t2).sqrt() * (-m * m / t2).exp()


def soft_ramp(u: Real) -> Real:
    """Return E max(u + y, 0)."""
    return u * cdf(u) + phi(u)


def soft_ramp_smoothed(m: Real, s: Real) -> Real:
    """E max(m + sqrt(1 + s^2) y, 0)."""
    t = (1 + s * s).sqrt()
    return m * cdf(m / t) + t * phi(m / t)


def sigmoid(u: Real) -> Real:
    """Return 1 / (1 + e^-u)."""
    return 1 / (1 + (-u).exp())


def sigmoid_slope(u: Real) -> Real:
    """Return the derivative."""
    return sigmoid(u) * sigmoid(-u)


def nothing(m: Real, s: Real = 0) -> Real:
    """Return zero, for functions that decay by themselves."""
    return arb(0)


def localised(value: Map, comparison: tuple[Map, Any], *, strip: Real, decay: float) -> Function:
    """Return a function with poles at +-i strip that is like a comparison far away."""
    return Function(value, None, comparison=comparison, strip=float(strip), decay=decay)


def functions() -> dict[str, tuple[Any, Any]]:
    """Value and slope of every function with an integral; constants are those of the present precision."""
    pi = float(arb.pi())
    t, l = {"strip": pi / 2, "decay": 2.0}, {"strip": pi, "decay": 1.0}
    everywhere = Piece(None, None)
    hard, indicator = replace(everywhere, left=-1.0, right=1.0, q=1.0), replace(everywhere, left=-1.0, right=1.0, p=1.0)
    low, high = Piece(None, -1.0), Piece(1.0, None)
    return {
        "relu": ramp(1.0, 0.0),
        "leaky_relu(0.2)": ramp(1.0, 0.2),
        "absolute": ramp(1.0, -1.0),
        "identity": ramp(1.0, 1.0),
        "hard_tanh": (
            pieces(replace(low, p=-1.0), hard, replace(high, p=1.0)),
            pieces(low, indicator, high),
        ),
        "elu": exponential_unit(1.0, arb(1.0)),
        "selu": exponential_unit(1.0507009873554805, arb(1.6732632423543772)),
        "erf": (
            Function(lambda u: u.erf(), erf_smoothed),
            Function(lambda u: 2 / arb.pi().sqrt() * (-u * u).exp(), bell_smoothed),
        ),
        "gelu": (
            Function(lambda u: u * cdf(u), gelu_smoothed),
            Function(lambda u: cdf(u) + u * phi(u), gelu_slope_smoothed),
        ),
        "tanh": (
            localised(lambda u: u.tanh(), (lambda u: u.erf(), erf_smoothed), **t),
            localised(lambda u: u.sech() ** 2, (nothing, nothing), **t),
        ),
        "sigmoid": (
            localised(sigmoid, (cdf, cdf_smoothed), **l),
            localised(sigmoid_slope, (nothing, nothing), **l),
        ),
        "silu": (
            localised(lambda u: u * sigmoid(u), (lambda u: u * cdf(u), gelu_smoothed), **l),
            localised(lambda u: sigmoid(u) + u * sigmoid_slope(u), (cdf, cdf_smoothed), **l),
        ),
        "softplus": (
            localised(lambda u: ((-abs(u)).exp()).log1p() + (u + abs(u)) / 2, (soft_ramp, soft_ramp_smoothed), **l),
            localised(sigmoid, (cdf, cdf_smoothed), **l),
        ),
    }


# Integrals


def smoothing(f: Function, s: Real, rules: Rules) -> Map:
    """Return m -> E f(m + s y)."""
    if f.smoothed is not None:
        smoothed = f.smoothed
        return lambda m: smoothed(m, s)
    # the error of the trapezoidal rule with step h (in y) is exp(x^2/2 - 2 pi x/h), x the height of the nearest pole,
    # or the best x below it
    x = min(f.strip / float(s), (2 * rules.nats) ** 0.5)
    h = arb(2 * 3.14 * x / (rules.nats + x * x / 2))
    if s < 0.5:
        count = int(rules.reach / float(h)) + 1
        steps = [(i * h * s, h * phi(i * h)) for i in range(-count, count + 1)]
        return lambda m: sum((weight * f.value(m + step) for step, weight in steps), arb(0))
    return difference(f, s, h * s, rules)


def difference(f: Function, s: Real, h: Real, rules: Rules) -> Map:
    """Return m -> E f(m + s y), from the comparison and a sum over the lattice of step h in u for the difference.

    The Gaussian of m - k h is exp(-m^2/2s^2) exp(-k^2 h^2/2s^2) q^k with q = exp(m h/s^2): two polynomials in q.
    """
    assert f.comparison is not None
    similar, similar_smoothed = f.comparison
    far = (rules.nats + 8) / f.decay
    count = int(far / float(h)) + 1
    rows = []
    for sign in (1, -1):
        places = [sign * k * h for k in range(count + 1)]
        row = [(f.value(u) - similar(u)) * (-((u / s) ** 2) / 2).exp() for u in places]
        rows.append(arb_poly(row))
    middle = rows[0].coeffs()[0]
    scale = h / s

    def smoothed(m: Real) -> Real:
        closed = similar_smoothed(m, s)
        if abs(m) > far + rules.reach * s:
            return closed
        q = (m * h / (s * s)).exp()
        return closed + scale * phi(m / s) * (rows[0](q) + rows[1](1 / q) - middle)

    return smoothed


@cache
def legendre(n: int, bits: int) -> list[tuple[Real, Real]]:
    """Return nodes and weights on (-1, 1)."""
    return [arb.legendre_p_root(n, k, weight=True) for k in range(n)]


Steep = tuple[Real, Real]
"""A place, and the length on which something happens there."""


def line(f: Map, variance: Real, steep: list[Steep], rules: Rules) -> Real:
    """E f(m), m ~ N(0, variance); panels grow geometrically away from the steep places."""
    sd = variance.sqrt()
    edges = sorted(set(graded(sd, steep, rules)))
    total = arb(0)
    for left, right in pairwise(edges):
        centre, half = (arb(left) + arb(right)) / 2, (arb(right) - arb(left)) / 2
        for x, weight in legendre(rules.nodes, rules.bits):
            m = centre + half * x
            total += half * weight * f(m) * (-m * m / (2 * variance)).exp()
    return total / (sd * (2 * arb.pi()).sqrt())


def graded(sd: Real, steep: list[Steep], rules: Rules) -> Iterator[float]:
    """Return the ends of panels, no longer than their distance to a steep place or two standard deviations."""
    end = rules.reach * float(sd)
    count = int(rules.reach / (2 * rules.start)) + 1
    yield from (end * i / count for i in range(-count, count + 1))
    for place, width in steep:
        p, length = float(place), rules.start * float(width)
        if abs(p) < end:
            yield p
        while length < 2 * end:
            yield from (x for x in (p - length, p + length) if abs(x) < end)
            length *= 2


def steep_places(f: Function, s: Real) -> list[Steep]:
    """Where f_s may be steep: at the kinks on the scale s, at zero on the scale of f itself."""
    places: list[Steep] = [(k, s) for k in f.kinks]
    if not f.kinks:
        places.append((0.0, max(arb(f.width), s)))
    if f.exponential and s < 30:
        places.append((-s * s, s))
    return places


def bare_places(f: Function) -> list[Steep]:
    """Where f itself may be steep."""
    return [(k, f.width) for k in (f.kinks or (0.0,))]


def mirrored(places: list[Steep]) -> list[Steep]:
    """Return the places with their mirror images."""
    return [*places, *((-p, w) for p, w in places if p != 0)]


def mean(f: Function, a: Real, rules: Rules) -> Real:
    """E f(u)."""
    return smoothing(f, a.sqrt(), rules)(arb(0))


def same(f: Function, a: Real, sign: int, rules: Rules) -> Real:
    """E f(u) f(sign u)."""
    return line(lambda m: f.value(m) * f.value(sign * m), a, mirrored(bare_places(f)), rules)


def overlap(f: Function, a: Real, b: Real, rules: Rules = MAKE) -> Real:
    """E f(u) f(v), as the expectation over what u and v share."""
    if b == 0:
        m = mean(f, a, rules)
        return m * m
    sign = 1 if b > 0 else -1
    if abs(b) == a:
        return same(f, a, sign, rules)
    s = (a - abs(b)).sqrt()
    smoothed = smoothing(f, s, rules)
    places = mirrored(steep_places(f, s))

    def integrand(m: Real) -> Real:
        first = smoothed(m)
        return first * (first if sign > 0 else smoothed(-m))

    return line(integrand, abs(b), places, rules)


def conditioned(f: Function, a: Real, b: Real, rules: Rules = CHECK) -> Real:
    """E f(u) f(v), as the expectation over u of f(u) and of what f(v) is given u."""
    if abs(b) == a:
        return same(f, a, 1 if b > 0 else -1, rules)
    if b == 0:
        m = line(f.value, a, bare_places(f), rules)
        return m * m
    slope = b / a
    t = ((a - b) * (a + b) / a).sqrt()
    smoothed = smoothing(f, t, rules)
    seen = [(p / slope, w / abs(slope)) for p, w in steep_places(f, t)]
    return line(lambda u: f.value(u) * smoothed(slope * u), a, [*bare_places(f), *seen], rules)


# Functions with overlaps that can be written down


@dataclass(frozen=True)
class Known:
    """A function of which everything is known."""

    mean: Map
    overlap: Callable[[Real, Real], Real]


def known() -> dict[str, tuple[Known, Known]]:
    """Value and slope: by Isserlis' theorem, and from E exp(i(u +- v))."""

    def zero(a: Real) -> Real:
        return arb(0)

    def sines(a: Real, b: Real) -> Real:
        return ((b - a).exp() - (-a - b).exp()) / 2

    def cosines(a: Real, b: Real) -> Real:
        return ((b - a).exp() + (-a - b).exp()) / 2

    def u3v3(a: Real, b: Real) -> Real:
        return 9 * a**2 * b + 6 * b**3

    def u2v2(a: Real, b: Real) -> Real:
        return a**2 + 2 * b**2

    def hermite_3(a: Real, b: Real) -> Real:
        return u3v3(a, b) - 18 * a * b + 9 * b

    def hermite_4(a: Real, b: Real) -> Real:
        u4v4 = 9 * a**4 + 72 * a**2 * b**2 + 24 * b**4
        u4v2 = 3 * a**3 + 12 * a * b**2
        return u4v4 - 12 * u4v2 + 36 * u2v2(a, b) + 18 * a**2 - 36 * a + 9

    wave = Known(zero, sines), Known(lambda a: (-a / 2).exp(), cosines)
    return {
        "sine": wave,
        "cosine": (wave[1], wave[0]),
        "monomial(3)": (Known(zero, u3v3), Known(lambda a: 3 * a, lambda a, b: 9 * u2v2(a, b))),
        "hermite(3)": (
            Known(zero, hermite_3),
            Known(lambda a: 3 * a - 3, lambda a, b: 9 * (u2v2(a, b) - 2 * a + 1)),
        ),
        "hermite(4)": (
            Known(lambda a: 3 * a**2 - 6 * a + 3, hermite_4),
            Known(zero, lambda a, b: 16 * hermite_3(a, b)),
        ),
    }


# The table


def digits(x: Real) -> str:
    """Thirty significant digits of the midpoint; 0 for what may be zero (means of odd functions)."""
    return "0" if x.contains(0) else str(x.mid().str(30, radius=False))


def covariances(a: float) -> list[float]:
    """Return the covariances of the grid, in the arithmetic of doubles."""
    return [c * a for c in CORRELATIONS]


def row(f: Any, variance: float) -> tuple[Real, Real, list[Real]]:
    """Mean, second moment and overlaps at one variance."""
    a = arb(variance)
    bs = [arb(b) for b in covariances(variance)]
    if isinstance(f, Known):
        return f.mean(a), f.overlap(a, a), [f.overlap(a, b) for b in bs]
    return mean(f, a, MAKE), overlap(f, a, a), [overlap(f, a, b) for b in bs]


def make(names: list[str]) -> None:
    """Add to the table what it lacks."""
    ctx.prec = MAKE.bits
    table = read()
    everything = {**known(), **functions()}
    for name in names or everything:
        for part, f in zip(("value", "slope"), everything[name], strict=True):
            if f"{name} {part}" in table:
                continue
            rows = {}
            for variance in VARIANCES:
                first, second, rest = row(f, variance)
                rows[repr(variance)] = [digits(first), digits(second), *map(digits, rest)]
            print(name, part, flush=True)
            table[f"{name} {part}"] = rows
            write(table)


def write(table: dict[str, Any]) -> None:
    """Write the table with one line for each function and variance."""
    names = [f"{name} {part}" for name in {**known(), **functions()} for part in ("value", "slope")]
    blocks = []
    for key, rows in ((name, table[name]) for name in names if name in table):
        lines = ",\n".join(f"  {json.dumps(a)}: {json.dumps(numbers)}" for a, numbers in rows.items())
        blocks.append(f" {json.dumps(key)}: {{\n{lines}\n }}")
    head = f'{{"correlations": {json.dumps(CORRELATIONS)},\n"integrals": {{\n'
    TABLE.write_text(head + ",\n".join(blocks) + "\n}}\n")


def read() -> dict[str, Any]:
    """Return the integrals of the table, as far as it has been made."""
    integrals: dict[str, Any] = json.loads(TABLE.read_text())["integrals"] if TABLE.exists() else {}
    return integrals


def check(names: list[str]) -> None:
    """Compute the table again by the other route and print the largest difference, relative to E f(u)^2."""
    ctx.prec = CHECK.bits
    table = read()
    everything = functions()
    for name in names or everything:
        for part, f in zip(("value", "slope"), everything[name], strict=True):
            worst = (0.0, "")
            for variance in VARIANCES:
                a = arb(variance)
                mean_, second, *rest = (arb(x) for x in table[f"{name} {part}"][repr(variance)])
                by_line = line(f.value, a, bare_places(f), CHECK)
                worst = max(worst, (float(abs(by_line - mean_).mid() / second.sqrt()), f"mean at {variance}"))
                for b, listed in zip(covariances(variance), rest, strict=True):
                    again = conditioned(f, a, arb(b))
                    worst = max(worst, (float(abs(again - listed).mid() / second), f"{variance} {b}"))
            print(f"{name} {part}: {worst[0]:.1e} at {worst[1]}", flush=True)


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    (check if "--check" in sys.argv else make)(arguments)
