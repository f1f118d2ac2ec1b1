"""One true-colour picture of a store's area, laid under its events on the map.

Made once from the archive at low resolution (COG overviews) and kept on disk. Of a few days the clearest, as
SCL tells it, goes first; other days fill what is still cloudy. Large areas and unreadable archives give
no picture, and the map does without.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray
from PIL import Image
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import from_bounds
from rasterio.vrt import WarpedVRT
from shapely.geometry.base import BaseGeometry

from stac.bands import CLEAR_SCL, RGB, SCL
from stac.errors import DataError
from stac.files import write_whole
from stac.items import Scene
from stac.raster import open_raster, quiet_rasterio

from .imagery import APP_READ, TRUE_COLOUR, render

MAX_SIDE_PX = 1100
"""Longer side of the picture: about two screen pixels for each pixel of the map's width."""

LOOK = "2"
"""Part of the cache's key: another number when the picture is composed in another way."""

MAX_SIDE_KM = 400.0
"""assumed: beyond this, a picture needs more scenes than a person would wait for."""

MAX_DAYS = 8
"""assumed: among eight days spread over the period one is usually clear."""

MAX_SCENES = 32
"""assumed: the low-resolution masks of this many remote scenes are read in a few seconds."""


@dataclass(frozen=True)
class Overview:
    """A picture and where it lies."""

    path: Path
    """WebP with transparency."""
    bbox: tuple[float, float, float, float]
    """West, south, east, north, degrees; its sides are straight in web mercator too."""


@dataclass(frozen=True)
class _Frame:
    """The picture's pixel grid in web mercator (EPSG:3857)."""

    bounds: tuple[float, float, float, float]
    """West, south, east, north, metres of EPSG:3857."""
    width: int
    height: int
    area: BaseGeometry
    """In EPSG:3857."""


def find_overview(area: BaseGeometry, scenes: Iterable[Scene], cache: Path) -> Overview | None:
    """The picture of an area, from the cache or made now.

    Args:
        area: Longitude, latitude, degrees.
        scenes: All scenes behind the store.
        cache: Folder of the cache.

    Returns:
        None where the area is too large, spans the antimeridian, or nothing could be read.
    """
    frame = _frame(area)
    chosen = _choose(list(scenes))
    if frame is None or not chosen or len(chosen) > 2 * MAX_SCENES:
        return None
    path = cache / f"{_key(area, chosen)}.webp"
    if not path.is_file():
        colours = _mosaic(frame, chosen)
        if not colours[..., 3].any():
            return None
        try:
            with write_whole(path) as temporary:
                Image.fromarray(colours).save(temporary, "WEBP", quality=80)
        except OSError:
            return None
    west, south, east, north = (float(v) for v in area.bounds)
    return Overview(path, (west, south, east, north))


def _frame(area: BaseGeometry) -> _Frame | None:
    """The pixel grid that covers an area; None where it is too large or crosses the antimeridian."""
    west, south, east, north = area.bounds
    km = 111.32 * max(north - south, (east - west) * math.cos(math.radians((south + north) / 2)))
    if area.is_empty or not 0 < km <= MAX_SIDE_KM or max(abs(south), abs(north)) > 85:
        return None
    to_mercator = Transformer.from_crs(4326, 3857, always_xy=True).transform
    projected = shapely.transform(area, lambda lonlat: np.column_stack(to_mercator(*lonlat.T)))
    left, bottom, right, top = projected.bounds
    scale = MAX_SIDE_PX / max(right - left, top - bottom)
    # No finer than 10 m on the ground.
    scale = min(scale, math.cos(math.radians((south + north) / 2)) / 10)
    size = max(1, round((right - left) * scale)), max(1, round((top - bottom) * scale))
    return _Frame((left, bottom, right, top), *size, projected)


