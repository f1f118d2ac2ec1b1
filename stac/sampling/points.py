"""Where to look: points drawn as CACo, as SeCo, or evenly over an area.

- `caco`: a random one of the 10,000 most populated cities, and a normal offset of 5 km in each direction; what lies
  wholly in ocean is drawn again (CACo, section 3.5). The offset is laid out in metres on the ellipsoid. The paper says
  that 95 % of it lies within 10 km; that holds of one axis, of the distance 86 % do (1 - exp(-2)). Its code is not
  published.
- `seco`: the same with 50 km, and no look at the ocean, as SeCo's published code does it: kilometres become degrees by
  one factor on both axes, so that offsets shrink eastwards away from the equator
  (https://github.com/ServiceNow/seasonal-contrast, datasets/seco_downloader.py, commit 411e37e).
- `uniform`: evenly over the globe or an area, by area on the sphere; what lies wholly in ocean is drawn again.

A draw depends on the seed, the location's number and the attempt, on nothing else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from shapely.geometry import Polygon

from ..antimeridian import split_polygons
from ..area import Area
from ..errors import AreaError
from .cities import City, largest_cities
from .land import has_land
from .windows import Window

SamplerKind = Literal["caco", "seco", "uniform"]
SAMPLERS: tuple[str, ...] = get_args(SamplerKind)
SIGMA_KM: dict[str, float] = {"caco": 5.0, "seco": 50.0}
"""Spread of the normal offset on each axis, km. Sources: CACo, section 3.5; SeCo, `GaussianSampler`."""
CITIES = 10_000
"""Cities that points are drawn around. Source: both papers."""

OCEAN, OUTSIDE, POLAR = "ocean", "outside", "polar"
"""Why a point is drawn again: its window is all ocean; it lies outside the area; it lies outside UTM."""

_WGS84 = Geod(ellps="WGS84")
_KM_PER_DEGREE = 2 * np.pi * 6371 / 360  # SeCo's `km2deg`
_UTM_SOUTH, _UTM_NORTH = -80.0, 84.0
_WHOLE_GLOBE = shapely.box(-180, _UTM_SOUTH, 180, _UTM_NORTH)
_MOST_DRAWS = 2000
"""assumed: a hundred times what a coast wants; where so many points fit nowhere, none will."""
_POINT = 1


@dataclass(frozen=True)
class Draw:
    """One attempt at a location."""

    lon: float
    """Of the point, degrees."""
    lat: float
    """Of the point, degrees."""
    city: City | None
    """The city that it was drawn around; None where none was."""
    window: Window | None
    """The pixels around it; None where the latitude lies outside UTM."""
    reason: str
    """Why it is not taken: one of `OCEAN`, `OUTSIDE`, `POLAR`; empty where it is."""

    @property
    def city_km(self) -> float:
        """Distance from the city to the point, km; NaN without a city."""
        if self.city is None:
            return float("nan")
        return float(_WGS84.inv(self.city.lon, self.city.lat, self.lon, self.lat)[2]) / 1000


class Sampler:
    """Draws points."""

    def __init__(
        self, kind: SamplerKind, *, seed: int, side: int, area: Area | None = None, room: Area | None = None
    ) -> None:
        """Make a sampler.

        Args:
            kind: One of `SAMPLERS`. Where the area holds no city, `uniform` stands in: see `kind` afterwards.
            seed: From 0.
            side: Of a window, pixels of 10 m, even.
            area: Only cities and points in it; None means everywhere.
            room: Windows must lie in it, whole, as there is nothing beyond; None means that there is.

        Raises:
            AreaError: Area and room share nothing.
            DataError: The land mask is not installed.
        """
        area = _common(area, room)
        self.seed, self.side, self.area, self.room = seed, side, area, room
        self.cities = largest_cities(CITIES, area) if kind != "uniform" else ()
        self.kind: SamplerKind = kind if self.cities else "uniform"
        if self.kind != "seco":
            has_land(0, 0, 0, 0)  # load the mask here, not in several threads at once

    def first(self, number: int, attempt: int = 0) -> tuple[int, Draw, Counter[str]]:
        """The first draw from an attempt on that is taken.

        Args:
            number: Of the location, from 0.
            attempt: From 0.

        Returns:
            Its attempt, the draw, and how many before it were not taken, by reason.

        Raises:
            AreaError: None was taken in a great many.
        """
        rejected: Counter[str] = Counter()
        for turn in range(attempt, attempt + _MOST_DRAWS):
            draw = self.draw(number, turn)
            if not draw.reason:
                return turn, draw, rejected
            rejected[draw.reason] += 1
        name = self.area.name if self.area else "the globe"
        told = ", ".join(f"{count} {reason}" for reason, count in rejected.most_common())
        raise AreaError(
            f"none of {_MOST_DRAWS} points drawn for {name} can be taken ({told})",
            f"land, and room for a window of {self.side} pixels",
            "widen the area, or lower --side",
        )

    def draw(self, number: int, attempt: int) -> Draw:
        """One attempt, taken or not.

        Args:
            number: Of the location, from 0.
            attempt: From 0.
        """
        rng = np.random.default_rng([self.seed, number, attempt, _POINT])
        city = self.cities[int(rng.integers(len(self.cities)))] if self.kind != "uniform" else None
        lon, lat = self._evenly(rng) if city is None else _around(city, self.kind, rng)
        if not _UTM_SOUTH <= lat < _UTM_NORTH:
            return Draw(lon, lat, city, None, POLAR)
        window = Window.around(lon, lat, self.side)
        return Draw(lon, lat, city, window, self._fault(lon, lat, window))

    def _fault(self, lon: float, lat: float, window: Window) -> str:
        """Why a point is not taken; empty where it is."""
        if self.area is not None and not self.area.contains(lon, lat):
            return OUTSIDE
        if self._room is not None and not shapely.covers(self._room, window.outline):
            return OUTSIDE
        return OCEAN if self.kind != "seco" and not has_land(*window.ring.bounds) else ""

    @cached_property
    def _room(self) -> shapely.Geometry | None:
        """What windows must lie in; None where they need not."""
        if self.room is None:
            return None
        room = shapely.from_wkb(shapely.to_wkb(self.room.geometry))  # prepare() acts in place, and fields are shared
        shapely.prepare(room)
        return room

    @cached_property
    def _parts(self) -> tuple[list[Polygon], NDArray[np.float64]]:
        """Polygons to draw from, and how much of the whole each is, by area on the sphere."""
        parts = list(shapely.get_parts(_WHOLE_GLOBE if self.area is None else self.area.geometry))
        for part in parts:
            shapely.prepare(part)
        size = shapely.area([shapely.transform(part, _to_equal_area) for part in parts])
        return parts, size / size.sum()

    def _evenly(self, rng: np.random.Generator) -> tuple[float, float]:
        """A point anywhere in the area, degrees."""
        parts, shares = self._parts
        part = parts[int(rng.choice(len(parts), p=shares))]
        west, south, east, north = part.bounds
        lon = lat = float("nan")
        for _ in range(_MOST_DRAWS):
            lon = float(rng.uniform(west, east))
            lat = float(np.degrees(np.arcsin(rng.uniform(*np.sin(np.radians([south, north]))))))
            if shapely.intersects_xy(part, lon, lat):
                break
        return lon, lat


def _common(area: Area | None, room: Area | None) -> Area | None:
    """What two areas share; None stands for everywhere."""
    if area is None or room is None:
        return area or room
    shared = split_polygons(shapely.intersection(area.geometry, room.geometry))
    if shared.is_empty:
        raise AreaError(
            f"{area.name} shares nothing with {room.name}", "an area that the catalog's items show", "correct --area"
        )
    return Area(area.name, shared)


def _around(city: City, kind: SamplerKind, rng: np.random.Generator) -> tuple[float, float]:
    """A point at a normal offset from a city, degrees within ±180; the latitude may lie beyond a pole for `seco`."""
    if kind == "caco":
        east, north = rng.normal(0, SIGMA_KM[kind] * 1000, size=2)
        bearing = float(np.degrees(np.arctan2(east, north)))
        lon, lat, _ = _WGS84.fwd(city.lon, city.lat, bearing, float(np.hypot(east, north)))
    else:
        lon, lat = rng.normal((city.lon, city.lat), SIGMA_KM[kind] / _KM_PER_DEGREE)
    return float((lon + 180) % 360 - 180), float(lat)


def _to_equal_area(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Degrees (N, 2) → the cylindrical equal-area map."""
    return np.column_stack([lonlat[:, 0], np.degrees(np.sin(np.radians(lonlat[:, 1])))])
