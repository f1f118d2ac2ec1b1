"""The weather of the years over one area: dry and wet seasons, early and late ones, and how the weeks wander.

Drawn once for an area, so that all its passes agree. assumed, all figures: a season differs from the mean by a normal
anomaly of spread 0.5, cut at 1, so that one in six is dry (below -0.5) and one in forty a drought (-1); a dry year
tends to follow a dry one (correlation 0.3), early and late seasons follow nothing; within a season rain and warmth
come and go in about a month, as a first-order autoregressive process (its form: H. von Storch and F. W. Zwiers 1999,
Statistical Analysis in Climate Research, chapter 10).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .biomes import Biome
from .steps import soften

_COUNT = 64
"""Years that are drawn; later ones repeat."""
_SPREAD, _AGAIN = 0.5, 0.3
"""Spread of an anomaly, and the correlation of a year's wetness with that of the year before."""
_STEP, _KEEP = 10, 0.7
"""Days between two values of the wander, and their correlation: it fades to 1/e in 28 days."""

# The day of the northern year on which one growing season hands over to the next, when little is green or all is.
_HANDOVER: dict[str, float] = {"mediterranean": 250, "desert": 235, "savanna": 75, "rainforest": 60}


@dataclass(frozen=True)
class Weather:
    """How a growing season, on one of its days, differs from the mean of many."""

    wet: float = 0.0
    """From -1 (drought) to 1 (wet)."""
    early: float = 0.0
    """From -1 (the season starts late: a cold spring, late rains) to 1 (early)."""
    late: float = 0.0
    """From -1 (it ends soon) to 1 (late)."""
    wander: float = 0.0
    """The weeks before the day: zero mean, unit spread, from -2 (dry, cold) to 2."""


@dataclass(frozen=True, eq=False)
class Years:
    """Anomalies by growing year, and their wander; what lies beyond the last repeats from the first."""

    wet: NDArray[np.float64]
    """(n,), -1 to 1, as in `Weather`; the first is of year -2."""
    early: NDArray[np.float64]
    """(n,), -1 to 1."""
    late: NDArray[np.float64]
    """(n,), -1 to 1."""
    wander: NDArray[np.float64]
    """(m,), -2 to 2, every `_STEP` days."""


AVERAGE = Years(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1))
"""Years without any anomaly."""


def new_years(rng: np.random.Generator) -> Years:
    """Draw the weather of an area.

    Args:
        rng: Where chance comes from.
    """
    chance = rng.standard_normal((3, _COUNT))
    wet, early, late = (np.clip(_SPREAD * part, -1, 1) for part in (_autoregressive(chance[0], _AGAIN), *chance[1:]))
    wander = _autoregressive(rng.standard_normal(_COUNT * 366 // _STEP), _KEEP)
    return Years(wet, early, late, np.clip(wander, -2, 2))


def _autoregressive(chance: NDArray[np.float64], keep: float) -> NDArray[np.float64]:
    """White noise of unit spread (n,) made to hold on: correlation `keep` from one value to the next, unit spread."""
    fresh = (1 - keep * keep) ** 0.5
    values = [float(chance[0])]
    for new in chance[1:].tolist():
        values.append(keep * values[-1] + fresh * new)
    return np.array(values)


def weather(years: Years, biome: Biome, day: float, year: int) -> Weather:
    """The weather behind how green a day is; seasons hand over softly.

    Args:
        years: The area's.
        biome: When its seasons hand over.
        day: Northern day of the year, 1 to 366.
        year: Growing year, from -1 on.
    """
    turn = _HANDOVER.get(biome.name, 12.0)
    # where the turn is in January, the passage begins with the year
    part = float(soften(day, turn - 30, 60) if turn >= 30 else soften(day, 0, 40))
    count = len(years.wet)
    old, new = (year + 1) % count, (year + 2) % count
    wet, early, late = (float(a[old] + part * (a[new] - a[old])) for a in (years.wet, years.early, years.late))
    place = ((year + 2) * 365 + day) / _STEP
    left = int(place)
    a, b = (float(years.wander[k % len(years.wander)]) for k in (left, left + 1))
    return Weather(wet, early, late, a + (place - left) * (b - a))
