"""Activations from formulas: value and slope safe in floating point, with kinks, jumps, parity and sign derived."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import ParameterError
from ..formulas import (
    Node,
    PreciseFormula,
    Program,
    compile_tree,
    derivative,
    find_breaks,
    from_expression,
    is_nonnegative,
    parity,
    parse,
    prepare,
    safe,
)
from ..functions import Activation, Parity, ScalarFunction
from .accuracy import require_accurate


def from_sympy(expression: Any) -> Activation:
    """Return the activation that a formula describes.

    The slope is derived, and so are kinks, jumps, parity and non-negativity, each only where rules prove it. What
    overflows or cancels in floating point is rewritten (``log(1 + exp(x))`` as ``logaddexp(0, x)``, ``1 - tanh(x)**2``
    as ``sech(x)**2``, and so on). Value and slope are then compared with the formula itself at 400 digits, at some
    eighty places up to 10000 in absolute value.

    Parameters
    ----------
    expression : sympy.Expr or str
        In one real variable of any name; or its text, which is never evaluated as Python: numbers, ``pi``, ``E``,
        ``+ - * / **``, parentheses and a fixed list of functions. Decimal numbers are taken exactly.

    Returns
    -------
    Activation
        Its name is the text, from which the same activation can be made again. At a place where value or slope jump
        it has one of the values beside it, or their mean.

    Raises
    ------
    ParameterError
        For a text that does not read as a formula, and for a formula that is complex, infinite or undefined somewhere,
        or that loses its digits in floating point.

    Examples
    --------
    >>> mish = from_sympy("x*tanh(log(1+exp(x)))")
    >>> mish([-800.0, 0.0, 800.0])
    array([ -0.,   0., 800.])
    >>> from_sympy("abs(x - 1)").value.kinks
    (1.0,)
    """
    if isinstance(expression, str):
        return _from_text(" ".join(expression.split()))
    prepared = prepare(expression)
    for name in (str(expression), str(prepared)):
        try:
            if prepare(parse(name)) == prepared:
                return _from_text(name)
        except ParameterError:
            pass
    return _activation(str(prepared), prepared)


@lru_cache(maxsize=256)
def _from_text(text: str) -> Activation:
    return _activation(text, prepare(parse(text)))


def _activation(name: str, expression: Any) -> Activation:
    try:
        node = from_expression(safe(expression))
        slope = derivative(node)
        breaks = find_breaks(node)
        value_program, slope_program = compile_tree(node), compile_tree(slope)
        require_accurate(
            from_expression(expression),
            value_program,
            slope_program,
            breaks=(*breaks.kinks, *breaks.jumps),
        )
    except RecursionError:
        raise ParameterError("expression", "less deeply nested", f"{name:.100}") from None
    value_parity = _cross_checked(parity(node), value_program)
    slope_parity = _cross_checked(value_parity.opposite if value_parity else parity(slope), slope_program)
    return Activation(
        "x" if name.isidentifier() else name,
        ScalarFunction(
            value_program,
            kinks=breaks.kinks,
            jumps=breaks.jumps,
            parity=value_parity,
            nonnegative=_cross_checked_sign(node, value_program),
            precise=PreciseFormula(node),
        ),
        ScalarFunction(
            slope_program,
            kinks=breaks.slope_kinks,
            jumps=breaks.slope_jumps,
            parity=slope_parity,
            nonnegative=_cross_checked_sign(slope, slope_program),
            precise=PreciseFormula(slope),
        ),
    )


_SAMPLE = np.concatenate([np.geomspace(1e-8, 1e4, 500), np.linspace(0.0123, 40, 500)])


def _cross_checked(claimed: Parity | None, f: Program) -> Parity | None:
    """Return a proven parity if the computed values have it too, to rounding."""
    if claimed is None:
        return None
    right, left = f(_SAMPLE), f(-_SAMPLE)
    same = np.isclose(right, claimed.value * left, rtol=1e-12, atol=1e-300)
    return claimed if same.all() else None


def _cross_checked_sign(node: Node, f: Program) -> bool:
    return is_nonnegative(node) and bool((f(np.concatenate([-_SAMPLE, [0.0], _SAMPLE])) >= 0).all())
