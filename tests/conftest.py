"""A cluster for tests; and how thoroughly Hypothesis looks: the same few examples always, or thousands of new ones.

pytest --hypothesis-profile=thorough tests/meanfield/quadrature/test_honesty.py
"""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=5000)
settings.load_profile("default")


def pytest_configure() -> None:
    """Let the commands under test be interrupted, and let each test compute with one thread, as its commands do.

    What a shell starts in the background inherits a SIGINT ignored. One worker for each processor (``-n auto``) leaves
    no processor to a second thread: with them the tests take several times as long.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for library in ("OMP", "OPENBLAS", "MKL"):  # of processes that the tests start, and of libraries still to be loaded
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    threadpool_limits(1)  # of those that are loaded


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the examples that need an optional library where it is not installed."""
    for example, library in (("export.to_frame", "pandas"), ("export.to_xarray", "xarray")):
        if importlib.util.find_spec(library) is None:
            for item in items:
                if item.name == f"montecarlo.{example}":
                    item.add_marker(pytest.mark.skip(reason=f"{library} is not installed"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers of dask, whose scheduler gives a task up at the first death of its worker: the rest is ours.

    The nanny of a worker that dies while it starts gives it up for good; ``adapt`` then hires another one.
    """
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=50,
        scheduler_kwargs={"allowed_failures": 0},
    ) as cluster:
        cluster.adapt(minimum=2, maximum=2)
        yield cluster
