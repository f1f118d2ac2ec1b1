"""The time line of a location."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from app.timeline import MAX_TICKS, change_series, time_ticks, timeline_chart
from app.words import utc


def new_observations(vectors: list[list[float] | None]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "time": pd.date_range("2021-01-01", periods=len(vectors), freq="30D", tz="UTC"),
            "clear_fraction": np.linspace(0.5, 1, len(vectors), dtype=np.float32),
            "embedding": [None if v is None else np.array(v, np.float16) for v in vectors],
        }
    )


def test_change_is_one_minus_the_cosine_to_the_observation_before() -> None:
    rows = new_observations([[1, 0], [2, 0], [0, 3], [-1, 0], [1, 1]])
    series = change_series(rows, utc("2021-01-01"))
    np.testing.assert_allclose(series["change"], [0, 0, 1, 2, 1 - np.sqrt(0.5)], atol=1e-3)


def test_the_reference_is_the_observation_nearest_to_the_date() -> None:
    series = change_series(new_observations([[1, 0], [0, 1], [1, 1]]), utc("2021-02-02"))
    assert series["change"][1] == 0
    assert series["change"][0] == pytest.approx(1)


def test_observations_that_were_not_embedded_are_left_out() -> None:
    series = change_series(new_observations([[1, 0], None, [0, 1]]), utc("2021-01-01"))
    assert len(series) == 2
    assert change_series(new_observations([None, None]), utc("2021-01-01")).empty


def test_the_chart_is_in_utc_and_shades_the_event() -> None:
    series = change_series(new_observations([[1, 0], [0, 1]]), utc("2021-01-01"))
    spec = timeline_chart(series, utc("2021-01-01"), utc("2021-01-31"), colour="#12C8DC").to_dict()
    band, line, dots = spec["layer"]
    assert band["mark"]["type"] == "rect"
    assert band["encoding"]["x2"]["field"] == "end"
    assert all(layer["encoding"]["x"]["scale"]["type"] == "utc" for layer in (band, line, dots))
    assert dots["encoding"]["opacity"]["field"] == "clear_fraction"
    assert "UTC" in series["day"][0]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2021-01-05", "2023-12-28", ["2021-07-01", "2022-01-01", "2022-07-01", "2023-01-01", "2023-07-01"]),
        ("2023-05-03", "2023-08-29", ["2023-06-01", "2023-07-01", "2023-08-01"]),
        ("2016-01-01", "2026-01-01", [f"{year}-01-01" for year in range(2016, 2027, 2)]),
        ("2021-02-02T10:00", "2021-02-02T10:00", ["2021-02-02T10:00"]),
    ],
)
def test_few_ticks_and_a_year_among_them(first: str, last: str, expected: list[str]) -> None:
    ticks, label = time_ticks(utc(first), utc(last))
    assert ticks == [utc(day) for day in expected]
    assert len(ticks) <= MAX_TICKS
    assert "%Y" in label


def test_the_year_stands_at_the_first_tick_of_each_year() -> None:
    _, label = time_ticks(utc("2022-12-20"), utc("2023-01-20"))
    marked = [utc("2022-12-24"), utc("2023-01-07")]
    assert str([round(day.timestamp() * 1000) for day in marked]) in label


def test_the_ticks_are_dates_to_vega_lite() -> None:
    """It drops plain numbers without a word."""
    series = change_series(new_observations([[1, 0], [0, 1], [1, 1]]), utc("2021-01-01"))
    spec = timeline_chart(series, utc("2021-01-01"), utc("2021-01-31"), colour="#12C8DC").to_dict()
    values = spec["layer"][0]["encoding"]["x"]["axis"]["values"]
    assert [(value["year"], value["month"], value["utc"]) for value in values][:1] == [(2021, 1, True)]


def test_a_time_without_a_zone_is_utc() -> None:
    assert utc("2021-01-01") == utc("2021-01-01T00:00:00Z") == utc("2021-01-01T02:00:00+02:00")
