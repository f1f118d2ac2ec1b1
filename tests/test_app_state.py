"""The view and its address."""

from __future__ import annotations

from datetime import date

import pytest

from app.state import View, norm_dates, norm_lonlat, norm_store_name, parse_view, view_params

FULL = View(
    store="demo",
    at=(-122.5, 39.6),
    dates=(date(2021, 5, 1), date(2021, 9, 1)),
    hit="32610_1_2_320_20210101_20210201",
    k=80,
    place="Fiji",
    period=(date(2021, 1, 1), date(2022, 12, 31)),
)


@pytest.mark.parametrize("view", [View(), FULL, View(event="32610_1_2_320_20210101_20210201", k=10)])
def test_a_view_comes_back_from_its_own_address(view: View) -> None:
    assert parse_view(view_params(view)) == (view, [])


def test_the_default_view_needs_no_parameters() -> None:
    assert view_params(View()) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("store", "../secrets"),
        ("store", "/etc"),
        ("store", "a/b"),
        ("store", "..\\up"),
        ("event", "<script>"),
        ("k", "7"),
        ("k", "-40"),
        ("k", "٤٠"),
        ("place", "/etc/passwd"),
        ("place", "{'type': 1}"),
        ("place", "http://a.b/c.geojson"),
        ("period", "2023"),
        ("period", "2023-05-01/2022-05-01"),
        ("period", "yesterday/today"),
    ],
)
def test_a_wrong_parameter_gives_a_sentence_and_is_left_out(name: str, text: str) -> None:
    view, problems = parse_view({name: text, "hit": "a_1"})
    assert view == View(hit="a_1")
    assert len(problems) == 1
    assert name in problems[0]


def test_coordinates_need_dates_too() -> None:
    view, problems = parse_view({"at": "1,2"})
    assert view == View()
    assert "both 'at' and 'dates'" in problems[0]


def test_an_event_wins_over_coordinates() -> None:
    view, problems = parse_view({"event": "a_1", "at": "1,2", "dates": "2021-01-01/2021-02-01"})
    assert (view, problems) == (View(event="a_1"), [])


def test_unknown_parameters_are_of_no_concern() -> None:
    assert parse_view({"utm_source": "letter", "embed": "true"}) == (View(), [])


@pytest.mark.parametrize("text", ["-122.5, 39.6", "-122.5 39.6", " -122.5;39.6 "])
def test_coordinates_in_the_usual_spellings(text: str) -> None:
    assert norm_lonlat(text) == (-122.5, 39.6)


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "nan,1", "inf,1", "181,0", "0,91"])
def test_what_is_no_pair_of_coordinates(text: str) -> None:
    with pytest.raises(ValueError, match="longitude"):
        norm_lonlat(text)


def test_dates_may_be_one_and_the_same_day() -> None:
    assert norm_dates("2021-05-01/2021-05-01") == (date(2021, 5, 1), date(2021, 5, 1))


@pytest.mark.parametrize("name", ["California 2023-v1.2", "[a] (b)", " a ", "a..b", "Überflutung 洪水", "50 % & more"])
def test_any_plain_folder_name_is_a_store_name(name: str) -> None:
    assert parse_view({"store": name}) == (View(store=name), [])


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "a/b", "/a", "a\\b", "a\nb", "a\0", "\udcff", "", "x" * 256])
def test_what_could_lead_elsewhere_is_no_store_name(name: str) -> None:
    with pytest.raises(ValueError, match="name of its folder"):
        norm_store_name(name)
