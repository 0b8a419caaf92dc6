"""How accurate, how honest and how fast is each method of integration? Run: python benchmarks/quadrature.py.

Every method of `meanfield.quadrature`, and what one would otherwise take (see peers.py), on overlaps E f(u) f(v) that
are known to thirty digits (tests/data/overlaps.json). Errors are relative to E f(u)^2. A claim is dishonest where the
error is larger than the claimed one, rounding of the result aside. Times are those of a warm call.

By itself the program compares all of them on 96 overlaps, and runs the automatic choice on all 4320: four minutes.
``--own`` gives all overlaps to all methods of the package but the slow reference (a quarter of an hour), ``--full`` to
the peers as well (hours). A run that was interrupted goes on.
"""

from __future__ import annotations

import csv
import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal, localcontext
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from clock import median_seconds
from numpy.typing import NDArray
from peers import Problem, Watched, peers, scalar
from tqdm import tqdm

import meanfield as mf
from meanfield.records import table

OURS: dict[str, mf.quadrature.Method] = {
    "AUTO": mf.AUTO,
    "Exact": mf.quadrature.Exact(),
    "CosineSeries": mf.CosineSeries(),
    "HermiteSeries": mf.HermiteSeries(),
    "Trapezoid": mf.Trapezoid(),
    "Panels": mf.Panels(),
    "GaussHermite(100)": mf.GaussHermite(100),
    "Reference(15)": mf.Reference(15),
}
SLOW = ("Reference(15)",)
"""Methods of ours that are given the problems of the peers only, unless the run is full."""

FUNCTIONS = ("tanh value", "tanh slope", "gelu value", "relu value", "relu slope", "hard_tanh value")
VARIANCES = (0.3, 2.0, 10.0, 100.0)
CORRELATIONS = (-0.3, 0.7, 0.99, 0.9999)

GRAM = 4096
"""Correlations of one call of the cosine series, which is for many; its time is that of one of them."""

FEW: dict[str, Any] = {"most": 5, "enough": 0.02}
"""Calls whose median is taken: so many, or for so many seconds."""

EXACT = 1e-13
ULP = float(np.finfo(np.float64).eps)
PARTS = ("value", "slope")


@dataclass(frozen=True)
class Row:
    """What one method made of one problem."""

    method: str
    function: str
    variance: float
    correlation: float
    status: str
    """"ok", or why there is no value: "unsuited", "refused" (tolerance not reached), "timeout", "failed"."""
    error: float | None = None
    """Relative to E f(u)^2, as all errors."""
    claimed: float | None = None
    seconds: float | None = None
    evaluations: int | None = None
    common: bool = False
    """Whether the problem is one of those that all methods are given."""
    smooth: bool = True
    """Whether the function has neither kinks nor jumps."""

    @property
    def ratio(self) -> float | None:
        """Of the true error, less the rounding of the result to a double, to the claimed one."""
        if self.error is None or self.claimed is None:
            return None
        excess = max(0.0, self.error - ULP)
        return excess / self.claimed if self.claimed else math.inf if excess else 0.0


