"""Every theorem of the paper on finite networks: in which configuration it is tried, and what came out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

from meanfield import (
    Bounds,
    Eigenspace,
    EigenvalueStatistics,
    Network,
    OrderParameters,
    OutputNormalization,
    ReadoutRequired,
    Regime,
    eigenspace,
    eigenvalue_statistics,
    last_layer_statistics,
    propagate,
    sharpness_exponents,
    sigmoid,
)
from meanfield.errors import require_integer, require_sequence

from .compare import compare, compare_own_scales
from .comparison import HEADERS as ROW_HEADERS
from .comparison import Comparison, Row
from .ensemble import Ensemble, run_ensemble
from .experiments import EigenspaceExperiment, EigenvalueExperiment, LastLayerExperiment, OrderParameterExperiment
from .paper import FIGURE_1
from .power_law import RateFit, fit_rate, require_widths
from .rates import spawn_seeds
from .store import Store

PaperExperiment = EigenvalueExperiment | OrderParameterExperiment | EigenspaceExperiment | LastLayerExperiment


@dataclass(frozen=True)
class Claim:
    """One statement of the paper, and the experiment that may refute it."""

    statement: str
    """As the paper numbers it."""
    experiment: PaperExperiment
    shown: tuple[str, ...] = ()
    """The quantities worth a line of their own; all of them if left out. The others are judged all the same."""
    leading_order: bool = False
    """Whether the formula is taken as printed."""

    @property
    def configuration(self) -> str:
        """The network and the numbers of samples and outputs, in a few words."""
        network, names = self.experiment.network, []
        for phi in network.activations:
            if phi.name not in names:
                names.append(phi.name)
        variances = f"({network.weight_variance[0]:g}, {network.bias_variance[0]:g})"
        sizes = f"L={network.depth} C={network.outputs} T={self.experiment.samples}"
        normalization = f"{network.hidden_normalization}/{network.output_normalization}"
        return f"{'+'.join(names)} {variances} {sizes} {normalization}"


@dataclass(frozen=True)
class Finding:
    """What an ensemble says of a claim."""

    claim: Claim
    comparison: Comparison

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows worth a line: those that the claim names, and every one that does not plainly agree."""
        names = self.claim.shown or [row.quantity for row in self.comparison.rows]
        plain = ("agrees", "inside")
        return tuple(row for row in self.comparison.rows if row.quantity in names or row.verdict not in plain)

    @property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """The rows as they are printed, under ``HEADERS``."""
        printed = [row.cells for row in self.rows]
        others = len(self.comparison.rows) - len(printed)
        if others:  # all of them agree
            printed.append((f"{others} more", *[""] * (len(ROW_HEADERS) - 2), "agree"))
        labels = [f"{self.claim.statement}: {self.claim.configuration}"] + [""] * (len(printed) - 1)
        return tuple((label, *cells) for label, cells in zip(labels, printed, strict=True))


HEADERS = ("statement: network, hidden/output normalisation", *ROW_HEADERS)
"""Of a table of findings."""


_SHOWN: dict[type[PaperExperiment], tuple[str, ...]] = {
    OrderParameterExperiment: ("qhat^2_t", "qhat^2_st", "qtilde^1_t", "qtilde^1_st")
}
"""The quantities of an experiment that are printed, where not all of them are."""


