"""How records become plain data and small tables."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

import numpy as np
from tabulate import tabulate

from .functions import Activation


def plain(record: object) -> Any:
    """Return a record as dictionaries, lists, numbers and strings, ready for JSON; infinity and NaN become null."""
    if isinstance(record, Enum | Activation):
        return record.value if isinstance(record, Enum) else record.name
    if dataclasses.is_dataclass(record):
        return {field.name: plain(getattr(record, field.name)) for field in dataclasses.fields(record)}
    if hasattr(record, "_asdict"):  # a Pair
        return {name: plain(value) for name, value in record._asdict().items()}
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
