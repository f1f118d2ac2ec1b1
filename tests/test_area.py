import json

import geopandas as gpd
import pytest
import shapely
from pyproj import Transformer
from shapely import affinity
from shapely.geometry import mapping

from stac.area import Area, norm_area
from stac.errors import AreaError

SQUARE = shapely.box(10, 50, 11, 51)


@pytest.mark.parametrize(
    "given", ["10,50,11,51", " 10, 50, 11, 51 ", (10, 50, 11, 51), [10.0, 50.0, 11.0, 51.0], SQUARE]
)
def test_one_box_in_any_spelling(given):
    area = norm_area(given)
    assert area.geometry.equals(SQUARE)
    assert area.bboxes == [(10, 50, 11, 51)]
    assert norm_area(area) is area


def test_west_greater_than_east_crosses_the_antimeridian():
    area = norm_area("177,-20,-178,-15")
    assert area.bboxes == [(177, -20, 180, -15), (-180, -20, -178, -15)]
    assert sorted(area.search_bboxes) == sorted(area.bboxes)
    assert area.contains(179, -17)
    assert area.contains(-179, -17)
    assert area.contains(181, -17)
    assert area.contains(180, -17)
    assert area.contains(-180, -17)
    assert not area.contains(0, -17)


@pytest.mark.parametrize(
    "text",
    ["1,2,3", "1,2,3,4,5", "10,51,11,50", "10,50,10,51", "10,-91,11,50", "200,0,210,1", "10,50,11,inf", "10,50,11,50"],
)
def test_what_is_no_box_is_refused(text):
    with pytest.raises(AreaError, match="correct the four numbers"):
        norm_area(text)


@pytest.mark.parametrize("wrap", ["geometry", "feature", "collection"])
def test_geojson_text(wrap):
    feature = {"type": "Feature", "properties": {}, "geometry": mapping(SQUARE)}
    empty = {"type": "Feature", "properties": {}, "geometry": None}
    content = {
        "geometry": feature["geometry"],
        "feature": feature,
        "collection": {"type": "FeatureCollection", "features": [feature, empty]},
    }[wrap]
    assert norm_area(json.dumps(content)).geometry.equals(SQUARE)


@pytest.mark.parametrize(
    "text",
    ["{", "{}", '{"type": "Polygon"}', '{"type": "Polygon", "coordinates": [[1, 2]]}', '{"type":' + "[" * 100_000],
)
def test_broken_geojson_is_refused(text):
    with pytest.raises(AreaError, match="GeoJSON"):
        norm_area(text)


@pytest.mark.parametrize("kind", ["text", "file"])
@pytest.mark.parametrize(
    "ring",
    [
        "[10,50],[10,50],[10,50],[10,50]",
        "[10,50],[11,50],[12,50],[10,50]",
        "[10,50]",
        "[10,50],[11,51]",
        "[NaN,50],[11,50],[11,51],[NaN,50]",
        "[Infinity,50],[11,50],[11,51],[Infinity,50]",
        "[1e400,50],[11,50],[11,51],[1e400,50]",
        "[1e300,50],[11,50],[11,51],[1e300,50]",
    ],
)
def test_polygons_that_hold_no_ground_are_refused_without_a_warning(tmp_path, recwarn, kind, ring):
    text = f'{{"type": "Polygon", "coordinates": [[{ring}]]}}'
    (tmp_path / "a.geojson").write_text(text)
    with pytest.raises(AreaError):
        norm_area(text if kind == "text" else tmp_path / "a.geojson")
    assert recwarn.list == []


def test_coordinates_in_a_file_that_are_not_finite_are_named(tmp_path):
    huge = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1e9, 1e9)], crs=32633)  # to no degrees
    huge.to_file(tmp_path / "huge.gpkg")
    with pytest.raises(AreaError, match="huge has coordinates that are not finite"):
        norm_area(tmp_path / "huge.gpkg")


@pytest.mark.parametrize("text", ["~nobody-of-this-name/a.gpkg", "~nobody-of-this-name", "a" * 5000])
def test_what_can_be_no_path_is_an_unknown_place(text):
    with pytest.raises(AreaError, match="is unknown") as caught:
        norm_area(text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["field.gpkg", "field.geojson", "field.parquet", "field.shp", "field.fgb"])
def test_vector_files_in_any_crs_are_united_in_degrees(tmp_path, name):
    parts = gpd.GeoDataFrame(geometry=[shapely.box(10, 50, 10.5, 51), shapely.box(10.5, 50, 11, 51)], crs="OGC:CRS84")
    parts = parts if name.endswith("geojson") else parts.to_crs(25832)
    (parts.to_parquet if name.endswith("parquet") else parts.to_file)(tmp_path / name)
    for given in (tmp_path / name, str(tmp_path / name)):
        area = norm_area(given)
        assert area.name == "field"
        assert area.geometry.symmetric_difference(SQUARE).area < 0.01
        assert area.bboxes[0] == pytest.approx((10, 50, 11, 51), abs=0.01)


def test_a_projected_polygon_across_the_antimeridian_is_split(tmp_path):
    to_utm = Transformer.from_crs(4326, 32660, always_xy=True)
    x, y = to_utm.transform(180, 60)
    gpd.GeoDataFrame(geometry=[shapely.box(x - 5e4, y, x + 5e4, y + 5e4)], crs=32660).to_file(tmp_path / "a.gpkg")
    east, west = norm_area(tmp_path / "a.gpkg").bboxes
    assert east[2] == 180
    assert west[0] == -180
    assert east[2] - east[0] + west[2] - west[0] == pytest.approx(1.8, abs=0.1)


def test_a_file_without_crs_is_taken_as_degrees_only_if_it_can_be(tmp_path):
    gpd.GeoDataFrame(geometry=[SQUARE]).to_parquet(tmp_path / "degrees.parquet")
    assert norm_area(tmp_path / "degrees.parquet").geometry.equals(SQUARE)
    metres = affinity.translate(SQUARE, 5e5, 5e6)
    gpd.GeoDataFrame(geometry=[metres]).to_parquet(tmp_path / "metres.parquet")
    with pytest.raises(AreaError, match="state the file's coordinate system"):
        norm_area(tmp_path / "metres.parquet")


def test_files_that_hold_no_area_are_refused(tmp_path):
    gpd.GeoDataFrame(geometry=gpd.points_from_xy([10], [50]), crs=4326).to_file(tmp_path / "points.gpkg")
    (tmp_path / "broken.geojson").write_text("nothing")
    for name, words in (("points.gpkg", "no polygon"), ("broken.geojson", "cannot be read"), ("gone.gpkg", "exist")):
        with pytest.raises(AreaError, match=words):
            norm_area(tmp_path / name)


def test_a_folder_is_no_area(tmp_path):
    with pytest.raises(AreaError):
        norm_area(str(tmp_path))


def test_a_place_is_an_area():
    area = norm_area("California")
    assert str(area) == "California"
    assert area.contains(-119.4, 36.8)
    assert not area.contains(-114, 36.8)


def test_intersects_counts_a_shared_edge_and_is_exact():
    triangle = Area("triangle", shapely.Polygon([(0, 0), (10, 0), (0, 10)]))
    assert triangle.intersects(shapely.box(10, 0, 11, 1))
    assert not triangle.intersects(shapely.box(8, 8, 9, 9))  # within its box
