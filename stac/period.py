"""Periods: an interval of days in UTC, from the spellings that people use.

`norm_period` accepts `START/END` (dates, months, years or date-times on either side), or one year, month or day alone:
`2023`, `2023-07`, `2023-07-14`, `2023-07/2023-09`, `2023-01-01T00:00:00Z/2023-02-01T12:00:00Z`, and `..` for an open
side, which becomes the start of the mission or today.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from .errors import AreaError

# Launch of Sentinel-2A: https://sentiwiki.copernicus.eu/web/s2-mission
MISSION_START = datetime(2015, 6, 23, tzinfo=UTC)
"""What an open start (`../2020-12-31`) stands for: nothing was imaged before."""

_DAY_END = time(23, 59, 59, 999999)
_DATE = re.compile(r"^(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?$")


@dataclass(frozen=True)
class Period:
    """An interval of time, both ends included."""

    start: datetime
    """First instant, UTC."""
    end: datetime
    """Last instant, UTC; the last microsecond of the day where a day was given."""

    def __post_init__(self) -> None:
        if self.start > self.end:
            raise AreaError(
                f"the period starts on {self.start.date()}, after its end on {self.end.date()}",
                "the earlier date first",
                "swap the two dates",
            )

    def contains(self, when: datetime) -> bool:
        """Whether an instant lies in the period (a naive one is taken as UTC)."""
        return self.start <= _utc(when) <= self.end

    def overlaps(self, start: datetime, end: datetime) -> bool:
        """Whether an interval, ends included, shares an instant with the period."""
        return _utc(start) <= self.end and _utc(end) >= self.start

    @property
    def moments(self) -> tuple[datetime, datetime]:
        """Its ends as moments to be near to: noon of the first and the last day, or the instants that were given."""
        first = noon(self.start.date()) if self.start.time() == time(0) else self.start
        last = noon(self.end.date()) if self.end.time() == _DAY_END else self.end
        return first, last

    @property
    def interval(self) -> str:
        """The period as STAC APIs take it: two RFC 3339 instants, widened to whole seconds, which all of them read."""
        end = self.end.replace(microsecond=0)
        return f"{_rfc3339(self.start)}/{_rfc3339(end if end == self.end else end + timedelta(seconds=1))}"

    def __str__(self) -> str:
        whole = self.start.time() == time(0) and self.end.time() == _DAY_END
        start, end = (self.start.date(), self.end.date()) if whole else (self.start, self.end)
        return f"{start.isoformat()}/{end.isoformat()}"


def noon(day: date) -> datetime:
    """Noon of a day, UTC: nearer to whatever was seen on that day than to what was seen the day before or after."""
    return datetime.combine(day, time(12), UTC)


def norm_period(text: str | Period) -> Period:
    """Canonical period of any accepted spelling.

    Args:
        text: `START/END`, or one year, month or day; `..` leaves a side open. Instants without a zone are UTC.

    Raises:
        AreaError: It is no period, or its dates are reversed.
    """
    if isinstance(text, Period):
        return text
    sides = [side.strip() for side in text.strip().split("/")]
    if len(sides) > 2 or not all(sides) or sides == ["..", ".."]:
        raise _bad(text)
    first, last = sides[0], sides[-1]
    if len(sides) == 1 and first == "..":
        raise _bad(text)
    start = MISSION_START if first == ".." else _parse(first, text)[0]
    end = datetime.combine(datetime.now(UTC).date(), _DAY_END, UTC) if last == ".." else _parse(last, text)[1]
    return Period(start, end)


def _parse(side: str, text: str) -> tuple[datetime, datetime]:
    """First and last instant of a year, a month, a day or an instant."""
    match = _DATE.match(side)
    try:
        if match is None:
            when = _utc(datetime.fromisoformat(side))
            return when, when
        year, month, day = (int(part or 0) for part in match.groups())
        start = datetime(year, month or 1, day or 1, tzinfo=UTC)
        last_day = day or calendar.monthrange(year, month or 12)[1]
        return start, datetime.combine(datetime(year, month or 12, last_day), _DAY_END, UTC)
    except ValueError as err:
        raise _bad(text) from err


def _bad(text: str) -> AreaError:
    return AreaError(
        f"'{text}' is no period",
        "START/END such as 2023-01-01/2023-12-31, or a year or month such as 2023 or 2023-07",
        "correct the dates",
    )


def _utc(when: datetime) -> datetime:
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _rfc3339(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%S}Z"
