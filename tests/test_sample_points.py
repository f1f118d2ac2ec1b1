"""Where locations lie: the spread around cities, the ocean left out, areas, edges of the map, and determinism."""

from __future__ import annotations

import numpy as np
import pytest
from pyproj import Geod
from shapely.geometry import Point, box

from stac.area import Area, norm_area
from stac.errors import AreaError
from stac.lattice import utm_epsg
from stac.sampling import points
from stac.sampling.cities import City, largest_cities
from stac.sampling.land import has_land, land_share
from stac.sampling.points import OCEAN, OUTSIDE, POLAR, Draw, Sampler
from stac.sampling.windows import Window

WGS84 = Geod(ellps="WGS84")


def offsets_of(draws: list[Draw]) -> np.ndarray:
    """East and north offsets from the cities, km on the ellipsoid."""
    bearing, _, metres = WGS84.inv(
        [d.city.lon for d in draws], [d.city.lat for d in draws], [d.lon for d in draws], [d.lat for d in draws]
    )
    angle = np.radians(bearing)
    return np.column_stack([np.sin(angle), np.cos(angle)]) * np.array(metres)[:, None] / 1000


def test_ten_thousand_cities_most_people_first() -> None:
    cities = largest_cities(points.CITIES)
    people = [city.population for city in cities]
    assert len(cities) == 10_000
    assert people == sorted(people, reverse=True)
    assert people[-1] > 50_000
    assert {"Tokyo, JP", "Lagos, NG"} <= {city.name for city in cities[:40]}


def test_the_mask_tells_land_from_ocean_on_both_sides_of_the_antimeridian() -> None:
    assert has_land(2.3, 48.8, 2.32, 48.82)  # Paris
    assert not has_land(-30.0, 0.0, -29.98, 0.02)  # the Atlantic
    assert has_land(179.99, -16.8, 180.01, -16.78)  # Taveuni, Fiji
    assert has_land(-180.01, -16.8, -179.99, -16.78)
    share = land_share(120)
    assert share.shape == (180, 360)
    assert share[90 - 48 - 1, 180 + 2] == 1  # the square of Paris
    assert share[-1].min() == 1  # the south pole lies on land, the north pole does not
    assert share[0].max() == 0
    np.testing.assert_array_equal(land_share(120, (2, 40, 9, 49)), share[41:50, 182:189])


def test_caco_is_spread_by_five_kilometres_in_each_direction() -> None:
    sampler = Sampler("caco", seed=1, side=264)
    offsets = offsets_of([sampler.draw(number, 0) for number in range(4000)])
    assert offsets.mean(axis=0) == pytest.approx([0, 0], abs=0.3)
    assert offsets.std(axis=0) == pytest.approx([5, 5], rel=0.04)  # some 3.6 standard errors
    distance = np.hypot(*offsets.T)
    assert (distance < 10).mean() == pytest.approx(1 - np.exp(-2), abs=0.02)
    assert (abs(offsets) < 10).mean() == pytest.approx(0.954, abs=0.01)  # the paper's 95 % is of one axis


def test_seco_shrinks_eastwards_away_from_the_equator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "largest_cities", lambda count, area: (City("North, XX", 20.0, 60.0, 1),))
    sampler = Sampler("seco", seed=1, side=264)
    east, north = offsets_of([sampler.draw(number, 0) for number in range(3000)]).std(axis=0)
    assert north == pytest.approx(50, rel=0.05)
    assert east == pytest.approx(25, rel=0.05)  # cos 60°


def test_what_lies_wholly_in_ocean_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    honolulu = City("Honolulu, US", -157.86, 21.28, 1)
    monkeypatch.setattr(points, "largest_cities", lambda count, area: (honolulu,))
    sampler = Sampler("caco", seed=0, side=264)
    taken = [sampler.first(number) for number in range(60)]
    assert sum(rejected[OCEAN] for _, _, rejected in taken) > 5
    for attempt, draw, rejected in taken:
        assert attempt == rejected.total()
        assert has_land(*draw.window.ring.bounds)
    unseen = Sampler("seco", seed=0, side=264)
    draws = [unseen.first(number)[1] for number in range(60)]
    assert any(not has_land(*draw.window.ring.bounds) for draw in draws)


