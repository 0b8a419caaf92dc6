"""Threads of linear algebra: one limit for a process, which the last to leave restores."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import ModuleType

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import montecarlo as mc
from montecarlo.blas import _BlasLimits, blas_threads


def _blas() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_the_last_of_the_threads_restores_the_limit() -> None:
    """Members that overlap in one process, as in a dask worker with two threads."""
    inside, first_left = Event(), Event()

    def second() -> set[int]:
        with blas_threads(1):
            inside.set()
            assert first_left.wait(20)
            return _blas()

    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(1) as threads:
        with blas_threads(1):
            late = threads.submit(second)
            assert inside.wait(20)
        first_left.set()
        assert late.result() == {1}
        assert _blas() == {2}


def test_libraries_are_looked_for_again_after_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = _BlasLimits()
    known = limits.controller()
    assert limits.controller() is known
    monkeypatch.setitem(sys.modules, "a library with a BLAS of its own", ModuleType("new"))
    assert limits.controller() is not known


class Looking:
    """An experiment that looks at how many BLAS threads it may use."""

    def run(self, rng: np.random.Generator) -> set[int]:
        """Look."""
        return _blas()


def test_members_have_one_thread_whoever_has_set_another_limit() -> None:
    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(2) as threads:
        for executor in (None, threads):
            assert set(map(frozenset, mc.run_ensemble(Looking(), members=3, seed=0, executor=executor).members)) == {
                frozenset({1})
            }
        # in a thread, while this one holds a limit
        assert threads.submit(mc.run_ensemble, Looking(), members=1, seed=0).result().members == ({1},)
        assert _blas() == {2}
