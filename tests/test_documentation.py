"""The pages of the documentation: every block runs, and what they say is what the code decides.

Notebooks run when the site is built, which continuous integration does with warnings as errors.
"""

from __future__ import annotations

import doctest
import importlib.util
import itertools
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import meanfield as mf

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
MADE, NOTEBOOKS = DOCS / "reference", DOCS / "notebooks"
PAGES = sorted(page for page in DOCS.rglob("*.md") if not {MADE, NOTEBOOKS} & set(page.parents))


def program(name: str) -> ModuleType:
    """Return a module of the folder of the documentation."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


blocks = program("blocks")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in page.read_text()], ids=named)
def test_the_python_of_a_page_prints_what_it_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block, printed in blocks.run_python(page.read_text()):
        if block.printed is not None:
            assert printed.strip() == block.printed.strip(), block.code


ELSEWHERE = {
    "python3 -m venv": "a command of .ci/run",
    "dask scheduler": "several machines; tests/montecarlo/test_workers_cli.py has them as processes",
    "montecarlo figure 1 --output docs/": "a command of tests/test_gallery.py",
    "montecarlo figure spectrum": "a command of tests/test_gallery.py",
    "montecarlo figure s1": "a command of tests/test_gallery.py",
    "montecarlo figure 2": "a command of tests/test_gallery.py",
    "montecarlo figure s2": "a command of tests/test_gallery.py",
}
"""Blocks by how they begin, and where they run instead of here."""

SMALLER = {"montecarlo figure 1 --full": "--widths 10,20 --members 2 --workers 1"}
"""Commands by how they begin, and what is added to them."""


def commands() -> list[tuple[Path, str]]:
    """Return every block of commands that is to run here, with its page."""
    found = [(page, block) for page in (README, *PAGES) for block in blocks.blocks(page.read_text())]
    return [
        (page, block.code)
        for page, block in found
        if block.language == "sh" and block.runs and not block.code.startswith(tuple(ELSEWHERE))
    ]


@pytest.mark.parametrize(("page", "code"), commands(), ids=lambda value: value.name if isinstance(value, Path) else "")
def test_commands_run(page: Path, code: str, tmp_path: Path) -> None:
    lines = []
    for line in code.splitlines():
        command, _, _ = line.partition(" #")
        added = [more for begin, more in SMALLER.items() if command.startswith(begin)]
        lines.append(" ".join([command, *added]))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    (tmp_path / "docs" / "figures").mkdir(parents=True)
    script = ["bash", "-euo", "pipefail", "-c", "\n".join(lines)]
    ran = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_block_is_of_a_language_that_nothing_runs() -> None:
    for page in PAGES:
        opened = re.findall(r"^\s*(?:```|~~~)(\S*)", page.read_text(), re.MULTILINE)[::2]
        assert set(opened) <= {"python", "sh", "text", "{toctree}"}, page


def test_no_line_of_a_formula_is_taken_for_a_list() -> None:
    """Markdown begins a list at a line with a plus sign, and at a number with a full stop after a paragraph's one."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        assert not re.findall(r"(?<=\S\n) *(?:\+ .*|1\. .*)", text), page


@pytest.mark.parametrize("name", ["blocks", "docstrings", "reference"])
def test_examples_of_the_programs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    assert doctest.testmod(program(name)).failed == 0


def test_what_stands_before_a_colon_is_no_type() -> None:
    lines = ["Of two theorems: the one that was used."]
    program("docstrings").process(None, "attribute", "regime", None, None, lines)
    assert lines == [":Of two theorems: the one that was used."]


# Which theorem applies

OUTPUT = {"none": "none", "mean subtraction": "mean", "batch norm": "batch", "layer norm": "layer"}
WIDTH = 100
BOUNDS = {"√M": math.isqrt(WIDTH)}


def counts(cell: str) -> tuple[float, float]:
    """Return the least and the greatest number that a cell of the page's tables names."""
    if cell == "any":
        return 1, math.inf
    if found := re.fullmatch(r"above (\S+)", cell):
        return BOUNDS[found[1]] + 1, math.inf
    least, _, greatest = cell.replace(" or more", " to inf").partition(" to ")
    return int(least), float(BOUNDS.get(greatest, greatest or least))


