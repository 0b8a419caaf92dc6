"""Figures: records drawn on given axes. The only module that imports matplotlib; nothing is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from .aside import aside
from .batch_norm_gradients import EigenvaluesByDepth
from .gaussian import Array
from .maps import MapPanel, MapQuantity, SweepMap
from .phase import EdgeOfChaos

_LABELS = {
    MapQuantity.LAMBDA_MAX: r"largest eigenvalue $\lambda_{\max}$ of the FIM",
    MapQuantity.M_LAMBDA: r"mean eigenvalue $m_\lambda$ of the FIM",
    MapQuantity.LEARNING_RATE: r"learning rate $2/\lambda_{\max}$",
    MapQuantity.KAPPA_RATIO: r"$\kappa_2/\kappa_1$",
}
"""All are pure numbers."""

_AXES = {
    "weight_variance": r"weight variance $\sigma_w^2$",
    "bias_variance": r"bias variance $\sigma_b^2$",
    "width": "width $M$",
    "samples": "samples $T$",
    "depth": "depth $L$ (layers of weights)",
    "outputs": "outputs $C$",
    "width_ratio": r"width ratio $\alpha_l$",
}
"""Of the parameters; all are pure numbers."""

_SYMBOLS = {
    "weight_variance": r"\sigma_w^2",
    "bias_variance": r"\sigma_b^2",
    "depth": "L",
    "outputs": "C",
    "width": "M",
    "samples": "T",
}

_RED, _GREY, _BLACK = "#D55E00", "#B0B0B0", "#000000"
"""Red of Okabe and Ito, legible on the colour map; grey, which it does not have, for what is not known."""

_SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Of Okabe and Ito: told apart also by the colour-blind."""

_OUTLINE = [withStroke(linewidth=3.5, foreground="white")]
"""Of a line that is to be seen on any colour."""

_DECADES = 1.0
"""From this range on colours are on a logarithmic scale."""

_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"pil_kwargs": {"optimize": True}},
    ".svg": {"metadata": {"Date": None}},
    ".pdf": {"metadata": {"CreationDate": None}},
}
"""What makes the files of each format small, and equal if the figures are."""


def draw_panel(axes: Axes, panel: MapPanel, x: Array, y: Array, norm: Normalize) -> QuadMesh:
    """Draw one quantity over two parameters as colours, grey where it is not known."""
    mesh = axes.pcolormesh(
        _edges(x),
        _edges(y),
        np.ma.masked_invalid(panel.values),
        cmap=colormaps["viridis"].with_extremes(bad=_GREY),
        norm=norm,
        rasterized=True,
    )
    axes.set(xscale="log" if _is_log(x) else "linear", yscale="log" if _is_log(y) else "linear")
    axes.set_title(f"hidden layers: {panel.hidden}, outputs: {panel.output}\n{panel.theorem}", fontsize="small")
    return mesh


def draw_edge(axes: Axes, edge: EdgeOfChaos, *, weights_along_x: bool) -> Axes:
    """Draw the edge of chaos over the two variances; the limits of the axes stay."""
    limits = axes.get_xlim(), axes.get_ylim()
    x, y = edge.weight_variance, edge.bias_variance
    if not weights_along_x:
        x, y = y, x
    axes.plot(x, y, "--", color=_RED, linewidth=2, label="edge of chaos", zorder=3, path_effects=_OUTLINE)
    axes.set(xlim=limits[0], ylim=limits[1])
    return axes


def plot_map(record: SweepMap) -> Figure:
    """Draw a map: one panel for each normalisation, with one scale of colours for all."""
    panels = record.panels
    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(1.6 + 3.1 * columns, 1.3 + 2.9 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    norm = _norm([panel.values for panel in panels], log=record.quantity is not MapQuantity.KAPPA_RATIO)
    for axes, panel in zip(grid.flat, panels, strict=False):
        mesh = draw_panel(axes, panel, record.places(record.x), record.places(record.y), norm)
        if panel.edge is not None:
            draw_edge(axes, panel.edge, weights_along_x=record.x == "weight_variance")
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for column in range(columns):  # below the lowest panel of each column
        lowest = [row for row in range(rows) if row * columns + column < len(panels)][-1]
        grid[lowest, column].set_xlabel(_AXES[record.x])
        grid[lowest, column].xaxis.set_tick_params(labelbottom=True)
    for row in range(rows):
        grid[row, 0].set_ylabel(_AXES[record.y])
    figure.colorbar(mesh, ax=grid, label=_LABELS[record.quantity])
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if any(np.isnan(panel.values).any() for panel in panels):
        handles.append(Patch(facecolor=_GREY, edgecolor=_BLACK))
        labels.append("no theorem applies, or digits are lost")
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize="small")
    figure.suptitle(_described(record), fontsize="small")
    return figure