def claims(*, width: int) -> tuple[Claim, ...]:
    """Return the statements of the paper with the configurations in which they are tried, at one width M.

    The networks are those of figure 1, relu (2, 0) and tanh (3, 0.64) with L = 3, and for Theorem 3.4 a sigmoid one.
    Where a theorem is for T ~ M, C T is M.

    Parameters
    ----------
    width : int
        M >= 80, so that T = M/10 is enough for the expectations of (19) and (27).

    Equations: (5)-(7), (10), (12), (16)-(19), (22), (26), (S.62)-(S.67), (S.74), (S.87)
    """
    width = require_integer("width", width, at_least=80)
    relu_network, tanh_network = both = tuple(FIGURE_1.values())
    non_negative = (relu_network, Network.uniform(sigmoid, depth=3, weight_variance=2.0))

    def on(
        networks: Sequence[Network], *, hidden: str = "none", output: str = "none", outputs: int = 1
    ) -> list[Network]:
        return [replace(network, outputs=outputs).normalized(hidden=hidden, output=output) for network in networks]

    tried: list[tuple[str, type[PaperExperiment], list[Network], int]] = [
        ("(5)-(7)", OrderParameterExperiment, on(both), 20),
        ("(S.74), (S.87)", OrderParameterExperiment, on(both, hidden="layer"), 20),
        ("(S.66)-(S.70)", OrderParameterExperiment, on(both, hidden="batch"), 20),
        ("Theorem 2.2", EigenvalueExperiment, on(both), width),
        ("Theorem 2.2", EigenvalueExperiment, on([relu_network], outputs=4), width // 4),
        ("Theorem 3.1", EigenspaceExperiment, on(both), width),
        ("Theorem 3.1", EigenspaceExperiment, on([tanh_network], outputs=4), width // 4),
        ("Theorem 3.3 (i)", EigenvalueExperiment, on(both, output="mean"), math.isqrt(width) // 3),
        ("Theorem 3.3 (ii)", EigenvalueExperiment, on(both, output="mean"), width),
        ("Theorem 2.2, kappa'", EigenvalueExperiment, on([tanh_network], hidden="layer"), width),
        ("Theorem 3.3 (ii), kappa'", EigenvalueExperiment, on([tanh_network], hidden="layer", output="mean"), width),
        ("(19)", EigenvalueExperiment, on(both, output="batch"), width),
        ("(19)", EigenvalueExperiment, on([tanh_network], output="batch", outputs=4), width // 4),
        ("(19), kappa'", EigenvalueExperiment, on([tanh_network], hidden="layer", output="batch"), width),
        ("zero at T = 2", EigenvalueExperiment, on([relu_network], output="batch"), 2),
        ("(S.61)-(S.67)", LastLayerExperiment, on([*non_negative, tanh_network], hidden="batch"), 30),
        ("Theorem 3.4", EigenvalueExperiment, on(non_negative, hidden="batch"), 30),
        ("Theorem 4.1", EigenvalueExperiment, on(both, hidden="layer", output="layer", outputs=10), width // 10),
        ("Theorem 4.1", EigenvalueExperiment, on(both, hidden="layer", output="layer", outputs=4), width // 4),
        ("Theorem 4.1, kappa", EigenvalueExperiment, on([relu_network], output="layer", outputs=10), width // 10),
        ("zero at C = 2", EigenvalueExperiment, on([relu_network], output="layer", outputs=2), width // 2),
    ]
    return tuple(
        Claim(statement, experiment(network, width, samples), _SHOWN.get(experiment, ()), statement == "Theorem 3.4")
        for statement, experiment, networks, samples in tried
        for network in networks
    )


def try_claims(
    claims: Iterable[Claim],
    *,
    members: int,
    seed: int,
    executor: Executor | None = None,
    store: Store | None = None,
    progress: Callable[[], object] | None = None,
) -> tuple[Finding, ...]:
    """Run the experiment of each claim, and compare it with the theory.

    Parameters
    ----------
    claims : iterable of Claim
        From :func:`claims`.
    members : int
        Networks for each, at least 2.
    seed, executor, store, progress
        As for :func:`run_ensemble`.
    """
    require_integer("members", members, at_least=2)
    theories = [(claim, _theory(claim)) for claim in require_sequence("claims", claims)]
    findings = []
    for claim, theory in theories:
        ensemble: Ensemble[Any] = run_ensemble(
            claim.experiment, members=members, seed=seed, executor=executor, store=store, progress=progress
        )
        comparison = compare_own_scales(ensemble) if theory is None else compare(theory, ensemble)
        findings.append(Finding(claim, comparison))
    return tuple(findings)


@dataclass(frozen=True)
class SharpnessGrowth:
    """The power of M with which lambda_max grows after mean subtraction, for T = M, and what Theorem B.1 says of it."""

    network: Network
    exponents: Bounds
    """Of the theorem, for the rate q = 1/2."""
    fit: RateFit
    """Of lambda_max at several widths; its q is minus the exponent."""

    @property
    def agrees(self) -> bool:
        """Whether the confidence interval of the measured exponent meets the interval of the theorem."""
        return -self.fit.upper <= self.exponents.upper and -self.fit.lower >= self.exponents.lower

    def __str__(self) -> str:
        measured = f"{-self.fit.q:.3f} [{-self.fit.upper:.3f}, {-self.fit.lower:.3f}]"
        return f"lambda_max ~ M^x: x in {self.exponents}, measured {measured}, {'inside' if self.agrees else 'outside'}"


def measure_growth(
    network: Network,
    *,
    widths: Sequence[int],
    members: int,
    seed: int,
    executor: Executor | None = None,
    store: Store | None = None,
    progress: Callable[[], object] | None = None,
) -> SharpnessGrowth:
    """Measure how lambda_max grows with the width after mean subtraction, with T = M.

    Parameters
    ----------
    network : Network
        Its outputs are mean-subtracted here.
    widths : sequence of int
        M, increasing, at least 2.
    members : int
        Networks at each width, at least 2.
    seed, executor, store, progress
        As for :func:`measure_rates`.

    Equations: (S.33), Theorem B.1
    """
    require_integer("members", members, at_least=2)
    widths = require_sequence("widths", widths)
    require_widths(widths)
    network = network.normalized(output=OutputNormalization.MEAN)
    experiments = [EigenvalueExperiment(network, width, width) for width in widths]
    largest = []
    for experiment, width_seed in zip(experiments, spawn_seeds(seed, len(widths)), strict=True):
        ensemble = run_ensemble(
            experiment,
            members=members,
            seed=width_seed,
            executor=executor,
            store=store,
            progress=progress,
        )
        largest.append([member.lambda_max for member in ensemble.members])
    return SharpnessGrowth(network, sharpness_exponents(0.5), fit_rate(widths, largest))


def _theory(claim: Claim) -> EigenvalueStatistics | OrderParameters | Eigenspace | None:
    return theory_of(claim.experiment, leading_order=claim.leading_order)


def theory_of(
    experiment: PaperExperiment, *, regime: Regime | str = Regime.AUTO, leading_order: bool = False
) -> EigenvalueStatistics | OrderParameters | Eigenspace | None:
    """Return what the theory predicts for an experiment.

    None where it depends on the scales of normalised outputs and these have no expectation, (19) with few samples and
    Theorem 4.1 with few outputs: then every network needs its own, :func:`compare_own_scales`.

    Parameters
    ----------
    experiment : one of the four experiments
    regime, leading_order
        As for :func:`meanfield.eigenvalue_statistics`; what is not an eigenvalue has neither.
    """
    network, width, samples = experiment.network, experiment.width, experiment.samples
    if isinstance(experiment, OrderParameterExperiment):
        return propagate(network, samples=samples)
    if isinstance(experiment, EigenspaceExperiment):
        return eigenspace(network, width=width, samples=samples)
    if isinstance(experiment, LastLayerExperiment):
        return last_layer_statistics(network, width=width, samples=samples, leading_order=leading_order)
    try:
        return eigenvalue_statistics(network, width=width, samples=samples, regime=regime, leading_order=leading_order)
    except ReadoutRequired:
        return None
