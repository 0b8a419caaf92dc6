"""From text to SymPy. The text is never evaluated: Python's grammar reads it, and a fixed list of nodes is accepted."""

from __future__ import annotations

import ast
import functools
import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ..errors import ParameterError

LONGEST, DEEPEST, LARGEST_EXPONENT, LARGEST_NUMBER = 1000, 100, 1000, 1e100
"""Limits on the text: characters, nesting (and terms of a sum), exponents, numbers. They bound its cost."""

FUNCTIONS = (
    *("Abs", "Heaviside", "Max", "Min", "Piecewise", "abs", "asinh", "atan", "cos", "cosh", "erf", "erfc", "exp"),
    *(
        "expm1",
        "log",
        "log1p",
        "max",
        "maximum",
        "min",
        "minimum",
        "relu",
        "sech",
        "sigmoid",
        "sign",
        "sin",
        "sinh",
        "softplus",
        "sqrt",
    ),
    "tanh",
)
CONSTANTS = ("E", "pi")

ACCEPTED = (
    "an expression in one variable, such as x*tanh(log(1+exp(x))), made of numbers, "
    f"{', '.join(CONSTANTS)}, + - * / ** ( ) and the functions {', '.join(FUNCTIONS)}"
)

_EXTREMA = ("Max", "Min", "max", "min", "maximum", "minimum")

_TOKENS = re.compile(r"(?:\s|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])|[A-Za-z]\w*|\*\*|[<>]=?|[-+*/^(),&|])*")


