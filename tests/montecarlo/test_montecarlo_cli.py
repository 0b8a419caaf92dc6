"""The command montecarlo, and the figure that it makes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click import ClickException

from montecarlo.cli import main
from montecarlo.cli.options import RunOptions, opened, progress, read_rates, read_widths
from montecarlo.database import StoreError
from montecarlo.ensemble import run_ensemble
from montecarlo.experiments import EigenvalueExperiment
from montecarlo.paper import FIGURE_1, figure_1
from montecarlo.rates import DeviationExperiment, measure_rates
from montecarlo.store import read_store

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def montecarlo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command and return exit status, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["montecarlo", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), *capsys.readouterr()

    return run


def test_compare(montecarlo: Command) -> None:
    arguments = ["compare", "--width", "50", "--members", "4", "--workers", "1", "--output-normalization", "mean"]
    code, out, _ = montecarlo(*arguments)
    assert code == 0
    assert out.startswith("Theorem 3.3 (ii), proportional: T = 50 > sqrt(M) = 7.07; 4 networks, M = 50, T = 50\n")
    assert "lambda_max" in out
    data = json.loads(montecarlo(*arguments, "--json")[1])
    assert data["theory"]["theorem"] == "Theorem 3.3 (ii)"
    assert data["comparison"][2]["quantity"] == "lambda_max"
    assert data["comparison"][2]["verdict"] == "inside"
    assert data["experiment"]["network"]["output_normalization"] == "mean"
    assert (data["experiment"]["width"], data["members"], data["seed"]) == (50, 4, 0)


def test_compare_order_parameters(montecarlo: Command) -> None:
    _, out, _ = montecarlo("compare", "--of", "order-parameters", "--width", "50", "--members", "3", "--workers", "2")
    assert "qtilde^1_st" in out


def test_workers_do_not_change_the_numbers(montecarlo: Command) -> None:
    one, two = (
        montecarlo("compare", "--width", "40", "--members", "4", "--json", "--workers", n)[1] for n in ("1", "2")
    )
    assert one == two


def test_figure_1(montecarlo: Command, tmp_path: Path) -> None:
    image = tmp_path / "one.svg"
    code, out, err = montecarlo(
        *("figure", "1", "--widths", "20,40", "--members", "3", "--workers", "1", "--output", str(image))
    )
    assert code == 0
    networks, outputs, widths = 2, 2, 2
    assert len(out.splitlines()) == 1 + networks * outputs * widths + networks * widths
    assert out.count("mean, spectrum") == networks * widths
    assert "wrote" in err
    assert "<svg" in image.read_text()
    curves = json.loads(image.with_suffix(".json").read_text())["curves"]
    assert [(curve["name"], curve["network"]["output_normalization"]) for curve in curves] == [
        (name, output) for name in ("relu (2, 0)", "tanh (3, 0.64)") for output in ("none", "mean")
    ]
    point = curves[0]["points"][1]
    assert point["width"] == 40
    assert len(point["ensemble"]["members"]) == 3


def test_no_estimate_of_the_time_left_begins_with_the_small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def run(experiment: EigenvalueExperiment, rng: np.random.Generator) -> Any:
        begun.append(experiment.width)
        return measured(experiment, rng)

    measured = EigenvalueExperiment.run
    monkeypatch.setattr(EigenvalueExperiment, "run", run)
    curves = figure_1(widths=[10, 30, 20], members=2, seed=0)
    assert begun == 4 * [30, 30, 20, 20, 10, 10]
    assert [[point.width for point in curve.points] for curve in curves] == 4 * [[10, 30, 20]]
    assert all(
        point.ensemble.experiment == EigenvalueExperiment(curve.network, point.width, point.width)
        for curve in curves
        for point in curve.points
    )


def test_the_drawn_figure_holds_the_data() -> None:
    from matplotlib.container import ErrorbarContainer

    from montecarlo import figures

    curves = figure_1(widths=[20, 40], members=3, seed=0)
    figure = figures.plot_figure_1(curves)
    assert [axes.get_xlabel() for axes in figure.axes] == ["width $M$ (samples $T = M$)"] * 2
    for axes, (plain, centred) in zip(figure.axes, (curves[:2], curves[2:]), strict=True):
        points = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
        for container, curve in zip(points, (plain, centred), strict=True):
            line = container.lines[0]
            assert line is not None
            measured = [point.comparison["lambda_max"].measured for point in curve.points]
            assert np.asarray(line.get_ydata()) == pytest.approx(measured)
        theory = np.asarray(axes.lines[0].get_ydata())
        assert theory == pytest.approx([point.theory.prediction for point in plain.points])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("compare", "--members", "1"), 2, "'--members': it must be an integer >= 2, got 1"),
        (("compare", "--workers", "0"), 2, "'--workers': it must be an integer >= 1, got 0"),
        (("compare", "--width", "1000000", "--samples", "3"), 2, "'--memory-limit': it must be at least the"),
        (("compare", "--seed", "-1"), 2, "'--seed': it must be an integer >= 0, got -1"),
        (("compare", "--memory-limit", "0.0001"), 2, "'--memory-limit'"),
        (
            ("compare", "--samples", "1", "--of", "order-parameters"),
            2,
            "'--samples': it must be an integer >= 2, got 1",
        ),
        (("compare", "--activation", "tanh"), 1, "non-centred"),
        (("figure", "1", "--widths", "10,a"), 2, "'--widths': it must be integers >= 2 separated by commas"),
        (("figure", "1", "--widths", "10,1"), 2, "'--widths'"),
        (("figure", "1", "--output", "one.doc"), 2, "'--output': it must be a file name that ends in .png"),
        (("figure", "1", "--output", "no/such/folder/one.png"), 2, "'--output': it must be in a folder that exists"),
        (("figure", "7"), 2, "No such command '7'"),
        (("figure", "s1", "--widths", "20,20"), 2, "'--widths': it must be at least 2 different integers >= 2"),
        (("rates", "--widths", "20"), 2, "'--widths': it must be at least 2 different integers >= 2"),
        (("figure", "2", "--learning-rates", "1,0"), 2, "'--learning-rates': it must be numbers > 0 separated by"),
        (("figure", "2", "--widths", "1000000"), 2, "the memory limit must be at least the 5.96e+04 GiB that this"),
        (("compare", "--activation", "tanh"), 1, "the order parameters (--of order-parameters)"),
        (
            ("compare", "--activation", "tanh", "--hidden-normalization", "batch", "--leading-order"),
            1,
            "the largest eigenvalue of the last layer's block, a lower bound of lambda_max (--of last-layer)",
        ),
    ],
)
def test_errors_are_one_line_that_names_the_option(
    montecarlo: Command, arguments: tuple[str, ...], code: int, message: str
) -> None:
    status, out, err = montecarlo(*arguments)
    assert (status, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1


def test_what_cannot_be_written_is_said_before_the_work(montecarlo: Command, tmp_path: Path) -> None:
    (tmp_path / "one.json").mkdir()
    code, out, err = montecarlo("figure", "1", "--widths", "5000", "--output", str(tmp_path / "one.png"))
    assert (code, out) == (2, "")
    assert "one.json" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("paper", "--width", "10", "--output", "page.md"),
        ("paper", "--members", "2", "--scheduler", "nowhere", "--output", "page.md", "--store", "run.sqlite"),
        ("rates", "--samples", "1", "--widths", "10,20", "--store", "run.sqlite"),
        ("compare", "--members", "2", "--scheduler", "nowhere", "--store", "run.sqlite"),
        ("figure", "s1", "--members", "2", "--scheduler", "nowhere", "--output", "s1.png", "--store", "run.sqlite"),
    ],
)
def test_a_refused_command_leaves_no_files(
    montecarlo: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("distributed")
    assert montecarlo(*arguments)[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_a_refused_command_leaves_the_store_of_another_run(montecarlo: Command, tmp_path: Path) -> None:
    store = tmp_path / "run.sqlite"
    arguments = ("rates", "--widths", "10,20", "--members", "2", "--workers", "1", "--store", str(store))
    assert montecarlo(*arguments, "--samples", "5")[0] == 0
    before = store.read_bytes()
    assert montecarlo(*arguments, "--samples", "1")[0] == 2
    assert store.read_bytes() == before


def test_a_store_is_kept_from_its_first_network_on_and_its_error_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also on a full disk, where nothing can be copied to look at the file."""

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    store = tmp_path / "run.sqlite"

    def run(members: int) -> None:
        with opened(store, {"command": "rates"}) as shelf:
            assert shelf is not None
            for member in range(members):
                shelf.add({"seed": 0}, member, 1.0)
            monkeypatch.setattr("shutil.copyfile", full)
            raise StoreError("the disk is full")

    for members in (0, 1):
        with pytest.raises(StoreError, match="the disk is full"):
            run(members)
        assert store.exists() is (members > 0)
        monkeypatch.undo()


