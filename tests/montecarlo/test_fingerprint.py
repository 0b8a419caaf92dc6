"""A fingerprint changes with all that the bits depend on, and with nothing else; differences are said in words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from problems import TANH

import meanfield as mf
import montecarlo as mc
from montecarlo.fingerprint import describe, differences, fingerprint


def hard_shrink(place: float) -> mf.Activation:
    value = mf.ScalarFunction(lambda u: np.where(np.abs(u) > place, u, 0.0), jumps=(-place, place))
    return mf.Activation("own", value, mf.ScalarFunction(lambda u: 1.0 * (np.abs(u) > place), jumps=(-place, place)))


def clipped(place: float) -> mf.Activation:
    value = mf.ScalarFunction(lambda u: np.clip(u, -place, place), kinks=(-place, place))
    return mf.Activation("own", value, mf.ScalarFunction(lambda u: 1.0 * (np.abs(u) < place), jumps=(-place, place)))


def step(place: float) -> mf.Activation:
    return mf.Activation("own", mf.ScalarFunction(lambda u: 1.0 * (u > place), jumps=(place,)), np.zeros_like)


EXPERIMENT = mc.EigenvalueExperiment(TANH, width=60, samples=25)
PRINT = fingerprint(EXPERIMENT, seed=0, blas_threads=1)


def against(experiment: object, **others: int) -> list[str]:
    return differences(PRINT, fingerprint(experiment, **{"seed": 0, "blas_threads": 1, **others}))


def test_the_same_experiment_has_the_same_fingerprint_in_another_process() -> None:
    assert against(replace(EXPERIMENT)) == []
    code = f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}; import test_fingerprint as t"
    command = [sys.executable, "-c", f"{code}; print(t.PRINT)"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == str(PRINT)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"width": 400}, ["width: 60 in the store, 400 asked"]),
        ({"samples": 20}, ["samples: 25 in the store, 20 asked"]),
        ({"biases": False}, ["biases: True in the store, False asked"]),
        (
            {"network": replace(TANH, bias_variance=(0.5, 0.5, 0.5))},
            ["network.bias_variance: [0.64, 0.64, 0.64] in the store, [0.5, 0.5, 0.5] asked"],
        ),
        (
            {"network": TANH.normalized(output="mean")},
            ["network.output_normalization: none in the store, mean asked"],
        ),
        (
            {"network": replace(TANH, activations=(mf.relu, mf.tanh))},
            ["network.activations: [tanh, tanh] in the store, [relu, tanh] asked"],
        ),
    ],
)
def test_differences_are_said(changed: dict[str, Any], said: list[str]) -> None:
    assert against(replace(EXPERIMENT, **changed)) == said


def test_seeds_and_threads_count() -> None:
    assert against(EXPERIMENT, seed=3) == ["seed: 0 in the store, 3 asked"]
    assert against(EXPERIMENT, blas_threads=2) == ["blas_threads: 1 in the store, 2 asked"]


def test_another_experiment_on_the_same_network() -> None:
    said = against(mc.LastLayerExperiment(TANH, 60, 25))
    assert said[0] == "type: EigenvalueExperiment in the store, LastLayerExperiment asked"
    assert all(line.endswith(" in the store, nothing asked") for line in said[1:])  # what the other does not have


def test_another_function_of_the_same_name_is_noticed() -> None:
    for impostor in (
        mf.Activation("tanh", lambda u: np.tanh(u) * (1 + 1e-6), mf.tanh.slope),
        mf.Activation("tanh", mf.tanh.value, lambda u: 1 / np.cosh(u) ** 2 + 1e-6),
        mf.Activation("tanh", lambda u: np.where(u > 12, 1.001, np.tanh(u)), mf.tanh.slope),
    ):
        (said,) = against(replace(EXPERIMENT, network=replace(TANH, activations=(impostor, mf.tanh))))
        assert said.startswith('network.activations: [{"digest": "')
    # the last digits differ from processor to processor, and are no other function
    rounded = mf.Activation("tanh", lambda u: np.tanh(u) * (1 + 1e-15), mf.tanh.slope)
    assert against(replace(EXPERIMENT, network=replace(TANH, activations=(rounded, mf.tanh)))) == []


@dataclass(frozen=True)
class Own:
    """Somebody's experiment."""

    what: Any
    version: ClassVar[int] = 7

    def run(self, rng: np.random.Generator) -> float:
        """Do nothing."""
        return 0.0