def decisions() -> dict[str, list[list[str]]]:
    """Return the rows of the page's tables for each normalisation of the hidden layers: outputs, T, C, theorem."""
    found: dict[str, list[list[str]]] = {}
    columns: list[str] = []
    for line in (DOCS / "guide" / "theorems.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "outputs":
            columns = [{"none": "none", "layer norm": "layer", "batch norm": "batch"}[cell[8:]] for cell in cells[3:]]
        elif cells[0] in OUTPUT and len(cells) == 3 + len(columns):
            for hidden, cell in zip(columns, cells[3:], strict=True):
                found.setdefault(hidden, []).append([*cells[:3], cell])
    return found


DECISIONS = decisions()


def decided(hidden: str, output: str, samples: int, outputs: int) -> str:
    """Return what the page's table says."""
    rows = [
        theorem
        for of, of_samples, of_outputs, theorem in DECISIONS[hidden]
        if OUTPUT[of] == output
        and counts(of_samples)[0] <= samples <= counts(of_samples)[1]
        and counts(of_outputs)[0] <= outputs <= counts(of_outputs)[1]
    ]
    assert len(rows) == 1, (output, samples, outputs)
    return rows[0]


def asked(network: mf.Network, samples: int) -> str:
    """Return what the code says, in the words of the table."""
    try:
        found = mf.eigenvalue_statistics(network, width=WIDTH, samples=samples, sharp=False)
    except ValueError as error:
        return f"`{type(error).__name__}`"
    theorem, _, _ = found.theorem.partition(", lambda_")
    return theorem + ": zero" * (found.largest.upper == 0)


@pytest.mark.parametrize(("hidden", "output"), list(itertools.product(DECISIONS, OUTPUT.values())))
def test_the_decision_page_says_what_the_code_decides(hidden: str, output: str) -> None:
    for outputs, samples in itertools.product((1, 2, 3, 5, 6, 10), (1, 2, 3, 4, 5, 6, 10, 11, 100)):
        network = mf.Network.uniform(
            mf.relu,
            depth=3,
            weight_variance=2.0,
            bias_variance=0.1,
            outputs=outputs,
            hidden_normalization=hidden,
            output_normalization=output,
        )
        assert asked(network, samples) == decided(hidden, output, samples, outputs), (samples, outputs)


# The pages that are made


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS))
    return program("reference")


def test_every_slip_names_tests_that_decide_it(reference: ModuleType) -> None:
    items = re.findall(r"^(\d+)\. ", reference.section(README.read_text(), "Readings of the paper"), re.MULTILINE)
    evidence = reference.evidence()
    assert sorted(evidence) == [int(item) for item in items] == list(range(1, len(items) + 1))
    page = reference.slips()
    assert page.count("Evidence: ") == len(items)
    for tests in evidence.values():
        assert all(f"`{name}`" in page for name in tests)


def test_the_map_links_public_names(reference: ModuleType) -> None:
    page = reference.equation_map()
    assert "{py:obj}`meanfield.kappas`" in page
    assert page.count("\n| (") == reference.section(README.read_text(), "Equations").count("\n| (")


def test_the_interface_has_every_public_function_and_class(reference: ModuleType) -> None:
    for package in reference.PACKAGES:
        page = reference.interface(package)
        for name in package.__all__:
            thing = getattr(package, name)
            if isinstance(thing, type) or (callable(thing) and not isinstance(thing, mf.Activation)):
                assert f"\n   {name}\n" in page


def test_the_overview_has_every_derivation(reference: ModuleType) -> None:
    page = reference.beyond()
    for path in DOCS.glob("*.md"):
        assert (f"](../{path.name})" in page) or path.stem in reference.ELSEWHERE


def test_every_activation_has_its_section(reference: ModuleType) -> None:
    page = reference.activations()
    for phi in mf.activations.catalogue.BY_NAME:
        assert f"\n## {phi}\n" in page
