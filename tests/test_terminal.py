"""The two commands as a place to think: what they show alone, complete, colour and advise."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import meanfield as mf
import meanfield.cli
import montecarlo.cli

Command = Callable[..., tuple[int, str, str]]
PROGRAMS = {"meanfield": meanfield.cli.main, "montecarlo": montecarlo.cli.main}
COLOUR = "\x1b["


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run one of the commands and return exit status, output and errors."""

    def run(program: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        with pytest.raises(SystemExit) as stopped:
            PROGRAMS[program]()
        return int(stopped.value.code or 0), *capsys.readouterr()

    return run


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """Run a command with a terminal as its output, and return what that shows."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", **environment},
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert process.returncode is not None
    return shown.decode()


@pytest.mark.parametrize("words", [("meanfield",), ("montecarlo",), ("montecarlo", "figure")])
def test_alone_a_command_shows_what_it_can_do_and_every_line_fits(run: Command, words: tuple[str, ...]) -> None:
    code, out, _ = run(*words)
    assert code == 0
    assert len(words) == 2 or "Try:" in out
    assert "..." not in out.split("Commands:")[1]  # nothing is cut off
    assert max(map(len, out.splitlines())) <= 100


def test_where_deep_networks_go(run: Command) -> None:
    code, out, _ = run("meanfield", "phase", "--activation", "tanh", "--weight-variance", "1.5", "--json")
    point = mf.fixed_point(mf.tanh, weight_variance=1.5)
    record = json.loads(out)
    assert code == 0
    assert (record["variance"], record["chi_1"], record["phase"]) == (point.variance, point.chi_1, "chaotic")
    assert record["correlation_depth"] == point.correlation_depth
    assert record["edge_of_chaos"] == pytest.approx(1.0)
    assert "edge of chaos at sigma_b^2 = 0: sigma_w^2 = 2\n" in run("meanfield", "phase")[1]
    code, out, err = run("meanfield", "phase", "--bias-variance", "0.1")
    assert code == 1
    assert "relu has no edge of chaos" in out
    assert "grows without end" in err


def test_where_mean_subtraction_stops_helping(run: Command, tmp_path: Path) -> None:
    image = tmp_path / "crossover.svg"
    code, out, err = run("meanfield", "crossover", "--samples", "8,32", "--deepest", "8", "--output", str(image))
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:3]] == [["8", "3"], ["32", "6"]]
    assert "wrote" in err
    assert "<svg" in image.read_text()
    curve = json.loads(image.with_suffix(".json").read_text())["curves"][0]
    network = mf.Network.uniform(mf.relu, depth=4, weight_variance=2.0, hidden_normalization="batch")
    theta = mf.batch_norm_backward(network, samples=8).theta
    assert curve["contrasts"][2] == pytest.approx(theta.contrast / 8)
    assert curve["shared"][2] == pytest.approx(theta.uniform / 8)
    assert run("meanfield", "crossover", "--samples", "8,x")[0] == 2
    assert "E 1/sigma^2" in run("meanfield", "crossover", "--samples", "3", "--output", str(image))[2]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_program(run: Command, program: str, shell: str) -> None:
    code, out, _ = run(program, "completion", shell)
    assert code == 0
    assert f"_{program.upper()}_COMPLETE={shell}_complete" in out


@pytest.mark.parametrize(
    ("program", "words", "completed"),
    [
        ("meanfield", "meanfield an", {"analyse"}),
        ("meanfield", "meanfield analyse --activation s", {"selu", "sigmoid", "silu", "sine", "softplus"}),
        ("montecarlo", "montecarlo compare --activation leaky", {"leaky_relu("}),
        ("montecarlo", "montecarlo compare --output-normalization ba", {"batch"}),
    ],
)
def test_a_shell_completes_commands_activations_and_choices(program: str, words: str, completed: set[str]) -> None:
    asked = {
        f"_{program.upper()}_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    answer = subprocess.run(
        [sys.executable, "-c", f"import {program}.cli as cli; cli.main()"],
        env={**os.environ, **asked},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert {line.split(",")[1] for line in answer.stdout.splitlines()} == completed


COMPARED = ("montecarlo", "compare", "--width", "30", "--members", "3", "--workers", "1")


def test_verdicts_have_colours_on_a_terminal_only(run: Command, tmp_path: Path) -> None:
    shown = on_a_terminal(*COMPARED)
    assert COLOUR in shown
    assert COLOUR not in on_a_terminal(*COMPARED, NO_COLOR="1")
    code, out, _ = run(*COMPARED)
    assert code == 0
    assert COLOUR not in out


def test_errors_have_colours_on_a_terminal_only(run: Command) -> None:
    assert on_a_terminal("meanfield", "analyse", "--depth", "1").startswith(COLOUR)
    code, _, err = run("meanfield", "analyse", "--depth", "1")
    assert code == 2
    assert err.startswith("meanfield: ")


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("meanfield", "analyse", "--activation", "relux"), "did you mean relu?"),
        (("montecarlo", "comapre"), "Did you mean 'compare'?"),
        (("meanfield", "analyse", "--widt", "3"), "--width"),
        (("meanfield", "analyse", "--output-normalization", "layer", "--outputs", "4"), "--readout-seed 0"),
        (("montecarlo", "compare", "--activation", "tanh"), "--of order-parameters"),
    ],
)
def test_an_error_says_what_to_type_next(run: Command, arguments: tuple[str, ...], advice: str) -> None:
    code, _, err = run(*arguments)
    assert code in (1, 2)
    assert advice in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("meanfield", "analyse"),
        ("meanfield", "learning-rates"),
        ("meanfield", "phase"),
        ("meanfield", "activations"),
        ("montecarlo", "compare", "--width", "20", "--members", "2", "--workers", "1"),
        ("montecarlo", "rates", "--widths", "10,20", "--members", "2", "--workers", "1"),
    ],
    ids=" ".join,
)
def test_every_command_prints_json(run: Command, arguments: tuple[str, ...]) -> None:
    code, out, _ = run(*arguments, "--json")
    assert code == 0
    json.loads(out)
