"""A formula as a small tree: its derivative by rules that keep it safe, and what can be proved of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

from ..errors import ParameterError
from ..functions import Parity
from .parse import ACCEPTED, LARGEST_EXPONENT

LARGEST_TREE = 5000
"""How many nodes the derivatives of a formula may have."""

_NOTHING = Fraction(0)
_NODES: WeakValueDictionary[tuple[object, ...], Node] = WeakValueDictionary()

_remembered = lru_cache(maxsize=1 << 16)  # a formula has its parts in common with its derivatives


@dataclass(frozen=True, eq=False)
class Node:
    """An operation and its operands; a number has none. Equal nodes are one object, so that comparing costs nothing."""

    operation: str
    operands: tuple[Node, ...] = ()
    number: Fraction = Fraction(0)

    def __new__(cls, operation: str, operands: tuple[Node, ...] = (), number: Fraction = _NOTHING) -> Node:
        """Return the one node that has these parts."""
        key = (operation, operands, number)
        node = _NODES.get(key)
        if node is None:
            node = _NODES[key] = super().__new__(cls)
        return node

    def __reduce__(self) -> tuple[type[Node], tuple[object, ...]]:
        return Node, (self.operation, self.operands, self.number)

    def walk(self) -> Iterator[Node]:
        """Yield the distinct nodes of the tree, operands first."""
        yield from _walk(self, set())


def _walk(node: Node, seen: set[Node]) -> Iterator[Node]:
    if node not in seen:
        for operand in node.operands:
            yield from _walk(operand, seen)
        seen.add(node)
        yield node


X = Node("variable")


def number(value: Fraction | int) -> Node:
    """Return a constant."""
    return Node("number", (), Fraction(value))


ZERO, ONE, TWO, PI = number(0), number(1), number(2), Node("pi")


def add(*terms: Node) -> Node:
    """Return a sum, without its zeros."""
    kept = [term for term in terms if term != ZERO]
    return kept[0] if len(kept) == 1 else Node("add", tuple(kept)) if kept else ZERO


def multiply(*factors: Node) -> Node:
    """Return a product, with its numbers and its exponentials merged: exp(-exp(-u)) exp(-u) is not 0 times infinity."""
    coefficient, exponents, rest = Fraction(1), [], []
    for factor in factors:
        for part in factor.operands if factor.operation == "multiply" else (factor,):
            if part.operation == "number":
                coefficient *= part.number
            elif part.operation == "exp":
                exponents.append(part.operands[0])
            else:
                rest.append(part)
    if coefficient == 0:
        return ZERO
    kept = [number(coefficient)] if coefficient != 1 else []
    kept += [Node("exp", (add(*exponents),))] if exponents else []
    kept += rest
    return kept[0] if len(kept) == 1 else Node("multiply", tuple(kept)) if kept else ONE


def negative(y: Node) -> Node:
    """Return -y."""
    return multiply(number(-1), y)


def power(base: Node, exponent: Fraction | int) -> Node:
    """Return base ** exponent."""
    exponent = Fraction(exponent)
    if exponent == 1:
        return base
    return ONE if exponent == 0 else Node("power", (base, number(exponent)))


def call(name: str, *operands: Node) -> Node:
    """Return a function of its operands."""
    return Node(name, operands)


SMOOTH: dict[str, Callable[[Node], Node]] = {
    "exp": lambda y: call("exp", y),
    "expm1": lambda y: call("exp", y),
    "log": lambda y: power(y, -1),
    "log1p": lambda y: power(add(ONE, y), -1),
    "sin": lambda y: call("cos", y),
    "cos": lambda y: negative(call("sin", y)),
    "sinh": lambda y: call("cosh", y),
    "cosh": lambda y: call("sinh", y),
    "tanh": lambda y: power(call("sech", y), 2),
    "sech": lambda y: negative(multiply(call("sech", y), call("tanh", y))),
    "sigmoid": lambda y: multiply(call("sigmoid", y), call("sigmoid", negative(y))),
    "logcosh": lambda y: call("tanh", y),
    "atan": lambda y: power(add(ONE, power(y, 2)), -1),
    "asinh": lambda y: power(add(ONE, power(y, 2)), Fraction(-1, 2)),
    "erf": lambda y: multiply(TWO, power(PI, Fraction(-1, 2)), call("exp", negative(power(y, 2)))),
    "erfc": lambda y: multiply(number(-2), power(PI, Fraction(-1, 2)), call("exp", negative(power(y, 2)))),
    "abs": lambda y: call("sign", y),
    "sign": lambda y: ZERO,
    "step": lambda y: ZERO,
}
"""The derivatives of the functions of one argument, beside their jumps."""


@_remembered
def derivative(node: Node) -> Node:
    """Return the derivative, wherever there is one."""
    name, y = node.operation, node.operands
    if name == "variable":
        return ONE
    if name == "nowhere" or not y:
        return node if name == "nowhere" else ZERO
    if name in SMOOTH:
        return multiply(SMOOTH[name](y[0]), derivative(y[0]))
    return _RULES[name](y)


def _of_product(y: tuple[Node, ...]) -> Node:
    return add(*(multiply(*y[:i], derivative(factor), *y[i + 1 :]) for i, factor in enumerate(y)))


def _of_power(y: tuple[Node, ...]) -> Node:
    return multiply(y[1], power(y[0], y[1].number - 1), derivative(y[0]))


def _of_logaddexp(y: tuple[Node, ...]) -> Node:
    left, right = call("sigmoid", add(y[0], negative(y[1]))), call("sigmoid", add(y[1], negative(y[0])))
    return add(multiply(left, derivative(y[0])), multiply(right, derivative(y[1])))


def _of_squareplus(y: tuple[Node, ...]) -> Node:
    root = power(add(power(y[0], 2), y[1]), Fraction(-1, 2))
    return multiply(call("squareplus", *y), root, derivative(y[0]))


def _of_the_smaller(a: Node, b: Node, first: Node, second: Node) -> Node:
    """Return the first of two slopes where a < b, the second where a > b, and their mean where a = b."""
    mean = multiply(number(Fraction(1, 2)), add(first, second))
    return call("where", call("less", a, b), first, call("where", call("less", b, a), second, mean))


_RULES: dict[str, Callable[[tuple[Node, ...]], Node]] = {
    "add": lambda y: add(*map(derivative, y)),
    "multiply": _of_product,
    "power": _of_power,
    "where": lambda y: call("where", y[0], derivative(y[1]), derivative(y[2])),
    "maximum": lambda y: _of_the_smaller(y[1], y[0], derivative(y[0]), derivative(y[1])),
    "minimum": lambda y: _of_the_smaller(y[0], y[1], derivative(y[0]), derivative(y[1])),
    "logaddexp": _of_logaddexp,
    "squareplus": _of_squareplus,
}


_RELATIONS = {
    "StrictLessThan": "less",
    "LessThan": "less_equal",
    "StrictGreaterThan": "greater",
    "GreaterThan": "greater_equal",
    "And": "and",
    "Or": "or",
    "Not": "not",
}
_NAMES = {"Abs": "abs"}
_OWN = ("expm1", "log1p", "logcosh", "sech", "sigmoid", "logaddexp", "squareplus", "maximum", "minimum")


def from_expression(expression: Any) -> Node:
    """Return the tree of a SymPy expression in the variable x.

    Raises
    ------
    ParameterError
        For a function that is not in the list.
    """
    if not expression.args:
        return _leaf(expression)
    name = expression.func.__name__
    if name == "Piecewise":
        return _piecewise(expression)
    operands = tuple(map(from_expression, expression.args))
    if name in _BUILDERS:
        return _BUILDERS[name](operands)
    if name == "Pow":
        base, exponent = operands
        return _power(base, exponent, str(expression))
    own = _RELATIONS.get(name, _NAMES.get(name, name))
    if own not in SMOOTH and own not in _OWN and name not in _RELATIONS:
        raise ParameterError("expression", ACCEPTED, f"{name} in it")
    return call(own, *operands)


def _leaf(expression: Any) -> Node:
    import sympy

    if expression.is_Symbol:
        return X
    if expression.is_Rational:
        return number(Fraction(int(expression.p), int(expression.q)))
    constants = {sympy.pi: PI, sympy.E: call("exp", ONE), sympy.true: Node("true"), sympy.false: Node("false")}
    if expression not in constants:
        raise ParameterError("expression", "real and finite", f"{expression} in it")
    return constants[expression]


_BUILDERS: dict[str, Callable[[tuple[Node, ...]], Node]] = {
    "Add": lambda operands: add(*operands),
    "Mul": lambda operands: multiply(*operands),
    "Heaviside": lambda operands: call("step", operands[0]),  # SymPy's second operand is the value at 0
}


def _power(base: Node, exponent: Node, text: str) -> Node:
    if exponent.operation == "number":
        if abs(exponent.number) > LARGEST_EXPONENT:
            raise ParameterError("expression", f"without exponents beyond {LARGEST_EXPONENT}", f"{text:.100}")
        return power(base, exponent.number)
    return call("exp", multiply(exponent, call("log", base)))


def _piecewise(expression: Any) -> Node:
    tree = Node("nowhere")  # beyond its last condition it has no value
    for value, condition in reversed(expression.args):
        branch, test = from_expression(value), from_expression(condition)
        tree = branch if test.operation == "true" else call("where", test, branch, tree)
    return tree


_ODD = {"sin", "sinh", "tanh", "atan", "asinh", "erf", "sign"}
_EVEN = {"cos", "cosh", "sech", "logcosh", "abs"}


@_remembered
def parity(node: Node) -> Parity | None:
    """Return the parity, if the rules for sums, products, powers and functions prove one."""
    name, y = node.operation, node.operands
    if name == "variable":
        return Parity.ODD
    if not y:
        return None if name == "nowhere" else Parity.EVEN
    parities = [parity(operand) for operand in y]
    if all(p is Parity.EVEN for p in parities):
        return Parity.EVEN
    match name:
        case "add":
            return parities[0] if len(set(parities)) == 1 else None
        case "multiply" if None not in parities:
            return Parity.ODD if sum(p is Parity.ODD for p in parities) % 2 else Parity.EVEN
        case "multiply":
            return Parity.EVEN if Counter(map(_reflected, y)) == Counter(y) else None
        case "power" if parities[0] is Parity.ODD and y[1].number.denominator == 1:
            return Parity.ODD if y[1].number.numerator % 2 else Parity.EVEN
        case "where" if parities[0] is Parity.EVEN:
            return parities[1] if parities[1] is parities[2] else None
    if parities[0] is Parity.ODD:
        return Parity.ODD if name in _ODD else Parity.EVEN if name in _EVEN else None
    return None


@_remembered
def _reflected(node: Node) -> Node:
    """Return the formula at -u."""
    if node == X:
        return negative(X)
    operands = tuple(map(_reflected, node.operands))
    if node.operation in ("add", "multiply"):
        return (add if node.operation == "add" else multiply)(*operands)
    return Node(node.operation, operands, node.number)


_NEVER_NEGATIVE = {"exp", "cosh", "abs", "sech", "sigmoid", "logcosh", "step", "erfc", "squareplus", "pi"}
_SIGN_OF_ARGUMENT = {"sinh", "tanh", "atan", "asinh", "erf", "sign", "expm1", "log1p"}


@_remembered
def is_nonnegative(node: Node) -> bool:
    """Whether the rules for sums, products, powers and functions prove that the formula is nowhere negative."""
    y = node.operands
    match node.operation:
        case "number":
            return node.number >= 0
        case "add" | "minimum":
            return all(map(is_nonnegative, y))
        case "multiply":
            # equal factors, up to functions that keep the sign, come in pairs
            left: list[Node] = []
            for factor in map(_without_sign_keepers, y):
                left.remove(factor) if factor in left else left.append(factor)
            return all(map(is_nonnegative, left))
        case "power":
            return y[1].number.numerator % 2 == 0 or y[1].number.denominator % 2 == 0 or is_nonnegative(y[0])
        case "maximum" | "logaddexp":
            return any(map(is_nonnegative, y))
        case "where":
            return is_nonnegative(y[1]) and is_nonnegative(y[2])
    return node.operation in _NEVER_NEGATIVE or (node.operation in _SIGN_OF_ARGUMENT and is_nonnegative(y[0]))


def _without_sign_keepers(node: Node) -> Node:
    while node.operation in _SIGN_OF_ARGUMENT or (node.operation == "power" and node.operands[1].number % 2 == 1):
        node = node.operands[0]
    return node
