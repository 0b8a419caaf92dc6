"""Figures: records drawn on given axes. Nothing is computed here but means and standard deviations of members."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter, StrMethodFormatter
from numpy.typing import NDArray

from meanfield import Network, OutputNormalization
from meanfield.figures import save

from .paper import FIGURE_1, DensityCurve, RateCurve, SharpnessCurve, TrainingMap
from .power_law import RateFit
from .training import EXPLOSION

__all__ = ["plot_figure_1", "plot_figure_2", "plot_figure_s1", "plot_spectrum", "save"]

_BLACK, _BLUE, _RED = "#000000", "#0072B2", "#D55E00"
"""Distinguishable to colour-blind readers (Okabe and Ito); black, blue and red as in the paper."""

_GREY = "#B0B0B0"
"""Of an exploded loss: no colour of the map, which is legible to colour-blind readers and has no grey."""

_OUTLINE = [withStroke(linewidth=4.5, foreground="white")]
"""Of a line that is to be seen on any colour."""

_ROOM = 0.19
"""Of the axis of widths, for a number on it."""

_LOSSES = (1e-6, 1e2)
"""The training losses at the ends of the colour map; those beyond have the colour of the end."""

_OUTPUTS = {
    OutputNormalization.NONE: "without normalisation",
    OutputNormalization.MEAN: "mean subtraction",
    OutputNormalization.BATCH: "batch norm (not in the paper)",
}


def draw_sharpness(axes: Axes, curve: SharpnessCurve) -> Axes:
    """Draw the measured lambda_max against the width as points, and the theory as lines."""
    widths = np.array([point.width for point in curve.points])
    values = np.array([[member.largest.lower for member in point.ensemble.members] for point in curve.points])
    lower = [point.theory.largest.lower for point in curve.points]
    upper = [point.theory.largest.upper for point in curve.points]
    mean, deviation = values.mean(axis=1), values.std(axis=1, ddof=1)
    if curve.network.output_normalization is OutputNormalization.NONE:
        axes.plot(widths, lower, "--", marker=".", color=_RED, label="Theorem 2.2")
        axes.errorbar(widths, mean, deviation, fmt="o", color=_BLACK, capsize=3, label="without normalisation")
    else:
        axes.plot(widths, lower, "-", marker=".", color=_RED, label="Theorem 3.3 (ii), lower bound ($c_1 = 0$)")
        axes.plot(widths, upper, ":", marker=".", color=_RED, label="Theorem 3.3 (ii), upper bound ($c_2 = 0$)")
        sharp = [np.nan if point.theory.prediction is None else point.theory.prediction for point in curve.points]
        axes.plot(widths, sharp, "-", color=_BLUE, linewidth=1.2, label="spectrum (beyond the paper)")
        axes.errorbar(widths, mean, deviation, fmt="s", color=_BLUE, capsize=3, label="mean subtraction")
    return axes


def plot_figure_1(curves: Sequence[SharpnessCurve]) -> Figure:
    """Draw figure 1: one panel for each network, with and without mean subtraction."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    panels = figure.subplots(1, len(FIGURE_1), sharey=True)
    for axes, name in zip(panels, FIGURE_1, strict=True):
        for curve in curves:
            if curve.name == name:
                draw_sharpness(axes, curve)
        axes.set(xscale="log", yscale="log", xlabel="width $M$ (samples $T = M$)", title=_described(FIGURE_1[name]))
        _mark_widths(axes, [point.width for point in curves[0].points])
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(r"largest eigenvalue $\lambda_{\max}$ of the FIM")
    members = len(curves[0].points[0].ensemble.members)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize="small")
    figure.suptitle(f"points: mean of {members} networks; bars: standard deviation of one network", fontsize="small")
    return figure


def draw_density(axes: Axes, curve: DensityCurve) -> Axes:
    """Draw the eigenvalues of all networks as a histogram, their density by the theory, and lambda_max."""
    found = curve.eigenvalues
    bins = np.linspace(0, curve.x[-1], 81)
    axes.hist(found.ravel(), bins.tolist(), density=True, color=_GREY, label=f"eigenvalues of {len(found)} networks")
    axes.plot(curve.x, curve.density, "-", color=_BLUE, label="density by the theory")
    axes.axvline(curve.largest, linestyle="--", color=_RED, label=r"mean of $\lambda_{\max}$ by the theory")
    height = axes.get_ylim()[1]
    axes.errorbar(
        found[:, 0].mean(),
        0.12 * height,
        xerr=found[:, 0].std(ddof=1),
        fmt="o",
        color=_BLACK,
        capsize=3,
        label=r"measured $\lambda_{\max}$: mean, standard deviation of one network",
    )
    axes.set(xlabel=r"eigenvalue $\lambda$ of the FIM", xlim=(0, curve.x[-1]), title=_described(FIGURE_1[curve.name]))
    axes.grid(alpha=0.3)
    return axes


