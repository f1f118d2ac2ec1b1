"""What the page shows, as one record, and its two-way translation to the address bar.

Everything that comes from an address is checked here: a store by its plain name, never by a path; numbers, dates and
coordinates within their range. What is wrong gives a sentence and is left out; the rest of the view still opens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from .stores import is_plain_name

HIT_COUNTS: tuple[int, ...] = (10, 20, 40, 80, 160)
"""Numbers of hits to choose from."""

DEFAULT_K = 40

_EVENT = re.compile(r"[\w-]{1,120}")


@dataclass(frozen=True)
class View:
    """One view of the page; two people who open the same view see the same thing."""

    store: str | None = None
    """Name of the store's folder."""
    event: str | None = None
    """`event_id` of the picked event."""
    at: tuple[float, float] | None = None
    """Longitude, latitude in degrees, of a place picked by coordinates; goes with `dates`."""
    dates: tuple[date, date] | None = None
    """Before and after (UTC), of a place picked by coordinates."""
    hit: str | None = None
    """`event_id` of the hit that is shown below the picked event."""
    k: int = DEFAULT_K
    """Number of hits."""
    place: str = ""
    """Place filter: a name or `W,S,E,N`; empty for everywhere."""
    period: tuple[date, date] | None = None
    """Period filter, both days included; None for any time."""


def parse_view(params: Mapping[str, str]) -> tuple[View, list[str]]:
    """A view from the parameters of an address.

    Args:
        params: As `view_params` gives them; anything else may stand there too.

    Returns:
        The view, and one sentence for each parameter that was left out because it makes no sense.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, norm in _NORMS.items():
        text = params.get(name)
        if text is None or not text.strip():
            continue
        try:
            values[name] = norm(text if name == "store" else text.strip())  # a folder's name may end in a blank
        except ValueError as err:
            problems.append(f"The link's {name} '{text[:60]}' was left out: {err}.")
    if ("at" in values) != ("dates" in values):
        lone = "at" if "at" in values else "dates"
        problems.append(f"The link's {lone} was left out: a place picked by coordinates needs both 'at' and 'dates'.")
        del values[lone]
    if "event" in values and "at" in values:
        del values["at"], values["dates"]
    return View(**values), problems


def view_params(view: View) -> dict[str, str]:
    """The parameters that restore a view; what stands at its default is left out."""
    defaults = View()
    out: dict[str, str] = {}
    for field in fields(View):
        value = getattr(view, field.name)
        if value == getattr(defaults, field.name):
            continue
        if field.name == "at":
            out["at"] = f"{value[0]:.6f},{value[1]:.6f}"
        elif field.name in ("dates", "period"):
            out[field.name] = f"{value[0].isoformat()}/{value[1].isoformat()}"
        else:
            out[field.name] = str(value)
    return out


def norm_store_name(text: str) -> str:
    """The plain name of a store's folder.

    Raises:
        ValueError: It could be a path.
    """
    if not is_plain_name(text):
        raise ValueError("a store is given by the name of its folder")
    return text


def norm_lonlat(text: str) -> tuple[float, float]:
    """Longitude and latitude, degrees, of `LON,LAT` (a comma, a semicolon or a space between).

    Raises:
        ValueError: Not two numbers, or outside ±180 and ±90.
    """
    parts = [part for part in re.split(r"[,;\s]+", text.strip()) if part]
    try:
        lon, lat = (float(part) for part in parts)
    except ValueError:
        raise ValueError("coordinates are longitude, latitude in degrees, such as -121.5, 39.8") from None
    if not (math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90):
        raise ValueError("longitude lies within ±180 and latitude within ±90; longitude comes first")
    return lon, lat


def norm_dates(text: str) -> tuple[date, date]:
    """The two days of `START/END`.

    Raises:
        ValueError: Not two dates, or in the wrong order.
    """
    parts = text.split("/")
    try:
        first, last = (date.fromisoformat(part.strip()) for part in parts)
    except ValueError:
        raise ValueError("two dates are written like 2023-06-01/2023-09-30") from None
    if first > last:
        raise ValueError("the first date lies after the second")
    return first, last


def _norm_event(text: str) -> str:
    if not _EVENT.fullmatch(text):
        raise ValueError("an event's id has letters, digits, '_' and '-' only")
    return text


def _norm_k(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) not in HIT_COUNTS:
        raise ValueError("the number of hits is one of " + ", ".join(map(str, HIT_COUNTS)))
    return int(text)


def _norm_place(text: str) -> str:
    if len(text) > 100 or not text.isprintable():
        raise ValueError("a place is a name or W,S,E,N of at most 100 characters")
    if text.startswith(("/", "\\", ".", "~", "{", "<")) or "://" in text:
        raise ValueError("a place is a name or W,S,E,N, not a file")
    return text


_NORMS: dict[str, Callable[[str], Any]] = {
    "store": norm_store_name,
    "event": _norm_event,
    "at": norm_lonlat,
    "dates": norm_dates,
    "hit": _norm_event,
    "k": _norm_k,
    "place": _norm_place,
    "period": norm_dates,
}
