"""A tree as a list of steps: by NumPy for arrays of floats, and by mpmath for one number at many digits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .tree import Node

Step = tuple[str, tuple[int, ...], float]

_GUARD = 10
"""Digits beyond those asked for."""

BLOCK = 1 << 15
"""How many numbers go through the steps at once, so that the intermediate results stay small."""


def _sech(y: Any) -> Any:
    t = np.exp(-np.abs(y))
    return 2 * t / (1 + t * t)


def _logcosh(y: Any) -> Any:
    small = np.log1p(2 * np.sinh(np.minimum(np.abs(y), 1) / 2) ** 2)
    return np.where(np.abs(y) < 1, small, np.abs(y) + np.log1p(np.exp(-2 * np.abs(y))) - math.log(2))


def _logaddexp(a: Any, b: Any) -> Any:
    return np.maximum(a, b) + np.log1p(np.exp(-np.abs(a - b)))


def _squareplus(y: Any, c: Any) -> Any:
    root = np.hypot(y, np.sqrt(c))
    return np.where(y > 0, y + root, c / (root - np.minimum(y, 0)))


def _product(*factors: Any) -> Any:
    """Multiply; a factor that has vanished below the smallest float wins over one that has grown beyond the largest."""
    product = math.prod(factors[1:], start=np.asarray(factors[0]))
    if np.isfinite(product).all():
        return product
    undefined = np.any([np.broadcast_to(np.isnan(factor), product.shape) for factor in factors], axis=0)
    return np.where(np.isnan(product) & ~undefined, 0.0, product)


def _power(base: Any, exponent: Any) -> Any:
    special_cases: dict[float, Callable[[Any], Any]] = {2.0: np.square, 0.5: np.sqrt, -1.0: np.reciprocal}
    if exponent in special_cases:
        return special_cases[float(exponent)](np.asarray(base, dtype=np.float64))
    return np.power(np.asarray(base, dtype=np.float64), exponent)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": lambda *terms: sum(terms[1:], start=terms[0]),
    "multiply": _product,
    "power": _power,
    "where": np.where,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "and": lambda *y: np.logical_and.reduce(np.broadcast_arrays(*y)),
    "or": lambda *y: np.logical_or.reduce(np.broadcast_arrays(*y)),
    "not": np.logical_not,
    "true": lambda: np.True_,
    "false": lambda: np.False_,
    "nowhere": lambda: np.nan,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "logaddexp": _logaddexp,
    "squareplus": _squareplus,
    "logcosh": _logcosh,
    "sech": _sech,
    "sigmoid": special.expit,
    "step": lambda y: np.heaviside(y, 0.5),
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "erf": special.erf,
    "erfc": special.erfc,
    **{name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "sin", "cos", "sinh", "cosh", "tanh")},
    **{name: getattr(np, name) for name in ("abs", "sign")},
}


@dataclass(frozen=True)
class Program:
    """A formula of one variable, for arrays of any shape; plain data, so that it travels to other processes.

    Parameters
    ----------
    steps : tuple
        Operation, places of the operands among the earlier steps, and a number for constants; the last is the result.

    Examples
    --------
    >>> Program((("variable", (), 0.0), ("tanh", (0,), 0.0), ("multiply", (0, 1), 0.0)))(np.array([-800.0, 0.0]))
    array([800.,   0.])
    """

    steps: tuple[Step, ...]

    def __call__(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate at every entry; what overflows in a branch that is not taken makes no noise."""
        flat = np.ravel(u)
        result = np.empty(flat.shape)
        with np.errstate(all="ignore"):
            for start in range(0, flat.size, BLOCK):
                result[start : start + BLOCK] = self._block(flat[start : start + BLOCK])
        return result.reshape(np.shape(u))

    def _block(self, u: NDArray[np.float64]) -> Any:
        results: list[Any] = []
        for operation, places, constant in self.steps:
            if operation == "variable":
                results.append(u)
            elif operation == "number":
                results.append(constant)
            else:
                results.append(OPERATIONS[operation](*(results[place] for place in places)))
        return results[-1]


def compile_tree(node: Node) -> Program:
    """Return the steps of a tree, each distinct subtree once and each constant one correctly rounded."""
    steps: list[Step] = []
    places: dict[Node, int] = {}
    varies: dict[Node, bool] = {}
    for part in node.walk():
        varies[part] = part.operation == "variable" or any(varies[operand] for operand in part.operands)

    def place(part: Node) -> int:
        if part not in places:
            if varies[part] or part.operation in ("true", "false", "nowhere", "less", "less_equal"):
                step = (part.operation, tuple(place(operand) for operand in part.operands), 0.0)
            else:
                step = ("number", (), float(high_precision(part)(0)))
            steps.append(step)
            places[part] = len(steps) - 1
        return places[part]

    place(node)
    return Program(tuple(steps))


