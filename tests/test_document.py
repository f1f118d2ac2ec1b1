import json

import pystac
import pytest
import shapely

from stac.area import norm_area
from stac.document import check_max_cloud, footprint, matches, new_item, times_of
from stac.errors import CatalogError
from stac.period import norm_period

AREA, YEAR = norm_area("10,50,11,51"), norm_period("2023")


def new_document(geometry=AREA.geometry, **properties):
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "one",
        "collection": "s2",
        "geometry": shapely.geometry.mapping(geometry),
        "bbox": list(geometry.bounds),
        "properties": {"datetime": "2023-07-01T10:00:00.123Z", **properties},
        "links": [{"rel": "root", "href": "../catalog.json"}, {"rel": "self", "href": "https://h.org/one"}],
        "assets": {"red": {"href": "B04.tif", "gsd": 10}, "empty": {"title": "no file"}},
    }


def test_an_items_time_is_one_instant_or_two():
    assert times_of(new_document())[0] == times_of(new_document())[1]
    span = {"datetime": None, "start_datetime": "2022-12-31T00:00:00Z", "end_datetime": "2023-01-01T00:00:00"}
    assert matches(new_document(**span), AREA, YEAR, None, None)
    with pytest.raises(CatalogError, match="has no time"):
        times_of(new_document(datetime=None))


def test_matching_takes_collection_period_clouds_and_area():
    document = new_document(**{"eo:cloud_cover": 40})
    assert matches(document, AREA, YEAR, "s2", 40)
    assert not matches(document, AREA, YEAR, "other", None)
    assert not matches(document, AREA, norm_period("2022"), None, None)
    assert not matches(document, AREA, YEAR, None, 39.9)
    assert not matches(document, norm_area("11.1,50,12,51"), YEAR, None, None)
    assert matches(new_document(), AREA, YEAR, None, 0)  # clouds not stated


@pytest.mark.parametrize("percent", [float("nan"), float("inf"), -5, 101])
def test_a_limit_of_clouds_is_a_percentage(percent):
    with pytest.raises(CatalogError, match=r"a number from 0 to 100.*--max-cloud"):
        check_max_cloud(percent)
    for good in (None, 0, 100.0):
        check_max_cloud(good)


@pytest.mark.parametrize("when", [5, "soon", "0001-01-01T00:00:00+14:00"])
def test_times_that_are_none_are_named(when):
    with pytest.raises(CatalogError, match="item 'one' has no time"):
        times_of(new_document(datetime=when))


@pytest.mark.parametrize("lon", ["Infinity", "NaN", "1e12", '"a"'])
def test_footprints_off_the_globe_are_named(lon):
    text = f'{{"type": "Polygon", "coordinates": [[[{lon}, 50], [11, 50], [11, 51], [{lon}, 50]]]}}'
    with pytest.raises(CatalogError, match="item 'one' has no footprint"):
        footprint({**new_document(), "geometry": json.loads(text)})


def test_a_box_that_meets_the_area_is_not_enough():
    corner = shapely.Polygon([(11, 51.5), (11.5, 51), (11.5, 51.5)])  # its box reaches 11, 51
    assert not matches(new_document(corner), AREA, YEAR, None, None)


@pytest.mark.parametrize("lons", [(179.5, -179.5), (179.5, 180.5), (-180.5, -179.5)])
def test_footprints_across_the_antimeridian_do_not_span_the_world(lons):
    west, east = lons
    ring = shapely.Polygon([(west, 0), (east, 0), (east, 1), (west, 1)])
    outline = footprint(new_document(ring))
    assert outline.area == pytest.approx(1)
    assert outline.bounds == (-180, 0, 180, 1)


def test_a_box_stands_in_for_a_missing_geometry():
    document = {**new_document(), "geometry": None}
    assert footprint(document).equals(AREA.geometry)
    assert footprint({**document, "bbox": [179, 0, -5, -179, 1, 5]}).area == pytest.approx(2)
    with pytest.raises(CatalogError, match="has no footprint"):
        footprint({"id": "x", "geometry": None})


def test_new_item_has_absolute_assets_and_only_its_own_link():
    item = new_item(new_document(), "/data/one.json")
    assert isinstance(item, pystac.Item)
    assert item.assets["red"].href == "/data/B04.tif"
    assert item.assets["red"].extra_fields["gsd"] == 10
    assert list(item.assets) == ["red"]
    assert [(link.rel, link.get_href()) for link in item.links] == [("self", "https://h.org/one")]
    assert item.collection_id == "s2"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1:80", "/data/B04.tif"), ("localhost", "/data/B04.tif"), ("h.org", "https://h.org/data/B04.tif")],
)
def test_only_a_server_on_this_machine_may_name_its_files(host, expected):
    document = {**new_document(), "assets": {"red": {"href": "/data/B04.tif"}}}
    assert new_item(document, f"https://{host}/items/one").assets["red"].href == expected


@pytest.mark.parametrize("missing", ["id", "properties"])
def test_what_is_no_item_is_named(missing):
    document = new_document()
    del document[missing]
    for broken in (document, {**document, missing: None}, {**new_document(), "assets": ["B04.tif"]}):
        with pytest.raises(CatalogError, match="is no valid STAC item"):
            new_item(broken, "/data/one.json")
    with pytest.raises(CatalogError, match="item 'one' has no properties"):
        matches({**document, "id": "one", "properties": "none"}, AREA, YEAR, None, None)
