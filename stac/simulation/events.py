"""Where and when the simulated ground changes: labelled events of eleven classes, none of which touches another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes
from shapely.geometry import MultiPolygon, Polygon

from ..errors import DataError
from .biomes import BIOMES, Biome
from .change import Change
from .ground import Ground
from .looks import finish_days
from .shapes import MARGIN, Shape, Survey, crowding
from .shapes_building import new_quarter, new_solar_farm
from .shapes_burn import new_fire
from .shapes_earth import new_landslide
from .shapes_felling import new_clear_cut, new_logging
from .shapes_flood import new_flood
from .shapes_mine import new_mine
from .shapes_road import new_road
from .shapes_water import new_draining, new_filling

Maker = Callable[[Survey, np.random.Generator], Shape | None]
"""Proposes one shape on the ground, or None where the place that chance chose has no room for it."""

MAKERS: dict[str, Maker] = {
    "reservoir_drain": new_draining,
    "reservoir_fill": new_filling,
    "flood": new_flood,
    "landslide": new_landslide,
    "urban": new_quarter,
    "solar_farm": new_solar_farm,
    "mine": new_mine,
    "logging": new_logging,
    "wildfire": new_fire,
    "road": new_road,
    "clear_cut": new_clear_cut,
}
"""Class → maker, in the order in which they are planted: first what is bound to a place or needs much room."""

LENGTHS: dict[str, tuple[int, int]] = {
    "wildfire": (2, 10),
    "road": (90, 300),
    "clear_cut": (14, 56),
    "logging": (60, 240),
    "urban": (180, 540),
    "solar_farm": (120, 185),
    "reservoir_fill": (60, 180),
    "reservoir_drain": (30, 150),
    "flood": (2, 8),
    "landslide": (1, 1),
    "mine": (365, 730),
}
"""Class → shortest and longest duration, days. assumed: as is usual for each kind. That of a flood is its rise; that of
a landslide ends on the next day, when all of it is seen."""

BORDER = 60
"""Days from the period's ends in which nothing starts or is still going on."""

PROPOSALS = 60
"""Shapes that are tried for an event before it is left out."""

MISSES = 2
"""Events of a class that may be left out before the ground counts as full for it."""


def new_counts(biome: Biome, total: int) -> dict[str, int]:
    """How many events of each class, by the method of largest remainders.

    Args:
        biome: Whose frequencies count.
        total: How many in all.

    Returns:
        Class → count, in the order of `biome.events`, for classes with a frequency above 0; they sum to `total`. Every
        class gets one at least when there are as many events as classes.
    """
    kinds = [kind for kind, often in biome.events.items() if often > 0]
    if not kinds or total <= 0:
        return dict.fromkeys(kinds, 0)
    whole = sum(biome.events[kind] for kind in kinds)
    quota = np.array([total * biome.events[kind] / whole for kind in kinds])
    counts = np.floor(quota).astype(int)
    if total >= len(kinds):
        counts = np.maximum(counts, 1)
    while counts.sum() != total:
        over = counts.sum() > total
        if over:
            counts[int(np.argmax(np.where(counts > 1, counts - quota, -np.inf)))] -= 1
        else:
            counts[int(np.argmax(quota - counts))] += 1
    return dict(zip(kinds, counts.tolist(), strict=True))


def plant_changes(
    ground: Ground, counts: Mapping[str, int], dates: tuple[date, date], rng: np.random.Generator
) -> list[Change]:
    """Choose where and when events happen; none touches another.

    Args:
        ground: The ground.
        counts: Class → how many are wanted; fewer come where the ground has no room.
        dates: First and last day of the period; events start and end at least `BORDER` days inside.
        rng: Where chance comes from.

    Returns:
        Changes in the order of `counts`, numbered within each class.

    Raises:
        DataError: If a class is not one of `MAKERS`, or the period is too short for any event.
    """
    wrong = [kind for kind in counts if kind not in MAKERS]
    if wrong:
        raise DataError(f"no class of event is called {wrong[0]}", " or ".join(MAKERS), "correct the counts")
    room = (dates[1] - dates[0]).days - 2 * BORDER
    if room < 2:
        raise DataError(
            f"a period of {(dates[1] - dates[0]).days} days", f"at least {2 * BORDER + 2}", "simulate more months"
        )
    taken = np.ones(ground.shape, dtype=bool)
    taken[MARGIN:-MARGIN, MARGIN:-MARGIN] = False
    survey, biome = Survey(ground, taken, crowding(counts, ground.shape)), BIOMES[ground.biome]
    planted: dict[str, list[Change]] = {kind: [] for kind in counts}
    for kind in (kind for kind in MAKERS if kind in counts):
        missed = 0
        for turn in range(counts[kind]):
            shape = _propose(MAKERS[kind], survey, rng) if missed < MISSES else None
            if shape is None:
                missed += 1
                continue
            survey.take(shape)
            when = _when(kind, (turn, counts[kind]), dates, biome, rng)
            name = f"{kind.replace('_', '-')}-{turn + 1:02d}"
            place, onset = (shape.top, shape.left), _end_with_the_works(shape.onset, kind, *when)
            planted[kind].append(Change(name, kind, *when, *place, shape.strength, onset, shape.zone))
    return [change for changes in planted.values() for change in changes]


