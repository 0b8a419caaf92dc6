"""float32 and its error, and what the command says of method, precision and memory."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from problems import RELU, TANH
from tolerances import SINGLE

import meanfield as mf
import montecarlo as mc
from montecarlo.cli.compare import compare_command
from montecarlo.codec import flatten

SMALL = ("--width", "40", "--members", "3", "--workers", "1")


def test_the_error_is_the_largest_of_the_first_networks() -> None:
    experiment = mc.EigenvalueExperiment(TANH.normalized(output="mean"), 60, 50, dtype="float32")
    ensemble = mc.run_ensemble(experiment, members=5, seed=3)
    error = mc.precision_error(ensemble)
    assert (error.width, error.samples, error.networks) == (60, 50, 3)
    exact = [one.lambda_max for one in mc.run_ensemble(replace(experiment, dtype="float64"), members=3, seed=3).members]
    single = [one.lambda_max for one in ensemble.members]
    assert error.errors["prediction"] == max(abs(x - y) / y for x, y in zip(single, exact, strict=False))
    assert 0 < error.errors[error.worst] < SINGLE
    largest = f"{error.errors[error.worst]:.0e} ({error.worst})"
    assert str(error) == (
        f"float32: off by up to {largest} in the first 3 networks, M = 60, T = 50; others may be more"
    )
    assert error.errors["parameters"] == 0  # counted, not measured
    assert "in one network, " in str(mc.precision_error(mc.run_ensemble(experiment, members=1, seed=3)))


@pytest.mark.parametrize("kind", [mc.OrderParameterExperiment, mc.EigenspaceExperiment, mc.LastLayerExperiment])
def test_every_experiment_has_an_error(kind: type[mc.OrderParameterExperiment]) -> None:
    ensemble = mc.run_ensemble(kind(RELU, 40, 30, dtype="float32"), members=1, seed=0)
    error = mc.precision_error(ensemble)
    assert 0 < error.errors[error.worst] < SINGLE
    assert {type(value) for value in flatten(ensemble.members[0]).values()} >= {float}


def test_where_float64_does_not_fit_the_network_is_smaller() -> None:
    single = mc.EigenvalueExperiment(TANH, 120, 120, dtype="float32")
    tight = replace(single, memory_limit=1.01 * single.memory)
    error = mc.precision_error(mc.run_ensemble(tight, members=1, seed=0))
    assert (error.width, error.samples) == (60, 60)
    assert 0 < error.errors[error.worst] < SINGLE
    with pytest.raises(mf.ParameterError, match="of an experiment in float32"):
        mc.precision_error(mc.run_ensemble(replace(single, dtype="float64"), members=1, seed=0))


def test_the_limit_and_the_word_for_the_method_do_not_tell_experiments_apart() -> None:
    """What they lead to does: a run may go on with more memory, but not with another solver."""
    auto = mc.EigenvalueExperiment(TANH, 20, 20)
    assert replace(auto, memory_limit=1.0) == auto == replace(auto, method="dense")
    assert replace(auto, method="matrix-free") != auto
    assert replace(auto, dtype="float32") != auto
    assert replace(auto, dtype=np.float32).dtype == "float32"  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["auto", "dense", "matrix-free"])
def test_the_command_says_how_it_measures(method: str) -> None:
    ran = CliRunner().invoke(compare_command, [*SMALL, "--method", method])
    chosen = "dense" if method == "auto" else method
    memory = mc.EigenvalueExperiment(mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0), 40, 40, method=method)
    said = f"{chosen}, in float64, {memory.memory:.2g} GiB for each network at work\n"
    assert f"M = 40, T = 40\n{said}" in ran.stdout
    assert ran.stderr == ""  # it is said before the run where it is much
    assert "float32" not in ran.output


def test_the_command_shows_the_error_of_float32() -> None:
    ran = CliRunner().invoke(compare_command, [*SMALL, "--dtype", "float32"])
    assert "dense, in float32, 0.00015 GiB" in ran.stdout
    assert "float32: off by " in ran.stdout
    data = json.loads(CliRunner().invoke(compare_command, [*SMALL, "--dtype", "float32", "--json"]).stdout)
    assert 0 < data["precision_error"]["errors"]["prediction"] < SINGLE
    assert data["experiment"]["solver"] == "dense"
    assert 0 < data["memory"] < 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--width", "5000", "--outputs", "10", "--method", "dense"), r"at least the .* \(method matrix-free: .* GiB"),
        (("--width", "100000"), r"memory_limit must be at least the .* GiB that this needs \(dtype float32"),
        (("--of", "eigenspace", "--method", "dense"), "of must be eigenvalues with --method"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(arguments: tuple[str, ...], message: str) -> None:
    ran = CliRunner().invoke(compare_command, arguments)
    assert isinstance(ran.exception, mf.ParameterError)
    assert ran.stdout == ""
    with pytest.raises(mf.ParameterError, match=message):
        raise ran.exception
