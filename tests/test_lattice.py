from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stac.errors import AreaError
from stac.lattice import Lattice, Location, locate, to_lonlat, utm_epsg, utm_epsgs

ANYWHERE = st.tuples(st.floats(-179.99, 179.99), st.floats(-79.9, 83.9))


@given(ANYWHERE, st.sampled_from([(64, 10), (32, 10), (8, 10), (16, 120)]))
def test_a_point_lies_in_its_own_chip(point: tuple[float, float], size: tuple[int, int]) -> None:
    location = locate(*point, *size)
    west, south, east, north = location.lattice.bounds(location.col, location.row)
    x, y = to_lonlat(location.lattice.epsg).transform(*point, direction="INVERSE")
    assert west <= x < east
    assert south <= y < north


@given(ANYWHERE)
def test_the_id_leads_back_to_the_location(point: tuple[float, float]) -> None:
    location = locate(*point, 64, 10)
    assert Location.from_id(location.location_id, 10) == location


def test_the_id_says_zone_column_row_and_side() -> None:
    assert Lattice(32610, 64, 10).location_id(836, 6857) == "32610_836_6857_640"


@pytest.mark.parametrize("text", ["", "32610_1_2", "32610_1_2_x", "32610_1_2_645", "a_b_c_d"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(AreaError, match="location id"):
        Location.from_id(text, 10)


def test_chip_edges_fall_on_the_edges_of_sentinel_2_pixels() -> None:
    # Tile origins are multiples of 20 m; 33TWM's is 499980, 5200020.
    west, south, east, north = Lattice(32633, 64, 10).bounds(782, 8124)
    assert all((edge - origin) % 10 == 0 for edge, origin in ((west, 499980), (east, 499980)))
    assert all((edge - origin) % 10 == 0 for edge, origin in ((south, 5200020), (north, 5200020)))


# Zones by DMA TM 8358.1: the ordinary ones, 32V over south-west Norway, 31X to 37X over Svalbard.
@pytest.mark.parametrize(
    ("lon", "lat", "epsg"),
    [
        (-122.5, 39.6, 32610),
        (-180, 0, 32601),
        (179.99, -17, 32760),
        (180, -17, 32701),
        (5, 60, 32632),
        (2.9, 60, 32631),
        (5, 64, 32631),
        (8, 78, 32631),
        (9, 78, 32633),
        (21, 78, 32635),
        (33, 78, 32637),
        (41.9, 78, 32637),
        (42, 78, 32638),
    ],
)
def test_zones_and_their_exceptions(lon: float, lat: float, epsg: int) -> None:
    assert utm_epsg(lon, lat) == epsg


def test_the_zones_of_many_points_are_those_of_each() -> None:
    lon, lat = (axis.ravel() for axis in np.meshgrid(np.arange(-180, 180.1, 1.5), np.arange(-80, 84.1, 2)))
    assert utm_epsgs(lon, lat).tolist() == [utm_epsg(x, y) for x, y in zip(lon.tolist(), lat.tolist(), strict=True)]
    assert utm_epsgs(np.array([0, 0, np.inf, 0]), np.array([84.1, -80.1, 0, np.nan])).tolist() == [0, 0, 0, 0]


def test_the_poles_have_no_zone() -> None:
    with pytest.raises(AreaError, match="latitude 85"):
        utm_epsg(0, 85)


def test_an_outline_across_the_antimeridian_is_in_one_piece() -> None:
    outline = locate(179.9999, -17, 64, 10).outline
    west, _, east, _ = outline.bounds
    assert 0 < east - west < 0.01
    assert np.isclose(outline.centroid.x % 360, 180, atol=0.01)
