"""The benchmark of the bulk's edge runs, at a tiny size."""

from __future__ import annotations

import pytest
from test_benchmarks import run


@pytest.mark.parametrize("output", ["mean", "batch"])
def test_the_table(output: str) -> None:
    options = ("--width", "60", "--samples", "10", "--depths", "3", "--members", "4", "--activations", "tanh")
    printed = run("bulk_edge.py", *options, "--output", output)
    row = next(line.split() for line in printed.splitlines() if line.startswith("tanh"))
    assert len(row) == 14
    leading, theory, measured = (float(cell) for cell in row[4:7])
    assert leading < theory
    assert 0.5 < measured / theory < 2
