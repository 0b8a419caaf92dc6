"""Formulas in one variable: read from text, made safe in floating point, differentiated, evaluated.

The way is text (``parse``) -> SymPy, where cancelling and overflowing forms are recognised (``rewrite``) -> a small
tree with its own derivatives and provable properties (``tree``) -> steps of NumPy functions (``program``), with the
places where the formula is not smooth (``breaks``). Nothing is ever evaluated as Python, and SymPy and mpmath are
imported only when a formula is made: evaluating one needs neither.
"""

from .breaks import Breaks, find_breaks
from .parse import ACCEPTED, parse
from .program import PreciseFormula, Program, compile_tree, high_precision
from .rewrite import prepare, safe
from .tree import Node, derivative, from_expression, is_nonnegative, parity

__all__ = [
    "ACCEPTED",
    "Breaks",
    "Node",
    "PreciseFormula",
    "Program",
    "compile_tree",
    "derivative",
    "find_breaks",
    "from_expression",
    "high_precision",
    "is_nonnegative",
    "parity",
    "parse",
    "prepare",
    "safe",
]
