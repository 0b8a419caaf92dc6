"""The rate q of (S.5): exact power laws, honest intervals, and finite networks that have q = 1/2."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from problems import RELU, TANH, sweep
from tolerances import ROUNDING

import meanfield as mf
import montecarlo as mc
from montecarlo.rates import spawn_seeds

WIDTHS = (50, 100, 200, 400)


@pytest.mark.parametrize("q", [0.25, 0.5, 1.0])
def test_an_exact_power_law(q: float) -> None:
    fit = mc.fit_rate(WIDTHS, [3 * width**-q for width in WIDTHS])
    assert fit.q == pytest.approx(q, abs=ROUNDING)
    assert fit.prefactor == pytest.approx(3, rel=ROUNDING)
    assert fit.upper - fit.lower < 1e-10
    assert fit.line == pytest.approx(fit.deviations, rel=1e-12)


def test_members_enter_by_their_root_mean_square() -> None:
    members = [[0.3, 0.4], [0.1, 0.2]]
    fit = mc.fit_rate((10, 100), members)
    rms = [math.sqrt(np.mean(np.square(one))) for one in members]
    assert fit.deviations == pytest.approx(rms, rel=ROUNDING)
    assert fit.q == pytest.approx(math.log10(rms[0] / rms[1]), rel=ROUNDING)


def test_the_interval_of_single_numbers_is_that_of_linear_regression() -> None:
    """Against SciPy's linregress and Student's t."""
    from scipy import stats

    deviations = [0.31, 0.18, 0.16, 0.11]
    fit = mc.fit_rate(WIDTHS, deviations, confidence=0.9)
    line = stats.linregress(np.log(WIDTHS), np.log(deviations))
    half = stats.t(2).ppf(0.95) * line.stderr
    assert (fit.lower, fit.upper) == pytest.approx((-line.slope - half, -line.slope + half), rel=1e-10)
    assert fit.prefactor == pytest.approx(math.exp(line.intercept), rel=1e-10)


EXPERIMENTS = 1500


@pytest.mark.parametrize("members", [8, 40])
@pytest.mark.parametrize("law", ["chi-square", "log-normal"])
def test_the_interval_holds_the_true_rate_as_often_as_it_says(law: str, members: int) -> None:
    """1500 experiments; five binomial errors (0.56 %), and one per cent for the method: it covers 93 to 95 %."""
    rng, q = np.random.default_rng(7), 0.5
    shape = (EXPERIMENTS, len(WIDTHS), members)
    squares = rng.chisquare(1, shape) if law == "chi-square" else rng.lognormal(size=shape)
    deviations = np.sqrt(squares) * np.power(np.array(WIDTHS), -q)[:, None]
    fits = [mc.fit_rate(WIDTHS, list(one)) for one in deviations]
    hits = np.mean([q in fit for fit in fits])
    error = math.sqrt(0.95 * 0.05 / EXPERIMENTS)
    assert 0.95 - 5 * error - 0.01 < hits < 0.95 + 5 * error
    # an interval of half the width would be found out
    narrow = np.mean(
        [abs(fit.q - q) < (fit.upper - fit.lower) / 4 for fit in (mc.fit_rate(WIDTHS, list(one)) for one in deviations)]
    )
    assert narrow < 0.95 - 5 * error - 0.01


def test_deviations_of_one_network_by_hand() -> None:
    """Entry by entry from the sweep: rms over samples, pairs and outputs."""
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=3.0, bias_variance=0.64, outputs=2)
    width, samples, seed = 12, 5, 3
    member = sweep(network, width=width, samples=samples, seed=seed)
    measured = mc.DeviationExperiment(network, width, samples).run(np.random.default_rng(seed))
    theory = mf.propagate(network)
    for l in range(3):
        products = member.h[l] @ member.h[l].T / member.h[l].shape[1]
        same = [products[t, t] - theory.activity.same[l] for t in range(samples)]
        cross = [products[s, t] - theory.activity.cross[l] for s in range(samples) for t in range(samples) if s != t]
        assert measured.activity.same[l] == pytest.approx(math.sqrt(np.mean(np.square(same))), rel=1e-10)
        assert measured.activity.cross[l] == pytest.approx(math.sqrt(np.mean(np.square(cross))), rel=1e-10)
    cross = [
        delta[s] @ delta[t] - theory.backward.cross[0]
        for delta in member.delta[0]
        for s in range(samples)
        for t in range(samples)
        if s != t
    ]
    assert measured.backward.cross[0] == pytest.approx(math.sqrt(np.mean(np.square(cross))), rel=1e-10)


@pytest.mark.parametrize("hidden", ["none", "layer", "batch"])
@pytest.mark.parametrize("network", [RELU, TANH], ids=["relu", "tanh"])
def test_finite_networks_have_the_rate_one_half(network: mf.Network, hidden: str) -> None:
    """Every order parameter of every layer; of 95 % intervals that depend on each other a few may miss."""
    rates = mc.measure_rates(
        network.normalized(hidden=hidden), widths=(100, 200, 400, 800), samples=10, members=40, seed=1
    )
    assert rates.misses <= 3, str(rates)
    for row in rates.rows:
        assert abs(row.fit.q - 0.5) < 0.1, row
        assert 1.0 not in row.fit
        assert 0.25 not in row.fit
    if hidden != "batch":
        assert {"qtilde^1_t", "qtilde^1_st", "qtilde^2_st"} <= {row.quantity for row in rates.rows}
        assert rates.exact == ("qtilde^3_t", "qtilde^3_st")
        assert 0.5 in rates["qtilde^1_st"]


def test_the_bits_do_not_depend_on_the_executor() -> None:
    one = mc.measure_rates(RELU, widths=(20, 40), samples=5, members=4, seed=3)
    with ThreadPoolExecutor(3) as executor:
        other = mc.measure_rates(RELU, widths=(20, 40), samples=5, members=4, seed=3, executor=executor)
    assert one == other
    with pytest.raises(KeyError, match=r"no quantity 'q\^9_t'; there are q\^1_t"):
        one["q^9_t"]
    assert "1/2 is in" in str(one)


def test_seeds_are_different_and_reproducible() -> None:
    seeds = spawn_seeds(0, 100)
    assert len(set(seeds)) == 100
    assert seeds[:10] == spawn_seeds(0, 10)


@pytest.mark.parametrize(
    ("widths", "deviations", "message"),
    [
        ((100,), [0.1], "widths must be at least 2, got 1"),
        ((100, 200), [0.1, 0.05], "widths must be at least 3, where each has a single deviation"),
        ((200, 100, 400), [0.1, 0.1, 0.1], "widths must be in increasing order"),
        ((100, 100, 400), [0.1, 0.1, 0.1], "widths must be in increasing order"),
        ((0, 100, 400), [0.1, 0.1, 0.1], "widths must be a finite number > 0"),
        (WIDTHS, [0.1, 0.1], "deviations must be given for each of the 4 widths, got 2"),
        (WIDTHS, [0.1, 0.0, 0.1, 0.1], "deviations must be for each width a positive finite number"),
        (WIDTHS, [0.1, math.nan, 0.1, 0.1], "deviations must be for each width a positive finite number"),
        (WIDTHS, [[0.1], [0.1], [0.1], [0.1]], "deviations must be .* at least 2 of them"),
        (WIDTHS, [[0.1, 0.2], 0.1, 0.1, 0.1], "deviations must be for all widths numbers, or for all sequences"),
        (WIDTHS, "0123", "deviations must be"),
    ],
)
def test_bad_input(widths: tuple[int, ...], deviations: list[float], message: str) -> None:
    with pytest.raises(mf.ParameterError, match=message):
        mc.fit_rate(widths, deviations)
    with pytest.raises(mf.ParameterError, match="confidence"):
        mc.fit_rate(WIDTHS, [0.4, 0.3, 0.2, 0.1], confidence=1.0)


def test_an_order_parameter_that_is_exact_at_one_width_is_left_out() -> None:
    """Two units in layer norm are -1 and 1, whatever the network."""
    layer = RELU.normalized(hidden="layer")
    rates = mc.measure_rates(layer, widths=(2, 3), samples=2, members=3, seed=0)
    assert rates.exact
    assert not {row.quantity for row in rates.rows} & set(rates.exact)


def test_order_parameters_that_overflow_are_refused() -> None:
    huge = sweep(RELU, width=4, samples=3)
    huge = mc.propagate(huge.finite_network, 1e200 * huge.h[0])
    with pytest.raises(ArithmeticError, match="order parameters are not finite"):
        mc.measure_order_parameters(huge)
    with pytest.raises(ArithmeticError, match="order parameters are not finite"):
        mc.measure_spread(huge)


def test_a_path_is_refused_where_several_widths_share_a_store(tmp_path: Path) -> None:
    path: Any = tmp_path / "a"
    with pytest.raises(mf.ParameterError, match=r"store must be an open montecarlo\.Store"):
        mc.measure_rates(RELU, widths=[10, 20], samples=3, members=2, seed=0, store=path)
    assert not list(tmp_path.iterdir())