@dataclass(frozen=True)
class Task:
    """A method and a problem."""

    method: str
    run: Callable[[Problem, float], dict[str, Any]]
    problem: Problem
    common: bool

    @property
    def key(self) -> str:
        """The same in each run."""
        problem = self.problem
        return f"{self.method}|{problem.name} {PARTS[problem.part]}|{problem.variance}|{problem.correlation}"

    def row(self, limit: float) -> Row:
        """Do it."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                found: dict[str, Any] = {"status": "ok"} | self.run(self.problem, limit)
            except TimeoutError:
                found = {"status": "timeout"}
            except mf.QuadratureError:
                found = {"status": "refused"}
            except (ArithmeticError, ValueError):
                found = {"status": "failed"}
        p = self.problem
        place = (self.method, f"{p.name} {PARTS[p.part]}", p.variance, p.correlation)
        return Row(*place, **found, common=self.common, smooth=not p.f.breaks)


def problems() -> Iterator[Problem]:
    """Every overlap of the table."""
    content = json.loads((Path(__file__).parents[1] / "tests" / "data" / "overlaps.json").read_text())
    for key, rows in content["integrals"].items():
        name, part = key.split()
        for variance, (_, square, *overlaps) in rows.items():
            for correlation, digits in zip(content["correlations"], overlaps, strict=True):
                a = float(variance)
                yield Problem(name, PARTS.index(part), a, correlation, correlation * a, digits, float(square))


def is_common(problem: Problem) -> bool:
    """Whether the problem is given to the peers even in a short run."""
    function = f"{problem.name} {PARTS[problem.part]}"
    return function in FUNCTIONS and problem.variance in VARIANCES and problem.correlation in CORRELATIONS


def tasks(*, own: bool, full: bool, tiny: bool) -> Iterator[Task]:
    """Yield what is to be done."""
    for problem in problems():
        common = is_common(problem)
        if tiny and not (common and problem.name == "relu" and problem.variance == 2.0 and problem.correlation == 0.7):
            continue
        for name, method in OURS.items():
            if common or full or name == "AUTO" or (own and name not in SLOW):
                yield Task(name, partial(ours, method), problem, common)
        if common or full:
            for name, peer, one_at_a_time in peers():
                yield Task(name, partial(theirs, peer, one_at_a_time), problem, common)


def ours(method: mf.quadrature.Method, problem: Problem, limit: float) -> dict[str, Any]:
    """Run a method of the package."""
    f = problem.f
    if not method.accepts(f, "overlap", f):
        return {"status": "unsuited"}
    if isinstance(method, mf.Reference):
        watched = Watched(f.precise, time.perf_counter() + limit)  # type: ignore[arg-type]  # accepts() has seen to it
        f = mf.ScalarFunction(np.zeros_like, kinks=f.breaks, precise=watched)
        start = time.perf_counter()
        estimate = method.overlap(f, problem.variance, problem.covariance)
        seconds, evaluations = time.perf_counter() - start, watched.evaluations
    else:
        many = isinstance(method, mf.CosineSeries)
        covariance = _gram(problem.variance, problem.covariance) if many else problem.covariance
        call = partial(method.overlap, f, problem.variance, covariance)
        estimate = call()
        count = np.size(estimate.value)
        seconds, evaluations = median_seconds(call, **FEW) / count, int(np.sum(estimate.evaluations) / count)
    value, claimed = (float(np.ravel(x)[0]) for x in (estimate.value, estimate.error))
    return judged(problem, value, claimed) | {"seconds": seconds, "evaluations": evaluations}


def _gram(variance: float, covariance: float) -> NDArray[np.float64]:
    rest = variance * np.linspace(-1, 1, GRAM - 1)
    return np.concatenate([[covariance], rest])


def theirs(peer: Any, one_at_a_time: bool, problem: Problem, limit: float) -> dict[str, Any]:
    """Run a peer: once counted and watched, then as it is."""
    f = scalar(problem) if one_at_a_time else problem.f.value
    start = time.perf_counter()
    watched = Watched(f, start + limit)
    value, claimed = peer(problem, watched)
    seconds = time.perf_counter() - start
    if seconds < 0.1:
        seconds = median_seconds(partial(peer, problem, f), **FEW)
    if not math.isfinite(value):
        return {"status": "failed"}
    return judged(problem, value, claimed) | {"seconds": seconds, "evaluations": watched.evaluations}


def judged(problem: Problem, value: float, claimed: float | None) -> dict[str, Any]:
    """Return the errors relative to E f(u)^2, the true one from all thirty digits."""
    with localcontext(prec=40):
        error = float(abs(Decimal(value) - Decimal(problem.digits)))
    return {"error": error / problem.square, "claimed": None if claimed is None else claimed / problem.square}


def collect(todo: list[Task], path: Path, limit: float, settings: dict[str, Any]) -> list[Row]:
    """Do all tasks that the file does not have; it is removed by whoever has used the rows."""
    header = json.dumps(settings)
    done: dict[str, Row] = {}
    if path.exists():
        first, *lines = path.read_text().splitlines() or [""]
        if first == header:
            for line in lines:
                if line.endswith("}"):  # else it was cut off
                    key, row = json.loads(f"[{line}]")
                    done[key] = Row(**row)
    with path.open("w") as file:
        file.write(header + "\n")
        for key, row in done.items():
            file.write(f"{json.dumps(key)}, {json.dumps(asdict(row))}\n")
        for task in tqdm([task for task in todo if task.key not in done], leave=False, unit="overlap", disable=None):
            row = done[task.key] = task.row(limit)
            file.write(f"{json.dumps(task.key)}, {json.dumps(asdict(row))}\n")
            file.flush()
    return [done[task.key] for task in todo]


HEADERS = (
    *("method", "problems", "unsuited", "refused", "no value", "median error", "worst error", "to 1e-13"),
    *("worst error/claim", "dishonest", "median time"),
)


def summary(rows: Iterable[Row]) -> str:
    """Return the table with one row for each method."""
    by_method: dict[str, list[Row]] = {}
    for row in rows:
        by_method.setdefault(row.method, []).append(row)
    return table([_line(name, mine) for name, mine in by_method.items()], HEADERS)


def _line(name: str, rows: list[Row]) -> tuple[object, ...]:
    status = [row.status for row in rows]
    no_value = status.count("timeout") + status.count("failed")
    counts = (len(rows), status.count("unsuited"), status.count("refused"), no_value)
    errors = [row.error for row in rows if row.error is not None]
    seconds = [row.seconds for row in rows if row.seconds is not None]
    ratios = [row.ratio for row in rows if row.ratio is not None]
    if not errors:
        return name, *counts, "", "", "", "", "", ""
    share = f"{np.mean(np.array(errors) <= EXACT):.0%}"
    honesty = (f"{max(ratios):.2g}", sum(ratio > 1 for ratio in ratios)) if ratios else ("", "")
    return (
        name,
        *counts,
        f"{np.median(errors):.0e}",
        f"{max(errors):.0e}",
        share,
        *honesty,
        duration(np.median(seconds)),
    )


def duration(seconds: Any) -> str:
    """Return a time in a unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def write(rows: Iterable[Row], path: Path) -> None:
    """Write all rows as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, Row.__dataclass_fields__)
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def draw(rows: list[Row], path: Path) -> None:
    """Draw error against cost, if matplotlib is there."""
    try:
        from quadrature_figure import plot, save
    except ImportError:
        click.echo("no picture: it needs matplotlib, the extra [plot]")
        return
    save(plot([row for row in rows if row.common]), path)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--own", is_flag=True, help="Give all 4320 overlaps to all methods of the package (a quarter of an hour)."
)
@click.option("--full", is_flag=True, help="Give all 4320 overlaps to the peers too (hours).")
@click.option("--tiny", is_flag=True, help="Two overlaps only: does the program run?")
@click.option("--keep", is_flag=True, help="Keep the .jsonl of a finished run, from which the same command starts.")
@click.option("--time-limit", type=float, help="Seconds for a peer on one overlap.  [default: 1; with --full 5]")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="overlaps",
    show_default=True,
    help="Where to write: this with .csv, .png, and .jsonl while the run is not finished.",
)
def main(own: bool, full: bool, tiny: bool, keep: bool, time_limit: float | None, output: Path) -> None:
    """Compare methods of integration on overlaps known to thirty digits; print a summary."""
    limit = time_limit or (5.0 if full else 1.0)
    todo = list(tasks(own=own, full=full, tiny=tiny))
    unfinished = Path(f"{output}.jsonl")
    settings = {"version": mf.__version__, "own": own, "full": full, "tiny": tiny, "time_limit": limit}
    try:
        rows = collect(todo, unfinished, limit, settings)
    except KeyboardInterrupt:
        raise click.ClickException(f"interrupted; the same command goes on from {unfinished}") from None
    common = [row for row in rows if row.common]
    click.echo(f"all methods, {sum(row.method == 'AUTO' for row in common)} overlaps; {limit:g} s for a peer on each\n")
    click.echo(summary(common))
    if len(common) < len(rows):
        click.echo(f"\nall {sum(row.method == 'AUTO' for row in rows)} overlaps\n")
        counts = {row.method for row in rows if not row.common}
        click.echo(summary(row for row in rows if row.method in counts))
    write(rows, Path(f"{output}.csv"))
    draw(rows, Path(f"{output}.png"))
    if not keep:
        unfinished.unlink()


if __name__ == "__main__":
    main()
