"""Records as text that gives every bit back: JSON, with the name of the type wherever it is not JSON's own."""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from meanfield import (
    Bounds,
    Eigenspace,
    EigenvalueStatistics,
    OrderParameters,
    Pair,
    ParameterError,
    ReadoutScales,
    Regime,
)
from meanfield.eigenvalues import Correction

Kind = TypeVar("Kind", bound=type)

RECORDS: dict[str, type] = {}
"""The types that may be stored, by their names: dataclasses and named tuples."""

_TYPE = "$"
"""The key under which the name of a type is written."""


def register(kind: Kind) -> Kind:
    """Let records of a type be stored; a decorator for the class.

    Parameters
    ----------
    kind : type
        A dataclass or a named tuple whose fields are numbers, text, None, arrays of numbers, lists, tuples,
        dictionaries with text as keys, and registered types.

    Raises
    ------
    ParameterError
        For another type, and for a second one of the same name.

    Examples
    --------
    >>> @register
    ... @dataclasses.dataclass(frozen=True)
    ... class Exponent:
    ...     value: float
    >>> decode(encode(Exponent(0.1)))
    Exponent(value=0.1)
    """
    if not isinstance(kind, type):
        raise ParameterError("kind", "a dataclass or a named tuple", repr(kind))
    if not (dataclasses.is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))):
        raise ParameterError("kind", "a dataclass or a named tuple", kind.__name__)
    taken = RECORDS.get(kind.__name__, kind)
    again = (taken.__module__, taken.__qualname__) == (kind.__module__, kind.__qualname__)  # of a module run twice
    if kind.__name__ in _TAGS or not again:
        raise ParameterError("kind", "of a name that is not taken", kind.__name__)
    RECORDS[kind.__name__] = kind
    return kind


def encode(record: object) -> str:
    """Return a record as JSON.

    Finite numbers are written with as many digits as tell them apart from all others, infinity by its name, and NaN by
    its bits.

    Raises
    ------
    ParameterError
        For a type that is not registered, and for what contains itself or integers of thousands of digits.

    Examples
    --------
    >>> encode((0.1, math.inf))
    '{"$":"tuple","items":[0.1,{"$":"float","value":"inf"}]}'
    """
    try:
        return json.dumps(_to_json(record), allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError("record", "made of numbers and parts that JSON can hold", str(error)) from None


def decode(text: str) -> Any:
    """Return the record that :func:`encode` wrote, bit for bit.

    Raises
    ------
    ParameterError
        For text that it did not write, and for a type that is not registered or has other fields now.
    """
    try:
        return _from_json(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, struct.error) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError("record", "what encode wrote", f"{text[:40]!r}.. ({error})") from error


def flatten(record: object, prefix: str = "") -> dict[str, Any]:
    """Return the numbers and the text of a record under the paths that lead to them; None and what is empty has none.

    Examples
    --------
    >>> flatten(Bounds(1.0, 2.0), "largest")
    {'largest.lower': 1.0, 'largest.upper': 2.0}
    """
    if isinstance(record, np.ndarray | np.generic):
        record = record.tolist()
    if record is None:
        return {}
    items = _items(record)
    if items is None:
        return {prefix: record}
    flat: dict[str, Any] = {}
    for name, value in items.items():
        flat |= flatten(value, f"{prefix}.{name}" if prefix else str(name))
    return flat


def _items(record: object) -> Mapping[Any, Any] | None:
    """Return what a record consists of, by name or by number; None if it is a single thing."""
    if isinstance(record, Mapping):
        return record
    if dataclasses.is_dataclass(record) or hasattr(record, "_fields"):
        return _fields(record)
    return dict(enumerate(record)) if isinstance(record, list | tuple) else None


def _fields(record: Any) -> dict[str, Any]:
    names = [f.name for f in dataclasses.fields(record)] if dataclasses.is_dataclass(record) else record._fields
    return {name: getattr(record, name) for name in names}


def _to_json(value: Any) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
        return value
    if kind is list:
        return [_to_json(item) for item in value]
    if kind is dict and all(type(key) is str and key != _TYPE for key in value):
        return {key: _to_json(item) for key, item in value.items()}
    name = _NAMES.get(np.generic if isinstance(value, np.generic) else kind)
    if name is not None:
        return {_TYPE: name, **_TAGS[name].write(value)}
    if RECORDS.get(kind.__name__) is kind:
        return {_TYPE: kind.__name__, **{name: _to_json(item) for name, item in _fields(value).items()}}
    raise ParameterError("record", "of a registered type (montecarlo.codec.register), and so all that is in it", kind)


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _TYPE not in value:
        return {key: _from_json(item) for key, item in value.items()}
    name = value.pop(_TYPE)
    if name in _TAGS:
        return _TAGS[name].read(value)
    if name not in RECORDS:
        raise ParameterError("record", "of a registered type: " + ", ".join(RECORDS), repr(name))
    return RECORDS[name](**{key: _from_json(item) for key, item in value.items()})


def _write_float(value: float) -> dict[str, Any]:
    return {"value": struct.pack(">d", value).hex() if math.isnan(value) else str(value)}


def _read_float(data: dict[str, Any]) -> float:
    text = data["value"]
    return float(text) if text.endswith("inf") else float(struct.unpack(">d", bytes.fromhex(text))[0])


def _write_array(value: Any) -> dict[str, Any]:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ParameterError("record", "of arrays of numbers of at most 64 bits", array.dtype)
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "values": [_to_json(item) for item in array.ravel().tolist()],
    }


def _read_array(data: dict[str, Any]) -> Any:
    return np.array([_from_json(item) for item in data["values"]], dtype=data["dtype"]).reshape(data["shape"])


def _write_tuple(value: tuple[Any, ...]) -> dict[str, Any]:
    return {"items": [_to_json(item) for item in value]}


def _read_tuple(data: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(_from_json(item) for item in data["items"])


class _Tag(NamedTuple):
    """A type that is neither JSON's own nor a record."""

    kind: type
    write: Callable[[Any], dict[str, Any]]
    read: Callable[[dict[str, Any]], Any]


_TAGS = {
    "float": _Tag(float, _write_float, _read_float),  # those that JSON does not have
    "tuple": _Tag(tuple, _write_tuple, _read_tuple),
    "array": _Tag(np.ndarray, _write_array, _read_array),
    "scalar": _Tag(np.generic, _write_array, lambda data: _read_array(data)[()]),
    "Regime": _Tag(Regime, lambda regime: {"value": regime.value}, lambda data: Regime(data["value"])),
}
"""By the names under which they are written."""

_NAMES = {tag.kind: name for name, tag in _TAGS.items()}

for _kind in (Bounds, Correction, Eigenspace, EigenvalueStatistics, OrderParameters, Pair, ReadoutScales):
    register(_kind)
