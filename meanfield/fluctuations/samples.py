"""Order parameters by name, and the pairs of the four samples that two of them can hold."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..errors import ParameterError, require_choice, require_integer, require_sequence

SAMPLES = 4
"""Two order parameters see at most so many samples; what holds for these holds for all, by exchangeability."""

FIRST = np.array([0, 1, 2, 3, 0, 0, 0, 1, 1, 2])
SECOND = np.array([0, 1, 2, 3, 1, 2, 3, 2, 3, 3])
"""The ten pairs a <= b of four samples: the four of a sample with itself come first."""

PAIRS = list(zip(FIRST.tolist(), SECOND.tolist(), strict=True))

INDEX = np.zeros((SAMPLES, SAMPLES), dtype=int)
"""The number of the pair a, b, in either order."""
INDEX[FIRST, SECOND] = INDEX[SECOND, FIRST] = np.arange(len(PAIRS))

IS_SAME = FIRST == SECOND


class Kind(StrEnum):
    """The three kinds of order parameters, in the words of :class:`OrderParameters`."""

    ACTIVITY = "activity"
    """qhat^l, l = 0 .. L-1."""
    PREACTIVATION = "preactivation"
    """q^l, l = 1 .. L."""
    SENSITIVITY = "sensitivity"
    """qtilde^l, l = 1 .. L."""

    @classmethod
    def _missing_(cls, value: object) -> Kind | None:
        """Understand the symbols that tables print."""
        return {"qhat": cls.ACTIVITY, "q": cls.PREACTIVATION, "qtilde": cls.SENSITIVITY}.get(str(value))


@dataclass(frozen=True, init=False)
class OrderParameter:
    """One order parameter of a finite network: of one layer, and of one sample or a pair of samples.

    Parameters
    ----------
    kind : str
        "activity" (or "qhat"), "preactivation" ("q", the mean over units of u(s) u(t)) or "sensitivity" ("qtilde").
    layer : int
        l = 0 .. L-1 of an activity, 1 .. L-1 of a pre-activation, 1 .. L of a sensitivity.
    samples : sequence of two labels
        Which samples: "tt" or "st", or any other labels, as (3, 7). Where two order parameters are compared, equal
        labels are the same sample.
    output : int
        Of a sensitivity: whose gradient it is, 0 .. C-1.

    Examples
    --------
    >>> OrderParameter("sensitivity", 1, "st")
    OrderParameter(kind=<Kind.SENSITIVITY: 'sensitivity'>, layer=1, samples=('s', 't'), output=0)
    """

    kind: Kind
    layer: int
    samples: tuple[Hashable, Hashable]
    output: int

    # The signature takes what is convenient to write.
    def __init__(self, kind: Kind | str, layer: int, samples: Sequence[Hashable], output: int = 0) -> None:
        labels = labels_of(samples)
        object.__setattr__(self, "kind", require_choice("kind", kind, Kind))
        object.__setattr__(self, "layer", require_integer("layer", layer, at_least=0))
        object.__setattr__(self, "samples", labels)
        object.__setattr__(self, "output", require_integer("output", output, at_least=0))


def labels_of(samples: Sequence[Hashable]) -> tuple[Hashable, Hashable]:
    """Return the two labels of a pair of samples; a text of two letters is one for each."""
    labels = tuple(samples) if isinstance(samples, str) else require_sequence("samples", samples)
    if len(labels) != 2:
        raise ParameterError("samples", 'two labels, such as "st" or (0, 1)', repr(samples))
    return labels[0], labels[1]


def numbers_of(*pairs: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return pairs of labels as pairs of numbers 0 .. 3, equal ones for equal labels.

    Examples
    --------
    >>> numbers_of("st", "tu")
    [(0, 1), (1, 2)]
    """
    numbers: dict[Hashable, int] = {}
    labels = [labels_of(pair) for pair in pairs]
    for label in [label for pair in labels for label in pair]:
        numbers.setdefault(label, len(numbers))
    return [(numbers[a], numbers[b]) for a, b in labels]
