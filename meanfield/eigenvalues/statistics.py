"""From a network to the statistics of its eigenvalues: which theorem applies is decided here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypedDict

from numpy.typing import ArrayLike

from ..errors import (
    AssumptionError,
    ParameterError,
    QuadratureError,
    ReadoutRequired,
    require_boolean,
    require_choice,
    require_instance,
    require_integer,
)
from ..exchangeable import Exchangeable
from ..fim import dual_block
from ..network import Network
from ..normalization import HiddenNormalization, OutputNormalization
from ..order_parameters import STANDARD_INPUTS, OrderParameters, propagate, require_order
from ..quadrature import AUTO, Method
from ..readout import ReadoutScales, checked_outputs, expected_readout_scales
from ..records import Pair
from .batch_normalization import equation_19
from .hidden_batch_norm import hidden_batch_norm, slow_convergence
from .hypotheses import require_difference, require_non_centred
from .last_layer import theorem_3_4
from .layer_norm_secular import Secular
from .layer_normalization import theorem_4_1
from .mean_subtraction import theorem_3_3
from .moments import Correction, EigenvalueStatistics, Regime, zero_statistics
from .sharpened import sharpened
from .unnormalized import theorem_2_2

_THEOREM = {
    OutputNormalization.NONE: "Theorem 2.2",
    OutputNormalization.MEAN: "Theorem 3.3",
    OutputNormalization.BATCH: "Eq. (19)",
    OutputNormalization.LAYER: "Theorem 4.1",
}
"""By the normalisation of the outputs, unless the hidden layers have batch normalisation."""

_NEEDED = {
    OutputNormalization.BATCH: {"q1": "E Q1, for T <= 3", "q2": "E Q2, for T <= 5"},
    OutputNormalization.LAYER: {
        "eta_1": "E eta_1, for C <= 3",
        "eta_1_squared": "E eta_1^2, for C <= 5",
        "eta_2": "E eta_2, for C <= 5",
        "h3": "E eta_3^2, for C <= 5",
    },
}
"""The scales that a normalisation of the outputs needs, and where the limiting law has no expectation of them."""


def eigenvalue_statistics(
    network: Network,
    *,
    width: int,
    samples: int,
    inputs: Pair[float] = STANDARD_INPUTS,
    order: OrderParameters | None = None,
    readout: ReadoutScales | None = None,
    outputs: ArrayLike | None = None,
    regime: Regime | str = Regime.AUTO,
    leading_order: bool = False,
    sharp: bool = True,
    method: Method = AUTO,
) -> EigenvalueStatistics:
    """Return the mean, second moment and largest eigenvalue of the Fisher information, by the theorem that applies.

    ===================  ===================  ====================================================
    hidden layers        output               theorem
    ===================  ===================  ====================================================
    "none", "layer"      "none"               2.2
    "none", "layer"      "mean"               3.3 (i) or (ii)
    "none", "layer"      "batch"              (19); zero for T = 2
    "none", "layer"      "layer"              4.1; zero for C = 2
    "batch"              "none"               Theta; 3.4, a lower bound, for T <= 3 or to leading order
    "batch"              the others           the same as above, with Theta in the place of kappa
    ===================  ===================  ====================================================

    With layer normalisation in the hidden layers kappa' takes the place of kappa.

    Parameters
    ----------
    network : Network
        Not centred: without batch normalisation in the hidden layers kappa_2 > 0 is needed.
    width : int
        M >= 1, large enough to give every layer a unit.
    samples : int
        T >= 1; at least 2 with mean subtraction or batch normalisation, of the outputs or in the hidden layers.
    inputs : Pair of float
        qhat^0, as for :func:`propagate`.
    order : OrderParameters, optional
        What :func:`propagate` returned; then ``inputs`` and ``method`` are not used.
    readout : ReadoutScales, optional
        With batch or layer normalisation of the outputs: the scales of a network's own outputs, or drawn ones. Left
        out, they are the expectations under the limiting law. The numbers are then ratios of expectations: ``mean`` and
        ``second_moment`` are those of an average network, and ``largest.lower`` bounds the mean of lambda_max in which
        each network weighs as much as its m_lambda; with batch normalisation E Q2/E Q1 differs from E (Q2/Q1) by
        O(1/T).
    outputs : array of shape (T, C), optional
        In place of ``readout``: the outputs of one network before their normalisation. With layer normalisation they
        determine lambda_max itself, which is then the ``prediction`` between the bounds of Theorem 4.1.
    regime : Regime or str
        For Theorem 3.3 and (19): "fixed" (T = O(1)), "proportional" (T = M/rho), or "auto": "fixed" for T <= sqrt(M).
    leading_order : bool
        True: the formulas of the paper, with P = alpha M^2 and without the bias parameters. False: the exact number of
        parameters, the rounded widths and the O(1/M) terms of the bias parameters, as a finite network has them.
    sharp : bool
        Whether ``prediction`` is to be lambda_max at finite width, for T >= 20, not at leading order and unless
        ``regime`` is "fixed": with mean subtraction and one output from :func:`meanfield.spectrum` (tenths of a second
        for L = 3, seconds for L = 8; for more outputs see :func:`meanfield.drawn_largest`), with batch normalisation in
        the hidden layers from :func:`meanfield.bulk_spectrum` where the contrasts of the samples are on top.
    method : Method
        How to integrate.

    Returns
    -------
    EigenvalueStatistics
        With the theorem, its regime, what it omits, and how far finite networks may be from it. The integrals are exact
        to about 1e-12; with mean subtraction kappa_1 - kappa_2 loses digits where all samples come to look alike.

    Raises
    ------
    ParameterError
        For a width or a number of samples out of range, an unknown regime, or scales that are not finite.
    AssumptionError
        For a centred network without batch normalisation in its hidden layers; with it for T <= 3 and epsilon = 0,
        unless Theorem 3.4 applies; for layer normalisation of one output.
    ReadoutRequired
        An AssumptionError: where the scales have no expectation, so that ``readout`` is needed.
    QuadratureError
        If an integral does not reach its tolerance, or kappa_2 or kappa_1 - kappa_2 has lost its digits.

    Equations: (10), (16), (17), (18), (19), (22), (26), (27)

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    >>> statistics = mf.eigenvalue_statistics(network, width=1000, samples=1000, leading_order=True)
    >>> round(statistics.prediction, 3), statistics.theorem
    (688.023, 'Theorem 2.2')
    >>> for output in ("mean", "batch"):
    ...     print(mf.eigenvalue_statistics(network.normalized(output=output), width=800, samples=800).largest)
    [2.316, 65.46]
    [2.301, 64.93]
    """
    require_instance("network", network, Network)
    network.widths(width)
    hidden, output = network.hidden_normalization, network.output_normalization
    batched = HiddenNormalization.BATCH in (hidden, output)
    # one sample has nothing left after its mean is subtracted
    least = 2 if batched or output is OutputNormalization.MEAN else 1
    samples = require_integer("samples", samples, at_least=least)
    require_boolean("sharp", sharp)
    regime = require_choice("regime", regime, Regime)
    _require_theorem(network)
    readout = _require_readout(output, readout, outputs, shape=(samples, network.outputs))
    parameters = network.alpha * width**2 if leading_order else float(network.parameters(width))
    if (output is OutputNormalization.BATCH and samples == 2) or (
        output is OutputNormalization.LAYER and network.outputs == 2
    ):
        zero = zero_statistics(theorem_name(network, _THEOREM[output]), parameters)
        return replace(zero, leading_order=leading_order)
    order = _order(network, order, inputs, samples, method)
    if network.batch_norm is None:
        require_non_centred(network, order, theorem=_THEOREM[output], width=width, samples=samples)
    elif _is_bound(network, samples, leading_order):
        bound = theorem_3_4(network, order, width=width, samples=samples, leading_order=leading_order)
        return replace(bound, leading_order=leading_order)
    block = dual_block(network, order, width=width, samples=samples, leading_order=leading_order)

    def scales() -> ReadoutScales:
        return _expected(network, samples, order) if readout is None else readout

    if output in (OutputNormalization.MEAN, OutputNormalization.BATCH):
        require_difference(block, order)
    try:
        statistics = _apply(network, block, scales, width=width, parameters=parameters, regime=regime)
    except (ZeroDivisionError, OverflowError) as error:
        raise QuadratureError(f"the moments of the eigenvalues leave the range of doubles: {error}") from error
    if sharp and readout is None and not leading_order and regime is not Regime.FIXED:
        statistics = sharpened(statistics, network, order, width=width, samples=samples)
    if readout is None and output in _NEEDED:
        statistics = replace(statistics, corrections=_of_the_law(statistics.corrections))
    slow = slow_convergence(network, samples=samples, depth_to_width=network.depth_to_width(width))
    statistics = replace(statistics, corrections=(*statistics.corrections, *slow))
    if outputs is not None and output is OutputNormalization.LAYER and block.cross > 0:
        statistics = replace(statistics, prediction=Secular.of(block, outputs).largest())
    return replace(statistics, theorem=theorem_name(network, statistics.theorem), leading_order=leading_order)


def _order(
    network: Network, order: OrderParameters | None, inputs: Pair[float], samples: int, method: Method
) -> OrderParameters:
    """Return the order parameters, given or propagated, if so many samples can have them."""
    if order is None:
        order = propagate(network, inputs=inputs, samples=samples, method=method)
    return require_order(network, order, samples=samples)


def _is_bound(network: Network, samples: int, leading_order: bool) -> bool:
    """Whether Theorem 3.4 is taken: where the paper's formulas are asked for, and where gradients have no mean."""
    if network.batch_norm is None or network.output_normalization is not OutputNormalization.NONE:
        return False
    return leading_order or (samples <= 3 and network.batch_norm.epsilon == 0)


