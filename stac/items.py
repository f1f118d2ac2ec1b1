"""Scenes: what an item says, resolved once, whichever provider it came from.

`resolve_scene` finds in an item of Earth Search, the Planetary Computer, CDSE or any like them: the assets of each band
by canonical name, the offset that is still in the pixels, the MGRS tile, the georeference, the solar day.
`resolve_scenes` does so for many, drops what is not Sentinel-2 level 2A, reduces duplicates and checks the bands.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pystac
from affine import Affine
from shapely.geometry import MultiPolygon, Polygon

from . import antimeridian
from .bands import BANDS, SCL, norm_band, norm_bands
from .document import footprint
from .errors import ItemError
from .product import (
    NEVER,
    datatake_of,
    generated_of,
    instant_of,
    lacks,
    radiometry_of,
    satellite_of,
    strip_of,
    tile_of,
    utm_epsg_of,
)

_log = logging.getLogger(__name__)

_SAME_FOOTPRINT = 0.5
"""assumed: footprints of one granule, processed twice, share more than half; those of a split one hardly overlap."""
_SAME_MOMENT = timedelta(seconds=2)
"""assumed: sensing times of one granule differ by less between processings, and between items."""
_ONE_PASS = timedelta(minutes=50)
"""Half a revolution: a satellite sees a tile again after one or more. Source: 100.6 minutes,
https://sentiwiki.copernicus.eu/web/s2-mission."""

_SCL_GSD = 20
_RESOLUTION = re.compile(r"_(\d+)m$", re.IGNORECASE)


@dataclass(frozen=True)
class Asset:
    """One file of an item, with the georeference that the item states."""

    href: str
    """Address as the item gives it, absolute, unsigned."""
    epsg: int | None
    """EPSG code of its CRS."""
    transform: Affine | None
    """Pixel (column, row) to metres in the CRS."""
    shape: tuple[int, int] | None
    """Rows, columns."""


@dataclass(frozen=True)
class Scene:
    """One granule at one time: what the reader needs of an item."""

    item_id: str
    """The item's id."""
    collection: str
    """The item's collection; empty where it names none."""
    tile: str
    """MGRS tile, two digits and three letters (`33TWL`)."""
    time: datetime
    """Sensing time, UTC."""
    solar_day: date
    """Date at the tile, by mean solar time: UTC + longitude / 15 h."""
    baseline: str
    """Processing baseline (`05.09`); `00.00` where it is not stated and does not matter."""
    offset: int
    """To add to the pixels once, DN: −1000 or 0."""
    epsg: int | None
    """EPSG code of the tile's UTM zone."""
    footprint: Polygon | MultiPolygon
    """Where there is data: degrees, split at the antimeridian."""
    assets: Mapping[str, Asset]
    """Canonical band, or `SCL` → file."""
    satellite: str = ""
    """`S2A` to `S2D`; empty where the item names none."""
    datatake: datetime | None = None
    """Start of the datatake, UTC; None where it is not stated."""
    strip: datetime | None = None
    """Start of the datastrip, UTC; None where it is not stated."""
    generated: datetime = NEVER
    """When it was processed, UTC."""


def resolve_scene(item: pystac.Item) -> Scene:
    """The scene of an item.

    Raises:
        ItemError: It is not Sentinel-2 level 2A, or states no baseline, tile, time, footprint or band.
    """
    if not is_level2a(item):
        raise lacks(item, "is not Sentinel-2 level 2A", "an item of level 2A", "name the collection of level 2A")
    when = item.datetime or instant_of(item.properties.get("start_datetime"))
    if when is None:
        raise lacks(item, "has no time", "a datetime", "mend or remove the item")
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    tile = tile_of(item)
    outline = footprint({"id": item.id, "geometry": item.geometry, "bbox": item.bbox})
    baseline, offset = radiometry_of(item)
    assets = _assets(item)
    epsg = _epsg(item.properties) or next((a.epsg for a in assets.values() if a.epsg), None) or utm_epsg_of(tile)
    # Longitude in the turn around the tile's own zone: all scenes of a zone then agree on the day, even at ±180°.
    lon = antimeridian.centre_longitude(outline, int(tile[:2]) * 6 - 183)
    return Scene(
        item_id=item.id,
        collection=item.collection_id or "",
        tile=tile,
        time=when,
        solar_day=(when + timedelta(hours=lon / 15)).date(),
        baseline=baseline,
        offset=offset,
        epsg=epsg,
        footprint=outline,
        assets=assets,
        satellite=satellite_of(item),
        datatake=datatake_of(item),
        strip=strip_of(item),
        generated=generated_of(item),
    )


