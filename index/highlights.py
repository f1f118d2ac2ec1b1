"""Highlights: a few events of a store that are worth a first look, each of another kind, place and time.

The largest magnitudes are mostly snow, harvests and what was left of clouds. Five questions put these last, answered by
the events and their vectors alone: did the place change more than others did in those days? Were both dates clear? Is
the change still there a year on, and was it not there a year before? Does what the label names take much of the chip,
and all of its time lie between the dates? And do the neighbours bear the same label, so that the chip lies in the
middle of what happened?
"""

from __future__ import annotations

import math

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from stac.lattice import Location

from .pairs import YEAR_DAYS, YEARLY_TOLERANCE_DAYS
from .search import find_similar, query_event
from .store import Store

SHORTLIST = 200
"""assumed: among so many events that stand out the lasting ones are found; their vectors are read in a tenth of a
second."""

CLEAR_POWER = 4
"""assumed: an event whose worse date is 90 % clear counts two thirds, one of 80 % two fifths."""

EDGE_SHARE = 0.25
"""assumed: what an event at the area's edge counts; its picture may have nothing on one side."""

PASSING_SHARE = 0.2
"""assumed: what a labelled event counts that is gone a year later. Not nothing: floods pass too."""

UNKNOWN_LASTING = 0.5
"""assumed: how much of a change lasts at most where one of the two years tells nothing of it."""

ANSWER_PLACES = 10
"""assumed: what a person sees of an answer at first."""

GAP_CHIPS = 4.0
"""assumed: two highlights of one kind lie at least so many chips apart."""


