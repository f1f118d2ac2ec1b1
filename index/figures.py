"""Figures: what an evaluation comes to, by class and over classes, as a table for people and JSON lines for machines.

One JSON object a line, one figure each: `encoder, weights_sha256, task, protocol, split, seed, metric, class, value,
interval, chance` and what it takes to read it. `class` is null in the mean over classes.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .metrics import Interval, bootstrap, macro_mean
from .ranking import UNITS

METRICS = {"AP": "ap", "P": "precision"}
"""Metric → its column in the table of answers; its chance stands in the same with `chance_` before."""


@dataclass(frozen=True)
class Figure:
    """One number with all that belongs beside it."""

    unit: str
    """`place` or `row`: what the lists are made of."""
    metric: str
    """`AP` (average precision) or `P` (precision)."""
    k: int
    """Ranks that count."""
    name: str | None
    """The class; None for the mean over classes."""
    score: Interval
    chance: float
    """The same on random rankings."""
    queries: int
    """Labelled events that ask."""
    positives: float
    """Candidates to be found, mean over the queries."""


def new_figures(answers: pd.DataFrame, seed: int) -> list[Figure]:
    """Figures by unit, metric, K and class, the mean over classes last.

    Args:
        answers: One row for each unit, K and query: `unit, k, class, positives` and the columns of `METRICS`.
        seed: Of the bootstrap.
    """
    figures = []
    for unit in UNITS:
        for k in sorted(answers["k"].unique()):
            here = answers[(answers["unit"] == unit) & (answers["k"] == k)]
            for metric in METRICS:
                figures += [_figure(part, name, (unit, metric, int(k)), seed) for name, part in _parts(here)]
    return figures


def _parts(answers: pd.DataFrame) -> Iterator[tuple[str | None, pd.DataFrame]]:
    """Each class, then all together."""
    for name in sorted(answers["class"].unique()):
        yield str(name), answers[answers["class"] == name]
    yield None, answers


def _figure(answers: pd.DataFrame, name: str | None, kind: tuple[str, str, int], seed: int) -> Figure:
    """The figure of some queries."""
    column = METRICS[kind[1]]
    _, groups = np.unique(answers["class"].to_numpy(dtype=str), return_inverse=True)
    chance = macro_mean(answers[f"chance_{column}"].to_numpy(np.float64), groups)
    score = bootstrap(answers[column].to_numpy(np.float64), groups, seed=seed)
    return Figure(*kind, name, score, chance, len(answers), macro_mean(answers["positives"].to_numpy(float), groups))


def figure_records(figures: Iterable[Figure], context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One plain object for each figure, `context` in each."""
    return [
        {
            **context,
            "unit": figure.unit,
            "metric": f"{figure.metric}@{figure.k}",
            "class": figure.name,
            "value": round(figure.score.value, 6),
            "interval": [round(figure.score.low, 6), round(figure.score.high, 6)],
            "chance": round(figure.chance, 6),
            "queries": figure.queries,
            "positives": round(figure.positives, 1),
        }
        for figure in figures
    ]


def json_lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    """One JSON object a line."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def figures_table(figures: Sequence[Figure], unit: str) -> str:
    """Figures of one unit as text in columns: a line a class; value, interval and chance by metric and K."""
    own = [figure for figure in figures if figure.unit == unit]
    heads = list(dict.fromkeys((figure.metric, figure.k) for figure in own))
    lines = []
    for name in dict.fromkeys(figure.name for figure in own):
        found = {(figure.metric, figure.k): figure for figure in own if figure.name == name}
        first = found[heads[0]]
        cells = {f"{metric}@{k}": _cell(found[metric, k]) for metric, k in heads}
        label = name if name is not None else "mean over classes"
        lines.append({"class": label, "queries": first.queries, "positives": f"{first.positives:.1f}", **cells})
    return pd.DataFrame(lines).to_string(index=False)


def _cell(figure: Figure) -> str:
    """Value, interval and chance."""
    return f"{figure.score} chance {figure.chance:.3f}"


def read_commit() -> str | None:
    """Commit of the code that runs, `-dirty` where files differ from it; None outside a clone."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        folder = Path(__file__).resolve().parent
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip() or None