def test_functions_of_users() -> None:
    """Written again in the next run, a lambda or a formula is the same; another one is not, whatever it is called."""

    def of(activation: mf.Activation) -> object:
        network = replace(TANH, activations=(activation, activation))
        return fingerprint(mc.EigenvalueExperiment(network, 30, 10), seed=0, blas_threads=1)

    def clipped(most: float) -> mf.Activation:
        return mf.Activation("clipped", lambda u: np.clip(u, 0, most), lambda u: (u > 0) * (u < most) * 1.0)

    assert of(clipped(6)) == of(clipped(6))
    assert len({str(of(clipped(most))) for most in (1, 1.001, 6, 7, 19)}) == 5
    assert of(mf.from_sympy("x*tanh(log(1+exp(x)))")) == of(mf.from_sympy("x*tanh(log(1+exp(x)))"))
    assert of(mf.from_sympy("tanh(x)")) != of(mf.from_sympy("tanh(2*x)"))
    # 1 - tanh^2 cancels where it is small: other processors' last digits of tanh are no other function
    one, two = (mf.Activation("tanh", mf.tanh.value, lambda u, e=e: 1 - np.tanh(u) ** 2 + e) for e in (0, 2e-16))  # type: ignore[misc]
    assert of(one) == of(two)


def test_equal_numbers_of_other_types_are_not_the_same() -> None:
    """They are other text, under which no member would be found."""
    for one, two in ((2, 2.0), (1, True), (0.0, -0.0)):
        prints = (fingerprint(Own(what), seed=0, blas_threads=1) for what in (one, two))
        assert differences(*prints) == [f"what: {one} in the store, {two} asked"]


def test_experiments_of_others() -> None:
    data = fingerprint(Own([np.arange(3), {"a": 0.5, "b": float("inf")}]), seed=0, blas_threads=1)
    assert data["version"] == 7
    assert data["experiment"]["what"] == [[0, 1, 2], {"a": 0.5, "b": "inf"}]
    assert data["experiment"]["type"].endswith("test_fingerprint.Own")
    with pytest.raises(mf.ParameterError, match="experiment must be made of numbers, text"):
        fingerprint(Own(lambda u: u), seed=0, blas_threads=1)
    with pytest.raises(mf.ParameterError, match="experiment must be a dataclass"):
        fingerprint(object(), seed=0, blas_threads=1)


def test_what_would_look_like_something_else_is_refused() -> None:
    """The name of a class, and keys that are no text, must not be lost."""
    kinds = [make_dataclass(name, [("type", str)], frozen=True) for name in "AB"]
    for kind in kinds:
        with pytest.raises(
            mf.ParameterError, match=r"dataclasses without a field called type, to be stored, got .*='a'"
        ):
            fingerprint(kind("a"), seed=0, blas_threads=1)
        with pytest.raises(mf.ParameterError, match="dataclasses without a field called type"):
            fingerprint(Own([kind("a")]), seed=0, blas_threads=1)
    for mapping in ({1: "a", "1": "b"}, {1: "a"}, {None: "a"}):
        with pytest.raises(mf.ParameterError, match="mappings with text as keys, to be stored"):
            fingerprint(Own(mapping), seed=0, blas_threads=1)


def test_none_is_something() -> None:
    said = ["a: None in the store, nothing asked"]
    assert differences({"a": None}, {}) == said
    assert differences({"b": {"a": None}}, {"b": {}}) == [f"b.{said[0]}"]
    assert differences({}, {"a": None}) == ["a: nothing in the store, None asked"]
    assert differences({"a": None}, {"a": None}) == []
    assert differences({"a": "nothing"}, {}) == ['a: "nothing" in the store, nothing asked']


@pytest.mark.parametrize("kind", [hard_shrink, clipped, step])
def test_activations_that_differ_at_their_kinks_only_are_told_apart(kind: Callable[[float], mf.Activation]) -> None:
    for one, other in ((0.03, 0.18), (0.0301, 0.0302), (21.0, 40.0)):
        prints = [describe(kind(place)) for place in (one, other, one)]
        assert prints[0] == prints[2] != prints[1]