def plot_crossover(activation: str, curves: Sequence[EigenvaluesByDepth]) -> Figure:
    """Draw the two leading eigenvalues behind hidden batch normalisation against the depth, and where they cross."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    for curve, colour in zip(curves, cycle(_SERIES), strict=False):
        axes.plot(curve.depth, curve.shared, color=colour, label=f"$T = {curve.samples}$")
        axes.plot(curve.depth, curve.contrasts, color=colour, linestyle="--")
        if curve.crossover is not None:
            at = curve.crossover - int(curve.depth[0])
            axes.plot(curve.crossover, curve.contrasts[at], "o", color=colour, markersize=7)
    for style, label in (("-", r"$\lambda_{one}$: what all samples share"), ("--", r"$\lambda_{bulk}$: contrasts")):
        axes.plot([], [], color=_GREY, linestyle=style, label=label)
    axes.plot([], [], "o", color=_GREY, label="from here on contrasts are on top")
    axes.set(xlabel=_AXES["depth"], ylabel=r"eigenvalue of the FIM over the width, $\lambda/M$", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize="small")
    axes.set_title(f"{activation}, batch normalisation in all hidden layers, infinite width", fontsize="small")
    return figure


def _described(record: SweepMap) -> str:
    """Return what all cells of a map share."""
    sweep = record.sweep
    network = sweep.network
    own: dict[str, float] = {"depth": network.depth, "outputs": network.outputs}
    for name in ("weight_variance", "bias_variance"):
        if len(set(getattr(network, name))) == 1:
            own[name] = getattr(network, name)[0]
    shared = {**own, **{name: value for name, value in sweep.fixed.items() if name in _SYMBOLS}}
    parts = [f"${_SYMBOLS[name]} = {value:g}$" for name, value in shared.items() if name not in sweep.coordinates]
    if "samples" not in shared and "samples" not in sweep.coordinates:
        parts.append("$T = M$")
    return ", ".join([*dict.fromkeys(phi.name for phi in network.activations), *parts])


def save(figure: Figure, path: Path) -> None:
    """Write a figure, or nothing; the format follows the suffix (png, svg, pdf). Equal figures give equal files."""
    options = _OPTIONS[path.suffix]
    with aside(path) as new, rc_context({"svg.hashsalt": "meanfield"}):
        figure.savefig(new, dpi=150, **options)


def _norm(values: Sequence[Array], *, log: bool) -> Normalize:
    """Return the scale of the colours, over all panels."""
    known = np.concatenate([array[np.isfinite(array)] for array in values])
    if log:
        known = known[known > 0]
    if not known.size:
        return Normalize(0.0, 1.0)
    low, high = float(known.min()), float(known.max())
    if log and high > low * 10**_DECADES:
        return LogNorm(low, high)
    return Normalize(low, high)


def _is_log(places: Array) -> bool:
    """Whether places are spaced by equal factors rather than equal steps."""
    if places.size < 3 or places.min() <= 0:
        return False
    steps, factors = np.diff(places), np.diff(np.log(places))
    return bool(np.ptp(factors) / np.abs(factors).mean() < np.ptp(steps) / np.abs(steps).mean())


def _edges(places: Array) -> Array:
    """Return the edges of cells about the places, half-way between them on the scale of their axis."""
    if places.size == 1:
        return np.asarray(places[0] + np.array([-0.5, 0.5]))
    logarithmic = _is_log(places)
    x = np.log(places) if logarithmic else places
    between = (x[:-1] + x[1:]) / 2
    edges = np.concatenate([[2 * x[0] - between[0]], between, [2 * x[-1] - between[-1]]])
    return np.asarray(np.exp(edges) if logarithmic else edges)
