"""Tables of `change_page.py`, from the figures of `change.py`: means over seeds, with the least and the most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from benchmark import table
from change_plots import GROUPS, last_of
from change_runs import ARMS

from encoder.pretraining.measure import SEPARATIONS

Record = Mapping[str, Any]
Values = dict[int, float]
"""Seed → value."""

SHOWN = ("caco", "teco", "seco")
_RISES, _FALLS = "rises in every seed", "falls in every seed"
_NEITHER, _ALONE = "does not move alike in all seeds", "of one seed alone, which says little"


def spread(values: Values, sign: str = "") -> str:
    """`0.712 (0.700 … 0.731)`."""
    if not values:
        return "–"
    own = list(values.values())
    mean = f"{np.mean(own):{sign}.3f}"
    return mean if len(own) == 1 else f"{mean} ({min(own):{sign}.3f} … {max(own):{sign}.3f})"


def collect(records: Sequence[Record], read: Callable[[Record], float | None]) -> Values:
    """A number of some records by seed, where it is defined."""
    found = {record["seed"]: read(record) for record in records}
    return {seed: value for seed, value in found.items() if value is not None}


def at_end(records: Sequence[Record], arm: str, branch: str = "key", norm: str = "running") -> list[Record]:
    """An arm's last measurements."""
    own = [record for record in records if record["what"] == "change" and record["arm"] == arm and record["last"]]
    return [record for record in own if (record["branch"], record["norm"]) == (branch, norm)]


def at_start(records: Sequence[Record], arm: str) -> list[Record]:
    """Measurements of untrained networks, by batch statistics."""
    own = [record for record in records if record["what"] == "change" and record["arm"] == arm and not record["last"]]
    return [record for record in own if record["step"] == 0 and record["norm"] == "batch"]


def tasks(records: Sequence[Record], arm: str, task: str, metric: str) -> Values:
    """A figure of a real task by seed."""
    own = [record for record in records if record["what"] == "task" and record["arm"] == arm]
    return collect([r for r in own if (r["task"], r["metric"]) == (task, metric)], lambda record: record["value"])


def auroc_table(records: Sequence[Record], arms: Sequence[str]) -> str:
    """AUROC at the end, a line an arm; then untrained networks and pixels."""
    columns = [("projection", "ratio_auroc"), ("projection", "long_auroc"), ("features", "ratio_auroc"),
               ("features", "long_auroc")]  # fmt: skip
    words = {"ratio_auroc": "R", "long_auroc": "long"}
    lines = [["run", *(f"{words[figure]}, {code} (simulated)" for code, figure in columns)]]
    groups = [(arm, at_end(records, arm)) for arm in arms]
    groups.append(("untrained", at_start(records, arms[0])))
    groups.append(("pixels", [record for record in records if record["arm"] == "pixels"]))
    for name, own in groups:
        lines.append([name, *(spread(collect(own, lambda r, c=code, f=figure: r[c][f])) for code, figure in columns)])  # type: ignore[misc]
    return table(lines)


def memory_table(records: Sequence[Record]) -> str:
    """What the last split found, a line an arm that has an estimate."""
    columns = {
        "share": "flagged (simulated)",
        "crossing": "crossing ratio (simulated)",
        "mean_0": "lower mean (simulated)",
        "mean_1": "upper mean (simulated)",
        "separation": "separation (simulated)",
    }
    lines = [["run", *columns.values()]]
    for arm in SHOWN:
        own = last_of(records, arm, "memory")
        if own:
            lines.append([arm, *(spread(collect(own, lambda r, n=name: r[n])) for name in columns)])  # type: ignore[misc]
    return table(lines) if len(lines) > 1 else "No finished run has an estimate."


def kinds_table(records: Sequence[Record], arms: Sequence[str]) -> str:
    """AUROC of R by class of change."""
    ends = {arm: at_end(records, arm) for arm in arms}
    names: dict[str, int] = {}
    for own in ends.values():
        for record in own:
            names |= {name: part["changed"] for name, part in record["projection"]["by_kind"].items()}
    lines = [["class", "changed locations (simulated)", *(f"{arm} (simulated)" for arm in arms)]]
    for name, count in names.items():
        cells = [spread(collect(ends[arm], lambda r: r["projection"]["by_kind"][name]["ratio_auroc"])) for arm in arms]  # noqa: B023
        lines.append([name, str(count), *cells])
    return table(lines) if names else "No class has changed locations enough for a figure."


def norms_table(records: Sequence[Record], arms: Sequence[str]) -> str:
    """AUROC of R by network and batch norm."""
    sides = [(branch, norm) for branch in ("key", "query") for norm in ("running", "batch")]
    lines = [["run", *(f"{branch}, {norm} (simulated)" for branch, norm in sides)]]
    for arm in arms:
        parts = [collect(at_end(records, arm, *side), lambda r: r["projection"]["ratio_auroc"]) for side in sides]
        lines.append([arm, *map(spread, parts)])
    return table(lines)


