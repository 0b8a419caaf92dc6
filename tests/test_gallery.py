"""The gallery: every figure is made by the command above it, and small enough for a page."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from montecarlo.cli.commands import montecarlo

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "gallery.md").read_text()

LARGEST = 200_000
"""Bytes of an image."""

TINY = {
    "1": ("--widths", "10,20", "--members", "2"),
    "spectrum": ("--width", "20", "--members", "2"),
    "s1": ("--widths", "10,20,40", "--members", "4"),
    "2": ("--widths", "10,20", "--samples", "12", "--steps", "3", "--learning-rates", "1e-3,1e-1"),
    "s2": ("--widths", "10,20", "--samples", "12", "--steps", "3", "--learning-rates", "1e-3,1e-1", "--members", "2"),
}


commands = runpy.run_path(str(DOCS / "make_gallery.py"))["commands"]


def test_every_image_is_made_by_the_command_above_it() -> None:
    made = [words[words.index("--output") + 1] for words in commands(PAGE)]
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGE)
    assert made == [f"docs/{image}" for image in shown]
    others = set(
        re.findall(r"!\[[^\]]+\]\(figures/([^)]+)\)", (DOCS / "maps.md").read_text())
    )  # which has a test of its own
    images = {path.name for path in (DOCS / "figures").glob("*.png")}
    assert images - others == {Path(one).name for one in made}


@pytest.mark.parametrize("image", sorted((DOCS / "figures").glob("*.png")), ids=lambda path: path.name)
def test_images_are_small(image: Path) -> None:
    assert image.stat().st_size < LARGEST


@pytest.mark.parametrize("words", commands(PAGE), ids=lambda words: words[2])
def test_the_commands_run(words: list[str], tmp_path: Path) -> None:
    program, *given = words
    assert program == "montecarlo"
    output = tmp_path / Path(given[given.index("--output") + 1]).name
    result = CliRunner().invoke(montecarlo, [*given, *TINY[given[1]], "--workers", "1", "--output", str(output)])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([output.name, f"{output.stem}.json"])


def test_the_program_runs_all_of_them_and_writes_what_they_print(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "docs" / "make_gallery.py"
    program.parent.mkdir()
    program.write_text((DOCS / "make_gallery.py").read_text())
    page = program.with_name("gallery.md")
    page.write_text(PAGE)
    ran = []

    def run(command: list[str], **_: object) -> SimpleNamespace:
        ran.append(command)
        return SimpleNamespace(stdout=f"printed by {command[4]}\n")

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr(sys, "argv", [program.name, "--workers", "2"])
    runpy.run_path(str(program), run_name="__main__")
    assert [command[1:5] for command in ran] == [["-m", "montecarlo", "figure", name] for name in TINY]
    assert all(command[-2:] == ["--workers", "2"] for command in ran)
    before, _, after = PAGE.partition("```text\n")
    assert page.read_text() == f"{before}```text\nprinted by s2\n```{after.partition('```')[2]}"
