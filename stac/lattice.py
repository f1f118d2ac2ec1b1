"""The chip lattice: the fixed grid of square chips in each UTM zone, and the blocks in which it is read.

A lattice is anchored at easting/northing 0, so chip edges fall on Sentinel-2's own 10 m pixel edges (tile origins are
multiples of 20 m: "Sentinel-2 Products Specification Document", S2-PDGS-TAS-DI-PSD, §4.9) and a chip has the same
`location_id` in any run, on any machine. Blocks are a second, coarser fixed grid over the same lattice.

Rows count northwards (row 0 starts at northing 0); image rows count southwards. `Block` converts between the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from .errors import AreaError

DEFAULT_BLOCK_PX = 8192
"""Side of a block in pixels. measured (docs/experiments.md): large blocks decode few COG tiles twice."""


@dataclass(frozen=True)
class Lattice:
    """The chips of one UTM zone."""

    epsg: int
    """EPSG code of the zone: 32601–32660 north, 32701–32760 south."""
    chip_size: int
    """Side of a chip, pixels."""
    gsd: int
    """Side of a pixel, metres."""

    @property
    def side(self) -> int:
        """Side of a chip, metres."""
        return self.chip_size * self.gsd

    def location_id(self, col: int, row: int) -> str:
        """`<EPSG>_<column>_<row>_<side in metres>`."""
        return f"{self.epsg}_{col}_{row}_{self.side}"

    def bounds(self, col: int, row: int) -> tuple[int, int, int, int]:
        """West, south, east, north of a chip, metres in the zone's CRS."""
        return col * self.side, row * self.side, (col + 1) * self.side, (row + 1) * self.side

    def outline(self, col: int, row: int) -> Polygon:
        """The chip's four corners as a polygon in longitude, latitude (degrees; beyond ±180 across the antimeridian)."""
        west, south, east, north = self.bounds(col, row)
        return _polygon(self.epsg, np.array([[west, south], [east, south], [east, north], [west, north]]))

    def locate(self, lon: float, lat: float) -> tuple[int, int]:
        """Column and row of the chip of this zone that holds a point given in degrees."""
        x, y = from_lonlat(self.epsg).transform(lon, lat)
        return math.floor(x / self.side), math.floor(y / self.side)


