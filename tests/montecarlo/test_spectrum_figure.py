"""All eigenvalues of a network, and the figure of their density."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.container import ErrorbarContainer

import meanfield as mf
import montecarlo as mc
from montecarlo import figures
from montecarlo.cli.commands import montecarlo
from montecarlo.codec import decode, encode
from montecarlo.paper import FIGURE_1, DensityCurve, figure_spectrum

WIDTH, MEMBERS = 120, 3


@pytest.fixture(scope="module")
def curves() -> tuple[DensityCurve, ...]:
    return figure_spectrum(width=WIDTH, members=MEMBERS, seed=0)


def test_all_eigenvalues_are_those_of_the_dual() -> None:
    network = FIGURE_1["relu (2, 0)"].normalized(output="mean")
    experiment = mc.SpectrumExperiment(network, 30, 12)
    found = experiment.run(np.random.default_rng(3))
    sweep = mc.propagate(*experiment.sample(np.random.default_rng(3)))
    np.testing.assert_array_equal(np.sort(np.linalg.eigvalsh(mc.dual_gram(sweep)))[::-1].shape, found.values.shape)
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(mc.dual_gram(sweep))[::-1], atol=1e-12)
    assert found.values[-1] == pytest.approx(0, abs=1e-12)  # mean subtraction
    one = mc.measure_eigenvalues(sweep)
    assert found.values[0] == pytest.approx(one.lambda_max, rel=1e-12)
    assert decode(encode(found)) == found
    assert found != mc.Eigenvalues(2 * found.values)
    assert experiment.memory > 0


def test_the_curves_are_theory_and_experiment(curves: tuple[DensityCurve, ...]) -> None:
    assert [curve.name for curve in curves] == list(FIGURE_1)
    for curve in curves:
        spectrum = mf.spectrum(FIGURE_1[curve.name].normalized(output="mean"), width=WIDTH, samples=WIDTH)
        assert curve.largest == spectrum.largest
        np.testing.assert_allclose(curve.density, spectrum.density(curve.x), rtol=1e-6, atol=1e-9)
        assert curve.eigenvalues.shape == (MEMBERS, WIDTH - 1)
        assert 0 < curve.distance < 0.2  # three small networks scatter


def test_the_figure_shows_them(curves: tuple[DensityCurve, ...]) -> None:
    figure = figures.plot_spectrum(curves)
    assert len(figure.axes) == len(curves)
    for axes, curve in zip(figure.axes, curves, strict=True):
        line = next(line for line in axes.lines if line.get_label() == "density by the theory")
        np.testing.assert_array_equal(line.get_ydata(), curve.density)
        (bars,) = (box for box in axes.containers if isinstance(box, ErrorbarContainer))
        assert bars[0].get_xdata()[0] == pytest.approx(curve.eigenvalues[:, 0].mean())
        assert "eigenvalue" in axes.get_xlabel()


def test_the_command_writes_image_and_data(tmp_path: Path) -> None:
    output = tmp_path / "density.png"
    arguments = ["figure", "spectrum", "--width", "30", "--members", "2", "--output", str(output)]
    result = CliRunner().invoke(montecarlo, arguments)
    assert result.exit_code == 0, result.output
    assert output.stat().st_size > 0
    data = json.loads(output.with_suffix(".json").read_text())
    assert len(data["curves"]) == 2
    assert len(data["curves"][0]["x"]) == len(data["curves"][0]["density"])
    for wrong in (("--width", "19"), ("--members", "1")):
        result = CliRunner().invoke(montecarlo, [*arguments, *wrong])
        assert isinstance(result.exception, mf.ParameterError)
        assert result.exception.parameter == wrong[0].removeprefix("--")