def test_a_store_of_another_command_is_refused_by_its_name(montecarlo: Command, tmp_path: Path) -> None:
    figure, one = str(tmp_path / "figure.sqlite"), str(tmp_path / "one.sqlite")
    small = ("--members", "2", "--workers", "1", "--store")
    plot = ("--widths", "10", "--output", str(tmp_path / "f.png"))
    assert montecarlo("figure", "1", *plot, *small, figure)[0] == 0
    assert montecarlo("compare", "--width", "10", *small, one)[0] == 0
    for arguments, command in (
        (("compare", *small, figure), "figure 1"),
        (("rates", *small, figure), "figure 1"),
        (("figure", "1", *plot, *small, one), "compare"),
    ):
        code, _, err = montecarlo(*arguments)
        assert code == 2
        assert "it must be a new file, or one that this command has begun" in err
        assert err.endswith(f"begun by `montecarlo {command}`\n")
    assert "(seed: 0 in the store, 1 asked)" in montecarlo("figure", "1", *plot, *small, figure, "--seed", "1")[2]


def test_widths_and_rates_come_in_any_order_and_count_once() -> None:
    assert read_widths("40,20,40", []) == [20, 40]
    assert read_rates("1e-1,1e-3,.1", []) == [1e-3, 1e-1]


def test_the_page_of_the_paper(montecarlo: Command, tmp_path: Path) -> None:
    page = tmp_path / "paper.md"
    page.write_text("old")
    code, out, _ = montecarlo("paper", "--width", "80", "--members", "2", "--workers", "1", "--output", str(page))
    assert (code, out) == (0, "")
    assert page.read_text().startswith("# The paper, statement by statement\n\nMade by `montecarlo paper --width 80 ")
    assert [path.name for path in tmp_path.iterdir()] == ["paper.md"]


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Provide the address of a scheduler with one worker, both in this process."""
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "protocol": "tcp://"}
    with distributed.LocalCluster(**options, dashboard_address=":0", silence_logs=50) as cluster:
        yield cluster.scheduler_address


def test_a_cluster_gives_the_same_numbers(montecarlo: Command, scheduler: str) -> None:
    arguments = ("compare", "--width", "20", "--members", "3", "--json")
    here = montecarlo(*arguments, "--workers", "1")
    assert here[0] == 0
    assert montecarlo(*arguments, "--scheduler", scheduler) == here


def test_a_cluster_that_is_gone_is_one_line(scheduler: str) -> None:
    experiment = EigenvalueExperiment(FIGURE_1["relu (2, 0)"], 10, 10)

    def run() -> None:
        with RunOptions(0, None, scheduler, None).running({}, 3) as how:
            how["executor"]._client.close()
            run_ensemble(experiment, members=3, seed=0, **how)

    with pytest.raises(ClickException, match=f"the scheduler at {scheduler} is gone; with --store FILE"):
        run()


def test_the_largest_networks_are_begun_first_for_the_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def run(experiment: DeviationExperiment, rng: np.random.Generator) -> Any:
        begun.append(experiment.width)
        return measured(experiment, rng)

    measured = DeviationExperiment.run
    monkeypatch.setattr(DeviationExperiment, "run", run)
    rates = measure_rates(FIGURE_1["relu (2, 0)"], widths=[10, 20], samples=3, members=2, seed=0)
    assert begun == [20, 20, 10, 10]
    assert list(rates["qtilde^1_st"].widths) == [10, 20]


def _alive(group: int) -> bool:
    """Look for processes of the group, a tenth of a second later."""
    time.sleep(0.1)
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_in_one_line_with_its_workers(number: int, tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    sizes = ("--widths", "20", "--members", "100000", "--workers", "2", "--store", str(store))
    command = [sys.executable, "-m", "montecarlo", "figure", "1", *sizes]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (store.exists() and read_store(store)):  # until it is at work, however busy the machine is
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    safe = sum(len(ensemble.members) for ensemble in read_store(store))
    again = shlex.join(["montecarlo", *command[3:]])
    assert err == f"montecarlo: interrupted; {safe} networks are safe in {store}; go on with: {again}\n"
    assert any(not _alive(process.pid) for _ in range(100))


def test_an_interrupted_run_without_a_store_says_what_would_have_kept_it() -> None:
    with pytest.raises(ClickException, match="with --store FILE the finished networks would have been kept") as error:
        with opened(None, {}):
            raise KeyboardInterrupt
    assert error.value.exit_code == 130


def test_help_teaches(montecarlo: Command) -> None:
    assert "Examples:\n    montecarlo figure 1" in montecarlo("figure", "1", "--help")[1]
    assert "Examples:\n    montecarlo compare" in montecarlo("compare", "--help")[1]


def test_the_module_is_the_command() -> None:
    result = subprocess.run([sys.executable, "-m", "montecarlo"], capture_output=True, text=True, check=True)
    assert "compare" in result.stdout
    assert "figure" in result.stdout


def test_a_log_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("montecarlo.cli.options.LINES", 0.0)
    with progress(3, None) as finished:
        for _ in range(3):
            finished()
    err = capsys.readouterr().err
    assert err.count("\n") == 3
    assert "1/3" in err.splitlines()[0]
    monkeypatch.setattr("montecarlo.cli.options.LINES", 60.0)
    with progress(3, None) as finished:
        finished()
    assert capsys.readouterr().err == ""
