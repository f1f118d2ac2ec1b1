"""When the simulated satellites pass, under which sky, with the gaps that archives have.

Figures of the mission (orbit of 98.62° inclination, descending node at 10:30 mean local solar time, 143 revolutions in
10 days, two satellites half a cycle apart): https://sentiwiki.copernicus.eu/web/s2-mission.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from .biomes import Biome
from .shot import Shot
from .sun import sun_angles
from .weather import new_weather, water_level
from .winter import new_winters

if TYPE_CHECKING:  # a stream draws by the rules here without what areas stand on (shapely, pyproj)
    from .areas import Area, Plan

T = TypeVar("T", bound=np.generic)

_INCLINATION = math.radians(98.62)
_NODE_H = 10.5
_CYCLE = timedelta(days=5)

# Baselines of the day-to-day processing, by first day; 02.14 stands for all before 03.00:
# https://documentation.dataspace.copernicus.eu/Data/Others/Sentinel2_L1C_baseline.html and Sentinel2_L2A_baseline.html.
_BASELINES: tuple[tuple[date, str], ...] = (
    (date(2015, 6, 23), "02.14"),
    (date(2021, 3, 30), "03.00"),
    (date(2021, 6, 30), "03.01"),
    (date(2022, 1, 25), "04.00"),
    (date(2022, 12, 6), "05.09"),
    (date(2023, 12, 13), "05.10"),
)
OFFSET_SINCE = date(2022, 1, 25)
_REFINED_SINCE = date(2021, 8, 23)
"""First day of geometric refinement the world over: https://sentiwiki.copernicus.eu/web/s2-processing."""

REFINED, UNREFINED = (0.1, 0.3), (0.3, 1.2)
"""Least and largest misregistration, pixels of 10 m: see `new_shift`."""

LOWEST_SUN = 8.0
"""Elevation of the sun, degrees, below which nothing is delivered.

Since 23 October 2019 the far north is observed with sun zenith angles up to 85 degrees, while level 2A should not be
used for measurements above 70 (ESA, 17 October 2019, "Copernicus Sentinel-2 observation in low illumination conditions
over Northern Europe and Arctic Areas", https://sentinel.esa.int). assumed: catalogs hold little above 82 degrees, the
limit before that day; between 70 and 82 they hold what came."""

# assumed, so that three years give 110 to 120 passes, as catalogs hold them where one orbit sees a place.
_SKIPPED = 0.68  # a slot of five days after which the next one is not delivered: 5 or 10 days between passes
_LOST = 0.06  # a pass that is missing on top of that
_GAP_DAYS = (21, 45)  # one gap a year in which nothing was delivered
_AT_EDGE = 0.06  # passes with the swath's edge on the ground

ANEW = "05.10"
"""Baseline of what was processed anew of the days since 04.00, and of campaigns."""


@dataclass(frozen=True)
class Overpass:
    """One delivered pass over an area."""

    shot: Shot
    """What is drawn."""
    slot: int
    """Number of its slot of five days: even ones are S2A's, odd ones S2B's."""
    baseline: str
    """Processing baseline of its products, `05.09`."""
    offset_applied: bool
    """What `earthsearch:boa_offset_applied` says of them."""
    edge: tuple[float, int] | None = None
    """Column (pixels of the ground, first row) of the swath's edge, and 1 where the data lie west of it, else -1; None
    where the swath covers the whole ground."""


def baseline_of(day: date) -> str:
    """Processing baseline with which a day was first delivered."""
    return next(name for first, name in reversed(_BASELINES) if first <= day)


def plan_overpasses(area: Area, biome: Biome, plan: Plan, rng: np.random.Generator) -> list[Overpass]:
    """The passes that were delivered, in the order of time, 5 or 10 days apart but for the gaps and the polar night.

    Args:
        area: Where.
        biome: Its climate.
        plan: First and last day.
        rng: Where chance comes from.
    """
    lon, lat = area.centre
    span = (plan.last - plan.first).days + 1
    start = datetime.combine(plan.first, time(), UTC) + timedelta(hours=local_hour(lat) - lon / 15)
    start += timedelta(days=int(rng.integers(0, min(5, span))))
    levels = rng.uniform(-1, 1, size=plan.last.year - plan.first.year + 2)
    side = int(rng.integers(0, 2)) * 2 - 1
    overpasses: list[Overpass] = []
    winters = new_winters(biome, plan.first, span, 1, rng)
    slots = _plan_slots(span, rng)
    for slot in slots:
        when = (start + slot * _CYCLE + timedelta(seconds=int(rng.integers(-20, 21)))).replace(microsecond=0)
        baseline, applied = new_processing(when.date(), rng)
        day = min(max((when.date() - plan.first).days, 0), span - 1)
        sky, haze = new_weather(biome, when.month - 1, rng)
        azimuth, elevation = sun_angles(when, lon, lat)
        shot = Shot(
            index=len(overpasses),
            time=when,
            sky=sky,
            haze=haze,
            snow_line=round(float(winters.snow_line[0, day]), 1),
            laden_line=round(float(winters.laden_line[0, day]), 1),
            ice=round(float(winters.ice[0, day]), 1),
            level=water_level(biome, when, levels[when.year - plan.first.year :][:2].tolist()),
            sun_azimuth=round(azimuth, 6),
            sun_elevation=round(elevation, 6),
            shift=new_shift(REFINED if is_refined(baseline, when.date()) else UNREFINED, rng),
        )
        at_edge, column = rng.random() < _AT_EDGE, float(rng.uniform(0.15, 0.95)) * area.shape[1]
        if elevation < LOWEST_SUN and (overpasses or slot != slots[-1]):
            continue
        overpasses.append(Overpass(shot, slot, baseline, applied, (column, side) if at_edge else None))
    return overpasses


