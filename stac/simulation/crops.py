"""Calendars of the fields: sown, green, ripe, cut, stubble, ploughed, flooded, mown.

Dates are days of a northern year (a southern field's day is half a year later; `phenology` shifts it). Sources: Sacks
et al. (2010, crop calendars of the world, https://doi.org/10.1111/j.1466-8238.2010.00551.x) and USDA's Agricultural
Handbook 628 (2010, "Field crops: usual planting and harvesting dates"), the middle of each range: maize sown in April
to May and cut in September to October, winter wheat sown in September to November and cut in June to July in the north,
from November to June round the Mediterranean; rape in flower in late April and May (d'Andrimont et al. 2020,
https://doi.org/10.1016/j.rse.2020.111660); alfalfa cut about every 28 to 35 days (Orloff & Putnam 2007,
Harvest strategies for alfalfa, University of California publication 8299). assumed: days to a week, lateness from field
to field, and how many fields keep a cover crop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .covers import CROPS
from .ground import Fields
from .spectra import CROP_SPECTRA, SOIL_SPECTRA, STATE_SPECTRA, WET_SOIL
from .steps import mix, soften
from .years import Weather

Days = NDArray[np.float64]
"""(n,), days of the year, or another figure for each of n fields."""

SOIL_OF: dict[str, str] = {
    "mediterranean": "brown", "temperate": "brown", "boreal": "grey", "rainforest": "red", "savanna": "red",
    "desert": "pale", "cropland": "dark", "coast": "grey",
}  # fmt: skip
"""Biome → name in `spectra.SOIL_SPECTRA`, after reference groups of the World Reference Base (IUSS 2015: cambisols,
podzols, ferralsols, calcisols, chernozems, gleysols)."""

CLIMATES: dict[str, str] = {
    "mediterranean": "mediterranean", "temperate": "temperate", "coast": "temperate", "boreal": "boreal",
    "rainforest": "tropical", "savanna": "tropical", "desert": "desert", "cropland": "continental",
}  # fmt: skip
"""Biome → whose calendar its farmers keep."""

COVERED = 0.25
"""Share of the fields that keep a cover crop from ploughing to sowing."""


@dataclass(frozen=True)
class Moment:
    """A day of a growing year, in the northern reckoning."""

    day: float
    """1 to 366."""
    year: int
    """Growing year, from -1 (the first southern half-year) on."""
    weather: Weather


@dataclass(frozen=True)
class Calendar:
    """Days of a crop, from 1 January of the year in which it is cut; below 0 in the year before, above 365 after."""

    sow: float
    grown: float
    ripen: float
    cut: float
    plough: float
    wild: bool = True
    """Whether it lives on rain, and suffers in a dry year."""


_CALENDARS: dict[str, dict[str, Calendar]] = {
    "temperate": {
        "maize": Calendar(116, 198, 246, 274, 304),
        "winter cereal": Calendar(-84, 132, 180, 207, 250),
        "rapeseed": Calendar(-124, 102, 174, 200, 238),
        "rice": Calendar(132, 210, 250, 272, 300, wild=False),
        "cotton": Calendar(118, 206, 252, 290, 320, wild=False),
        "soy": Calendar(126, 205, 254, 280, 308),
    },
    "mediterranean": {
        "maize": Calendar(108, 178, 225, 250, 286, wild=False),
        "winter cereal": Calendar(-46, 78, 116, 160, 290),
        "rapeseed": Calendar(-60, 64, 126, 160, 280),
        "rice": Calendar(134, 204, 240, 266, 312, wild=False),
        "cotton": Calendar(106, 198, 254, 290, 320, wild=False),
        "soy": Calendar(130, 205, 250, 280, 312, wild=False),
    },
    "boreal": {
        "maize": Calendar(142, 210, 240, 262, 285),
        "winter cereal": Calendar(136, 188, 222, 246, 276),
        "rapeseed": Calendar(140, 190, 228, 252, 280),
        "rice": Calendar(142, 210, 240, 262, 285),
        "cotton": Calendar(142, 210, 240, 262, 285),
        "soy": Calendar(142, 205, 240, 262, 285),
    },
    "tropical": {
        "maize": Calendar(150, 212, 262, 312, 492),
        "winter cereal": Calendar(-58, 14, 58, 90, 122, wild=False),
        "rapeseed": Calendar(-58, 10, 58, 90, 122, wild=False),
        "rice": Calendar(142, 210, 258, 298, 484),
        "cotton": Calendar(152, 232, 288, 330, 492),
        "soy": Calendar(144, 202, 248, 284, 492),
    },
    "desert": {
        "maize": Calendar(52, 116, 164, 194, 228, wild=False),
        "winter cereal": Calendar(-36, 58, 108, 144, 200, wild=False),
        "rapeseed": Calendar(-50, 50, 100, 135, 200, wild=False),
        "rice": Calendar(110, 190, 230, 260, 290, wild=False),
        "cotton": Calendar(86, 190, 254, 294, 330, wild=False),
        "soy": Calendar(90, 170, 220, 250, 290, wild=False),
    },
    "continental": {
        "maize": Calendar(120, 198, 244, 282, 474),
        "winter cereal": Calendar(-88, 128, 164, 186, 244),
        "rapeseed": Calendar(-110, 106, 165, 186, 240),
        "rice": Calendar(122, 200, 240, 262, 300, wild=False),
        "cotton": Calendar(122, 210, 258, 295, 470),
        "soy": Calendar(136, 206, 250, 276, 478),
    },
}

# Mean wetness of bare soil, its half range, and the day of its peak. assumed: follows rain less evaporation.
_MOIST: dict[str, tuple[float, float, float]] = {
    "temperate": (0.42, 0.38, 15), "mediterranean": (0.35, 0.4, 15), "boreal": (0.5, 0.3, 110),
    "tropical": (0.4, 0.4, 210), "desert": (0.06, 0.05, 20), "continental": (0.42, 0.3, 100),
}  # fmt: skip
# Alfalfa: first and last day of growth, days between cuts, green in the cold season.
_ALFALFA: dict[str, tuple[float, float, float, float]] = {
    "temperate": (98, 292, 38, 0.3),
    "mediterranean": (70, 315, 31, 0.6),
    "boreal": (132, 262, 45, 0.05),
    "tropical": (1, 366, 30, 0.7),
    "desert": (1, 366, 29, 0.7),
    "continental": (102, 288, 33, 0.1),
}
# Days on which pastures are mown.
_MOWN: dict[str, tuple[float, ...]] = {"temperate": (146, 200, 250), "boreal": (176, 226), "continental": (155, 215)}


def dampness(climate: str, day: float, weather: Weather) -> float:
    """Wetness of bare soil, 0 (dry) to 1, in one of the `CLIMATES` on a northern day."""
    mean, swing, peak = _MOIST[climate]
    wave = float(np.cos(2 * np.pi * (day - peak) / 365.25)) + 0.5 * weather.wet + 0.3 * weather.wander
    return min(max(mean + swing * wave, 0.0), 1.0)


def field_looks(
    biome: str, fields: Fields, now: Moment, grass: Callable[[Days], Days]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """How every field looks on a day.

    Args:
        biome: Name in `biomes.BIOMES`.
        fields: The fields, N of them.
        now: The day.
        grass: Greenness of the biome's grass by day of the northern year, for pastures and fallows.

    Returns:
        Poor and rich reflectance, (N, 10) each, and greenness, (N,).
    """
    climate, count = CLIMATES[biome], fields.late.size
    poor, rich, green = np.zeros((count, 10)), np.zeros((count, 10)), np.zeros(count)
    this = fields.crop[now.year % len(fields.crop)]
    after = fields.crop[(now.year + 1) % len(fields.crop)]
    damp = dampness(climate, now.day, now.weather)
    soil = SOIL_SPECTRA[SOIL_OF[biome]].astype(np.float64)[None, :] * fields.bright[:, None]
    cover = np.modf(np.arange(count) * 0.6180339887498949)[0] < COVERED  # the golden ratio spreads them evenly
    day = now.day - fields.late
    shown, sown = this.copy(), np.zeros(count, dtype=bool)
    for number, name in enumerate(CROPS):  # sown this autumn for the next year
        calendar = _CALENDARS[climate].get(name)
        if calendar is not None and calendar.sow < 0:
            sown |= (after == number) & (day - 365 >= calendar.sow)
    shown[sown], day[sown] = after[sown], day[sown] - 365
    for number, name in enumerate(CROPS):
        mine = shown == number
        if not mine.any():
            continue
        fade = _Field(climate, now.weather, damp, soil[mine], cover[mine] & (climate in ("temperate", "mediterranean")))
        if name in _CALENDARS[climate]:
            poor[mine], rich[mine], green[mine] = _arable(name, _CALENDARS[climate][name], day[mine], fade)
        else:
            poor[mine], rich[mine], green[mine] = _PERENNIALS[name](day[mine], fade, grass)
    return poor.astype(np.float32), rich.astype(np.float32), np.clip(green, 0, 1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Field:
    """What the fields of one crop share on a day."""

    climate: str
    weather: Weather
    damp: float
    soil: NDArray[np.float64]
    """(n, 10), dry."""
    cover: NDArray[np.bool_]
    """(n,), whether a cover crop grows between two crops."""


_Looks = tuple[NDArray[np.float64], NDArray[np.float64], Days]


def _state(name: str) -> NDArray[np.float64]:
    """(1, 10), a state's reflectance."""
    return STATE_SPECTRA[name].astype(np.float64)[None, :]


