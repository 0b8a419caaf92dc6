"""How thoroughly Hypothesis looks: the same few examples on every run, or thousands of new ones.

pytest --hypothesis-profile=thorough tests/meanfield/quadrature/test_honesty.py
"""

from __future__ import annotations

import importlib.util

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=5000)
settings.load_profile("default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the examples that need an optional library where it is not installed."""
    for example, library in (("export.to_frame", "pandas"), ("export.to_xarray", "xarray")):
        if importlib.util.find_spec(library) is None:
            for item in items:
                if item.name == f"montecarlo.{example}":
                    item.add_marker(pytest.mark.skip(reason=f"{library} is not installed"))
