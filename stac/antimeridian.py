"""Geometry in longitude and latitude that crosses the antimeridian, brought to one form.

The form: polygons only, valid, two-dimensional, every longitude within ±180, split along the antimeridian (RFC 7946
§3.1.9). Providers and files write such polygons in three other ways: with longitudes beyond ±180; wrapped, where the
longitude jumps from 179 to −179 along an edge, so that a flat map shows a band around the world; and already split.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

Bbox = tuple[float, float, float, float]
"""West, south, east, north, degrees."""


def split_polygons(geometry: BaseGeometry, *, wrapped: bool = False) -> Polygon | MultiPolygon:
    """The polygons of a geometry, valid and split at the antimeridian.

    Args:
        geometry: Any geometry, degrees; longitudes within ±540. Points and lines in it are dropped.
        wrapped: Take an edge that spans more than 180° as one that crosses the antimeridian. True for footprints of
            scenes; not for areas, where a wide box is meant as such.

    Returns:
        An empty polygon where the geometry holds none.

    Raises:
        ValueError: A coordinate is not finite, or a longitude lies beyond ±540.
    """
    coordinates = shapely.get_coordinates(geometry)
    if not np.isfinite(coordinates).all() or (np.abs(coordinates[:, 0]) > 540).any():
        raise ValueError("coordinates that are no degrees")
    parts: list[BaseGeometry] = []
    for polygon in _polygons(shapely.force_2d(geometry)):
        flat = _unwrap(polygon) if wrapped and polygon.bounds[2] - polygon.bounds[0] > 180 else polygon
        valid = flat if flat.is_valid else shapely.make_valid(flat, method="structure", keep_collapsed=False)
        parts += _split(valid)
    united = shapely.union_all([part for part in parts if not part.is_empty])
    pieces = [piece for piece in _polygons(united) if piece.area > 0]
    return pieces[0] if len(pieces) == 1 else MultiPolygon(pieces) if pieces else Polygon()


def box(west: float, south: float, east: float, north: float) -> Polygon | MultiPolygon:
    """A box of longitudes and latitudes; `west` greater than `east` crosses the antimeridian."""
    return split_polygons(shapely.box(west, south, east + 360 if west > east else east, north))


def bboxes(geometry: BaseGeometry) -> list[Bbox]:
    """Boxes that hold a geometry in the split form: one, or two where it lies on both sides of the antimeridian.

    The cut is made where the geometry leaves the widest gap in longitude, so Fiji gives two narrow boxes and the whole
    world gives one. Boxes are in the order west to east as one travels over the geometry.
    """
    bounds = sorted(part.bounds for part in _polygons(geometry))
    if not bounds:
        return []
    gap, after, reach = 0.0, 0, bounds[0][2]
    for k, (west, _, east, _) in enumerate(bounds[1:], start=1):
        if west - reach > gap:
            gap, after = west - reach, k
        reach = max(reach, east)
    around = bounds[0][0] + 360 - reach  # the gap that holds the antimeridian
    if around >= gap:
        return [_hull(bounds)]
    return [_hull(bounds[after:]), _hull(bounds[:after])]


def search_bboxes(geometry: BaseGeometry, *, margin: float = 1.0, most: int = 16) -> list[Bbox]:
    """Few boxes that hold a geometry in the split form, without the empty space between distant parts.

    A search by box then does not ask for the Atlantic when the area is France with French Guiana.

    Args:
        geometry: Polygons, degrees.
        margin: Parts nearer than twice this, degrees, share a box.
        most: With more boxes than this, `bboxes` is used instead.
    """
    boxes = np.array([part.bounds for part in _polygons(geometry)], dtype=float).reshape(-1, 4)
    count = -1
    while count != len(boxes):
        count = len(boxes)
        boxes = _merge(boxes, margin)
    if len(boxes) > most:
        return bboxes(geometry)
    return [(float(w), float(s), float(e), float(n)) for w, s, e, n in boxes]


def centre_longitude(geometry: BaseGeometry, near: float) -> float:
    """Longitude halfway between a geometry's ends, degrees, in the turn of the globe that centres on `near`.

    Args:
        geometry: Polygons in the split form, spanning less than 180°.
        near: A longitude close by, such as a UTM zone's central meridian. The result is within `near` ± 180, and so may
            lie beyond ±180.
    """
    lon = near + (shapely.get_coordinates(geometry)[:, 0] - near + 180) % 360 - 180
    return float((lon.min() + lon.max()) / 2)


def _polygons(geometry: BaseGeometry) -> list[Polygon]:
    """The polygons in a geometry, however deep in collections."""
    if isinstance(geometry, Polygon):
        return [] if geometry.is_empty else [geometry]
    return [polygon for part in getattr(geometry, "geoms", ()) for polygon in _polygons(part)]


def _unwrap(polygon: Polygon) -> Polygon:
    """A wrapped polygon with longitudes that run on beyond ±180."""
    shell = _unwrap_ring(np.asarray(polygon.exterior.coords))
    holes = [_unwrap_ring(np.asarray(ring.coords)) for ring in polygon.interiors]
    shifts = [round(float(shell[:, 0].mean() - hole[:, 0].mean()) / 360) * 360 for hole in holes]
    return Polygon(shell, [hole + np.array([shift, 0]) for hole, shift in zip(holes, shifts, strict=True)])


def _unwrap_ring(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    lon = np.unwrap(ring[:, 0], period=360.0)
    if abs(lon[-1] - lon[0]) < 180:
        return np.column_stack([lon, ring[:, 1]])
    # Once round the globe: the ring encloses a pole, and closes along it.
    pole = np.copysign(90.0, ring[:, 1].mean())
    return np.vstack([np.column_stack([lon, ring[:, 1]]), [lon[-1], pole], [lon[0], pole], [lon[0], ring[0, 1]]])


def _split(geometry: BaseGeometry) -> list[BaseGeometry]:
    """Parts of a geometry within ±180, moved there by whole turns."""
    west, _, east, _ = geometry.bounds
    if geometry.is_empty or (west >= -180 and east <= 180):
        return [geometry]
    turns = range(int(np.floor((west + 180) / 360)), int(np.floor((east + 180) / 360)) + 1)
    cut = [geometry.intersection(shapely.box(360 * k - 180, -90, 360 * k + 180, 90)) for k in turns]
    return [affinity.translate(part, -360 * k) for k, part in zip(turns, cut, strict=True) if not part.is_empty]


def _hull(bounds: list[Bbox]) -> Bbox:
    west, south, east, north = zip(*bounds, strict=True)
    return min(west), min(south), max(east), max(north)


def _merge(boxes: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """One pass of uniting boxes that touch once widened by a margin."""
    if len(boxes) == 0:
        return boxes
    wide = shapely.union_all(shapely.box(*(boxes + np.array([-margin, -margin, margin, margin])).T))
    tree = shapely.STRtree(shapely.get_parts(wide))
    owner = tree.query(shapely.points(boxes[:, :2]), predicate="intersects")[1]
    groups = [boxes[owner == k] for k in np.unique(owner)]
    return np.array([[*group[:, :2].min(axis=0), *group[:, 2:].max(axis=0)] for group in groups])