def parse(text: str) -> Any:
    """Return the SymPy expression that a text describes; decimal numbers are taken exactly.

    Parameters
    ----------
    text : str
        At most 1000 characters; ``^`` is a power. ``Piecewise((value, condition), ..., (value, True))`` takes
        comparisons joined by ``&`` and ``|``. ``sigmoid``, ``relu`` and ``softplus`` stand for their formulas.

    Raises
    ------
    ParameterError
        For anything else; the message says what was wrong and what is accepted.

    Examples
    --------
    >>> parse("t*tanh(log(1 + exp(t)))")
    t*tanh(log(exp(t) + 1))
    >>> parse("().__class__")
    Traceback (most recent call last):
    ...
    meanfield.errors.ParameterError: expression must be an expression in one variable, ... got '._' in '().__class__'
    """
    if not isinstance(text, str):
        raise ParameterError("expression", ACCEPTED, f"{text!r:.100}")
    if len(text) > LONGEST:
        raise ParameterError("expression", f"at most {LONGEST} characters long", f"{len(text)} characters")
    if not text.strip():
        raise ParameterError("expression", ACCEPTED, "an empty text")
    matched = _TOKENS.match(text)
    end = matched.end() if matched else 0
    if end < len(text):
        raise ParameterError("expression", ACCEPTED, f"{text[end : end + 2]!r} in {text!r:.200}")
    _require_shallow(text)
    try:
        tree = ast.parse(" ".join(text.split()).replace("^", "**"), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ParameterError("expression", ACCEPTED, f"{text!r:.200}, which does not read as one") from None
    reader = _Reader(text)
    return reader.read(tree.body, DEEPEST)


def _require_shallow(text: str) -> None:
    depth = deepest = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise ParameterError("expression", f"nested at most {DEEPEST} deep", f"{deepest} open parentheses")


def extremum(name: str, *arguments: Any) -> Any:
    """Return the maximum or minimum as a mere name: SymPy's own compares its arguments, which can take forever."""
    import sympy

    function = sympy.Function(name, real=True)
    return functools.reduce(function, sorted(arguments, key=str))


class _Reader:
    """The walk over the nodes that are accepted, and the one variable that it has met."""

    def __init__(self, text: str) -> None:
        import sympy

        self.sympy = sympy
        self.text = text
        self.variable: Any = None

    def refuse(self, what: str) -> ParameterError:
        return ParameterError("expression", ACCEPTED, f"{what} in {self.text!r:.200}")

    def read(self, node: ast.AST, depth: int) -> Any:
        if depth == 0:
            raise ParameterError("expression", f"nested, or continued, at most {DEEPEST} times", f"{self.text!r:.200}")
        match node:
            case ast.Constant():
                return self.constant(node.value)
            case ast.Name():
                return self.name(node.id)
            case ast.UnaryOp(op=ast.UAdd()):
                return self.read(node.operand, depth - 1)
            case ast.UnaryOp(op=ast.USub()):
                return -self.read(node.operand, depth - 1)
            case ast.BinOp():
                return self.operation(node, depth)
            case ast.Call():
                return self.call(node, depth)
        raise self.refuse(f"{type(node).__name__}")

    def constant(self, value: object) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refuse(repr(value))
        if abs(value) > LARGEST_NUMBER or (value and abs(value) < 1 / LARGEST_NUMBER):
            number = "infinity" if isinstance(value, float) and math.isinf(value) else "a number"
            raise self.refuse(f"{number} beyond 1e-100 .. 1e100")
        exact = Fraction(repr(value))
        return self.sympy.Rational(exact.numerator, exact.denominator)

    def name(self, name: str) -> Any:
        if name in CONSTANTS:
            return getattr(self.sympy, name)
        if name in FUNCTIONS:
            raise self.refuse(f"{name} without an argument")
        if name.lower() in ("nan", "inf", "infinity", "oo", "zoo"):
            raise self.refuse(f"the name {name!r} of a number that is not finite")
        if self.variable is None:
            self.variable = self.sympy.Symbol(name, real=True)
        if name != self.variable.name:
            raise self.refuse(f"two variables, {self.variable} and {name},")
        return self.variable

    def operation(self, node: ast.BinOp, depth: int) -> Any:
        left = self.read(node.left, depth - 1)
        right = self.read(node.right, depth - 1)
        match node.op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div():
                if right.is_zero:
                    raise self.refuse("a division by zero")
                return left / right
            case ast.Pow():
                return self.power(left, right)
        raise self.refuse(type(node.op).__name__)

    def power(self, base: Any, exponent: Any) -> Any:
        if not exponent.free_symbols:
            size = abs(complex(exponent.evalf(15)))
            digits = size * abs(math.log10(abs(complex(base.evalf(15))) or 1)) if not base.free_symbols else 0
            if not (size <= LARGEST_EXPONENT and digits <= 100):
                raise self.refuse(f"a power beyond {LARGEST_EXPONENT}, or a number beyond 1e100,")
            if exponent.is_Rational and exponent.q > LARGEST_EXPONENT:
                exponent = exponent.limit_denominator(10**6)
        if base.is_zero and not exponent.is_positive:
            raise self.refuse("a power of zero")
        return base**exponent

    def call(self, node: ast.Call, depth: int) -> Any:
        if not isinstance(node.func, ast.Name) or node.keywords or node.func.id not in FUNCTIONS:
            called = node.func.id if isinstance(node.func, ast.Name) else "a call of no known function"
            raise self.refuse(f"{called}(...)")
        name = node.func.id
        if name == "Piecewise":
            return self.piecewise(node.args, depth)
        arguments = [self.read(argument, depth - 1) for argument in node.args]
        if len(arguments) < 1 or (len(arguments) > 1 and name not in _EXTREMA):
            raise self.refuse(f"{name} of {len(arguments)} arguments")
        return self.function(name)(*arguments)

    def function(self, name: str) -> Callable[..., Any]:
        sympy = self.sympy
        special: dict[str, Callable[..., Any]] = {
            "abs": sympy.Abs,
            **{name: lambda *y: extremum("maximum", *y) for name in ("max", "Max", "maximum")},
            **{name: lambda *y: extremum("minimum", *y) for name in ("min", "Min", "minimum")},
            "relu": lambda y: extremum("maximum", y, sympy.S.Zero),
            "sigmoid": lambda y: 1 / (1 + sympy.exp(-y)),
            "softplus": lambda y: sympy.log(1 + sympy.exp(y)),
            "expm1": lambda y: sympy.exp(y) - 1,
            "log1p": lambda y: sympy.log(1 + y),
        }
        return special[name] if name in special else getattr(sympy, name)

    def piecewise(self, branches: list[ast.expr], depth: int) -> Any:
        pairs = []
        for branch in branches:
            if not isinstance(branch, ast.Tuple) or len(branch.elts) != 2:
                raise self.refuse("a branch of Piecewise that is no (value, condition)")
            value, condition = branch.elts
            pairs.append((self.read(value, depth - 1), self.condition(condition, depth - 1)))
        if not pairs:
            raise self.refuse("a Piecewise without branches")
        return self.sympy.Piecewise(*pairs, evaluate=False)

    def condition(self, node: ast.AST, depth: int) -> Any:
        match node:
            case ast.Constant(value=True) | ast.Name(id="True"):
                return self.sympy.true
            case ast.BinOp(op=ast.BitAnd()):
                return self.sympy.And(self.condition(node.left, depth - 1), self.condition(node.right, depth - 1))
            case ast.BinOp(op=ast.BitOr()):
                return self.sympy.Or(self.condition(node.left, depth - 1), self.condition(node.right, depth - 1))
            case ast.Compare(ops=[operator]):
                left = self.read(node.left, depth - 1)
                right = self.read(node.comparators[0], depth - 1)
                relations = {ast.Lt: "Lt", ast.LtE: "Le", ast.Gt: "Gt", ast.GtE: "Ge"}
                if type(operator) in relations:
                    return getattr(self.sympy, relations[type(operator)])(left, right)
        raise self.refuse("a condition that is no comparison by < <= > >=")
