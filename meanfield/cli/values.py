"""Values as they are written on the command line: numbers, ranges, and pairs of normalisations."""

from __future__ import annotations

import click
import numpy as np

from ..normalization import HiddenNormalization, OutputNormalization

_LONGEST = 10_000
"""Values in a range: more are a slip of the keyboard."""


def read_numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    """Read numbers and ranges separated by commas: a:b:n of n equidistant values, a:b:n:log of n by equal factors."""
    if value is None:
        return None
    try:
        return numbers_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def numbers_of(text: str) -> tuple[float, ...]:
    """Return the numbers of a text such as "0.5,1:4:7" or "100:10000:3:log".

    Raises
    ------
    ValueError
        For anything else, with a message that says what it must be.

    Examples
    --------
    >>> numbers_of("0.5,1:4:4"), [round(x) for x in numbers_of("1:100:3:log")]
    ((0.5, 1.0, 2.0, 3.0, 4.0), [1, 10, 100])
    """
    try:
        return tuple(number for part in text.split(",") for number in _range(part))
    except ValueError:
        expected = f"numbers or ranges a:b:n or a:b:n:log (2 <= n <= {_LONGEST}) separated by commas"
        raise ValueError(f"it must be {expected}, got {text!r}") from None


def _range(text: str) -> list[float]:
    if ":" not in text:
        return [float(text)]
    first, last, count, *scale = text.split(":")
    ends = float(first), float(last)
    if not 2 <= int(count) <= _LONGEST or not np.isfinite(ends).all() or scale not in ([], ["log"]):
        raise ValueError
    if not scale:
        return [float(number) for number in np.linspace(*ends, int(count))]
    if min(ends) <= 0:
        raise ValueError
    return [float(number) for number in np.geomspace(*ends, int(count))]


def read_integers(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """Read integers separated by commas."""
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        message = f"it must be integers separated by commas, got {value!r}"
        raise click.BadParameter(message, context, parameter) from None


def read_normalizations(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> list[tuple[str, str]] | None:
    """Read pairs hidden/output, separated by commas."""
    if value is None:
        return None
    pairs = []
    for part in value.split(","):
        hidden, _, output = part.partition("/")
        if hidden not in list(HiddenNormalization) or output not in list(OutputNormalization):
            hiddens, outputs = (", ".join(kinds) for kinds in (HiddenNormalization, OutputNormalization))
            message = f"it must be pairs hidden/output (hidden {hiddens}; output {outputs}), got {part!r}"
            raise click.BadParameter(message, context, parameter)
        pairs.append((hidden, output))
    return pairs
