"""Place and period filters of the page."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from app.filters import bounds_text, resolve_period, resolve_place
from stac.errors import AreaError


def test_a_box_and_a_name_are_places() -> None:
    box = resolve_place("-122.6, 39.5, -122.4, 39.7")
    assert box is not None
    assert box.area.bboxes == [(-122.6, 39.5, -122.4, 39.7)]
    fiji = resolve_place("fiji")
    assert fiji is not None
    assert fiji.name == "Fiji"
    assert len(fiji.area.bboxes) == 2


def test_an_empty_place_is_everywhere() -> None:
    assert resolve_place("  ") is None


def test_a_place_is_never_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text is a file to the commands: here it may come from somebody else's link."""
    text = '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}'
    (tmp_path / "area.geojson").write_text(text)
    monkeypatch.chdir(tmp_path)
    for given in ("area.geojson", str(tmp_path / "area.geojson"), text):
        with pytest.raises(AreaError, match="is unknown"):
            resolve_place(given)


@pytest.mark.parametrize("text", ["1,2,3", "3,2,1,0", "nowhere at all"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(AreaError):
        resolve_place(text)


def test_the_page_does_not_advise_what_only_the_commands_take() -> None:
    with pytest.raises(AreaError, match=r"give W,S,E,N in degrees$"):
        resolve_place("nowhere at all")


def test_a_period_reaches_to_the_end_of_its_last_day() -> None:
    period = resolve_period((date(2021, 5, 1), date(2021, 5, 2)))
    assert period is not None
    assert period.contains(datetime(2021, 5, 2, 23, 59, 59, tzinfo=UTC))
    assert not period.contains(datetime(2021, 5, 3, tzinfo=UTC))
    assert resolve_period(None) is None


def bounds(west: float, south: float, east: float, north: float) -> dict[str, dict[str, float]]:
    return {"_southWest": {"lng": west, "lat": south}, "_northEast": {"lng": east, "lat": north}}


def test_the_maps_bounds_become_a_box() -> None:
    assert bounds_text(bounds(-122.6, 39.5, -122.4, 39.7)) == "-122.6000,39.5000,-122.4000,39.7000"


def test_bounds_beyond_the_antimeridian_and_the_poles_are_brought_home() -> None:
    assert bounds_text(bounds(178, -91, 182, 95)) == "178.0000,-90.0000,-178.0000,90.0000"
    assert bounds_text(bounds(-500, -80, 500, 80)) == "-180.0000,-80.0000,180.0000,80.0000"


@pytest.mark.parametrize("answer", [None, {}, {"_southWest": None, "_northEast": None}, bounds(1, 1, 1, 2)])
def test_unknown_bounds_are_no_filter(answer: dict[str, dict[str, float]] | None) -> None:
    assert bounds_text(answer) == ""
