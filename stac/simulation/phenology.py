"""The seasons: how green every cover is on a day in each biome, in wet years and in dry ones.

Method: a double logistic curve of the year (Beck et al. 2006, https://doi.org/10.1016/j.rse.2005.10.021) with a decline
through the summer (Elmore et al. 2012, https://doi.org/10.1111/j.1365-2486.2011.02521.x: linear; assumed: with the
power 1.5 of the time, as forest in the Romanian series of bench/realism_time.py keeps its June until mid August).

Dates are of the order of these sources, days of a northern year (a southern biome is shifted by half a year):

- Zhang et al. 2003 (https://doi.org/10.1016/S0034-4257(02)00135-9) and 2004
  (https://doi.org/10.1111/j.1529-8817.2003.00784.x): green-up of broadleaf forest in April to mid May at 40 to 50° N
  and in late May at 60 to 65° N, dormancy from October on, in September in the north.
- assumed, near Elmore et al. 2012: leaves half out on day 115 to 130, half gone on day 285 to 300, in 20 to 30 days.
- Jönsson et al. 2010 (https://doi.org/10.1016/j.rse.2010.06.005): NDVI of evergreen conifers moves weakly in the year.
- Xu & Baldocchi 2004 (https://doi.org/10.1016/j.agrformet.2003.10.004): Californian grass is green from November to
  May. assumed: oaks leaf out about the end of March.
- Huete et al. 2006 (https://doi.org/10.1029/2005GL025583) and Morton et al. 2014 (https://doi.org/10.1038/nature13006):
  the seasons of rainforest are weak and disputed; here it dips a little in the dry months.
- Archibald & Scholes 2007 (Journal of Vegetation Science 18, 583): savanna trees leaf out before the rains, grass
  with them.

assumed: shrubs, wetlands, gardens and water by judgement between those; drought by the order of 2003 and 2018 in Europe
(Buras et al. 2020, https://doi.org/10.5194/bg-17-1655-2020: grass browns most, forest least).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .biomes import Biome
from .covers import (
    BARE,
    BROADLEAF,
    CONIFER,
    COVERS,
    GARDEN,
    GRASS,
    GRAVEL,
    RAINFOREST,
    RIPARIAN,
    RIVER,
    ROCK,
    SAND,
    SEA,
    SHRUB,
    TIDAL_FLAT,
    TRACK,
    WATER,
    WETLAND,
)
from .crops import CLIMATES, SOIL_OF, Days, Moment, dampness, field_looks
from .ground import Fields
from .season import Season
from .spectra import COVER_POOR, COVER_RICH, EAGER, GRAIN, SOIL_SPECTRA, STATE_SPECTRA, WET_SOIL
from .steps import soften
from .years import AVERAGE, Weather, Years, weather


@dataclass(frozen=True)
class Curve:
    """A year's course of greenness."""

    low: float
    """Greenness in the resting season, 0 to 1."""
    high: float
    """Greenness at its peak, 0 to 1."""
    rise: float
    """Day on which half of it has come."""
    rise_days: float
    """Days from a tenth to nine tenths."""
    fall: float
    """Day on which half of it has gone."""
    fall_days: float
    """Days from nine tenths to a tenth."""
    fade: float = 0.0
    """Part of the range that is lost between peak and fall."""