def test_a_draw_rests_on_seed_number_and_attempt_alone() -> None:
    one, other = Sampler("caco", seed=5, side=264), Sampler("caco", seed=5, side=264)
    assert [one.draw(n, 2) for n in (3, 1)] == [other.draw(n, 2) for n in (1, 3)][::-1]
    drawn = {Sampler("caco", seed=s, side=264).draw(n, a).lon for s in (0, 1) for n in (0, 1) for a in (0, 1)}
    assert len(drawn) == 8


def test_windows_lie_on_pixels_of_twenty_metres_of_their_zone() -> None:
    sampler = Sampler("caco", seed=0, side=264)
    for number in range(50):
        draw = sampler.first(number)[1]
        window = draw.window
        assert window.epsg == utm_epsg(draw.lon, draw.lat)
        assert (window.west % 20, window.north % 20) == (0, 0)
        assert WGS84.inv(*window.lonlat, draw.lon, draw.lat)[2] < 15
        assert window.block.bounds == (window.west, window.north - 2640, window.west + 2640, window.north)
        assert window.grid(20).shape == (132, 132)


def test_an_area_keeps_its_cities_and_points() -> None:
    area = norm_area("Portugal")
    sampler = Sampler("caco", seed=0, side=64, area=area)
    assert {city.name.rpartition(", ")[2] for city in sampler.cities} == {"PT"}
    assert all(area.contains(draw.lon, draw.lat) for draw in (sampler.first(n)[1] for n in range(40)))


def test_an_area_without_a_city_is_covered_evenly() -> None:
    area = Area("two squares", box(12, 18, 13, 19).union(box(14, 18, 14.5, 18.5)))  # the Sahara
    sampler = Sampler("caco", seed=0, side=64, area=area)
    assert sampler.kind == "uniform"
    draws = [sampler.first(number)[1] for number in range(800)]
    assert np.mean([draw.lon < 13 for draw in draws]) == pytest.approx(0.8, abs=0.05)
    assert all(draw.city is None for draw in draws)


def test_uniform_is_even_on_the_sphere() -> None:
    sampler = Sampler("uniform", seed=0, side=64)
    lats = np.array([sampler.draw(number, 0).lat for number in range(3000)])
    assert lats.min() >= -80
    assert (abs(lats) < 30).mean() == pytest.approx(0.5 / np.sin(np.radians([84, 80])).mean(), abs=0.03)


def test_windows_stay_in_the_room_that_there_is() -> None:
    room = Area("a strip", box(12, 18, 12.03, 18.5))
    sampler = Sampler("uniform", seed=0, side=264, room=room)
    drawn = [sampler.first(number) for number in range(20)]
    assert all(room.geometry.covers(draw.window.outline) for _, draw, _ in drawn)
    assert sum(rejected[OUTSIDE] for _, _, rejected in drawn) > 20
    with pytest.raises(AreaError, match="none of 2000 points"):
        Sampler("uniform", seed=0, side=400, room=room).first(0)
    with pytest.raises(AreaError, match="shares nothing"):
        Sampler("uniform", seed=0, side=64, area=norm_area("Portugal"), room=room)


def test_an_area_at_sea_is_refused() -> None:
    with pytest.raises(AreaError, match="ocean"):
        Sampler("caco", seed=0, side=64, area=norm_area("-30,0,-29,1")).first(0)


def test_across_the_antimeridian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "largest_cities", lambda count, area: (City("Waiyevo, FJ", 179.99, -16.8, 1),))
    sampler = Sampler("caco", seed=0, side=264)
    lons = [sampler.draw(number, 0).lon for number in range(200)]
    assert min(lons) < -179
    assert max(lons) > 179
    outline = Window.around(180.0, -16.8, 264).outline
    assert (outline.geom_type, outline.bounds[0], outline.bounds[2]) == ("MultiPolygon", -180, 180)
    assert outline.covers(Point(-179.999, -16.8))


def test_beyond_utm_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "largest_cities", lambda count, area: (City("Pole, XX", 0.0, 84.01, 1),))
    reasons = {Sampler(kind, seed=0, side=64).draw(n, 0).reason for kind in ("caco", "seco") for n in range(30)}
    assert POLAR in reasons