def _apply(
    network: Network,
    block: Exchangeable,
    scales: Callable[[], ReadoutScales],
    *,
    width: int,
    parameters: float,
    regime: Regime,
) -> EigenvalueStatistics:
    """Return what the theorem says that belongs to the normalisation of the outputs."""
    outputs = network.outputs
    common: _Common = {"depth_to_width": network.depth_to_width(width), "parameters": parameters}
    match network.output_normalization:
        case OutputNormalization.NONE if network.batch_norm is not None:
            return hidden_batch_norm(block, outputs=outputs, **common)
        case OutputNormalization.NONE:
            return theorem_2_2(block, outputs=outputs, **common)
        case OutputNormalization.MEAN:
            return theorem_3_3(block, outputs=outputs, width=width, regime=regime, **common)
        case OutputNormalization.BATCH:
            return equation_19(block, scales(), width=width, regime=regime, **common)
        case OutputNormalization.LAYER:
            return theorem_4_1(block, scales(), outputs=outputs, **common)


class _Common(TypedDict):
    """What every theorem needs besides its moments."""

    depth_to_width: float
    parameters: float


def _require_theorem(network: Network) -> None:
    """Refuse layer normalisation of one output, which no theorem covers."""
    output = network.output_normalization
    if output is OutputNormalization.LAYER and network.outputs == 1:
        raise AssumptionError(
            "Theorem 4.1 needs C > 2 outputs: layer normalisation of a single output divides zero by zero"
        )


