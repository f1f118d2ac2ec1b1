"""When to look: two sets of dates some years apart, each spread over a year.

A set is SeCo's: a reference date and those 12, 24, 36 and 48 weeks before it, all moved back by one random number of
days, 0 to 364, of the location's own; in a window of 15 days around each, the newest image that is clear enough is
taken (https://github.com/ServiceNow/seasonal-contrast, datasets/seco_downloader.py, commit 411e37e). CACo has two such
sets, "~4 years apart" (section 4.1); its own dates are not published. assumed: both sets are moved back by the same
number of days, so that the halves show the same seasons, which its ablation T8 favours.

SeCo draws another location when a date finds no image. Here another number of days is tried first, all 365 in random
order: dates cost nothing once the location's items are known, and cloudy country is then not thinned out as much.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from ..errors import AreaError
from ..period import MISSION_START, Period, norm_period

OFFSETS = 365
"""Numbers of days by which the dates of a location may be moved back: 0 to 364. Source: SeCo."""
DAYS_IN_YEAR = 365.25

_OFFSET = 2


@dataclass(frozen=True)
class DatePlan:
    """The two sets of dates, before they are moved back."""

    until: date
    """The reference date of the recent set: no date wanted is later."""
    dates: int = 5
    """Dates in a set. Source: SeCo."""
    years_apart: float = 4.0
    """From the older set to the recent one, years. Source: CACo, section 4.1."""
    span_weeks: int = 48
    """From the first date of a set to its last, weeks. Source: SeCo."""
    window_days: int = 15
    """Days around a wanted date that will do, that date included. Source: SeCo."""

    def __post_init__(self) -> None:
        """Refuse sets that overlap, or lie before the mission."""
        if self.dates > 1 and self.span_weeks * 7 < self.window_days * (self.dates - 1):
            raise AreaError(
                f"{self.dates} dates within {self.span_weeks} weeks, each with a window of {self.window_days} days",
                "windows that do not overlap",
                "lower --dates or --window-days, or raise --span-weeks",
            )
        if self.gap < self.span + self.window_days:
            least = (self.span + self.window_days) / DAYS_IN_YEAR
            raise AreaError(
                f"sets of {self.span_weeks} weeks {self.years_apart:g} years apart overlap",
                f"at least {np.ceil(least * 100) / 100:g} years",
                "raise --years-apart, or lower --span-weeks",
            )
        oldest = self.wanted(0)[0] + timedelta(days=self.window_days // 2)
        if oldest < MISSION_START.date():
            raise AreaError(
                f"the older set would begin on {self.wanted(0)[0]}",
                f"dates after {MISSION_START.date()}, the start of the mission",
                "lower --years-apart, or give a later --until",
            )

    @property
    def span(self) -> int:
        """From the first date of a set to its last, days."""
        return self.span_weeks * 7 if self.dates > 1 else 0

    @property
    def gap(self) -> int:
        """From a date of the older set to that of the recent one, days."""
        return round(self.years_apart * DAYS_IN_YEAR)

    @property
    def halves(self) -> list[int]:
        """0 for each date of the older set, 1 for the recent one's, in the order of `wanted`."""
        return [0] * self.dates + [1] * self.dates

    def wanted(self, offset: int) -> list[date]:
        """The dates of both sets, increasing, moved back by a number of days."""
        steps = [round(self.span * k / max(1, self.dates - 1)) for k in reversed(range(self.dates))]
        back = [self.gap + step for step in steps] + steps
        return [self.until - timedelta(days=offset + days) for days in back]

    def window(self, wanted: date) -> tuple[date, date]:
        """First and last day that will do for a wanted date."""
        first = wanted - timedelta(days=self.window_days // 2)
        return first, first + timedelta(days=self.window_days - 1)

    @property
    def periods(self) -> list[Period]:
        """When items may be wanted, for any offset: one period for each set, or one for both where they overlap."""
        first, latest = self.wanted(OFFSETS - 1), self.wanted(0)
        ends = [(self.window(first[k])[0], self.window(latest[k + self.dates - 1])[1]) for k in (0, self.dates)]
        if ends[0][1] >= ends[1][0]:
            ends = [(ends[0][0], ends[1][1])]
        day = timedelta(days=1)  # solar days begin and end up to twelve hours beside those of UTC
        return [norm_period(f"{start - day}/{end + day}") for start, end in ends]

    def offsets(self, seed: int, number: int, attempt: int) -> list[int]:
        """All offsets in the order in which a location tries them.

        Args:
            seed: From 0.
            number: Of the location.
            attempt: Which draw of the location it is.
        """
        order = np.random.default_rng([seed, number, attempt, _OFFSET]).permutation(OFFSETS)
        return [int(offset) for offset in order]

    def choose(self, offset: int, days: Sequence[date], good: Callable[[date], bool]) -> list[date] | None:
        """The newest day that will do for each wanted date.

        Args:
            offset: Days to move back.
            days: There are images on, increasing.
            good: Whether a day's image will do; asked only of days in a window, newest first, and only when every
                window has a day.

        Returns:
            As many days as `wanted` gives, increasing; None where a date finds none.
        """
        spans = [_within(days, *self.window(wanted)) for wanted in self.wanted(offset)]
        if not all(spans):
            return None
        chosen = []
        for span in spans:
            day = next((day for day in reversed(span) if good(day)), None)
            if day is None:
                return None
            chosen.append(day)
        return chosen

    def check_fits(self, days: Sequence[date], what: str) -> None:
        """Refuse days of which no offset can take its dates.

        Args:
            days: There are images on, anywhere, increasing; at least one.
            what: Whose they are, for the message.

        Raises:
            AreaError: Nothing can fit.
        """
        if any(self.choose(offset, days, lambda day: True) for offset in range(OFFSETS)):
            return
        raise AreaError(
            f"{what} has images on {len(days)} days from {days[0]} to {days[-1]}, where no series fits",
            f"{self.dates} dates over {self.span_weeks} weeks up to {self.until}, and as many {self.years_apart:g} "
            f"years before, each within {self.window_days} days",
            "lower --years-apart, --dates or --span-weeks, or change --until or --max-cloud",
        )


def _within(days: Sequence[date], first: date, last: date) -> Sequence[date]:
    """The days from the first to the last, both included."""
    return days[bisect_right(days, first - timedelta(days=1)) : bisect_right(days, last)]
