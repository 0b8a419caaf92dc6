"""The theorems: values by hand, conventions, hypotheses, the learning rate and the report."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from problems import MIXED_NETWORKS, RELU, RELU_BIASED, TANH, sweep
from tolerances import KAPPA, LINEAR_ALGEBRA, ROUNDING

import meanfield as mf
import montecarlo as mc
from meanfield.records import plain
from montecarlo.allowance import CONSTANTS


def test_theorem_2_2_as_printed() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=3)
    statistics = mf.eigenvalue_statistics(network, width=500, samples=20, leading_order=True)
    kappa_1, kappa_2 = 1.5, 0.342854318141471
    assert statistics.mean == pytest.approx(kappa_1 * 3 / 500, rel=KAPPA)
    expected = 2 * (19 / 20 * kappa_2 + kappa_1 / 20) * 500
    assert statistics.prediction == pytest.approx(expected, rel=KAPPA)
    assert statistics.largest.lower == statistics.largest.upper == statistics.prediction
    assert statistics.parameters == 2 * 500**2
    assert statistics.theorem == "Theorem 2.2"
    assert statistics.omitted == ()


def test_theorem_3_3_as_printed() -> None:
    kappa_1, kappa_2 = 0.955521904182836, 0.118615372062933
    network = TANH.normalized(output="mean")
    few = mf.eigenvalue_statistics(network, width=1000, samples=8, leading_order=True)
    assert few.theorem == "Theorem 3.3 (i)"
    assert few.mean == pytest.approx((1 - 1 / 8) * (kappa_1 - kappa_2) / 1000, rel=KAPPA)
    assert few.prediction == pytest.approx(2 * (kappa_1 - kappa_2) / 8 * 1000, rel=KAPPA)

    many = mf.eigenvalue_statistics(network, width=1000, samples=2000, leading_order=True)
    rho = 0.5
    assert many.theorem == "Theorem 3.3 (ii)"
    assert many.prediction is None
    assert many.largest.lower == pytest.approx(rho * 2 * (kappa_1 - kappa_2), rel=KAPPA)
    printed = math.sqrt(4 * rho * (kappa_1 - kappa_2) ** 2 * 1000)
    assert many.largest.upper == pytest.approx(printed * math.sqrt(1 - 1 / 2000), rel=KAPPA)
    assert many.second_moment == pytest.approx((1 - 1 / 2000) * 2 * rho * (kappa_1 - kappa_2) ** 2 / 1000, rel=KAPPA)
    assert many.omitted == ("c0", "c1", "c2")


@pytest.mark.parametrize(
    ("network", "lower", "upper"), [(RELU, 2.31, 65.5), (TANH, 1.67, 47.3), (RELU_BIASED, 9.84, 278)]
)
def test_bounds_of_the_published_comparison(network: mf.Network, lower: float, upper: float) -> None:
    statistics = mf.eigenvalue_statistics(network.normalized(output="mean"), width=800, samples=800, leading_order=True)
    # printed with three digits
    assert statistics.largest.lower == pytest.approx(lower, rel=5e-3)
    assert statistics.largest.upper == pytest.approx(upper, rel=5e-3)


@pytest.mark.parametrize("hidden", ["none", "layer"])
@pytest.mark.parametrize("output", ["none", "mean"])
@pytest.mark.parametrize("leading_order", [True, False])
def test_statistics_are_those_of_the_explicit_matrix(hidden: str, output: str, leading_order: bool) -> None:
    network = MIXED_NETWORKS["variances by layer"].normalized(hidden=hidden, output=output)
    samples, width = 12, 40
    order = mf.propagate(network)
    widths = network.widths(width)
    matrix = np.zeros((samples, samples))
    for l in range(network.depth):
        units = network.width_ratios[l] * width if leading_order else widths[l]
        for (same, cross), eye in zip(
            zip(order.backward, order.activity, strict=True), (np.eye(samples), 1 - np.eye(samples)), strict=True
        ):
            matrix += eye * same[l] * (units * cross[l] + (0 if leading_order else 1)) / samples
    if output == "mean":
        g = np.eye(samples) - 1 / samples
        matrix = g @ matrix @ g
    eigenvalues = np.linalg.eigvalsh(matrix)
    statistics = mf.eigenvalue_statistics(
        network, width=width, samples=samples, leading_order=leading_order, regime="fixed"
    )
    parameters = network.alpha * width**2 if leading_order else network.parameters(width)
    assert statistics.parameters == parameters
    assert statistics.mean == pytest.approx(network.outputs * eigenvalues.sum() / parameters, rel=LINEAR_ALGEBRA)
    assert statistics.second_moment == pytest.approx(
        network.outputs * np.sum(eigenvalues**2) / parameters, rel=LINEAR_ALGEBRA
    )
    assert statistics.prediction == pytest.approx(eigenvalues.max(), rel=LINEAR_ALGEBRA)


def test_both_conventions_meet_at_large_width() -> None:
    for network in (RELU, TANH.normalized(output="mean")):
        gaps = []
        for width in (10**3, 10**5):
            exact, leading = (
                mf.eigenvalue_statistics(network, width=width, samples=width, leading_order=order)
                for order in (False, True)
            )
            gaps.append(abs(exact.largest.lower / leading.largest.lower - 1))
        assert gaps[1] == pytest.approx(gaps[0] / 100, rel=0.05)  # O(1/M), up to its own O(1/M)


@pytest.mark.parametrize(
    ("samples", "regime", "theorem", "said"),
    [
        (10, "auto", "Theorem 3.3 (i)", "fixed: T = 10 <= sqrt(M) = 10"),
        (11, "auto", "Theorem 3.3 (ii)", "proportional: T = 11 > sqrt(M) = 10"),
        (10, "proportional", "Theorem 3.3 (ii)", "proportional as asked (T = 10 <= sqrt(M) = 10)"),
        (500, "fixed", "Theorem 3.3 (i)", "fixed as asked (T = 500 > sqrt(M) = 10)"),
    ],
)
def test_the_regime_is_decided_and_said(samples: int, regime: str, theorem: str, said: str) -> None:
    statistics = mf.eigenvalue_statistics(TANH.normalized(output="mean"), width=100, samples=samples, regime=regime)
    assert (statistics.theorem, statistics.rule) == (theorem, said)
    assert said in str(statistics)


@pytest.mark.parametrize("output", ["none", "mean", "batch", "layer"])
@pytest.mark.parametrize("hidden", ["none", "batch", "layer"])
@pytest.mark.parametrize("phi", [mf.relu, mf.tanh])
def test_every_combination_has_statistics_or_says_why_not(phi: mf.Activation, hidden: str, output: str) -> None:
    network = mf.Network.uniform(
        phi,
        depth=3,
        weight_variance=2.0,
        bias_variance=0.2,
        outputs=8,
        hidden_normalization=hidden,
        output_normalization=output,
    )
    theorems = {"none": "Theorem 2.2", "mean": "Theorem 3.3 (ii)", "batch": "Eq. (19)", "layer": "Theorem 4.1"}
    statistics = mf.eigenvalue_statistics(network, width=100, samples=20)
    if hidden == "batch" and output == "none":
        assert statistics.theorem.startswith("hidden batch norm, lambda_")
    else:
        suffix = {("none", True): " with kappa", ("layer", False): " with kappa'"}.get((hidden, output == "layer"), "")
        assert statistics.theorem == theorems[output] + (" with Theta" if hidden == "batch" else suffix)
    assert statistics.mean > 0
    assert statistics.second_moment > 0
    assert 0 < statistics.largest.lower <= statistics.largest.upper
    assert (statistics.readout is not None) == (output in ("batch", "layer"))
    assert all(correction.name in CONSTANTS for correction in statistics.corrections)
    report = mf.analyse(network, width=100, samples=20)
    assert (report.kappa is None) == (hidden == "batch")
    assert report.kappa is None or report.kappa == mf.kappas(network)
    assert plain(report.statistics) == plain(statistics)
    assert ("kappa_1, kappa_2" in str(report)) == (hidden != "batch")
    assert ("eta_3^2 = " in str(report)) == (output in ("batch", "layer"))
    json.dumps(plain(report))


def test_a_readout_is_handed_on_by_analyse() -> None:
    network = TANH.normalized(output="batch")
    scales = mf.readout_scales(network, samples=5, rng=np.random.default_rng(0))
    report = mf.analyse(network, width=100, samples=5, readout=scales)
    assert report.statistics == mf.eigenvalue_statistics(network, width=100, samples=5, readout=scales)
    assert report.statistics.readout == scales
    # where nothing is divided by, it is not used
    assert mf.eigenvalue_statistics(TANH, width=100, samples=5, readout=scales) == mf.eigenvalue_statistics(
        TANH, width=100, samples=5
    )


def test_few_samples_of_centred_networks() -> None:
    # what the message says still holds, holds
    network = mf.Network.uniform(mf.tanh, depth=2, weight_variance=1.5)
    width, samples = 2000, 3
    with pytest.raises(mf.AssumptionError) as raised:
        mf.eigenvalue_statistics(network, width=width, samples=samples)
    message = str(raised.value)
    assert "Theorems 2.2, 3.1, 3.3 and 4.1 and (19) do not apply" in message
    said = re.search(r"m_lambda = ([\d.e-]+), .* lambda_max ~ alpha kappa_1 M/T = ([\d.]+)\. For", message)
    assert said is not None
    members = [mc.measure_eigenvalues(sweep(network, width=width, samples=samples, seed=seed)) for seed in range(6)]
    fluctuation = math.sqrt(samples * network.depth / width)  # level repulsion, which raises the largest
    mean = np.mean([member.mean for member in members])
    largest = np.mean([member.largest.lower for member in members])
    assert mean == pytest.approx(float(said[1]), rel=fluctuation)
    assert 1 - fluctuation < largest / float(said[2]) < 1 + 2 * fluctuation
    # after mean subtraction the trace has the factor 1 - 1/T; before other normalisations it is said to be before
    with pytest.raises(mf.AssumptionError, match=r"What holds is the mean") as raised:
        mf.eigenvalue_statistics(network.normalized(output="mean"), width=width, samples=samples)
    reduced = re.search(r"m_lambda = ([\d.e-]+),", str(raised.value))
    assert reduced is not None
    assert float(reduced[1]) == pytest.approx(float(said[1]) * 2 / 3, rel=1e-3)  # four digits are printed
    with pytest.raises(mf.AssumptionError, match=r"What holds before the outputs are normalised is the mean"):
        mf.eigenvalue_statistics(network.normalized(output="batch"), width=width, samples=samples)


def test_which_biases_leave_a_network_centred() -> None:
    def network(*biases: float, hidden: str = "none") -> mf.Network:
        return mf.Network.uniform(
            mf.tanh, depth=3, weight_variance=1.5, bias_variance=biases, hidden_normalization=hidden
        )

    # that of the readout does not enter kappa_2
    readout = network(0.0, 0.0, 0.5)
    assert readout.is_centered
    assert mf.kappas(readout).cross == 0
    with pytest.raises(mf.AssumptionError, match="this one is centred"):
        mf.eigenvalue_statistics(readout, width=100, samples=10)
    for biases in ((0.1, 0.0, 0.0), (0.0, 0.1, 0.0)):
        assert not network(*biases).is_centered
        assert mf.kappas(network(*biases)).cross > 0.01
        assert not network(*biases, hidden="layer").is_centered
        # batch normalisation removes it
        assert network(*biases, hidden="batch").is_centered


def test_odd_activations_are_centred_without_an_integral() -> None:
    def untouchable(u: np.ndarray) -> np.ndarray:
        raise AssertionError("integrated")

    odd = mf.ScalarFunction(untouchable, parity=mf.Parity.ODD)
    phi = mf.Activation("odd", odd, mf.ScalarFunction(untouchable, parity=mf.Parity.EVEN))
    assert mf.Network.uniform(phi, depth=4, weight_variance=1.0).is_centered


def test_overlaps_lost_in_rounding_are_no_hypothesis() -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=1.5, bias_variance=1e-14)
    assert not network.is_centered
    with pytest.raises(mf.QuadratureError, match=r"The network is not centred, but kappa_2 = .* is not told from zero"):
        mf.eigenvalue_statistics(network, width=100, samples=10)


def test_centred_networks_are_refused() -> None:
    centred = mf.Network.uniform(mf.tanh, depth=3, weight_variance=1.5)
    arctan = mf.Activation("atan", np.arctan, lambda u: 1 / (1 + u**2))
    for network in (centred, mf.Network.uniform(arctan, depth=3, weight_variance=1.5)):
        for leading_order in (True, False):
            with pytest.raises(mf.AssumptionError, match=r"Theorem 2\.2 needs a non-centred network"):
                mf.eigenvalue_statistics(network, width=100, samples=100, leading_order=leading_order)
        with pytest.raises(mf.AssumptionError, match=r"Theorem 3\.3 needs a non-centred network"):
            mf.eigenvalue_statistics(network.normalized(output="mean"), width=100, samples=5)


def test_overlaps_of_inputs() -> None:
    # correlated inputs give even a centred network an overlap
    linear = mf.Network.uniform(mf.identity, depth=2, weight_variance=1.0)
    statistics = mf.eigenvalue_statistics(linear, width=100, samples=4, inputs=mf.Pair(1.0, 0.5), leading_order=True)
    # L = 2, identity, unit weight variance: kappa_1 = 2, kappa_2 = 1
    assert statistics.prediction == pytest.approx((3 / 4 * 1 + 2 / 4) * 100, rel=ROUNDING)
    with pytest.raises(mf.AssumptionError, match=r"kappa_2 = -2\.0e-01 \(.*\) is negative"):
        mf.eigenvalue_statistics(linear, width=100, samples=4, inputs=mf.Pair(1.0, -0.1))
    with pytest.raises(mf.ParameterError, match=r"such that 4 samples can have them: cross >= -0\.333333, got -0\.5"):
        mf.eigenvalue_statistics(linear, width=100, samples=4, inputs=mf.Pair(1.0, -0.5))


def test_order_parameters_of_another_network_are_refused() -> None:
    order = mf.propagate(mf.Network.uniform(mf.tanh, depth=5, weight_variance=3.0))
    for call in (
        lambda: mf.kappas(TANH, order),
        lambda: mf.eigenvalue_statistics(TANH, width=9, samples=9, order=order),
    ):
        with pytest.raises(mf.ParameterError, match="order must be the order parameters of this network, of depth 3"):
            call()


def test_analyse_hands_every_argument_on() -> None:
    changes = {"inputs": mf.Pair(2.0, 0.3), "method": mf.GaussHermite(5), "leading_order": True, "regime": "fixed"}
    network = TANH.normalized(output="mean")
    plain_report = mf.analyse(network, width=50, samples=50)
    for name, value in changes.items():
        report = mf.analyse(network, width=50, samples=50, **{name: value})  # type: ignore[arg-type]
        direct = mf.eigenvalue_statistics(network, width=50, samples=50, **{name: value})  # type: ignore[arg-type]
        assert report.statistics == direct
        assert report.statistics != plain_report.statistics


def test_bad_sizes_are_refused_before_any_integral() -> None:
    class Untouchable(mf.Trapezoid):
        def _expect(self, *arguments: object) -> mf.Estimate:
            raise AssertionError("integrated")

    def statistics(network: mf.Network, **sizes: int | str) -> None:
        mf.eigenvalue_statistics(network, method=Untouchable(), **{"width": 100, "samples": 10, **sizes})  # type: ignore[arg-type]

    with pytest.raises(mf.ParameterError, match="samples must be an integer >= 1, got 0"):
        statistics(TANH, samples=0)
    with pytest.raises(mf.ParameterError, match=r"samples must be an integer >= 2, got 1"):
        statistics(TANH.normalized(output="mean"), samples=1)
    with pytest.raises(mf.ParameterError, match="width must be an integer >= 1, got -3"):
        statistics(TANH, width=-3)
    with pytest.raises(mf.ParameterError, match="regime must be one of auto, fixed, proportional, got 'few'"):
        statistics(TANH.normalized(output="mean"), regime="few")
    for network in (TANH.normalized(output="batch"), TANH.normalized(hidden="batch")):
        with pytest.raises(mf.ParameterError, match=r"samples must be an integer >= 2, got 1"):
            statistics(network, samples=1)
    with pytest.raises(mf.AssumptionError, match="divides zero by zero"):
        statistics(TANH.normalized(output="layer"))
    statistics(TANH.normalized(output="batch"), samples=2)  # zero without an integral


def test_order_parameters_can_be_handed_in() -> None:
    order = mf.propagate(TANH)
    assert mf.eigenvalue_statistics(TANH, width=50, samples=9, order=order) == mf.eigenvalue_statistics(
        TANH, width=50, samples=9
    )


def test_learning_rates() -> None:
    known = mf.eigenvalue_statistics(RELU, width=100, samples=100)
    assert known.prediction is not None
    rate = mf.learning_rate_bound(known)
    assert rate.value == rate.necessary == rate.safe == 2 / known.prediction
    bounded = mf.eigenvalue_statistics(RELU.normalized(output="mean"), width=100, samples=100)
    rate = mf.learning_rate_bound(bounded)
    assert (rate.necessary, rate.safe) == (2 / bounded.largest.lower, 2 / bounded.largest.upper)
    assert bounded.prediction is not None
    assert rate.value == 2 / bounded.prediction
    assert rate.safe < rate.value < rate.necessary
    rough = mf.eigenvalue_statistics(RELU.normalized(output="mean"), width=100, samples=100, sharp=False)
    assert mf.learning_rate_bound(rough) == mf.LearningRateBound(rate.necessary, rate.safe, None)
    unbounded = mf.EigenvalueStatistics(0.0, 0.0, 1.0, mf.Bounds(0.0, math.inf), None, "none")
    assert mf.learning_rate_bound(unbounded) == mf.LearningRateBound(necessary=math.inf, safe=0.0, value=None)


def test_lambda_max_after_mean_subtraction_is_that_of_the_spectrum() -> None:
    network = RELU.normalized(output="mean")
    for samples in (300, 15000, 20):  # in both regimes
        statistics = mf.eigenvalue_statistics(network, width=500, samples=samples)
        assert statistics.prediction == mf.spectrum(network, width=500, samples=samples).largest
        assert f"{statistics.prediction:.4g} by the spectrum" in str(statistics)
        rough = mf.eigenvalue_statistics(network, width=500, samples=samples, sharp=False)
        assert rough == replace(statistics, prediction=rough.prediction, corrections=rough.corrections)
        assert (rough.prediction is None) == (rough.regime is mf.Regime.PROPORTIONAL)
    few = mf.eigenvalue_statistics(network, width=500, samples=19)
    assert few.prediction == few.largest.lower
    for other in (network.normalized(hidden="layer"), replace(network, outputs=2)):
        assert mf.eigenvalue_statistics(other, width=500, samples=300).prediction is None
    assert mf.eigenvalue_statistics(network, width=500, samples=300, leading_order=True).prediction is None


def test_bounds_contain_and_print() -> None:
    bounds = mf.Bounds(1.0, 2.0)
    assert 1.0 in bounds
    assert 2.1 not in bounds
    assert str(bounds) == "[1, 2]"
    assert str(mf.Bounds(3.0, 3.0)) == "3"


def test_a_difference_of_kappas_that_has_no_digits_left_is_refused() -> None:
    for depth, refused in ((8, False), (20, True)):
        network = mf.Network.uniform(
            mf.sigmoid, depth=depth, weight_variance=2.0, bias_variance=0.3, output_normalization="mean"
        )
        if refused:
            with pytest.raises(mf.QuadratureError, match=r"kappa_1 - kappa_2 is .* has lost its digits"):
                mf.eigenvalue_statistics(network, width=1000, samples=10)
        else:
            assert mf.eigenvalue_statistics(network, width=1000, samples=10).largest.lower > 0


@pytest.mark.parametrize("arguments", [(math.nan, 1, 1), (-1, 1, 1), (1, math.inf, 1), (1, -1, 1), (1, 1, 0)])
def test_moments_that_none_have(arguments: tuple[float, float, float]) -> None:
    with pytest.raises(mf.ParameterError, match="must be a finite number"):
        mf.moment_bounds(*arguments)


def test_the_zero_matrix_has_bounds() -> None:
    assert mf.moment_bounds(0.0, 0.0, 10) == mf.Bounds(0.0, 0.0)


def test_the_report_keeps_every_record() -> None:
    network = TANH.normalized(output="mean")
    report = mf.analyse(network, width=300, samples=300)
    assert report.kappa == mf.kappas(network)
    assert report.statistics == mf.eigenvalue_statistics(network, width=300, samples=300)
    assert report.learning_rate == mf.learning_rate_bound(report.statistics)
    for part in ("kappa_1, kappa_2", "Theorem 3.3 (ii)", "c0, c1, c2", "learning rate", "proportional"):
        assert part in str(report)


def test_reports_become_json() -> None:
    data = json.loads(json.dumps(plain(mf.analyse(TANH, width=300, samples=300))))
    assert data["kappa"]["same"] == pytest.approx(0.955521904182836, rel=ROUNDING)
    assert data["network"]["activations"] == ["tanh", "tanh"]
    assert len(data["order"]["sensitivity"]["cross"]) == 3
    assert plain(math.inf) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((math.nan, 0.0, 2), "same must be a finite number"), ((1.0, 0.0, 0), "size must be an integer >= 1")],
)
def test_bad_matrices(arguments: tuple[float, float, int], message: str) -> None:
    with pytest.raises(mf.ParameterError, match=message):
        mf.Exchangeable(*arguments)
