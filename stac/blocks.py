"""Blocks: the rectangles of locations that are read and embedded in one go.

Blocks are a second, coarser grid over the chip lattice, laid along the 100 km squares by which Sentinel-2 is tiled (a
tile is its square and about 5 km around it): a block lies inside one tile, and its files are read once, not in
overlapping pieces.

Lattice rows count northwards, image rows southwards; `Block` converts between the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from .errors import AreaError
from .lattice import Lattice, Location, from_lonlat, new_polygon, to_lonlat, utm_epsg, utm_epsgs

DEFAULT_BLOCK_PX = 10_240
"""Largest side of a block in pixels: one 100 km square at 10 m. measured (bench/blocks.py): smaller blocks, or blocks
across tiles, decode more of the files twice."""

LARGEST_BLOCK_PX = 4 * DEFAULT_BLOCK_PX
"""Largest side of a block that may be asked for, pixels: one band of it takes 3.4 GB."""

SQUARE = 100_000
"""Side of a square of the military grid, metres. Source: DMA TM 8358.1, chapter 3."""


_WITHIN_MARGIN = 0.1
"""assumed: degrees by which pixels may reach beyond a footprint; twice what `coverage` grants."""

_POLAR = 85.0


@dataclass(frozen=True, eq=False)
class Block:
    """A rectangle of locations that is read and embedded in one go."""

    lattice: Lattice
    block_id: str
    """`<EPSG>_<side of a chip>_<side of the block>_<block column>_<block row>`, metres: the same in any run."""
    col0: int
    """Westernmost column."""
    row0: int
    """Southernmost row."""
    mask: NDArray[np.bool_]
    """(nrows, ncols), image order (row 0 is the north): which chips belong to the area."""
    cell: tuple[int, int, int, int] | None = None
    """West, south, east, north, metres, of the block's whole cell; None for the block's own bounds."""

    @property
    def centre(self) -> tuple[float, float]:
        """Easting and northing of the middle of the cell, metres: the same whatever the area."""
        west, south, east, north = self.cell or self.bounds
        return (west + east) / 2, (south + north) / 2

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
        return _outline(self.lattice.epsg, self.bounds)

    @cached_property
    def locations(self) -> list[Location]:
        """The area's locations, north to south, then west to east: the order of `mask`'s true cells."""
        top = self.row0 + self.nrows - 1
        rows, cols = np.nonzero(self.mask)
        return [Location(self.lattice, self.col0 + int(c), top - int(r)) for r, c in zip(rows, cols, strict=True)]


def _outline(epsg: int, bounds: tuple[int, int, int, int]) -> Polygon:
    """A rectangle in metres as a polygon in degrees."""
    ring = shapely.segmentize(shapely.box(*bounds), max_segment_length=10_000)
    return new_polygon(epsg, np.asarray(ring.exterior.coords))


def iter_blocks(
    area: BaseGeometry,
    chip_size: int,
    gsd: int,
    block_px: int = DEFAULT_BLOCK_PX,
    *,
    within: BaseGeometry | None = None,
) -> Iterator[Block]:
    """Blocks that hold every location whose chip meets an area, each location in exactly one.

    A zone's lattice holds the chips that reach into the zone: across a border nothing is left out, and the two lattices
    overlap by less than two chips.

    Args:
        area: In longitude, latitude, degrees, within ±180: an area across the antimeridian comes as two parts.
        chip_size: Side of a chip, pixels.
        gsd: Side of a pixel, metres.
        block_px: Largest side of a block, pixels; from `chip_size` to `LARGEST_BLOCK_PX`.
        within: Where there may be pixels, such as the footprints of all scenes, in the same form as `area`. Blocks
            whose cell does not come near it are left out before they are cut; the others are the same as without.

    Yields:
        Blocks by zone, then from south to north and west to east, cut to the chips that they hold.

    Raises:
        AreaError: `block_px` is out of bounds.
    """
    if not chip_size <= block_px <= LARGEST_BLOCK_PX:
        limits = f"from {chip_size} (a chip) to {LARGEST_BLOCK_PX} pixels"
        raise AreaError(f"block of {block_px} pixels", limits, "correct --block-px or --chip-size")
    near = None if within is None else within.buffer(_WITHIN_MARGIN)
    shapely.prepare(near)
    span = _block_span(gsd, block_px)
    for epsg in _zones(area):
        lattice = Lattice(epsg, chip_size, gsd)
        part = _to_metres(_clip_to_zone(area, epsg), epsg)
        if part.is_empty:
            continue
        shapely.prepare(part)
        west, south, east, north = (math.floor(v / span) for v in part.bounds)
        # One cell more on each side: a cell's chips reach up to a chip beyond its edges.
        for block_row in range(south - 1, north + 2):
            for block_col in range(west - 1, east + 2):
                block = _cut_block(lattice, part, span, block_col, block_row, near)
                if block is not None:
                    yield block


def _block_span(gsd: int, block_px: int) -> float:
    """Side of a block's cell, metres: as many whole squares as `block_px` holds, else a whole fraction of one."""
    squares = block_px * gsd / SQUARE
    return SQUARE * math.floor(squares) if squares >= 1 else SQUARE / math.ceil(1 / squares)


