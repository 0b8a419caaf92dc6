"""Figures 2 and S.2: the drawing holds the data, and the commands make it."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from tolerances import LINEARISED, OFFSET, ROUNDING

import meanfield as mf
import montecarlo as mc
from meanfield import ParameterError
from montecarlo import figures
from montecarlo.cli.commands import montecarlo
from montecarlo.cli.training_figures import _FULL_WIDTHS
from montecarlo.paper import FIGURE_2, FIGURE_2_OUTPUTS, TrainingMap, TrainingPoint, figure_2, figure_2_plan
from montecarlo.sweeps import LearningRateSweep
from montecarlo.training import EXPLOSION

WIDTHS, RATES = (10, 20, 40), (1e-3, 1e-2, 1e-1, 10.0)


@pytest.fixture(scope="module")
def maps() -> tuple[TrainingMap, ...]:
    plan = figure_2_plan(widths=WIDTHS, learning_rates=RATES, samples=20, steps=20)
    return figure_2(plan, members=2, seed=0)


def test_the_network_is_that_of_the_paper() -> None:
    assert (FIGURE_2.depth, FIGURE_2.outputs, FIGURE_2.activations[0].name) == (3, 1, "relu")
    assert (FIGURE_2.weight_variance[0], FIGURE_2.bias_variance[0], FIGURE_2.alpha) == (4.0, 1.0, 2.0)


def test_the_lines_are_those_of_the_paper(maps: tuple[TrainingMap, ...]) -> None:
    """2/lambda_max by Theorem 2.2, 2/(rho alpha (kappa_1 - kappa_2)), and (19) by hand."""
    same, cross = mf.kappas(FIGURE_2)
    samples = 20
    difference = mf.propagate(FIGURE_2).preactivation
    d = difference.same[-1] - difference.cross[-1]
    for none, mean, batch in zip(*(one.points for one in maps), strict=True):
        assert none.width == mean.width == batch.width
        assert none.line == pytest.approx(2 / (2 * (19 / 20 * cross + same / 20) * none.width), rel=ROUNDING)
        lower = none.width / samples * 2 * (same - cross)
        assert mean.line == pytest.approx(2 / lower, rel=ROUNDING)
        assert batch.line == pytest.approx(2 / (lower * samples / ((samples - 5) * d)), rel=ROUNDING)


def test_the_same_networks_are_seen_with_every_normalisation(maps: tuple[TrainingMap, ...]) -> None:
    """The variance of the outputs divides lambda_max; the losses before training differ by what is subtracted."""
    assert tuple(one.network.output_normalization for one in maps) == FIGURE_2_OUTPUTS
    for none, mean in zip(maps[0].points, maps[1].points, strict=True):
        for plain, centred in zip(none.trials, mean.trials, strict=True):
            assert centred.initial_loss < plain.initial_loss
            assert centred.threshold.critical >= plain.threshold.critical


def test_the_threshold_is_measured_width_by_width(maps: tuple[TrainingMap, ...]) -> None:
    for one in maps:
        for point in one.points:
            for sweep in point.trials:
                one_threshold = sweep.threshold
                assert one_threshold.stable / (1 + OFFSET) < one_threshold.critical
                assert one_threshold.critical < one_threshold.unstable * (1 + LINEARISED)


def test_the_drawn_map_holds_the_data(maps: tuple[TrainingMap, ...]) -> None:
    """The smallest loss over the trials in every cell, masked where all of them exploded."""
    figure = figures.plot_figure_2(maps)
    for axes, one in zip(figure.axes, maps, strict=False):
        (mesh,) = (c for c in axes.collections if isinstance(c, QuadMesh))
        values: Any = np.ma.asarray(mesh.get_array())
        drawn = values.filled(np.inf).reshape(len(RATES), len(WIDTHS))
        for column, point in enumerate(one.points):
            for row in range(len(RATES)):
                smallest = min(sweep.losses[row] for sweep in point.trials)
                assert drawn[row, column] == smallest
        corners = np.asarray(mesh.get_coordinates())
        edges = [width / math.sqrt(2) for width in (10, 20, 40, 80)]
        assert corners[0, :, 0].tolist() == pytest.approx(edges, rel=ROUNDING)
        assert np.all((corners[:-1, 0, 1] < RATES) & (corners[1:, 0, 1] > RATES))
        assert np.asarray(axes.lines[0].get_ydata()).tolist() == pytest.approx([point.line for point in one.points])
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        assert axes.get_xlabel() == "width $M$"
    assert figure.axes[0].get_ylabel() == r"learning rate $\eta$"
    assert figure.axes[-1].get_ylabel() == "smallest training loss of 2 trials after 20 steps"
    masked = [np.ma.getmaskarray(np.ma.asarray(axes.collections[0].get_array())).any() for axes in figure.axes[:2]]
    assert masked == [True, True]


def test_an_explosion_is_grey_and_no_colour_of_the_map_is(maps: tuple[TrainingMap, ...]) -> None:
    figure = figures.plot_figure_2(maps)
    grey = np.array(to_rgb(figures._GREY))
    mesh = figure.axes[0].collections[0]
    colours = np.asarray(mesh.get_cmap()(np.linspace(0, 1, 256)))[:, :3]
    assert np.linalg.norm(colours - grey, axis=1).min() > 0.3


def test_cells_of_a_single_width_have_edges() -> None:
    alone = figure_2(figure_2_plan(widths=[10], learning_rates=[1e-3], samples=10, steps=1), members=1, seed=0)
    figure = figures.plot_figure_2(alone)
    assert figure.axes[-1].get_ylabel() == "training loss after 1 steps"
    for axes, one in zip(figure.axes, alone, strict=False):
        (ends, line) = map(np.asarray, axes.lines[0].get_data())
        assert ends[0] < 10 < ends[1]
        assert line.tolist() == [one.points[0].line] * 2


def test_the_legend_says_what_counts_as_an_explosion(maps: tuple[TrainingMap, ...]) -> None:
    (legend,) = figures.plot_figure_2(maps).legends
    assert legend.get_texts()[-1].get_text() == f"exploded: loss above {EXPLOSION:g}"


@pytest.mark.parametrize(("name", "extra"), [("2", ()), ("s2", ("--members", "2"))])
def test_the_commands(name: str, extra: tuple[str, ...], tmp_path: Path) -> None:
    image = tmp_path / "map.png"
    sizes = ("--widths", "10,20", "--learning-rates", "1e-3,1e-1", "--samples", "12", "--steps", "5")
    result = CliRunner().invoke(montecarlo, ["figure", name, *sizes, *extra, "--workers", "1", "--output", str(image)])
    assert result.exit_code == 0, result.output
    assert "line/threshold" in result.stdout
    assert len([line for line in result.stdout.splitlines() if line.startswith(("none", "mean", "batch"))]) == 6
    pixels = matplotlib.image.imread(image)
    assert pixels.shape[0] > 500
    assert pixels.std() > 0.05
    record = json.loads(image.with_suffix(".json").read_text())
    assert (record["samples"], record["steps"], record["members"]) == (12, 5, 1 + (name == "s2"))
    sweep = record["maps"][1]["points"][0]["trials"][0]
    assert sweep["learning_rates"] == [1e-3, 1e-1]


@pytest.mark.parametrize(
    ("arguments", "parameter"),
    [
        (("2", "--learning-rates", "1,x"), "learning_rates"),
        (("2", "--learning-rates", "0"), "learning_rates"),
        (("2", "--samples", "5"), "samples"),
        (("2", "--steps", "0"), "steps"),
        (("s2", "--members", "1"), "members"),
        (("2", "--widths", "10,1000000"), "memory_limit"),
        (("2", "--output", "map.doc"), "output"),
    ],
)
def test_bad_options_are_refused_before_any_work(arguments: tuple[str, ...], parameter: str, tmp_path: Path) -> None:
    output = () if "--output" in arguments else ("--output", str(tmp_path / "map.png"))
    result = CliRunner().invoke(montecarlo, ["figure", *arguments, *output, "--workers", "1"])
    assert isinstance(result.exception, ParameterError)
    assert result.exception.parameter == parameter


def test_no_number_on_the_axis_of_widths_touches_the_next() -> None:
    """At the paper's ten widths, as small as the figure is."""
    plan = figure_2_plan(widths=_FULL_WIDTHS, learning_rates=[1e-3], samples=6, steps=1)
    sweep = LearningRateSweep((1e-3,), (0.1,), (None,), 1.0, mc.Threshold(20.0, 0.099, 0.101))
    theory = mf.eigenvalue_statistics(FIGURE_2, width=100, samples=100)
    points = tuple(TrainingPoint(width, theory, 0.1, 0.11, (sweep,)) for width in plan.widths)
    figure = figures.plot_figure_2([TrainingMap(network, 6, 1, points) for network in plan.networks])
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    for axes in figure.axes[:3]:
        boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
        assert len(boxes) >= 4
        assert all(after.x0 > before.x1 for before, after in pairwise(boxes))
        ticks = {*axes.get_xticks(), *axes.get_xticks(minor=True)}
        assert ticks == set(_FULL_WIDTHS)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_figure_is_written_in_one_piece_and_the_same_again(suffix: str, tmp_path: Path, maps: Any) -> None:
    path = tmp_path / f"map.{suffix}"
    figures.save(figures.plot_figure_2(maps), path)
    first = path.read_bytes()
    figures.save(figures.plot_figure_2(maps), path)
    assert path.read_bytes() == first
    broken = figures.plot_figure_2(maps)
    broken.axes[0].set_title("$\\frac{$")  # no formula: the writer fails half way
    with pytest.raises(ValueError, match="frac"):
        figures.save(broken, path)
    assert path.read_bytes() == first
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_the_store_is_not_overwritten_by_the_data(tmp_path: Path) -> None:
    image = tmp_path / "map.png"
    for store in (image, image.with_suffix(".json")):
        result = CliRunner().invoke(montecarlo, ["figure", "2", "--output", str(image), "--store", str(store)])
        assert isinstance(result.exception, ParameterError)
        assert result.exception.parameter == "store"


