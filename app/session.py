"""What is opened once and shared by all visitors: stores, their pictures, search behind a lock.

Streamlit runs every visitor in a thread of its own, and FAISS is not safe to use from several threads at once
(https://github.com/facebookresearch/faiss/wiki/Threads-and-asynchronous-calls), so each store has one lock.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path

import geopandas as gpd
import pandas as pd
import streamlit as st
from shapely.errors import ShapelyError

from index.highlights import list_starts
from index.search import Query, event_filter, find_similar, query_event, query_point
from index.store import Store, open_scenes, open_store, read_observations
from stac.errors import AreaError, DataError, StoreError
from stac.items import Scene
from stac.lattice import Location
from stac.period import Period, noon, norm_period

from .filters import Place
from .imagery import ChipPictures, Composite, Shot, ShotRequest
from .overview import Overview, find_overview
from .stores import MANIFEST
from .words import utc

MAX_STRONGEST = 500
"""Chips drawn besides the hits: thousands make each click slow (streamlit-folium issue 125)."""

MAX_HIGHLIGHTS = 12
"""assumed: as many as can be looked over at a glance, and one for each kind of the simulated archive."""

SAME_OBSERVATION = pd.Timedelta(hours=12)
"""An event's date and its observation's differ by rounding at most; a solar day has one observation."""


@dataclass
class OpenStore:
    """A store with what the page needs beside it."""

    store: Store
    cache: Path
    """Folder of the caches."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    _scenes: dict[str, Scene] | None = None
    _pictures: ChipPictures | None = None
    _highlights: gpd.GeoDataFrame | None = None
    _strongest: dict[tuple[object, ...], gpd.GeoDataFrame] = field(default_factory=dict)
    _series: dict[str, pd.DataFrame] = field(default_factory=dict)
    _hits: dict[tuple[object, ...], gpd.GeoDataFrame] = field(default_factory=dict)

    @property
    def scenes(self) -> Mapping[str, Scene]:
        """Item id → scene; empty where the saved items cannot be read (the pictures then say so)."""
        with self.lock:
            if self._scenes is None:
                try:
                    self._scenes = dict(open_scenes(self.store))
                except DataError:
                    self._scenes = {}
            return self._scenes

    @property
    def pictures(self) -> ChipPictures:
        """Pictures of the store's locations."""
        with self.lock:
            if self._pictures is None:
                self._pictures = ChipPictures(self.scenes, self.cache / "chips")
            return self._pictures

    @cached_property
    def period(self) -> Period:
        """The period that the store covers."""
        return norm_period(str(self.store.manifest.period))

    @property
    def highlights(self) -> gpd.GeoDataFrame:
        """The events to start from, best first; at least one where the store has any."""
        with self.lock:
            if self._highlights is None:
                try:
                    self._highlights = list_starts(self.store, MAX_HIGHLIGHTS)
                except DataError:  # vectors that cannot be read: the search says so
                    self._highlights = self.strongest().head(MAX_HIGHLIGHTS)
            return self._highlights

    @property
    def first(self) -> pd.Series:
        """The event to begin with, of a store that has any."""
        row: pd.Series = self.highlights.iloc[0]
        return row

    @property
    def kinds(self) -> list[str]:
        """Labels of the store's events, in order of the alphabet; often none."""
        return sorted(str(label) for label in self.store.events["label"].dropna().unique())

    def strongest(
        self, place: Place | None = None, period: Period | None = None, kind: str | None = None
    ) -> gpd.GeoDataFrame:
        """The strongest changes that pass the filters, as `strongest_events` orders them."""
        key = (place, str(period), kind)
        with self.lock:
            if key not in self._strongest:
                while len(self._strongest) >= 32:
                    self._strongest.pop(next(iter(self._strongest)))
                keep = event_filter(self.store, place.area if place else None, period)
                if kind is not None:
                    keep &= (self.store.events["label"] == kind).to_numpy()
                self._strongest[key] = strongest_events(self.store.events[keep])
            return self._strongest[key]

    def series(self, location_id: str) -> pd.DataFrame:
        """The observations of a location, in order of time; kept for the locations asked for last."""
        with self.lock:
            if location_id not in self._series:
                while len(self._series) >= 256:
                    self._series.pop(next(iter(self._series)))
                self._series[location_id] = read_observations(self.store, location_id)
            return self._series[location_id]

    def find(self, query: Query, k: int, place: Place | None, period: Period | None) -> gpd.GeoDataFrame:
        """Hits of a query, best first; searches asked for last are kept.

        Raises:
            DataError: As `index.search.find_similar`.
        """
        key = (query.title, query.location_id, query.time_before, query.time_after, k, place, str(period))
        with self.lock:
            if key not in self._hits:
                while len(self._hits) >= 64:
                    self._hits.pop(next(iter(self._hits)))
                area = place.area if place else None
                self._hits[key] = find_similar(self.store, query, k=k, area=area, period=period)
            return self._hits[key]

    def query(self, event: str | None, at: tuple[float, float] | None, dates: tuple[date, date] | None) -> Query:
        """The query behind an event's id, or behind coordinates and two days.

        Raises:
            DataError: No such event, or the place and days lead to no change.
            ValueError: Neither is given.
        """
        with self.lock:
            if event is not None:
                return query_event(self.store, event)
            if at is None or dates is None:
                raise ValueError("an event, or coordinates and dates")
            return query_point(self.store, *at, *map(noon, dates))

    def shot(self, location_id: str, time: object, composite: Composite) -> Shot:
        """The picture of a location on the day of an observation, or a sentence."""
        try:
            rows = self.series(location_id)
        except DataError as err:
            return Shot(None, f"The observations could not be read: {err.found}.")
        apart = (pd.to_datetime(rows["time"], utc=True) - utc(time)).abs()
        if rows.empty or apart.min() > SAME_OBSERVATION:
            return Shot(None, "No scene is recorded for this date.")
        items = rows["item_ids"].iloc[int(apart.argmin())]
        ids = tuple(items.split()) if isinstance(items, str) else tuple(items)
        location = Location.from_id(location_id, self.store.manifest.gsd)
        return self.pictures.show(ShotRequest(location, ids, composite))

    def overview(self) -> Overview | None:
        """The true-colour picture of the area, or None."""
        return find_overview(self.store.area, self.scenes.values(), self.cache / "overviews")


