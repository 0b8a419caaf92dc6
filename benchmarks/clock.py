"""How the benchmarks take time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")


def timed(command: Callable[[], Result], *, clock: Callable[[], float] = time.perf_counter) -> tuple[float, Result]:
    """Return the seconds that a command took, and its result; of the processor with ``clock=time.process_time``."""
    start = clock()
    result = command()
    return clock() - start, result


def seconds(command: Callable[[], object], *, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds that a command took."""
    return timed(command, clock=clock)[0]


def in_turn(rounds: int, *commands: Callable[[], object]) -> list[list[float]]:
    """Time the commands A B A B .., after one round that is not counted; return the seconds of each."""
    times = [[seconds(command) for command in commands] for _ in range(rounds + 1)][1:]
    return [list(one) for one in zip(*times, strict=True)]


def median_seconds(command: Callable[[], object], *, least: int = 1, most: int, enough: float) -> float:
    """Return the median over so many calls, or over fewer that took enough seconds together."""
    times: list[float] = []
    while len(times) < least or (len(times) < most and sum(times) < enough):
        times.append(seconds(command))
    return float(np.median(times))
