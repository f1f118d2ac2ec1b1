"""Planted truth of the simulated archive: where and when the ground changed for good, and how that looks later.

Four classes: `wildfire` (spreads over fuel and slope; char, then a slow return), `road` (cleared, graded, surfaced),
`clear_cut` (a compact block in conifers or oaks; bare, then regrowth), `solar_farm` (graded fields, then panels).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from .simulate_landscape import Landscape
from .simulate_shapes import MAKERS
from .simulate_spectra import BURNT_SOIL, CHAR, EARTHWORK, GRASS, PANEL, SOIL, SURFACE, Season, rise
from .simulate_terrain import Field, blur

CLEARANCE = 16
"""Pixels kept free between two events, so that each has its own truth."""

_MARGIN = 60
"""Days from the archive's ends in which nothing starts or is still going on."""

_LENGTHS = {"wildfire": (3, 12), "road": (90, 190), "clear_cut": (12, 35), "solar_farm": (100, 170)}
"""Class → shortest and longest duration, days."""


@dataclass(frozen=True, eq=False)
class Event:
    """One change, in a window of the ground."""

    event_id: str
    """Class and number, `wildfire-01`."""
    kind: str
    """`wildfire`, `road`, `clear_cut` or `solar_farm`."""
    start: date
    """First day on which the ground differs."""
    end: date
    """Day on which the work (or the burning) is over."""
    top: int
    """First row of the window, pixels."""
    left: int
    """First column of the window, pixels."""
    strength: Field
    """(h, w), 0 outside, up to 1: severity of a fire, part of a pixel that a site takes."""
    onset: Field
    """(h, w), from 0 (start) to 1 (end): when a pixel's turn comes."""

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the window."""
        rows, cols = self.strength.shape
        return slice(self.top, self.top + rows), slice(self.left, self.left + cols)


def plant_events(
    land: Landscape, counts: Mapping[str, int], dates: tuple[date, date], rng: np.random.Generator
) -> list[Event]:
    """Choose where and when events happen; none touches another.

    Args:
        land: The ground.
        counts: Class → how many are wanted; fewer come where the ground has no room.
        dates: First and last day of the archive; events lie well inside.
        rng: Where chance comes from.

    Returns:
        Events in the order of `counts`, numbered within each class.
    """
    taken = np.zeros(land.shape, dtype=bool)
    taken[:6], taken[-6:], taken[:, :6], taken[:, -6:] = True, True, True, True
    events: list[Event] = []
    for kind, count in counts.items():
        done = 0
        for _ in range(count * 60):
            if done == count:
                break
            shape = MAKERS[kind](land, taken, rng)
            if shape is None:
                continue
            when = _when(kind, done, count, dates, rng)
            events.append(_cut_event(f"{kind.replace('_', '-')}-{done + 1:02d}", kind, when, *shape))
            taken |= blur((shape[0] > 0).astype(np.float32), CLEARANCE, 1) > 1e-6
            done += 1
    return events


def _when(kind: str, turn: int, count: int, dates: tuple[date, date], rng: np.random.Generator) -> tuple[date, date]:
    """First and last day of an event: spread over the archive, two months from its ends, fires in the dry months."""
    days = (dates[1] - dates[0]).days
    length = int(rng.integers(*_LENGTHS[kind]))
    spread = max(days - length - 2 * _MARGIN, 1) * (turn + rng.uniform(0.1, 0.9)) / count
    start = dates[0] + timedelta(days=_MARGIN + int(spread))
    if kind == "wildfire":
        dry = int(rng.integers(0, 110))
        start = date(start.year, 6, 10) + timedelta(days=dry)
        if start + timedelta(days=length + _MARGIN) > dates[1]:
            start = date(start.year - 1, 6, 10) + timedelta(days=dry)
    return start, start + timedelta(days=length)


def _cut_event(event_id: str, kind: str, when: tuple[date, date], strength: Field, onset: Field) -> Event:
    """The event in its own window, with a border of two pixels."""
    rows, cols = np.nonzero(strength > 0)
    top, left = int(rows.min()) - 2, int(cols.min()) - 2
    cut = slice(top, int(rows.max()) + 3), slice(left, int(cols.max()) + 3)
    return Event(event_id, kind, *when, top, left, strength[cut].copy(), onset[cut].copy())


def apply_event(event: Event, image: NDArray[np.float32], day: date, season: Season, texture: Field) -> None:
    """Draw an event into reflectance as it looks on a day; nothing before its start.

    Args:
        event: The event.
        image: (bands, H, W), reflectance of the whole ground, changed in place.
        day: The day.
        season: How living covers look that day (regrowth follows it).
        texture: (H, W), zero mean, unit spread.
    """
    age = (day - event.start).days
    if age < 0:
        return
    rows, cols = event.window
    span = (event.end - event.start).days
    here = event.strength * (event.onset * span <= age)
    green = float(season.green[GRASS])
    grass = season.poor[GRASS] + green * (season.rich[GRASS] - season.poor[GRASS])
    grain = 1 + 0.05 * texture[rows, cols]
    for weight, spectrum in _LOOKS[event.kind](here, age, span, grass):
        part = image[:, rows, cols]
        part += weight * (spectrum[:, None, None] * grain - part)


_Layers = list[tuple[Field, NDArray[np.float32]]]


def _burnt(here: Field, age: int, span: int, grass: NDArray[np.float32]) -> _Layers:
    """Char washes off in a year, herbs come with the first spring, shrubs over many years."""
    char = float(np.exp(-max(age - 20, 0) / 210))
    herbs = 0.42 * rise(age, 150, 500)
    bare = char * CHAR + (1 - char) * BURNT_SOIL
    kept = 1 - 0.45 * rise(age, 120, 1600)
    return [(here * np.float32(kept), (1 - herbs) * bare + herbs * grass)]


def _felled(here: Field, age: int, span: int, grass: NDArray[np.float32]) -> _Layers:
    """Slash and soil, grass in the second year, seedlings later."""
    herbs = 0.55 * rise(age - span, 90, 700)
    return [(here * np.float32(0.96), (1 - herbs) * SOIL + herbs * grass)]


def _built_road(here: Field, age: int, span: int, grass: NDArray[np.float32]) -> _Layers:
    """The whole width is cleared at once behind the machines; the middle is surfaced in the last third."""
    done = np.float32(rise(age, span * 0.66, span * 0.34))
    middle = here * (here > 0.99)
    verge = 0.5 * rise(age, span, 260)
    return [(here, (1 - verge) * EARTHWORK + verge * grass), (middle * done, SURFACE)]


def _panelled(here: Field, age: int, span: int, grass: NDArray[np.float32]) -> _Layers:
    """Graded earth, then panels row by row."""
    done = np.float32(0.9 * rise(age, span * 0.45, span * 0.5))
    return [(here * np.float32(0.92), EARTHWORK), (here * done, PANEL)]


_LOOKS: dict[str, Callable[[Field, int, int, NDArray[np.float32]], _Layers]] = {
    "wildfire": _burnt,
    "road": _built_road,
    "clear_cut": _felled,
    "solar_farm": _panelled,
}