_ALWAYS = Curve(0.9, 1.0, 100, 60, 300, 60)
_CURVES: dict[str, dict[int, Curve]] = {
    "mediterranean": {
        CONIFER: Curve(0.35, 1.0, 85, 70, 305, 80, 0.15),
        BROADLEAF: Curve(0.08, 1.0, 88, 34, 308, 46, 0.3),
        SHRUB: Curve(0.15, 1.0, 30, 80, 182, 85),
        GRASS: Curve(0.0, 1.0, 334, 46, 128, 44),
        RIPARIAN: Curve(0.05, 1.0, 84, 34, 312, 40, 0.1),
        WETLAND: Curve(0.15, 1.0, 85, 60, 270, 80),
        GARDEN: Curve(0.4, 1.0, 60, 70, 320, 70, 0.1),
    },
    "temperate": {
        CONIFER: Curve(0.22, 1.0, 105, 62, 300, 70, 0.08),
        BROADLEAF: Curve(0.0, 1.0, 117, 26, 290, 30, 0.22),
        SHRUB: Curve(0.2, 0.95, 110, 45, 294, 55, 0.1),
        GRASS: Curve(0.25, 1.0, 90, 48, 318, 60, 0.16),
        RIPARIAN: Curve(0.0, 1.0, 112, 30, 298, 40, 0.1),
        WETLAND: Curve(0.08, 1.0, 128, 45, 280, 50),
        GARDEN: Curve(0.18, 1.0, 106, 40, 298, 45, 0.1),
    },
    "boreal": {
        CONIFER: Curve(0.0, 1.0, 122, 50, 276, 60),
        BROADLEAF: Curve(0.0, 1.0, 145, 20, 260, 26, 0.08),
        SHRUB: Curve(0.08, 0.9, 140, 32, 260, 40),
        GRASS: Curve(0.1, 1.0, 132, 30, 276, 42, 0.1),
        RIPARIAN: Curve(0.0, 1.0, 142, 22, 264, 28),
        WETLAND: Curve(0.03, 0.92, 150, 30, 254, 40),
        GARDEN: Curve(0.08, 0.95, 138, 30, 270, 40),
    },
    "rainforest": {
        RAINFOREST: Curve(0.35, 1.0, 96, 50, 354, 60),
        BROADLEAF: Curve(0.5, 1.0, 96, 50, 350, 60),
        SHRUB: Curve(0.4, 1.0, 100, 45, 345, 60),
        GRASS: Curve(0.3, 1.0, 98, 40, 345, 60),
        RIPARIAN: Curve(0.6, 1.0, 96, 50, 354, 60),
        WETLAND: Curve(0.4, 1.0, 110, 60, 350, 70),
        GARDEN: Curve(0.5, 1.0, 98, 45, 350, 60),
    },
    "savanna": {
        BROADLEAF: Curve(0.06, 0.92, 118, 42, 336, 60),
        SHRUB: Curve(0.08, 0.92, 124, 40, 322, 60),
        GRASS: Curve(0.0, 0.95, 140, 40, 302, 50),
        RIPARIAN: Curve(0.35, 1.0, 115, 45, 345, 60),
        WETLAND: Curve(0.2, 1.0, 145, 50, 330, 70),
        GARDEN: Curve(0.25, 0.95, 130, 45, 325, 60),
    },
    "desert": {
        SHRUB: Curve(0.0, 0.4, 32, 50, 132, 50),
        GRASS: Curve(0.0, 0.5, 30, 40, 108, 40),
        RIPARIAN: Curve(0.12, 0.85, 84, 40, 315, 50, 0.15),
        WETLAND: Curve(0.2, 0.9, 90, 60, 300, 60),
        GARDEN: Curve(0.45, 0.85, 60, 70, 330, 70),
        BARE: Curve(0.0, 0.12, 30, 40, 100, 40),
    },
    "cropland": {
        BROADLEAF: Curve(0.0, 1.0, 123, 24, 285, 30, 0.14),
        SHRUB: Curve(0.08, 1.0, 120, 34, 286, 44, 0.1),
        GRASS: Curve(0.03, 1.0, 112, 36, 292, 46, 0.28),
        RIPARIAN: Curve(0.0, 1.0, 120, 26, 288, 34, 0.1),
        WETLAND: Curve(0.04, 1.0, 134, 36, 270, 40),
        GARDEN: Curve(0.1, 1.0, 112, 36, 292, 40, 0.15),
    },
    "coast": {
        CONIFER: Curve(0.4, 1.0, 100, 65, 305, 75),
        BROADLEAF: Curve(0.0, 1.0, 123, 32, 300, 40, 0.12),
        SHRUB: Curve(0.25, 0.88, 118, 60, 300, 60, 0.1),
        GRASS: Curve(0.36, 1.0, 84, 56, 322, 60, 0.13),
        RIPARIAN: Curve(0.0, 1.0, 116, 34, 304, 40, 0.08),
        WETLAND: Curve(0.12, 0.95, 132, 55, 290, 55),
        GARDEN: Curve(0.25, 1.0, 102, 45, 304, 45, 0.08),
    },
}
# Water: clear and low (river), green with algae (lakes, sea), by climate.
_WATERS: dict[str, tuple[Curve, Curve, Curve]] = {
    "mediterranean": (
        Curve(0.1, 1.0, 130, 50, 325, 40), Curve(0.1, 0.6, 120, 60, 300, 60),
        Curve(0.1, 0.6, 60, 40, 130, 60),
    ),
    "temperate": (
        Curve(0.15, 0.9, 160, 60, 320, 40), Curve(0.05, 0.75, 145, 50, 285, 50),
        Curve(0.2, 0.8, 85, 30, 270, 60),
    ),
    "boreal": (
        Curve(0.2, 1.0, 172, 40, 105, 25), Curve(0.0, 0.4, 165, 40, 255, 40),
        Curve(0.1, 0.7, 110, 30, 250, 50),
    ),
    "tropical": (
        Curve(0.0, 0.7, 330, 50, 140, 40), Curve(0.3, 0.8, 140, 60, 300, 60),
        Curve(0.2, 0.5, 140, 60, 300, 60),
    ),
    "desert": (
        Curve(0.5, 0.8, 250, 60, 180, 60), Curve(0.2, 0.5, 100, 60, 300, 60),
        Curve(0.1, 0.3, 60, 40, 130, 60),
    ),
    "continental": (
        Curve(0.0, 0.7, 195, 50, 330, 40), Curve(0.1, 0.9, 145, 40, 285, 40),
        Curve(0.2, 0.6, 90, 40, 270, 60),
    ),
}  # fmt: skip

