"""Items and the collection of the simulated archive: the fields that Earth Search v1 has."""

import json
from datetime import UTC, datetime

import numpy as np
import pystac
import pytest

from stac.simulate_catalog import COLLECTION, ORIGIN, Product, new_item, write_catalog, write_geojson
from stac.simulate_scene import Pass

SHOT = Pass(3, datetime(2022, 7, 18, 18, 49, 2, tzinfo=UTC), "clear", float("inf"), 140.0, 62.0)


def make(valid=None, scl=None, **options):
    product = Product("10SEJ", SHOT, **({"baseline": "05.09", "offset_applied": False} | options))
    scl = np.full((8, 8), 4, dtype=np.uint8) if scl is None else scl
    valid = np.ones((16, 16), dtype=bool) if valid is None else valid
    return new_item(product, valid, scl, ORIGIN[0], {})


def test_item_says_that_it_is_simulated_and_reads_as_an_earth_search_item():
    item = pystac.Item.from_dict(make())
    assert item.id == "S2B_10SEJ_20220718_0_L2A"
    assert item.properties["afterimage:simulated"] is True
    assert item.properties["grid:code"] == "MGRS-10SEJ"
    assert item.properties["platform"] == "sentinel-2b"
    assert item.properties["s2:datatake_id"].startswith("GS2B_20220718T184902_")
    assert item.properties["s2:datatake_id"].endswith("_N05.09")
    assert item.properties["s2:product_uri"].startswith("S2B_MSIL2A_20220718T184902_N0509_R113_T10SEJ_")
    assert item.datetime == datetime(2022, 7, 18, 19, 0, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("baseline", "applied", "offset"),
    [("02.14", False, 0), ("03.01", False, 0), ("04.00", False, 1000), ("05.09", False, 1000), ("05.09", True, 0)],
)
def test_offset_follows_baseline_and_flag(baseline, applied, offset):
    assert Product("10SEJ", SHOT, baseline, applied).offset == offset


def test_cloud_cover_is_the_share_of_cloud_classes_among_pixels_with_data():
    scl = np.array([[0, 0, 4, 4], [8, 9, 10, 4], [3, 3, 5, 5], [6, 2, 7, 11]], dtype=np.uint8)
    properties = make(scl=scl)["properties"]
    assert properties["eo:cloud_cover"] == pytest.approx(100 * 3 / 14, abs=1e-3)
    assert properties["s2:nodata_pixel_percentage"] == pytest.approx(12.5)
    assert properties["s2:snow_ice_percentage"] == pytest.approx(100 / 14, abs=1e-3)


def test_outline_shrinks_to_the_pixels_with_data():
    valid = np.ones((16, 16), dtype=bool)
    valid[:, 8:] = False
    whole, half = (pystac.Item.from_dict(make(valid=v)).bbox for v in (None, valid))
    assert half[0] == pytest.approx(whole[0], abs=1e-6)
    assert half[2] - half[0] == pytest.approx((whole[2] - whole[0]) / 2, rel=0.01)


def test_catalog_is_self_contained_and_moves_with_its_folder(tmp_path):
    item = make()
    folder = tmp_path / "here" / COLLECTION / item["id"]
    folder.mkdir(parents=True)
    (folder / f"{item['id']}.json").write_text(json.dumps(item))
    write_catalog(tmp_path / "here", [item])
    (tmp_path / "here").rename(tmp_path / "there")
    catalog = pystac.Catalog.from_file(str(tmp_path / "there" / "catalog.json"))
    collection = catalog.get_child(COLLECTION)
    assert [i.id for i in catalog.get_items(recursive=True)] == [item["id"]]
    assert collection.extra_fields["afterimage:simulated"] is True
    assert "SIMULATED" in collection.title
    assert "SIMULATED" in collection.description
    assert str(tmp_path) not in (tmp_path / "there" / "catalog.json").read_text()


def test_geojson_rounds_coordinates_to_a_centimetre(tmp_path):
    shape = {"type": "Point", "coordinates": (1.123456789, 2.0)}
    write_geojson(tmp_path / "e.geojson", [(shape, {"event_id": "road-01"})])
    feature = json.loads((tmp_path / "e.geojson").read_text())["features"][0]
    assert feature["geometry"]["coordinates"] == [1.1234568, 2.0]
    assert feature["id"] == "road-01"