def _crop(name: str) -> NDArray[np.float64]:
    """(1, 10), a full-grown crop's reflectance."""
    return CROP_SPECTRA[name].astype(np.float64)[None, :]


def _wetted(soil: NDArray[np.float64], wet: Days | float) -> NDArray[np.float64]:
    """Soil made wet, 0 to 1."""
    return mix(soil, soil * WET_SOIL.astype(np.float64), wet)


def _arable(name: str, calendar: Calendar, day: Days, field: _Field) -> _Looks:
    """A crop that is sown and cut once a year."""
    thirst = max(-field.weather.wet, 0.0) if calendar.wild else 0.0
    ripen = calendar.ripen - 10 * thirst - 3 * field.weather.early
    cut, sow = calendar.cut - 7 * thirst, calendar.sow - 4 * field.weather.early * (calendar.sow > 0)
    vigour = 1 - 0.22 * thirst + (0.05 * field.weather.wander if calendar.wild else 0.0)
    standing = day < cut
    grown = soften(day, sow + 14, calendar.grown - sow - 14)
    if calendar.sow < 0:  # tillers before the cold, the rest from late winter on
        start = max(calendar.grown - 66, calendar.sow + 40)
        tillers = 0.15 if field.climate == "continental" else 0.42  # assumed: frost kills leaves
        grown = tillers * soften(day, sow + 12, 50) + (1 - tillers) * soften(day, start, calendar.grown - start)
    green = grown * (1 - 0.98 * soften(day, ripen, max(cut - ripen - 4, 8))) * standing * vigour
    fallow = (day >= calendar.plough) | (day < min(sow, calendar.plough - 365 if calendar.plough > 365 else -999))
    moist = np.clip(field.damp + 0.6 * (1 - soften(day, calendar.plough + 3, 15)) * (day >= calendar.plough), 0, 1)
    moist = np.where((day > sow - 12) & (day < sow + 20), np.maximum(moist, 0.45), moist)  # rain or watering
    poor = _wetted(field.soil, moist)
    dry = _state("bolls") if name == "cotton" else _state("ripe")
    poor = mix(poor, dry, soften(day, ripen - 12, 18) * standing)
    straw = ((day >= cut) & (day < calendar.plough)) | (fallow & (day < calendar.plough - 365))
    poor = np.where(
        straw[:, None], mix(_state("stubble"), _wetted(field.soil, field.damp), 0.15 + 0.35 * field.damp), poor
    )
    green = np.where(straw, 0.12 * field.damp, green)  # weeds and shed grain
    before = (day < sow - 20) & (calendar.sow > 0) & ~straw
    catch = np.where(before, 1 - soften(day, sow - 42, 14), soften(day, calendar.plough + 12, 40) * (day > cut))
    green = np.where(field.cover, np.maximum(green, 0.62 * catch), green)
    rich = np.broadcast_to(_crop(name), poor.shape)
    if name == "rapeseed":
        bloom = soften(day, calendar.grown + 4, 10) * (1 - soften(day, calendar.grown + 30, 10))
        rich = mix(rich, _state("flower"), bloom)
    if name == "rice":
        wet = ((day > sow - 22) & (day < ripen - 14)) | (
            ((day > cut + 42) | (day < 48)) & (field.climate == "mediterranean")
        )
        poor, green = (
            np.where(wet[:, None], _state("flooded"), poor),
            np.where(wet & ((day > cut) | (day < 48)), 0.0, green),
        )
    return poor, rich, green


