import logging
import math

import pytest
from shapely.geometry import Point

from stac.antimeridian import bboxes
from stac.errors import AreaError
from stac.places import find_place


@pytest.mark.parametrize(
    ("names", "inside", "outside"),
    [
        (["Fiji", "fiji", "FJ", "FJI"], (178.0, -17.8), (0, -17.8)),
        (["United States", "USA", "u.s.a.", "United States of America", "us"], (-98, 39), (-98, 55)),
        (["Côte d'Ivoire", "cote d’ivoire", "Ivory Coast"], (-5.5, 7.5), (0, 7.5)),
        (["California", "US-CA"], (-119.4, 36.8), (-114, 36.8)),
        (["Czechia", "Czech Republic", "CZE"], (15.5, 49.8), (12.0, 51.5)),
        (["North Macedonia", "Macedonia"], (21.4, 41.6), (23.5, 41.6)),
    ],
)
def test_outlines_by_any_of_their_names(names, inside, outside):
    places = [find_place(name) for name in names]
    assert len({place.name for place in places}) == 1
    assert places[0].geometry.covers(Point(inside))
    assert not places[0].geometry.intersects(Point(outside))


@pytest.mark.parametrize("name", ["Fiji", "Russia", "New Zealand", "United States", "Alaska", "Kiribati"])
def test_places_across_the_antimeridian_lie_on_both_sides(name):
    east, west = bboxes(find_place(name).geometry)
    assert east[2] > 172
    assert west[0] < -171
    assert east[0] > 0 > west[2]


def test_all_outlines_are_valid_and_within_the_globe():
    antarctica = find_place("Antarctica").geometry
    assert antarctica.is_valid
    assert antarctica.area > 5000  # square degrees: the mainland, closed along the pole, is there
    # Area in square degrees of the source at 1:50m, near 425,000 km² / (111.2 km)² / cos 37°.
    assert find_place("California").geometry.area == pytest.approx(
        424_000 / 111.2**2 / math.cos(math.radians(37)), rel=0.03
    )


def test_the_most_populated_of_one_name_wins_and_is_logged(caplog):
    with caplog.at_level(logging.WARNING):
        georgia = find_place("Georgia")
    assert georgia.geometry.covers(Point(-83.5, 32.7))
    assert "took the state" in caplog.text
    assert find_place("Paris").name == "Paris, France"


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("Georgia, GE", (43.5, 42.0)),
        ("Georgia, US", (-83.5, 32.7)),
        ("Paris, Texas", (-95.55, 33.66)),
        ("Paris, TX", (-95.55, 33.66)),
        ("Lagos, Portugal", (-8.67, 37.10)),
        ("Lagos, PT", (-8.67, 37.10)),
        ("Lagos", (3.39, 6.46)),
        ("Wien", (16.37, 48.21)),
        ("sao paulo", (-46.63, -23.55)),
        ("New York", (-75.5, 43.0)),
        ("Suva", (178.44, -18.14)),
    ],
)
def test_names_with_and_without_what_they_lie_in(name, point):
    assert find_place(name).geometry.covers(Point(point))


def test_an_outline_comes_before_a_city_of_its_name():
    singapore = find_place("Singapore").geometry
    assert len(singapore.exterior.coords if hasattr(singapore, "exterior") else singapore.geoms) != 5


def test_a_citys_square_grows_with_its_people_and_is_square_on_the_ground():
    small, large = (find_place(name).geometry.bounds for name in ("Chico", "Tokyo"))
    for west, south, east, north in (small, large):
        width = (east - west) * math.cos(math.radians((south + north) / 2))
        assert width == pytest.approx(north - south, rel=0.01)
    assert (small[3] - small[1]) * 111.2 == pytest.approx(10, rel=0.01)
    assert (large[3] - large[1]) * 111.2 == pytest.approx(60, rel=0.01)


@pytest.mark.parametrize(
    ("name", "near"), [("Califronia", "California"), ("Nigerria", "Nigeria"), ("xqzzw", "no name")]
)
def test_unknown_names_are_answered_with_near_ones(name, near):
    with pytest.raises(AreaError, match=rf"(?s){near}.*correct the name"):
        find_place(name)


@pytest.mark.parametrize("name", ["", " ", ",", "Paris, Atlantis"])
def test_names_of_nothing_are_refused(name):
    with pytest.raises(AreaError, match="unknown"):
        find_place(name)
