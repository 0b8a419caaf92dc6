"""The command ``montecarlo compare``."""

from __future__ import annotations

import json
from typing import Any

import click

from meanfield import Network, Regime, __version__
from meanfield.cli import network_options, show
from meanfield.errors import AssumptionError, ParameterError, require_integer
from meanfield.records import plain

from ..compare import compare, compare_own_scales
from ..dual import MEMORY_LIMIT
from ..eigenvalue_method import EigenvalueMethod
from ..ensemble import BLAS_THREADS, Ensemble, run_ensemble
from ..experiments import EigenspaceExperiment, EigenvalueExperiment, LastLayerExperiment, OrderParameterExperiment
from ..fingerprint import fingerprint
from ..precision import precision_error
from ..theorems import theory_of
from .options import RunOptions, ensemble_options

_EXPERIMENTS: dict[str, Any] = {
    "eigenvalues": EigenvalueExperiment,
    "order-parameters": OrderParameterExperiment,
    "eigenspace": EigenspaceExperiment,
    "last-layer": LastLayerExperiment,
}

_MUCH = 0.5
"""GiB for one network from which on it is said before the run."""


@click.command("compare", short_help="Finite networks beside the theory, number by number.")
@network_options
@click.option("--width", type=int, default=200, show_default=True, help="M, the width.")
@click.option("--samples", type=int, help="T, the number of samples.  [default: the width]")
@click.option("--members", type=int, default=20, show_default=True, help="How many networks to sample.")
@click.option(
    "--of",
    "what",
    type=click.Choice(list(_EXPERIMENTS)),
    default="eigenvalues",
    show_default=True,
    help="What to compare: eigenvalues of F, order parameters, the eigenspace of Theorem 3.1, or the last layer's "
    "block of F (Theorem 3.4).",
)
@click.option(
    "--regime",
    type=click.Choice([str(choice) for choice in Regime]),
    default="auto",
    show_default=True,
    help="Of Theorem 3.3: see `meanfield analyse --help`.",
)
@click.option("--leading-order", is_flag=True, help="The paper's formulas, without O(1/M) terms.")
@click.option("--control", is_flag=True, help="Also sharper means, at the expected norm of W^L.")
@click.option(
    "--method",
    type=click.Choice([str(choice) for choice in EigenvalueMethod]),
    help="How eigenvalues of F are measured: with the dual Gram, or by Lanczos iterations without it.  "
    "[default: auto, the Gram if it fits]",
)
@click.option(
    "--dtype",
    type=click.Choice(["float64", "float32"]),
    default="float64",
    show_default=True,
    help="float32 halves memory and time; its error is estimated and printed.",
)
@click.option("--memory-limit", type=float, default=MEMORY_LIMIT, show_default=True, help="GiB for one network.")
@ensemble_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def compare_command(
    network: Network,
    width: int,
    samples: int | None,
    members: int,
    what: str,
    regime: str,
    leading_order: bool,
    control: bool,
    method: str | None,
    dtype: str,
    memory_limit: float,
    options: RunOptions,
    as_json: bool,
) -> None:
    """Sample finite networks and compare them with the theory.

    An equality holds for infinite width: the measured mean may differ by the size of the terms that the theory leaves
    out and by chance, together the interval "allowed". Where that is as large as the theory the verdict is
    "undecided". Exit status 0 says that the comparison ran, whatever the verdicts.

    \b
    Examples:
      montecarlo compare --activation tanh --weight-variance 3 --bias-variance 0.64 --width 400
      montecarlo compare --output-normalization mean --width 400 --samples 10 --members 50
      montecarlo compare --hidden-normalization layer --output-normalization layer --outputs 4
      montecarlo compare --of order-parameters --width 1000 --samples 20
      montecarlo compare --width 4000 --members 2 --dtype float32 --workers 1
    """
    samples = width if samples is None else samples
    require_integer("members", members, at_least=2)
    if what != "eigenvalues" and (regime != "auto" or leading_order):
        raise ParameterError("of", "eigenvalues with --regime or --leading-order", what)
    if control:
        require_integer("members", members, at_least=4)
        if what not in ("eigenvalues", "last-layer"):
            raise ParameterError("of", "eigenvalues or last-layer with --control", what)
    measuring: dict[str, Any] = {"memory_limit": memory_limit, "dtype": dtype}
    if method is not None:
        if what != "eigenvalues":
            raise ParameterError("of", "eigenvalues with --method", what)
        measuring["method"] = method
    experiment = _EXPERIMENTS[what](network, width, samples, **measuring)
    theory = _theory(experiment, regime=regime, leading_order=leading_order)
    solver = getattr(experiment, "solver", "measured")
    measured = f"{solver}, in {dtype}, {experiment.memory:.2g} GiB for each network at work"
    if experiment.memory > _MUCH:
        click.echo(measured, err=True)
    study = fingerprint(experiment, seed=options.seed, blas_threads=BLAS_THREADS)
    with options.running(study, members) as how:
        ensemble: Ensemble[Any] = run_ensemble(experiment, members=members, seed=options.seed, **how)
    error = precision_error(ensemble) if dtype == "float32" else None
    if theory is None:
        comparison = compare_own_scales(ensemble, regime=regime, leading_order=leading_order)
    else:
        comparison = compare(theory, ensemble, control=control)
    if as_json:
        record = {
            "version": __version__,
            "experiment": plain(experiment),
            "memory": experiment.memory,
            "precision_error": plain(error),
            "members": members,
            "seed": options.seed,
            "theory": plain(theory),
            "comparison": [
                {**plain(row), "ratio": plain(row.ratio), "z": plain(row.z), "verdict": row.verdict}
                for row in comparison.rows
            ],
        }
        click.echo(json.dumps(record, indent=2))
        return
    click.echo(f"{_rests_on(theory)}; {members} networks, M = {width}, T = {samples}\n{measured}\n")
    show(str(comparison))
    if error is not None:
        click.echo(f"\n{error}")


def _theory(experiment: Any, **choice: Any) -> Any:
    """Return the theory; where it does not apply, say what does, and how it is called here."""
    try:
        return theory_of(experiment, **choice)
    except AssumptionError as error:
        raise AssumptionError(error.told(_OPTIONS)) from None


_OPTIONS = {
    "propagate": "--of order-parameters",
    "last_layer_statistics": "--of last-layer",
    "dual_block": "in Python mf.dual_block",
}
"""What functions are called on the command line, where errors of the theory recommend them."""


def _rests_on(theory: Any) -> str:
    if theory is None:
        return "the scales of normalised outputs have no expectation here: each network with its own"
    theorem = getattr(theory, "theorem", "order parameters")
    rule = getattr(theory, "rule", "")
    return f"{theorem}, {rule}" if rule else str(theorem)
