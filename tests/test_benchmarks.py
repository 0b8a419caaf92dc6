"""The benchmarks run, at a tiny size."""

from __future__ import annotations

import csv
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tolerances import GRAM, SINGLE, SWEEP

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(program: str, *arguments: str) -> str:
    """Return what a benchmark prints."""
    environment = os.environ | {"PYTHONPATH": str(BENCHMARKS.parent)}
    command = [sys.executable, str(BENCHMARKS / program), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def test_the_clock_takes_commands_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that every command moves on, further at each call, as on a machine that gets busy."""
    now, calls = [0.0], []
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    clock = runpy.run_path(str(BENCHMARKS / "clock.py"))

    def taking(seconds: float) -> Callable[[], float]:
        def command() -> float:
            calls.append(seconds)
            now[0] += seconds * len(calls)
            return seconds

        return command

    assert clock["in_turn"](2, taking(1.0), taking(10.0)) == [[3.0, 5.0], [40.0, 60.0]]
    assert calls == [1.0, 10.0] * 3
    assert clock["timed"](taking(2.0)) == (14.0, 2.0)
    for limits, median in (({"least": 3, "enough": 0.0}, 2.0), ({"enough": 1e9}, 3.0), ({"enough": 2.5}, 1.5)):
        calls.clear()
        assert clock["median_seconds"](taking(1.0), most=5, **limits) == median


def test_methods_of_integration_and_an_interrupted_run(tmp_path: Path) -> None:
    output = tmp_path / "overlaps"
    finished = output.with_suffix(".jsonl")
    arguments = ("--tiny", "--time-limit", "0.1", "--output", str(output))
    run("quadrature.py", *arguments, "--keep")
    rows = finished.read_text().splitlines(keepends=True)
    finished.write_text("".join(rows[:-3]) + '"cut off')
    output.with_suffix(".png").unlink()
    printed = run("quadrature.py", *arguments, "--keep")
    again = finished.read_text().splitlines(keepends=True)
    assert again[:-3] == rows[:-3]
    assert len(again) == len(rows)
    with output.with_suffix(".csv").open() as file:
        table = list(csv.DictReader(file))
    methods = {row["method"] for row in table}
    assert {"AUTO", "Panels", "nquad", "tensor 100 x 100"} <= methods
    assert all(method in printed for method in methods)
    assert all(float(row["error"]) < 1e-13 for row in table if row["method"] == "AUTO")
    assert output.with_suffix(".png").stat().st_size > 10_000


def test_speed_of_the_integrals() -> None:
    printed = run("integrals.py", "--size", "1", "--correlations", "1")
    assert "hard_tanh, scale=1 at 100" in printed


def test_tangent_kernels_of_other_libraries_agree() -> None:
    printed = run("peers_ntk.py", "--width", "20", "--samples", "12", "--fewer", "6", "--rounds", "1")
    rows = [
        line.split() for line in printed.splitlines() if line.startswith(("montecarlo", "NumPy", "neural", "torch"))
    ]
    assert [row[0] for row in rows].count("montecarlo") == 2  # beside each of two libraries, installed or not
    errors = [float(row[-1]) for row in rows if "left" not in row]
    assert len(errors) >= 4
    assert max(errors) < SINGLE


def test_drawn_nodes_beside_finite_networks() -> None:
    arguments = ("--networks", "relu(2,0)", "--outputs", "1", "2", "--widths", "30", "--members", "3", "--draws", "3")
    printed = run("drawn.py", *arguments)
    assert "ratio" in printed
    assert "simulated/predicted" in run("drawn.py", *arguments, "--own")


def test_cost_of_a_training_step() -> None:
    printed = run("training.py", "--widths", "10", "--samples", "20", "--rounds", "1")
    assert "tanh, batch" in printed


def test_matrices_of_real_inputs() -> None:
    printed = run("gram.py", "--samples", "60", "--dimension", "30", "--rounds", "1")
    rows = [line.split() for line in printed.splitlines()[1:]]
    errors = [float(row[-2]) for row in rows if "plain" not in row]
    assert len(errors) == 12
    assert max(errors) < GRAM


def test_matrices_of_real_inputs_through_hidden_batch_normalisation() -> None:
    arguments = ("--samples", "8", "--widths", "200", "--members", "6", "--most", "2048")
    accuracy, networks = run("gram_batch_norm.py", *arguments).split("\n\n")
    rows = [line.split() for line in accuracy.splitlines()[1:]]
    assert [row[0] for row in rows] == ["relu", "tanh", "gelu"]
    assert float(rows[0][-1]) < GRAM
    for row in networks.splitlines()[1:]:
        off, chance = (float(cell) for cell in row.split()[-2:])
        assert off < 3 * chance


def test_the_spectrum_of_networks_and_single_readout_weights() -> None:
    printed = run("spectrum.py", "--width", "40", "--members", "2", "--only", "relu (2, 0), L = 2")
    assert printed.splitlines()[1].startswith("relu (2, 0), L = 2, rho = 1")
    printed = run("readout_outliers.py", "--width", "50", "--members", "3")
    growth = [float(cell) for cell in printed.splitlines()[-1].split()[1:]]
    assert growth[-1] > growth[1] > growth[0]  # lambda_max grows, if slowly


def test_layer_norm_network_by_network() -> None:
    options = ("--width", "30", "--samples", "12", "--members", "3", "--draws", "20")
    printed = run("layer_norm_largest.py", *options, "--outputs", "4", "--networks", "tanh (3, 0.64)")
    rows = [line.split() for line in printed.splitlines() if line.startswith("tanh")]
    assert len(rows) == 2 + 2 + 3  # hidden none and layer twice, and three normalisations of the outputs
    assert all(0.2 < float(row[-8]) < 5 for row in rows[:2])


def test_theta_behind_hidden_batch_normalisation() -> None:
    printed = run("hidden_batch_norm.py", "--width", "60", "--members", "5", "--depths", "3", "--deep", "5", "40", "8")
    rows = [line.split() for line in printed.splitlines() if line.startswith("relu")]
    assert 0.7 < float(rows[0][4]) < 1.4
    assert 0.8 < float(rows[-1][-1]) < 1.2


def test_the_twelve_combinations() -> None:
    options = ("--widths", "32", "64", "--ratio", "4", "--members", "4", "--workers", "1", "--activations", "relu")
    printed = run("twelve.py", *options)
    rows = [line for line in printed.splitlines() if line.startswith("relu")]
    assert len(rows) == 12


def test_maps() -> None:
    rows = run("map.py", "--tiny", "--threads", "1").splitlines()[1:]
    assert [row.split()[:2] for row in rows[:2]] == [["tanh", "none"], ["tanh", "mean"]]
    assert len(rows) == 8
    assert all(float(row.split()[-2]) < SWEEP for row in rows)