def swath(area: Area, overpass: Overpass) -> NDArray[np.bool_] | None:
    """Which 20 m pixels (H/2, W/2) of the ground a pass saw; None where it saw all.

    The swath's edge runs along the track, whose angle with the meridian is asin(cos(inclination) / cos(latitude)).
    assumed: without the earth's own turning, which adds two to four degrees.
    """
    if overpass.edge is None:
        return None
    column, side = overpass.edge
    slope = math.tan(math.asin(min(-math.cos(_INCLINATION) / math.cos(math.radians(area.centre[1])), 0.9)))
    y, x = np.mgrid[0 : area.shape[0] // 2, 0 : area.shape[1] // 2]
    return np.asarray(side * (column / 2 - round(slope, 3) * y - x) > 0)


def cut_tile(area: Area, tile: str, field: NDArray[T], gsd_px: int) -> NDArray[T]:
    """A tile's part (..., h, w) of something on the whole ground (..., H, W).

    Args:
        area: Where.
        tile: One of its tiles.
        field: On pixels of 10 m or 20 m.
        gsd_px: Pixels of 10 m on a side of the field's pixels, 1 or 2.
    """
    left = area.left(tile) // gsd_px
    return field[..., left : left + area.tile_px // gsd_px]


def local_hour(lat: float) -> float:
    """Mean local solar time of a descending pass at a latitude, hours: spherical, without the width of the swath."""
    return _NODE_H - math.degrees(math.asin(math.tan(math.radians(lat)) / math.tan(_INCLINATION))) / 15


def _plan_slots(span: int, rng: np.random.Generator) -> list[int]:
    """Numbers of the slots of five days, in `span` days, that were delivered; one at least."""
    gaps = []
    for year in range(span // 365):
        first = 365 * year + int(rng.integers(0, 365 - _GAP_DAYS[1]))
        gaps.append((first, first + int(rng.integers(*_GAP_DAYS))))
    slots, slot = [], 0
    while slot * 5 + 4 < max(span, 5):
        lost = rng.random() < _LOST or any(first <= slot * 5 < last for first, last in gaps)
        if not lost:
            slots.append(slot)
        slot += 2 if rng.random() < _SKIPPED else 1
    return slots or [0]


def new_processing(day: date, rng: np.random.Generator) -> tuple[str, bool]:
    """Baseline, and whether the provider removed the offset; some days are processed anew: the date tells nothing."""
    baseline = baseline_of(day)
    if rng.random() < _share_anew(day):
        baseline = "05.00" if day < OFFSET_SINCE else ANEW
    return baseline, bool(rng.random() < 0.5 and baseline >= "04.00")


def _share_anew(day: date) -> float:
    """Share of a day's products that are processed anew. assumed."""
    return 0.35 if day < OFFSET_SINCE else 0.10


def refined_share(day: date) -> float:
    """Share of a day's products that were placed by the Global Reference Image, as `is_refined` says of each."""
    return 1.0 if day >= _REFINED_SINCE else _share_anew(day)


def is_refined(baseline: str, day: date) -> bool:
    """Whether a product was placed by the Global Reference Image: new ones, and what was processed anew."""
    return day >= _REFINED_SINCE or baseline >= "05.00"


def new_shift(size: tuple[float, float], rng: np.random.Generator) -> tuple[float, float]:
    """Misregistration down and right, pixels of 10 m, of a length between two.

    Source: 95 % of the pairs within 12 m without refinement, within 3 m (one orbit) to 5 m with it:
    https://www.cesbio.cnrs.fr/multitemp/a-first-peek-at-new-sentinel2-geometric-processing (ESA's quality reports).

    Args:
        size: Least and largest length, pixels.
        rng: Where chance comes from.
    """
    length, turn = float(rng.uniform(*size)), float(rng.uniform(0, 2 * math.pi))
    return round(length * math.cos(turn), 4), round(length * math.sin(turn), 4)