@dataclass(frozen=True)
class PreciseFormula:
    """A tree as a function of a number of mpmath, at that number's own precision; plain data, as a program is."""

    node: Node

    def __call__(self, u: Any) -> Any:
        """Evaluate at u."""
        return u.context.mpf(_evaluator(self.node, u.context.dps + _GUARD)(u))


@lru_cache(maxsize=64)
def _evaluator(node: Node, digits: int) -> Callable[[Any], Any]:
    return high_precision(node, digits)


def high_precision(node: Node, digits: int = 60) -> Callable[[Any], Any]:
    """Return the function by mpmath; nan where it is not real or not defined."""
    import mpmath

    context = mpmath.mp.clone()  # other users of mpmath keep their precision
    context.dps = digits
    table = _mpmath_operations(context)
    order = list(node.walk())

    def evaluate(u: Any) -> Any:
        results: dict[Node, Any] = {}
        for part in order:
            try:
                results[part] = _one(part, context.mpf(u), results, table, context)
            except (ZeroDivisionError, ValueError, OverflowError, TypeError):
                results[part] = context.nan
        return results[node]

    return evaluate


def _one(part: Node, u: Any, results: dict[Node, Any], table: dict[str, Callable[..., Any]], context: Any) -> Any:
    if part.operation == "variable":
        return u
    if part.operation == "number":
        return context.mpf(part.number.numerator) / part.number.denominator
    operands = [results[operand] for operand in part.operands]
    if part.operation == "power":
        value = _mpmath_power(context, operands[0], part.operands[1].number)
    else:
        value = table[part.operation](*operands)
    return context.nan if isinstance(value, context.mpc) else value


def _mpmath_power(context: Any, base: Any, exponent: Fraction) -> Any:
    if exponent.denominator == 1:
        return base ** int(exponent)
    return context.power(base, context.mpf(exponent.numerator) / exponent.denominator)


def _mpmath_operations(mp: Any) -> dict[str, Callable[..., Any]]:
    def exp(y: Any) -> Any:
        # beyond every float, in either direction, and cheap
        return mp.inf if y > 1e5 else mp.mpf(0) if y < -1e5 else mp.exp(y)

    def sign(y: Any) -> Any:
        return mp.nan if mp.isnan(y) else mp.sign(y)

    def product(factors: Sequence[Any]) -> Any:
        finite = [factor for factor in factors if not mp.isinf(factor)]
        return mp.mpf(0) if any(factor == 0 for factor in finite) and len(finite) < len(factors) else mp.fprod(factors)

    def tanh(y: Any) -> Any:
        return mp.sign(y) if abs(y) > 1e4 else mp.tanh(y)

    def even_exp(y: Any) -> Any:
        return exp(abs(y))

    return {
        "pi": lambda: +mp.pi,
        "add": lambda *terms: mp.fsum(terms),
        "multiply": lambda *factors: product(factors),
        "where": lambda test, a, b: a if test else b,
        "less": lambda a, b: a < b,
        "less_equal": lambda a, b: a <= b,
        "greater": lambda a, b: a > b,
        "greater_equal": lambda a, b: a >= b,
        "and": lambda *y: all(y),
        "or": lambda *y: any(y),
        "not": lambda y: not y,
        "true": lambda: True,
        "false": lambda: False,
        "nowhere": lambda: mp.nan,
        "maximum": lambda a, b: mp.nan if mp.isnan(a) or mp.isnan(b) else max(a, b),
        "minimum": lambda a, b: mp.nan if mp.isnan(a) or mp.isnan(b) else min(a, b),
        "logaddexp": lambda a, b: max(a, b) + mp.log1p(exp(-abs(a - b))),
        "squareplus": lambda y, c: y + mp.sqrt(y * y + c),
        "logcosh": lambda y: abs(y) + mp.log1p(exp(-2 * abs(y))) - mp.log(2),
        "sech": lambda y: 2 / (even_exp(y) + 1 / even_exp(y)),
        "sigmoid": lambda y: 1 / (1 + exp(-y)),
        "step": lambda y: (1 + sign(y)) / 2,
        "atan": mp.atan,
        "asinh": mp.asinh,
        "erf": mp.erf,
        "erfc": lambda y: mp.erfc(y) if y < 1e3 else mp.mpf(0),
        "exp": exp,
        "expm1": lambda y: exp(y) - 1,
        "log": mp.log,
        "log1p": lambda y: mp.log(1 + y),
        "sin": mp.sin,
        "cos": mp.cos,
        "sinh": lambda y: (exp(y) - exp(-y)) / 2,
        "cosh": lambda y: (exp(y) + exp(-y)) / 2,
        "tanh": tanh,
        "abs": abs,
        "sign": sign,
    }