_DRY_LIMITED = ("mediterranean", "rainforest", "savanna", "desert")
"""Where rain, not warmth, makes the season."""
# How much of the greenness a drought takes. Order after Buras et al. 2020.
_THIRST: dict[int, float] = {GRASS: 0.34, GARDEN: 0.15, SHRUB: 0.22, WETLAND: 0.15, BROADLEAF: 0.1, CONIFER: 0.1,
                             RIPARIAN: 0.05, RAINFOREST: 0.12}  # fmt: skip


def level(curve: Curve, day: Days | float) -> Days:
    """Greenness on days of the northern year.

    Args:
        curve: The course.
        day: (n,) or a number, 1 to 366; outside, the year repeats.

    Returns:
        (n,) or (), 0 to 1.
    """
    length = (curve.fall - curve.rise) % 365.0
    middle = curve.rise + length / 2
    offset = np.mod(np.asarray(day, dtype=np.float64) - middle + 182.5, 365.0) - 182.5  # from the middle of the season
    up = 1 / (1 + np.exp(-4.394 / curve.rise_days * (offset + length / 2)))  # ln 81: from a tenth to nine tenths
    down = 1 / (1 + np.exp(4.394 / curve.fall_days * (offset - length / 2)))
    part = np.clip((offset + length / 2 - 20) / max(length - 20, 1.0), 0.0, 1.0)
    lost = curve.fade * part * np.sqrt(part)
    shape: Days = curve.low + (curve.high - curve.low) * np.maximum(up + down - 1, 0.0) * (1 - lost)
    return shape


def _shifted(cover: int, curve: Curve, biome: Biome, sky: Weather) -> Curve:
    """A curve as this season has it.

    assumed: where warmth makes the season, it begins up to 14 days early or late (spread 7) and ends up to 14; where
    rain makes it, up to 27 and 27 for grass, less for trees; the former as real forest of six years does
    (bench/realism_time.py).
    """
    thirst = _THIRST.get(cover, 0.0)
    rain = thirst * sky.wet if sky.wet < 0 else 0.3 * thirst * sky.wet
    if biome.name in _DRY_LIMITED:
        dates = min(thirst / 0.2, 1.5)  # grass follows rain more than trees
        rise = curve.rise - dates * (8 * sky.wet + 10 * sky.early)
        fall = curve.fall + dates * (12 * sky.wet + 6 * sky.late)
        high = curve.high * (1 + (2.4 if biome.name == "desert" else 0.9) * rain)
        return replace(curve, high=min(max(high, curve.low), 1.0), rise=rise, fall=fall)
    fade = min(max(curve.fade - 1.6 * rain, 0.0), 0.85)
    return replace(curve, rise=curve.rise - 14 * sky.early, fall=curve.fall + 10 * sky.late + 4 * sky.wet, fade=fade)


