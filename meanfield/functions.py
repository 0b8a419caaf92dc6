"""Functions of one variable as the theory sees them: values, kinks and jumps, and the closed forms that are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ParameterError, require_number, require_sequence
from .gaussian import GaussianPair


@dataclass(frozen=True)
class ClosedForm:
    """The Gaussian integrals of a function f that are known in closed form.

    Parameters
    ----------
    source : str
        Where the formulas come from.
    mean : callable, optional
        variance -> E f(u).
    second_moment : callable, optional
        variance -> E f(u)^2.
    overlap : callable, optional
        GaussianPair -> E f(u) f(v).
    """

    source: str
    _: KW_ONLY
    mean: Callable[[float], float] | None = None
    second_moment: Callable[[float], float] | None = None
    overlap: Callable[[GaussianPair], float] | None = None

    @property
    def known(self) -> tuple[str, ...]:
        """The names of the integrals that are known, in the order mean, second_moment, overlap."""
        return tuple(name for name in ("mean", "second_moment", "overlap") if getattr(self, name) is not None)


@dataclass(frozen=True, init=False)
class ScalarFunction:
    """A function of one real variable, with the places where it is not smooth.

    Parameters
    ----------
    value : callable
        Vectorised: an array of any shape in, its values out in the same shape. A constant may return one number.
    kinks : iterable of float
        Where the slope jumps (0 for relu). Numerical integration splits there; a kink left out is noticed as slow
        convergence and ends in a ``QuadratureError``.
    jumps : iterable of float
        Where the value itself jumps (0 for the slope of relu).
    closed_form : ClosedForm, optional
        The integrals of the function that are known.

    Examples
    --------
    >>> ramp = ScalarFunction(lambda u: np.clip(u, -1, 1), kinks=(-1, 1))
    >>> ramp(np.array([-2.0, 0.5]))
    array([-1. ,  0.5])
    >>> ramp.breaks
    (-1.0, 1.0)
    """

    value: Callable[[NDArray[np.float64]], ArrayLike]
    kinks: tuple[float, ...]
    jumps: tuple[float, ...]
    closed_form: ClosedForm | None = field(compare=False)

    def __init__(
        self,
        value: Callable[[NDArray[np.float64]], ArrayLike],
        *,
        kinks: Iterable[float] = (),
        jumps: Iterable[float] = (),
        closed_form: ClosedForm | None = None,
    ) -> None:
        if not callable(value):
            raise ParameterError("value", "a callable", repr(value))
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "kinks", _places("kinks", kinks))
        object.__setattr__(self, "jumps", _places("jumps", jumps))
        object.__setattr__(self, "closed_form", closed_form)

    @property
    def breaks(self) -> tuple[float, ...]:
        """All kinks and jumps, in increasing order; empty for a smooth function."""
        return tuple(sorted({*self.kinks, *self.jumps}))

    def __call__(self, u: ArrayLike) -> NDArray[np.float64]:
        """Evaluate at every entry of ``u``."""
        u = np.asarray(u, dtype=np.float64)
        result = np.asarray(self.value(u))
        if result.dtype.kind == "c":
            raise ParameterError("value", "a real function", "complex values")
        if result.shape == u.shape:
            return result.astype(np.float64, copy=False)
        if result.ndim:
            expected = f"vectorised (shape {u.shape} in, the same shape out)"
            raise ParameterError("value", expected, f"shape {result.shape}")
        return np.full(u.shape, result, dtype=np.float64)


@dataclass(frozen=True, init=False)
class Activation:
    """An activation function: its value and its slope.

    Parameters
    ----------
    name : str
        How the activation is listed and printed.
    value, slope : ScalarFunction or callable
        phi and phi'. A bare vectorised callable is taken to be smooth; give a ``ScalarFunction`` to declare kinks.

    Examples
    --------
    >>> cubed = Activation("tanh^3", lambda u: np.tanh(u) ** 3, lambda u: 3 * np.tanh(u) ** 2 / np.cosh(u) ** 2)
    >>> cubed(0.0)
    array(0.)
    """

    name: str
    value: ScalarFunction
    slope: ScalarFunction

    # The fields hold ScalarFunctions; the signature also takes bare callables.
    def __init__(
        self,
        name: str,
        value: ScalarFunction | Callable[[NDArray[np.float64]], ArrayLike],
        slope: ScalarFunction | Callable[[NDArray[np.float64]], ArrayLike],
    ) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "value", value if isinstance(value, ScalarFunction) else ScalarFunction(value))
        object.__setattr__(self, "slope", slope if isinstance(slope, ScalarFunction) else ScalarFunction(slope))

    def __call__(self, u: ArrayLike) -> NDArray[np.float64]:
        """Evaluate phi at every entry of ``u``."""
        return self.value(u)

    def __repr__(self) -> str:
        return f"Activation({self.name})"


def _places(parameter: str, places: Iterable[float]) -> tuple[float, ...]:
    return tuple(sorted(require_number(parameter, place) for place in require_sequence(parameter, places)))
