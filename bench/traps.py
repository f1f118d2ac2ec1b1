"""What the rules of `stac/` are worth: the benchmark with one rule switched off at a time.

    python bench/traps.py --archive data/archives/benchmark --work data/benchmark --monthly --json traps.jsonl
    python bench/traps.py --archive … --work … --monthly --only mediterranean temperate cropland coast

Four stores are built, which takes long: `--only` takes some of the areas, named before any figure is seen.

| switched off | then |
| --- | --- |
| offset | nothing is taken from the pixels of baselines 04.00 and later, which carry +1000 |
| duplicates | none is dropped; the day's merge takes the first one in order of time, tile and item id: the older one |
| cloud | every pixel with data counts as clear, in the choice of chips and in their embedding |

Each variant is a store of its own, built by the same command with that one function or constant replaced, and asked by
the same labelled events. The fall is baseline − variant, so that a rule that helps has a positive one; its interval
is a paired bootstrap over the events that ask in both, within classes. A rule whose trap the archive hardly has cannot
fall far: with `duplicates` the number of doubled granules is printed beside.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pystac
from benchmark import (
    evaluate_config,
    machine,
    mark,
    new_config,
    new_parser,
    new_settings,
    open_archive,
    record_context,
    start,
    store_name,
    table,
)

from index.evaluate import Evaluation
from index.figures import METRICS, json_lines
from index.metrics import Interval, bootstrap
from stac import cube, items
from stac.bands import SCL_CLASSES
from stac.errors import exit_code
from stac.files import write_whole
from stac.items import Scene

_radiometry_of = items.radiometry_of


def without_offset(item: pystac.Item) -> tuple[str, int]:
    """The baseline, and nothing to add."""
    return _radiometry_of(item)[0], 0


def keep_both(scenes: Iterable[Scene]) -> list[Scene]:
    """Every scene."""
    return list(scenes)


RULES = {
    "offset": (items, "radiometry_of", without_offset),
    "duplicates": (items, "deduplicate", keep_both),
    "cloud": (cube, "CLEAR_SCL", tuple(value for value in SCL_CLASSES if value != 0)),
}
"""Rule → where it stands, and what takes its place."""


@contextlib.contextmanager
def switched_off(rule: str | None) -> Iterator[None]:
    """Within, a rule does not hold; None: all do."""
    with contextlib.ExitStack() as stack:
        if rule is not None:
            module, name, instead = RULES[rule]
            stack.enter_context(mock.patch.object(module, name, instead))
        yield


def count_doubled(catalog: Path, max_cloud: float | None) -> tuple[int, int]:
    """Items that are read, those that are not too cloudy; how many of them the rule of duplicates drops."""
    found = pystac.Catalog.from_file(str(catalog)).get_items(recursive=True)
    limit = 100.0 if max_cloud is None else max_cloud
    scenes = [items.resolve_scene(item) for item in found if item.properties.get("eo:cloud_cover", 0) <= limit]
    return len(scenes), len(scenes) - len(items.deduplicate(scenes))


def falls(with_rule: Evaluation, without: Evaluation, unit: str, k: int, metric: str) -> tuple[Interval, int]:
    """How far the mean over classes falls without a rule, and how many events ask in both."""
    keys = ["event_id", "class"]
    one, other = (_answers(found, unit, k)[[*keys, metric]] for found in (with_rule, without))
    both = pd.merge(one, other, on=keys)
    _, groups = np.unique(both["class"].to_numpy(dtype=str), return_inverse=True)
    seed = int(with_rule.context["seed"])
    return bootstrap((both[f"{metric}_x"] - both[f"{metric}_y"]).to_numpy(np.float64), groups, seed=seed), len(both)


def _answers(found: Evaluation, unit: str, k: int) -> pd.DataFrame:
    """Answers of one unit and K."""
    return found.answers[(found.answers["unit"] == unit) & (found.answers["k"] == k)]


def _mean(found: Evaluation, unit: str, k: int, metric: str) -> float:
    """Mean over classes."""
    return float(_answers(found, unit, k).groupby("class")[metric].mean().mean())


def compare(
    found: Mapping[str | None, Evaluation], unit: str, ks: Sequence[int]
) -> tuple[list[list[str]], list[dict[str, Any]]]:
    """The falls of every rule in one unit: lines of a table, the head first, and records; key None has all rules."""
    heads = [(metric, k) for metric in METRICS for k in ks]
    names = [f"{metric}@{k}" for metric, k in heads]
    base = {name: _mean(found[None], unit, k, METRICS[metric]) for name, (metric, k) in zip(names, heads, strict=True)}
    lines = [["switched off", "queries", *names]]
    lines += [["nothing", str(len(_answers(found[None], unit, ks[0]))), *(f"{base[name]:.3f}" for name in names)]]
    records = []
    for rule, other in found.items():
        if rule is None:
            continue
        cells, count = [], 0
        for name, (metric, k) in zip(names, heads, strict=True):
            fall, count = falls(found[None], other, unit, k, METRICS[metric])
            left = _mean(other, unit, k, METRICS[metric])
            cells.append(f"falls by {fall} to {left:.3f}")
            record = {"switched_off": rule, "unit": unit, "metric": name, "queries": count, "with_all": base[name]}
            records.append({**record, "without": left, "fall": fall.value, "interval": [fall.low, fall.high]})
        lines.append([rule, str(count), *cells])
    return lines, records


def _run(argv: Sequence[str] | None) -> int:
    """Build each variant, evaluate, print what falls."""
    parser = new_parser("traps.py", __doc__)
    parser.add_argument("--encoder", default="spectral")
    parser.add_argument("--rules", nargs="+", choices=list(RULES), default=list(RULES))
    args = start(parser, argv)
    archive = open_archive(args.archive, args.work, args.only)
    settings = new_settings(archive, args)
    found: dict[str | None, Evaluation] = {}
    for rule in (None, *args.rules):
        name = store_name(args, args.encoder)
        folder = name if rule is None else f"{name}-without-{rule}"
        with switched_off(rule):
            found[rule], _ = evaluate_config(
                new_config(archive, args, args.encoder, args.work / folder), archive, settings
            )
        settings = replace(settings, protocol=found[rule].context["protocol"])  # the same for all
    said = found[None].context
    read, doubled = count_doubled(archive.catalog, args.max_cloud)
    print(f"{mark(found[None])}{archive.items} items, {read} read, {doubled} of them doubled; ", end="")
    print(f"encoder {said['encoder']}, ", end="")
    print(f"{said['pairs']} pairs{', monthly' if said['monthly'] else ''}, {said['areas']} areas, ", end="")
    print(f"protocol {said['protocol']}; {json.dumps(machine())}; commit {said['commit']}\n")
    records: list[dict[str, Any]] = []
    beside = {**record_context(found[None], archive, args), "read": read, "doubled": doubled}
    for unit, title in (("place", "each location once (headline)"), ("row", "every row")):
        lines, own = compare(found, unit, settings.k)
        records += [{**beside, **record} for record in own]
        print(f"{mark(found[None])}{title}, mean over classes\n\n{table(lines)}\n")
    if args.json is not None:
        with write_whole(args.json) as temporary:
            temporary.write_bytes(json_lines(records))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
