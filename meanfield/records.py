"""Records: the pair of one sample and two, and how records become plain data and small tables."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from tabulate import tabulate

from .functions import Activation

T = TypeVar("T")


class Pair(NamedTuple, Generic[T]):
    """A quantity for one input and for two different ones: the paper's subscripts t and st.

    Parameters
    ----------
    same : float or array
        The value where both arguments are the same sample (q_t, kappa_1, the diagonal of K).
    cross : float or array
        The value for two different samples (q_st, kappa_2, off the diagonal of K).

    Examples
    --------
    >>> kappa_1, kappa_2 = Pair(1.5, 0.34)
    >>> kappa_2
    0.34
    """

    same: T
    cross: T


def plain(record: object) -> Any:
    """Return a record as dictionaries, lists, numbers and strings, ready for JSON; infinity and NaN become null."""
    if isinstance(record, Enum):
        return record.value
    if isinstance(record, Activation):
        return record.name
    if isinstance(record, Pair):
        return {"same": plain(record.same), "cross": plain(record.cross)}
    if dataclasses.is_dataclass(record):
        return {field.name: plain(getattr(record, field.name)) for field in dataclasses.fields(record)}
    if isinstance(record, np.ndarray | np.generic):
        return plain(record.tolist())
    if isinstance(record, list | tuple):
        return [plain(item) for item in record]
    if isinstance(record, float) and not math.isfinite(record):
        return None
    return record


def table(rows: Iterable[Sequence[object]], headers: Sequence[str] = ()) -> str:
    """Return rows as aligned text; cells are printed as they are given."""
    aligned = ["left", *["right"] * (len(headers) - 1)] if headers else None
    return tabulate(
        [[str(cell) for cell in row] for row in rows],
        headers,
        tablefmt="plain",
        disable_numparse=True,
        colalign=aligned,
    )
