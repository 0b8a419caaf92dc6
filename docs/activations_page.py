"""The page of activations: what the catalogue declares of each, and its closed forms."""

from __future__ import annotations

import re
from typing import Any

import sympy
from closed_forms import ABBREVIATIONS, CATALOGUE, Entry, Integrals
from sympy.printing.latex import LatexPrinter

import meanfield as mf
from meanfield.activations import BY_NAME, FAMILIES

HEAD = r"""# Every activation, with its closed forms

For Gaussian $u$ and $v$ with variances $q_s$, $q_t$ and covariance $q_{st}$; $q$ is the variance of $u$ where there is
only one. A test evaluates every formula of this page beside the library, which arranges the same for floating point.
What has no closed form is integrated to the same accuracy. Kinks, jumps, strip and parity are what the catalogue
declares: numerical integration splits at kinks and jumps, the strip is the distance from the real axis up to which the
function is analytic, and of the size that it has on the axis.

In the overlaps

"""

WEDGE = r"""
$\operatorname{erfcx}(x) = e^{x^2} \operatorname{erfc}(x)$, $T$ is Owen's function, $\Phi$ the normal distribution
function, and

$$
W(h, x) = \frac{1}{2\pi} \int_x^{\pi/2} r(h \sin t)\, dt, \qquad
r(y) = 1 - \sqrt{\pi/2}\, y \operatorname{erfcx}(y/\sqrt 2)
$$

the mass of a wedge.
"""

NOTES = {
    "elu": r"with $\lambda = \alpha = 1$.",
    "selu": r"with $\lambda = 1.0507009873554805$, $\alpha = 1.6732632423543772$: $q = 1$ is a fixed point.",
    "leaky_relu": r"`mf.leaky_relu(p)`, for any slope $p$.",
    "monomial": r"`mf.monomial(n)`, $n$ from 1 to 20.",
    "hermite": r"`mf.hermite(n)`, $n$ from 1 to 20, with the probabilists' polynomials $He_n$.",
    "hard_tanh": r"The mass of the square $|u|, |v| < 1$ is that of eight triangles, two of each kind.",
}
"""What the formulas leave to be said."""


def activations() -> str:
    """Return the page."""
    parts = [HEAD + _display([rf"{latex(short)} &= {latex(long)}" for short, long in ABBREVIATIONS.items()]) + WEDGE]
    for name in sorted(CATALOGUE):
        phi = BY_NAME[name] if name in BY_NAME else FAMILIES[name].make(FAMILIES[name].example)
        parts.append(_section(name, CATALOGUE[name], phi))
    return "\n".join(parts)


def _section(name: str, entry: Entry, phi: mf.Activation) -> str:
    formulas = _display([rf"\phi(u) &= {latex(entry.formula)}", rf"\phi'(u) &= {latex(entry.derivative)}"])
    declared = "\n".join(f"| {part} | {_declared(f)} |" for part, f in (("value", phi.value), ("slope", phi.slope)))
    if name in FAMILIES:
        declared += f"\n\nDeclared of `{phi.name}`."
    table = f"| | kinks | jumps | parity | strip | nowhere negative |\n|---|---|---|---|---|---|\n{declared}\n"
    known = _integrals(r"\phi", entry.value) + _integrals(r"\phi'", entry.slope)
    closed = _display(known) if known else "No closed forms.\n"
    source = {f.closed_form.source for f in (phi.value, phi.slope) if f.closed_form}
    where = f"Source: {'; '.join(sorted(source))}.\n" if source else ""
    return f"## {name}\n\n{NOTES.get(name, '')}\n\n{formulas}\n{table}\n{closed}\n{where}"


def _declared(f: mf.ScalarFunction) -> str:
    places = [", ".join(f"{place:g}" for place in some) or "none" for some in (f.kinks, f.jumps)]
    parity = f.parity.name.lower() if f.parity else "none"
    return " | ".join(
        [*places, parity, f"{f.strip:.3g}" if f.strip else "none", "yes" if f.nonnegative else "not said"]
    )


def _integrals(f: str, integrals: Integrals) -> list[str]:
    left = {"mean": rf"E\,{f}(u)", "second_moment": rf"E\,{f}(u)^2", "overlap": rf"E\,{f}(u) {f}(v)"}
    rows = []
    for name in integrals.known:
        terms = _terms(getattr(integrals, name))
        rows.append(f"{left[name]} &= " + r" \\ &\quad ".join(terms))
    return rows


def _terms(expression: Any) -> list[str]:
    """Return a formula in lines: a sum that is too long for one has several."""
    factor, inner = _bracket(expression)
    if visible(latex(expression)) <= WIDEST or inner is None:
        return [latex(expression)]
    lines: list[str] = []
    for term in _flat(inner):
        text = latex(term)
        text = text if text.startswith("-") else f"+ {text}"
        if lines and visible(lines[-1] + text) <= WIDEST:
            lines[-1] += f" {text}"
        else:
            lines.append(text)
    lines[0] = lines[0].removeprefix("+ ")
    if factor != 1:
        lines[0] = rf"{latex(factor)} \Bigl[ {lines[0]}"
        lines[-1] += r" \Bigr]"
    return lines


