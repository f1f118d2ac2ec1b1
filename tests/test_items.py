import json
import logging
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pystac
import pytest
import shapely
from affine import Affine

from encoder.encoders import open_encoder
from stac.bands import norm_bands
from stac.errors import ItemError, WeightsError
from stac.items import Asset, Scene, deduplicate, nearest_first, resolve_scene, resolve_scenes, solar_days

WHEN = datetime(2023, 8, 15, 9, 57, 57, tzinfo=UTC)
TAKEN = datetime(2023, 8, 15, 9, 50, 31, 24000, tzinfo=UTC)
"""When the datatake began: what some providers give for all of its items."""
ALL_BANDS = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12", "SCL"]


def new_item(name="S2A_33TWL_20230815_0_L2A", *, keys=("red", "nir", "scl"), box=(15, 46, 16, 47), when=WHEN, **more):
    """An item like Earth Search's, with a tile's footprint in degrees."""
    properties = {
        "proj:epsg": 32633,
        "grid:code": "MGRS-33TWL",
        "s2:processing_baseline": "05.09",
        "s2:datatake_id": "GS2A_20230815T095031_042547_N05.09",
        "s2:generation_time": "2023-08-15T15:50:57Z",
        **{key.replace("__", ":"): value for key, value in more.items()},
    }
    item = pystac.Item(name, shapely.geometry.mapping(shapely.box(*box)), list(box), when, properties)
    item.collection_id = "sentinel-2-l2a"
    for key in keys:
        item.add_asset(key, pystac.Asset(f"https://h.org/{key}.tif"))
    return item


def test_assets_carry_the_georeference_of_their_own_before_the_items():
    item = new_item(proj__transform=[60, 0, 0, 0, -60, 0], proj__shape=[1830, 1830])
    item.assets["red"].extra_fields = {
        "proj:transform": [10, 0, 499980, 0, -10, 5200020, 0, 0, 1],
        "proj:shape": [10980, 10980],
        "proj:code": "EPSG:32632",
    }
    scene = resolve_scene(item)
    red, nir = scene.assets["B04"], scene.assets["B08"]
    assert (red.epsg, red.transform, red.shape) == (32632, Affine(10, 0, 499980, 0, -10, 5200020), (10980, 10980))
    assert (nir.epsg, nir.transform, nir.shape) == (32633, Affine(60, 0, 0, 0, -60, 0), (1830, 1830))
    assert nir.href == "https://h.org/nir.tif"


def test_georeference_that_is_not_stated_is_none_but_the_tile_names_the_zone():
    item = new_item()
    del item.properties["proj:epsg"]
    scene = resolve_scene(item)
    assert scene.assets["B04"].epsg is None
    assert scene.assets["B04"].transform is None
    assert scene.epsg == 32633


def test_each_band_is_taken_in_its_own_resolution():
    keys = [
        "B01_20m",
        "B01_60m",
        "B02_60m",
        "B02_20m",
        "B02_10m",
        "B05_60m",
        "B05_20m",
        "SCL_60m",
        "SCL_20m",
        "B09_60m",
    ]
    assets = resolve_scene(new_item(keys=keys)).assets
    chosen = {band: asset.href.rsplit("/", 1)[1] for band, asset in assets.items()}
    assert chosen == {f"B{n}": f"B{n}_{m}m.tif" for n, m in (("01", 60), ("02", 10), ("05", 20), ("09", 60))} | {
        "SCL": "SCL_20m.tif"
    }
    assert resolve_scene(new_item(keys=["B02_60m", "B02_20m"])).assets["B02"].href.endswith("B02_20m.tif")


def test_other_assets_and_jpeg_copies_are_passed_over():
    keys = ["red-jp2", "red", "visual", "aot", "wvp", "cloud", "thumbnail", "granule_metadata", "scl-jp2", "scl"]
    assets = resolve_scene(new_item(keys=keys)).assets
    assert {band: asset.href for band, asset in assets.items()} == {
        "B04": "https://h.org/red.tif",
        "SCL": "https://h.org/scl.tif",
    }


@pytest.mark.parametrize(
    ("tile", "box", "when", "expected"),
    [
        ("33TWL", (15, 46, 16, 47), "2023-08-15T09:57", date(2023, 8, 15)),
        ("10SEG", (-123, 38, -122, 39), "2023-08-16T00:30", date(2023, 8, 15)),  # 16:20 of the day before
        ("60VUK", (173, 57, 174, 58), "2018-12-31T23:59", date(2019, 1, 1)),
        ("60KXF", (179.5, -18, 180.5, -17), "2023-08-14T22:30", date(2023, 8, 15)),  # its centre is at 180
        ("60KXF", (178.5, -18, 179.5, -17), "2023-08-14T22:30", date(2023, 8, 15)),
        ("01KAB", (-180.5, -18, -179.5, -17), "2023-08-14T22:30", date(2023, 8, 14)),
    ],
)
def test_solar_day_is_the_date_at_the_tile(tile, box, when, expected):
    moment = datetime.fromisoformat(when).replace(tzinfo=UTC)
    assert resolve_scene(new_item(box=box, when=moment, grid__code=f"MGRS-{tile}")).solar_day == expected


