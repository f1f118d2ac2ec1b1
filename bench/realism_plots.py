"""Plots of the page: *simulated* and *real* side by side, before and after, from the figures alone."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from realism_texture import LAGS

Reports = Mapping[str, Any]
COLOURS = {"real": "#222222", "before": "#d1861a", "after": "#1a72b8"}
DPI = 80


def series_of(reports: Reports, part: str) -> dict[str, Any]:
    """`real` and the simulated sides of one part, by what they are called; the real side with the most bands."""
    richest = max(reports.values(), key=lambda report: len(report["bands"]))
    return {"real": richest[part]["real"]} | {label: report[part]["simulated"] for label, report in reports.items()}


def columns_of(reports: Reports) -> dict[str, Any]:
    """Every contest of the classifiers by what it is called: both archives alike first, then the stricter ones."""
    words = {
        "squares": "six bands, squares",
        "areas": "six bands, whole areas",
        "areas, all bands": "ten bands, whole areas",
    }
    return {
        f"{label}, {words[rule]}": report["classifier"][rule]
        for rule in words
        for label, report in reports.items()
        if rule in report["classifier"]
    }


def name_of(side: str) -> str:
    """What a side is called in plots and tables."""
    return "real" if side == "real" else f"simulated, {side}"


def draw_plots(reports: Reports, out: Path) -> None:
    """Write every plot as PNG."""
    out.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})
    for name, draw in (
        ("reflectance", draw_reflectance),
        ("autocorrelation", draw_autocorrelation),
        ("season", draw_season),
        ("fires", draw_fires),
        ("classifier", draw_classifier),
    ):
        image = io.BytesIO()
        draw(reports).savefig(image, dpi=DPI)
        palette = Image.open(image).convert("RGB").quantize(64)  # a third of the size
        palette.save(out / f"{name}.png", optimize=True)


def draw_reflectance(reports: Reports) -> Figure:
    """Quantiles by band in a panel for each land cover: 5 to 95 % thin, 25 to 75 % thick, the median a dot."""
    sides = series_of(reports, "quantiles")
    classes = list(sides["real"])
    bands = list(next(iter(sides["real"].values())))
    figure = Figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    for ax, cover in zip(axes, classes, strict=False):
        for n, (side, table) in enumerate(sides.items()):
            for band, (p5, p25, p50, p75, p95) in table.get(cover, {}).items():
                x = bands.index(band) + 0.24 * (n - (len(sides) - 1) / 2)
                ax.plot([x, x], [p5, p95], color=COLOURS[side], lw=1)
                ax.plot([x, x], [p25, p75], color=COLOURS[side], lw=4, solid_capstyle="butt")
                ax.plot(x, p50, "o", color=COLOURS[side], mec="white", ms=5)
            ax.plot([], [], "-o", color=COLOURS[side], label=name_of(side))
        ax.set(title=cover, xticks=range(len(bands)), ylim=(0, None))
        ax.set_xticklabels(bands, fontsize=7)
    for ax in axes[len(classes) :]:
        ax.set_axis_off()
    axes[0].legend()
    axes[0].set_ylabel("reflectance")
    axes[3].set_ylabel("reflectance")
    return figure


def draw_autocorrelation(reports: Reports) -> Figure:
    """Median curves in a panel for each kind of chip and four bands."""
    sides = series_of(reports, "texture")
    kinds = [kind for kind in sides["real"] if kind != "all"]
    bands = [band for band in ("B02", "B04", "B08", "B11") if band in next(iter(sides["real"].values()))]
    figure = Figure(figsize=(11, 2 * len(kinds)), layout="constrained")
    axes = figure.subplots(len(kinds), len(bands), sharex=True, sharey=True, squeeze=False)
    for row, kind in zip(axes, kinds, strict=True):
        for ax, band in zip(row, bands, strict=True):
            for side, table in sides.items():
                if kind in table and band in table[kind]:
                    curve = table[kind][band]["autocorrelation"]
                    ax.plot([10 * lag for lag in LAGS], curve, "-o", color=COLOURS[side], ms=3, label=name_of(side))
            ax.set_title(f"{kind}, {band}")
            ax.axhline(0, color="#bbbbbb", lw=0.8)
            ax.set_xscale("log")
    for ax in axes[-1]:
        ax.set_xlabel("distance, m")
    axes[0, 0].legend()
    return figure


def draw_season(reports: Reports) -> Figure:
    """NDVI of forest by day of the year: the dates' medians and the smoothed curve."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    ax = figure.subplots()
    for side, found in series_of(reports, "season").items():
        if found:
            ax.plot(found["dates"]["day"], found["dates"]["ndvi"], ".", color=COLOURS[side], alpha=0.5)
            ax.plot(found["day"], found["ndvi"], color=COLOURS[side], label=name_of(side))
    ax.set(xlabel="day of the year (shifted by half a year in the south)", ylabel="NDVI of forest", ylim=(0, 1))
    ax.legend()
    return figure


