"""Files of the simulated archive: real COGs with the georeference that the item states."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio

from stac.simulate_catalog import COLLECTION, ORIGIN, Product
from stac.simulate_files import write_item
from stac.simulate_scene import Pass

SHOT = Pass(2, datetime(2022, 7, 18, 18, 49, 2, tzinfo=UTC), "clear", float("inf"), 140.0, 62.0)


@pytest.fixture
def bands():
    out = np.random.default_rng(0).integers(100, 4000, (6, 600, 600)).astype(np.uint16)
    out[:, :, 590:] = 0
    return out


def write(root, bands, **options):
    scl = np.full((300, 300), 4, dtype=np.uint8)
    product = Product("10SEJ", SHOT, **({"baseline": "05.09", "offset_applied": False} | options))
    return root / COLLECTION / product.item_id, write_item(root, product, bands, scl, ORIGIN[0])


def test_files_are_cogs_on_the_grid_that_the_item_states(tmp_path, bands):
    folder, item = write(tmp_path, bands)
    assert set(item["assets"]) == {"blue", "green", "red", "nir", "swir16", "swir22", "scl"}
    for asset in item["assets"].values():
        with rasterio.open(folder / asset["href"]) as file:
            assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert file.profile["compress"] == "deflate"
            assert file.profile["blockxsize"] == 512 or file.width < 512
            assert file.overviews(1)
            assert list(file.shape) == asset["proj:shape"]
            assert list(file.transform)[:6] == asset["proj:transform"]
            assert file.crs.to_epsg() == 32610
            assert file.transform.c % 20 == 0
            assert file.transform.c % 640 != 0
            assert file.nodata == 0


def test_pixels_come_back_with_the_offset_and_without_data_as_zero(tmp_path, bands):
    folder, _ = write(tmp_path, bands)
    with rasterio.open(folder / "B02.tif") as file:
        np.testing.assert_array_equal(file.read(1), np.where(bands[0] > 0, bands[0] + 1000, 0))


def test_pixels_come_back_as_they_are_where_the_offset_was_removed(tmp_path, bands):
    folder, _ = write(tmp_path, bands, offset_applied=True)
    with rasterio.open(folder / "B08.tif") as file:
        np.testing.assert_array_equal(file.read(1), bands[3])


def test_20_m_bands_hold_means_of_four_pixels(tmp_path, bands):
    folder, _ = write(tmp_path, bands, offset_applied=True)
    means = bands[4].reshape(300, 2, 300, 2).mean(axis=(1, 3))
    with rasterio.open(folder / "B11.tif") as file:
        assert np.abs(file.read(1) - means).max() <= 8


def test_item_on_disk_is_the_one_returned(tmp_path, bands):
    folder, item = write(tmp_path, bands)
    assert json.loads((folder / f"{item['id']}.json").read_text()) == item