def test_scenes_of_a_zone_share_the_day_on_both_sides_of_the_antimeridian():
    boxes = [(179.2, -18, 180.2, -17), (179.9, -18, 180.9, -17)]
    days = {resolve_scene(new_item(box=box, grid__code="MGRS-60KXF")).solar_day for box in boxes}
    assert len(days) == 1


def test_duplicates_are_reduced_to_the_highest_baseline_then_the_latest():
    old = new_item("old", s2__processing_baseline="02.14", s2__generation_time="2024-01-01T00:00:00Z")
    mid = new_item("mid", s2__generation_time="2023-08-15T15:50:57Z")
    new = new_item(
        "new", s2__generation_time="2023-08-16T00:00:00Z", s2__datatake_id="GS2A_20230815T095031_042547_N05.10"
    )
    for items in ([old, mid, new], [new, mid, old]):
        assert [scene.item_id for scene in resolve_scenes(items, ["B04"])] == ["new"]


def test_other_tiles_and_datatakes_are_no_duplicates():
    items = [
        new_item("a"),
        new_item("b", grid__code="MGRS-33TWM"),
        new_item("c", s2__datatake_id="GS2B_20230815T100031_042547_N05.09"),
    ]
    assert len(resolve_scenes(items, ["B04"])) == 3


def test_parts_of_a_split_tile_are_all_kept_but_not_twice():
    upper = new_item("S2A_33TWL_20230815_0_L2A", box=(15, 46.48, 16, 47))
    lower = new_item("S2A_33TWL_20230815_1_L2A", box=(15, 46, 16, 46.5))
    again = new_item("older", box=(15, 46, 16, 46.5), s2__processing_baseline="05.00")
    kept = deduplicate([resolve_scene(item) for item in (upper, lower, again)])
    assert {scene.item_id for scene in kept} == {upper.id, lower.id}


STRIP = "S2A_OPER_MSI_L2A_DS_2APS_{made}_S{sensed}_N05.09"


@pytest.mark.parametrize(
    "parts",
    [  # the whole tile's outline for each: Earth Search by time or datastrip, the Planetary Computer by datastrip
        ({"when": WHEN}, {"when": WHEN + timedelta(seconds=14)}),
        (
            {"s2__datastrip_id": STRIP.format(made="20230815T155057", sensed="20230815T095630")},
            {"s2__datastrip_id": STRIP.format(made="20230815T155057", sensed="20230815T095751")},
        ),
        (
            {"when": TAKEN, "eopf__datastrip_id": STRIP.format(made="20230815T155057", sensed="20230815T095630")},
            {"when": TAKEN, "eopf__datastrip_id": STRIP.format(made="20230815T160000", sensed="20230815T095751")},
        ),
    ],
)
def test_parts_of_a_tile_that_share_its_outline_are_all_kept(parts):
    items = [new_item(f"part {number}", **part) for number, part in enumerate(parts)]
    again = new_item("older", s2__processing_baseline="05.00", **parts[1])
    for order in ([*items, again], [again, *reversed(items)]):
        assert {scene.item_id for scene in resolve_scenes(order, ["B04"])} == {"part 0", "part 1"}


def test_a_duplicate_that_states_less_is_one_all_the_same():
    full = new_item(
        "full",
        s2__datastrip_id=STRIP.format(made="20230815T155057", sensed="20230815T095630"),
        platform="sentinel-2a",
        s2__processing_baseline="05.10",
    )
    bare = new_item("bare", when=WHEN + timedelta(milliseconds=300))
    taken = new_item("taken", when=TAKEN, platform="Sentinel-2A")  # its time is the datatake's
    for item in (bare, taken):
        del item.properties["s2:datatake_id"]
    again = new_item(
        "again",
        box=(15.3, 46.3, 16.4, 47.4),
        when=WHEN,
        s2__datastrip_id=STRIP.format(made="20240101T000000", sensed="20230815T095630"),
        s2__processing_baseline="05.00",
    )
    other = new_item("other", platform="sentinel-2b")
    del other.properties["s2:datatake_id"]
    for items in ([full, bare, taken, again, other], [other, again, taken, bare, full]):
        assert [scene.item_id for scene in resolve_scenes(items, ["B04"])] == ["full", "other"]


def test_order_is_by_day_time_tile_and_id():
    later = datetime(2023, 8, 15, 10, 0, 0, tzinfo=UTC)
    items = [
        new_item("z", s2__datatake_id="GS2A_20230816T095031_1_N05.09", when=datetime(2023, 8, 16, 9, tzinfo=UTC)),
        new_item("b", grid__code="MGRS-33TWM"),
        new_item("a", grid__code="MGRS-33TXL", when=later),
        new_item("c"),
    ]
    scenes = resolve_scenes(items, ["B04"])
    assert [scene.item_id for scene in scenes] == ["c", "b", "a", "z"]
    days = solar_days(scenes)
    assert list(days) == [date(2023, 8, 15), date(2023, 8, 16)]
    assert [scene.item_id for scene in days[date(2023, 8, 15)]] == ["c", "b", "a"]


