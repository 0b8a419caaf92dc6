"""The command ``montecarlo paper``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click
from tqdm import tqdm

from meanfield import __version__
from meanfield.errors import ParameterError, require_integer
from meanfield.records import plain, table

from ..theorems import HEADERS, Finding, claims, try_claims
from .options import ensemble_options, pool


@click.command("paper")
@click.option("--width", type=int, default=1000, show_default=True, help="M, the width, at least 40.")
@click.option("--members", type=int, default=20, show_default=True, help="Networks for each line.")
@ensemble_options
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the page to this .md file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def paper_command(width: int, members: int, workers: int, seed: int, output: Path | None, as_json: bool) -> None:
    """Put every theorem of the paper to the test: theory, experiment and verdict, line by line.

    An equality "agrees" if the mean over the networks is within what the theory leaves out (its order is known) and
    chance; bounds are "inside" if every single network is. "own theory" takes from each network what its normalised
    outputs divide by, Q1, Q2 of (19) or eta_1, eta_2, eta_3 of (27); without it they are expectations.

    \b
    Examples:
      montecarlo paper
      montecarlo paper --width 200 --members 10
      montecarlo paper --output docs/paper.md
    """
    require_integer("width", width, at_least=40)
    require_integer("members", members, at_least=2)
    require_integer("seed", seed, at_least=0, at_most=None)
    if output is not None and not output.parent.is_dir():
        raise ParameterError("output", "in a folder that exists", output)
    trials = claims(width=width)
    with (
        pool(min(workers, members)) as executor,
        tqdm(total=len(trials) * members, unit="network", leave=False, disable=None) as bar,
    ):
        findings = try_claims(trials, members=members, seed=seed, executor=executor, progress=bar.update)
    page = _page(findings, width=width, members=members, seed=seed)
    if output is not None:
        output.write_text(page)
        click.echo(f"wrote {output}", err=True)
    if as_json:
        record = {"version": __version__, "width": width, "members": members, "seed": seed, "findings": plain(findings)}
        click.echo(json.dumps(record, indent=2))
    elif output is None:
        click.echo(_table(findings))


def _table(findings: Sequence[Finding]) -> str:
    rows = [row for finding in findings for row in finding.comparison.rows]
    disagreeing = sum(not row.agrees for row in rows)
    lines = table((cells for finding in findings for cells in finding.cells), HEADERS)
    return f"{lines}\n\n{len(rows)} comparisons, {disagreeing} of them against the theory"


def _page(findings: Sequence[Finding], *, width: int, members: int, seed: int) -> str:
    options = f"--width {width} --members {members} --seed {seed}"
    return (
        "# The paper, statement by statement\n\n"
        f"Made by `montecarlo paper {options} --output docs/paper.md`: M = {width}, {members} networks for each line.\n"
        "`montecarlo paper --help` says how the verdicts are found.\n\n"
        f"```text\n{_table(findings)}\n```\n"
    )
