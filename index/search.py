"""Search a store for the events most like one change.

    python -m index.search data/stores/demo --at -121.8666,39.6247 --dates 2021-03-02/2022-03-07 --k 20
    python -m index.search data/stores/demo --at -121.8666,39.6247 --dates 2021-03-02/2022-03-07 --format geojson

`--event ID` takes a stored event for the example; the last column of every hit is its id.
Place and period filters act inside the search: the k nearest events that pass are found, not the k nearest events of
which some pass.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from stac.area import Area, AreaLike, norm_area
from stac.cli import check_output, number, parse_args
from stac.errors import AreaError, StoreError, exit_code
from stac.lattice import Lattice, Location, utm_epsg
from stac.period import Period, norm_period

from .output import FORMATS, Format, hits_bytes, write_hits
from .pairs import Pairs, change_vectors
from .store import Store, open_store, read_observations

DEFAULT_K = 40

MOST_AWAY = timedelta(days=183)
"""assumed: half a year. An observation further from the date that was asked for shows another time."""


@dataclass(frozen=True, eq=False)
class Query:
    """A change to look for."""

    vector: NDArray[np.float32]
    """(D,) unit change vector."""
    location_id: str
    """Where it is."""
    time_before: datetime
    """UTC."""
    time_after: datetime
    """UTC."""
    title: str
    """What to call it."""


def query_event(store: Store, event_id: str) -> Query:
    """The change of a stored event.

    Raises:
        StoreError: The store has no such event.
    """
    found = np.flatnonzero(store.events["event_id"].to_numpy() == event_id)
    if not len(found):
        raise StoreError(
            f"event '{event_id}' is not in the store {store.path.name}",
            f"one of its {len(store.events)} event ids",
            "copy an id from a search result or from the map",
        )
    row = int(found[0])
    event = store.events.iloc[row]
    block, start = next(pair for pair in reversed(store.shard_rows) if pair[1] <= row and pair[0].events.rows)
    return Query(
        vector=store.shard(block).vector(row - start),
        location_id=event["location_id"],
        time_before=event["time_before"].to_pydatetime(),
        time_after=event["time_after"].to_pydatetime(),
        title=event_id,
    )


def find_location(store: Store, lon: float, lat: float) -> Location:
    """The store's location that holds a point (degrees).

    Raises:
        AreaError: The point lies outside what the store holds.
    """
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise AreaError(f"longitude {lon}, latitude {lat}", "degrees within ±180 and ±90", "give longitude first")
    # Near a border of zones the store may hold the place by the neighbouring zone's lattice only.
    own = [utm_epsg(lon, lat)] if -80 <= lat <= 84 else []
    for epsg in dict.fromkeys([*own, *(block.epsg for block in store.manifest.blocks)]):
        lattice = Lattice(epsg, store.manifest.chip_size, store.manifest.gsd)
        location = Location(lattice, *lattice.locate(lon, lat))
        if store.block_of(location) is not None:
            return location
    west, south, east, north = store.area.bounds
    raise AreaError(
        f"the point {lon:.5f},{lat:.5f} lies outside the store {store.path.name}",
        f"a point within {west:.3f},{south:.3f},{east:.3f},{north:.3f}",
        "choose a point inside, or build a store for that place",
    )


def query_point(store: Store, lon: float, lat: float, before: datetime, after: datetime) -> Query:
    """The change of a place between the embedded observations nearest to two dates.

    Args:
        store: The store.
        lon: Longitude, degrees.
        lat: Latitude, degrees.
        before: UTC.
        after: UTC, later.

    Raises:
        AreaError: The point lies outside the store, or the dates lead to one and the same observation, or far from any.
    """
    location = find_location(store, lon, lat)
    series = read_observations(store, location.location_id)
    series = series[series["embedding"].notna()].reset_index(drop=True)
    if len(series) < 2:
        raise AreaError(
            f"{len(series)} clear observations at {lon:.5f},{lat:.5f}", "at least two", "choose another point"
        )
    first, second = (int((series["time"] - pd.Timestamp(moment)).abs().argmin()) for moment in (before, after))
    for moment, row in ((before, first), (after, second)):
        if abs(series["time"][row] - pd.Timestamp(moment)) > MOST_AWAY:
            raise AreaError(
                f"the clear observation nearest to {moment:%Y-%m-%d} is of {series['time'][row]:%Y-%m-%d}",
                f"one within {MOST_AWAY.days} days",
                f"choose dates from {series['time'].iloc[0]:%Y-%m-%d} to {series['time'].iloc[-1]:%Y-%m-%d}",
            )
    if first >= second:
        raise AreaError(
            f"the dates {before:%Y-%m-%d}/{after:%Y-%m-%d} lead to the observations of "
            f"{series['time'][first]:%Y-%m-%d} and {series['time'][second]:%Y-%m-%d}",
            "two observations, the first earlier",
            "choose dates further apart: the store has clear observations from "
            f"{series['time'].iloc[0]:%Y-%m-%d} to {series['time'].iloc[-1]:%Y-%m-%d} there",
        )
    embedding = np.stack(series["embedding"].tolist())
    vectors, _ = change_vectors(embedding, Pairs(np.array([first]), np.array([second])))
    return Query(
        vector=vectors[0],
        location_id=location.location_id,
        time_before=series["time"][first].to_pydatetime(),
        time_after=series["time"][second].to_pydatetime(),
        title=f"{lon:.5f},{lat:.5f}",
    )


def find_similar(
    store: Store, query: Query, *, k: int = DEFAULT_K, area: AreaLike | None = None, period: Period | str | None = None
) -> gpd.GeoDataFrame:
    """The k events most like a change, best first.

    Args:
        store: The store.
        query: The change. Events of its own location whose interval meets its own are left out.
        k: How many hits at most.
        area: Keep events whose chip centre lies inside.
        period: Keep events whose whole interval lies inside.

    Returns:
        The columns of events, and `rank` (from 1) and `score` (inner product of unit change vectors, −1 to 1).

    Raises:
        AreaError: `area` or `period` is not one.
        StoreError: k is below 1, or a shard cannot be read.
    """
    if k < 1:
        raise StoreError(f"k {k}", "at least 1", "correct the number of hits")
    keep = event_filter(store, norm_area(area) if area is not None else None, period)
    events = store.events
    own = events["location_id"].to_numpy() == query.location_id
    own &= (events["time_after"] > query.time_before).to_numpy() & (events["time_before"] < query.time_after).to_numpy()
    keep &= ~own
    scores, rows = [np.empty(0, np.float32)], [np.empty(0, np.int64)]
    for block, start in store.shard_rows:
        part = keep[start : start + block.events.rows]
        if part.any():
            found, at = store.shard(block).search(query.vector, k, None if part.all() else part)
            scores.append(found)
            rows.append(at + start)
    score, row = np.concatenate(scores), np.concatenate(rows)
    best = np.lexsort((row, -score))[:k]
    hits = events.iloc[row[best]].reset_index(drop=True)
    hits.insert(0, "rank", np.arange(1, len(hits) + 1))
    hits.insert(1, "score", np.clip(score[best], -1, 1))
    return hits


def event_filter(store: Store, area: Area | None, period: Period | str | None) -> NDArray[np.bool_]:
    """(N,) which events pass a place and a period.

    Args:
        store: The store.
        area: The chip's centre must lie inside.
        period: Both dates must lie inside.
    """
    keep = np.ones(len(store.events), dtype=bool)
    if area is not None:
        shapely.prepare(area.geometry)
        keep &= shapely.intersects_xy(area.geometry, store.centres[:, 0], store.centres[:, 1])
    if period is not None:
        inside = norm_period(period)
        keep &= (store.events["time_before"] >= inside.start).to_numpy()
        keep &= (store.events["time_after"] <= inside.end).to_numpy()
    return keep


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m index.search",
        description="Search a store for the events most like one change.",
        epilog="examples:\n"
        "  python -m index.search data/stores/demo --at -121.8666,39.6247 --dates 2021-03-02/2022-03-07\n"
        "  python -m index.search data/stores/demo --at -121.8666,39.6247 --dates 2021-03-02/2022-03-07 \\\n"
        "      --period 2021/2022 --format geojson --out hits.geojson\n"
        "--event takes a stored event for the example; the last column of every hit is its id.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("store", type=Path, help="folder of the store")
    example = parser.add_mutually_exclusive_group(required=True)
    example.add_argument("--event", metavar="ID", help="the example is a stored event")
    example.add_argument("--at", metavar="LON,LAT", help="the example is at this point (with --dates)")
    parser.add_argument("--dates", metavar="BEFORE/AFTER", help="dates of the example at --at")
    count = number("--k", int, "a whole number from 1", lambda value: value >= 1)
    parser.add_argument("--k", type=count, default=DEFAULT_K, help="number of hits (default %(default)s)")
    parser.add_argument("--area", help="only hits inside: W,S,E,N, a vector file, GeoJSON or a place name")
    parser.add_argument("--period", metavar="START/END", help="only hits whose whole interval lies inside")
    parser.add_argument("--format", choices=FORMATS, default="table", help="default %(default)s")
    parser.add_argument("--out", type=Path, help="write to this file instead of the screen")
    parser.add_argument("--json", action="store_true", help="the same as --format geojson")
    return parser


@dataclass(frozen=True)
class _Point:
    """An example by place and dates."""

    lon: float
    lat: float
    dates: Period


def _example_of(args: argparse.Namespace) -> str | _Point:
    """The example that the arguments name, an event's id or a point, before any store is opened."""
    if args.event is not None:
        if not args.event.strip():
            raise StoreError("--event names no event", "an event's id", "copy one from a search result or from the map")
        if args.dates is not None:
            raise AreaError("--dates beside --event", "--dates with --at alone", "leave one of the two out")
        return str(args.event)
    if args.dates is None:
        raise AreaError("--at without --dates", "both", "add --dates BEFORE/AFTER")
    try:
        lon, lat = (float(part) for part in args.at.split(","))
    except ValueError as err:
        raise AreaError(f"point '{args.at}'", "LON,LAT in degrees", "correct --at") from err
    return _Point(lon, lat, norm_period(args.dates))


def _run(argv: Sequence[str] | None) -> int:
    """Check the arguments, search, and print or write."""
    args = parse_args(_parser(), argv)
    example = _example_of(args)
    area = norm_area(args.area) if args.area is not None else None
    period = norm_period(args.period) if args.period is not None else None
    if args.out is not None:
        check_output(args.out)
    store = open_store(args.store)
    if isinstance(example, _Point):
        query = query_point(store, example.lon, example.lat, *example.dates.moments)
        sys.stderr.write(f"example: {query.location_id}, {query.time_before:%Y-%m-%d} to {query.time_after:%Y-%m-%d}\n")
    else:
        query = query_event(store, example)
    hits = find_similar(store, query, k=args.k, area=area, period=period)
    form: Format = "geojson" if args.json else args.format
    if args.out is not None:
        write_hits(hits, args.out, form)
        sys.stdout.write(f"{len(hits)} hits written to {args.out}\n")
    elif form == "geoparquet":
        sys.stdout.buffer.write(hits_bytes(hits, form))
    else:
        sys.stdout.write(hits_bytes(hits, form).decode().rstrip("\n") + "\n")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
