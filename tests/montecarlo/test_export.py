"""Tables and labelled arrays hold the numbers of the records, to the last bit."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from problems import TANH

import meanfield as mf
import montecarlo as mc

EIGENVALUES = mc.run_ensemble(mc.EigenvalueExperiment(TANH.normalized(output="batch"), 30, 10), members=4, seed=5)
ORDER = mc.run_ensemble(mc.OrderParameterExperiment(TANH, 30, 10), members=3, seed=6)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store of two ensembles of different records."""
    path = tmp_path_factory.mktemp("export") / "two.sqlite"
    with mc.Store(path) as opened:
        for ensemble in (EIGENVALUES, ORDER):
            experiment: Any = ensemble.experiment
            mc.run_ensemble(experiment, members=len(ensemble.members), seed=ensemble.seed, store=opened)
    return path


def test_a_row_for_each_member() -> None:
    rows = mc.table_rows(EIGENVALUES)
    assert [(row["member"], row["seed"]) for row in rows] == [(i, 5) for i in range(4)]
    readout = EIGENVALUES.members[2].readout
    assert readout is not None
    assert rows[2]["readout.q1"] == readout.q1
    assert rows[2]["largest.upper"] == EIGENVALUES.members[2].largest.upper
    assert "corrections" not in rows[2]


def test_numbers_alone_are_values() -> None:
    stored = mc.StoredEnsemble({"seed": 3}, {1: 0.5})
    assert mc.table_rows(stored) == [{"member": 1, "seed": 3, "value": 0.5}]


def test_frame() -> None:
    pytest.importorskip("pandas")
    frame = mc.to_frame(EIGENVALUES)
    assert list(frame["mean"]) == [member.mean for member in EIGENVALUES.members]
    both = mc.to_frame(EIGENVALUES, ORDER)
    assert list(both["member"]) == [0, 1, 2, 3, 0, 1, 2]
    assert list(both["seed"]) == [5] * 4 + [6] * 3
    assert list(both["experiment.type"]) == ["EigenvalueExperiment"] * 4 + ["OrderParameterExperiment"] * 3
    assert set(both["experiment.width"]) == {30}
    assert list(both["mean"].isna()) == [False] * 4 + [True] * 3


class Own:
    """Somebody's experiment that cannot be described."""

    def run(self, rng: np.random.Generator) -> float:
        """Draw a number."""
        return float(rng.random())


@dataclass(frozen=True)
class Containing(Own):
    """Somebody's experiment that may contain itself."""

    what: Any


def test_frame_of_another_experiment() -> None:
    pytest.importorskip("pandas")
    frame = mc.to_frame(mc.run_ensemble(Own(), members=2, seed=0))
    assert list(frame.columns) == ["seed", "member", "experiment.type", "value"]
    assert list(frame["experiment.type"]) == ["Own", "Own"]


def test_frame_of_an_experiment_that_contains_itself() -> None:
    pytest.importorskip("pandas")
    loop: list[Any] = []
    loop.append(loop)
    frame = mc.to_frame(mc.Ensemble(Containing(loop), 0, (0.5,)))
    assert list(frame["experiment.type"]) == ["Containing"]


