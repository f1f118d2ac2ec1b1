"""Truth: which rows of a store show which labelled event, and what each labelled event is asked and held against.

A row is one location and one interval (before, after]; a labelled event is a polygon with a class, a first and a last
day. A row is a **positive** of a labelled event when

- the polygon covers at least `LABEL_MIN_SHARE` of its chip, and
- the interval and the event's time overlap by at least half (`MIN_OVERLAP`) of the shorter of the two. So a yearly pair
  must hold half of a road of 200 days, and a pair of five days within these 200 is a positive as a whole: the rule is
  the same for short and long pairs, but with pairs much shorter than an event many positives show little of it.

A build names events by the same rule (`index.labels.add_labels`).

A row that the polygon touches in place and time without being a positive is **unclear**: it counts neither for nor
against a query of that class and is left out of its ranking (as "junk" in Philbin et al., "Object retrieval with large
vocabularies and fast spatial matching", CVPR 2007, §5). Every other row is a negative.

Each labelled event is **one query**, whatever its size: the row with the largest share × part of the event's time that
lies in the interval; of equal ones the clearest, then the first. No embedding has a say, so every encoder is asked the
same. A labelled event without a positive row, or whose class has none in its gallery, is no query, and is counted.

The **gallery** of a query is what its protocol leaves. Rows that show its own event are never in it.

| protocol | left out besides | for |
| --- | --- | --- |
| `areas` | every row of the query's area | stores of several areas: the default there, and the headline |
| `places` | every row of the chips that its polygon meets, and of their eight neighbours | stores of one area |
| `events` | nothing else | the lax score: the same chip in other years may help |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stac.errors import AreaError

from .areas import Areas
from .labels import LABEL_MIN_SHARE, Labels, cover_shares, days_of, label_days, open_labels, time_parts
from .store import Store

Protocol = Literal["areas", "places", "events"]
"""What is left out of a query's gallery (the module's head)."""

PROTOCOLS: tuple[str, ...] = get_args(Protocol)

_SLIVER = 1e-6
"""assumed: share of a chip below which an overlap is the rounding of a common edge: 0.1 m² of 320 × 320 m."""

_EXTRA = ("event_id", "area", "split")


@dataclass(frozen=True, eq=False)
class Places:
    """The locations of a store, each a run of rows."""

    starts: NDArray[np.int64]
    """(P + 1,) first row of each location; last the number of rows."""
    ids: NDArray[np.object_]
    """(P,) location ids."""
    outlines: NDArray[np.object_]
    """(P,) chips, degrees."""
    centres: NDArray[np.float64]
    """(P, 2) longitude, latitude, degrees."""

    @property
    def of_row(self) -> NDArray[np.int64]:
        """(N,) the location of each row."""
        return np.repeat(np.arange(len(self.ids)), np.diff(self.starts))


def list_places(store: Store) -> Places:
    """The locations of a store in the order of its rows."""
    ids = store.events["location_id"].to_numpy(dtype=object)
    first = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]]) if len(ids) else np.empty(0, np.int64)
    outlines = store.events.geometry.to_numpy()[first]
    return Places(np.r_[first, len(ids)].astype(np.int64), ids[first], outlines, store.centres[first])


def open_labelled(path: Path) -> tuple[Labels, pd.DataFrame]:
    """Labels, and what else the file says of them.

    Returns:
        The checked labels, and row for row `event_id` (text; the feature's number where there is none), `area` and
        `split` (text or None).

    Raises:
        AreaError: As `open_labels`.
    """
    labels = open_labels(path)
    parquet = path.suffix.lower() == ".parquet"
    raw = gpd.read_parquet(path) if parquet else gpd.read_file(path, ignore_geometry=True)
    blank = [None] * len(labels.table)
    told = {name: raw[name].tolist() if name in raw else blank for name in _EXTRA}
    texts = {name: [None if pd.isna(value) else str(value) for value in column] for name, column in told.items()}
    texts["event_id"] = [text or f"feature-{number}" for number, text in enumerate(texts["event_id"], start=1)]
    return labels, pd.DataFrame(texts, dtype=object)


@dataclass(frozen=True, eq=False)
class Truth:
    """Which rows show which labelled event. Pairs of a labelled event and a row, one entry each."""

    classes: tuple[str, ...]
    """Sorted."""
    label_class: NDArray[np.int64]
    """(L,) index into `classes` of each labelled event."""
    label: NDArray[np.int64]
    """(E,) the labelled event."""
    row: NDArray[np.int64]
    """(E,) the row."""
    positive: NDArray[np.bool_]
    """(E,) whether the row shows the event; else it is unclear."""
    shown: NDArray[np.float64]
    """(E,) share of the chip × part of the event's time within the interval."""
    near: tuple[NDArray[np.int64], ...]
    """For each labelled event the locations that its polygon meets, and their neighbours."""

    def rows_of_class(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows that are positives of a class, and those that are unclear; each sorted, none in both."""
        own = self.label_class[self.label] == number
        positive = np.unique(self.row[own & self.positive])
        return positive, np.setdiff1d(self.row[own & ~self.positive], positive)

    def query_rows(self, clear: NDArray[np.floating]) -> NDArray[np.int64]:
        """(L,) the row that asks for each labelled event; −1 where no row shows it.

        Args:
            clear: (N,) clear fraction of each row, which decides between equals.
        """
        out = np.full(len(self.label_class), -1, np.int64)
        entries = np.flatnonzero(self.positive)
        order = np.lexsort((-self.row[entries], clear[self.row[entries]], np.round(self.shown[entries], 9)))
        out[self.label[entries[order]]] = self.row[entries[order]]  # the best is written last
        return out


def find_truth(store: Store, places: Places, labels: gpd.GeoDataFrame) -> Truth:
    """Hold every labelled event against every row.

    Args:
        store: The store.
        places: Its locations.
        labels: As `norm_labels` gives them.

    Raises:
        AreaError: No row of the store shows any of them.
    """
    place, label, share = _shares(places, labels)
    counts = np.diff(places.starts)[place]
    entry = np.repeat(np.arange(len(place)), counts)
    row = np.arange(len(entry)) - np.repeat(np.cumsum(counts) - counts, counts) + places.starts[place[entry]]
    interval = days_of(store.events["time_before"])[row], days_of(store.events["time_after"])[row]
    part, enough = time_parts(interval, label_days(labels, label[entry]))
    touched = part > 0
    positive = (enough & (share[entry] >= LABEL_MIN_SHARE))[touched]
    if not positive.any():
        raise AreaError(
            f"none of the {len(labels)} labelled events is shown by any of the {len(row)} rows that lie on one"
            if len(row)
            else f"none of the {len(labels)} labelled events lies in the store {store.path.name}",
            "labels of the store's area and period",
            "check --labels",
        )
    names, numbers = np.unique(labels["class"].to_numpy(dtype=str), return_inverse=True)
    return Truth(
        classes=tuple(names.tolist()),
        label_class=numbers.astype(np.int64),
        label=label[entry][touched],
        row=row[touched],
        positive=positive,
        shown=(share[entry] * part)[touched],
        near=_neighbourhoods(places, place, label, len(labels)),
    )


def _shares(
    places: Places, labels: gpd.GeoDataFrame
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pairs of a location and a labelled event that meet, and the share of the chip that the polygon covers."""
    place, label, share = cover_shares(places.outlines, labels.geometry.to_numpy())
    kept = share > _SLIVER  # else they share an edge only
    return place[kept].astype(np.int64), label[kept].astype(np.int64), share[kept]


def _neighbourhoods(
    places: Places, place: NDArray[np.int64], label: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], ...]:
    """For each labelled event the locations that it meets and their eight neighbours, sorted."""
    number = {name: index for index, name in enumerate(places.ids.tolist())}
    found: list[set[int]] = [set() for _ in range(count)]
    for at, event in zip(place.tolist(), label.tolist(), strict=True):
        epsg, col, row, side = (int(part) for part in places.ids[at].split("_"))
        names = (f"{epsg}_{col + dx}_{row + dy}_{side}" for dx in (-1, 0, 1) for dy in (-1, 0, 1))
        found[event].update(number[name] for name in names if name in number)
    return tuple(np.array(sorted(near), np.int64) for near in found)


def label_groups(truth: Truth, places: Places, areas: Sequence[str | None]) -> list[NDArray[np.int64]]:
    """Locations of labelled events that name one area: these are one area however far apart they lie.

    Args:
        truth: What shows what.
        places: The locations.
        areas: (L,) the area that each label names, or None.
    """
    of_row, named = places.of_row, np.array([area or "" for area in areas], dtype=object)[truth.label]
    return [np.unique(of_row[truth.row[named == name]]) for name in sorted(set(named.tolist()) - {""})]


@dataclass(frozen=True, eq=False)
class Queries:
    """What is asked, and which rows each query may not find."""

    label: NDArray[np.int64]
    """(Q,) the labelled event."""
    row: NDArray[np.int64]
    """(Q,) the row that asks."""
    classes: NDArray[np.int64]
    """(Q,) its class."""
    area: NDArray[np.int64]
    """(Q,) its area."""
    left_out: tuple[NDArray[np.int64], ...]
    """For each query the rows that its gallery lacks, sorted: its own event's and, by the protocol, its places'. Whole
    areas are not listed here."""
    own_area_out: bool
    """Whether the gallery lacks the query's whole area too."""


def plan_queries(
    truth: Truth, places: Places, areas: Areas, clear: NDArray[np.floating], protocol: Protocol, split: str | None
) -> Queries:
    """One query for each labelled event that some row shows.

    Args:
        truth: What shows what.
        places: The locations.
        areas: Their areas.
        clear: (N,) clear fraction of each row.
        protocol: What the galleries lack.
        split: Only labelled events in areas of this split ask; None for all.
    """
    rows = truth.query_rows(clear)
    of_row = places.of_row
    area = np.where(rows >= 0, areas.of_place[of_row[rows]], -1)
    asked = area >= 0
    if split is not None:
        asked &= np.array([number >= 0 and areas.splits[number] == split for number in area])
    label = np.flatnonzero(asked)
    left_out = []
    for event in label:
        own = truth.row[truth.label == event]
        if protocol == "places":
            near = truth.near[event]
            spans = [np.arange(places.starts[at], places.starts[at + 1]) for at in near]
            own = np.concatenate([own, *spans])
        left_out.append(np.unique(own))
    return Queries(label, rows[label], truth.label_class[label], area[label], tuple(left_out), protocol == "areas")