def _end_with_the_works(onset: NDArray[np.float32], kind: str, start: date, end: date) -> NDArray[np.float32]:
    """When pixels' turns come, so early that what is built on the last one stands on the last day."""
    span = (end - start).days
    return onset * np.float32(max(1 - finish_days(kind, span) / max(span, 1), 0.0))


def _propose(maker: Maker, survey: Survey, rng: np.random.Generator) -> Shape | None:
    """The first proposal that finds room; the later ones are smaller."""
    usual, found = survey.crowding, None
    for turn in range(PROPOSALS):
        survey.crowding = usual * (1 - 0.8 * turn / PROPOSALS)
        found = maker(survey, rng)
        if found is not None:
            break
    survey.crowding = usual
    return found


def month_weights(kind: str, biome: Biome) -> NDArray[np.float64]:
    """(12,), how likely each month is as the start of an event of a class, January first; at least one is above 0.

    assumed: fires start in the dry months; floods, slides and fillings in the wet ones; sites where no snow lies,
    rather when it is dry; trees are felled for clear-cuts all year round. Months far below the best one are left out.
    """
    dry, snow = np.array(biome.dry, dtype=np.float64), np.array(biome.snow, dtype=np.float64)
    dry = dry / max(float(dry.max()), 1e-9)
    bare = np.clip(1 - snow, 0, 1)
    weights = {
        "wildfire": dry,
        "flood": (1.05 - dry) * bare,
        "landslide": (1.05 - dry) * bare,
        "reservoir_fill": 1.05 - dry,
        "reservoir_drain": (0.2 + dry) * bare,
        "clear_cut": np.ones(12),
    }.get(kind, (0.5 + dry) * bare)
    kept = np.where(weights >= 0.4 * weights.max(), weights, 0)
    return kept if kept.any() else np.ones(12)


def _when(
    kind: str, turn: tuple[int, int], dates: tuple[date, date], biome: Biome, rng: np.random.Generator
) -> tuple[date, date]:
    """First and last day of the event number turn[0] of turn[1]: in its share of the period, in its season.

    Where the share holds no day of the season, a day of the season elsewhere in the period is taken, and where the
    period holds none at all, any day.
    """
    first, last = dates[0] + timedelta(days=BORDER), dates[1] - timedelta(days=BORDER)
    room = (last - first).days
    shortest, longest = LENGTHS[kind]
    length = min(int(rng.integers(shortest, longest + 1)), max(int(0.8 * room), 1))
    starts = [first + timedelta(days=n) for n in range(room - length + 1)]
    by_month = month_weights(kind, biome)
    weights = by_month[[day.month - 1 for day in starts]]
    place = (np.arange(len(starts)) + 0.5) / len(starts) * turn[1]
    weights = weights * np.where((place >= turn[0]) & (place < turn[0] + 1), 1.0, 1e-4)
    if not weights.any():
        weights = np.ones(len(starts))
    steps = np.cumsum(weights)
    chosen = int(np.searchsorted(steps, rng.random() * steps[-1], side="right"))
    start = starts[min(chosen, len(starts) - 1)]
    return start, start + timedelta(days=length)


def outline(change: Change, west: float, north: float) -> Polygon | MultiPolygon:
    """The polygon or polygons around a change.

    Roads are outlined where they take more than half of a pixel. Selective logging is outlined as a whole (a concave
    hull): its gaps are too small to stand alone.

    Args:
        change: The change.
        west: Easting of the ground's western edge, metres in its UTM zone.
        north: Northing of the ground's northern edge, metres.

    Returns:
        Valid Polygon or MultiPolygon, metres in the UTM zone.
    """
    if change.kind == "logging":
        rows, cols = np.nonzero(change.strength > 0)
        x = west + 10 * (change.left + cols + 0.5)
        y = north - 10 * (change.top + rows + 0.5)
        hull: Any = shapely.concave_hull(shapely.multipoints(np.column_stack([x, y])), ratio=0.12)
        return _polygon(hull.buffer(8, join_style="mitre").simplify(5))
    mask = (change.strength > (0.5 if change.kind == "road" else 0)).astype(np.uint8)
    corner = Affine(10, 0, west + 10 * change.left, 0, -10, north - 10 * change.top)
    parts = [shapely.geometry.shape(part) for part, value in shapes(mask, mask > 0, 4, corner) if value]
    # A metre more joins pixels that meet at a corner only: rings that touch themselves are no valid polygons.
    whole: Any = shapely.union_all(parts)
    return _polygon(whole.buffer(1, join_style="mitre").simplify(5))


def _polygon(found: Any) -> Polygon | MultiPolygon:
    """The same geometry, of a type that the caller may count on."""
    if not isinstance(found, Polygon | MultiPolygon):
        raise TypeError(f"an outline is a polygon, not {type(found).__name__}")
    return found