def find_highlights(store: Store, count: int) -> gpd.GeoDataFrame:
    """Events to begin with, best first.

    Where events have labels, the best of each label in turn, then second examples at another place and time; labels
    alone, as what has none is of unknown kind. In a store without labels, the changes that stand out and last, spread
    over places and dates. Takes about 0.2 s for 75,000 events.

    Args:
        store: The store.
        count: How many at most.

    Returns:
        Rows of `store.events`, at least one where the store has any and `count` is not 0; their index is the row number
        in the whole store.
    """
    events = store.events
    if events.empty or count < 1:
        return events.head(0)
    strength = standing_out(events) * events["clear_fraction"].to_numpy(np.float64) ** CLEAR_POWER
    strength[_at_edge(store)] *= EDGE_SHARE
    label = events["label"].to_numpy(object)
    if events["label"].notna().any():
        kinds = [np.flatnonzero(label == kind) for kind in sorted(events["label"].dropna().unique())]
        strength *= shown_share(events)
        short = np.concatenate([_shortlist(events, strength, rows, SHORTLIST // len(kinds)) for rows in kinds])
        lasting = PASSING_SHARE + (1 - PASSING_SHARE) * lasting_share(store, short)
        score = strength[short] * lasting * middle_share(events, short, store.manifest.gsd)
    else:
        short = _shortlist(events, strength, np.arange(len(events)), SHORTLIST)
        score = strength[short] * lasting_share(store, short)
    order = np.lexsort((short, -score))
    chosen = _choose(store, short[order], count)
    return events.iloc[chosen]


def list_starts(store: Store, count: int) -> gpd.GeoDataFrame:
    """Highlights, and before them the one whose own answer bears its label most: the page opens with it.

    Args:
        store: The store.
        count: How many at most.

    Returns:
        As `find_highlights`.

    Raises:
        StoreError: A shard cannot be read.
    """
    rows = find_highlights(store, count)
    if rows["label"].isna().all():
        return rows
    shares = [_agreeing_share(store, *found) for found in zip(rows["event_id"], rows["label"], strict=True)]
    first = int(np.argmax(shares))
    return rows.iloc[[first, *(n for n in range(len(rows)) if n != first)]]


def _agreeing_share(store: Store, event_id: str, label: str) -> float:
    """Of the first places that an event finds, how many bear its label, 0 to 1."""
    hits = find_similar(store, query_event(store, event_id), k=4 * ANSWER_PLACES)
    places = hits.drop_duplicates("location_id").head(ANSWER_PLACES)
    return float((places["label"] == label).mean()) if len(places) else 0.0


def standing_out(events: gpd.GeoDataFrame) -> NDArray[np.float64]:
    """How far each event stands out from what happened everywhere at the time.

    Returns:
        (N,) the geometric mean of the change ratio and the magnitude, each over the median of all events that end on
        the same day (UTC), or over the store's median where that is larger: within a few days small things would stand
        out. The ratio alone would favour places that hardly ever change, the magnitude alone those that always do.
        Where the ratio is not known, the magnitude serves alone.
    """
    day = _interval(events)[1].astype("datetime64[D]")
    over = {}
    for name in ("magnitude", "change_ratio"):
        value = events[name].astype(np.float64)
        usual = value.groupby(day).transform("median").fillna(0)
        least = float(value.median()) if value.notna().any() else 0.0
        over[name] = value / np.maximum(usual, max(least, 1e-12))
    ratio = over["change_ratio"].where(np.isfinite(over["change_ratio"]), over["magnitude"])
    out: NDArray[np.float64] = np.sqrt(over["magnitude"] * ratio).to_numpy()
    return out


def _at_edge(store: Store) -> NDArray[np.bool_]:
    """(N,) which events lie within two chips of the area's edge."""
    west, south, east, north = store.events.geometry.iloc[0].bounds
    inner = store.area.buffer(-2 * max(east - west, north - south))
    shapely.prepare(inner)
    inside: NDArray[np.bool_] = shapely.intersects_xy(inner, store.centres[:, 0], store.centres[:, 1])
    return ~inside


def _shortlist(
    events: gpd.GeoDataFrame, strength: NDArray[np.float64], rows: NDArray[np.intp], count: int
) -> NDArray[np.intp]:
    """At most `count` of some rows: the strongest that end on each day, then each day's second, and so on."""
    table = pd.DataFrame({"row": rows, "strength": strength[rows]})
    table["day"] = _interval(events.iloc[rows])[1].astype("datetime64[D]")
    table = table.sort_values("strength", ascending=False, kind="stable")
    table["turn"] = table.groupby("day").cumcount()
    short: NDArray[np.intp] = table.sort_values("turn", kind="stable")["row"].to_numpy()[: max(count, 1)]
    return short


def shown_share(events: gpd.GeoDataFrame) -> NDArray[np.float64]:
    """How much each event of a store shows of what its label names, over the most that any event of the label shows.

    Returns:
        (N,) 0 to 1; 1 where that is not known, or there is no label.
    """
    shown = events["label_share"].astype(np.float64)
    most = shown.groupby(events["label"]).transform("max")
    out: NDArray[np.float64] = (shown / most).fillna(1.0).to_numpy()
    return out


def middle_share(events: gpd.GeoDataFrame, rows: NDArray[np.intp], gsd: int) -> NDArray[np.float64]:
    """How far each of some labelled events lies in the middle of what its label names.

    Args:
        events: A store's.
        rows: (R,) rows of events with a label.
        gsd: Side of a pixel, metres.

    Returns:
        (R,) 0 to 1: of the chip and its eight neighbours, how many bear the label at the time, over the most that any
        of the rows with this label has.
    """
    labelled = events[events["label"].notna()]
    places = {name: Location.from_id(name, gsd) for name in labelled["location_id"].unique()}
    spans: dict[tuple[object, ...], list[tuple[np.datetime64, np.datetime64]]] = {}
    for name, kind, *span in zip(labelled["location_id"], labelled["label"], *_interval(labelled), strict=True):
        at = places[name]
        spans.setdefault((kind, at.lattice.epsg, at.col, at.row), []).append((span[0], span[1]))
    some = events.iloc[rows]
    counts = np.zeros(len(rows))
    for i, (name, kind, *span) in enumerate(zip(some["location_id"], some["label"], *_interval(some), strict=True)):
        at = places[name]
        around = [(kind, at.lattice.epsg, at.col + x, at.row + y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
        counts[i] = sum(any(start < span[1] and end > span[0] for start, end in spans.get(key, ())) for key in around)
    most = pd.Series(counts).groupby(some["label"].to_numpy(object)).transform("max").to_numpy()
    out: NDArray[np.float64] = counts / most
    return out


def lasting_share(store: Store, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """How much of each of some events is there from one year to the next, by the events of its location alone.

    Consecutive events share an observation, so their vectors add up to the way of the embedding. A change lasts as far
    as the way from its earlier date to the same season a year later, and the way from a year before its later date to
    that date, lead in its own direction. Harvests, snow and clouds come back to where they began.

    Args:
        store: The store.
        rows: (R,) row numbers in the whole store.

    Returns:
        (R,) 0 to 1; at most `UNKNOWN_LASTING` where one of the two years tells nothing, and just that where neither
        does, as with yearly pairs. In a store of one season its first and last dates serve.
    """
    out = np.empty(len(rows))
    ways: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    first, last = _chains(store.events)
    before, after = _interval(store.events)
    size = store.events["magnitude"].to_numpy(np.float64)
    for i, row in enumerate(rows):
        start, stop = int(first[row]), int(last[row]) + 1
        if start not in ways:
            time = np.append(before[start], after[start:stop])
            days = (time - time[0]) / np.timedelta64(1, "D")
            ways[start] = days, _way(store, start, size[start:stop])
        out[i] = _lasting(*ways[start], int(row) - start)
    return out


def _chains(events: gpd.GeoDataFrame) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(N,) first and last row of the chain that each event belongs to: one location, each from the other's end."""
    place, before, after = events["location_id"].to_numpy(), *_interval(events)
    linked = (place[1:] == place[:-1]) & (before[1:] == after[:-1])
    chain = np.concatenate([[0], np.cumsum(~linked)])
    starts = np.concatenate([[0], np.flatnonzero(~linked) + 1])
    stops = np.append(starts[1:], len(events)) - 1
    return starts[chain], stops[chain]


def _way(store: Store, start: int, size: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T + 1, D) embeddings of a chain's observations as seen from the first; `size` (T,) are its magnitudes."""
    block, shift = next(pair for pair in reversed(store.shard_rows) if pair[1] <= start and pair[0].events.rows)
    vectors = store.shard(block).vectors(start - shift, start - shift + len(size)).astype(np.float64)
    return np.vstack([np.zeros(vectors.shape[1]), np.cumsum(vectors * size[:, None], axis=0)])


def _lasting(days: NDArray[np.float64], at: NDArray[np.float64], i: int) -> float:
    """As `lasting_share`, for the event between the observations i and i + 1 of a chain.

    A way that is longer than the event counts by its direction alone: much else happened on it.
    """
    step = at[i + 1] - at[i]
    square = float(step @ step)
    if square == 0:
        return 0.0
    later = np.abs(days - days[i] - YEAR_DAYS) <= YEARLY_TOLERANCE_DAYS
    earlier = np.abs(days - days[i + 1] + YEAR_DAYS) <= YEARLY_TOLERANCE_DAYS
    if not later.any() and not earlier.any():  # a store of one season: its ends
        later[-1], earlier[0] = i + 2 < len(days), i > 0
    ways = [at[later].mean(axis=0) - at[i]] if later.any() else []
    ways += [at[i + 1] - at[earlier].mean(axis=0)] if earlier.any() else []
    known = 1.0 if len(ways) == 2 else UNKNOWN_LASTING
    along = [float(way @ step) / max(square, math.sqrt(square * float(way @ way))) for way in ways]
    return min(known, *(max(share, 0.0) for share in along)) if along else known


def _interval(events: gpd.GeoDataFrame) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """(N,) both dates of each event, UTC."""
    before, after = (events[name].dt.tz_localize(None).to_numpy() for name in ("time_before", "time_after"))
    return before, after


def _choose(store: Store, rows: NDArray[np.intp], count: int) -> list[int]:
    """Of rows in order of score, at most `count`: of each label one, then two …, no place and no happening twice.

    First those of one kind that share neither surroundings nor time; then, where they are too few, those a few chips
    apart.
    """
    events = store.events.iloc[rows]
    place, label = events["location_id"].tolist(), events["label"].fillna("").tolist()
    x, y, gaps = _plane(store, rows, count)
    before, after = _interval(events)
    chosen: list[int] = []

    def alike(i: int, j: int, gap: float, apart_in_time: bool) -> bool:
        if place[i] == place[j] or label[i] != label[j]:
            return bool(place[i] == place[j])
        together = before[i] < after[j] and before[j] < after[i]
        return bool(math.hypot(x[i] - x[j], y[i] - y[j]) < gap or (together and apart_in_time))

    for gap, apart_in_time in zip(gaps, (True, False), strict=True):
        for turn in range(1 if label[0] else count, count + 1):
            for i in range(len(rows)):
                if len(chosen) == count or sum(label[j] == label[i] for j in chosen) >= turn:
                    continue
                if not any(alike(i, j, gap, apart_in_time) for j in chosen):
                    chosen.append(i)
    return [int(rows[i]) for i in chosen]


def _plane(
    store: Store, rows: NDArray[np.intp], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, float]]:
    """Places of rows on a plane, degrees of latitude; how far apart highlights of one kind lie, at best and at least.

    At best: half as far as `count` places that are spread evenly over the rows' surroundings.
    """
    west, south, east, north = store.events.geometry.iloc[0].bounds
    lon, lat = store.centres[rows].T
    shrink = math.cos(math.radians(float(lat.mean())))
    x = lon * shrink
    least = GAP_CHIPS * max((east - west) * shrink, north - south)
    return x, lat, (max(least, 0.5 * math.sqrt(float(np.ptp(x) * np.ptp(lat)) / count)), least)
