"""On which days a stream's series are seen where they have two halves: an older and a recent set, four years apart.

Source of the plan: CACo (U. Mall, B. Hariharan and K. Bala, CVPR 2023, section 4.1): two sets about four years apart,
each within a year. How many dates and how far apart is not told there; assumed: as in SeCo's downloader (O. Mañas et
al., ICCV 2021, `datasets/seco_downloader.py`): five dates, each 12 weeks from the next, moved by one random offset of
up to 364 days for a location, and for each date whatever there is in a window of 15 days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stac.errors import DataError

from .stream_country import SLOT_DAYS, Country

APART = 84
"""Days between two dates of a half: 12 weeks."""

OFFSET = 364
"""Greatest offset of a location, days."""

WINDOW = 15
"""Days after its turn within which a date lies."""

MOST = 5
"""Dates of a half: more would not fit into a year."""

GAP = 1461
"""Days from the older half's first turn to the recent half's: four years."""

BETWEEN = 0.8
"""Part of the changed series whose change is sought between the halves. assumed: most of them; the others change when
they will, within a half as well, for real series do so."""

_ROUND = SLOT_DAYS
"""Days by which a date may lie off its window, for days come in steps."""


@dataclass(frozen=True, eq=False)
class Aim:
    """Changes of B series, as the dates are to lie about them."""

    start: NDArray[np.int64]
    """(B,), first day; -1 for no change."""
    end: NDArray[np.int64]
    """(B,), last day; -1 for no change."""
    wanted: NDArray[np.bool_]
    """(B,), whether it is to lie between the halves, where that can be."""


class Halves:
    """The plan of two halves of one country."""

    def __init__(self, country: Country, light: NDArray[np.bool_], dates: int) -> None:
        """Check that the plan fits.

        Args:
            country: The grounds and the days.
            light: (G, slots), whether a day can be seen.
            dates: Of both halves.

        Raises:
            DataError: The period is too short.
        """
        self._each, self._light = dates // 2, light
        self._days = np.arange(country.slots) * SLOT_DAYS
        self._start, self._end = country.start, country.start + country.span
        room = int(self._days[-1]) - GAP - self._tail
        if room < OFFSET:
            found = f"two halves in {country.config.years} years"
            wanted = f"{GAP + self._tail + OFFSET} days: 6 years"
            raise DataError(found, wanted, "set the country's years to 6 or plan to any")

    @property
    def _tail(self) -> int:
        """Days from a half's first turn to the end of its last window."""
        return (self._each - 1) * APART + WINDOW

    def _offsets(self, start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
        """Least and greatest offset (2, n) with which a change lies between the halves; none where least > greatest."""
        low = np.maximum(end + _ROUND - GAP, 0)
        return np.stack([low, np.minimum(start - self._tail - _ROUND, OFFSET)])

    def narrow(self, changes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of some changes (numbers, (n,)) that can lie between the halves; all of them where none can."""
        low, high = self._offsets(self._start[changes], self._end[changes])
        return changes[low <= high] if (low <= high).any() else changes

    def draw(self, ground: NDArray[np.int64], aim: Aim, rng: np.random.Generator) -> NDArray[np.int64]:
        """Choose the days of B series.

        Args:
            ground: (B,), where each lies.
            aim: What changes there.
            rng: Where chance comes from.

        Returns:
            (B, dates), slots, rising: first the older half's, then as many of the recent half; in the polar night the
            nearest day with light.
        """
        count = len(ground)
        low, high = self._offsets(aim.start, aim.end)
        apart = aim.wanted & (aim.start >= 0) & (low <= high)
        offset = rng.integers(np.where(apart, low, 0), np.where(apart, high, OFFSET) + 1)
        turns = np.concatenate([np.arange(self._each) * APART, GAP + np.arange(self._each) * APART])
        days = offset[:, None] + turns + rng.integers(0, WINDOW + 1, (count, len(turns)))
        free = self._light[ground]
        slots = np.empty(days.shape, dtype=np.int64)
        for place, wanted in enumerate(days.T):
            far = np.where(free, np.abs(self._days - wanted[:, None]), np.iinfo(np.int64).max)
            slots[:, place] = far.argmin(axis=1)
            free[np.arange(count), slots[:, place]] = False
        return np.sort(slots, axis=1)
