"""Records come back from their text bit for bit, and nothing else comes back."""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import TANH

import meanfield as mf
import montecarlo as mc
from meanfield.eigenvalues import Correction
from montecarlo.codec import RECORDS, decode, encode, flatten, register

NAN_WITH_PAYLOAD = struct.unpack(">d", bytes.fromhex("fff8000000000123"))[0]

doubles = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack(">d", bits.to_bytes(8, "big"))[0])
"""Every bit pattern alike: NaNs of both signs and with payloads, subnormal numbers, zeros."""


def bits(value: Any) -> Any:
    """Return a record as something whose equality is that of types and bits."""
    if isinstance(value, np.ndarray | np.generic):
        return type(value), value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, float):
        return float, struct.pack(">d", value)
    if isinstance(value, list | tuple):
        return type(value), [bits(item) for item in value]
    if isinstance(value, dict):
        return dict, [(key, bits(item)) for key, item in value.items()]
    if dataclasses.is_dataclass(value):
        return type(value), [bits(getattr(value, field.name)) for field in dataclasses.fields(value)]
    return type(value), value


@given(doubles)
def test_every_double_comes_back(value: float) -> None:
    # a signalling NaN turns quiet when the processor touches it: what comes back is what was there to be written
    assert bits(decode(encode(value))) == bits(value)
    array = np.array([value, 1.0])
    assert bits(decode(encode(array))) == bits(array)


@given(doubles, doubles, st.none() | doubles, st.text(), st.lists(st.text()))
def test_eigenvalue_statistics_come_back(a: float, b: float, c: float | None, text: str, names: list[str]) -> None:
    record = mf.EigenvalueStatistics(
        mean=a,
        second_moment=b,
        parameters=math.inf,
        largest=mf.Bounds(a, math.inf),
        prediction=c,
        theorem=text,
        regime=mf.Regime.FIXED,
        rule="ü",
        omitted=tuple(names),
        readout=mf.ReadoutScales(a, b, math.inf, -0.0, math.nan, NAN_WITH_PAYLOAD),
        corrections=(Correction("largest", "finite width", b, sign=1),),
    )
    assert bits(decode(encode(record))) == bits(record)


@pytest.mark.parametrize(
    "experiment",
    [
        mc.EigenvalueExperiment(TANH.normalized(output="batch"), 30, 10),
        mc.EigenspaceExperiment(TANH, 30, 10),
        mc.LastLayerExperiment(TANH, 30, 10),
        mc.OrderParameterExperiment(TANH, 30, 10),
        mc.OrderParameterExperiment(TANH.normalized(hidden="batch"), 30, 10),
        mc.DeviationExperiment(TANH, 30, 10),
    ],
    ids=lambda experiment: type(experiment).__name__,
)
def test_what_experiments_measure_comes_back(experiment: Any) -> None:
    record = experiment.run(np.random.default_rng(0))
    assert bits(decode(encode(record))) == bits(record)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        2**100,
        "\udc80 \x00",
        [],
        (),
        {"a": (1, [2.0])},
        np.float32(0.1),
        np.float64(0.1),
        np.int8(-3),
        np.bool_(True),
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.array([0.1, math.inf, -math.nan], dtype=np.float32),
        np.zeros((0, 3)),
        np.array(1.5),
    ],
    ids=repr,
)
def test_plain_values_come_back_with_their_types(value: Any) -> None:
    text = encode(value)
    assert text.isascii()
    assert bits(decode(text)) == bits(value)


def test_it_is_standard_json() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    record = mf.EigenvalueStatistics(0.1, math.nan, 3.0, mf.Bounds(1.0, math.inf), None, "measured")
    data = json.loads(encode(record), parse_constant=refuse)
    assert data["mean"] == 0.1
    assert data["largest"] == {"$": "Bounds", "lower": 1.0, "upper": {"$": "float", "value": "inf"}}


@dataclasses.dataclass(frozen=True)
class Stranger:
    """A record that nobody registered."""

    value: float


@pytest.mark.parametrize(
    "value", [Stranger(1.0), [Stranger(1.0)], {1: 2}, {"$": 1}, {1, 2}, 1j, np.array(["a"]), np.longdouble(1), object()]
)
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(mf.ParameterError, match="record must be of"):
        encode(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"$":"Stranger","value":1.0}', "of a registered type: .*Bounds.*got 'Stranger'"),
        ('{"$":"Bounds","lower":1.0}', "what encode wrote"),
        ('{"$":"Bounds","lower":1.0,"upper":1.0,"middle":1.0}', "what encode wrote"),
        ('{"$":"array","dtype":"<f8","shape":[2],"values":[1.0]}', "what encode wrote"),
        ('{"$":"float","value":"zz"}', "what encode wrote"),
        ('{"$":["a"]}', "what encode wrote"),
        ("[1.0", "what encode wrote"),
    ],
)
def test_other_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(mf.ParameterError, match=message):
        decode(text)


def test_types_are_registered_once() -> None:
    assert register(mf.Bounds) is mf.Bounds
    other = dataclasses.make_dataclass("Bounds", ["a"])
    known = dict(RECORDS)
    for kind in (other, dataclasses.make_dataclass("tuple", ["a"])):
        with pytest.raises(mf.ParameterError, match="of a name that is not taken"):
            register(kind)
    assert known == RECORDS
    with pytest.raises(mf.ParameterError, match="a dataclass or a named tuple"):
        register(int)
    assert RECORDS["Bounds"] is mf.Bounds


def test_flatten_names_every_number() -> None:
    record = mf.OrderParameters(mf.Pair(np.array([1.0, 2.0]), np.array([3.0, 4.0])), mf.Pair(np.ones(1), ()), None)  # type: ignore[arg-type]
    assert flatten(record) == {
        "activity.same.0": 1.0,
        "activity.same.1": 2.0,
        "activity.cross.0": 3.0,
        "activity.cross.1": 4.0,
        "preactivation.same.0": 1.0,
    }
    assert flatten(1.5) == {"": 1.5}
