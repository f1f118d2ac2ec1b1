"""What covers the simulated ground: its reflectance in each band, and how that goes through the year.

assumed: all reflectances are rounded values of the order that spectral libraries give for such materials (USGS Spectral
Library Version 7, https://doi.org/10.3133/ds1035; ECOSTRESS, https://speclib.jpl.nasa.gov), set by eye against typical
Sentinel-2 level-2A pixels. assumed: the calendars are those of northern California (green winters, golden summers).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BANDS: tuple[str, ...] = ("B02", "B03", "B04", "B08", "B11", "B12")
"""The simulated bands, in the order of every spectrum here."""

COVERS: tuple[str, ...] = (
    "conifer",
    "oak",
    "shrub",
    "grass",
    "riparian",
    "rock",
    "water",
    "river",
    "roof light",
    "roof dark",
    "garden",
    "asphalt",
    "track",
    "gravel bar",
)
"""Names of the covers; a cover's number is its place here. Fields follow: number len(COVERS) + field."""

CONIFER, OAK, SHRUB, GRASS, RIPARIAN, ROCK, WATER, RIVER, ROOF, DARK_ROOF, GARDEN, ASPHALT, TRACK, GRAVEL = range(14)

# Poor and rich state of each cover (leafless or dry; green), reflectance in the order of BANDS.
_POOR = (
    (0.018, 0.033, 0.025, 0.185, 0.095, 0.042),
    (0.036, 0.052, 0.056, 0.185, 0.175, 0.115),
    (0.037, 0.056, 0.060, 0.195, 0.185, 0.118),
    (0.072, 0.108, 0.152, 0.265, 0.335, 0.240),
    (0.038, 0.060, 0.055, 0.210, 0.180, 0.105),
    (0.105, 0.130, 0.155, 0.205, 0.270, 0.235),
    (0.036, 0.034, 0.020, 0.011, 0.006, 0.004),
    (0.050, 0.066, 0.048, 0.026, 0.010, 0.007),
    (0.190, 0.200, 0.210, 0.250, 0.260, 0.235),
    (0.090, 0.092, 0.098, 0.140, 0.170, 0.165),
    (0.045, 0.068, 0.066, 0.230, 0.190, 0.120),
    (0.088, 0.096, 0.104, 0.145, 0.175, 0.160),
    (0.105, 0.140, 0.185, 0.255, 0.335, 0.295),
    (0.140, 0.160, 0.178, 0.215, 0.260, 0.235),
)
_RICH = (
    (0.016, 0.036, 0.022, 0.235, 0.105, 0.045),
    (0.023, 0.050, 0.030, 0.310, 0.160, 0.075),
    (0.029, 0.052, 0.042, 0.240, 0.170, 0.092),
    (0.030, 0.070, 0.044, 0.360, 0.195, 0.098),
    (0.021, 0.052, 0.028, 0.370, 0.165, 0.072),
    (0.100, 0.126, 0.148, 0.215, 0.265, 0.228),
    (0.036, 0.034, 0.020, 0.011, 0.006, 0.004),
    (0.055, 0.072, 0.056, 0.030, 0.011, 0.008),
    (0.190, 0.200, 0.210, 0.250, 0.260, 0.235),
    (0.090, 0.092, 0.098, 0.140, 0.170, 0.165),
    (0.034, 0.066, 0.046, 0.330, 0.180, 0.096),
    (0.088, 0.096, 0.104, 0.145, 0.175, 0.160),
    (0.100, 0.136, 0.176, 0.255, 0.325, 0.285),
    (0.140, 0.160, 0.178, 0.215, 0.260, 0.235),
)

_GRAIN = (0.14, 0.15, 0.11, 0.05, 0.12, 0.14, 0.03, 0.05, 0.20, 0.22, 0.18, 0.06, 0.06, 0.10)
"""Spread of the texture of each cover, as a part of its reflectance (crowns and their shadows, tussocks, roofs)."""

_EAGER = (0.1, 0.25, 0.3, 0.55, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0, 0.2, 0.0, 0.1, 0.0)
"""How far a moist or a dry place moves a cover's greenness."""

SOIL = np.array((0.066, 0.090, 0.128, 0.190, 0.300, 0.250), dtype=np.float32)
"""Reddish soil laid bare, with slash: a fresh clear-cut."""
CHAR = np.array((0.040, 0.043, 0.047, 0.068, 0.155, 0.178), dtype=np.float32)
"""Char and ash. assumed, near medians inside three real Californian scars (0.05-0.06 in blue, B12 above B08)."""
BURNT_SOIL = np.array((0.058, 0.074, 0.096, 0.150, 0.265, 0.225), dtype=np.float32)
"""A scar once rain has washed the char away."""
EARTHWORK = np.array((0.125, 0.165, 0.215, 0.285, 0.375, 0.335), dtype=np.float32)
"""Graded earth of a building site."""
SURFACE = np.array((0.135, 0.150, 0.165, 0.205, 0.245, 0.225), dtype=np.float32)
"""A road's finished surface, gravel or asphalt."""
PANEL = np.array((0.072, 0.066, 0.064, 0.085, 0.120, 0.115), dtype=np.float32)
"""Solar panels and the ground between their rows."""
SNOW = np.array((0.74, 0.77, 0.79, 0.74, 0.11, 0.09), dtype=np.float32)
CLOUD = np.array((0.60, 0.59, 0.585, 0.63, 0.43, 0.33), dtype=np.float32)

