"""Areas: where to look, from a box, GeoJSON, a vector file or a place name, as one kind of geometry.

An `Area` holds polygons in longitude and latitude within ±180°, valid and split at the antimeridian.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from pyproj.exceptions import CRSError
from shapely.errors import ShapelyError
from shapely.geometry import MultiPolygon, Polygon, shape
from shapely.geometry.base import BaseGeometry

from . import antimeridian
from .antimeridian import Bbox
from .errors import AreaError
from .places import find_place

_SUFFIXES = {".geojson", ".json", ".gpkg", ".shp", ".kml", ".fgb", ".parquet", ".zip", ".gml", ".gdb", ".topojson"}
_DO = "give W,S,E,N, a GeoJSON or other vector file with polygons, or a place name"


@dataclass(frozen=True)
class Area:
    """Where to look."""

    name: str
    """What it is called: the place, the file's stem, or the box as it was given."""
    geometry: Polygon | MultiPolygon
    """Polygons, degrees of longitude and latitude within ±180, valid, split at the antimeridian."""

    @property
    def bboxes(self) -> list[Bbox]:
        """West, south, east, north, degrees: one box, or two where the area lies on both sides of the antimeridian."""
        return antimeridian.bboxes(self.geometry)

    @property
    def search_bboxes(self) -> list[Bbox]:
        """Boxes for a search: as `bboxes`, but without the empty space between distant parts."""
        return antimeridian.search_bboxes(self.geometry)

    @cached_property
    def _prepared(self) -> BaseGeometry:
        geometry = shapely.from_wkb(shapely.to_wkb(self.geometry))  # prepare() acts in place, and fields are shared
        shapely.prepare(geometry)
        return geometry

    def contains(self, lon: float, lat: float) -> bool:
        """Whether a point, degrees, lies in the area or on its edge; any turn of longitude."""
        lon = (lon + 180) % 360 - 180
        return bool(shapely.intersects_xy(self._prepared, [lon, 180.0 if lon == -180 else lon], [lat, lat]).any())

    def intersects(self, geometry: BaseGeometry) -> bool:
        """Whether a geometry in the same form (split at the antimeridian) shares a point with the area."""
        return bool(shapely.intersects(self._prepared, geometry))

    def __str__(self) -> str:
        return self.name


AreaLike = str | Path | Area | BaseGeometry | Sequence[float]
"""What `norm_area` accepts."""


def norm_area(area: AreaLike) -> Area:
    """Canonical area of anything that names one.

    Args:
        area: `"W,S,E,N"` or four numbers, degrees (W greater than E crosses the antimeridian); GeoJSON text; a file
            that geopandas reads, in any coordinate system; a place name (see `places.find_place`); a shapely geometry
            in longitude and latitude.

    Raises:
        AreaError: It is none of these, holds no polygon, or lies off the globe.
    """
    if isinstance(area, Area):
        return area
    if isinstance(area, BaseGeometry):
        return _area("area", area)
    if isinstance(area, Path):
        return _from_file(area)
    if not isinstance(area, str):
        return _from_box(",".join(f"{value:g}" for value in area), list(area))
    text = area.strip()
    if text.startswith("{"):
        return _from_geojson(text)
    parts = text.split(",")
    if len(parts) > 2 and all(_number(part) is not None for part in parts):
        return _from_box(text, [_number(part) for part in parts])
    path = _path_of(text)
    if path is not None:
        return _from_file(path)
    place = find_place(text)
    return _area(place.name, place.geometry)


def _path_of(text: str) -> Path | None:
    """The path that a text is meant as; None for a place name."""
    try:
        path = Path(text).expanduser()
        named = path.suffix.lower() in _SUFFIXES or path.is_file() or "/" in text
    except (OSError, RuntimeError):  # longer than any file's name; the home of nobody
        return None
    return path if text and named else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _from_box(text: str, values: Sequence[float | None]) -> Area:
    numbers = [float(value) for value in values if value is not None]
    good = len(numbers) == 4 and all(map(math.isfinite, numbers))
    good = good and all(abs(lon) <= 180 for lon in numbers[::2]) and -90 <= numbers[1] < numbers[3] <= 90
    if not good or numbers[0] == numbers[2]:
        raise AreaError(
            f"'{text}' is no box",
            "west,south,east,north in degrees, longitudes within ±180, latitudes within ±90, south below north",
            "correct the four numbers (west greater than east crosses the antimeridian)",
        )
    west, south, east, north = numbers
    return Area(text, antimeridian.box(west, south, east, north))


def _from_geojson(text: str) -> Area:
    """Area of a GeoJSON geometry, feature or feature collection, as text."""
    try:
        content = json.loads(text)
        shapes = [shape(geometry) for geometry in _geometries(content)]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, ShapelyError) as err:
        raise AreaError("the area's text is no GeoJSON", "a geometry, feature or feature collection", _DO) from err
    return _area("area", shapely.geometrycollections(shapes))


def _geometries(content: dict[str, Any]) -> list[dict[str, Any]]:
    if content["type"] == "FeatureCollection":
        return [geometry for feature in content["features"] for geometry in _geometries(feature)]
    if content["type"] == "Feature":
        return [content["geometry"]] if content["geometry"] else []
    return [content]


def _from_file(path: Path) -> Area:
    """Area of a vector file: the union of its polygons."""
    if not path.exists():
        raise AreaError(f"file {path} does not exist", "a vector file with polygons", "correct the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of rings that are then refused in words
            table = gpd.read_parquet(path) if path.suffix.lower() == ".parquet" else gpd.read_file(path)
            geometries = table.geometry  # a table without geometry raises here
            crs = geometries.crs
            if crs is not None and not crs.equals("EPSG:4326"):
                geometries = geometries.to_crs("OGC:CRS84")
    except (OSError, ValueError, AttributeError, TypeError, KeyError, RuntimeError, CRSError, ShapelyError) as err:
        # RuntimeError: pyogrio's own errors
        reason = str(err).splitlines()[0].partition(".;")[0][:200] if str(err) else type(err).__name__
        raise AreaError(f"file {path} cannot be read ({reason})", "a vector file with polygons", _DO) from err
    # A projected polygon across the antimeridian comes back wrapped; a wide one in degrees is meant as it stands.
    projected = crs is not None and not crs.is_geographic
    shapes = [geometry for geometry in geometries if geometry is not None]
    return _area(path.stem, shapely.geometrycollections(shapes), wrapped=projected)


def _area(name: str, geometry: BaseGeometry, *, wrapped: bool = False) -> Area:
    """An area of any geometry in degrees, brought to the one form."""
    west, south, east, north = geometry.bounds if not geometry.is_empty else (0.0, 0.0, 0.0, 0.0)
    if not np.isfinite(shapely.get_coordinates(geometry)).all():
        raise AreaError(f"{name} has coordinates that are not finite", "longitudes and latitudes in degrees", _DO)
    if west < -540 or east > 540 or south < -90 or north > 90:
        raise AreaError(
            f"{name} reaches from {west:g}, {south:g} to {east:g}, {north:g}",
            "longitudes and latitudes in degrees",
            "state the file's coordinate system, or convert it to longitude and latitude",
        )
    polygons = antimeridian.split_polygons(geometry, wrapped=wrapped)
    if polygons.is_empty:
        raise AreaError(f"{name} holds no polygon", "at least one polygon with an area", _DO)
    return Area(name, polygons)
