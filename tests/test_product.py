from datetime import UTC, datetime

import pystac
import pytest

from stac.errors import ItemError
from stac.product import (
    NEVER,
    datatake_of,
    generated_of,
    instant_of,
    radiometry_of,
    satellite_of,
    strip_of,
    tile_of,
    utm_epsg_of,
)

WHEN = datetime(2023, 8, 15, 9, 57, 57, 246000, tzinfo=UTC)


def new_item(name="some-item", **properties):
    return pystac.Item(name, None, None, WHEN, properties)


@pytest.mark.parametrize(
    ("name", "properties", "expected"),
    [
        ("x", {"s2:processing_baseline": "05.09"}, ("05.09", -1000)),
        ("x", {"s2:processing_baseline": "04.00"}, ("04.00", -1000)),
        ("x", {"s2:processing_baseline": "03.01"}, ("03.01", 0)),
        ("x", {"processing:version": "05.00"}, ("05.00", -1000)),
        ("x", {"processing:version": "2.12"}, ("02.12", 0)),
        ("x", {"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, ("05.09", 0)),
        ("x", {"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False}, ("05.09", -1000)),
        ("x", {"s2:processing_baseline": "02.14", "earthsearch:boa_offset_applied": False}, ("02.14", 0)),
        ("x", {"sentinel:processing_baseline": "04.00", "sentinel:boa_offset_applied": True}, ("04.00", 0)),
        ("x", {"earthsearch:boa_offset_applied": True}, ("00.00", 0)),
        (
            "x",
            {"s2:product_uri": "S2A_MSIL2A_20230815T095031_N0509_R079_T33TWM_20230815T155057.SAFE"},
            ("05.09", -1000),
        ),
        ("S2B_MSIL2A_20200705T101559_N0214_R065_T32TNT_20200705T175912", {}, ("02.14", 0)),
    ],
)
def test_offset_follows_what_the_item_says(name, properties, expected):
    assert radiometry_of(new_item(name, **properties)) == expected


def test_the_property_counts_before_the_name():
    name = "S2A_MSIL2A_20190101T000001_N0500_R116_T60VUK_20201007T214652"
    assert radiometry_of(new_item(name, **{"s2:processing_baseline": "02.12"})) == ("02.12", 0)


@pytest.mark.parametrize("day", ["2015-08-01", "2021-12-31", "2024-06-01"])
def test_the_date_decides_nothing(day):
    item = new_item(**{"s2:processing_baseline": "05.00"})
    item.datetime = datetime.fromisoformat(day).replace(tzinfo=UTC)
    assert radiometry_of(item)[1] == -1000


@pytest.mark.parametrize("properties", [{}, {"earthsearch:boa_offset_applied": False}, {"processing:version": "v1"}])
def test_without_a_baseline_the_offset_is_not_guessed(properties):
    with pytest.raises(ItemError, match=r"item some-item states no processing baseline.*add the property"):
        radiometry_of(new_item(**properties))


@pytest.mark.parametrize(
    ("name", "properties", "tile"),
    [
        ("x", {"s2:mgrs_tile": "33TWL"}, "33TWL"),
        ("x", {"grid:code": "MGRS-5QKB"}, "05QKB"),
        ("x", {"mgrs:utm_zone": 5, "mgrs:latitude_band": "Q", "mgrs:grid_square": "KB"}, "05QKB"),
        ("x", {"sentinel:utm_zone": 33, "sentinel:latitude_band": "T", "sentinel:grid_square": "WL"}, "33TWL"),
        ("S2A_33TWM_20230815_0_L2A", {}, "33TWM"),
        ("S2B_T20EPT_20250731T131905_L2A", {}, "20EPT"),
        ("S2A_MSIL2A_20190101T000001_R116_T60VUK_20201007T214652", {}, "60VUK"),
        ("x", {"s2:product_uri": "S2A_MSIL2A_20230815T095031_N0509_R079_T33TWM_20230815T155057.SAFE"}, "33TWM"),
    ],
)
def test_tile_from_whatever_names_it(name, properties, tile):
    assert tile_of(new_item(name, **properties)) == tile


@pytest.mark.parametrize("name", ["some-item", "S2A_33TIO_20230815", "LC08_L2SP_044034"])
def test_an_item_without_a_tile_is_refused(name):
    with pytest.raises(ItemError, match="names no MGRS tile"):
        tile_of(new_item(name))


@pytest.mark.parametrize(("tile", "epsg"), [("33TWL", 32633), ("60VUK", 32660), ("20EPT", 32720), ("24MVV", 32724)])
def test_zone_of_a_tile(tile, epsg):
    assert utm_epsg_of(tile) == epsg


def test_datatake_is_the_same_for_every_processing():
    items = [
        new_item(**{"s2:datatake_id": "GS2A_20230815T095031_042547_N05.09"}),
        new_item(**{"eopf:datatake_id": "GS2A_20230815T095031_042547_N05.00"}),
        new_item(**{"s2:product_uri": "S2A_MSIL2A_20230815T095031_N0400_R079_T33TWM_20230815T155057.SAFE"}),
        new_item("S2A_MSIL2A_20230815T095031_R079_T33TWM_20230815T155057"),
    ]
    assert {datatake_of(item) for item in items} == {datetime(2023, 8, 15, 9, 50, 31, tzinfo=UTC)}
    assert datatake_of(new_item("S2A_33TWM_20230815_0_L2A")) is None


@pytest.mark.parametrize(
    ("name", "properties"),
    [
        ("x", {"platform": "Sentinel-2A"}),
        ("x", {"platform": "sentinel-2", "s2:datatake_id": "GS2A_20230815T095031_042547_N05.09"}),
        ("S2A_33TWM_20230815_0_L2A", {}),
        ("x", {"s2:product_uri": "S2A_MSIL2A_20230815T095031_N0400_R079_T33TWM_20230815T155057.SAFE"}),
    ],
)
def test_satellite_from_whatever_names_it(name, properties):
    assert satellite_of(new_item(name, **properties)) == "S2A"
    assert satellite_of(new_item("granule-33TWL-2A")) == ""


@pytest.mark.parametrize(
    ("name", "properties", "href"),
    [
        ("x", {"s2:datastrip_id": "S2B_OPER_MSI_L2A_DS_2BPS_20250731T143919_S20250731T131905_N05.11"}, "a.tif"),
        ("x", {"eopf:datastrip_id": "S2B_OPER_MSI_L2A_DS_S2RP_20260530T175912_S20250731T131905_N05.12"}, "a.tif"),
        ("S2B_T20EPT_20250731T131905_L2A", {}, "a.tif"),
        ("x", {}, "s3://e/S2B.SAFE/GRANULE/L2A_T20EPT_A043879_20250731T131905/IMG_DATA/R20m/T20EPT_SCL_20m.jp2"),
    ],
)
def test_the_datastrips_time_is_the_same_for_every_processing(name, properties, href):
    item = new_item(name, **properties)
    item.add_asset("scl", pystac.Asset(href))
    assert strip_of(item) == datetime(2025, 7, 31, 13, 19, 5, tzinfo=UTC)
    assert strip_of(new_item("S2B_20EPT_20250731_0_L2A")) is None


@pytest.mark.parametrize(
    ("name", "properties", "expected"),
    [
        ("x", {"s2:generation_time": "2023-08-15T15:50:57.000000Z"}, "2023-08-15T15:50:57+00:00"),
        ("x", {"processing:datetime": "2023-05-30T17:59:12Z"}, "2023-05-30T17:59:12+00:00"),
        ("S2A_MSIL2A_20190101T000001_R116_T60VUK_20201007T214652", {}, "2020-10-07T21:46:52+00:00"),
        ("x", {"created": "2023-08-15T21:19:47.562Z"}, "2023-08-15T21:19:47.562000+00:00"),
        ("x", {}, NEVER.isoformat()),
    ],
)
def test_time_of_processing(name, properties, expected):
    assert generated_of(new_item(name, **properties)).isoformat() == expected


def test_instants():
    assert instant_of("2023-08-15T12:00:00+02:00") == instant_of("2023-08-15T10:00:00")
    assert instant_of(None) is None
