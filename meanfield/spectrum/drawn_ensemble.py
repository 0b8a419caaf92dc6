"""lambda_max of wide networks, from draws of their nodes: its mean, its spread, and normalised outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from ..errors import AssumptionError, ParameterError, require_instance, require_integer, require_number
from ..gaussian import Array
from ..network import Network
from ..normalization import HiddenNormalization, OutputNormalization
from ..records import table
from .drawn import Drawn, DrawnModel, model_of
from .drawn_cavity import Cavity
from .drawn_edge import Edge, EdgeError, edge_of
from .normalized_outputs import drawn_output_variances

_TRACY_WIDOM = 46.446048843874, 0.186054022282793, 9.848007811285680
"""Shape, scale and shift of the gamma law with the first three moments of the Tracy-Widom law (Chiani 2014)."""


@dataclass(frozen=True, eq=False)
class DrawnLargest:
    """lambda_max of the networks of an ensemble, each drawn as the nodes of its Gaussian-equivalent model."""

    edges: tuple[Edge, ...] = field(repr=False)
    """Of the spectrum of each network drawn: lambda_max is x_e + sigma w, w a Tracy-Widom deviate."""
    output_variances: Array = field(repr=False)
    """sigma_k^2 of each network drawn, shape (draws, C): over the samples, of the outputs before any normalisation."""
    failures: tuple[str, ...]
    """What was wrong where no edge was found; these draws are in no figure."""

    @property
    def draws(self) -> int:
        """How many draws stand behind the figures."""
        return len(self.edges)

    @property
    def values(self) -> Array:
        """The mean of lambda_max given the nodes, for each draw."""
        return np.array([edge.largest for edge in self.edges])

    @property
    def mean(self) -> float:
        """E lambda_max."""
        return float(self.values.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean, from the number of draws."""
        return float(self.values.std(ddof=1) / math.sqrt(self.draws))

    @property
    def sd(self) -> float:
        """The standard deviation of lambda_max over networks: that of the draws, and what is left given the nodes."""
        given = np.mean([edge.largest_sd**2 for edge in self.edges])
        return float(math.sqrt(self.values.var(ddof=1) + given))

    def quantile(self, probability: float) -> float:
        """Return the value that lambda_max is below with a probability.

        Parameters
        ----------
        probability : float
            In (0, 1), and not beyond the number of draws.

        Notes
        -----
        The Tracy-Widom law is taken as the gamma law with the same three moments, good to 2e-3 in probability.
        """
        probability = require_number("probability", probability, above=0)
        if probability >= 1:
            raise ParameterError("probability", "in (0, 1)", probability)
        positions, scales = (np.array([getattr(edge, name) for edge in self.edges]) for name in ("position", "scale"))
        shape, scale, shift = _TRACY_WIDOM

        low, high = float(np.min(positions - 8 * scales)), float(np.max(positions + 8 * scales))
        for _ in range(60):
            middle = (low + high) / 2
            below = special.gammainc(shape, np.maximum((middle - positions) / scales + shift, 0) / scale).mean()
            low, high = (middle, high) if below < probability else (low, middle)
        return low

    def __str__(self) -> str:
        rows = [
            ["lambda_max", f"{self.mean:.4g} ± {self.standard_error:.2g}"],
            ["sd of one network", f"{self.sd:.3g}"],
            ["median", f"{self.quantile(0.5):.4g}"],
            ["draws", f"{self.draws}"],
        ]
        if self.failures:
            rows.append(["draws without an edge", f"{len(self.failures)}"])
        return table(rows, ("quantity", "value"))


def drawn_largest(
    network: Network, *, width: int, samples: int, draws: int = 40, seed: int | np.random.SeedSequence = 0
) -> DrawnLargest:
    """Draw networks as the nodes of their Gaussian-equivalent models, and return what lambda_max they have.

    Each draw takes z and zeta of every hidden unit from their laws, solves the cavity equations of C x C matrices, and
    follows them to the right edge x_e of the spectrum; given the nodes, lambda_max is x_e + sigma w, w a Tracy-Widom
    deviate of real symmetric matrices, sigma from the curvature at the edge.

    Parameters
    ----------
    network : Network
        Any C; hidden layers without normalisation, and ``output_normalization`` "mean", or "batch", by which each
        output is also divided by its standard deviation.
    width, samples : int
        M >= 1, T >= 2: the theory is that of M and T large and of the same order.
    draws : int
        At least 2. A draw takes about .1 s for C = 1 and L = 3, 1 to 2 s for C = 10.
    seed : int or numpy.random.SeedSequence
        Draw i has the i-th stream that is spawned, whatever the number of draws.

    Returns
    -------
    DrawnLargest
        Within 1 to 4 % of networks of M >= 200.

    Raises
    ------
    ParameterError
        For numbers out of range.
    AssumptionError
        For normalised hidden layers, and for outputs without normalisation or with layer normalisation.
    EdgeError
        If fewer than two draws have an edge that was found.

    Examples
    --------
    >>> import meanfield as mf
    >>> network = mf.Network.uniform(mf.relu, depth=3, weight_variance=2.0, output_normalization="mean")
    >>> largest = drawn_largest(network, width=200, samples=200, draws=4)
    >>> largest.draws, bool(7 < largest.mean < 10)
    (4, True)
    """
    widths = require_drawable(network, width, samples)
    draws = require_integer("draws", draws, at_least=2)
    edges, variances, failures = [], [], []
    sequence = seed
    if not isinstance(sequence, np.random.SeedSequence):
        sequence = np.random.SeedSequence(require_integer("seed", sequence, at_least=0, at_most=None))
    for stream in sequence.spawn(draws):
        rng = np.random.default_rng(stream)
        model = model_of(network, widths, samples, Drawn(rng, network, widths))
        sigma2 = drawn_output_variances(model, rng)
        try:
            edges.append(edge_with_outputs(model, network.output_normalization, sigma2))
        except EdgeError as error:
            failures.append(str(error))
        else:
            variances.append(sigma2)
    if len(edges) < 2:
        raise EdgeError(f"of {draws} draws {len(edges)} had an edge that was found: {failures[0]}")
    return DrawnLargest(tuple(edges), np.array(variances), tuple(failures))


def edge_with_outputs(model: DrawnModel, normalization: OutputNormalization, variances: Array) -> Edge:
    """Return the edge of the spectrum where batch-normalised outputs have these variances."""
    if normalization is OutputNormalization.BATCH:
        return edge_of(Cavity(model.rescaled(variances**-0.5)), orthogonal_to_outputs=True)
    return edge_of(Cavity(model))


def require_drawable(network: Network, width: int, samples: int) -> Sequence[int]:
    """Return the widths M_0 .. M_{L-1} of a network, if the theory of drawn nodes covers it."""
    require_instance("network", network, Network)
    if network.hidden_normalization is not HiddenNormalization.NONE:
        raise AssumptionError(
            "the Gaussian-equivalent model is that of hidden layers without normalisation, and these have "
            f"{network.hidden_normalization} normalisation"
        )
    if network.output_normalization is OutputNormalization.NONE:
        raise AssumptionError(
            "drawn nodes have the spectrum after mean subtraction: output_normalization must be mean or batch, got "
            'none; network.normalized(output="mean") has it'
        )
    if network.output_normalization is OutputNormalization.LAYER:
        raise AssumptionError(
            "layer normalisation of the outputs keeps what the samples have in common: the spectrum without their mean "
            "is not its spectrum"
        )
    require_integer("samples", samples, at_least=2)
    return network.widths(width)[:-1]
