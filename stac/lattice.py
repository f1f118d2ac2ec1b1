"""The chip lattice: the fixed grid of square chips in each UTM zone.

A lattice is anchored at easting/northing 0, so chip edges fall on Sentinel-2's own 10 m pixel edges (tile origins are
multiples of 20 m: "Sentinel-2 Products Specification Document", S2-PDGS-TAS-DI-PSD, §4.9) and a chip has the same
`location_id` in any run, on any machine.

Rows count northwards (row 0 starts at northing 0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.geometry import Polygon

from .errors import AreaError


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
        """The chip's four corners as a polygon, degrees (in one piece, beyond ±180, across the antimeridian)."""
        west, south, east, north = self.bounds(col, row)
        return new_polygon(self.epsg, np.array([[west, south], [east, south], [east, north], [west, north]]))

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


def new_polygon(epsg: int, ring: NDArray[np.number]) -> Polygon:
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


def utm_epsgs(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.int64]:
    """`utm_epsg` of many points (N,), degrees; 0 outside UTM and where a coordinate is not finite."""
    inside = np.isfinite(lon) & (lat >= -80) & (lat <= 84)
    lon, lat = np.where(inside, lon, 0.0), np.where(inside, lat, 0.0)
    zone = np.floor((lon + 180) % 360 / 6) + 1
    zone = np.where((lat >= 56) & (lat < 64) & (lon >= 3) & (lon < 12), 32, zone)
    svalbard = 31 + 2 * np.floor((lon + 3) / 12)
    zone = np.where((lat >= 72) & (lon >= 0) & (lon < 42), svalbard, zone)
    return np.where(inside, np.where(lat >= 0, 32600, 32700) + zone, 0).astype(np.int64)


def locate(lon: float, lat: float, chip_size: int, gsd: int) -> Location:
    """The location that holds a point (degrees), in the zone that MGRS uses there."""
    lattice = Lattice(utm_epsg(lon, lat), chip_size, gsd)
    return Location(lattice, *lattice.locate(lon, lat))