def _choose(scenes: Sequence[Scene]) -> list[Scene]:
    """The scenes of a few days, spread evenly over the days that cover much of the area; few tiles allow more days."""
    days: dict[date, list[Scene]] = {}
    for scene in sorted(scenes, key=lambda scene: (scene.time, scene.item_id)):
        if {*RGB, SCL} <= set(scene.assets):
            days.setdefault(scene.solar_day, []).append(scene)
    if not days:
        return []
    most = max(len({scene.tile for scene in part}) for part in days.values())
    broad = [day for day, part in sorted(days.items()) if 2 * len({scene.tile for scene in part}) >= most]
    count = max(2, min(MAX_DAYS, MAX_SCENES // most))
    return [
        scene for i in sorted({round(j) for j in np.linspace(0, len(broad) - 1, count)}) for scene in days[broad[i]]
    ]


def _key(area: BaseGeometry, chosen: Sequence[Scene]) -> str:
    """Name of the cached picture: the area and the scenes."""
    facts = [LOOK, area.wkt, str(MAX_SIDE_PX)] + [scene.assets["B04"].href for scene in chosen]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def _mosaic(frame: _Frame, scenes: Sequence[Scene]) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA: clear pixels of the clearest day first, then of the next, then whatever there is."""
    quiet_rasterio()
    if all(_read(scene, SCL, frame) is None for scene in (scenes[0], scenes[-1])):
        return np.zeros((frame.height, frame.width, 4), np.uint8)  # out of reach: do not wait for all the others too
    with ThreadPoolExecutor(APP_READ.threads) as pool:
        masks = list(pool.map(lambda scene: _read(scene, SCL, frame), scenes))
    clear = [np.isin(mask, CLEAR_SCL) if mask is not None else None for mask in masks]
    of_day: Counter[date] = Counter()
    for scene, seen in zip(scenes, clear, strict=True):
        of_day[scene.solar_day] += int(seen.sum()) if seen is not None else 0
    # Of the days that are nearly as clear as the clearest, the newest: it shows what has changed.
    best = 0.9 * max(of_day.values())
    ranked = sorted(
        range(len(scenes)),
        key=lambda i: (min(of_day[scenes[i].solar_day], best), scenes[i].solar_day),
        reverse=True,
    )
    pixels = np.zeros((3, frame.height, frame.width), np.uint16)
    filled = np.zeros((frame.height, frame.width), dtype=bool)
    for only_clear in (True, False):
        for i in ranked:
            seen, mask = clear[i], masks[i]
            if seen is None or mask is None:
                continue
            wanted = ~filled & (seen if only_clear else mask != 0)
            if wanted.sum() < max(16, wanted.size // 2000):
                continue
            colours = _read_rgb(scenes[i], frame)
            if colours is not None:
                wanted &= (colours > 0).all(axis=0)
                pixels[:, wanted] = colours[:, wanted]
                filled |= wanted
    grid = from_bounds(*frame.bounds, frame.width, frame.height)
    outside = rasterio.features.geometry_mask([frame.area], (frame.height, frame.width), grid)
    pixels[:, outside] = 0
    return render(pixels, TRUE_COLOUR)


def _read_rgb(scene: Scene, frame: _Frame) -> NDArray[np.uint16] | None:
    """(3, H, W) harmonised reflectance × 10,000, or None where a band cannot be read."""
    bands = [_read(scene, band, frame) for band in RGB]
    if any(band is None for band in bands):
        return None
    raw = np.stack([band for band in bands if band is not None]).astype(np.int32)
    return np.where(raw > 0, np.maximum(raw + scene.offset, 1), 0).astype(np.uint16)


def _read(scene: Scene, band: str, frame: _Frame) -> NDArray[np.uint16] | None:
    """(H, W) of one asset warped onto the frame, 0 outside it; None where it cannot be read."""
    resampling = Resampling.nearest if band == SCL else Resampling.bilinear
    grid = from_bounds(*frame.bounds, frame.width, frame.height)
    try:
        with open_raster(scene.assets[band], APP_READ) as (source, lies):
            warped = WarpedVRT(
                source,
                src_crs=lies.crs,
                src_transform=lies.transform,
                crs="EPSG:3857",
                transform=grid,
                width=frame.width,
                height=frame.height,
                resampling=resampling,
                src_nodata=0,
                nodata=0,
            )
            with warped:
                return np.asarray(warped.read(1), dtype=np.uint16)
    except (DataError, RasterioError, OSError):
        return None
