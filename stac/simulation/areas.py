"""Where the simulated archives lie and how large they are: areas with their tiles, and the sizes to choose from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import numpy as np
from shapely.geometry import Polygon

from ..lattice import new_polygon, to_lonlat

PIXEL = 10
"""Side of a pixel of the ground, metres."""

Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Area:
    """A ground with two overlapping tiles, side by side."""

    name: str
    """Name in the archive: the beginning of its events' ids, and the key of its chance."""
    biome: str
    """Name in `biomes.BIOMES`."""
    epsg: int
    """EPSG code of its UTM zone."""
    west: int
    """West edge, metres: a multiple of 20, like every tile's, and not of 640, the side of a chip."""
    north: int
    """North edge, metres: likewise."""
    tile_px: int
    """Side of a tile, pixels of 10 m, even."""
    step_px: int
    """Pixels from the first tile's west edge to the second's, even, at most `tile_px`."""
    tiles: tuple[str, str]
    """MGRS names of the tiles, west and east; the tiles' size is the simulation's."""
    split: Split
    """Part of an experiment that all of the area belongs to: neighbours look alike, so areas are never divided."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the ground, pixels."""
        return self.tile_px, self.tile_px + self.step_px

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the middle, degrees."""
        rows, cols = self.shape
        lon, lat = to_lonlat(self.epsg).transform(self.west + PIXEL * cols / 2, self.north - PIXEL * rows / 2)
        return float(lon), float(lat)

    @property
    def outline(self) -> Polygon:
        """The ground's four corners, degrees."""
        rows, cols = self.shape
        east, south = self.west + PIXEL * cols, self.north - PIXEL * rows
        ring = [(self.west, south), (east, south), (east, self.north), (self.west, self.north)]
        return new_polygon(self.epsg, np.array(ring))

    def left(self, tile: str) -> int:
        """First column of a tile, pixels of the ground.

        Raises:
            ValueError: The area has no such tile.
        """
        return self.step_px * self.tiles.index(tile)


@dataclass(frozen=True)
class Plan:
    """How much to simulate, and how it is stored."""

    areas: tuple[Area, ...]
    """Grounds to draw."""
    events: int
    """Labelled changes wanted in each area; fewer come where the ground has no room."""
    first: date = date(2021, 1, 1)
    """First day of the archive."""
    last: date = date(2023, 12, 31)
    """Last day of the archive."""
    twins: float = 0.03
    """Part of the items that is there a second time, from another processing; at least one in each area."""
    campaign_days: int = 0
    """Days in a row, begun in 2022, whose every item is there a second time: a reprocessing campaign."""
    step: int = 1
    """Reflectance × 10,000 is rounded to multiples of this, from 1 (as drawn) up: see `files.write_item`."""


def _new_area(name: str, epsg: int, corner: tuple[int, int], tiles: tuple[str, str], split: Split) -> Area:
    """An area of 10.2 by 6.4 km, named after its biome."""
    return Area(name, name, epsg, *corner, tile_px=640, step_px=384, tiles=tiles, split=split)


_DEMO_AREA = _new_area("mediterranean", 32610, (594_860, 4_388_300), ("10SEJ", "10SFJ"), "test")

# Smaller than the others, and rounded to steps of 16: 300 MB hold it. The rounding's error, 16 / sqrt(12) = 4.6 (0.0005
# in reflectance), is about half of the instrument's noise (`optics.reference`).
_DEMO = Plan((replace(_DEMO_AREA, name="demo", tile_px=464, step_px=416),), events=60, step=16)

_BENCHMARK = Plan(
    (
        _new_area("mediterranean", 32610, (694_900, 4_142_660), ("10SFG", "10SGG"), "test"),
        _new_area("temperate", 32632, (594_940, 5_272_380), ("32TNT", "32TPT"), "train"),
        _new_area("boreal", 32633, (494_900, 6_908_260), ("33VVK", "33VWK"), "test"),
        _new_area("rainforest", 32720, (494_780, 8_982_740), ("20LMQ", "20LNQ"), "train"),
        _new_area("savanna", 32735, (594_820, 8_297_060), ("35LNC", "35LPC"), "val"),
        _new_area("desert", 32611, (694_740, 3_686_420), ("11SPS", "11SQS"), "train"),
        _new_area("cropland", 32615, (494_940, 4_583_140), ("15TVF", "15TWF"), "train"),
        _new_area("coast", 32631, (494_820, 5_672_900), ("31UDS", "31UES"), "val"),
    ),
    events=60,
    # assumed: catalogs that keep earlier processings hold about as many where a collection was processed anew.
    twins=0.12,
    campaign_days=300,
)

SIZES: dict[str, Plan] = {"demo": _DEMO, "benchmark": _BENCHMARK}
"""Name → plan. `demo` is one area in northern California; `benchmark` is eight, one of each biome, each in a UTM zone
of its own, with warm, cold, wet and dry country in the splits.

Places: near those of `biomes.BIOMES`, each moved to a line between two MGRS squares of 100 km, so that both tiles bear
the names of the squares in which their middles lie; the coast lies in Flanders, as its biome's own place shares a zone.
"""
