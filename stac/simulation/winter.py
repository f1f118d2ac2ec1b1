"""Snow and ice through the winters: one process for each area, which remembers what fell and what melted.

Day by day, at heights 50 m apart, from the biome's climate: snow falls and melts by degree-days, so that the first
snow comes and goes, the line falls in cold spells, rises in thaws and climbs in spring; lakes freeze and open. Both
faces of the generator take the same process: the archive one history for an area, the stream many at once.

Sources:

- Melt in proportion to the degrees above freezing, 2.5 to 5.5 mm a degree and day over snow: R. Hock 2003, Journal of
  Hydrology 282, 104, https://doi.org/10.1016/S0022-1694(03)00257-9. assumed: 1.5 in
  December to 5 in summer, with the sun.
- Half of the precipitation is snow at about 1 °C: K. S. Jennings et al. 2018, Nature Communications 9, 1148,
  https://doi.org/10.1038/s41467-018-03629-7. assumed: all of it below 0 °C, none above 2 °C.
- Temperature about its mean as a process of the first order, chance of a wet day, exponential amounts: the generator of
  C. W. Richardson 1981, Water Resources Research 17, 182, https://doi.org/10.1029/WR017i001p00182. assumed: a
  correlation of 0.8 from day to day, half the winter's spread in summer, a slow part of 1.5 K that makes winters mild
  or cold, 0.35 wet days.
- Trees hold and shed snow: N. R. Hedstrom and J. W. Pomeroy 1998, Hydrological Processes 12, 1611. assumed: 60 % of a
  fall, 6 mm at the most; three tenths a day fall off, most of it in a thaw.
- Ice grows with the root of the degrees below freezing (Stefan's law: G. D. Ashton 2011, Cold Regions Science and
  Technology 68, 3). assumed: 2 cm for the root of a degree and day, as under snow; 0.7 cm a degree and day melts; water
  follows the air with a delay of 20 days; rivers bear ice when lakes have 15 to 40 cm.
- assumed: the air is colder by 6 K a kilometre up, somewhat less than in the standard atmosphere, for winter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import array_namespace
from .biomes import Biome, Year
from .covers import BANDS, BROADLEAF, CONIFER, COVERS, RAINFOREST, RIPARIAN, RIVER, WATER, WATERS
from .render import Array, lay_ice, per_image
from .steps import smooth_step

_LAPSE = 0.006
_MELT = (1.5, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0, 4.0, 3.0, 2.0, 1.5)
_DAILY, _SLOW = 0.8, 0.97
_SLOW_K = 1.5
_WET = 0.35
_HELD, _LOAD, _SHED = 0.6, 6.0, 0.3
_GROWTH, _THAW, _DELAY = 2.0, 0.7, 20.0

# Snow hidden under trees, by cover. assumed: of the order of one less the viewable gap fraction of closed stands; stems
# and their long shadows hide most of a leafless beech wood's floor (blue 0.08 to 0.20 on real dates with snow).
_HIDDEN = {CONIFER: 0.86, BROADLEAF: 0.88, RAINFOREST: 0.7, RIPARIAN: 0.85, **dict.fromkeys(WATERS, 1.0)}

_LAKE_ICE = 2.0, 8.0
"""Ice, cm, with which lakes begin to be white and are all white. assumed: skim ice is clear, patches stay open."""

_SHOWS = 5.0
"""Water in the snow, mm, from which it shows. assumed: three to five centimetres cover grass."""

_LADEN = 2.0
"""Water on trees, mm, from which they are white. assumed."""

_STEP, _BELOW = 50.0, 300.0
"""Metres between heights, and how far below the lowest ground they begin: full cover needs a line below it."""

_SPIN_UP = 150
"""Days before the first one: snow that lies in January fell in autumn."""


@dataclass(frozen=True, eq=False)
class Winters:
    """N histories of an area's snow and ice; (N, days) float32 each."""

    snow_line: NDArray[np.float32]
    """Height above which snow lies, metres; infinite for none."""
    laden_line: NDArray[np.float32]
    """Height above which trees bear snow, metres; infinite for none."""
    ice: NDArray[np.float32]
    """Thickness of the ice on lakes in the valley, cm."""


