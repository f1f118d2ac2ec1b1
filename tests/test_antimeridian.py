import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import GeometryCollection, LineString, MultiPolygon, Point, Polygon

from stac.antimeridian import bboxes, box, centre_longitude, search_bboxes, split_polygons


def test_three_spellings_of_one_polygon_become_one_form():
    split = MultiPolygon([shapely.box(178, -20, 180, -15), shapely.box(-180, -20, -177, -15)])
    beyond = shapely.box(178, -20, 183, -15)
    wrapped = Polygon([(178, -20), (-177, -20), (-177, -15), (178, -15)])
    for polygon, is_wrapped in ((split, True), (split, False), (beyond, False), (wrapped, True)):
        assert split_polygons(polygon, wrapped=is_wrapped).equals(split)
    assert box(178, -20, -177, -15).equals(split)


def test_a_wide_polygon_is_meant_as_such_unless_wrapped():
    wide = shapely.box(-150, 10, 170, 20)
    assert split_polygons(wide).equals(wide)
    assert split_polygons(wide, wrapped=True).area == pytest.approx(40 * 10)


@given(st.floats(-180, 180), st.floats(0.1, 80), st.floats(-80, 79))
def test_splitting_keeps_area_and_stays_within_the_globe(west, width, south):
    polygon = shapely.box(west, south, west + width, south + 1)
    parts = split_polygons(polygon)
    assert parts.area == pytest.approx(polygon.area, rel=1e-6)
    assert -180 <= parts.bounds[0] <= parts.bounds[2] <= 180
    assert split_polygons(parts).equals(parts)


def test_wrapped_polygon_keeps_its_hole():
    shell = [(176, -20), (-176, -20), (-176, -10), (176, -10)]
    hole = [(179, -16), (179, -14), (-179, -14), (-179, -16)]
    assert split_polygons(Polygon(shell, [hole]), wrapped=True).area == pytest.approx(8 * 10 - 2 * 2)


def test_ring_round_the_pole_is_closed_along_it():
    lon = np.arange(-180, 181, 10.0)
    ring = np.column_stack([lon, np.full(lon.size, -70.0)])
    wrapped = np.where(ring[:, :1] == 180, -180, ring[:, :1])
    polygon = split_polygons(Polygon(np.column_stack([wrapped, ring[:, 1]])), wrapped=True)
    assert polygon.area == pytest.approx(360 * 20)


def test_only_polygons_remain_and_bow_ties_are_mended():
    mixed = GeometryCollection([Point(0, 0), LineString([(0, 0), (1, 1)]), Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])])
    parts = split_polygons(mixed)
    assert parts.is_valid
    assert parts.area == pytest.approx(2)
    assert split_polygons(Point(0, 0)).is_empty
    assert not shapely.has_z(split_polygons(Polygon([(0, 0, 5), (1, 0, 5), (1, 1, 5)])))


@pytest.mark.parametrize("ring", [[(1, 2)] * 4, [(0, 0), (1, 1), (2, 2), (0, 0)]])
def test_polygons_of_a_point_or_a_line_hold_nothing(ring):
    assert split_polygons(Polygon(ring)).is_empty


@pytest.mark.parametrize("lon", [np.inf, -np.inf, 541, 1e300])
def test_coordinates_that_are_no_degrees_are_refused(lon):
    with pytest.raises(ValueError, match="no degrees"):
        split_polygons(Polygon([(lon, 0), (1, 0), (1, 1)]))


def test_boxes_are_cut_at_the_widest_gap():
    fiji = box(177, -20, -178, -15)
    assert bboxes(fiji) == [(177, -20, 180, -15), (-180, -20, -178, -15)]
    europe = MultiPolygon([shapely.box(-10, 40, 0, 50), shapely.box(20, 40, 30, 50)])
    assert bboxes(europe) == [(-10, 40, 30, 50)]
    assert bboxes(shapely.box(-180, -90, 180, 90)) == [(-180, -90, 180, 90)]
    assert bboxes(Polygon()) == []


def test_a_long_part_that_reaches_over_others_closes_their_gap():
    parts = MultiPolygon([shapely.box(-170, 0, 100, 1), shapely.box(-100, 5, -90, 6), shapely.box(90, 5, 95, 6)])
    assert bboxes(parts) == [(-170, 0, 100, 6)]


def test_search_boxes_leave_out_the_ocean_between_distant_parts():
    france = MultiPolygon([shapely.box(-5, 42, 8, 51), shapely.box(8.5, 41, 9.5, 43), shapely.box(-54, 2, -51, 6)])
    assert sorted(search_bboxes(france)) == [(-54, 2, -51, 6), (-5, 41, 9.5, 51)]
    assert search_bboxes(Polygon()) == []
    islands = MultiPolygon([shapely.box(10 * k, 0, 10 * k + 1, 1) for k in range(17)])
    assert search_bboxes(islands, most=16) == [(0, 0, 161, 1)]


def test_boxes_that_merge_may_merge_again():
    ladder = MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(0, 2.5, 8, 3.5), shapely.box(6, 0, 7, 1)])
    assert search_bboxes(ladder) == [(0, 0, 8, 3.5)]


@pytest.mark.parametrize(("near", "expected"), [(177, 180.5), (-177, -179.5)])
def test_centre_is_in_the_turn_of_the_zone(near, expected):
    assert centre_longitude(box(179.5, 0, -178.5, 1), near) == pytest.approx(expected)