def test_missing_text_of_an_xarray_is_missing() -> None:
    pytest.importorskip("xarray")
    records = {0: {"verdict": "agrees", "name": "a", "steps": 3}, 1: {"verdict": None, "name": "b", "steps": None}}
    data = mc.to_xarray(mc.StoredEnsemble({"seed": 0}, records))
    assert data["verdict"].isnull().values.tolist() == [False, True]
    assert data["verdict"].values[0] == "agrees"
    assert data["name"].values.tolist() == ["a", "b"]
    assert (float(data["steps"][0]), bool(data["steps"].isnull()[1])) == (3.0, True)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_files_give_every_bit_back(suffix: str, store: Path, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    file = tmp_path / f"table{suffix}"
    assert mc.write_table(mc.read_store(store), file) == 7
    if suffix == ".csv":  # with Python's own reading of numbers, which is exact
        with file.open(newline="") as lines:
            read = pandas.DataFrame(list(csv.DictReader(lines))).replace("", "nan")
    else:
        read = pandas.read_parquet(file)
    eigenvalues = read[read["experiment.type"] == "EigenvalueExperiment"]
    assert [int(member) for member in eigenvalues["member"]] == [0, 1, 2, 3]
    for name, expected in (
        ("second_moment", [m.second_moment for m in EIGENVALUES.members]),
        ("readout.h3", [m.readout.h3 for m in EIGENVALUES.members if m.readout]),  # inf: one output
    ):
        assert np.array(eigenvalues[name], dtype=float).tobytes() == np.array(expected).tobytes()
    order = read[read["experiment.type"] == "OrderParameterExperiment"]
    assert [float(value) for value in order["sensitivity.cross.0"]] == [m.backward.cross[0] for m in ORDER.members]
    assert set(order["experiment.network.output_normalization"]) == {"none"}


def test_layers_of_an_xarray() -> None:
    pytest.importorskip("xarray")
    data = mc.to_xarray(ORDER)
    assert dict(data.sizes) == {"member": 3, "layer": 4}
    for name, first in (("activity", 0), ("preactivation", 1), ("sensitivity", 1)):
        for part in ("same", "cross"):
            variable = data[f"{name}.{part}"]
            assert variable.dims == ("member", "layer")
            for member, record in enumerate(ORDER.members):
                values = getattr(getattr(record, name), part)
                for i, value in enumerate(values):
                    assert float(variable.sel(member=member, layer=i + first)) == value
            assert int(variable.isnull().sum()) == 3
    assert data.attrs["seed"] == "6"
    batch = mc.run_ensemble(mc.OrderParameterExperiment(TANH.normalized(hidden="batch"), 30, 10), members=2, seed=0)
    assert "sensitivity.same" not in mc.to_xarray(batch)


def test_numbers_of_an_xarray(store: Path) -> None:
    pytest.importorskip("xarray")
    for ensemble in (EIGENVALUES, mc.read_store(store)[0]):
        data = mc.to_xarray(ensemble)
        assert data["largest.lower"].dims == ("member",)
        assert data["largest.lower"].values.tolist() == [m.largest.lower for m in EIGENVALUES.members]


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(
        mf.ParameterError, match=r"xarray must be installed \(labelled arrays need it; .*'\.\[export\]'"
    ):
        mc.to_xarray(ORDER)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    if "pandas" in sys.modules:
        with pytest.raises(mf.ParameterError, match=r"pyarrow must be installed \(Parquet needs it; .*'\.\[export\]'"):
            mc.write_table([ORDER], tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(mf.ParameterError, match=r"pandas must be installed \(tables need it; .*'\.\[export\]'"):
        mc.to_frame(ORDER)


@pytest.mark.parametrize(
    ("name", "message"), [("a.xls", "ends in .csv or .parquet"), ("no/such/a.csv", "in a folder that exists")]
)
def test_bad_files_are_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(mf.ParameterError, match=message):
        mc.write_table([ORDER], tmp_path / name)


def test_what_is_no_ensemble_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    for refused in (mc.table_rows, mc.to_frame, mc.to_xarray):
        with pytest.raises(mf.ParameterError, match="ensemble must be an Ensemble or a StoredEnsemble, got None"):
            refused(None)  # type: ignore[arg-type]
    with pytest.raises(mf.ParameterError, match="file must be a path, got 3"):
        mc.write_table([ORDER], 3)  # type: ignore[arg-type]
    with pytest.raises(mf.ParameterError, match="ensembles must be of at least one finished network"):
        mc.write_table([], str(tmp_path / "a.csv"))
    assert not list(tmp_path.iterdir())
    assert mc.write_table([ORDER], str(tmp_path / "a.csv")) == 3


def test_fields_named_like_columns_do_not_replace_them() -> None:
    (row,) = mc.table_rows(mc.StoredEnsemble({"seed": 3}, {1: {"seed": 99, "member": 7, "x": 0.5}}))
    assert row == {"member": 1, "seed": 3, "record.seed": 99, "record.member": 7, "x": 0.5}


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    path.write_text("old")
    for record in (2**70, -(2**70)):
        with pytest.raises(mf.ParameterError, match=r"ensembles must be of columns that a \.parquet file can hold"):
            mc.write_table([mc.StoredEnsemble({"seed": 3}, {0: record})], path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]