def _to_metres(area: BaseGeometry, epsg: int) -> BaseGeometry:
    """An area given in degrees, in a zone's metres; long edges are densified first."""
    dense = shapely.segmentize(area, max_segment_length=0.05)
    return shapely.transform(dense, lambda xy: np.column_stack(from_lonlat(epsg).transform(*xy.T)))


def _cut_block(
    lattice: Lattice, part: BaseGeometry, span: float, block_col: int, block_row: int, near: BaseGeometry | None
) -> Block | None:
    """The chips of one cell of the block grid that meet `part` (metres), cut to their bounding box.

    None where no chip does, or where the cell does not meet `near` (degrees).

    A chip belongs to the cell that holds its south-west corner.
    """
    side = lattice.side
    first_col, end_col, first_row, end_row = (
        math.ceil(edge * span / side) for edge in (block_col, block_col + 1, block_row, block_row + 1)
    )
    if first_col == end_col or first_row == end_row:
        return None
    cell = (first_col * side, first_row * side, end_col * side, end_row * side)
    if not part.intersects(shapely.box(*cell)) or not _meets(near, _outline(lattice.epsg, cell)):
        return None
    cols, rows = np.arange(first_col, end_col), np.arange(end_row - 1, first_row - 1, -1)
    x, y = np.meshgrid(cols * side, rows * side)
    boxes = shapely.box(x, y, x + side, y + side)
    mask = shapely.intersects(part, boxes) & ~shapely.touches(part, boxes)
    mask &= _owned(lattice, x, y)
    if not mask.any():
        return None
    keep_rows, keep_cols = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    top, bottom, left, right = keep_rows[0], keep_rows[-1] + 1, keep_cols[0], keep_cols[-1] + 1
    block_id = f"{lattice.epsg}_{side}_{span:.0f}_{block_col}_{block_row}"
    cut = np.ascontiguousarray(mask[top:bottom, left:right])
    return Block(lattice, block_id, int(cols[left]), int(rows[bottom - 1]), cut, cell)


def _meets(near: BaseGeometry | None, outline: Polygon) -> bool:
    """Whether an outline may meet a geometry; both in degrees, the outline in one piece across the antimeridian."""
    if near is None or outline.bounds[3] > _POLAR:  # an outline around a pole is no polygon in degrees
        return True
    return any(near.intersects(translate(outline, xoff=turn)) for turn in (0, -360, 360))


def _owned(lattice: Lattice, x: NDArray[np.integer], y: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which chips, given by their south-west corners (metres), have a corner in this lattice's own zone."""
    owned = np.zeros(x.shape, dtype=bool)
    for dx, dy in ((0, 0), (0, 1), (1, 0), (1, 1)):
        lon, lat = to_lonlat(lattice.epsg).transform(x + dx * lattice.side, y + dy * lattice.side)
        owned |= utm_epsgs(lon, lat) == lattice.epsg
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
