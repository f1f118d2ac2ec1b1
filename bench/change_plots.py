"""Plots of `change_page.py`: what runs learn as they go, how alike images are, and where change ratios are split."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from encoder.pretraining.curves import EDGES
from encoder.pretraining.measure import COSINES

Record = Mapping[str, Any]

COLOURS = {"caco": "#1a72b8", "teco": "#d1861a", "seco": "#4b8b3b"}
GROUPS = {
    "season": ("same half, other date", "#4b8b3b"),
    "years": ("across the halves, unchanged", "#1a72b8"),
    "event": ("across the halves, changed", "#c23b22"),
    "others": ("other location", "#777777"),
}
TRUTHS = {"unchanged": "#1a72b8", "changed": "#c23b22"}
DPI = 80


def draw_plots(records: Sequence[Record], out: Path) -> None:
    """Write every plot as PNG.

    Args:
        records: Of finished runs.
        out: Folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    look = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
    with mpl.rc_context(look):
        for name, draw in (("auroc", draw_auroc), ("similarity", draw_similarity), ("ratio", draw_ratio)):
            image = io.BytesIO()
            draw(records).savefig(image, dpi=DPI)
            Image.open(image).convert("RGB").quantize(64).save(out / f"{name}.png", optimize=True)


def arms_of(records: Sequence[Record], wanted: Sequence[str] = tuple(COLOURS)) -> list[str]:
    """Those of some arms that there are."""
    there = {record["arm"] for record in records}
    return [arm for arm in wanted if arm in there]


def by_rows(records: Sequence[Record], arm: str, code: str, figure: str) -> dict[int, tuple[list[int], list[float]]]:
    """Seed → rows seen and a figure there, of an arm's key network by running statistics."""
    found: dict[int, dict[int, float]] = {}
    wanted = ("change", arm, "key", "running")
    for record in records:
        who = tuple(record.get(key) for key in ("what", "arm", "branch", "norm"))
        if who == wanted and record[code][figure] is not None:
            found.setdefault(record["seed"], {})[record["rows"]] = record[code][figure]
    return {seed: (sorted(own), [own[rows] for rows in sorted(own)]) for seed, own in found.items()}


def draw_auroc(records: Sequence[Record]) -> Figure:
    """AUROC of the change ratio by rows seen: a thin line a seed, a thick one their mean."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    words = {"projection": "season-invariant projection", "features": "backbone's features"}
    for ax, (code, title) in zip(axes, words.items(), strict=True):
        for arm in arms_of(records):
            lines = by_rows(records, arm, code, "ratio_auroc")
            for rows, values in lines.values():
                ax.plot(rows, values, color=COLOURS[arm], lw=0.7, alpha=0.6)
            rows, mean = mean_line(list(lines.values()))
            ax.plot(rows, mean, "-o", color=COLOURS[arm], lw=2, ms=3, label=arm)
        pixels = [record for record in records if record["arm"] == "pixels"]
        if pixels:
            ax.axhline(pixels[0][code]["ratio_auroc"], color="#777777", ls=":", label="pixels, no network")
        ax.axhline(0.5, color="#bbbbbb", lw=0.8)
        ax.set(title=title, xlabel="rows seen in training (simulated)")
    axes[0].set_ylabel("AUROC of the change ratio\n(simulated, held out)")
    axes[0].legend()
    return figure


def mean_line(lines: Sequence[tuple[list[int], list[float]]]) -> tuple[list[int], list[float]]:
    """Mean of some lines where all of them have a point."""
    tables = [dict(zip(*line, strict=True)) for line in lines]
    shared = sorted(set.intersection(*(set(table) for table in tables))) if tables else []
    return shared, [float(np.mean([table[rows] for table in tables])) for rows in shared]


def last_of(records: Sequence[Record], arm: str, what: str = "change") -> list[Record]:
    """The last figures of each seed: of the key network by running statistics, or of the memory."""
    own = [record for record in records if record["arm"] == arm and record["what"] == what]
    if what == "memory":
        return own
    return [record for record in own if record["last"] and (record["branch"], record["norm"]) == ("key", "running")]


def draw_similarity(records: Sequence[Record]) -> Figure:
    """Histograms of cosines, a row an arm, all seeds together: projection left, features right."""
    arms = arms_of(records)
    figure = Figure(figsize=(10, 1 + 2.1 * len(arms)), layout="constrained")
    axes = figure.subplots(len(arms), 2, squeeze=False)
    for row, arm in zip(axes, arms, strict=True):
        for ax, code in zip(row, ("projection", "features"), strict=True):
            for group, (words, colour) in GROUPS.items():
                parts = [record[code]["similarity"][group]["histogram"] for record in last_of(records, arm)]
                _step(ax, COSINES[:-1], np.sum(parts, axis=0), colour, words)
            ax.set(title=f"{arm}, {code}", yticks=[])
            ax.spines["left"].set_visible(False)
    for column, code in zip(axes.T, ("projection", "features"), strict=True):
        groups = [record[code]["similarity"] for arm in arms for record in last_of(records, arm)]
        low, _ = _range(COSINES[:-1], [part["histogram"] for group in groups for part in group.values()])
        for ax in column:
            ax.set_xlim(low, 1)
    for ax in axes[-1]:
        ax.set_xlabel("cosine of two images (simulated, held out)")
    axes[0, 0].legend(loc="upper left", fontsize=8)
    return figure


def draw_ratio(records: Sequence[Record]) -> Figure:
    """Histograms of the change ratio by truth: what the memory split, with its crossing, and the held-out locations."""
    arms = arms_of(records)
    figure = Figure(figsize=(10, 1 + 2.1 * len(arms)), layout="constrained")
    axes = figure.subplots(len(arms), 2, squeeze=False, sharex=True)
    shown: list[list[int]] = []
    for row, arm in zip(axes, arms, strict=True):
        for ax, what in zip(row, ("memory", "change"), strict=True):
            found = last_of(records, arm, what)
            parts = [(record if what == "memory" else record["projection"])["ratio_histogram"] for record in found]
            for truth, colour in TRUTHS.items():
                counts = [part[truth] for part in parts if truth in part]
                if counts:
                    _step(ax, EDGES, np.sum(counts, axis=0), colour, truth)
            for record in found:
                if record.get("crossing") is not None:
                    ax.axvline(record["crossing"], color="#222222", lw=0.8)
            words = "training rows, smoothed" if what == "memory" else "held-out locations"
            shown += [counts for part in parts for counts in part.values()]
            ax.set(title=f"{arm}, {words}" + ("" if found else ": no estimate"), yticks=[])
            ax.spines["left"].set_visible(False)
            if found:
                ax.legend(fontsize=8)
    axes[0, 0].set_xlim(*_range(EDGES, shown))
    for ax in axes[-1]:
        ax.set_xlabel("change ratio (simulated)")
    return figure


def _range(edges: NDArray[np.float64], histograms: Sequence[Sequence[int]]) -> tuple[float, float]:
    """Where all but 0.2 % of what some histograms hold lies, with a little room."""
    counts = np.sum(histograms, axis=0)
    part = np.cumsum(counts) / counts.sum()
    low, high = edges[np.searchsorted(part, 0.001)], edges[np.searchsorted(part, 0.999)]
    room = 0.05 * (high - low) + (edges[1] - edges[0])
    return float(low - room), float(high + room)


def _step(ax: Axes, edges: NDArray[np.float64], counts: NDArray[np.int64], colour: str, words: str) -> None:
    """A histogram as an outline of area one."""
    total = counts.sum()
    ax.step(edges, counts / total if total else counts, where="post", color=colour, lw=1.3, label=words)