def plot_spectrum(curves: Sequence[DensityCurve]) -> Figure:
    """Draw the density of eigenvalues after mean subtraction: one panel for each network."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    panels = figure.subplots(1, len(curves))
    for axes, curve in zip(panels, curves, strict=True):
        draw_density(axes, curve)
    panels[0].set_ylabel("density")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")
    figure.suptitle(f"after mean subtraction, $M = T = {curves[0].width}$", fontsize="small")
    return figure


def draw_rate(axes: Axes, fit: RateFit, *, name: str, color: str, marker: str) -> Axes:
    """Draw deviations against the width as points with standard errors, and the fitted power law as a line."""
    label = f"{name}: slope {-fit.q:.3f}, {100 * fit.confidence:g} % [{-fit.upper:.3f}, {-fit.lower:.3f}]"
    label = label.replace("-", "\N{MINUS SIGN}")
    axes.errorbar(fit.widths, fit.deviations, fit.standard_errors, fmt=marker, color=color, capsize=4, label=label)
    axes.plot(fit.widths, fit.line, "-", color=color, linewidth=1)
    return axes


def plot_figure_s1(curves: Sequence[RateCurve]) -> Figure:
    """Draw figure S.1: the standard deviation of qtilde^1_M,st about its limit against the width, and its theory."""
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for curve, color, marker in zip(curves, (_BLACK, _BLUE), "os", strict=True):
        draw_rate(axes, curve.fit, name=curve.name, color=color, marker=marker)
    for curve, style in zip(curves, ("--", ":"), strict=True):
        label = f"theory, {curve.name}: {curve.variance**0.5:.4g}" + r"$\,M^{-1/2}$"
        axes.plot(curve.fit.widths, curve.line, style, color=_RED, linewidth=2, zorder=3, label=label)
    axes.set(xscale="log", yscale="log", xlabel="width $M$")
    axes.set_ylabel(r"standard deviation of $\tilde{q}^1_{M,st}$ about $\tilde{q}^1_{st}$")
    _mark_widths(axes, curves[0].fit.widths)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 6, 8)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    rates = curves[0].rates
    network = rates.network
    axes.set_title(
        f"$L = {network.depth}$, $C = {network.outputs}$, $T = {rates.samples}$; "
        f"{rates.members} networks at each width\n"
        r"bars: standard error; thin lines: fits; in brackets: $\sigma_w^2$, $\sigma_b^2$",
        fontsize="small",
    )
    return figure


def draw_training(axes: Axes, training: TrainingMap) -> QuadMesh:
    """Draw the smallest loss over the trials as colours, grey where all exploded, thresholds as points and a line."""
    widths = np.array([point.width for point in training.points])
    trials = [point.trials for point in training.points]
    rates = np.array(trials[0][0].learning_rates)
    losses = np.array([[sweep.losses for sweep in sweeps] for sweeps in trials]).min(axis=1)
    mesh = axes.pcolormesh(
        _edges(widths),
        _edges(rates),
        np.ma.masked_invalid(losses.T),
        cmap=colormaps["viridis"].with_extremes(bad=_GREY),
        norm=LogNorm(*_LOSSES),
    )
    axes.set(xscale="log", yscale="log", xlabel="width $M$")
    lines = np.array([point.line for point in training.points])
    label = r"theory: $2/\lambda_{\max}$ (left), 2/(lower bound of $\lambda_{\max}$) (others)"
    along = widths if len(widths) > 1 else _edges(widths)  # the line of a single width crosses its cell
    across = np.broadcast_to(lines, along.shape)
    axes.plot(along, across, "--", color=_RED, linewidth=2.5, label=label, path_effects=_OUTLINE)
    critical = np.array([[sweep.threshold.critical for sweep in sweeps] for sweeps in trials])
    axes.errorbar(
        widths,
        critical.mean(axis=1),
        critical.std(axis=1, ddof=1) if critical.shape[1] > 1 else None,
        fmt="o",
        color=_BLACK,
        markerfacecolor="white",
        markersize=8,
        capsize=3,
        label=r"measured $2/\lambda_{\max}$ of the same networks at initialisation",
    )
    measured = np.array([[sweep.threshold.measured for sweep in sweeps] for sweeps in trials]).mean(axis=1)
    label = "measured threshold: the rate above which small residuals grow"
    axes.plot(widths, measured, "x", color=_BLACK, markersize=4.5, zorder=3, label=label)
    thresholds = [point.threshold for point in training.points if point.threshold is not None]
    if thresholds:
        label = r"$2/\lambda_{\max}$ by the spectrum (beyond the paper)"
        axes.plot(widths, thresholds, "-", color=_BLUE, linewidth=1.8, path_effects=_OUTLINE, label=label)
    ratios = lines / measured
    what = "line/threshold:\n" + "\n".join(
        f"{ratios[n]:.3g} at $M$ = {widths[n]}" for n in sorted({0, len(widths) - 1})
    )
    box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 2}
    axes.text(0.03, 0.02, what, transform=axes.transAxes, fontsize="small", va="bottom", bbox=box)
    points = np.append(critical, lines)
    axes.set_ylim(min(_edges(rates)[0], 0.8 * points.min()), max(_edges(rates)[-1], 1.25 * points.max()))
    axes.set_xlim(*_edges(widths)[[0, -1]])
    _mark_widths(axes, widths.tolist())
    axes.set_title(_OUTPUTS[training.network.output_normalization], fontsize="medium")
    return mesh


def plot_figure_2(maps: Sequence[TrainingMap]) -> Figure:
    """Draw figure 2, or S.2 with more than one trial: one panel for each normalisation of the outputs."""
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    panels = figure.subplots(1, len(maps), sharey=True)
    limits = []
    for axes, training in zip(panels, maps, strict=True):
        mesh = draw_training(axes, training)
        limits.append(axes.get_ylim())
    lower, upper = zip(*limits, strict=True)
    panels[0].set_ylim(min(lower), max(upper))  # of all
    panels[0].set_ylabel(r"learning rate $\eta$")
    first, trials = maps[0], len(maps[0].points[0].trials)
    what = "training loss" if trials == 1 else f"smallest training loss of {trials} trials"
    figure.colorbar(mesh, ax=panels, extend="both", label=f"{what} after {first.steps} steps")
    named = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    labels, handles = list(named), list(named.values())
    handles.append(Patch(facecolor=_GREY, edgecolor=_BLACK))
    labels.append(f"exploded: loss above {EXPLOSION:g}")
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize="small")
    bars = "one trial" if trials == 1 else f"points: means of {trials} trials; bars: standard deviation of one network"
    figure.suptitle(
        f"{_described(first.network)}, $T = {first.samples}$; {bars}\n{_NOT_THE_THRESHOLD}", fontsize="small"
    )
    return figure


_NOT_THE_THRESHOLD = (
    "A lower bound of $\\lambda_{\\max}$ gives no threshold: at fixed $T$ it grows like $M$, and "
    "$\\lambda_{\\max}$ far more slowly (middle, right)."
)


def _mark_widths(axes: Axes, widths: Sequence[float]) -> None:
    """Put a tick at every width, and a number at those that have room for one."""
    logs = np.log(widths)
    marked, last = [], np.inf
    for n in reversed(range(len(widths))):  # the largest first
        if last - logs[n] >= _ROOM * (logs[-1] - logs[0]):
            marked.append(widths[n])
            last = logs[n]
    axes.set_xticks(marked[::-1])
    axes.set_xticks([width for width in widths if width not in marked], minor=True)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _edges(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the edges of cells about increasing centres, half way between them on a logarithmic scale."""
    logs = np.log(centres)
    if len(logs) == 1:
        return np.asarray(centres * np.exp([-0.5, 0.5]))
    between = (logs[:-1] + logs[1:]) / 2
    first, last = 2 * logs[0] - between[0], 2 * logs[-1] - between[-1]
    return np.asarray(np.exp(np.concatenate([[first], between, [last]])))


def _described(network: Network) -> str:
    """Return what tells the networks of the figures apart."""
    variances = f"$\\sigma_w^2 = {network.weight_variance[0]:g}$, $\\sigma_b^2 = {network.bias_variance[0]:g}$"
    return f"{network.activations[0].name}, {variances}, $L = {network.depth}$, $C = {network.outputs}$"