def _require_readout(
    output: OutputNormalization,
    readout: ReadoutScales | None,
    outputs: ArrayLike | None,
    *,
    shape: tuple[int, int],
) -> ReadoutScales | None:
    """Return the scales that are given, or those of given outputs; refuse them where a needed one is not finite."""
    if outputs is not None:
        if readout is not None:
            raise ParameterError("readout", "left out where outputs are given", repr(readout))
        u = checked_outputs(outputs, output)
        if u.shape != shape:
            raise ParameterError("outputs", f"of shape (T, C) = {shape}", f"shape {u.shape}")
        readout = ReadoutScales.from_outputs(u)
    if readout is None:
        return None
    if not isinstance(readout, ReadoutScales):
        raise ParameterError("readout", "a ReadoutScales", repr(readout))
    for name in _NEEDED.get(output, ()):
        scale = getattr(readout, name)
        if not 0 < scale < math.inf:
            expected = f"scales with a finite {name} > 0, as {output!s} normalisation of the outputs needs it"
            raise ParameterError("readout", expected, f"{scale:g}")
    return readout


def _expected(network: Network, samples: int, order: OrderParameters) -> ReadoutScales:
    """Return the expectations of the scales under the limiting law, if those that are needed are finite."""
    scales = expected_readout_scales(network, samples=samples, order=order)
    output = network.output_normalization
    infinite = [what for name, what in _NEEDED[output].items() if not math.isfinite(getattr(scales, name))]
    if infinite:
        raise ReadoutRequired(
            f"{_THEOREM[output]} needs the scales of the outputs, and these have an infinite expectation under the "
            f"limiting law with T = {samples}, C = {network.outputs}: {'; '.join(infinite)}. Those of one network, "
            "as readout, have a statement of their own",
            {
                "ReadoutScales.from_outputs": "the scales of given outputs, of shape (T, C)",
                "readout_scales": "scales drawn from the limiting law",
            },
        )
    return scales


def _of_the_law(corrections: tuple[Correction, ...]) -> tuple[Correction, ...]:
    """Add that the scales of finite networks are off their limiting law too: by as much as all else of O(L/M)."""
    of_finite_width = [correction for correction in corrections if correction.name == "finite width"]
    return (*corrections, *(replace(correction, name="limiting law") for correction in of_finite_width))


def theorem_name(network: Network, theorem: str) -> str:
    """Return the name of a theorem, with the kappas that stand in it where it is stated for others."""
    if network.batch_norm is not None:
        return f"{theorem} with Theta" if network.output_normalization is not OutputNormalization.NONE else theorem
    layer_norm = network.hidden_normalization is HiddenNormalization.LAYER
    if network.output_normalization is OutputNormalization.LAYER:
        return theorem if layer_norm else f"{theorem} with kappa"
    return f"{theorem} with kappa'" if layer_norm else theorem
