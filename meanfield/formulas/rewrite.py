"""Recognise forms that overflow or cancel in floating point, and write them as functions that do neither.

    log(1 + exp(y)) = logaddexp(0, y)        1/(1 + exp(-y)) = sigmoid(y)         1 - tanh(y)^2 = sech(y)^2
    1 + tanh(y) = 2 sigmoid(2y)              1 + erf(y) = erfc(-y)                exp(y) - 1 = expm1(y)
    (exp(y) - 1)/(exp(y) + 1) = tanh(y/2)    log(cosh(y)) = logcosh(y)            y + sqrt(y^2 + c) = squareplus(y, c)

and so on, as identities between SymPy expressions from the leaves upwards. The new functions are mere names to SymPy:
what they mean is written in ``tree`` and ``program``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import permutations
from typing import Any

from ..errors import ParameterError
from .parse import extremum


def prepare(expression: Any) -> Any:
    """Return an expression in one real variable x, with its decimal numbers taken exactly.

    Raises
    ------
    ParameterError
        If the expression has no variable or several.
    """
    import sympy

    if not isinstance(expression, sympy.Expr):
        raise ParameterError("expression", "a SymPy expression or a text", f"{expression!r:.100}")
    symbols = sorted(map(str, expression.free_symbols))
    if len(symbols) != 1:
        got = "none" if not symbols else ", ".join(symbols)
        raise ParameterError("expression", "an expression in one variable", f"{got} in {expression!s:.200}")
    exact = {number: sympy.Rational(repr(float(number))) for number in expression.atoms(sympy.Float)}
    (symbol,) = expression.free_symbols
    for theirs, ours in ((sympy.Max, "maximum"), (sympy.Min, "minimum")):
        expression = expression.replace(theirs, functools.partial(extremum, ours))
    return expression.xreplace({symbol: sympy.Symbol("x", real=True), **exact})


def safe(expression: Any) -> Any:
    """Return an equal expression without the forms that overflow or cancel, as far as they are known."""
    import sympy

    if not expression.args:
        return expression
    arguments = [safe(argument) for argument in expression.args]
    if isinstance(expression, sympy.Piecewise):
        return expression.func(*arguments, evaluate=False)
    rebuilt = expression.func(*arguments)
    if isinstance(rebuilt, sympy.log):
        return _logarithm(rebuilt.args[0])
    if isinstance(rebuilt, sympy.Add):
        return _sum(rebuilt)
    if isinstance(rebuilt, sympy.Mul | sympy.Pow) and not isinstance(rebuilt, sympy.exp):
        return _product(rebuilt)
    return rebuilt


def named(name: str) -> Callable[..., Any]:
    """Return the function of this name, which SymPy knows only to be real, or positive."""
    import sympy

    positive = name in ("sigmoid", "squareplus", "sech", "erfc")
    return sympy.Function(name, positive=True) if positive else sympy.Function(name, real=True)  # type: ignore[no-any-return]


def _exponent(term: Any) -> Any:
    """Return a with term = exp(a), for a positive number times an exponential; None otherwise."""
    import sympy

    number, rest = term.as_coeff_Mul()
    if not number.is_positive:
        return None
    if rest == 1:
        return sympy.log(number)
    return rest.args[0] + sympy.log(number) if isinstance(rest, sympy.exp) else None


def _logarithm(y: Any) -> Any:
    import sympy

    number, rest = y.as_coeff_Mul()
    if isinstance(rest, sympy.cosh) and number.is_positive:
        return sympy.log(number) + named("logcosh")(rest.args[0])
    terms = list(sympy.Add.make_args(y))
    exponents = [_exponent(term) for term in terms]
    if len(terms) > 1 and all(exponent is not None for exponent in exponents):
        exponents.sort(key=lambda exponent: (exponent.has(sympy.Symbol), str(exponent)))
        total = exponents[0]
        for exponent in exponents[1:]:
            total = named("logaddexp")(total, exponent)
        return total
    if len(terms) > 1 and y.as_coeff_Add()[0] == 1:
        return named("log1p")(y - 1)
    return sympy.log(y)


def _sum(expression: Any) -> Any:
    """Apply the rules for pairs of terms as long as one applies."""
    import sympy

    for first, second in permutations(sympy.Add.make_args(expression), 2):
        merged = _pair(first, second)
        if merged is not None:
            rest = expression - first - second + merged
            return _sum(rest) if isinstance(rest, sympy.Add) else rest
    return expression


def _pair(first: Any, second: Any) -> Any:
    """Return first + second, where first = r f(y) and second = q r for a number q; None if no rule applies."""
    import sympy

    sigmoid, half = named("sigmoid"), sympy.Rational(1, 2)
    rules: dict[tuple[str, Any], Callable[[Any], Any]] = {
        ("tanh", 1): lambda y: 2 * sigmoid(2 * y),
        ("tanh", -1): lambda y: -2 * sigmoid(-2 * y),
        ("tanh^2", -1): lambda y: -(named("sech")(y) ** 2),
        ("erf", 1): lambda y: named("erfc")(-y),
        ("erf", -1): lambda y: -named("erfc")(y),
        ("erfc", -1): lambda y: -sympy.erf(y),
        ("erfc", -2): lambda y: -named("erfc")(-y),
        ("sigmoid", -1): lambda y: -sigmoid(-y),
        ("sigmoid", -half): lambda y: sympy.tanh(y / 2) / 2,
        ("exp", -1): lambda y: named("expm1")(y),
        ("cosh", -1): lambda y: 2 * sympy.sinh(y / 2) ** 2,
        ("cos", -1): lambda y: -2 * sympy.sin(y / 2) ** 2,
    }
    for factor in sympy.Mul.make_args(first):
        name, argument = _name(factor)
        ratio = second / (first / factor)
        if (name, ratio) in rules and (name != "exp" or argument.has(sympy.Symbol)):
            return first / factor * rules[name, ratio](argument)
        if name == "exp" and argument.has(sympy.Symbol) and ratio in (sympy.exp(-argument), -sympy.exp(-argument)):
            even = ratio == sympy.exp(-argument)
            return first / factor * 2 * (sympy.cosh if even else sympy.sinh)(argument)
        if name == "sqrt":
            c = argument - ratio**2
            if not c.free_symbols and c.is_positive:
                return first / factor * named("squareplus")(ratio, c)
    return None


def _name(factor: Any) -> tuple[str, Any]:
    """Return the name and the argument of a function; those of tanh^2 and sqrt are in the base of a power."""
    import sympy

    if isinstance(factor, sympy.Pow) and not isinstance(factor, sympy.exp):
        if factor.exp == 2 and isinstance(factor.base, sympy.tanh):
            return "tanh^2", factor.base.args[0]
        if factor.exp == sympy.Rational(1, 2):
            return "sqrt", factor.base
    if factor.is_Function or isinstance(factor, sympy.exp):
        return factor.func.__name__, factor.args[0]
    return "", None


def _product(expression: Any) -> Any:
    """Write the denominators that are sums of exponentials as sigmoid and sech, and merge what belongs together."""
    import sympy

    powers: dict[Any, Any] = {}
    for factor in sympy.Mul.make_args(expression):
        base, exponent = _base(factor)
        for part, power in _reciprocal(base, exponent):
            powers[part] = powers.get(part, 0) + power
    _merge(powers)
    return sympy.Mul(*(base**exponent for base, exponent in powers.items()))


def _base(factor: Any) -> tuple[Any, Any]:
    import sympy

    if isinstance(factor, sympy.Pow) and not isinstance(factor, sympy.exp):
        return factor.base, factor.exp
    return factor, sympy.S.One


def _reciprocal(base: Any, exponent: Any) -> list[tuple[Any, Any]]:
    """Return the factors of base**exponent, where a negative power of a growing sum is a positive one of a sigmoid."""
    import sympy

    if not exponent.is_negative:
        return [(base, exponent)]
    if isinstance(base, sympy.cosh):
        return [(named("sech")(base.args[0]), -exponent)]
    terms = sympy.Add.make_args(base)
    exponents = [_exponent(term) for term in terms]
    if len(terms) != 2 or None in exponents:
        return [(base, exponent)]
    a, b = sorted(exponents, key=lambda y: (y.has(sympy.Symbol), str(y)))
    return [(sympy.exp(a * exponent), sympy.S.One), (named("sigmoid")(a - b), -exponent)]


def _merge(powers: dict[Any, Any]) -> None:
    """Apply exp(y) sigmoid(-y) = sigmoid(y), expm1(y) sigmoid(-y) = tanh(y/2), sinh(y) sech(y) = tanh(y)."""
    import sympy

    sigmoid = named("sigmoid")
    for base in list(powers):
        name, y = _name(base)
        if name == "sigmoid":
            total = sum(part.args[0] * power for part, power in powers.items() if isinstance(part, sympy.exp))
            times = sympy.S(total / -y).cancel() if total != 0 else sympy.S.Zero
            if times.is_Integer and times > 0:
                moved = sympy.Min(times, powers[base])
                for part in [part for part in powers if isinstance(part, sympy.exp)]:
                    del powers[part]
                powers[sympy.exp(total + moved * y)] = sympy.S.One
                _move(powers, {base: moved}, sigmoid(-y))
    for base in list(powers):
        name, y = _name(base)
        if name == "expm1" and (partner := sigmoid(-y)) in powers:
            _move(powers, {base: sympy.Min(powers[base], powers[partner])}, sympy.tanh(y / 2), partner)
        if name == "sinh" and (partner := named("sech")(y)) in powers:
            _move(powers, {base: sympy.Min(powers[base], powers[partner])}, sympy.tanh(y), partner)


def _move(powers: dict[Any, Any], taken: dict[Any, Any], into: Any, *partners: Any) -> None:
    (times,) = taken.values()
    if not (times.is_Integer and times > 0):
        return
    for base in (*taken, *partners):
        powers[base] -= times
    powers[into] = powers.get(into, 0) + times