def strongest_events(events: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The strongest changes, one for each location, of many dates rather than of one.

    Strength is the change ratio, and below those the magnitude where the ratio is unknown. Snow that melts or fields
    that turn green change every place at once; so the strongest event of each day comes first, then each day's second,
    and so on: the top of the list shows what different things happened.

    Args:
        events: A store's, or some of them.

    Returns:
        At most `MAX_STRONGEST` of the rows.
    """
    known = events["change_ratio"].notna()
    order = events.assign(_known=known, _day=events["time_after"].dt.normalize()).sort_values(
        ["_known", "change_ratio", "magnitude"], ascending=False, kind="stable"
    )
    order["_turn"] = order.groupby("_day").cumcount()
    order = order.sort_values("_turn", kind="stable").drop_duplicates("location_id")
    return order.drop(columns=["_known", "_day", "_turn"]).head(MAX_STRONGEST).reset_index(drop=True)


@st.cache_resource(show_spinner="Opening the store …", max_entries=4)
def _opened(path: str, stamp: int, cache: str) -> OpenStore:
    """One open store for each path and manifest."""
    store = OpenStore(open_store(Path(path)), Path(cache))
    _check(store)
    return store


def _check(store: OpenStore) -> None:
    """Read what every view of the page needs, so that what is wrong with a store is said when it is opened.

    Raises:
        StoreError: The manifest has no blocks, or its period, area or counts mean nothing.
    """
    where, manifest = f"the manifest of the store {store.store.path.name}", store.store.manifest
    do = "build the store again, into another folder"
    if not manifest.blocks:
        raise StoreError(f"{where} names no blocks", "at least one", do)
    needs: dict[str, Callable[[], object]] = {
        "period": lambda: store.period,
        "area": lambda: store.store.area.is_empty,
        "counts": lambda: {name: int(count) for name, count in manifest.counts.items()},
        "encoder": lambda: [str(band) for band in manifest.encoder["bands"]],
        "chip size": lambda: int(manifest.chip_size) / int(manifest.gsd),
        "arguments": lambda: dict(manifest.arguments),
        "simulated": lambda: (False, True).index(manifest.simulated),
    }
    for name, read in needs.items():
        try:
            read()
        except (AreaError, ShapelyError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as err:
            raise StoreError(f"{where} has '{name}' unreadable", "what index.build writes", do) from err
    store.store.events  # noqa: B018  # read now


def opened(path: Path, data: Path) -> OpenStore:
    """A store, opened once; opened anew when its manifest has been written again.

    Args:
        path: The store's folder.
        data: As `stac.cli.data_folder` gives it; caches lie in its folder `cache`.

    Raises:
        StoreError: It is missing or fails its checks.
    """
    manifest = path / MANIFEST
    stamp = manifest.stat().st_mtime_ns if manifest.is_file() else 0
    return _opened(str(path.resolve()), stamp, str(data / "cache"))


@st.cache_data(show_spinner="Drawing the area …", max_entries=8)
def overview_uri(_store: OpenStore, path: str, stamp: int) -> tuple[str, tuple[float, float, float, float]] | None:
    """The overview picture as a `data:` address with its bounding box, or None; kept for each path and manifest."""
    found = _store.overview()
    if found is None:
        return None
    return webp_uri(found.path), found.bbox


def webp_uri(path: Path) -> str:
    """A WebP file as a `data:` address."""
    return "data:image/webp;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