def _alfalfa(day: Days, field: _Field, grass: Callable[[Days], Days]) -> _Looks:
    """Cut all summer, resting in the cold."""
    first, last, every, rest = _ALFALFA[field.climate]
    growing = soften(day, first - 45, 40) * (1 - soften(day, last - 10, 35)) if first > 1 else np.ones_like(day)
    since = np.mod(day - first, every)
    cutting = (day > first + every) & (day < last)
    sward = np.where(cutting, 0.22 + 0.78 * soften(since, 3, 0.6 * every), 1.0)
    poor = mix(_state("mown"), _wetted(field.soil, field.damp), 0.35)
    return poor, np.broadcast_to(_crop("alfalfa"), poor.shape), (rest + (1 - rest) * growing) * sward


def _pasture(day: Days, field: _Field, grass: Callable[[Days], Days]) -> _Looks:
    """Meadows and pastures: the biome's grass, mown where winters are cold."""
    green = grass(day)
    for cut in _MOWN.get(field.climate, ()):
        green = green * np.where(day >= cut, 0.35 + 0.65 * soften(day, cut + 4, 26), 1.0)
    straw = {"temperate": 0.1, "boreal": 0.5, "continental": 0.55}.get(field.climate)  # assumed: what frost bleaches
    summer = soften(day, 130, 30) * (1 - soften(day, 270, 40))
    poor = _state("old grass")
    if straw is not None:
        poor = mix(mix(_state("winter grass"), poor, straw), _state("mown"), summer)
    poor = np.broadcast_to(poor, field.soil.shape)
    return poor, np.broadcast_to(_crop("pasture"), poor.shape), green


def _orchard(day: Days, field: _Field, grass: Callable[[Days], Days]) -> _Looks:
    """Trees in rows over grass or tilled soil; evergreen where it never freezes."""
    evergreen = {"desert": 0.75, "tropical": 0.8}.get(field.climate, 0.0)
    leaf = soften(day, 72, 38) * (1 - soften(day, 296, 42))
    floor = mix(_wetted(field.soil, field.damp), _crop("fallow"), 0.5 * grass(day))
    poor = mix(floor, _state("moist litter"), 0.3)
    return poor, np.broadcast_to(_crop("orchard"), poor.shape), evergreen + (0.95 - evergreen) * leaf


def _fallow(day: Days, field: _Field, grass: Callable[[Days], Days]) -> _Looks:
    """Weeds over old stubble and soil."""
    poor = mix(_wetted(field.soil, field.damp), _state("stubble"), 0.45)
    return poor, np.broadcast_to(_crop("fallow"), poor.shape), 0.7 * grass(day)


_PERENNIALS: dict[str, Callable[[Days, _Field, Callable[[Days], Days]], _Looks]] = {
    "alfalfa": _alfalfa,
    "pasture": _pasture,
    "orchard": _orchard,
    "fallow": _fallow,
}
