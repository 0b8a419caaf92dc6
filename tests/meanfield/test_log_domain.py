"""Very deep networks: logarithms of the kappas against closed recurrences with hundreds of digits."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import mpmath
import pytest
from tolerances import LOG_JUMPS, SWEEP

import meanfield as mf

Kernel = Callable[[Any, Any], tuple[Any, Any, Any, Any]]


def relu(q: Any, b: Any) -> tuple[Any, Any, Any, Any]:
    """Return E phi^2, I_phi, E phi'^2 and I_phi' of relu (the arc-cosine kernels)."""
    angle = mpmath.acos(b / q)
    overlap = (mpmath.sqrt(q * q - b * b) + (mpmath.pi - angle) * b) / (2 * mpmath.pi)
    return q / 2, overlap, mpmath.mpf(1) / 2, (mpmath.pi - angle) / (2 * mpmath.pi)


def erf(q: Any, b: Any) -> tuple[Any, Any, Any, Any]:
    """Return the same of erf(u) (Williams 1997)."""

    def value(x: Any) -> Any:
        return 2 / mpmath.pi * mpmath.asin(2 * x / (1 + 2 * q))

    def slope(x: Any) -> Any:
        return 4 / mpmath.pi / mpmath.sqrt((1 + 2 * q) ** 2 - 4 * x * x)

    return value(q), value(b), slope(q), slope(b)


def logarithms(kernel: Kernel, depth: int, s_w: float, s_b: float) -> tuple[float, float, float]:
    """Return log10 of kappa_1, kappa_2 and their difference: (5), (7) and (11) as they stand."""
    weight, bias = mpmath.mpf(s_w), mpmath.mpf(s_b)
    qhat, slopes = [(mpmath.mpf(1), mpmath.mpf(0))], []
    for _ in range(depth - 1):
        q, b = (weight * x + bias for x in qhat[-1])
        square, overlap, slope, crossed = kernel(q, b)
        qhat.append((square, overlap))
        slopes.append((slope, crossed))
    kappa = [mpmath.mpf(0), mpmath.mpf(0)]
    for kind in (0, 1):
        qtilde = mpmath.mpf(1)
        for l in reversed(range(depth)):
            kappa[kind] += qtilde * qhat[l][kind] / (depth - 1)
            if l:
                qtilde *= weight * slopes[l - 1][kind]
    return tuple(float(mpmath.log10(x)) for x in (*kappa, kappa[0] - kappa[1]))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("phi", "kernel", "depth", "s_w", "s_b", "digits"),
    [
        (mf.relu, relu, 1000, 5.0, 0.0, 40),
        (mf.relu, relu, 1000, 0.4, 0.0, 40),
        (mf.relu, relu, 400, 1.5, 0.1, 120),  # all samples come to look alike, behind a jump
        (mf.erf, erf, 400, 3.0, 0.05, 40),  # chaotic: kappa_1 alone grows
        (mf.erf, erf, 400, 0.3, 0.2, 500),  # ordered: the difference falls below any double
    ],
)
def test_logarithms_of_deep_networks(
    phi: mf.Activation, kernel: Kernel, depth: int, s_w: float, s_b: float, digits: int
) -> None:
    with mpmath.workdps(digits):
        same, cross, difference = logarithms(kernel, depth, s_w, s_b)
    found = mf.log_kappas(mf.Network.uniform(phi, depth=depth, weight_variance=s_w, bias_variance=s_b))
    for got, wanted in ((found.kappa_1, same), (found.kappa_2, cross)):
        assert abs(got - wanted) < 1e-10 * math.log10(math.e)  # of the number itself, relative
    assert abs(found.difference - difference) < LOG_JUMPS * math.log10(math.e) * (1 if phi is mf.relu else 1e-2)


@pytest.mark.parametrize("hidden", ["none", "layer"])
@pytest.mark.parametrize("output", ["none", "mean"])
@pytest.mark.parametrize("phi", [mf.relu, mf.tanh, mf.selu, mf.hard_tanh, mf.silu])
def test_shallow_networks_have_the_same_numbers(phi: mf.Activation, output: str, hidden: str) -> None:
    network = mf.Network(
        activations=[phi] * 8,
        width_ratios=[1, 2, 0.5, 1, 1, 1, 2, 1, 1],
        weight_variance=1.4,
        bias_variance=0.1,
        outputs=3,
        hidden_normalization=hidden,
        output_normalization=output,
    )
    for samples, leading_order in ((4, True), (300, False)):
        arguments: dict[str, Any] = {"width": 200, "samples": samples, "leading_order": leading_order}
        plain = mf.eigenvalue_statistics(network, sharp=False, **arguments)
        found = mf.log_statistics(network, **arguments)
        assert found.theorem == plain.theorem
        assert 10**found.mean == pytest.approx(plain.mean, rel=SWEEP)
        assert 10**found.largest.lower == pytest.approx(plain.largest.lower, rel=SWEEP)
        assert 10**found.largest.upper == pytest.approx(plain.largest.upper, rel=SWEEP)
        assert 10**found.necessary == pytest.approx(mf.learning_rate_bound(plain).necessary, rel=SWEEP)


def test_ten_thousand_layers() -> None:
    """kappa_1 of relu without biases is L/(L - 1) (sigma_w^2/2)^(L - 1); that of tanh on the chaotic side is finite."""
    found = mf.log_kappas(mf.Network.uniform(mf.leaky_relu(0.5), depth=10_000, weight_variance=0.5))
    gain = 0.5 * (1 + 0.25) / 2
    assert found.kappa_1 == pytest.approx(9999 * math.log10(gain) + math.log10(10_000 / 9999), rel=1e-12)
    rate = mf.fixed_point(mf.tanh, weight_variance=3.0, bias_variance=0.05).chi_1
    deep, less_deep = (
        mf.log_kappas(mf.Network.uniform(mf.tanh, depth=depth, weight_variance=3.0, bias_variance=0.05))
        for depth in (10_000, 9_000)
    )
    per_layer = math.log10(rate) * 1000 + math.log10(8999 / 9999)
    assert deep.kappa_1 - less_deep.kappa_1 == pytest.approx(per_layer, abs=1e-9)
    assert deep.difference == deep.kappa_1


def test_numbers_beyond_doubles_are_named() -> None:
    network = mf.Network.uniform(mf.tanh, depth=4000, weight_variance=3.0, bias_variance=0.05)
    size = mf.log_kappas(network).kappa_1
    with pytest.raises(mf.QuadratureError, match=re.escape(f"log10: {size:.10g}")):
        mf.kappas(network)
    with pytest.raises(mf.QuadratureError, match="beyond the range of doubles"):
        mf.eigenvalue_statistics(network, width=100, samples=100)
    growing = mf.Network.uniform(mf.relu, depth=2000, weight_variance=4.0)
    with pytest.raises(mf.QuadratureError, match=r"mf\.log_kappas and mf\.log_statistics go on with logarithms"):
        mf.propagate(growing)


def test_smooth_activations_without_closed_forms_become_homogeneous() -> None:
    """Far above 1 softplus is relu, up to its own first layers."""
    found = mf.log_kappas(mf.Network.uniform(mf.softplus, depth=500, weight_variance=6.0))
    below = mf.log_kappas(mf.Network.uniform(mf.softplus, depth=300, weight_variance=6.0))
    assert found.kappa_1 - below.kappa_1 == pytest.approx(200 * math.log10(3.0), rel=1e-3)


def test_what_is_not_covered_is_refused() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=8)
    with pytest.raises(mf.AssumptionError, match="no kappas with batch normalisation"):
        mf.log_kappas(network.normalized(hidden="batch"))
    with pytest.raises(mf.AssumptionError, match="none or mean"):
        mf.log_statistics(network.normalized(output="layer"), width=10, samples=10)
    with pytest.raises(mf.AssumptionError, match="non-centred"):
        mf.log_statistics(mf.Network.uniform(mf.tanh, depth=5, weight_variance=2.0), width=10, samples=10)
    with pytest.raises(mf.ParameterError, match="inputs must be Pair"):
        mf.log_kappas(network, inputs=mf.Pair(1.0, 2.0))
    with pytest.raises(mf.ParameterError, match="samples must be an integer >= 2"):
        mf.log_statistics(network.normalized(output="mean"), width=10, samples=1)
