"""The errors that users meet, and the checks of input that raise them.

Each message says what was wrong, what was expected and what was got.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import SupportsIndex, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

Item = TypeVar("Item")
Choice = TypeVar("Choice", bound=StrEnum)


class ParameterError(ValueError):
    """A parameter outside its range: ``parameter`` must be ``expected``, got ``got``.

    Parameters
    ----------
    parameter : str
        Its name in the signature; the commands turn it into the name of their option.
    expected : str
        What it must be, to be read after "must be".
    got : object
        What it was.

    Examples
    --------
    >>> print(ParameterError("samples", "an integer >= 1", 0))
    samples must be an integer >= 1, got 0
    """

    # All three reach ``args``, so that the error survives the way back from a worker process.
    def __init__(self, parameter: str, expected: str, got: object) -> None:
        super().__init__(parameter, expected, got)
        self.parameter = parameter
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        return f"{self.parameter} must be {self.expected}, got {self.got}"


class AssumptionError(ValueError):
    """A theorem was asked for a network that does not satisfy its hypotheses.

    Parameters
    ----------
    reason : str
    instead : mapping, optional
        What applies all the same, by the names of the functions that give it.

    Examples
    --------
    >>> error = AssumptionError("it is centred", {"propagate": "the order parameters"})
    >>> print(error)
    it is centred. What applies all the same: the order parameters (mf.propagate)
    >>> print(error.told({"propagate": "--of order-parameters"}))
    it is centred. What applies all the same: the order parameters (--of order-parameters)
    """

    # Both reach ``args``, so that the error survives the way back from a worker process.
    def __init__(self, reason: str, instead: Mapping[str, str] | None = None) -> None:
        super().__init__(reason, instead or {})
        self.reason = reason
        self.instead: Mapping[str, str] = instead or {}

    def __str__(self) -> str:
        return self.told({})

    def told(self, names: Mapping[str, str]) -> str:
        """Return the message, with other names of functions where they have others."""
        applies = [f"{what} ({names.get(name, f'mf.{name}')})" for name, what in self.instead.items()]
        return f"{self.reason}. What applies all the same: {', '.join(applies)}" if applies else self.reason


class ReadoutRequired(AssumptionError):
    """The scales of normalised outputs have no expectation here: pass those of one network as ``readout``."""


class QuadratureError(ArithmeticError):
    """An integral did not reach its tolerance; the message says what to try next."""


def require_number(parameter: str, value: float, *, above: float | None = None, at_least: float | None = None) -> float:
    """Return ``value`` as a finite float above, or at least, a limit."""
    limit = f" > {above:g}" if above is not None else f" >= {at_least:g}" if at_least is not None else ""
    expected = f"a finite number{limit}"
    if isinstance(value, str | bytes | bool):
        raise ParameterError(parameter, expected, repr(value))
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(parameter, expected, repr(value)) from None
    too_small = (above is not None and number <= above) or (at_least is not None and number < at_least)
    if not math.isfinite(number) or too_small:
        raise ParameterError(parameter, expected, value)
    return number


def require_integer(parameter: str, value: SupportsIndex, *, at_least: int, at_most: int | None = 10**9) -> int:
    """Return ``value`` as an int within limits; floats are refused, whole or not."""
    expected = f"an integer >= {at_least}"
    try:
        number = operator.index(value)
    except TypeError:
        raise ParameterError(parameter, expected, repr(value)) from None
    if number < at_least or isinstance(value, bool):
        raise ParameterError(parameter, expected, value)
    if at_most is not None and number > at_most:
        raise ParameterError(parameter, f"{expected} and <= {at_most}", f"a number of {len(str(number))} digits")
    return number


def require_boolean(parameter: str, value: object) -> bool:
    """Return True or False, as it is."""
    if not isinstance(value, bool | np.bool_):
        raise ParameterError(parameter, "True or False", repr(value))
    return bool(value)


def require_count(parameter: str, value: object, *, at_least: int) -> float:
    """Return ``value`` as an int within limits, or ``math.inf``."""
    if isinstance(value, float) and value == math.inf:
        return math.inf
    try:
        return require_integer(parameter, cast(SupportsIndex, value), at_least=at_least)
    except ParameterError as error:
        raise ParameterError(parameter, f"{error.expected}, or math.inf", error.got) from None


def require_sequence(parameter: str, value: Iterable[Item]) -> tuple[Item, ...]:
    """Return the items of a sequence; text and mappings are refused, though Python would iterate over them."""
    if isinstance(value, str | bytes | Mapping):
        raise ParameterError(parameter, "a sequence", repr(value))
    try:
        return tuple(value)
    except TypeError:
        raise ParameterError(parameter, "a sequence", repr(value)) from None


def require_instance(parameter: str, value: object, kind: type) -> None:
    """Refuse whatever is no object of a class.

    Examples
    --------
    >>> require_instance("rng", None, np.random.Generator)
    Traceback (most recent call last):
    meanfield.errors.ParameterError: rng must be a numpy.random.Generator, got None
    """
    if not isinstance(value, kind):
        package, private, _ = kind.__module__.partition("._")
        public = package if private else package.partition(".")[0]
        raise ParameterError(parameter, f"a {public}.{kind.__name__}", repr(value))


def require_real(parameter: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return real numbers as an array of doubles; text, complex numbers and ragged lists are refused."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ParameterError(parameter, "an array of real numbers", "rows of different lengths") from None
    if array.dtype.kind not in "biuf":
        raise ParameterError(parameter, "an array of real numbers", f"an array of {array.dtype.name}")
    return array.astype(np.float64, copy=False)


def require_choice(parameter: str, value: str, choices: type[Choice]) -> Choice:
    """Return the member of an enumeration that has this value."""
    try:
        return choices(value)
    except ValueError:
        raise ParameterError(parameter, "one of " + ", ".join(choices), repr(value)) from None
