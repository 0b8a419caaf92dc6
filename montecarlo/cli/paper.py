"""The command ``montecarlo paper``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from meanfield import __version__
from meanfield.cli import show
from meanfield.cli.files import require_writable, write_whole
from meanfield.errors import require_integer
from meanfield.records import plain, table

from ..ensemble import family
from ..paper import FIGURE_S1, RateCurve, figure_s1
from ..rates import DeviationExperiment
from ..theorems import HEADERS, Finding, SharpnessGrowth, claims, measure_growth, try_claims
from .options import RunOptions, ensemble_options


@click.command("paper", short_help="Every theorem of the paper put to the test.")
@click.option("--width", type=int, default=1000, show_default=True, help="M, the width, at least 80.")
@click.option("--members", type=int, default=20, show_default=True, help="Networks for each line.")
@ensemble_options
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the page to this .md file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def paper_command(
    width: int,
    members: int,
    options: RunOptions,
    output: Path | None,
    as_json: bool,
) -> None:
    """Put every theorem of the paper to the test: theory, experiment and verdict, line by line.

    An equality "agrees" if the mean over the networks is within what the theory leaves out (its order is known) and
    chance; bounds are "inside" if every single network is. "/ own theory" takes from each network what its normalised
    outputs divide by, Q1, Q2 of (19) or eta_1, eta_2, eta_3 of (27), and is relative to the theory for that network;
    the rows without it have expectations. A minute and a half on two cores.

    \b
    Examples:
      montecarlo paper
      montecarlo paper --width 200 --members 10
      montecarlo paper --output docs/paper.md
    """
    require_integer("members", members, at_least=2)
    if output is not None:
        require_writable(output)
    tried, widths = claims(width=width), [width // 8, width // 4, width // 2, width]
    runs = (len(tried) + 2 * len(FIGURE_S1) * len(widths)) * members  # rates, and the growth of lambda_max
    kinds = {type(claim.experiment) for claim in tried} | {DeviationExperiment}
    study = family("paper", *sorted(kinds, key=str), seed=options.seed, width=width)
    with options.running(study, runs) as how:
        common: dict[str, Any] = {"members": members, "seed": options.seed, **how}
        findings = try_claims(tried, **common)
        curves = figure_s1(widths=widths, **common)
        growths = [measure_growth(network, widths=widths, **common) for network in FIGURE_S1.values()]
    text = _text(findings, curves, growths)
    if output is not None:
        given = f"--width {width} --members {members} --seed {options.seed}"
        write_whole(output, _PAGE.format(given=given, width=width, members=members, text=text))
        click.echo(f"wrote {output}", err=True)
    if as_json:
        record = {
            "version": __version__,
            "width": width,
            "members": members,
            "seed": options.seed,
            "findings": plain(findings),
            "rates": plain(curves),
            "growth": plain(growths),
        }
        click.echo(json.dumps(record, indent=2))
    elif output is None:
        show(text)


def _text(findings: Sequence[Finding], curves: Sequence[RateCurve], growths: Sequence[SharpnessGrowth]) -> str:
    rows = [row for finding in findings for row in finding.comparison.rows]
    against, undecided = sum(not row.agrees for row in rows), sum(row.verdict == "undecided" for row in rows)
    rates = "\n\n".join(f"(S.5), Lemma B.2: rate q of {curve.name}\n\n{curve.rates}" for curve in curves)
    lines = table((cells for finding in findings for cells in finding.cells), HEADERS)
    counts = f"{len(rows)} comparisons: {against} against the theory, {undecided} undecided."
    growth = "\n".join(f"Theorem B.1, T = M: {name}: {one}" for name, one in zip(FIGURE_S1, growths, strict=True))
    return "\n\n".join((lines, counts, growth, rates))


_PAGE = """# The paper, statement by statement

Made by `montecarlo paper {given} --output docs/paper.md`: M = {width}, {members} networks for each line.

- An equality holds for infinite width. It "agrees" if the mean over the networks is within what the theory leaves out,
  whose order is known, and chance (1 in 1000), together the interval "allowed".
- Bounds of lambda_max are "inside" if the mean and every single network are, up to 4 sqrt(L/M) by which one network may
  be off. Where the second moment is a lower bound, and where bounds are made of expectations, the mean is judged alone.
- With normalised outputs the first three rows take the expectations of Q1, Q2 of (19) or eta_1, eta_2, eta_3 of (27);
  "/ own theory" takes them from each network, which is measured relative to the theory for it (to its lower bound).
  Where an expectation is infinite these rows are alone.

```text
{text}
```
"""