def test_figure_s2_goes_on_from_the_store_of_figure_2(tmp_path: Path) -> None:
    sizes = ("--widths", "20,10,20", "--learning-rates", "1e-3,1e-1", "--samples", "12", "--steps", "5")
    store = ("--store", str(tmp_path / "s.sqlite"), "--workers", "1")
    for name, extra in (("2", ()), ("s2", ("--members", "2"))):
        output = ("--output", str(tmp_path / f"{name}.png"))
        result = CliRunner().invoke(montecarlo, ["figure", name, *sizes, *store, *output, *extra])
        assert result.exit_code == 0, result.output
    ensembles = mc.read_store(tmp_path / "s.sqlite")
    assert [len(one.members) for one in ensembles] == [2] * (3 * 2 * (1 + 2))
    one, several = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("2", "s2"))
    for before, after in zip(one["maps"], several["maps"], strict=True):
        assert [point["width"] for point in before["points"]] == [10, 20]
        for point, more in zip(before["points"], after["points"], strict=True):
            assert point["trials"] == more["trials"][:1]
            assert point["line"] == more["line"]
    assert "±" in result.stdout


def test_figure_2_shows_its_points_and_lines_where_no_rate_is_near() -> None:
    plan = figure_2_plan(widths=[10, 20], learning_rates=[1e-4, 1e-3], samples=20, steps=2)
    maps = figure_2(plan, members=1, seed=0)
    lower, upper = figures.plot_figure_2(maps).axes[0].get_ylim()
    shown = [point.line for one in maps for point in one.points]
    shown += [trial.threshold.critical for one in maps for point in one.points for trial in point.trials]
    assert lower < min(*shown, 1e-4)
    assert upper > max(shown)
