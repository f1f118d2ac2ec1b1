"""Evaluate a store against labelled events: AP@K and precision@K by class, chance, 95 % intervals.

    python -m index.evaluate data/stores/benchmark --labels events.geojson --k 10 40 --json figures.jsonl
    python -m index.evaluate data/stores/benchmark --labels events.geojson --areas areas.geojson --split test

Every labelled event that the store shows is one query. Its gallery never holds its own area (in a store of one area:
its own place); `index/truth.py` says what counts as a positive, `index/metrics.py` what the figures are. The headline
counts a location once, by its best row: that is what a person sees on the map, where ten dates of one chip are one
find. The same lists of rows, as the search returns them, stand beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stac.cli import check_output, number, parse_args
from stac.errors import AreaError, exit_code
from stac.files import write_whole

from .areas import APART_KM, Areas, group_areas, open_areas
from .figures import Figure, figure_records, figures_table, json_lines, new_figures, read_commit
from .metrics import DIVISORS, Divisor, ap_at_k, chance_ap, chance_precision, precision_at_k
from .ranking import Gallery, Ranking, rank
from .store import Store, open_store
from .truth import (
    PROTOCOLS,
    Places,
    Protocol,
    Queries,
    Truth,
    find_truth,
    label_groups,
    list_places,
    open_labelled,
    plan_queries,
)

DEFAULT_K = (10, 40)
"""K of CACo's figures on CalFire (CVPR 2023, table 5)."""

_WORDS = {
    "areas": "galleries are the other areas",
    "places": "galleries lack the query's own place",
    "events": "galleries lack the query's own event alone",
}


@dataclass(frozen=True)
class Settings:
    """How a store is evaluated."""

    k: tuple[int, ...] = DEFAULT_K
    """Ranks that count."""
    protocol: Protocol | None = None
    """What a gallery lacks; None: `areas` where there are several, else `places`."""
    areas: Path | None = None
    """Polygons with names; None: groups of locations."""
    apart_km: float = APART_KM
    """Kilometres between groups."""
    divide_by: Divisor = "min"
    """Divisor of AP@K."""
    split: str | None = None
    """Only areas of this split ask and are found."""
    seed: int = 0
    """Of the bootstrap."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out."""

    answers: pd.DataFrame
    """One row for each unit, K and query: `unit, k, event_id, class, area, row, positives, size, ap, precision,
    chance_ap, chance_precision`."""
    figures: list[Figure]
    context: dict[str, Any]
    """What every JSON line says."""
    unshown: int
    """Labelled events that no row shows (in the split)."""
    alone: int
    """Labelled events whose gallery has none of their class."""


def evaluate_store(store: Store, labels: Path, settings: Settings, *, progress: bool = False) -> Evaluation:
    """Ask for every labelled event, and compare what comes back with the labels.

    Args:
        store: The store.
        labels: File of polygons with `class`, `start`, `end`, and optionally `event_id`, `area`.
        settings: How.
        progress: Show a progress bar on standard error.

    Raises:
        AreaError: Labels or areas cannot be read, or there is nothing to ask.
        StoreError: A shard cannot be read.
    """
    table, told = open_labelled(labels)
    places = list_places(store)
    truth = find_truth(store, places, table.table)
    areas = _find_areas(places, truth, told, settings)
    clear = store.events["clear_fraction"].to_numpy()
    protocol = _norm_protocol(settings, truth, places, areas, clear)
    queries = plan_queries(truth, places, areas, clear, protocol, settings.split)
    if not len(queries.row):
        raise AreaError("no labelled event asks", "one in the areas that are evaluated", "check --areas and --split")
    classes = {int(number): truth.rows_of_class(int(number)) for number in np.unique(queries.classes)}
    gallery = Gallery(
        area=_gallery_areas(areas, settings.split)[places.of_row],
        positive={number: rows for number, (rows, _) in classes.items()},
        unclear={number: rows for number, (_, rows) in classes.items()},
    )
    found = rank(store, places, queries, gallery, max(settings.k), progress=progress)
    can = found["row"].positives > 0
    if not can.any():
        found_text = f"none of the {len(can)} labelled events has another of its class in its gallery"
        do = "add labels, or choose another --protocol"
        raise AreaError(found_text, f"events of one class apart ({_WORDS[protocol]})", do)
    about = _about_queries(queries, truth, areas, told)
    parts = [
        pd.concat([about, _score(ranking, k, settings.divide_by)], axis=1)[can].assign(unit=unit, k=k)
        for unit, ranking in found.items()
        for k in dict.fromkeys(settings.k)
    ]
    answers = pd.concat(parts, ignore_index=True)
    context = _context(store, settings, protocol, {"labels_sha256": table.sha256, "areas": len(areas.names)})
    unshown = int((truth.query_rows(clear) < 0).sum())
    return Evaluation(answers, new_figures(answers, settings.seed), context, unshown, int((~can).sum()))


