"""The benchmark of fluctuations runs, at a tiny size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("part", "row"), [("variances", "qtilde^1_st     2.606"), ("shifts", "qtilde^1_st        0.464          0.251")]
)
def test_the_benchmark_runs(part: str, row: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(BENCHMARKS.parent)}
    command = [sys.executable, str(BENCHMARKS / "fluctuations.py"), "--scale", "0.002", "--part", part]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert " ".join(row.split()) in " ".join(printed.split())
