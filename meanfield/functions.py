"""Functions of one variable as the theory sees them: values, what is declared of them, and their closed forms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .derivative import NumericalSlope
from .errors import ParameterError, require_number, require_sequence
from .gaussian import Array, GaussianPair

Terms = Array | tuple[Array, ...]
"""What a formula gives: its value, or the terms whose sum it is; their size tells where cancellation takes digits."""


class Parity(Enum):
    """What the reflection u -> -u does to a function."""

    EVEN = 1
    ODD = -1

    @property
    def opposite(self) -> Parity:
        """That of the derivative."""
        return Parity(-self.value)


@dataclass(frozen=True)
class ClosedForm:
    """The Gaussian integrals of a function f that are known in closed form.

    The formulas work on arrays, elementwise, and return the value or the tuple of terms whose sum it is. Terms that
    cancel are how a formula says where it loses its digits: it is then left for a method that does not.

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
    mean: Callable[[Array], Terms] | None = None
    second_moment: Callable[[Array], Terms] | None = None
    overlap: Callable[[GaussianPair], Terms] | None = None

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
        Where the slope jumps (0 for relu), or is itself not smooth. Numerical integration splits there.
    jumps : iterable of float
        Where the value itself jumps (0 for the slope of relu).
    closed_form : ClosedForm, optional
        The integrals of the function that are known.
    strip : float, optional
        Up to which distance from the real axis the function is analytic and of no more than its size on the axis
        (about pi/2 for tanh); it sets the step of the trapezoidal rule. Only for functions without kinks and jumps.
        A strip that is too wide makes integrals wrong without notice: ``mf.check_activation`` finds it.
    scale : float, optional
        The smallest length on which the function varies. What is not declared is looked for down to a hundredth of a
        standard deviation.
    parity : Parity, optional
        ``Parity.EVEN`` or ``Parity.ODD``.
    nonnegative : bool
        Whether the function is known to be nowhere negative.
    noise : float
        By how much the values are off, relative to their size, where that is more than rounding: 1e-12 for a slope by
        the library. Integrals are then accepted with errors of up to ten times that.
    precise : callable, optional
        The same function of one number of mpmath, at the precision at hand: ``mpmath.tanh``. It is what
        :class:`~meanfield.quadrature.reference.Reference` integrates, and nothing else uses it.

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
    strip: float | None
    scale: float | None
    parity: Parity | None
    nonnegative: bool
    noise: float
    precise: Callable[[Any], Any] | None = field(compare=False)

    def __init__(
        self,
        value: Callable[[NDArray[np.float64]], ArrayLike],
        *,
        kinks: Iterable[float] = (),
        jumps: Iterable[float] = (),
        closed_form: ClosedForm | None = None,
        strip: float | None = None,
        scale: float | None = None,
        parity: Parity | None = None,
        nonnegative: bool = False,
        noise: float = 0.0,
        precise: Callable[[Any], Any] | None = None,
    ) -> None:
        if not callable(value):
            raise ParameterError("value", "a callable", repr(value))
        if not (precise is None or callable(precise)):
            raise ParameterError("precise", "a callable or None", repr(precise))
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "kinks", _places("kinks", kinks))
        object.__setattr__(self, "jumps", _places("jumps", jumps))
        object.__setattr__(self, "closed_form", closed_form)
        object.__setattr__(self, "strip", None if strip is None else require_number("strip", strip, above=0))
        object.__setattr__(self, "scale", None if scale is None else require_number("scale", scale, above=0))
        if strip is not None and self.breaks:
            raise ParameterError("strip", "left out for a function with kinks or jumps", strip)
        if not (parity is None or isinstance(parity, Parity)):
            raise ParameterError("parity", "Parity.EVEN, Parity.ODD or None", repr(parity))
        object.__setattr__(self, "parity", parity)
        object.__setattr__(self, "nonnegative", bool(nonnegative))
        object.__setattr__(self, "noise", require_number("noise", noise, at_least=0))
        object.__setattr__(self, "precise", precise)

    def __repr__(self) -> str:
        name = getattr(self.value, "__name__", type(self.value).__name__)
        said = {"kinks": self.kinks, "jumps": self.jumps, "strip": self.strip, "scale": self.scale}
        return f"ScalarFunction({', '.join([name, *(f'{key}={value}' for key, value in said.items() if value)])})"

    @property
    def breaks(self) -> tuple[float, ...]:
        """All kinks and jumps, in increasing order; empty for a smooth function."""
        return tuple(sorted({*self.kinks, *self.jumps}))

    def __call__(self, u: ArrayLike) -> NDArray[np.float64]:
        """Evaluate at every entry of ``u``."""
        u = np.asarray(u, dtype=np.float64)
        try:
            result = np.asarray(self.value(u))
        except (TypeError, ValueError) as error:
            if isinstance(error, ParameterError):
                raise
            expected = "vectorised: an array in, an array out (np.vectorize makes any function so)"
            raise ParameterError("value", expected, f"{type(error).__name__}: {error}") from error
        if result.dtype.kind not in "biuf":
            got = "complex values" if result.dtype.kind == "c" else f"values of type {result.dtype}"
            raise ParameterError("value", "a real function", got)
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
        Without a slope the library differentiates the value numerically, between its declared kinks and never across
        one: ``meanfield.derivative.NumericalSlope`` says how accurately. ``mf.from_sympy`` derives slopes exactly.

    Raises
    ------
    ParameterError
        If the slope is left out for a value with declared jumps: a jump has no slope.

    Examples
    --------
    >>> cubed = Activation("tanh^3", lambda u: np.tanh(u) ** 3, lambda u: 3 * np.tanh(u) ** 2 / np.cosh(u) ** 2)
    >>> cubed(0.0)
    array(0.)
    >>> Activation("softsign", lambda u: u / (1 + abs(u)))
    Activation(softsign, slope by the library)
    """

    name: str
    value: ScalarFunction
    slope: ScalarFunction

    # The fields hold ScalarFunctions; the signature also takes bare callables.
    def __init__(
        self,
        name: str,
        value: ScalarFunction | Callable[[NDArray[np.float64]], ArrayLike],
        slope: ScalarFunction | Callable[[NDArray[np.float64]], ArrayLike] | None = None,
    ) -> None:
        value = value if isinstance(value, ScalarFunction) else ScalarFunction(value)
        slope = _numerical_slope(value) if slope is None else slope
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "slope", slope if isinstance(slope, ScalarFunction) else ScalarFunction(slope))

    @property
    def slope_is_derived(self) -> bool:
        """Whether the slope is the library's numerical derivative of the value."""
        return isinstance(self.slope.value, NumericalSlope)

    def __call__(self, u: ArrayLike) -> NDArray[np.float64]:
        """Evaluate phi at every entry of ``u``."""
        return self.value(u)

    def __repr__(self) -> str:
        return f"Activation({self.name}{', slope by the library' if self.slope_is_derived else ''})"


def _numerical_slope(value: ScalarFunction) -> ScalarFunction:
    if value.jumps:
        expected = "given for a value that jumps (a jump has no slope; beside it you may mean the slope on either side)"
        raise ParameterError("slope", expected, "none")
    return ScalarFunction(
        NumericalSlope(value, value.kinks),
        jumps=value.kinks,
        scale=value.scale,
        parity=value.parity and value.parity.opposite,
        noise=1e-12,
    )


def _places(parameter: str, places: Iterable[float]) -> tuple[float, ...]:
    return tuple(sorted(require_number(parameter, place) for place in require_sequence(parameter, places)))
