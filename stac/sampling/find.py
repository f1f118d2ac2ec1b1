"""Finding one location's series: draw, search, look, read; and again from the start where a date is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import pystac
import shapely

from ..coverage import meets
from ..errors import ItemError
from ..items import Scene, nearest_first, resolve_scenes, solar_days
from ..raster import ReadOptions, UnreachableError
from .pixels import Picture, WindowReader
from .plan import GATHERED, GIVEN_UP, Row
from .points import Draw
from .prepare import Prepared
from .sources import is_usable
from .windows import Window

NO_ITEMS, NO_DATES, CLOUD = "no items", "no dates", "cloud"
"""Why a draw is not taken: no item shows its window; by the items no offset finds all dates; by the pixels none of the
offsets tried does."""
OFFSET = "offset"
"""Why other dates were taken at a location: by the items, or by the pixels, an offset did not find all."""

_OFFSETS_READ = 8
"""assumed: offsets tried by their pixels, which cost reads, before another location is drawn."""
_FOOTPRINT_MARGIN = 0.005
"""assumed: degrees by which a footprint may fall short of a window that has pixels all over."""


@dataclass(frozen=True)
class Found:
    """What became of a location."""

    row: Row
    """Its row in the plan."""
    pictures: tuple[Picture, ...]
    """For each of the row's days; none where the location was given up or put off."""
    fault: str
    """Why it was put off: a remote file could not be read now; empty otherwise."""


class Finder:
    """Finds a location's series: draws, searches, looks, reads."""

    def __init__(self, prepared: Prepared, options: ReadOptions) -> None:
        """Make the finder.

        Args:
            prepared: With a catalog.
            options: How to fetch.
        """
        if prepared.source is None:
            raise ValueError("no catalog")
        self.config, self.dates, self.sampler = prepared.config, prepared.dates, prepared.sampler
        self.source, self.options = prepared.source, options
        self.trouble = ""
        """What was wrong with the last items of which none could be used."""

    def find(self, row: Row) -> Found:
        """The first draw of a location that has all dates, read.

        Args:
            row: As planned.

        Raises:
            DataError: The catalog, or a local file, cannot be read.
        """
        redrawn: Counter[str] = Counter()
        attempt = 0
        try:
            for _ in range(self.config.tries):
                attempt, draw, rejected = self.sampler.first(row.number, attempt)
                redrawn.update(rejected)
                taken = self._take(row.number, attempt, draw, redrawn)
                if taken is not None:
                    return taken
                attempt += 1
        except UnreachableError as err:
            return Found(row, (), err.reason)
        return Found(replace(row, state=GIVEN_UP, days=(), items=(), redrawn=dict(redrawn)), (), "")

    def _take(self, number: int, attempt: int, draw: Draw, redrawn: Counter[str]) -> Found | None:
        """One draw with all its dates; None, with the reason counted, where it has not."""
        assert draw.window is not None  # noqa: S101 - what is taken has one
        window = draw.window
        days = self._days(window)
        if not days:
            redrawn[NO_ITEMS] += 1
            return None
        reader = WindowReader(window, days, self.config.bands, self.options)
        listed, looked, passed = [*days], 0, 0
        for offset in self.dates.offsets(self.sampler.seed, number, attempt):
            passed += 1
            if self.dates.choose(offset, listed, lambda day: True) is None:
                continue
            chosen = self.dates.choose(offset, listed, lambda day: self._is_clear(reader, day))
            if chosen is not None:  # so far; bands are opened only where each date has a clear classification
                chosen = self.dates.choose(offset, listed, lambda day: self._is_whole(reader, day))
            if chosen is not None:
                pictures = [picture for day in chosen if (picture := reader.picture(day)) is not None]
                city = draw.city.name if draw.city else None
                redrawn[OFFSET] += passed - 1
                items = tuple(picture.item_ids for picture in pictures)
                reasons = {name: count for name, count in redrawn.items() if count}
                row = Row(number, attempt, window, city, draw.city_km, offset, GATHERED, tuple(chosen), items, reasons)
                return Found(row, tuple(pictures), "")
            looked += 1
            if looked == _OFFSETS_READ:
                break
        redrawn[CLOUD if looked else NO_DATES] += 1
        return None

    def _is_clear(self, reader: WindowReader, day: date) -> bool:
        """Whether a day's window is whole and clear enough by its classification."""
        sky = reader.sky(day)
        return sky is not None and sky.whole and sky.cloud <= self.config.max_cloud_window

    def _is_whole(self, reader: WindowReader, day: date) -> bool:
        """Whether that is so, and no band misses a pixel."""
        picture = reader.picture(day) if self._is_clear(reader, day) else None
        return picture is not None and picture.whole

    def _days(self, window: Window) -> dict[date, list[Scene]]:
        """The solar days on which scenes of the window's own zone show all of it, increasing."""
        outline, block = window.outline, window.block
        items = self.source.find(outline, self.dates.periods)
        over = [s for s in self._resolve(items) if s.epsg == window.epsg and meets(block, s)]
        meridian = window.epsg % 100 * 6 - 183  # solar days of one place are told by one sun
        days = {}
        for day, scenes in solar_days(over, meridian).items():
            shown = shapely.union_all([scene.footprint for scene in scenes]).buffer(_FOOTPRINT_MARGIN)
            if shown.covers(outline):
                days[day] = nearest_first(scenes, *window.centre, epsg=window.epsg)
        return days

    def _resolve(self, items: Sequence[pystac.Item]) -> list[Scene]:
        """Scenes of items. What cannot be used is left out: of thousands of places, one must not end the run."""
        if not items:
            return []
        try:
            return resolve_scenes(items, self.config.bands)
        except ItemError as err:
            good = [item for item in items if is_usable(item, self.config.bands)]
            if good:
                return resolve_scenes(good, self.config.bands)
            self.trouble = str(err)
            return []