def draw_fires(reports: Reports) -> Figure:
    """The dNBR of each fire, outside and inside: 5 to 95 % and the mean, ordered by the mean inside."""
    sides = series_of(reports, "fires")
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, word in zip(axes, ("inside", "outside"), strict=True):
        start = 0
        for side, rows in sides.items():
            _draw_bars(ax, sorted(rows, key=lambda row: row["inside"]["mean"]), word, start, side)
            start += len(rows) + 2
        ax.set(title=f"{word} the perimeter", xticks=[])
        ax.axhline(0, color="#bbbbbb", lw=0.8)
    axes[0].set_ylabel("dNBR: 5 to 95 % of pixels, dot = mean")
    axes[0].legend()
    return figure


def _draw_bars(ax: Axes, rows: list[dict[str, Any]], word: str, start: int, side: str) -> None:
    """One side's fires from `start` on."""
    for n, row in enumerate(rows):
        low, *_, high = row[word]["quantiles"]
        ax.plot([start + n] * 2, [low, high], color=COLOURS[side], lw=1.5)
        ax.plot(start + n, row[word]["mean"], "o", color=COLOURS[side], ms=4)
    ax.plot([], [], "-o", color=COLOURS[side], label=f"{name_of(side)}: a fire")


def draw_classifier(reports: Reports) -> Figure:
    """Accuracy of everything that tells the sides apart, with 95 % intervals."""
    columns = columns_of(reports)
    names: list[tuple[str, str]] = [("cnn", "both networks")]
    names += [(part, name) for part in ("views", "groups") for name in _longest(columns, part)]
    figure = Figure(figsize=(9, 0.36 * len(names) + 1.4), layout="constrained")
    ax = figure.subplots()
    for n, (label, found) in enumerate(columns.items()):
        colour = COLOURS["before" if label.startswith("before") else "after"]
        mark = "o" if "squares" in label else "s" if "six" in label else "D"
        for y, (part, name) in enumerate(names):
            one = found["cnn"] if part == "cnn" else found[part].get(name)
            if one:
                at = -y + 0.18 * ((len(columns) - 1) / 2 - n)
                ax.plot([one["low"], one["high"]], [at, at], color=colour, lw=1.2)
                ax.plot(one["accuracy"], at, mark, color=colour, ms=4, mfc=colour if mark == "o" else "white")
        ax.plot([], [], f"-{mark}", color=colour, mfc=colour if mark == "o" else "white", label=f"simulated, {label}")
    words = {"cnn": "", "views": "network: ", "groups": "numbers: "}
    ax.set_yticks(-np.arange(len(names)), [words[part] + name for part, name in names])
    ax.axvline(0.5, color="#888888", lw=1, ls=":")
    ax.set(xlim=(0.2, 1.01), xlabel="held-out accuracy against real chips; 0.5 = cannot tell")
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return figure


def _longest(columns: Mapping[str, Any], part: str) -> list[str]:
    """The names of a part in the contest that has most of them."""
    lists: list[list[str]] = [list(found[part]) for found in columns.values()]
    return max(lists, key=len)