def test_a_missing_band_names_item_bands_and_what_there_is():
    with pytest.raises(ItemError, match=r"item late has no B12 .*B04 B08 SCL.*choose an encoder"):
        resolve_scenes([new_item("late")], ["B04", "swir22"])
    with pytest.raises(ItemError, match="has no SCL"):
        resolve_scenes([new_item(keys=["red"])], ["red"])
    assert len(resolve_scenes([new_item(keys=["scl"])], [])) == 1


@pytest.mark.parametrize("bands", ["SCL", "B04,scl"])
def test_the_classification_is_no_band_for_an_encoder(bands):
    with pytest.raises(ItemError, match=r"scene classification.*reflectance only.*leave SCL out"):
        norm_bands(bands)
    with pytest.raises(WeightsError, match="scene classification"):
        open_encoder("spectral", bands=bands.split(","))


def test_items_of_other_kinds_are_left_out_and_logged(caplog):
    radar = new_item("S1A_IW_GRDH_1SSH", keys=["hh"], platform="sentinel-1a")
    top = new_item("S2A_33TWL_20230815_0_L1C", s2__product_type="S2MSI1C")
    with caplog.at_level(logging.WARNING):
        assert len(resolve_scenes([radar, new_item(), top], ["B04"])) == 1
    assert "left out 2 of 3 items" in caplog.text
    for items in ([radar, top], []):
        with pytest.raises(ItemError, match="none is Sentinel-2 level 2A"):
            resolve_scenes(items, ["B04"])
    with pytest.raises(ItemError, match="is not Sentinel-2 level 2A"):
        resolve_scene(top)


def test_an_item_of_unknown_make_counts_if_it_has_scl():
    item = new_item("mine-1", keys=["B04", "SCL"])
    item.collection_id = "mine"
    assert resolve_scene(item).collection == "mine"
    item.assets.pop("SCL")
    with pytest.raises(ItemError, match="not Sentinel-2 level 2A"):
        resolve_scene(item)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "offsets", "resolution"),
    [
        ("earthsearch_v1", {-1000: 3}, {"B02": 10, "B05": 20, "B01": 60, "SCL": 20}),
        ("planetary_computer", {0: 33}, {"B02": 10, "B05": 20, "B01": 60, "SCL": 20}),
        ("cdse", {-1000: 4}, {"B02": 10, "B05": 20, "B01": 60, "SCL": 20}),
    ],
)
def test_real_answers_of_each_provider_resolve(shared_data, name, offsets, resolution):
    page = json.loads((shared_data / "stac-responses" / f"{name}_search_page.json").read_text())
    items = [pystac.Item.from_dict(feature, migrate=False) for feature in page["features"]]
    scenes = resolve_scenes(items, ["B04", "B03", "B02", "B12"])
    assert Counter(scene.offset for scene in scenes) == offsets
    for scene in scenes:
        assert list(scene.assets) == ALL_BANDS
        for band, asset in scene.assets.items():
            assert asset.epsg == scene.epsg
            assert asset.shape is not None
            assert asset.transform is not None
            if band in resolution:
                assert asset.transform.a == resolution[band]
            assert band in asset.href.rsplit("/", 1)[1]


@pytest.mark.real_data
def test_real_earth_search_pixels_are_not_harmonised_twice(shared_data):
    paths = sorted((shared_data / "earth-search-catalog" / "sentinel-2-l2a").glob("*/*.json"))
    scenes = resolve_scenes([pystac.Item.from_file(str(path)) for path in paths], ["B04", "B08"])
    assert len(scenes) == 8
    assert {scene.offset for scene in scenes} == {0}
    assert {scene.baseline for scene in scenes} == {"05.09"}
    assert {scene.tile for scene in scenes} == {"33TWL", "33TWM"}
    assert len(solar_days(scenes)) == 4


def test_the_tile_with_the_nearest_middle_supplies_pixels_first() -> None:
    def scene(name: str, west: int, epsg: int = 32633) -> Scene:
        asset = Asset("f.tif", epsg, Affine(20, 0, west, 0, -20, 5_200_020), (5490, 5490))
        moment = datetime(2023, 8, 15, 10, tzinfo=UTC)
        return Scene(name, "c", name, moment, moment.date(), "05.09", 0, epsg, shapely.box(0, 0, 1, 1), {"SCL": asset})

    near, far, other = scene("near", 499_980), scene("far", 399_960), scene("other", 499_980, epsg=32634)
    assert nearest_first([other, far, near], 550_000, 5_150_000, 32633) == [near, far, other]
    assert nearest_first([near, far], 430_000, 5_150_000, 32633) == [far, near]
