"""Sweeps: the same networks at every rate and behind every normalisation, on any workers, killed or not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from problems import RELU_BIASED
from tolerances import ROUNDING

import montecarlo as mc
from meanfield import ParameterError
from montecarlo.threshold import sample_trial

NETWORKS = (RELU_BIASED, RELU_BIASED.normalized(output="mean"))
RATES = (1e-4, 1e-3, 1.0, 3.0)


def plan_of(**change: Any) -> mc.SweepPlan:
    arguments: dict[str, Any] = {"widths": [12, 20], "samples": 15, "learning_rates": RATES, "steps": 10} | change
    return mc.SweepPlan(arguments.pop("networks", NETWORKS), **arguments)


def test_a_sweep_is_of_one_network() -> None:
    """Its losses are those of separate runs from the same initialisation, and its explosions end them."""
    sweeps = mc.sweep_learning_rates(plan_of(), members=2, seed=5)
    for network, of_network in zip(NETWORKS, sweeps, strict=True):
        for width, trials in zip((12, 20), of_network, strict=True):
            for stream, sweep in zip(np.random.SeedSequence(5).spawn(2), trials, strict=True):
                student, teacher, inputs = sample_trial(network, width, 15, np.random.default_rng(stream))
                labels = mc.forward(teacher, inputs).outputs
                for rate, final, step in zip(RATES, sweep.losses, sweep.exploded, strict=True):
                    run = mc.train(student, inputs, labels, learning_rate=rate, steps=10)
                    assert (final, step) == (run.final_loss, run.exploded)
                residual = mc.propagate(student, inputs).outputs - labels
                assert sweep.initial_loss == pytest.approx(float(np.mean(residual**2)) / 2, rel=ROUNDING)
                largest = mc.measure_eigenvalues(mc.propagate(student, inputs)).largest.lower
                assert sweep.threshold.critical == pytest.approx(2 / largest, rel=ROUNDING)
    without = sweeps[0][1][0]
    assert (without.largest_surviving, without.smallest_exploding) == (1e-3, 1.0)


def test_a_trial_begins_with_the_same_weights_behind_every_normalisation() -> None:
    plain, centred = (sample_trial(network, 20, 15, np.random.default_rng(1)) for network in NETWORKS)
    for one, other in zip(plain[:2], centred[:2], strict=True):
        assert all(np.array_equal(*pair) for pair in zip(one.weights, other.weights, strict=True))
    assert np.array_equal(plain[2], centred[2])


def test_neither_the_order_of_the_widths_nor_the_other_rates_matter() -> None:
    both = mc.sweep_learning_rates(plan_of(), members=2, seed=0)
    turned = mc.sweep_learning_rates(plan_of(widths=[20, 12]), members=2, seed=0)
    assert [of_network[::-1] for of_network in turned] == list(both)
    ((few,),) = mc.sweep_learning_rates(
        plan_of(networks=[RELU_BIASED], widths=[20], learning_rates=[1e-3]), members=1, seed=0
    )
    assert few[0].losses[0] == both[0][1][0].losses[1]
    assert few[0].threshold == both[0][1][0].threshold


def test_one_trial_keeps_two_workers_busy() -> None:
    """Every width and rate is a task of its own, with the same bits and in other processes."""
    with mc.Processes(2, blas_threads=1) as pool:
        parallel = mc.sweep_learning_rates(plan_of(), members=1, seed=0, executor=pool)
    assert parallel == mc.sweep_learning_rates(plan_of(), members=1, seed=0)
    assert len(plan_of().experiments) == 2 * 2 * (1 + len(RATES))


def test_a_sweep_goes_on_from_a_store_also_with_more_rates_widths_and_trials(tmp_path: Path) -> None:
    class Kill(Exception):
        pass

    counts: list[int] = []

    def killing() -> None:
        counts[-1] += 1
        if len(counts) == 1 and counts[0] == 7:
            raise Kill

    undisturbed = mc.sweep_learning_rates(plan_of(), members=2, seed=0)
    counts.append(0)
    few = plan_of(widths=[12], learning_rates=RATES[1:3])
    with mc.Store(tmp_path / "s.sqlite") as store, pytest.raises(Kill):
        mc.sweep_learning_rates(few, members=2, seed=0, store=store, progress=killing)
    counts.append(0)
    with mc.Store(tmp_path / "s.sqlite") as store:
        again = mc.sweep_learning_rates(plan_of(), members=2, seed=0, store=store, progress=killing)
    assert again == undisturbed
    assert counts == [7, 2 * 20 - 7]


def test_a_sweep_without_an_explosion() -> None:
    ((trials,),) = mc.sweep_learning_rates(
        plan_of(networks=[RELU_BIASED], widths=[10], learning_rates=[1e-5, 1e-4]), members=1, seed=0
    )
    assert (trials[0].largest_surviving, trials[0].smallest_exploding) == (1e-4, math.inf)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rates": []}, "learning_rates must be at least one, increasing"),
        ({"learning_rates": [0.1, 0.1]}, "learning_rates"),
        ({"learning_rates": [-0.1]}, "learning_rates"),
        ({"learning_rates": 0.1}, "learning_rates must be a sequence"),
        ({"steps": 0}, "steps must be an integer >= 1, got 0"),
        ({"widths": [0]}, "width"),
        ({"widths": []}, "widths must be at least one, each once"),
        ({"widths": [10, 10]}, "widths must be at least one, each once"),
        ({"widths": [10**6]}, "memory_limit"),
        ({"samples": 1}, "samples"),
        ({"explosion": -1}, "explosion"),
    ],
)
def test_a_plan_checks_its_numbers_at_construction(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        plan_of(**change)


def test_a_plan_keeps_what_it_was_given() -> None:
    """Not a list that may change, nor an iterator that is gone."""
    networks = list(NETWORKS)
    plan = plan_of(networks=networks)
    networks.pop()
    assert plan == plan_of(networks=iter(NETWORKS))
    assert (plan.networks, hash(plan)) == (NETWORKS, hash(plan_of()))


def test_an_experiment_is_stored_once(tmp_path: Path) -> None:
    experiment = mc.ThresholdExperiment(RELU_BIASED, 10, 10)
    with mc.Store(tmp_path / "s.sqlite") as store, pytest.raises(ParameterError, match="different from each other"):
        mc.run_ensembles([experiment, experiment], members=1, seed=0, store=store)
