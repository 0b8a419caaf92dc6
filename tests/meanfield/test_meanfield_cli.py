"""The command, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from problems import TANH

import meanfield as mf
from meanfield.activations import BY_NAME
from meanfield.cli import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def meanfield(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command and return exit status, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["meanfield", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), *capsys.readouterr()

    return run


def test_analyse(meanfield: Command) -> None:
    code, out, _ = meanfield("analyse", "--activation", "tanh", "--weight-variance", "3", "--bias-variance", "0.64")
    assert code == 0
    assert "kappa_1, kappa_2  0.955522, 0.118615" in out
    assert "Theorem 2.2" in out


def test_analyse_describes_every_layer(meanfield: Command) -> None:
    arguments = ["--activation", "tanh", "--activation", "leaky_relu(0.1)", "--width-ratios", "1,2,0.5"]
    arguments += ["--weight-variance", "1,2,3", "--outputs", "10", "--output-normalization", "mean", "--json"]
    code, out, _ = meanfield("analyse", *arguments, "--width", "100", "--samples", "5", "--regime", "proportional")
    data = json.loads(out)
    assert code == 0
    assert data["network"]["activations"] == ["tanh", "leaky_relu(0.1)"]
    assert data["network"]["width_ratios"] == [1, 2, 0.5]
    assert data["network"]["weight_variance"] == [1, 2, 3]
    assert data["statistics"]["theorem"] == "Theorem 3.3 (ii)"
    assert data["statistics"]["prediction"] is None


def test_depth_follows_from_whatever_is_given(meanfield: Command) -> None:
    for arguments, depth in [
        ((), 3),
        (("--depth", "5"), 5),
        (("--width-ratios", "1,1,1,1"), 4),
        (("--activation", "relu", "--activation", "tanh", "--activation", "relu"), 4),
    ]:
        _, out, _ = meanfield("analyse", "--json", *arguments)
        assert len(json.loads(out)["network"]["width_ratios"]) == depth


def test_activations(meanfield: Command) -> None:
    code, out, _ = meanfield("activations")
    assert code == 0
    assert "arc-cosine kernels" in out
    closed_forms = json.loads(meanfield("activations", "--json")[1])
    assert closed_forms["erf"]["slope"]["known"] == ["mean", "second_moment", "overlap"]
    assert closed_forms["tanh"]["slope"]["known"] == []
    assert closed_forms["sigmoid"]["value"]["known"] == ["mean"]
    assert set(closed_forms) == {*BY_NAME, "hermite(2)", "leaky_relu(0.1)", "monomial(3)"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--weight-variance", "-1"), 2, "'--weight-variance': it must be a finite number > 0, got -1.0"),
        (("--weight-variance", "a"), 2, "'--weight-variance': it must be a number, or numbers separated by commas"),
        (("--weight-variance", "1,2"), 2, "'--weight-variance'"),
        (("--width-ratios", "1,1,1", "--depth", "4"), 2, "'--width-ratios'"),
        (("--activation", "swoosh"), 2, "'--activation': it must be one of absolute"),
        (("--activation", "relu", "--activation", "relu", "--depth", "5"), 2, "'--activation': it must be one, or 4"),
        (("--depth", "1"), 2, "'--depth': it must be an integer >= 2, got 1"),
        (("--depth", "few"), 2, "'--depth'"),
        (("--samples", "0"), 2, "'--samples'"),
        (("--samples", "1", "--output-normalization", "mean"), 2, "'--samples'"),
        (("--width", "0"), 2, "'--width'"),
        (("--outputs", "0"), 2, "'--outputs'"),
        (("--output-normalization", "max"), 2, "'--output-normalization'"),
        (("--regime", "some"), 2, "'--regime'"),
        (("--readout-seed", "3"), 2, "'--readout-seed': it must be left out where no batch or layer normalisation"),
        (("--readout-seed", "-1"), 2, "'--readout-seed': it must be an integer >= 0, got -1"),
        (("--readout-seed", "3", "--output-normalization", "mean"), 2, "'--readout-seed'"),
        (("--readout-seed", "3", "--output-normalization", "layer", "--samples", "0"), 2, "'--samples'"),
        (("--readout-seed", "3", "--output-normalization", "layer", "--width", "0"), 2, "'--width'"),
        (("--no-such-option",), 2, "--no-such-option"),
        (("--activation", "tanh", "--json"), 1, "Theorem 2.2 needs a non-centred network"),
        (("--hidden-normalization", "batch", "--output-normalization", "layer", "--json"), 1, "layer"),
        (("--output-normalization", "layer", "--json"), 1, "Theorem 4.1 needs C > 2 outputs"),
        (("--weight-variance", "1e200"), 1, "relu, layer 1, at variance 1e+200"),
        (("--weight-variance", "1" + "0" * 400), 2, "'--weight-variance'"),
        (("--depth", "1000000000000"), 2, "'--depth'"),
    ],
)
def test_errors_are_one_line_that_names_the_option(
    meanfield: Command, arguments: tuple[str, ...], code: int, message: str
) -> None:
    status, out, err = meanfield("analyse", *arguments)
    assert status == code
    assert out == ""
    assert message in err
    assert err.startswith("meanfield")
    assert err.count("\n") == 1


def test_order_parameters_are_printed_where_no_theorem_applies(meanfield: Command) -> None:
    for arguments, kappas in [
        (("--activation", "tanh"), "kappa_1, kappa_2  0.758329, 0"),
        (("--hidden-normalization", "layer", "--output-normalization", "layer"), "kappa_1, kappa_2  0.75, 0.171427"),
    ]:
        code, out, err = meanfield("analyse", *arguments)
        assert code == 1
        assert kappas in out
        assert "qtilde_st" in out
        assert err.count("\n") == 1


def test_order_parameters_behind_batch_norm_are_printed_where_no_theorem_applies(meanfield: Command) -> None:
    arguments = ("--hidden-normalization", "batch", "--output-normalization", "mean", "--samples", "3")
    code, out, err = meanfield("analyse", *arguments)
    assert code == 1
    assert "kappa" not in out
    assert "qtilde" not in out
    row = next(line.split() for line in out.splitlines() if line.startswith("1 "))
    qhat = mf.batch_norm_parameters(mf.relu, samples=3)
    assert row == ["1", "2", "0", f"{qhat.same:.6g}", f"{qhat.cross:.6g}"]
    assert err.count("\n") == 1


@pytest.mark.parametrize("output", ["batch", "layer"])
def test_scales_are_drawn_with_a_seed(meanfield: Command, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    seen = []

    def watched(network: mf.Network, **arguments: Any) -> mf.Report:
        seen.append(arguments["readout"])
        return mf.analyse(network.normalized(output="none"), width=arguments["width"], samples=arguments["samples"])

    monkeypatch.setattr("meanfield.cli.analyse.analyse", watched)
    arguments = ("--outputs", "5", "--output-normalization", output, "--samples", "20")
    for seed in ([], ["--readout-seed", "7"], ["--readout-seed", "7"], ["--readout-seed", "8"]):
        assert meanfield("analyse", *arguments, *seed)[0] == 0
    network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, outputs=5)
    expected = mf.readout_scales(network, samples=20, rng=np.random.default_rng(7))
    assert seen[:3] == [None, expected, expected]
    assert seen[3] != expected


def test_learning_rates(meanfield: Command) -> None:
    network = ("--activation", "tanh", "--weight-variance", "3", "--bias-variance", "0.64")
    grid = ("--widths", "100,1000", "--normalizations", "none/none,none/mean")
    rates = mf.learning_rate_map(TANH, widths=[100, 1000], normalizations=[("none", "none"), ("none", "mean")])
    code, out, err = meanfield("learning-rates", *network, *grid)
    assert (code, out, err) == (0, f"{rates}\n", "")
    # every option reaches the map
    options = ("--samples", "8", "--regime", "proportional", "--leading-order", "--weight-variances", "1:2:3,4")
    rates = mf.learning_rate_map(
        TANH,
        widths=[100, 1000],
        weight_variances=[1, 1.5, 2, 4],
        bias_variances=[0, 0.5],
        normalizations=[("none", "none"), ("none", "mean")],
        samples=8,
        regime="proportional",
        leading_order=True,
    )
    assert meanfield("learning-rates", *network, *grid, *options, "--bias-variances", "0,0.5")[1] == f"{rates}\n"


def test_learning_rates_as_json(meanfield: Command) -> None:
    arguments = ("--activation", "tanh", "--widths", "50,60", "--bias-variances", "0,0.25", "--samples", "30")
    data = json.loads(meanfield("learning-rates", *arguments, "--normalizations", "none/none,none/mean", "--json")[1])
    assert data["network"]["activations"] == ["tanh", "tanh"]
    assert len(data["cells"]) == 2 * 2 * 2
    network = mf.Network.uniform(mf.tanh, depth=3, weight_variance=2.0, bias_variance=0.25, output_normalization="mean")
    bound = mf.learning_rate_bound(mf.eigenvalue_statistics(network, width=60, samples=30))
    assert data["cells"][-1] == {
        "hidden_normalization": "none",
        "output_normalization": "mean",
        "width": 60,
        "samples": 30,
        "weight_variance": None,
        "bias_variance": 0.25,
        "necessary": bound.necessary,
        "safe": bound.safe,
        "value": None,
        "theorem": "Theorem 3.3 (ii)",
        "reason": "",
    }
    assert data["cells"][0]["necessary"] is None
    assert "needs a non-centred network" in data["cells"][0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--widths", "100,0"), "'--widths': it must be an integer >= 1, got 0"),
        (("--widths", "1e3"), "'--widths': it must be integers separated by commas, got '1e3'"),
        (("--weight-variances", "1,0"), "'--weight-variances': it must be a finite number > 0, got 0.0"),
        (("--weight-variances", "1:2"), "'--weight-variances': it must be numbers or ranges a:b:n"),
        (("--weight-variances", "1:2:1"), "'--weight-variances': it must be numbers or ranges a:b:n"),
        (("--weight-variances", "1:2:1000000000000"), "'--weight-variances': it must be numbers or ranges a:b:n"),
        (("--bias-variances", "0:inf:3"), "'--bias-variances': it must be numbers or ranges a:b:n"),
        (("--bias-variances", "-1"), "'--bias-variances': it must be a finite number >= 0, got -1.0"),
        (("--bias-variances", ""), "'--bias-variances': it must be numbers"),
        (("--normalizations", "none"), "'--normalizations': it must be pairs hidden/output"),
        (("--normalizations", "mean/none"), "'--normalizations': it must be pairs hidden/output"),
        (("--normalizations", "none/none/none"), "got 'none/none/none'"),
        (("--samples", "0"), "'--samples': it must be an integer >= 1, got 0"),
        (("--hidden-normalization", "layer"), "No such option"),
        (("--activation", "swoosh"), "'--activation'"),
    ],
)
def test_errors_of_learning_rates_are_one_line_that_names_the_option(
    meanfield: Command, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = meanfield("learning-rates", *arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.startswith("meanfield")
    assert err.count("\n") == 1


def test_analyse_takes_a_formula(meanfield: Command) -> None:
    code, out, _ = meanfield("analyse", "--activation", "x*Heaviside(x)", "--json")
    assert code == 0
    assert json.loads(out)["kappa"]["same"] == pytest.approx(1.5)
    assert json.loads(out)["network"]["activations"] == ["x*Heaviside(x)"] * 2
    code, _, err = meanfield("analyse", "--activation", "().__class__")
    assert code == 2
    assert "'--activation': it must be one of absolute, cosine" in err
    assert err.count("\n") == 1


def test_help_teaches(meanfield: Command) -> None:
    assert "analyse" in meanfield()[1]
    code, out, _ = meanfield("analyse", "--help")
    assert code == 0
    assert "Examples:\n    meanfield analyse --activation tanh" in out
    assert "meanfield 0." not in out
    code, out, _ = meanfield("learning-rates", "--help")
    assert code == 0
    assert "Examples:\n    meanfield learning-rates --activation tanh" in out
    assert "--hidden-normalization" not in out
    assert "so far" not in out + meanfield("analyse", "--help")[1]
    assert meanfield("--version")[1].startswith("meanfield, version ")


def test_the_module_is_the_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "meanfield", "analyse", "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout)["kappa"]["same"] == pytest.approx(1.5)
