"""Items, the collection and the areas of the simulated archive: the fields that Earth Search v1 has."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pystac
import pytest
import shapely

from stac.items import deduplicate, resolve_scene
from stac.simulation.areas import SIZES
from stac.simulation.catalog import COLLECTION, new_item, write_areas, write_catalog, write_geojson
from stac.simulation.passes import Overpass
from stac.simulation.products import Product
from stac.simulation.shot import Shot

AREA = replace(SIZES["demo"].areas[0], tile_px=64, step_px=48)
SHOT = Shot(
    index=3,
    time=datetime(2022, 7, 18, 19, 0, 2, tzinfo=UTC),
    sky="clear",
    haze=0.005,
    snow_line=float("inf"),
    level=0.0,
    sun_azimuth=140.0,
    sun_elevation=62.0,
    shift=(0.1, 0.0),
)


def product(baseline="04.00", applied=False, tile="10SEJ", slot=113, area=AREA, **options):
    return Product(area, tile, Overpass(SHOT, slot, baseline, applied), SHOT, baseline, applied, **options)


def make(scl=None, assets=None, **options):
    scl = np.full((32, 32), 4, dtype=np.uint8) if scl is None else scl
    return new_item(product(**options), scl, assets or {})


def test_item_says_that_it_is_simulated_and_reads_as_an_earth_search_item():
    item = pystac.Item.from_dict(make())
    assert item.id == "S2B_10SEJ_20220718_0_L2A"
    assert item.properties["afterimage:simulated"] is True
    assert item.properties["grid:code"] == "MGRS-10SEJ"
    assert make()["properties"]["proj:epsg"] == 32610
    assert item.properties["platform"] == "sentinel-2b"
    assert item.properties["s2:datatake_id"].startswith("GS2B_20220718T184902_")
    assert item.properties["s2:datatake_id"].endswith("_N04.00")
    assert item.properties["s2:product_uri"].startswith("S2B_MSIL2A_20220718T184902_N0400_R")
    assert "_T10SEJ_20220719T000002.SAFE" in item.properties["s2:product_uri"]
    assert item.datetime == datetime(2022, 7, 18, 19, 0, 2, tzinfo=UTC)
    assert item.properties["s2:tile_id"].startswith("S2B_OPER_MSI_L2A_TL_2BPS_20220719T000002_A")
    assert item.properties["s2:tile_id"].endswith("_T10SEJ_N04.00")
    west, south, east, north = item.bbox
    centre = item.properties["proj:centroid"]
    assert (west < centre["lon"] < east, south < centre["lat"] < north) == (True, True)


def test_the_field_that_tells_parts_of_a_tile_apart_is_one_for_both_deliveries_and_both_tiles():
    scenes = [
        resolve_scene(pystac.Item.from_dict(make(**options)))
        for options in ({}, {"baseline": "05.10", "sequence": 1}, {"tile": AREA.tiles[1]}, {"slot": 115})
    ]
    strips = [scene.strip for scene in scenes]
    assert strips[0] is not None
    assert strips == [strips[0]] * 4  # by the time of the shot, which is one here
    assert scenes[0].datatake is not None
    assert scenes[0].datatake < strips[0] < scenes[0].time


@pytest.mark.parametrize(
    ("baseline", "applied", "offset"),
    [("02.14", False, 0), ("03.01", False, 0), ("04.00", False, 1000), ("05.09", False, 1000), ("05.09", True, 0)],
)
def test_the_reader_finds_the_offset_that_the_product_has(baseline, applied, offset):
    assert product(baseline, applied).offset == offset
    scene = resolve_scene(pystac.Item.from_dict(make(baseline=baseline, applied=applied)))
    assert (scene.baseline, scene.offset) == (baseline, -offset)
    assert (scene.satellite, scene.tile, scene.epsg) == ("S2B", "10SEJ", 32610)


def test_of_two_deliveries_the_reader_keeps_the_one_processed_anew():
    items = [make(), make(baseline="05.10", sequence=1)]
    assert items[0]["id"] != items[1]["id"]
    assert items[0]["properties"]["s2:generation_time"] < items[1]["properties"]["s2:generation_time"]
    (kept,) = deduplicate([resolve_scene(pystac.Item.from_dict(item)) for item in items])
    assert kept.item_id == items[1]["id"]


def test_a_satellite_comes_back_after_143_revolutions():
    orbits = [int(make(slot=slot)["properties"]["s2:datatake_id"].split("_")[2]) for slot in (10, 11, 12)]
    assert orbits[2] - orbits[0] == 143
    assert orbits[1] != orbits[0]


def test_cloud_cover_is_the_share_of_cloud_classes_among_pixels_with_data():
    scl = np.array([[0, 0, 4, 4], [8, 9, 10, 4], [3, 3, 5, 5], [6, 2, 7, 11]], dtype=np.uint8)
    properties = make(scl=scl)["properties"]
    assert properties["eo:cloud_cover"] == pytest.approx(100 * 3 / 14, abs=1e-3)
    assert properties["s2:nodata_pixel_percentage"] == pytest.approx(12.5)
    assert properties["s2:snow_ice_percentage"] == pytest.approx(100 / 14, abs=1e-3)


def test_the_outline_is_that_of_the_tile_and_shrinks_to_the_pixels_with_data():
    scl = np.full((32, 32), 4, dtype=np.uint8)
    scl[:, 16:] = 0
    whole, half = (shapely.geometry.shape(make(scl=s)["geometry"]) for s in (None, scl))
    assert len(whole.exterior.coords) == 5
    assert half.area == pytest.approx(whole.area / 2, rel=0.01)
    assert half.bounds[0] == pytest.approx(whole.bounds[0], abs=1e-6)
    west, _, _, north = AREA.outline.bounds
    assert whole.bounds[0] == pytest.approx(west, abs=1e-5)
    assert whole.bounds[3] == pytest.approx(north, abs=1e-5)
    east = shapely.geometry.shape(make(tile="10SFJ")["geometry"])
    assert east.intersection(whole).area == pytest.approx(whole.area / 4, rel=0.02)


@pytest.mark.parametrize("side", [1, -1])
def test_the_outline_follows_a_slanted_edge(side):
    y, x = np.mgrid[0:32, 0:32]
    scl = np.where(side * (24.3 - 0.41 * y - x) > 0, 4, 0).astype(np.uint8)
    whole, part = (shapely.geometry.shape(make(scl=s)["geometry"]) for s in (None, scl))
    assert part.area / whole.area == pytest.approx((scl > 0).mean(), abs=0.04)
    assert part.exterior.is_ccw


def test_catalog_is_self_contained_and_moves_with_its_folder(tmp_path):
    other = SIZES["benchmark"].areas[4]
    items = [make(), make(area=other, tile=other.tiles[0])]
    for item in items:
        folder = tmp_path / "here" / COLLECTION / item["id"]
        folder.mkdir(parents=True)
        (folder / f"{item['id']}.json").write_text(json.dumps(item))
    write_catalog(tmp_path / "here", items)
    (tmp_path / "here").rename(tmp_path / "there")
    catalog = pystac.Catalog.from_file(str(tmp_path / "there" / "catalog.json"))
    collection = catalog.get_child(COLLECTION)
    assert [i.id for i in catalog.get_items(recursive=True)] == [item["id"] for item in items]
    west, south, east, north = collection.extent.spatial.bboxes[0]
    assert west < -121
    assert east > 27
    assert south < -15
    assert north > 39
    assert collection.extra_fields["afterimage:simulated"] is True
    assert "SIMULATED" in collection.title
    assert "SIMULATED" in collection.description
    assert str(tmp_path) not in (tmp_path / "there" / "catalog.json").read_text()


def test_geojson_rounds_coordinates_to_a_centimetre(tmp_path):
    shape = {"type": "Point", "coordinates": (1.123456789, 2.0)}
    write_geojson(tmp_path / "e.geojson", [(shape, {"event_id": "road-01"})], "event_id")
    feature = json.loads((tmp_path / "e.geojson").read_text())["features"][0]
    assert feature["geometry"]["coordinates"] == [1.1234568, 2.0]
    assert feature["id"] == "road-01"


def test_areas_say_where_they_lie_and_to_which_split_they_belong(tmp_path):
    areas = SIZES["benchmark"].areas
    write_areas(tmp_path / "areas.geojson", areas)
    features = json.loads((tmp_path / "areas.geojson").read_text())["features"]
    for feature, area in zip(features, areas, strict=True):
        assert shapely.geometry.shape(feature["geometry"]).equals_exact(area.outline, 1e-6)
        properties = feature["properties"]
        stated = [properties[key] for key in ("name", "biome", "split", "epsg")]
        assert stated == [area.name, area.biome, area.split, area.epsg]
        assert properties["simulated"] is True