_TILLED = np.array((0.082, 0.110, 0.140, 0.200, 0.285, 0.250), dtype=np.float32)
_STUBBLE = np.array((0.098, 0.140, 0.190, 0.280, 0.380, 0.305), dtype=np.float32)
_CROP = np.array((0.029, 0.068, 0.042, 0.430, 0.195, 0.088), dtype=np.float32)
_FLOODED = np.array((0.062, 0.066, 0.060, 0.060, 0.030, 0.022), dtype=np.float32)

CROPS: tuple[str, ...] = ("summer crop", "wheat", "rice", "orchard", "alfalfa", "fallow")
"""What grows in a field; a crop's number is its place here."""


@dataclass(frozen=True, eq=False)
class Fields:
    """The fields of the plain, N of them."""

    crop: NDArray[np.int64]
    """(years, N), number in `CROPS`, for 2021, 2022, …: crops rotate."""
    late: NDArray[np.float64]
    """(N,), days by which a field's calendar is late."""
    bright: NDArray[np.float64]
    """(N,), factor on the reflectance of its soil."""


@dataclass(frozen=True, eq=False)
class Season:
    """How every cover and field looks on one day (M covers and fields)."""

    poor: NDArray[np.float32]
    """(M, bands), reflectance where greenness is 0."""
    rich: NDArray[np.float32]
    """(M, bands), reflectance where greenness is 1."""
    green: NDArray[np.float32]
    """(M,), greenness from 0 to 1."""
    eager: NDArray[np.float32]
    """(M,), how far a moist or dry place moves it."""
    grain: NDArray[np.float32]
    """(M,), spread of the texture, as a part of the reflectance."""


def rise(day: float, start: float, length: float) -> float:
    """0 before `start`, 1 after `start + length`, a soft passage between (days)."""
    t = min(max((day - start) / length, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def grass_green(day: float, late: float = 0.0) -> float:
    """Greenness of wild grass: from the rains of November to the drought of May.

    Args:
        day: Day of the year.
        late: Days by which this year's drought is late (rains come as much earlier).
    """
    return max(1 - rise(day, 105 + late, 50), rise(day, 318 - late, 45))


def new_season(day: float, year: int, fields: Fields) -> Season:
    """How everything looks on a day.

    Args:
        day: Day of the year.
        year: Index of the year, from 0.
        fields: The fields; their numbers follow the covers'.
    """
    late = (0.0, -9.0, 12.0)[year % 3]  # assumed: 2022 dry, 2023 wet, as they were
    leaf = rise(day, 75, 40) * (1 - rise(day, 290, 45))
    summer = rise(day, 70, 70) * (1 - rise(day, 270, 60))
    shrub = rise(day, 40, 60) * (1 - rise(day, 150, 90))
    green = [summer, leaf, shrub, grass_green(day, late), leaf, grass_green(day, late), 0.0, 1 - summer]
    green += [0.0, 0.0, leaf, 0.0, grass_green(day, late), 0.0]
    count = fields.late.size
    poor = np.empty((len(COVERS) + count, len(BANDS)), dtype=np.float32)
    rich = np.empty_like(poor)
    poor[: len(COVERS)], rich[: len(COVERS)] = _POOR, _RICH
    level = np.array([*green, *[0.0] * count], dtype=np.float32)
    for i in range(count):
        n = len(COVERS) + i
        kind = CROPS[int(fields.crop[year % len(fields.crop), i])]
        poor[n], rich[n], level[n] = _field(kind, day - float(fields.late[i]), late)
        poor[n] *= fields.bright[i]
    eager = np.concatenate([np.array(_EAGER), np.full(count, 0.06)]).astype(np.float32)
    grain = np.concatenate([np.array(_GRAIN), np.full(count, 0.035)]).astype(np.float32)
    return Season(poor, rich, level, eager, grain)


def _field(kind: str, day: float, late: float) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Poor and rich spectrum and greenness of a field on a day of its own calendar."""
    grass, dry = np.array(_RICH[GRASS], dtype=np.float32), np.array(_POOR[GRASS], dtype=np.float32)
    if kind == "summer crop":  # tomatoes, maize: sown in May, harvested in September, tilled in autumn
        bare = _STUBBLE if 262 < day < 315 else _TILLED
        return bare, _CROP, rise(day, 128, 60) * (1 - rise(day, 248, 14))
    if kind == "wheat":  # rain-fed: green in winter, gold in May, harvested in June
        bare = _STUBBLE if 165 < day < 300 else _TILLED if day > 300 else dry
        return bare, _CROP, 0.95 * (rise(day, 320, 45) if day > 200 else 1 - rise(day, 112 + late, 38))
    if kind == "rice":  # flooded in May, green in July, gold in September, flooded again in winter
        if day < 60 or day > 318 or 128 < day < 150:
            return _FLOODED, _CROP, 0.0
        return (_STUBBLE if day > 215 else _FLOODED), _CROP, rise(day, 148, 40) * (1 - rise(day, 228, 35))
    if kind == "orchard":
        floor = 0.55 * grass + 0.45 * _TILLED if grass_green(day, late) > 0.5 else 0.4 * dry + 0.6 * _TILLED
        leaves = np.array((0.030, 0.058, 0.048, 0.320, 0.190, 0.105), dtype=np.float32)
        return floor, leaves, rise(day, 68, 35) * (1 - rise(day, 300, 35))
    if kind == "alfalfa":  # cut every 32 days in summer
        growth = 1.0 if day < 95 or day > 290 else 0.35 + 0.65 * min(((day - 95) % 32) / 20, 1.0)
        return 0.5 * _TILLED + 0.5 * _STUBBLE, _CROP, growth * (0.75 + 0.25 * rise(day, 50, 40))
    return 0.5 * _STUBBLE + 0.5 * dry, grass, 0.75 * grass_green(day, late)
