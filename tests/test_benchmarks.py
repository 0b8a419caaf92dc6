"""The benchmarks run, at a tiny size."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

from tolerances import SINGLE

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(program: str, *arguments: str) -> str:
    """Return what a benchmark prints."""
    environment = os.environ | {"PYTHONPATH": str(BENCHMARKS.parent)}
    command = [sys.executable, str(BENCHMARKS / program), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


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


def test_cost_of_a_training_step() -> None:
    printed = run("training.py", "--widths", "10", "--samples", "20", "--rounds", "1")
    assert "tanh, batch" in printed
