"""From the docstrings of this project to reStructuredText: their formulas are plain text, and should look like it."""

from __future__ import annotations

import re

_LITERAL = re.compile(r"(``.+?``|:[\w:]+:`[^`]+`|`[^`]+`_?)")
_EQUATIONS = re.compile(r"^Equations: (?P<which>.+)$")


def process(app: object, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Mend a docstring in place: a listener of ``autodoc-process-docstring``."""
    lines[:] = mended(lines)
    if what in ("attribute", "data", "property") and ":" in lines[0]:
        lines[0] = f":{lines[0]}"  # napoleon takes what stands before the first colon for a type: let that be nothing


def mended(lines: list[str]) -> list[str]:
    r"""Return a docstring with its formulas as literal blocks, and its equations as a section with a link.

    A formula is what is indented further than the paragraph above it, after an empty line.

    Examples
    --------
    >>> mended(["With |c| < 1,", "", "    F* = 1 - |c|,", "", "Equations: (5)"])[:4]
    ['With \\|c\\| < 1,', '', '::', '']
    >>> mended(["Equations: (5), (7)"])
    ['Equations', '---------', ':doc:`(5), (7) </reference/equation_map>`']
    """
    found: list[str] = []
    paragraph = 0  # how far the last paragraph was indented
    formula = False
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if not line.strip():
            found.append(line)
            continue
        if formula and indent <= paragraph:
            formula = False
        if not formula and found and number and not lines[number - 1].strip() and indent > paragraph:
            formula = True
            found += [" " * paragraph + "::", ""]
        equations = _EQUATIONS.match(line)
        if formula:
            found.append(line)
            continue
        paragraph = indent
        if equations:
            found += ["Equations", "---------", f":doc:`{equations['which']} </reference/equation_map>`"]
        elif line.lstrip().startswith((">>>", "...")):
            found.append(line)
        else:
            found.append(escaped(line))
    return found


def escaped(line: str) -> str:
    r"""Return a line of text in which bars, stars and trailing underscores stand for themselves.

    Examples
    --------
    >>> print(escaped("E phi_- of F*, ``a*b`` and *this*"))
    E phi\_- of F\*, ``a*b`` and *this*
    """
    parts = _LITERAL.split(line)
    parts[::2] = [_escaped(part) for part in parts[::2]]
    return "".join(parts)


def _escaped(text: str) -> str:
    text = re.sub(r"(?<!\\)\|", r"\\|", text)
    text = re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)
    text = re.sub(r"(?<= )\.\.(?= )", "…", text)  # a sentence would end there
    pieces = re.split(r"((?<![\w*])\*[^\s*](?:[^*]*[^\s*])?\*(?![\w*]))", text)  # *emphasis* is meant
    pieces[::2] = [re.sub(r"(?<!\\)\*", r"\\*", piece) for piece in pieces[::2]]
    return "".join(pieces)