def new_winters(biome: Biome, first: date, days: int, count: int, rng: np.random.Generator) -> Winters:
    """Histories of snow and ice.

    Args:
        biome: Its climate and heights.
        first: Day 0.
        days: How many days.
        count: How many histories, N.
        rng: Where chance comes from.
    """
    low, high = biome.height
    shape = (count, days)
    if min(biome.warmth) - _LAPSE * (high - low) > 6:  # assumed: no snow there
        none = np.full(shape, np.inf, dtype=np.float32)
        return Winters(none, none, np.zeros(shape, dtype=np.float32))
    whens = [first + timedelta(days=day) for day in range(-_SPIN_UP, days)]
    valley, water = _new_weather(biome, whens, count, rng)
    heights = np.arange(low - _BELOW, high + _STEP, _STEP)
    air = valley[:, :, None] - _LAPSE * (heights - low)
    falls = water[:, :, None] * np.clip(1 - air / 2, 0, 1)
    melts = np.array([monthly(_MELT, when) for when in whens])[:, None, None] * np.maximum(air, 0)
    stays = np.where(air > 0, 0.3, 1 - _SHED)
    pack, load = np.zeros_like(air), np.zeros_like(air)
    for day in range(1, len(whens)):
        pack[day] = np.maximum(pack[day - 1] + falls[day] - melts[day], 0)
        load[day] = np.minimum(load[day - 1] + _HELD * falls[day], _LOAD) * stays[day]
    return Winters(
        snow_line=_line(pack[_SPIN_UP:], heights, _SHOWS),
        laden_line=_line(load[_SPIN_UP:], heights, _LADEN),
        ice=_new_ice(valley)[_SPIN_UP:].T.astype(np.float32),
    )


