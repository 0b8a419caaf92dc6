"""What a member's bits depend on, as plain data: a store goes on only with the experiment that it was begun with."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np

from meanfield import Activation, ParameterError

_NEAR = 8 * (np.arange(1, 400) * 0.6180339887498949 % 1) - 4
_FAR = np.array([-20.0, -15, -11, -8, -6, -5, 5, 6, 8, 11, 15, 20]) + 0.0137
_BESIDE = 1e-3
"""Where activations are told apart: at irregular places, and this far from all kinks and jumps that they declare."""

_DIGITS = 9
"""Of the values there, or decimals of those at the far places: processors differ in the last digits of a tanh."""

_ABSENT = object()
"""What a fingerprint has where it does not have a name; None is something."""


def fingerprint(experiment: object, *, seed: int, blas_threads: int) -> dict[str, Any]:
    """Return what the bits of an ensemble's members depend on.

    Parameters
    ----------
    experiment : dataclass
        All its fields count that comparing looks at. Its class may have a ``version``, an integer that is counted up
        whenever the numbers of its records change.
    seed, blas_threads : int

    Returns
    -------
    dict
        Ready for JSON. An activation is its name, with a digest of its kinks and jumps and of its values and slopes: to
        9 digits at 399 places from -4 to 4 and beside every kink and jump, and to 9 decimals at 12 places beyond, from
        -20 to 20. Another function of the same name is noticed, unless it differs between those places only, and the
        same one is recognised in the next run.

    Raises
    ------
    ParameterError
        For an experiment that is no dataclass, or with fields that cannot be compared later, such as functions.

    Examples
    --------
    >>> import meanfield as mf, montecarlo as mc
    >>> network = mf.Network.uniform(mf.relu, depth=2, weight_variance=2.0)
    >>> data = fingerprint(mc.EigenvalueExperiment(network, width=50, samples=20), seed=0, blas_threads=1)
    >>> data["experiment"]["width"], data["version"]
    (50, 1)
    """
    if not dataclasses.is_dataclass(experiment) or isinstance(experiment, type):
        raise ParameterError("experiment", "a dataclass, whose fields tell it apart, to be stored", repr(experiment))
    try:
        described = describe(experiment)
    except RecursionError:
        raise ParameterError(
            "experiment", "made of parts that do not contain each other, to be stored", "a loop"
        ) from None
    return {
        "experiment": described,
        **versions(type(experiment)),
        "seed": seed,
        "blas_threads": blas_threads,
    }


def versions(*kinds: type) -> dict[str, Any]:
    """Return the version of an experiment's numbers; with several experiments by their names.

    Examples
    --------
    >>> import montecarlo as mc
    >>> versions(mc.EigenvalueExperiment, mc.LastLayerExperiment)
    {'version': {'EigenvalueExperiment': 1, 'LastLayerExperiment': 1}}
    """
    numbers = {_name(kind): getattr(kind, "version", 1) for kind in kinds}
    return {"version": numbers if len(numbers) > 1 else next(iter(numbers.values()))}


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Say where two fingerprints differ, field by field.

    Examples
    --------
    >>> differences({"experiment": {"width": 200}, "seed": 0}, {"experiment": {"width": 400}, "seed": 0})
    ['width: 200 in the store, 400 asked']
    """
    found = []
    for name in dict.fromkeys([*stored, *asked]):
        one, two = stored.get(name, _ABSENT), asked.get(name, _ABSENT)
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            path = "" if name == "experiment" else f"{name}."
            found += [path + difference for difference in differences(one, two)]
            continue
        texts = _text(one), _text(two)
        if texts[0] != texts[1]:  # 1, 1.0 and True are equal, but not the same
            words = _word(one), _word(two)
            if words[0] == words[1]:  # another function of the same name
                words = texts
            found.append(f"{name}: {words[0]} in the store, {words[1]} asked")
    return found


def describe(value: Any) -> Any:
    """Return what an experiment is made of as plain data, ready for JSON.

    Examples
    --------
    >>> import meanfield as mf
    >>> describe(mf.Bounds(0.0, float("inf")))
    {'type': 'Bounds', 'lower': 0.0, 'upper': 'inf'}
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):  # as text where JSON has no word for it
        return float(value) if np.isfinite(value) else str(float(value))
    if isinstance(value, np.ndarray | np.generic):
        return describe(value.tolist())
    if isinstance(value, Activation):
        return {"name": value.name, "digest": _digest(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"type": _name(type(value)), **{name: describe(item) for name, item in _compared(value).items()}}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, Mapping):
        return {_key(key): describe(item) for key, item in value.items()}
    expected = "made of numbers, text, activations, sequences and dataclasses, to be stored"
    raise ParameterError("experiment", expected, f"one that has {value!r}")


def _compared(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that comparing looks at."""
    names = [field.name for field in dataclasses.fields(value) if field.compare]
    if "type" in names:  # the name of the class is written there
        raise ParameterError("experiment", "of dataclasses without a field called type, to be stored", repr(value))
    return {name: getattr(value, name) for name in names}


def _key(key: object) -> str:
    if not isinstance(key, str):  # 1 and "1" would be the same
        raise ParameterError("experiment", "of mappings with text as keys, to be stored", f"the key {key!r}")
    return key


def _text(value: Any) -> str:
    return "nothing" if value is _ABSENT else json.dumps(value, sort_keys=True)


def _word(value: Any) -> str:
    """Return what a user calls it."""
    if isinstance(value, Mapping):
        return str(value.get("name", value.get("type", json.dumps(value))))
    if isinstance(value, list):
        return f"[{', '.join(map(_word, value))}]"
    return "nothing" if value is _ABSENT else str(value)


def _name(kind: type) -> str:
    """Return the name of a type; those of other packages with their module."""
    own = kind.__module__.partition(".")[0] in ("montecarlo", "meanfield")
    return kind.__qualname__ if own else f"{kind.__module__}.{kind.__qualname__}"


def _digest(phi: Activation) -> str:
    breaks = np.union1d(phi.value.breaks, phi.slope.breaks)
    beside = np.concatenate([breaks - _BESIDE, breaks + _BESIDE])
    with np.errstate(all="ignore"):
        near, far = (np.concatenate([phi.value(grid), phi.slope(grid)]) for grid in (np.append(_NEAR, beside), _FAR))
        far = np.round(far, _DIGITS)  # of 1 - tanh^2 nothing else is left there
    digits = " ".join(f"{value + 0.0:.{_DIGITS - 1}e}" for value in (*breaks, *near, *far))
    return hashlib.sha256(digits.encode()).hexdigest()[:16]
