"""Theorem 2.2 at finite width: the C largest eigenvalues one by one, with their 1/M shift and their spread."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import AssumptionError, require_instance, require_integer
from ..fim import dual_block
from ..fluctuations import KernelFluctuations, fluctuations
from ..gaussian import Array
from ..network import Network
from ..normalization import OutputNormalization
from ..order_parameters import STANDARD_INPUTS, require_order
from ..quadrature import AUTO, Method
from ..records import Pair, table
from .hypotheses import require_non_centred
from .orthogonal_ensemble import ordered_eigenvalues

_LARGE_SHIFT = 0.15
"""Of lambda_max: a 1/M term above this says that those of the next order are about 2 %."""

_LARGE_REPULSION = 0.1
"""Likewise, for the part by which the other eigenvalues push the largest ones up: as in nearly centred networks."""

_LARGE_SPREAD = 0.3
"""A relative standard deviation above this: lambda_max is far from Gaussian."""

_LARGE_SPLITTING = 0.1
"""Of the largest eigenvalue from the mean of all: at 0.17 (C = 10), networks are 2 % of lambda_max above the theory."""


@dataclass(frozen=True, eq=False)
class TopEigenvalues:
    """The C largest eigenvalues of the Fisher information of networks of width M, bias parameters included."""

    each: Array
    """Mean of each over networks, the largest first: shape (C,)."""
    deviations: Array
    """Standard deviation of each over networks, shape (C,)."""
    mean: float
    """Lambda, the mean of all."""
    deviation: float
    """Standard deviation over networks of the mean of the C."""
    theorem_2_2: float
    """What all of them are to leading order, with the bias parameters and the rounded widths of the network."""
    shift: float
    """What the shift of the order parameters' means adds to Lambda."""
    repulsion: float
    """What the other eigenvalues add to Lambda: samples differ in their overlap with all others."""
    splitting: float
    """sqrt(M) tau: the eigenvalues split like those of a symmetric Gaussian matrix, with this deviation off the
    diagonal."""
    width: int
    samples: int
    validity: tuple[str, ...]
    """Warnings; empty where the theory holds."""

    @property
    def relative_deviation(self) -> float:
        """The standard deviation of the mean of the C eigenvalues relative to it."""
        return self.deviation / self.mean

    def __str__(self) -> str:
        rows = [
            (f"lambda_{i}", f"{mean:.5g}", f"± {deviation:.2g}")
            for i, (mean, deviation) in enumerate(zip(self.each, self.deviations, strict=True), start=1)
        ]
        rows += [
            ("mean of all", f"{self.mean:.5g}", f"± {self.deviation:.2g}"),
            ("Theorem 2.2", f"{self.theorem_2_2:.5g}", ""),
        ]
        return "\n".join([table(rows), *self.validity])


def top_eigenvalues(
    network: Network,
    *,
    width: int,
    samples: int,
    inputs: Pair[float] = STANDARD_INPUTS,
    random_inputs: bool = True,
    method: Method = AUTO,
) -> TopEigenvalues:
    """Return the C largest eigenvalues of the Fisher information at finite width, without output normalisation.

    With V = M Cov of the entries of K_ab = sum_l alpha_{l-1} qtilde^l_ab qhat^{l-1}_ab, b = M times the shift of their
    means, S = M^2 times their cumulant over three outputs, and mu_i the mean of the i-th eigenvalue g_i of symmetric
    C x C Gaussian matrices,

        E lambda_i = Lambda + sqrt(M) tau mu_i + (S/(3 tau^2)) (E g_i^2 - (C + 1)),
        tau^2 = (V_{st,uv} of one output - of two)/2,
        Lambda = (Theorem 2.2) + ((T-1) b_st + b_tt)/T + (V_{st,su} - V_{st,uv})/(alpha kappa_2),

    the last term for T -> infinity and C = 1; for C > 1 entries of K between outputs add to it C - 1 times. At finite T
    it is (T-1) D/(T^3 alpha kappa_2), where D is the covariance of row sums of K with themselves less with each other.

    Parameters
    ----------
    network : Network
        Not centred; without normalisation of hidden layers and outputs.
    width : int
        M; the widths of the layers are rounded as in finite networks.
    samples : int
        T >= 2.
    inputs : Pair of float
        qhat^0: the mean square of an input and the overlap of two.
    random_inputs : bool
        Whether inputs are drawn, or given with exactly these overlaps.
    method : Method
        How to integrate.

    Returns
    -------
    TopEigenvalues
        What is left out is O(1/M) relative to the terms that are kept.

    Raises
    ------
    AssumptionError
        For a centred network, and with any normalisation.
    ParameterError
        For numbers out of range.
    QuadratureError
        If an integral does not reach its tolerance.

    Equations: (10), Theorem 2.2

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64)
    >>> top = mf.top_eigenvalues(network, width=200, samples=200)
    >>> round(top.mean / top.theorem_2_2, 3), round(top.relative_deviation, 3)
    (1.016, 0.067)
    """
    require_instance("network", network, Network)
    samples = require_integer("samples", samples, at_least=2)
    if network.output_normalization is not OutputNormalization.NONE:
        raise AssumptionError(
            f"Theorem 2.2 is for outputs without normalisation, and these have "
            f"{network.output_normalization.value} normalisation",
            {"eigenvalue_statistics": "the theorem for them"},
        )
    fluctuation = fluctuations(network, inputs=inputs, random_inputs=random_inputs, width=width, method=method)
    order, kernel, outputs = fluctuation.order, fluctuation.kernel, network.outputs
    require_order(network, order, samples=samples)
    require_non_centred(network, order, theorem="Theorem 2.2", width=width, samples=samples)
    block = dual_block(network, order, width=width, samples=samples)
    gap = (block.uniform - block.contrast) / width  # alpha kappa_2, with the bias parameters
    shift = ((samples - 1) * kernel.bias.cross + kernel.bias.same) / samples
    spread = _spread_of_rows(kernel, samples) + (outputs - 1) * _spread_of_mixed_rows(kernel, samples)
    repulsion = (samples - 1) * spread / (samples**3 * gap)
    mean = block.uniform + shift + repulsion
    common = _variance_of_sum(kernel, samples, outputs=2)
    tau_squared = (_variance_of_sum(kernel, samples, outputs=1) - common) / 2
    splitting = math.sqrt(width * max(tau_squared, 0.0))
    means, variances = (np.array(values) for values in ordered_eigenvalues(outputs))
    bend = kernel.skewness / (3 * tau_squared) * (means**2 + variances - (outputs + 1))
    deviation = math.sqrt(width * (common + 2 * tau_squared / outputs))
    return TopEigenvalues(
        each=mean + splitting * means + bend,
        deviations=np.sqrt(width * common + splitting**2 * variances),
        mean=mean,
        deviation=deviation,
        theorem_2_2=block.uniform,
        shift=shift,
        repulsion=repulsion,
        splitting=splitting,
        width=width,
        samples=samples,
        validity=tuple(_warnings(block.uniform, shift, repulsion, deviation, splitting * float(means[0]))),
    )


