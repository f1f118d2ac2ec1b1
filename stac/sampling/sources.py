"""The items around a window: searched for, or looked up among all that a file lists.

A STAC API is asked once for each draw of a location and set of dates, over all days that any offset may want. A static
catalog, an item collection or stac-geoparquet is read once, whole, at the start.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Protocol

import pystac
import shapely
from shapely.geometry import MultiPolygon, Polygon

from ..antimeridian import search_bboxes
from ..api import Api, find_api, iter_search
from ..area import Area, norm_area
from ..catalog import PRESETS, find_items
from ..document import footprint, matches, new_item
from ..errors import AreaError, ItemError
from ..items import resolve_scenes
from ..period import Period
from ..retry import SEARCH_STATUS, Retry, RetryIO, bare_url
from ..simulation.catalog import STAMP
from ..static import is_url, links_of, read_document

GLOBE = Area("the globe", shapely.box(-180, -90, 180, 90))
_FILES = (".parquet", ".geoparquet", ".ndjson", ".jsonl")
_PAGE = 250
"""assumed: items in one answer. Two years of one window under 10 % cloud are mostly one page; of larger ones servers
fail, which asks again in smaller pieces (`stac.api`)."""
_FIRST = 10
"""assumed: items that show what a catalog holds."""


class Source(Protocol):
    """Where the items of a window come from; safe to ask from several threads."""

    simulated: str
    """Which simulated archive it is; empty for real imagery."""
    searches: int
    """Searches sent to a server so far."""

    @property
    def samples(self) -> Sequence[pystac.Item]:
        """Some of its items, to see what they are like."""
        ...

    def find(self, outline: Polygon | MultiPolygon, periods: Sequence[Period]) -> list[pystac.Item]:
        """Items that share a point with an outline, in any of the periods.

        Raises:
            CatalogError: The catalog does not answer any more.
        """


class ListedSource:
    """All items of a catalog that is a file."""

    def __init__(
        self, catalog: str, area: Area | None, period: Period, *, collection: str | None, max_cloud: float
    ) -> None:
        """Read them.

        Args:
            catalog: Path or address, as `find_items` takes it.
            area: Only items that meet it; None means all.
            period: Only items in it.
            collection: Only this one; None means all.
            max_cloud: Percent, leaves out cloudier items.

        Raises:
            DataError: The catalog cannot be read, or holds no such item.
        """
        found = find_items(catalog, area=area or GLOBE, period=period, collection=collection, max_cloud=max_cloud)
        self.searches = 0
        self.simulated = str(found[0].properties.get(STAMP) or "")
        self._hold([item for item in found if item.datetime is not None])
        if not self.items:
            raise AreaError(f"no item of {catalog} has a datetime", "items of one moment", "give another catalog")

    @property
    def samples(self) -> list[pystac.Item]:
        """See `Source`."""
        return self.items[:: max(1, len(self.items) // _FIRST)]

    def _hold(self, items: list[pystac.Item]) -> None:
        self.items = items
        self._outlines = [footprint({"id": i.id, "geometry": i.geometry, "bbox": i.bbox}) for i in items]
        self._tree = shapely.STRtree(self._outlines)

    def keep(self, periods: Sequence[Period]) -> None:
        """Drop the items outside of all periods."""
        self._hold([i for i in self.items if i.datetime is not None and any(p.contains(i.datetime) for p in periods)])

    @property
    def covered(self) -> Area:
        """What the items show."""
        return replace(norm_area(shapely.union_all(self._outlines)), name="what the catalog shows")

    @property
    def days(self) -> list[date]:
        """Days, UTC, of the items, increasing."""
        return sorted({item.datetime.date() for item in self.items if item.datetime is not None})

    def find(self, outline: Polygon | MultiPolygon, periods: Sequence[Period]) -> list[pystac.Item]:
        """See `Source`."""
        near = sorted(int(k) for k in self._tree.query(outline, predicate="intersects"))
        found = [self.items[k] for k in near]
        return [i for i in found if i.datetime is not None and any(p.contains(i.datetime) for p in periods)]


class _SearchIO(RetryIO):
    """One session for many searches: a new one for each would shake hands with the server anew."""

    def for_search(self) -> RetryIO:
        return self


class SearchedSource:
    """Items of a STAC API."""

    def __init__(self, api: Api, *, collection: str | None, max_cloud: float, retry: Retry | None = None) -> None:
        """Make the source.

        Args:
            api: Where to search.
            collection: Only this one; None means the API's own, or all.
            max_cloud: Percent, leaves out cloudier items.
            retry: How patiently to ask.
        """
        self.api, self.collection, self.max_cloud = api, collection, max_cloud
        self.searches, self.simulated, self.samples = 0, "", list[pystac.Item]()
        self._retry, self._local, self._counting = retry or Retry(), threading.local(), threading.Lock()

    def probe(self, area: Area | None, periods: Sequence[Period]) -> None:
        """Look for some items, anywhere in the area, so that a wrong address or collection is told at once.

        Raises:
            CatalogError: The API does not answer.
            AreaError: It holds no such item.
        """
        where = area or GLOBE
        found = (item for period in periods for item in self._iter(where.geometry, period, page_size=_FIRST))
        self.samples = list(islice(found, _FIRST))
        if not self.samples:
            named = f", collection {self.collection}" if self.collection else ""
            raise AreaError(
                f"{bare_url(self.api.url)}{named} has no item in {where.name} within {periods[0]} "
                f"and with clouds up to {self.max_cloud:g} %",
                "at least one item",
                "check --collection, --area, --until and --max-cloud",
            )
        self.simulated = str(self.samples[0].properties.get(STAMP) or "")

    def find(self, outline: Polygon | MultiPolygon, periods: Sequence[Period]) -> list[pystac.Item]:
        """See `Source`."""
        return [item for period in periods for item in self._iter(outline, period, page_size=_PAGE)]

    def _iter(self, outline: Polygon | MultiPolygon, period: Period, page_size: int) -> Iterator[pystac.Item]:
        area = Area("a window", outline)
        if not hasattr(self._local, "http"):
            self._local.http = _SearchIO(self._retry, statuses=SEARCH_STATUS)
        for box in search_bboxes(outline):
            with self._counting:
                self.searches += 1
            for document in iter_search(
                self.api,
                self._local.http,
                box=box,
                period=period,
                collection=self.collection,
                page_size=page_size,
                max_cloud=self.max_cloud,
            ):
                if matches(document, area, period, self.collection or self.api.collection, self.max_cloud):
                    yield new_item(document, next((lnk["href"] for lnk in links_of(document, "self")), self.api.url))


def find_search(catalog: str, collection: str | None) -> tuple[Api, str | None] | None:
    """The API behind a preset's name or an address, and the collection to search; None for what is a file.

    Raises:
        CatalogError: The address cannot be reached or understood.
    """
    preset = PRESETS.get(catalog) or {p.url: p for p in PRESETS.values()}.get(catalog.rstrip("/"))
    href = preset.url if preset else catalog
    if not is_url(href) or href.partition("?")[0].lower().endswith(_FILES) or Path(catalog).exists():
        return None
    http = RetryIO(Retry())
    api = find_api(read_document(href, http), href, http)
    return None if api is None else (api, collection or (preset.collection if preset else None))


def is_usable(item: pystac.Item, bands: Sequence[str]) -> bool:
    """Whether an item is a Sentinel-2 scene of level 2A with all bands."""
    try:
        return bool(resolve_scenes([item], bands))
    except ItemError:
        return False


def check_samples(source: Source, bands: Sequence[str]) -> None:
    """Refuse a catalog of whose items, as far as some show, none can be used.

    Raises:
        ItemError: They lack a band, or are no Sentinel-2 level 2A.
    """
    if any(is_usable(item, bands) for item in source.samples):
        return
    try:
        resolve_scenes(source.samples, bands)
    except ItemError as err:
        raise ItemError(err.found, err.expected, "correct --bands, --collection or --catalog") from err
