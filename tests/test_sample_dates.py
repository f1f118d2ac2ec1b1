"""Which dates are wanted: SeCo's rule twice, windows, offsets, and what no series fits into."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from stac.errors import AreaError
from stac.sampling.dates import OFFSETS, DatePlan

PLAN = DatePlan(date(2023, 12, 31))
WEEK = timedelta(weeks=1)


def test_a_set_is_a_date_and_those_12_24_36_and_48_weeks_before() -> None:
    wanted = PLAN.wanted(10)
    assert wanted == sorted(wanted)
    recent = [date(2023, 12, 21) - k * 12 * WEEK for k in (4, 3, 2, 1, 0)]
    assert wanted[5:] == recent
    assert [(b - a).days for a, b in zip(wanted[:5], recent, strict=True)] == [1461] * 5  # four years
    assert PLAN.halves == [0] * 5 + [1] * 5
    assert PLAN.window(recent[0]) == (recent[0] - timedelta(days=7), recent[0] + timedelta(days=7))


def test_offsets_are_all_the_days_of_a_year_in_an_order_of_the_locations_own() -> None:
    order = PLAN.offsets(0, 7, 1)
    assert sorted(order) == list(range(OFFSETS))
    assert order == PLAN.offsets(0, 7, 1)
    assert len({tuple(PLAN.offsets(*key)) for key in ((0, 7, 1), (0, 7, 2), (0, 8, 1), (1, 7, 1))}) == 4
    mean = sum(PLAN.offsets(0, n, 0)[0] for n in range(2000)) / 2000
    assert mean == pytest.approx(182, abs=8)


def test_periods_hold_every_window_of_every_offset() -> None:
    for plan in (PLAN, DatePlan(date(2023, 12, 31), years_apart=1)):
        for offset in (0, 100, OFFSETS - 1):
            for wanted in plan.wanted(offset):
                for day in plan.window(wanted):
                    assert any(p.start.date() < day < p.end.date() for p in plan.periods)
    assert len(PLAN.periods) == 2
    assert len(DatePlan(date(2023, 12, 31), years_apart=1).periods) == 1


def test_the_newest_day_that_will_do_is_taken() -> None:
    wanted = PLAN.wanted(0)
    days = sorted({day + timedelta(days=step) for day in wanted for step in (-8, -7, 0, 3, 7, 8)})
    assert PLAN.choose(0, days, lambda day: True) == [day + timedelta(days=7) for day in wanted]
    newest = {day + timedelta(days=7) for day in wanted}
    assert PLAN.choose(0, days, lambda day: day not in newest) == [day + timedelta(days=3) for day in wanted]
    outside = {day + timedelta(days=step) for day in wanted for step in (-8, 8)}
    assert PLAN.choose(0, days, lambda day: day in outside) is None


def test_no_day_is_looked_at_where_a_window_has_none() -> None:
    def fail(day: date) -> bool:
        raise AssertionError(f"{day} was looked at")

    days = [day for day in PLAN.wanted(0) if day != PLAN.wanted(0)[3]]
    assert PLAN.choose(0, days, fail) is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"years_apart": 0.5}, "overlap"),
        ({"dates": 30}, "windows that do not overlap"),
        ({"window_days": 90}, "windows that do not overlap"),
        ({"until": date(2018, 1, 1)}, "start of the mission"),
        ({"years_apart": 20.0}, "start of the mission"),
    ],
)
def test_impossible_dates_are_refused(change: dict, fault: str) -> None:
    with pytest.raises(AreaError, match=fault):
        DatePlan(**{"until": date(2023, 12, 31), **change})


def test_days_into_which_no_series_fits_are_refused() -> None:
    days = [date(2021, 1, 1) + timedelta(days=5 * k) for k in range(3 * 73)]
    with pytest.raises(AreaError, match="4 years before"):
        DatePlan(days[-1]).check_fits(days, "a catalog")
    DatePlan(days[-1], years_apart=1).check_fits(days, "a catalog")
    DatePlan(days[-1], years_apart=2).check_fits(days, "a catalog")


def test_one_date_a_set() -> None:
    plan = DatePlan(date(2023, 12, 31), dates=1, years_apart=1)
    assert plan.wanted(0) == [date(2022, 12, 31), date(2023, 12, 31)]