def medians_table(records: Sequence[Record], arms: Sequence[str]) -> str:
    """Median cosine of each kind of pairs."""
    lines = [["run", *(f"{words} (simulated)" for words, _ in GROUPS.values())]]
    for arm in arms:
        cells = []
        for group in GROUPS:
            kept = [r for r in at_end(records, arm) if r["projection"]["similarity"][group]["quantiles"]]
            cells.append(spread(collect(kept, lambda r: r["projection"]["similarity"][group]["quantiles"][2])))  # noqa: B023
        lines.append([arm, *cells])
    return table(lines)


def separations_table(records: Sequence[Record], arms: Sequence[str]) -> str:
    """How well kinds of pairs are told apart."""
    names = ["-".join(pair) for pair in SEPARATIONS]
    lines = [["run", *(f"{name} (simulated)" for name in names)]]
    for arm in arms:
        own = at_end(records, arm)
        lines.append(
            [arm, *(spread(collect(own, lambda r, n=name: r["projection"]["separation"][n])) for name in names)]
        )  # type: ignore[misc]
    return table(lines)


def ablation_columns(records: Sequence[Record], arms: Sequence[str]) -> dict[str, dict[str, Values]]:
    """Column → arm → values; columns that no run has are left out."""
    columns: dict[str, Callable[[str], Values]] = {
        "R, projection (simulated)": lambda arm: collect(
            at_end(records, arm), lambda record: record["projection"]["ratio_auroc"]
        ),
        "R, features (simulated)": lambda arm: collect(
            at_end(records, arm, "query"), lambda record: record["features"]["ratio_auroc"]
        ),
        "EuroSAT linear (real)": lambda arm: tasks(records, arm, "eurosat", "linear"),
        "EuroSAT kNN-5 (real)": lambda arm: tasks(records, arm, "eurosat", "kNN-5"),
        "fires AP@10 (real)": lambda arm: tasks(records, arm, "fires", "AP@10"),
    }
    found = {name: {arm: read(arm) for arm in arms} for name, read in columns.items()}
    return {name: values for name, values in found.items() if any(values.values())}


def differences(columns: Mapping[str, Mapping[str, Values]], arms: Sequence[str]) -> dict[str, dict[str, Values]]:
    """Column → `a → b` → difference by seed that both have."""
    return {
        name: {
            f"{one} → {other}": {s: values[other][s] - values[one][s] for s in values[one] if s in values[other]}
            for one, other in pairwise(arms)
        }
        for name, values in columns.items()
    }


def asked_words(records: Sequence[Record]) -> str:
    """What real tasks were asked; nothing where none was."""
    words = {
        "eurosat": "*EuroSAT* (real): {train} training images, {queries} of the {split} split, frozen features.",
        "fires": "*Fires* (real): {queries} burnt chips of {fires} fires ask, frozen features.",
    }
    own = [record for record in records if record["what"] == "task" and record["metric"] in {"linear", "AP@10"}]
    return " ".join(dict.fromkeys(words[record["task"]].format(**record) for record in own))


def order_words(changes: Mapping[str, Mapping[str, Values]]) -> list[str]:
    """A sentence a column: which steps rise or fall in every seed, and which do neither."""
    said = []
    for name, steps in changes.items():
        groups: dict[str, list[str]] = {word: [] for word in (_RISES, _FALLS, _NEITHER, _ALONE)}
        for step, values in steps.items():
            own = list(values.values())
            if own:
                word = _RISES if min(own) > 0 else _FALLS if max(own) < 0 else _NEITHER
                groups[word if len(own) > 1 else _ALONE].append(f"{step} ({np.mean(own):+.3f})")
        words = [f"{word}: {', '.join(found)}" for word, found in groups.items() if found]
        if words:
            said.append(f"*{name}* {'; '.join(words)}.")
    return said


def steps_of(rows: Sequence[str]) -> list[str]:
    """`a → b` of rows in turn."""
    return [f"{one} → {other}" for one, other in pairwise(rows)]


def list_values(values: Mapping[str, Values]) -> str:
    """`caco 0.700 (…), teco …`."""
    return ", ".join(f"{arm} {spread(own)}" for arm, own in values.items())


def ablation_table(columns: Mapping[str, Mapping[str, Values]], rows: Sequence[str]) -> str:
    """The ablation, a line an arm."""
    lines = [[ARMS[arm].words, *(spread(values[arm]) for values in columns.values())] for arm in rows]
    return table([["run", *columns], *lines])