def _find_areas(places: Places, truth: Truth, told: pd.DataFrame, settings: Settings) -> Areas:
    """Areas by file, or as groups."""
    if settings.areas is not None:
        areas = open_areas(settings.areas, places.centres)
    else:
        same = label_groups(truth, places, told["area"].tolist())
        areas = group_areas(places.centres, settings.apart_km, same)
    known = sorted({split for split in areas.splits if split is not None})
    if settings.split is not None and settings.split not in known:
        found = f"--split {settings.split}: the areas state {' '.join(known) or 'no split'}"
        raise AreaError(found, "a split that an area has", "check --split, and name the areas' file with --areas")
    return areas


def _gallery_areas(areas: Areas, split: str | None) -> NDArray[np.int64]:
    """(P,) area of each location; −1 outside the split."""
    if split is None:
        return areas.of_place
    inside = np.array([own == split for own in areas.splits] + [False])  # last: −1
    return np.where(inside[areas.of_place], areas.of_place, -1)


def _norm_protocol(
    settings: Settings, truth: Truth, places: Places, areas: Areas, clear: NDArray[np.floating]
) -> Protocol:
    """The protocol that was asked for, or the strictest that the store allows."""
    rows = truth.query_rows(clear)
    holding = np.unique(_gallery_areas(areas, settings.split)[places.of_row[rows[rows >= 0]]])
    several = int((holding >= 0).sum()) > 1
    if settings.protocol == "areas" and not several:
        do = "choose --protocol places, or name the areas with --areas"
        raise AreaError("--protocol areas: the labelled events lie in one area", "at least two", do)
    return settings.protocol or ("areas" if several else "places")


def _about_queries(queries: Queries, truth: Truth, areas: Areas, told: pd.DataFrame) -> pd.DataFrame:
    """Who asks, one row a query."""
    return pd.DataFrame(
        {
            "event_id": told["event_id"].to_numpy()[queries.label],
            "class": np.array(truth.classes, dtype=object)[queries.classes],
            "area": np.array(areas.names, dtype=object)[queries.area],
            "row": queries.row,
        }
    )


def _score(ranking: Ranking, k: int, divide_by: Divisor) -> pd.DataFrame:
    """The figures of every query, and their chance."""
    size, positives = ranking.size, ranking.positives
    return pd.DataFrame(
        {
            "positives": positives,
            "size": size,
            "ap": ap_at_k(ranking.relevant, positives, k, divide_by),
            "precision": precision_at_k(ranking.relevant, k),
            "chance_ap": chance_ap(ranking.chances, ranking.squares, size, positives, k, divide_by),
            "chance_precision": chance_precision(ranking.chances, size, k),
        }
    )


def _context(store: Store, settings: Settings, protocol: Protocol, more: dict[str, Any]) -> dict[str, Any]:
    """What every JSON line says."""
    manifest = store.manifest
    return {
        "encoder": manifest.encoder["name"],
        "weights_sha256": manifest.encoder["sha256"],
        "task": "retrieval",
        "protocol": protocol,
        "split": settings.split,
        "seed": settings.seed,
        "divide_by": settings.divide_by,
        "store": store.path.name,
        "pairs": manifest.arguments.get("pairs"),
        "monthly": manifest.arguments.get("monthly"),
        "chip_size": manifest.chip_size,
        "bands": list(manifest.encoder["bands"]),
        "rows": manifest.counts.get("events"),
        "locations": manifest.counts.get("locations"),
        "simulated": manifest.simulated,
        **more,
        "commit": read_commit(),
    }


