"""Files of the simulated archive: real COGs with the georeference that the item states."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio

from stac.bands import BANDS as BAND_TABLE
from stac.bands import norm_band
from stac.simulation.areas import SIZES
from stac.simulation.catalog import COLLECTION
from stac.simulation.covers import BANDS
from stac.simulation.files import find_foreign, write_item
from stac.simulation.passes import Overpass
from stac.simulation.products import Product
from stac.simulation.shot import Shot

AREA = replace(SIZES["benchmark"].areas[3], tile_px=600, step_px=400)
SHOT = Shot(2, datetime(2022, 7, 18, 14, 30, tzinfo=UTC), "clear", 0.01, float("inf"), 0.0, 0.0, 60.0, 50.0, (0.1, 0.1))


@pytest.fixture(scope="module")
def bands():
    rng = np.random.default_rng(0)
    sides = {name: 6000 // BAND_TABLE[name].gsd for name in BANDS}
    out = {name: rng.integers(1, 4000, (side, side)).astype(np.uint16) for name, side in sides.items()}
    for name, band in out.items():
        band[:, sides[name] - 10 :] = 0
    return out


def write(root, bands, step=1, **options):
    scl = np.full((300, 300), 4, dtype=np.uint8)
    options = {"baseline": "05.09", "offset_applied": False} | options
    overpass = Overpass(SHOT, 4, options["baseline"], options["offset_applied"])
    product = Product(AREA, AREA.tiles[1], overpass, SHOT, **options)
    return root / COLLECTION / product.item_id, write_item(root, product, bands, scl, step=step)


def pixels(folder, name):
    with rasterio.open(folder / f"{name}.tif") as file:
        return file.read(1)


def test_files_are_cogs_on_the_grid_that_the_item_states(tmp_path, bands):
    folder, item = write(tmp_path, bands)
    names = "blue green red rededge1 rededge2 rededge3 nir nir08 swir16 swir22 scl"
    assert list(item["assets"]) == names.split()
    for name, asset in item["assets"].items():
        with rasterio.open(folder / asset["href"]) as file:
            assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert file.profile["compress"] == "deflate"
            assert file.profile["blockxsize"] == 512 or file.width < 512
            assert file.overviews(1)
            assert list(file.shape) == asset["proj:shape"]
            assert list(file.transform)[:6] == asset["proj:transform"]
            assert file.transform.a == asset["gsd"] == getattr(BAND_TABLE.get(norm_band(name)), "gsd", 20)
            assert file.crs.to_epsg() == 32720
            assert (file.transform.c, file.transform.f) == (AREA.west + 4000, AREA.north)
            assert file.nodata == 0
            assert file.dtypes[0] == asset["raster:bands"][0]["data_type"]


def test_pixels_come_back_with_the_offset_and_without_data_as_zero(tmp_path, bands):
    folder, _ = write(tmp_path, bands)
    for name in ("B02", "B12"):
        np.testing.assert_array_equal(pixels(folder, name), np.where(bands[name] > 0, bands[name] + 1000, 0))


def test_pixels_come_back_as_they_are_where_the_offset_was_removed(tmp_path, bands):
    folder, _ = write(tmp_path, bands, offset_applied=True)
    for name in BANDS:
        np.testing.assert_array_equal(pixels(folder, name), bands[name])


def test_a_gain_brightens(tmp_path, bands):
    folder, _ = write(tmp_path, bands, baseline="03.01", gain=1.04)
    assert pixels(folder, "B08").mean() == pytest.approx(1.04 * bands["B08"].mean(), rel=1e-3)


def test_rounding_stays_within_half_a_step_and_never_makes_no_data(tmp_path, bands):
    folder, _ = write(tmp_path, bands, step=4)
    stored = pixels(folder, "B8A").astype(int)
    np.testing.assert_array_equal(stored > 0, bands["B8A"] > 0)
    stored = stored[stored > 0] - 1000
    assert (stored % 4 == 0).all()
    assert stored.min() == 4
    assert np.abs(stored - bands["B8A"][bands["B8A"] > 0]).max() <= 3
    large = stored > 4
    assert np.abs(stored - bands["B8A"][bands["B8A"] > 0].astype(int))[large].max() == 2


def test_item_on_disk_is_the_one_returned(tmp_path, bands):
    folder, item = write(tmp_path, bands)
    assert json.loads((folder / f"{item['id']}.json").read_text()) == item


@pytest.mark.parametrize(
    "stranger",
    [
        "thesis.txt",
        f"{COLLECTION}/thesis.txt",
        f"{COLLECTION}/S2A_20LNQ_20220718_0_L2A/B01.tif",
        f"{COLLECTION}/S2A_20LNQ_20220718_0_L2A/more/B02.tif",
    ],
)
def test_what_is_no_part_of_an_archive_is_found(tmp_path, bands, stranger):
    write(tmp_path, bands)
    for name in ("catalog.json", "areas.geojson", "events.geojson", "simulation.json", f"{COLLECTION}/collection.json"):
        (tmp_path / name).touch()
    assert find_foreign(tmp_path) is None
    (tmp_path / stranger).parent.mkdir(exist_ok=True)
    (tmp_path / stranger).touch()
    found = find_foreign(tmp_path)
    assert found is not None
    assert (tmp_path / stranger).is_relative_to(found)


def test_a_link_is_no_part_of_an_archive(tmp_path, bands):
    folder, _ = write(tmp_path / "archive", bands)
    (folder / "B02.tif").rename(tmp_path / "B02.tif")
    (folder / "B02.tif").symlink_to(tmp_path / "B02.tif")
    assert find_foreign(tmp_path / "archive") == folder / "B02.tif"


def test_an_item_says_which_archive_it_belongs_to(tmp_path, bands):
    scl = np.full((300, 300), 4, dtype=np.uint8)
    product = Product(AREA, AREA.tiles[1], Overpass(SHOT, 4, "05.09", False), SHOT, "05.09", False)
    item = write_item(tmp_path, product, bands, scl, stamp="size demo, seed 0, version 3")
    assert item["properties"]["afterimage:archive"] == "size demo, seed 0, version 3"
