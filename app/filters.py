"""Place and period filters, from what a person types or what an address says.

Here a place is `W,S,E,N` or a name. Unlike the commands, the page never takes it for a file: the text may come from
somebody else's link.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from stac.area import Area, norm_area
from stac.errors import AreaError
from stac.period import Period
from stac.places import find_place

_BOX = re.compile(r"\s*[-+.\deE]+\s*(?:,\s*[-+.\deE]+\s*){2,}")


@dataclass(frozen=True)
class Place:
    """A place filter. Two are equal when their names are."""

    name: str
    area: Area = field(compare=False)


@dataclass(frozen=True)
class Filters:
    """What hits have to pass."""

    place: Place | None = None
    """None for everywhere."""
    period: Period | None = None
    """None for any time."""
    wrong: bool = False
    """A filter was given that means nothing: nothing passes until it is mended."""


def resolve_place(text: str) -> Place | None:
    """The place that a text means, or None for an empty one.

    Args:
        text: `W,S,E,N` in degrees, or a place name.

    Raises:
        AreaError: It is neither.
    """
    text = text.strip()
    if not text:
        return None
    if _BOX.fullmatch(text):
        return Place(text, norm_area(text))
    try:
        found = find_place(text)
    except AreaError as err:  # the commands take files too, the page does not
        raise AreaError(err.found, err.expected, "correct the name, or give W,S,E,N in degrees") from None
    return Place(found.name, Area(found.name, norm_area(found.geometry).geometry))


def resolve_period(days: tuple[date, date] | None) -> Period | None:
    """The period from the start of one day to the end of another, UTC."""
    if days is None:
        return None
    return Period(datetime.combine(days[0], time(0), UTC), datetime.combine(days[1], time.max, UTC))


def bounds_text(bounds: Mapping[str, Any] | None) -> str:
    """`W,S,E,N` of the map's bounds as streamlit-folium reports them; empty while they are unknown or make no box."""
    try:
        south_west, north_east = (bounds or {})["_southWest"], (bounds or {})["_northEast"]
        west, south = float(south_west["lng"]), max(float(south_west["lat"]), -90.0)
        east, north = float(north_east["lng"]), min(float(north_east["lat"]), 90.0)
    except (KeyError, TypeError, ValueError):
        return ""
    if not (west < east and south < north):
        return ""
    if east - west >= 360:
        west, east = -180.0, 180.0
    west, east = ((lon + 180) % 360 - 180 if abs(lon) > 180 else lon for lon in (west, east))
    return f"{west:.4f},{south:.4f},{east:.4f},{north:.4f}"
