"""Windows: the square of pixels around a point that a series shows.

A window lies on the pixels of its UTM zone's tiles: its edges are multiples of 20 m, as the origins of tiles are
("Sentinel-2 Products Specification Document", S2-PDGS-TAS-DI-PSD, §4.9), so bands of 10 and of 20 m are both copied,
never resampled. It is no location of the chip lattice: there the nearest chip may lie half a side away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from shapely.geometry import MultiPolygon, Polygon

from ..antimeridian import split_polygons
from ..blocks import Block
from ..lattice import Lattice, from_lonlat, new_polygon, to_lonlat, utm_epsg
from ..window import Grid

GSD, COARSE = 10, 20
"""Sides of the two kinds of pixels, metres."""
LEAST_SIDE, MOST_SIDE = 2, 10_000
"""Sides of a window, pixels of 10 m: one pixel of 20 m; nearly a tile."""


@dataclass(frozen=True)
class Window:
    """A square of pixels in one UTM zone."""

    epsg: int
    """EPSG code of the zone."""
    west: int
    """Left edge, metres, a multiple of 20."""
    north: int
    """Upper edge, metres, a multiple of 20."""
    side: int
    """Pixels of 10 m along a side, even."""

    @classmethod
    def around(cls, lon: float, lat: float, side: int) -> Window:
        """The window whose middle is nearest to a point, in the zone that MGRS uses at the point.

        Args:
            lon: Degrees.
            lat: Degrees.
            side: Pixels of 10 m, even.

        Raises:
            AreaError: The latitude lies outside UTM (-80° to 84°).
        """
        epsg = utm_epsg(lon, lat)
        x, y = from_lonlat(epsg).transform(lon, lat)
        half = side * GSD / 2
        return cls(epsg, COARSE * round((x - half) / COARSE), COARSE * round((y + half) / COARSE), side)

    @property
    def centre(self) -> tuple[float, float]:
        """Easting and northing of the middle, metres."""
        half = self.side * GSD / 2
        return self.west + half, self.north - half

    @property
    def lonlat(self) -> tuple[float, float]:
        """Longitude and latitude of the middle, degrees."""
        lon, lat = to_lonlat(self.epsg).transform(*self.centre)
        return float(lon), float(lat)

    @property
    def ring(self) -> Polygon:
        """The four corners, degrees, in one piece: beyond ±180 across the antimeridian."""
        size = self.side * GSD
        east, south = self.west + size, self.north - size
        corners = [[self.west, south], [east, south], [east, self.north], [self.west, self.north]]
        return new_polygon(self.epsg, np.array(corners))

    @property
    def outline(self) -> Polygon | MultiPolygon:
        """The four corners, degrees within ±180, split at the antimeridian."""
        return split_polygons(self.ring)

    @property
    def block(self) -> Block:
        """The window as a block of pixels of 20 m, for what `stac.coverage` says of blocks."""
        count = self.side * GSD // COARSE
        lattice = Lattice(self.epsg, COARSE // GSD, GSD)
        name = f"{self.epsg}_{self.west}_{self.north}_{self.side}"
        row0 = self.north // COARSE - count
        return Block(lattice, name, self.west // COARSE, row0, np.ones((count, count), dtype=bool))

    def grid(self, gsd: int) -> Grid:
        """The window's pixels of 10 or 20 m."""
        count = self.side * GSD // gsd
        return Grid(self.epsg, self.west, self.north, gsd, (count, count))