def _bracket(expression: Any) -> tuple[Any, Any]:
    """Return factor and sum of a product that has a sum, or 1 and the sum."""
    if isinstance(expression, sympy.Add):
        return sympy.Integer(1), expression
    sums = [factor for factor in sympy.Mul.make_args(expression) if isinstance(factor, sympy.Add)]
    return (expression / sums[-1], sums[-1]) if sums else (expression, None)


def _flat(expression: Any) -> list[Any]:
    """Return the terms of a sum, those that are too long for a line multiplied out."""
    terms = []
    for term in expression.as_ordered_terms():
        factor, inner = _bracket(term)
        long = inner is not None and visible(latex(term)) > WIDEST / 2
        terms += [sympy.Mul(factor, one) for one in _flat(inner)] if long else [term]
    return terms


WIDEST = 42
"""Signs in a line."""


def visible(text: str) -> int:
    """Return how many signs LaTeX makes, about: a fraction is as wide as the wider of its parts."""
    fractions = re.compile(rf"\\frac\{{{_ARGUMENT}\}}\{{{_ARGUMENT}\}}")
    while fractions.search(text):
        text = fractions.sub(lambda parts: max(parts[1], parts[2], key=visible), text)
    text = re.sub(r"\\(?:left|right|quad|sqrt|Bigl|Bigr)|\\operatorname|[{}_^\s]", "", text)
    text = re.sub(r"\\(arc\w\w\w|sinh|cosh|erfc?)", r"\1", text)  # of others the name is not what is seen
    return len(re.sub(r"\\[a-zA-Z]+", "x", text))


class _Printer(LatexPrinter):
    """LaTeX with what is added before what is subtracted."""

    def _print_Add(self, expr: Any, order: Any = None) -> str:
        terms = self._as_ordered_terms(expr, order=order)
        text = ""
        for term in sorted(terms, key=lambda term: term.could_extract_minus_sign()):
            minus = bool(text) and term.could_extract_minus_sign()
            printed = self._print(-term if minus else term)
            if self._needs_add_brackets(-term if minus else term):
                printed = rf"\left({printed}\right)"
            text += (" - " if minus else " + " if text else "") + printed
        return text


_INNER = r"(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*"
_ARGUMENT = rf"({_INNER})"
_BELOW = rf"\{{2 ([^{{}}]*?)\\sqrt\{{{_ARGUMENT}\}}\}}"
_REWRITTEN = [
    (r"\\operatorname\{He\}\{\\left\((n|n - 1),u \\right\)\}", r"He_{\1}(u)"),
    (r"\\text\{for\}\\: n \\bmod 2 = 0", r"\\text{for even } n"),
    (r"\\text\{for\}\\: \\left\(n [-+] 1\\right\) \\bmod 2 = 0", r"\\text{for odd } n"),
    (rf"\\frac\{{\\sqrt\{{{_ARGUMENT}\}}\}}\{{\\sqrt\{{{_ARGUMENT}\}}\}}", r"\\sqrt{\\frac{\1}{\2}}"),
    # sqrt(2 A)/(2 sqrt(B)), sqrt(2 A)/2, sqrt(2)/(2 C sqrt(B)), sqrt(2) N/(2 C sqrt(B))
    (rf"\\frac\{{\\sqrt\{{2 {_ARGUMENT}\}}\}}\{{2 \\sqrt\{{{_ARGUMENT}\}}\}}", r"\\sqrt{\\frac{\1}{2 \2}}"),
    (rf"\\frac\{{\\sqrt\{{2 {_ARGUMENT}\}}\}}\{{2\}}", r"\\sqrt{\\frac{\1}{2}}"),
    (rf"\\frac\{{\\sqrt\{{2\}}\}}{_BELOW}", r"\\frac{1}{\1\\sqrt{2 \2}}"),
    (rf"\\frac\{{\\sqrt\{{2\}} {_ARGUMENT}\}}{_BELOW}", r"\\frac{\1}{\2\\sqrt{2 \3}}"),
    (r"\\frac\{\\left\(([^()]*)\\right\)\}", r"\\frac{\1}"),
]
"""What is written otherwise, as regular expressions."""
_TWO_ROOTS = re.compile(rf"\\sqrt\{{{_ARGUMENT}\}} \\sqrt\{{{_ARGUMENT}\}}")


def latex(expression: Any) -> str:
    """Return the LaTeX of a formula, with the usual names, and with one root for a product of roots."""
    text = _Printer({"inv_trig_style": "full", "long_frac_ratio": 3}).doprint(expression)
    while _TWO_ROOTS.search(text):
        text = _TWO_ROOTS.sub(lambda roots: rf"\sqrt{{{_factor(roots[1])} {_factor(roots[2])}}}", text)
    for printed, wanted in _REWRITTEN:
        text = re.sub(printed, wanted, text)
    return text


def _factor(text: str) -> str:
    return rf"\left({text}\right)" if re.search(" [+-] ", text) else text


def _display(rows: list[str]) -> str:
    joined = " \\\\\n".join(rows)
    return f"$$\n\\begin{{aligned}}\n{joined}\n\\end{{aligned}}\n$$\n"
