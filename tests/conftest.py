"""How thoroughly Hypothesis looks: the same few examples on every run, or thousands of new ones.

pytest --hypothesis-profile=thorough tests/meanfield/quadrature/test_honesty.py
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=5000)
settings.load_profile("default")