def report(evaluation: Evaluation) -> str:
    """The table for the screen."""
    said = evaluation.context
    notes = [
        f"{evaluation.answers['event_id'].nunique()} labelled events ask",
        f"{evaluation.unshown} are shown by no row" if evaluation.unshown else "",
        f"{evaluation.alone} have none of their class to find" if evaluation.alone else "",
    ]
    head = (
        f"{said['store']}: encoder {said['encoder']} ({said['weights_sha256'][:12]}), {said['pairs']} pairs"
        f"{' of the clearest in each month' if said['monthly'] else ''}, {said['rows']:,} rows, {said['locations']:,} "
        f"locations, {said['areas']} area{'' if said['areas'] == 1 else 's'}"
        f"{', SIMULATED imagery' if said['simulated'] else ''}\n"
        f"protocol {said['protocol']}: {_WORDS[said['protocol']]}"
        f"{', split ' + said['split'] if said['split'] else ''}; {'; '.join(note for note in notes if note)}\n"
    )
    tables = [
        f"\n{title}\n{figures_table(evaluation.figures, unit)}\n"
        for unit, title in (("place", "each location once, by its best row (the headline)"), ("row", "every row"))
    ]
    end = f"\nAP@K divides by {'min(K, positives)' if said['divide_by'] == 'min' else 'K'}; in brackets 95 % intervals"
    return head + "".join(tables) + end + " (bootstrap over labelled events)"


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m index.evaluate",
        description="Evaluate a store against labelled events: AP@K and precision@K by class.",
        epilog="examples:\n"
        "  python -m index.evaluate data/stores/benchmark --labels events.geojson --k 10 40 --json figures.jsonl\n"
        "  python -m index.evaluate data/stores/demo --labels data/archives/demo/events.geojson --protocol places",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("store", type=Path, help="folder of the store")
    add("--labels", type=Path, required=True, metavar="FILE", help="polygons with class, start and end")
    count = number("--k", int, "a whole number from 1 to 10000", range(1, 10_001).__contains__)
    add("--k", type=count, nargs="+", default=list(DEFAULT_K), metavar="K", help="ranks that count (default 10 40)")
    add("--json", type=Path, metavar="FILE", help="write one JSON object for each figure, one a line")
    add("--protocol", choices=PROTOCOLS, help="what a gallery lacks (default: areas where there are several)")
    add("--areas", type=Path, metavar="FILE", help="polygons with a name and, optionally, a split")
    apart = number("--apart", float, "kilometres above 0, at most 20000", lambda value: 0 < value <= 20_000)
    add("--apart", type=apart, default=APART_KM, metavar="KM", help="between areas, without --areas (default 20)")
    add("--split", metavar="NAME", help="only the areas of this split (train, val, test)")
    add("--divide-by", choices=DIVISORS, default="min", help="AP@K by min(K, positives) or by K (default min)")
    seed = number("--seed", int, "a whole number from 0 to 2^63 - 1", lambda value: 0 <= value < 2**63)
    add("--seed", type=seed, default=0, help="of the bootstrap (default 0)")
    return parser


def _run(argv: Sequence[str] | None) -> int:
    """Check the arguments, evaluate, print and write."""
    args = parse_args(_parser(), argv)
    if args.json is not None:
        check_output(args.json, "--json")
    settings = Settings(
        tuple(sorted(set(args.k))), args.protocol, args.areas, args.apart, args.divide_by, args.split, args.seed
    )
    open_labelled(args.labels)  # before the store, which may take long to check
    evaluation = evaluate_store(open_store(args.store), args.labels, settings, progress=sys.stderr.isatty())
    if args.json is not None:
        with write_whole(args.json) as temporary:
            temporary.write_bytes(json_lines(figure_records(evaluation.figures, evaluation.context)))
    sys.stdout.write(report(evaluation) + "\n")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