def new_season(biome: Biome, day: int, year: int, fields: Fields, years: Years = AVERAGE) -> Season:
    """How everything looks on a day.

    Args:
        biome: The biome.
        day: Day of the year, 1 to 366.
        year: Year, 0 for the archive's first.
        fields: The fields, N of them; their numbers follow the covers'.
        years: The weather of the area's years.

    Returns:
        The season of len(COVERS) + N covers and fields.

    Raises:
        DataError: The day is not of a year, or the year is negative.
    """
    if not 1 <= day <= 366 or year < 0:
        raise DataError(
            f"day {day} of year {year}", "a day from 1 to 366 and a year from 0", "count days from 1 January"
        )
    north, season_year = (day, year) if not biome.south else (day - 183, year) if day > 183 else (day + 182, year - 1)
    now = Moment(float(north), season_year, weather(years, biome, north, season_year))
    curves = {c: _shifted(c, curve, biome, now.weather) for c, curve in _CURVES[biome.name].items()}
    green = np.zeros(len(COVERS))
    for cover in (CONIFER, BROADLEAF, RAINFOREST, SHRUB, GRASS, RIPARIAN, WETLAND, GARDEN):
        green[cover] = float(level(curves.get(cover, _ALWAYS), now.day)) * _lush(cover, now)
    damp = dampness(CLIMATES[biome.name], now.day, now.weather)
    sprout = float(level(curves[BARE], now.day)) if BARE in curves else 0.75 * damp
    green[[BARE, ROCK, GRAVEL, TRACK]] = sprout, 0.6 * sprout, 0.5 * sprout, 0.6 * green[GRASS]
    green[SAND] = 0.3 * sprout
    green[TIDAL_FLAT] = 0.2 + 0.6 * green[WETLAND]
    for cover, curve in zip((RIVER, WATER, SEA), _WATERS[CLIMATES[biome.name]], strict=True):
        green[cover] = float(level(curve, now.day))
    poor, rich = _cover_spectra(biome, now, curves)
    lush = _lush(GRASS, now)
    field_poor, field_rich, field_green = field_looks(biome.name, fields, now, lambda d: lush * level(curves[GRASS], d))
    count = fields.late.size
    return Season(
        np.concatenate([poor, field_poor]),
        np.concatenate([rich, field_rich]),
        np.concatenate([np.clip(green, 0, 1).astype(np.float32), field_green]),
        np.concatenate([EAGER, np.full(count, 0.06, dtype=np.float32)]),  # assumed: a field's soil is fairly even
        np.concatenate([GRAIN, np.full(count, 0.035, dtype=np.float32)]),
    )


def _lush(cover: int, now: Moment) -> float:
    """Factor of the last weeks' weather on the greenness. assumed: 0.1 for grass (its spread), 0.03 for forest."""
    return 1 + 0.3 * _THIRST[cover] * now.weather.wander


def _cover_spectra(
    biome: Biome, now: Moment, curves: dict[int, Curve]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(covers, 10) each: poor and rich states with the biome's soil, autumn's leaves and winter's grass."""
    poor, rich = COVER_POOR.copy(), COVER_RICH.copy()
    soil = SOIL_SPECTRA[SOIL_OF[biome.name]]
    damp = np.float32(dampness(CLIMATES[biome.name], now.day, now.weather))
    for cover, part in ((BARE, 0.7), (TRACK, 0.45), (ROCK, 0.15)):
        poor[cover] += np.float32(part) * (soil - poor[cover])
        rich[cover] += np.float32(part) * (soil * WET_SOIL * np.float32(1.1) - rich[cover])
    if biome.name == "desert":  # shrubs stand far apart
        poor[SHRUB] += np.float32(0.62) * (soil - poor[SHRUB])
        poor[GRASS] = STATE_SPECTRA["old grass"]
    if biome.name == "savanna":  # dry grass below
        for cover in (BROADLEAF, SHRUB):
            poor[cover] += np.float32(0.35) * (STATE_SPECTRA["old grass"] - poor[cover])
    if biome.name not in _DRY_LIMITED:
        _turn_cold(biome, now.day, curves, poor)
    wet = np.float32(1) + np.float32(0.6) * damp * (WET_SOIL - np.float32(1))
    for cover in (BARE, TRACK, SAND, GRAVEL):
        poor[cover] *= wet
    return poor, rich


def _turn_cold(biome: Biome, day: float, curves: dict[int, Curve], poor: NDArray[np.float32]) -> None:
    """What autumn and winter make of grass, shrubs and leaves, in `poor` (covers, 10)."""
    grass = curves[GRASS]
    cold = np.float32(1 - soften(day, grass.rise, 40) * (1 - soften(day, grass.fall - 55, 45)))
    straw = np.float32(0.55 if biome.name in ("cropland", "boreal") else 0.15)
    winter = STATE_SPECTRA["winter grass"] + straw * (poor[GRASS] - STATE_SPECTRA["winter grass"])
    poor[GRASS] += cold * (winter - poor[GRASS])
    poor[SHRUB] += cold * np.float32(0.5) * (STATE_SPECTRA["moist litter"] - poor[SHRUB])
    for cover in (BROADLEAF, RIPARIAN):
        rise, fall = curves[cover].rise, curves[cover].fall
        leaves = np.float32(soften(day, fall - 34, 20) * (1 - soften(day, fall + 6, 24)))
        litter = np.float32(0.6 * max(float(soften(day, fall + 10, 60)), 1 - float(soften(day, rise, 40))))
        poor[cover] += leaves * (STATE_SPECTRA["autumn leaves"] - poor[cover])
        poor[cover] += litter * (STATE_SPECTRA["moist litter"] - poor[cover])  # pressed and bleached until spring
