from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stac.errors import AreaError
from stac.period import MISSION_START, Period, norm_period


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2023", "2023-01-01", "2023-12-31"),
        ("2023-07", "2023-07-01", "2023-07-31"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2023-07-14", "2023-07-14", "2023-07-14"),
        ("2023-01-05/2023-03-06", "2023-01-05", "2023-03-06"),
        (" 2022 / 2023-02 ", "2022-01-01", "2023-02-28"),
    ],
)
def test_spellings_cover_whole_days(text, start, end):
    period = norm_period(text)
    assert period.start == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert period.end == datetime.fromisoformat(end).replace(tzinfo=UTC) + timedelta(days=1, microseconds=-1)
    assert str(period) == f"{start}/{end}"


def test_instants_are_brought_to_utc_and_kept():
    period = norm_period("2023-01-01T00:30:00+02:00/2023-01-02T12:00:00")
    assert period.start == datetime(2022, 12, 31, 22, 30, tzinfo=UTC)
    assert period.end == datetime(2023, 1, 2, 12, tzinfo=UTC)
    assert norm_period(str(period)) == period


def test_open_sides_are_the_missions_start_and_today():
    assert norm_period("../2020").start == MISSION_START
    assert norm_period("2023/..").end.date() == datetime.now(UTC).date()


@given(st.dates(min_value=datetime(2015, 1, 1).date()), st.dates(min_value=datetime(2015, 1, 1).date()))
def test_text_and_period_are_the_same(one, other):
    text = f"{min(one, other)}/{max(one, other)}"
    period = norm_period(text)
    assert str(period) == text
    assert norm_period(period) is period


def test_contains_its_ends_in_any_zone_and_nothing_beyond():
    period = norm_period("2023-07-01/2023-07-02")
    east = timezone(timedelta(hours=5))
    assert period.contains(datetime(2023, 7, 1, tzinfo=UTC))
    assert period.contains(datetime(2023, 7, 2, 23, 59, 59, 999999))  # naive: UTC
    assert period.contains(datetime(2023, 7, 3, 4, 59, tzinfo=east))
    assert not period.contains(datetime(2023, 7, 3, 5, tzinfo=east))
    assert not period.contains(datetime(2023, 6, 30, 23, 59, tzinfo=UTC))


def test_overlap_needs_one_shared_instant():
    period = norm_period("2023-07")
    assert period.overlaps(datetime(2023, 6, 1), datetime(2023, 7, 1))
    assert not period.overlaps(datetime(2023, 6, 1), datetime(2023, 6, 30, 23))


def test_interval_for_an_api_is_widened_to_whole_seconds():
    assert norm_period("2023-07").interval == "2023-07-01T00:00:00Z/2023-08-01T00:00:00Z"
    assert norm_period("2023-07-01T01:02:03Z/2023-07-01T01:02:04Z").interval.endswith("/2023-07-01T01:02:04Z")


@pytest.mark.parametrize("text", ["2023-12-31/2023-01-01", "2024/2023"])
def test_reversed_dates_are_refused(text):
    with pytest.raises(AreaError, match="swap the two dates"):
        norm_period(text)


@pytest.mark.parametrize(
    "text", ["", "/", "summer", "2023-13", "2023-02-30", "2023/2024/2025", "2023/", "..", "../..", "20230101/x"]
)
def test_what_is_no_period_is_refused(text):
    with pytest.raises(AreaError, match="correct the dates"):
        norm_period(text)


def test_a_period_cannot_be_built_reversed():
    with pytest.raises(AreaError, match="after its end"):
        Period(datetime(2023, 2, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC))


def test_the_moments_of_a_period_are_noons_or_the_instants_given():
    days = norm_period("2021-07-05/2021-08").moments
    assert days == (datetime(2021, 7, 5, 12, tzinfo=UTC), datetime(2021, 8, 31, 12, tzinfo=UTC))
    instants = norm_period("2021-07-05T18:40:11Z/2021-08-02T01:30:00Z").moments
    assert instants == (datetime(2021, 7, 5, 18, 40, 11, tzinfo=UTC), datetime(2021, 8, 2, 1, 30, tzinfo=UTC))