@dataclass(frozen=True)
class Location:
    """One chip of one lattice."""

    lattice: Lattice
    col: int
    """Column, eastwards."""
    row: int
    """Row, northwards."""

    @property
    def location_id(self) -> str:
        """`<EPSG>_<column>_<row>_<side in metres>`."""
        return self.lattice.location_id(self.col, self.row)

    @property
    def outline(self) -> Polygon:
        """Polygon in longitude, latitude (degrees)."""
        return self.lattice.outline(self.col, self.row)

    @classmethod
    def from_id(cls, location_id: str, gsd: int) -> Location:
        """The location behind an id.

        Args:
            location_id: As `location_id` gives it.
            gsd: Side of a pixel, metres (the id holds the side of the chip only).

        Raises:
            AreaError: The text is no location id, or its side is no multiple of `gsd`.
        """
        parts = location_id.split("_")
        if len(parts) != 4 or not all(part.lstrip("-").isdigit() for part in parts) or int(parts[3]) % gsd:
            raise AreaError(
                f"location id '{location_id}'",
                f"<EPSG>_<column>_<row>_<side>, the side a multiple of {gsd} m",
                "copy the id from a search result",
            )
        epsg, col, row, side = (int(part) for part in parts)
        return cls(Lattice(epsg, side // gsd, gsd), col, row)


@dataclass(frozen=True, eq=False)
class Block:
    """A rectangle of locations that is read and embedded in one go."""

    lattice: Lattice
    block_id: str
    """`<EPSG>_<side in metres>_<chips a side>_<block column>_<block row>`: the same in any run."""
    col0: int
    """Westernmost column."""
    row0: int
    """Southernmost row."""
    mask: NDArray[np.bool_]
    """(nrows, ncols), image order (row 0 is the north): which chips belong to the area."""

    @property
    def ncols(self) -> int:
        """Chips from west to east."""
        return int(self.mask.shape[1])

    @property
    def nrows(self) -> int:
        """Chips from north to south."""
        return int(self.mask.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.nrows * self.lattice.chip_size, self.ncols * self.lattice.chip_size

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """West, south, east, north, metres in the zone's CRS."""
        side = self.lattice.side
        return (
            self.col0 * side,
            self.row0 * side,
            (self.col0 + self.ncols) * side,
            (self.row0 + self.nrows) * side,
        )

    @property
    def transform(self) -> Affine:
        """Pixel (column, row) → metres in the zone's CRS; row 0 is the north."""
        west, _, _, north = self.bounds
        return Affine(self.lattice.gsd, 0, west, 0, -self.lattice.gsd, north)

    @cached_property
    def footprint(self) -> Polygon:
        """Outline in longitude, latitude (degrees), edges densified so that it holds across a zone."""
        ring = shapely.segmentize(shapely.box(*self.bounds), max_segment_length=10_000)
        return _polygon(self.lattice.epsg, np.asarray(ring.exterior.coords))

    @cached_property
    def locations(self) -> list[Location]:
        """The area's locations, north to south, then west to east: the order of `mask`'s true cells."""
        top = self.row0 + self.nrows - 1
        rows, cols = np.nonzero(self.mask)
        return [Location(self.lattice, self.col0 + int(c), top - int(r)) for r, c in zip(rows, cols, strict=True)]


def _polygon(epsg: int, ring: NDArray[np.number]) -> Polygon:
    """A ring (N, 2) in metres as a polygon in degrees, in one piece even across the antimeridian."""
    lon, lat = to_lonlat(epsg).transform(ring[:, 0], ring[:, 1])
    if np.ptp(lon) > 180:
        lon = np.where(lon < 0, lon + 360, lon)
    return Polygon(np.column_stack([lon, lat]))


@lru_cache(maxsize=256)
def to_lonlat(epsg: int) -> Transformer:
    """Transformer from a CRS to longitude, latitude in degrees (x first)."""
    return Transformer.from_crs(epsg, 4326, always_xy=True)


@lru_cache(maxsize=256)
def from_lonlat(epsg: int) -> Transformer:
    """Transformer from longitude, latitude in degrees (x first) to a CRS."""
    return Transformer.from_crs(4326, epsg, always_xy=True)


def utm_epsg(lon: float, lat: float) -> int:
    """EPSG code of the UTM zone that MGRS uses at a point, with its exceptions for Norway and Svalbard.

    Source: DMA TM 8358.1, chapter 3 (zones 32V, 31X–37X).

    Raises:
        AreaError: The latitude lies outside UTM (−80° to 84°): Sentinel-2 is not tiled there.
    """
    if not -80 <= lat <= 84:
        raise AreaError(f"latitude {lat:.2f}", "a latitude from -80 to 84", "choose an area inside UTM")
    zone = math.floor((lon + 180) % 360 / 6) + 1
    if 56 <= lat < 64 and 3 <= lon < 12:
        zone = 32
    elif lat >= 72 and 0 <= lon < 42:
        zone = 31 + 2 * math.floor((lon + 3) / 12)
    return (32600 if lat >= 0 else 32700) + zone


def locate(lon: float, lat: float, chip_size: int, gsd: int) -> Location:
    """The location that holds a point (degrees), in the zone that MGRS uses there."""
    lattice = Lattice(utm_epsg(lon, lat), chip_size, gsd)
    return Location(lattice, *lattice.locate(lon, lat))


def iter_blocks(area: BaseGeometry, chip_size: int, gsd: int, block_px: int = DEFAULT_BLOCK_PX) -> Iterator[Block]:
    """Blocks that hold every location whose chip meets an area, each location in exactly one.

    A zone's lattice holds the chips that reach into the zone: across a border nothing is left out, and the two lattices
    overlap by less than two chips.

    Args:
        area: In longitude, latitude, degrees, within ±180: an area across the antimeridian comes as two parts.
        chip_size: Side of a chip, pixels.
        gsd: Side of a pixel, metres.
        block_px: Largest side of a block, pixels.

    Yields:
        Blocks by zone, then from south to north and west to east, cut to the chips that they hold.
    """
    chips = max(1, block_px // chip_size)
    for epsg in _zones(area):
        lattice = Lattice(epsg, chip_size, gsd)
        part = _to_metres(_clip_to_zone(area, epsg), epsg)
        if part.is_empty:
            continue
        shapely.prepare(part)
        west, south, east, north = (math.floor(v / lattice.side) for v in part.bounds)
        for block_row in range(south // chips, north // chips + 1):
            for block_col in range(west // chips, east // chips + 1):
                block = _cut_block(lattice, part, chips, block_col, block_row)
                if block is not None:
                    yield block


def _to_metres(area: BaseGeometry, epsg: int) -> BaseGeometry:
    """An area given in degrees, in a zone's metres; long edges are densified first."""
    dense = shapely.segmentize(area, max_segment_length=0.05)
    return shapely.transform(dense, lambda xy: np.column_stack(from_lonlat(epsg).transform(*xy.T)))


def _cut_block(lattice: Lattice, part: BaseGeometry, chips: int, block_col: int, block_row: int) -> Block | None:
    """The chips of one cell of the block grid that meet `part` (metres), cut to their bounding box."""
    side = lattice.side
    cols = np.arange(block_col * chips, (block_col + 1) * chips)
    rows = np.arange((block_row + 1) * chips - 1, block_row * chips - 1, -1)
    cell = shapely.box(cols[0] * side, rows[-1] * side, (cols[-1] + 1) * side, (rows[0] + 1) * side)
    if not part.intersects(cell):
        return None
    x, y = np.meshgrid(cols * side, rows * side)
    boxes = shapely.box(x, y, x + side, y + side)
    mask = shapely.intersects(part, boxes) & ~shapely.touches(part, boxes)
    mask &= _owned(lattice, x, y)
    if not mask.any():
        return None
    keep_rows, keep_cols = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    top, bottom, left, right = keep_rows[0], keep_rows[-1] + 1, keep_cols[0], keep_cols[-1] + 1
    block_id = f"{lattice.epsg}_{side}_{chips}_{block_col}_{block_row}"
    cut = np.ascontiguousarray(mask[top:bottom, left:right])
    return Block(lattice, block_id, int(cols[left]), int(rows[bottom - 1]), cut)


def _owned(lattice: Lattice, x: NDArray[np.integer], y: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which chips, given by their south-west corners (metres), have a corner in this lattice's own zone."""
    owned = np.zeros(x.shape, dtype=bool)
    for dx, dy in ((0, 0), (0, 1), (1, 0), (1, 1)):
        lon, lat = to_lonlat(lattice.epsg).transform(x + dx * lattice.side, y + dy * lattice.side)
        pairs = zip(np.ravel(lon), np.ravel(lat), strict=True)
        own = [-80 <= b <= 84 and utm_epsg(float(a), float(b)) == lattice.epsg for a, b in pairs]
        owned |= np.array(own, dtype=bool).reshape(x.shape)
    return owned


def _zones(area: BaseGeometry) -> list[int]:
    """EPSG codes of the zones that an area may touch, in order."""
    zones: set[int] = set()
    for part in getattr(area, "geoms", [area]):
        west, south, east, north = part.bounds
        lats = {max(south, -80.0), min(north, 84.0)}
        lats |= {v for v in (-0.01, 0.0, 56.0, 63.9, 72.0) if south <= v <= north}
        lons = {west, east} | {float(v) for v in range(math.ceil(west / 3) * 3, math.floor(east / 3) * 3 + 1, 3)}
        zones |= {utm_epsg(min(lon, 179.999), lat) for lon in lons for lat in lats if -80 <= lat <= 84}
    return sorted(zones)


def _clip_to_zone(area: BaseGeometry, epsg: int) -> BaseGeometry:
    """The part of an area (degrees) near a zone: beyond a few degrees outside it UTM is of no use."""
    zone, north = epsg % 100, epsg < 32700
    west, east = zone * 6 - 186, zone * 6 - 180
    south, top = (-1.0, 84.0) if north else (-80.0, 1.0)
    # 32V and the Svalbard zones reach up to 6° beyond their own six degrees; edges of chips need a little more.
    reach = 6.5 if epsg in (32631, 32632, 32633, 32635, 32637) else 0.5
    pieces = [shapely.box(west - reach, south, east + reach, top)]
    if west - reach < -180:
        pieces.append(shapely.box(180 - reach, south, 180, top))
    if east + reach > 180:
        pieces.append(shapely.box(-180, south, -180 + reach, top))
    return shapely.intersection(area, shapely.union_all(pieces))