def resolve_scenes(items: Iterable[pystac.Item], bands: Sequence[str]) -> list[Scene]:
    """The scenes of items, each granule and datatake once, in the order (solar day, time, tile, item id).

    Items that are no Sentinel-2 level 2A (Sentinel-1, level 1C: catalogs that mix collections have them) are left out
    with a line in the log.

    Args:
        items: Items of any providers.
        bands: Bands that each scene must have besides SCL; any spelling that `norm_band` knows.

    Raises:
        ItemError: A scene lacks a band; an item lacks its baseline, tile, time or footprint; or none is of level 2A.
    """
    given = list(items)
    level2a = [item for item in given if is_level2a(item)]
    if not level2a:
        kinds = ", ".join(sorted({item.collection_id or item.id for item in given})[:4]) or "none"
        raise ItemError(
            f"of {len(given)} items none is Sentinel-2 level 2A ({kinds})",
            "items of Sentinel-2 level 2A",
            "name the catalog's collection of level 2A, such as sentinel-2-l2a",
        )
    if len(level2a) < len(given):
        _log.warning("left out %d of %d items that are not Sentinel-2 level 2A", len(given) - len(level2a), len(given))
    scenes = deduplicate([resolve_scene(item) for item in level2a])
    wanted = (*norm_bands(bands), SCL) if bands else (SCL,)
    for scene in scenes:
        missing = [band for band in wanted if band not in scene.assets]
        if missing:
            raise ItemError(
                f"item {scene.item_id} has no {' '.join(missing)}",
                f"assets for {' '.join(wanted)} (there are {' '.join(scene.assets) or 'none'})",
                "choose an encoder whose bands the catalog has, or another catalog",
            )
    return sorted(scenes, key=lambda scene: (scene.solar_day, scene.time, scene.tile, scene.item_id))


def solar_days(scenes: Iterable[Scene], meridian: float | None = None) -> dict[date, list[Scene]]:
    """Scenes by solar day: days increasing, scenes in their given order.

    Args:
        scenes: Scenes of any zones.
        meridian: Longitude, degrees, by whose sun all days are told; None: each scene by its own tile's. At ±180° the
            tiles of one pass lie on two dates, so what is read for one place must be told by one meridian.
    """
    days: dict[date, list[Scene]] = {}
    for scene in scenes:
        day = scene.solar_day if meridian is None else (scene.time + timedelta(hours=meridian / 15)).date()
        days.setdefault(day, []).append(scene)
    return dict(sorted(days.items()))


def deduplicate(scenes: Iterable[Scene]) -> list[Scene]:
    """Each granule once: the highest baseline, and of equal ones the one processed last.

    The parts of a tile that was split between two datastrips (`_0_`, `_1_`) were sensed at different times or have
    different footprints, and are all kept, as none replaces another.
    """
    tiles: dict[str, list[Scene]] = {}
    for scene in scenes:
        tiles.setdefault(scene.tile, []).append(scene)
    kept: list[Scene] = []
    for group in tiles.values():
        days: dict[date, list[Scene]] = {}
        for scene in sorted(group, key=lambda s: (s.baseline, s.generated, s.item_id), reverse=True):
            day = scene.time.date()
            near = [other for turn in (-1, 0, 1) for other in days.get(day + timedelta(days=turn), [])]
            if not any(_replaces(other, scene) for other in near):
                days.setdefault(day, []).append(scene)
        kept += [scene for found in days.values() for scene in found]
    return kept


def is_level2a(item: pystac.Item) -> bool:
    """Whether an item is of Sentinel-2 level 2A, by its product type, collection, id or scene classification."""
    properties = item.properties
    product = str(properties.get("s2:product_type") or properties.get("product:type") or "").upper()
    if product.startswith("S2MSI"):
        return product == "S2MSI2A"
    name = f"{item.collection_id or ''} {item.id}".lower()
    mission = str(properties.get("constellation") or properties.get("platform") or "sentinel-2").lower()
    if "l1c" in name or not mission.replace(" ", "-").startswith("sentinel-2"):
        return False
    return "l2a" in name or SCL in _candidates(item)  # only level 2A is classified


