"""Maps: the record, the command, and that the figure draws what the data says."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import meanfield as mf
from meanfield import figures
from meanfield.cli import main

Command = Callable[..., tuple[int, str, str]]

NETWORK = mf.Network.uniform(mf.tanh, depth=5, weight_variance=1.0)
X = ("weight_variance", [0.5, 1.5, 2.5, 3.5])
Y = ("bias_variance", [0.05, 0.5, 1.0])
PAIRS = [("none", "none"), ("none", "mean"), ("layer", "none")]


@pytest.fixture
def meanfield(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run the command in a folder of its own and return exit status, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["meanfield", "map", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), *capsys.readouterr()

    return run


@pytest.mark.parametrize("quantity", list(mf.MapQuantity))
def test_the_values_of_a_map_are_those_of_the_sweep(quantity: mf.MapQuantity) -> None:
    found = mf.sweep_map(NETWORK, x=X, y=Y, quantity=quantity, normalizations=PAIRS, samples=100)
    turned = mf.sweep_map(NETWORK, x=Y, y=X, quantity=quantity, normalizations=PAIRS, samples=100)
    assert len(found.panels) == 3
    sweep = found.sweep
    assert sweep.dims == ("normalization", "weight_variance", "bias_variance")
    for i, (panel, other) in enumerate(zip(found.panels, turned.panels, strict=True)):
        wanted = {
            mf.MapQuantity.LAMBDA_MAX: sweep.lower[i],
            mf.MapQuantity.M_LAMBDA: sweep.mean[i],
            mf.MapQuantity.LEARNING_RATE: sweep.necessary[i],
            mf.MapQuantity.KAPPA_RATIO: sweep.kappa_2[i] / sweep.kappa_1[i],
        }[quantity]
        assert panel.values.shape == (3, 4)
        assert panel.values == pytest.approx(wanted.T, rel=1e-12)
        assert np.array_equal(other.values, panel.values.T)


def test_both_cases_of_a_theorem_are_named_once() -> None:
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0)
    pairs = [("none", "mean"), ("layer", "mean")]
    found = mf.sweep_map(network, x=("width", [100, 10_000]), y=("samples", [50, 1000]), normalizations=pairs)
    assert [panel.theorem for panel in found.panels] == [
        "Theorem 3.3 (i), (ii), lower bound",
        "Theorem 3.3 (i), (ii) with kappa', lower bound",
    ]


def test_the_reason_why_cells_are_empty_is_told() -> None:
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0)
    pairs = [("none", "none"), ("batch", "none")]
    found = mf.sweep_map(network, x=("width", [100, 1000]), y=("samples", [4, 400]), normalizations=pairs)
    centred, batch = found.panels
    assert "this one is centred" in centred.reason
    assert not batch.reason
    assert batch.theorem.startswith("hidden batch norm, lambda_bulk")


def test_pairs_of_which_nothing_is_known_have_no_panel() -> None:
    found = mf.sweep_map(NETWORK, x=X, y=Y)
    names = [(str(panel.hidden), str(panel.output)) for panel in found.panels]
    assert names == [(h, o) for h in ("none", "batch", "layer") for o in ("none", "mean", "batch")]  # one output
    with pytest.raises(mf.AssumptionError, match="nothing is known at any cell of the map"):
        mf.sweep_map(NETWORK, x=X, y=("width", [10, 20]), normalizations=[("none", "none")])


def test_the_edge_of_chaos_is_that_of_phase() -> None:
    found = mf.sweep_map(NETWORK, x=X, y=Y, normalizations=PAIRS)
    edge = found.panels[0].edge
    assert edge is not None
    assert found.panels[2].edge is None  # behind layer normalisation there is another one
    at = np.interp(0.5, edge.bias_variance, edge.weight_variance)
    assert at == pytest.approx(mf.edge_of_chaos(mf.tanh, bias_variance=0.5), rel=1e-3)
    figure = figures.plot_map(found)
    axes = figure.axes[0]
    (line,) = axes.lines
    assert np.array_equal(np.asarray(line.get_xdata()), edge.weight_variance)
    mesh = axes.collections[0]
    assert np.array_equal(np.asarray(mesh.get_array()).reshape(3, 4), found.panels[0].values)
    assert axes.get_xlim() == (0.0, 4.0)


def test_the_command_writes_figure_and_data(meanfield: Command, tmp_path: Path) -> None:
    code, out, err = meanfield(
        *("--activation", "tanh", "--depth", "5", "--normalizations", "none/none,none/mean", "--samples", "100"),
        *("--x", "weight-variance=0.5:3.5:4", "--y", "bias-variance=0,0.5,1", "--output", "small.png"),
    )
    assert code == 0
    assert "8 of 12" in out  # without biases the network is centred
    assert "wrote small.png, small.json and small.csv" in err
    assert (tmp_path / "small.png").read_bytes().startswith(b"\x89PNG")
    data = json.loads((tmp_path / "small.json").read_text())
    found = mf.sweep(
        NETWORK,
        width=1000,
        samples=100,
        output_normalization=("normalization", ["none", "mean"]),
        weight_variance=np.linspace(0.5, 3.5, 4),
        bias_variance=[0.0, 0.5, 1.0],
    )
    lower = np.array(data["sweep"]["quantities"]["lower"], dtype=float)
    assert np.array_equal(lower, found.lower, equal_nan=True)
    assert data["edge_of_chaos"]["weight_variance"]
    rows = list(csv.DictReader((tmp_path / "small.csv").read_text().splitlines()))
    assert len(rows) == 24
    assert rows[0]["lower"] == ""
    assert "centred" in rows[0]["reason"]
    assert float(rows[1]["lower"]) == found.lower[0, 0, 1]


def test_ranges_of_integers_and_powers(meanfield: Command, tmp_path: Path) -> None:
    code, out, _ = meanfield("--x", "width=100:10000:3:log", "--y", "depth=2:6:3", "--quantity", "m-lambda", "--json")
    assert code == 0
    data = json.loads(out)
    assert data["sweep"]["coordinates"]["width"]["values"] == [100, 1000, 10000]
    assert data["sweep"]["coordinates"]["depth"]["values"] == [2, 4, 6]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".json", ".png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--x", "weight-variance"], "it must be PARAMETER=VALUES"),
        (["--x", "temperature=1:2:3"], "with a parameter among weight-variance"),
        (["--x", "weight-variance=1:2"], "it must be numbers or ranges a:b:n"),
        (["--x", "weight-variance=-1:2:3:log"], "it must be numbers or ranges a:b:n"),
        (["--x", "width=10.5,20"], "it must be integers for width"),
        (["--x", "width=10,20", "--y", "width=10,20"], "another parameter than x"),
        (["--output", "map.txt"], "a file name that ends in .png, .svg or .pdf"),
        (["--output", "nowhere/map.png"], "in a folder that exists"),
        (["--normalizations", "none"], "it must be pairs hidden/output"),
        (["--normalizations", "none/layer"], "nothing is known at any cell"),
    ],
)
def test_bad_input_is_one_line(meanfield: Command, arguments: list[str], message: str, tmp_path: Path) -> None:
    code, _, err = meanfield(*arguments)
    assert code in (1, 2)
    assert message in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_equal_maps_are_equal_files(meanfield: Command, tmp_path: Path) -> None:
    arguments = ["--x", "weight-variance=1:2:3", "--y", "bias-variance=0.1:1:3", "--normalizations", "none/none"]
    for name in ("a.svg", "b.svg"):
        assert meanfield(*arguments, "--output", name)[0] == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
