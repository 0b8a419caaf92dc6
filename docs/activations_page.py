"""The page of activations: what the catalogue declares of each, and its closed forms."""

from __future__ import annotations

import re
from typing import Any

import sympy
from closed_forms import ABBREVIATIONS, CATALOGUE, Entry, Integrals

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
    """Return a formula in lines: a long sum has one for every few of its terms."""
    whole = latex(expression)
    factors = expression.as_ordered_factors() if hasattr(expression, "as_ordered_factors") else []
    if len(whole) < LONG or not (isinstance(expression, sympy.Add) or (factors and factors[-1].is_Add)):
        return [whole]
    inner = expression if isinstance(expression, sympy.Add) else factors[-1]
    lines, line = [], ""
    for term in inner.as_ordered_terms():
        text = latex(term)
        text = text if text.startswith("-") else f"+ {text}"
        if line and len(line) + len(text) > LONG:
            lines, line = [*lines, line], text
        else:
            line = f"{line} {text}".strip()
    lines.append(line)
    lines[0] = lines[0].removeprefix("+ ")
    if inner is not expression:
        lines[0] = rf"{latex(expression / inner)} \Bigl[ {lines[0]}"
        lines[-1] += r" \Bigr]"
    return lines


LONG = 330
"""Characters of LaTeX that still fit a line, about."""


_ARGUMENT = r"((?:[^{}]|\{[^{}]*\})*)"
_TWO_ROOTS = re.compile(rf"\\sqrt\{{{_ARGUMENT}\}} \\sqrt\{{{_ARGUMENT}\}}")
_RATIO_OF_ROOTS = re.compile(rf"\\frac\{{\\sqrt\{{{_ARGUMENT}\}}\}}\{{\\sqrt\{{{_ARGUMENT}\}}\}}")
_HERMITE = re.compile(r"\\operatorname\{He\}\{\\left\((n|n - 1),u \\right\)\}")


def latex(expression: Any) -> str:
    """Return the LaTeX of a formula, with the usual names, and with one root for a product of roots."""
    text = sympy.latex(expression, inv_trig_style="full", long_frac_ratio=3)
    text = _HERMITE.sub(r"He_{\1}(u)", text)
    text = text.replace(r"\text{for}\: n \bmod 2 = 0", r"\text{for even } n")
    while _TWO_ROOTS.search(text):
        text = _TWO_ROOTS.sub(lambda roots: rf"\sqrt{{{_factor(roots[1])} {_factor(roots[2])}}}", text)
    return _RATIO_OF_ROOTS.sub(r"\\sqrt{\\frac{\1}{\2}}", text)


def _factor(text: str) -> str:
    return rf"\left({text}\right)" if re.search(" [+-] ", text) else text


def _display(rows: list[str]) -> str:
    joined = " \\\\\n".join(rows)
    return f"$$\n\\begin{{aligned}}\n{joined}\n\\end{{aligned}}\n$$\n"