def _replaces(better: Scene, scene: Scene) -> bool:
    """Whether two scenes of a tile are the same granule, so that the better one is enough.

    Items state different parts of what tells granules apart, and may lack any of it: what both of them state counts
    here. Where none of it differs, the same datastrip or the same ground makes them one.
    """
    if better.satellite and scene.satellite and better.satellite != scene.satellite:
        return False
    if better.datatake and scene.datatake and better.datatake != scene.datatake:
        return False
    if abs(better.time - scene.time) > _ONE_PASS:
        return False
    # The Planetary Computer and CDSE give the start of the datatake for an item's time, which says nothing of the part.
    start = better.datatake or scene.datatake
    sensed = [one.time for one in (better, scene) if start is None or abs(one.time - start) > _SAME_MOMENT]
    if len(sensed) == 2 and abs(sensed[0] - sensed[1]) > _SAME_MOMENT:
        return False
    if better.strip and scene.strip:
        return abs(better.strip - scene.strip) <= _SAME_MOMENT
    smaller = min(better.footprint.area, scene.footprint.area)
    return bool(better.footprint.intersection(scene.footprint).area >= _SAME_FOOTPRINT * smaller)


def nearest_first(scenes: Sequence[Scene], easting: float, northing: float, epsg: int) -> list[Scene]:
    """Scenes in the order in which they should supply pixels around a point: the tile with the nearest middle first.

    Neighbouring tiles overlap by about 10 km. The nearest one holds most of a block, often all of it, so the others
    need not be read; and the order depends on the place alone, not on the area that was asked for.

    Args:
        scenes: Of one solar day.
        easting: Of the point, metres in its CRS.
        northing: Likewise.
        epsg: EPSG code of the CRS. Scenes in another one keep their order, after the others.
    """

    def distance(scene: Scene) -> float:
        asset = scene.assets[SCL]
        if asset.transform is None or asset.shape is None or (asset.epsg or scene.epsg) != epsg:
            return math.inf
        x, y = asset.transform * (asset.shape[1] / 2, asset.shape[0] / 2)
        return math.hypot(x - easting, y - northing)

    return sorted(scenes, key=distance)  # sorted keeps the order of equals


def _candidates(item: pystac.Item) -> dict[str, list[tuple[int, str]]]:
    """Canonical band → (ground sampling distance in metres, asset key) of each asset that may serve."""
    found: dict[str, list[tuple[int, str]]] = {}
    for key, asset in item.assets.items():
        if key.lower().endswith("-jp2"):  # Earth Search's second address, of the original in a requester-pays bucket
            continue
        try:
            band = norm_band(key)
        except ItemError:
            continue
        suffix, native = _RESOLUTION.search(key), BANDS[band].gsd if band in BANDS else _SCL_GSD
        gsd = int(suffix[1]) if suffix else int(asset.extra_fields.get("gsd") or native)
        found.setdefault(band, []).append((gsd, key))
    return found


def _assets(item: pystac.Item) -> dict[str, Asset]:
    """Canonical band → asset in the band's own resolution, else the finest; bands in the order of wavelength."""
    found = _candidates(item)
    assets: dict[str, Asset] = {}
    for band in (*BANDS, SCL):
        if band not in found:
            continue
        native = BANDS[band].gsd if band in BANDS else _SCL_GSD
        _, _, key = min((gsd != native, gsd, key) for gsd, key in found[band])
        asset = item.assets[key]
        # proj:* of an asset count before the item's: https://github.com/stac-extensions/projection
        fields = {**{k: v for k, v in item.properties.items() if k.startswith("proj:")}, **asset.extra_fields}
        transform, shape = fields.get("proj:transform"), fields.get("proj:shape")
        assets[band] = Asset(
            href=asset.href,
            epsg=_epsg(asset.extra_fields) or _epsg(item.properties),
            transform=Affine(*transform[:6]) if transform else None,
            shape=(int(shape[0]), int(shape[1])) if shape else None,
        )
    return assets


def _epsg(fields: Mapping[str, Any]) -> int | None:
    """EPSG code by version 1 (`proj:epsg`) or 2 (`proj:code`) of the projection extension."""
    code = str(fields.get("proj:epsg") or fields.get("proj:code") or "").upper().removeprefix("EPSG:")
    return int(code) if code.isdigit() else None