def _new_weather(
    biome: Biome, whens: Sequence[date], count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Temperature of the valley, °C, and precipitation, mm, of each day and history, (days, N) each."""
    shape = (len(whens), count)
    mean = np.array([monthly(biome.warmth, when) for when in whens])
    rain = np.array([monthly(biome.rain, when) for when in whens]) / (30.4 * _WET)
    summer = (mean - min(biome.warmth)) / (max(biome.warmth) - min(biome.warmth))
    kicks, luck, amounts = rng.standard_normal((2, *shape)), rng.random(shape), rng.standard_exponential(shape)
    walks = np.zeros((2, *shape))
    for walk, kick, kept in zip(walks, kicks, (_DAILY, _SLOW), strict=True):
        for day in range(1, len(whens)):
            walk[day] = kept * walk[day - 1] + math.sqrt(1 - kept**2) * kick[day]
    swing = biome.swing * (1 - 0.5 * summer)
    wet = np.where(luck < _WET, amounts, 0.0) * rain[:, None]
    return mean[:, None] + swing[:, None] * walks[0] + _SLOW_K * walks[1], wet


def _new_ice(valley: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thickness of ice on lakes, cm, of each day and history (days, N), from the air's temperature (days, N)."""
    ice, water = np.zeros_like(valley), np.full(valley.shape[1], 10.0)
    for day in range(1, len(valley)):
        air, before = valley[day], ice[day - 1]
        water = np.maximum(water + (air - water) / _DELAY, 0)
        cold = np.where((water <= 0) | (before > 0), np.maximum(-air, 0), 0)
        ice[day] = np.maximum(np.sqrt(before * before + _GROWTH * _GROWTH * cold) - _THAW * np.maximum(air, 0), 0)
    return ice


def hidden_by_cover() -> NDArray[np.float32]:
    """Part of a pixel whose snow is not seen, by cover, (len(COVERS),)."""
    table = np.zeros(len(COVERS), dtype=np.float32)
    for cover, part in _HIDDEN.items():
        table[cover] = part
    return table


def hide_snow(hidden: Array, height: Array, laden_line: Any, frozen: Array) -> Array:
    """Part of each pixel whose snow is not seen on a day, (..., H, W): less where trees bear it and on ice.

    assumed: laden trees hide three tenths less.

    Args:
        hidden: (..., H, W), as `hidden_by_cover` has it.
        height: (..., H, W), metres.
        laden_line: Metres, infinite for none; a number, or (...).
        frozen: (..., H, W), as `frozen_part` gives it.
    """
    laden = smooth_step(height - per_image(laden_line), 0.0, 110.0) * (hidden < 1)
    return hidden * (1.0 - 0.3 * laden) * (1.0 - frozen)


def frozen_part(cover: Array, ice: Any) -> Array:
    """Part of each pixel that is ice, (..., H, W): lakes first, rivers in hard winters, the sea never.

    Args:
        cover: (..., H, W), integer.
        ice: Thickness on lakes, cm; a number, or (...).
    """
    xp = array_namespace(cover)
    thick = xp.where(cover == WATER, 1.0, 0.0) * per_image(ice)
    swift = xp.where(cover == RIVER, 1.0, 0.0) * per_image(ice)
    return xp.astype(smooth_step(thick, *_LAKE_ICE) + smooth_step(swift, 15.0, 40.0), xp.float32)


def laid_water(image: Array, weight: Array) -> Array:
    """Part of each pixel that is open water which a change laid, (..., H, W): what has drained is land.

    Water is told by the index of H. Xu 2006, International Journal of Remote Sensing 27, 3025 (modified NDWI, from B03
    and B11). assumed: land below 0, water above 0.3; the looks of water have 0.6 to 0.8, those of land less than 0.

    Args:
        image: (..., C, H, W), all bands of `covers.BANDS`, the change just drawn.
        weight: (..., H, W), how much of each pixel the change has taken.
    """
    green, short = (image[..., BANDS.index(name), :, :] for name in ("B03", "B11"))
    return weight * smooth_step((green - short) / (green + short + 1e-6), 0.0, 0.3)


def freeze_laid_water(image: Array, water: Array, ice: Any, snow: Array) -> Array:
    """Cover water that a change laid with ice, in place: it stands, and freezes as lakes do.

    Args:
        image: (..., C, H, W).
        water: (..., H, W), as `laid_water` gives it.
        ice: Thickness on lakes, cm; a number, or (...).
        snow: (C,) or (..., C), reflectance of snow.

    Returns:
        (..., H, W), part of each pixel that is water still, and hides snow.
    """
    xp = array_namespace(image)
    frozen = water * smooth_step(xp.zeros_like(water) + per_image(ice), *_LAKE_ICE)
    lay_ice(image, frozen, snow)
    return water - frozen


def monthly(year: Year, when: date) -> float:
    """A climate's figure on a day: straight lines between the middles of the months."""
    place = when.month - 1 + (when.day - 1) / 30.4 - 0.5
    before = math.floor(place)
    part = place - before
    return (1 - part) * year[before % 12] + part * year[(before + 1) % 12]


def _line(amount: NDArray[np.float64], heights: NDArray[np.float64], least: float) -> NDArray[np.float32]:
    """Lowest height (N, days) at which an amount (days, N, Z), which grows upwards, is above `least`, else infinite."""
    above = amount > least
    place = np.argmax(above, axis=-1)
    lower = np.maximum(place - 1, 0)
    top, bottom = (np.take_along_axis(amount, at[..., None], axis=-1)[..., 0] for at in (place, lower))
    part = np.where(top > bottom, (top - least) / np.maximum(top - bottom, 1e-9), 0)
    line = heights[place] - np.clip(part, 0, 1) * (heights[place] - heights[lower])
    return np.where(above.any(axis=-1), line, np.inf).T.astype(np.float32)
