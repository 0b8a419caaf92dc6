"""Figures: records drawn on given axes. Nothing is computed here but means and standard deviations of members."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from meanfield import OutputNormalization

from .paper import FIGURE_1, SharpnessCurve

_BLACK, _BLUE, _RED = "#000000", "#0072B2", "#D55E00"
"""Distinguishable to colour-blind readers (Okabe and Ito); black, blue and red as in the paper."""


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
        axes.errorbar(widths, mean, deviation, fmt="s", color=_BLUE, capsize=3, label="mean subtraction")
    return axes


def plot_figure_1(curves: Sequence[SharpnessCurve]) -> Figure:
    """Draw figure 1: one panel for each network, with and without mean subtraction."""
    figure = Figure(figsize=(9.5, 4.6), layout="constrained")
    panels = figure.subplots(1, len(FIGURE_1), sharey=True)
    for axes, name in zip(panels, FIGURE_1, strict=True):
        for curve in curves:
            if curve.name == name:
                draw_sharpness(axes, curve)
        axes.set(xscale="log", yscale="log", xlabel="width $M$ (samples $T = M$)", title=_title(name))
        axes.set_xticks([point.width for point in curves[0].points])
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(r"largest eigenvalue $\lambda_{\max}$ of the FIM")
    members = len(curves[0].points[0].ensemble.members)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize="small")
    figure.suptitle(f"points: mean of {members} networks; bars: standard deviation of one network", fontsize="small")
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the format follows the suffix (png, svg, pdf)."""
    figure.savefig(path, dpi=200)


def _title(name: str) -> str:
    network = FIGURE_1[name]
    variances = f"$\\sigma_w^2 = {network.weight_variance[0]:g}$, $\\sigma_b^2 = {network.bias_variance[0]:g}$"
    return f"{network.activations[0].name}, {variances}, $L = {network.depth}$, $C = {network.outputs}$"
