"""The figure of quadrature.py: error against cost, a point for each overlap, a large one for the median of a method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

FLOOR = 1e-17
"""Smaller errors are drawn here."""

STYLES = {
    "AUTO": ("*", "#000000"),
    "Exact": ("D", "#0072B2"),
    "CosineSeries": ("P", "#0072B2"),
    "HermiteSeries": ("h", "#0072B2"),
    "Trapezoid": ("o", "#009E73"),
    "Panels": ("s", "#009E73"),
    "GaussHermite(100)": ("p", "#56B4E9"),
    "Reference(15)": ("X", "#56B4E9"),
    "dblquad": ("v", "#D55E00"),
    "nquad": ("^", "#D55E00"),
    "cubature": ("<", "#CC79A7"),
    "qmc_quad": (">", "#CC79A7"),
    "mpmath.fp.quad": ("d", "#D55E00"),
    "tensor 20 x 20": ("$20$", "#B07000"),
    "tensor 50 x 50": ("$50$", "#B07000"),
    "tensor 100 x 100": ("$100$", "#B07000"),
    "tensor 200 x 200": ("$200$", "#B07000"),
}
"""Colours that colour-blind readers distinguish (Okabe and Ito, the yellow one darker), and a marker for each."""


class Point(Protocol):
    """What is drawn of a row."""

    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def smooth(self) -> bool: ...  # noqa: D102
    @property
    def seconds(self) -> float | None: ...  # noqa: D102
    @property
    def error(self) -> float | None: ...  # noqa: D102


def plot(rows: Sequence[Point]) -> Figure:
    """Draw two panels: smooth functions, and those with kinks or jumps."""
    figure = Figure(figsize=(11.5, 5.8), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    handles = {}
    for axes, smooth in zip(panels, (True, False), strict=True):
        for method, (marker, colour) in STYLES.items():
            points = [
                (row.seconds, max(row.error, FLOOR))
                for row in rows
                if row.method == method and row.smooth is smooth and row.seconds and row.error is not None
            ]
            if not points:
                continue
            seconds, errors = np.array(points).T
            axes.scatter(seconds, errors, s=16, marker=".", color=colour, alpha=0.45, linewidths=0)
            centre = (np.median(seconds), np.median(errors))
            size = 80 * len(marker) - 90 if marker.startswith("$") else 190 if marker == "*" else 85
            edge = 0.4 if marker.startswith("$") else 0.8
            handles[method] = axes.scatter(
                *centre,
                s=size,
                marker=marker,
                color=colour,
                edgecolors="white",
                linewidths=edge,
                zorder=5 if method == "AUTO" else 3,
            )
        axes.axhline(1e-13, color="#666666", linestyle=":", linewidth=1, zorder=0)
        axes.set(xscale="log", yscale="log", xlabel="seconds for one value")
        axes.set_title("smooth functions" if smooth else "functions with kinks or jumps", fontsize="medium")
        axes.yaxis.set_major_locator(LogLocator(numticks=20))
        axes.grid(alpha=0.25)
    panels[0].set_ylabel(r"error of E f(u) f(v), relative to E f(u)$^2$")
    names = [name for name in STYLES if name in handles]
    figure.legend([handles[name] for name in names], names, loc="outside right center", fontsize="small", frameon=False)
    figure.suptitle(
        "Overlaps by the methods of the package and by others: large, the median of a method; small, single overlaps.\n"
        "The dotted line is the default tolerance. Errors below 1e-17 are drawn there; what gave no value is missing.",
        fontsize="small",
    )
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write the figure."""
    figure.savefig(path, dpi=130)