def _variance_of_sum(kernel: KernelFluctuations, samples: int, *, outputs: int) -> float:
    """Return M Cov of the sums of two kernels over all pairs of samples, divided by T^2 each: V_{st,uv} for many."""
    t = samples
    own = t * _row_covariance(kernel, t, outputs=outputs, same=True)
    other = t * (t - 1) * _row_covariance(kernel, t, outputs=outputs, same=False)
    return (own + other) / t**4


def _spread_of_rows(kernel: KernelFluctuations, samples: int) -> float:
    """Return D: M Cov of the sum of a row of K with itself, less with that of another row."""
    same, other = (_row_covariance(kernel, samples, outputs=1, same=same) for same in (True, False))
    return same - other


def _row_covariance(kernel: KernelFluctuations, samples: int, *, outputs: int, same: bool) -> float:
    """Return M Cov of two row sums r_s = K_ss + sum_t K_st, of one sample or of two."""

    def v(first: str, second: str) -> float:
        return kernel.covariance(first, second, outputs=outputs)

    t = samples
    if same:
        return v("ss", "ss") + 2 * (t - 1) * v("ss", "st") + (t - 1) * (v("st", "st") + (t - 2) * v("st", "su"))
    diagonal = v("ss", "tt") + 2 * (v("ss", "ts") + (t - 2) * v("ss", "tu"))
    return diagonal + v("st", "st") + (t - 2) * (3 * v("st", "su") + (t - 3) * v("st", "uv"))


def _spread_of_mixed_rows(kernel: KernelFluctuations, samples: int) -> float:
    """Return D for the kernel between two outputs, in which the order of two samples counts."""
    t, v = samples, kernel.mixed
    same = v("ss", "ss") + 2 * (t - 1) * v("ss", "st") + (t - 1) * (v("st", "st") + (t - 2) * v("st", "su"))
    diagonal = v("ss", "tt") + v("ss", "ts") + v("st", "tt") + (t - 2) * (v("ss", "tu") + v("su", "tt"))
    crossed = v("st", "ts") + (t - 2) * (v("st", "tu") + v("su", "ts") + v("su", "tu"))
    return same - diagonal - crossed - (t - 2) * (t - 3) * v("su", "tv")


def _warnings(leading: float, shift: float, repulsion: float, deviation: float, splitting: float) -> list[str]:
    """Say where terms of higher order than those that are kept may count."""
    found = []
    if abs(shift + repulsion) > _LARGE_SHIFT * leading:
        found.append(f"the terms of order 1/M are {(shift + repulsion) / leading:.0%} of lambda_max")
    if repulsion > _LARGE_REPULSION * leading:
        found.append(f"nearly centred: the other eigenvalues add {repulsion / leading:.0%} to lambda_max")
    if deviation > _LARGE_SPREAD * leading:
        found.append(f"single networks are {deviation / leading:.0%} off the mean")
    if splitting > _LARGE_SPLITTING * leading:
        found.append(
            f"the eigenvalues of the outputs split by {splitting / leading:.0%} of their mean: the largest may be "
            "higher by another tenth of that and more (the mean is not affected)"
        )
    return found
