"""Reading a block's days: merging, clear chips, missing days, threads and memory."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import rioxarray  # noqa: F401  (registers the accessor `rio`)
import shapely
from affine import Affine

from stac.bands import CLEAR_SCL
from stac.blocks import Block
from stac.buffers import Buffers
from stac.cube import check_cube, chip_fraction, view_chips
from stac.errors import ReadError
from stac.items import Asset, Scene, resolve_scenes, solar_days
from stac.lattice import Lattice, Location, to_lonlat
from stac.read import ReadOptions, UnreachableError, iter_days, read_cube, read_location
from stac.window import Grid

# A tile whose origin lies, as Sentinel-2's do, on no chip edge.
WEST, NORTH, SIDE = 499_980, 5_200_020, 320
BANDS = {"B02": 10, "B04": 10, "B11": 20}
LATTICE = Lattice(32633, 16, 10)
FAST = ReadOptions(threads=3, retries=1, backoff=0.01, timeout=2, sign=str)


def _block(col0=3128, row0=32484, nrows=9, ncols=11, lattice=LATTICE):
    return Block(lattice, "test", col0, row0, np.ones((nrows, ncols), bool))


def _write(path, pixels, gsd, west):
    size = {"width": pixels.shape[1], "height": pixels.shape[0], "count": 1, "dtype": pixels.dtype, "nodata": 0}
    transform = Affine(gsd, 0, west, 0, -gsd, NORTH)
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32633", transform=transform, **size, **tiles) as out:
        out.write(pixels, 1)
    return Asset(str(path), 32633, transform, pixels.shape)


@pytest.fixture
def make_scene(tmp_path):
    """Writes a scene's files; `blank` names its columns (10 m) without data, `scl` the class of all the others."""

    def make(name, day=1, west=WEST, blank=slice(0, 0), scl=None, offset=0):
        rng = np.random.default_rng(int(name))
        assets = {}
        for band, gsd in {**BANDS, "SCL": 20}.items():
            side, step = SIDE * 10 // gsd, gsd // 10
            pixels = rng.integers(1, 5000, (side, side)).astype(np.uint16)
            if band == "SCL":
                pixels = rng.choice([3, 4, 5, 8] if scl is None else [scl], (side, side)).astype(np.uint8)
            pixels[:, blank.start // step : blank.stop // step] = 0
            assets[band] = _write(tmp_path / f"{name}_{band}.tif", pixels, gsd, west)
        corners = [
            (west, NORTH),
            (west + SIDE * 10, NORTH),
            (west + SIDE * 10, NORTH - SIDE * 10),
            (west, NORTH - SIDE * 10),
        ]
        outline = shapely.Polygon([to_lonlat(32633).transform(*corner) for corner in corners])
        when = datetime(2023, 6, day, 10, tzinfo=UTC)
        return Scene(name, "s2", "33TWM", when, when.date(), "05.09", offset, 32633, outline, assets)

    return make


def _pixels(scene, band, block):
    """One band over a block by plain array operations: the slow twin."""
    grid, asset = Grid.of_block(block), scene.assets[band]
    with rasterio.open(asset.href) as src:
        own, gsd, west = src.read(1), int(src.res[0]), int(src.bounds.left)
    y = (NORTH - (grid.north - 10 * np.arange(grid.shape[0]) - 5)) // gsd
    x = (grid.west + 10 * np.arange(grid.shape[1]) + 5 - west) // gsd
    inside = np.outer((y >= 0) & (y < own.shape[0]), (x >= 0) & (x < own.shape[1]))
    pixels = np.where(inside, own[np.ix_(y.clip(0, own.shape[0] - 1), x.clip(0, own.shape[1] - 1))], 0).astype(int)
    return pixels if band == "SCL" else np.where(pixels > 0, np.maximum(pixels + scene.offset, 1), 0)


def _merged(scenes, band, block):
    """First scene whose classification has data supplies the pixel: the slow twin."""
    out, source = np.zeros(block.shape, int), np.zeros(block.shape, int)
    for number, scene in enumerate(scenes, start=1):
        free = (source == 0) & (_pixels(scene, "SCL", block) > 0)
        source[free] = number
        out[free] = _pixels(scene, band, block)[free]
    return out, source


@pytest.mark.parametrize("offset", [0, -1000])
def test_a_cube_holds_the_files_pixels(make_scene, offset):
    # The block reaches over the tile's north-western corner.
    block, scene = _block(3122, 32493), make_scene("1", offset=offset)
    cube = read_cube(block, {scene.solar_day: [scene]}, list(BANDS), options=FAST)
    assert check_cube(cube) == []
    for band in (*BANDS, "SCL"):
        expected = _pixels(scene, band, block)
        assert (expected == 0).any()
        np.testing.assert_array_equal(cube[band.replace("SCL", "scl")].values[0], expected)
    assert cube.item_ids.values.tolist() == ["1"]
    assert cube.rio.bounds() == block.bounds


def test_overlapping_scenes_are_merged_in_the_order_given(make_scene):
    block = _block()
    scenes = [make_scene("1", blank=slice(60, 320)), make_scene("2", west=WEST + 400, offset=-1000), make_scene("3")]
    for order in (scenes, scenes[::-1], [scenes[1], scenes[0], scenes[2]]):
        cube = read_cube(block, {order[0].solar_day: order}, list(BANDS), options=FAST)
        used = [scene for scene in order if scene.item_id in cube.item_ids.item().split()]
        for band in BANDS:
            pixels, _ = _merged(order, band, block)
            np.testing.assert_array_equal(cube[band].values[0], pixels)
        np.testing.assert_array_equal(cube.source.values[0], _merged(used, "B02", block)[1])
        assert cube.source.values.max() == len(used)


def test_a_scene_that_adds_nothing_is_not_read(make_scene):
    scenes = [make_scene("1"), make_scene("2")]
    for asset in scenes[1].assets.values():
        Path(asset.href).write_bytes(b"")
    cube = read_cube(_block(), {scenes[0].solar_day: scenes}, ["B02"], options=FAST)
    assert cube.item_ids.values.tolist() == ["1"]


@pytest.mark.parametrize(
    ("chip_size", "corner", "west"),
    [(16, (3128, 32484), WEST), (15, (3335, 34655), WEST), (16, (3128, 32484), WEST + 10)],
)
def test_clear_fractions_equal_those_at_lattice_resolution(make_scene, chip_size, corner, west):
    # Chips of 16 hold whole pixels of 20 m, chips of 15 do not, nor do those that lie between their edges.
    block, scene = _block(*corner, 5, 5, Lattice(32633, chip_size, 10)), make_scene("1", west=west)
    day = next(iter_days(block, {scene.solar_day: [scene]}, ["B02"], min_clear=2, options=FAST))
    expected = chip_fraction(np.isin(_pixels(scene, "SCL", block), CLEAR_SCL), chip_size)
    assert 0 < expected.mean() < 1
    np.testing.assert_array_equal(day.clear, expected)


def test_bands_are_read_only_where_a_chip_is_clear_enough(make_scene):
    block, scene = _block(), make_scene("1")
    days = {scene.solar_day: [scene]}
    clear = next(iter_days(block, days, ["B02"], min_clear=0, options=FAST)).clear
    least = float(np.quantile(clear, 0.7))
    block.mask[2:4] = False
    day = next(iter_days(block, days, ["B02", "B11"], min_clear=least, options=FAST))
    want = np.kron((clear >= least) & block.mask, np.ones((16, 16), bool))
    assert 0 < want.mean() < 0.5
    for band in ("B02", "B11"):
        np.testing.assert_array_equal(day.cube[band].values[0], np.where(want, _pixels(scene, band, block), 0))
    np.testing.assert_array_equal(day.cube.source.values[0], want)
    np.testing.assert_array_equal(day.cube.scl.values[0], _pixels(scene, "SCL", block))
    assert check_cube(day.cube) == []


def test_bands_of_a_cloudy_day_are_not_opened(make_scene):
    scene = make_scene("1", scl=8)
    Path(scene.assets["B02"].href).write_bytes(b"")
    day = next(iter_days(_block(), {scene.solar_day: [scene]}, ["B02"], options=FAST))
    assert day.cube is None
    assert day.reason is None
    assert day.clear.max() == 0
    assert [s.item_id for s in day.scenes] == ["1"]


def test_days_come_in_order_without_those_elsewhere(make_scene):
    scenes = [make_scene(str(n), day=n, scl=4, west=WEST + (90_000 if n == 2 else 0)) for n in (1, 2, 3, 4)]
    days = {scene.solar_day: [scene] for scene in scenes}
    read = list(iter_days(_block(), days, ["B02"], options=FAST))
    assert [day.day for day in read] == [date(2023, 6, d) for d in (1, 3, 4)]
    for day, scene in zip(read, (scenes[0], *scenes[2:]), strict=True):
        np.testing.assert_array_equal(day.cube["B02"].values[0], _pixels(scene, "B02", _block()))


@pytest.mark.parametrize("band", ["SCL", "B04"])
def test_a_local_file_that_is_cut_short_is_a_read_error(make_scene, band):
    scene = make_scene("1", scl=4)
    with Path(scene.assets[band].href).open("r+b") as file:
        file.truncate(file.seek(0, 2) * 2 // 3)
    with pytest.raises(ReadError, match=rf"1_{band}\.tif cannot be read"):
        list(iter_days(_block(), {scene.solar_day: [scene]}, ["B02", "B04"], options=FAST))


@pytest.mark.parametrize("band", ["SCL", "B04"])
def test_a_remote_file_that_fails_makes_its_day_missing(make_scene, band):
    scenes = [make_scene(str(n), day=n, scl=4) for n in (1, 2, 3)]
    gone = Asset("http://127.0.0.1:9/gone.tif?sig=secret", 32633, scenes[1].assets[band].transform, (SIDE, SIDE))
    scenes[1].assets[band] = gone
    days = {scene.solar_day: [scene] for scene in scenes}
    read = list(iter_days(_block(), days, ["B02", "B04"], options=FAST))
    assert [day.cube is None for day in read] == [False, True, False]
    assert [day.missing.all() for day in read] == [False, True, False]
    assert read[1].reason.startswith("http://127.0.0.1:9/gone.tif: ")
    assert "secret" not in read[1].reason
    assert np.isnan(read[1].clear).all()
    assert [scene.item_id for scene in read[1].scenes] == ["2"]
    cube = read_cube(_block(), days, ["B02", "B04"], options=FAST)
    assert cube.sizes["time"] == 2
    assert cube.attrs["missing_days"].startswith("2023-06-02: http")


def _failing(scene, band):
    """The same scene, one band behind an address that is not there."""
    asset = scene.assets[band]
    gone = Asset(f"http://127.0.0.1:9/{scene.item_id}_{band}.tif", asset.epsg, asset.transform, asset.shape)
    return replace(scene, assets={**scene.assets, band: gone})


@pytest.mark.parametrize("band", ["SCL", "B04", "B11"])
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_file_that_fails_costs_the_chips_of_its_scene_and_no_others(make_scene, band, lost):
    # The first lies in the west, the second in the east; the third shows what is left between them.
    scenes = [make_scene("1", west=WEST - 2200), make_scene("2", west=WEST + 1400), make_scene("3")]
    block, size = _block(3125, 32484, 9, 16), LATTICE.chip_size
    block.mask[2] = False
    broken = [_failing(scene, band) if number == lost else scene for number, scene in enumerate(scenes)]
    buffers = Buffers()
    buffers.take((len(BANDS), *block.shape), np.uint16).fill(7)  # memory that is used again
    whole, part = (
        next(iter_days(block, {scenes[0].solar_day: given}, list(BANDS), min_clear=0.4, options=FAST, buffers=memory))
        for given, memory in ((scenes, None), (broken, buffers))
    )
    free = _raster(scenes[lost], block)
    for scene in scenes[:lost]:
        free &= _pixels(scene, "SCL", block) == 0
    may = chip_fraction(free, size) > 0
    expected = block.mask & (may if band == "SCL" else whole.seen[lost] & (whole.clear >= 0.4))
    assert 0 < expected.sum() < block.mask.sum()
    np.testing.assert_array_equal(part.missing, expected)
    assert part.reason.startswith(f"http://127.0.0.1:9/{lost + 1}_{band}.tif: ")
    np.testing.assert_array_equal(np.isnan(part.clear), expected)
    had = block.mask & ~expected
    np.testing.assert_array_equal(part.clear[had], whole.clear[had])
    assert check_cube(part.cube) == []
    for name in (*BANDS, "source"):
        chips, own = (view_chips(day.cube[name].values[0], size) for day in (part, whole))
        assert not chips[expected].any()
        assert name == "source" or (chips[had] == own[had]).all()
    for row, col in np.argwhere(block.mask):
        behind, own = (_ids(day, row, col) for day in (part, whole))
        assert behind == own or (band == "SCL" and expected[row, col] and str(lost + 1) in behind)


def _raster(scene, block):
    """Where the scene's raster lies."""
    asset, grid = scene.assets["SCL"], Grid.of_block(block)
    x = grid.west + 10 * np.arange(grid.shape[1]) - asset.transform.c
    y = asset.transform.f - grid.north + 10 * np.arange(grid.shape[0])
    return np.outer((y >= 0) & (y < SIDE * 10), (x >= 0) & (x < SIDE * 10))


def _ids(day, row, col):
    """Ids of the scenes behind a chip."""
    return [scene.item_id for scene, seen in zip(day.scenes, day.seen[:, row, col], strict=True) if seen]


def test_what_was_read_of_a_classification_before_it_failed_counts_for_nothing(make_scene, monkeypatch):
    monkeypatch.setattr("stac.window._STRIP_PX", 64)
    block, scenes = _block(3125, 32466, 20, 24), [make_scene("1"), make_scene("2", west=WEST + 1600)]
    path = Path(scenes[0].assets["SCL"].href)
    whole, merged = path.read_bytes(), _merged(scenes, "SCL", block)[0]
    path.write_bytes(whole[:-300])  # some strips are there
    scenes[0].assets["SCL"] = replace(scenes[0].assets["SCL"], href="http://archive/1_SCL.tif")
    options = replace(FAST, sign=lambda href: str(path) if "archive" in href else href)
    days = {scenes[0].solar_day: scenes}
    day = next(iter_days(block, days, ["B02"], min_clear=0.4, options=options))
    supplied, raster = _merged(scenes[1:], "SCL", block)[0], _raster(scenes[0], block)
    np.testing.assert_array_equal(day.missing, chip_fraction(raster, 16) > 0)
    np.testing.assert_array_equal(day.cube.scl.values[0], np.where(raster, 0, supplied))
    path.write_bytes(whole)
    day = next(iter_days(block, days, ["B02"], min_clear=0.4, options=options))
    assert not day.missing.any()
    np.testing.assert_array_equal(day.cube.scl.values[0], merged)


def test_a_location_that_cannot_be_had_says_why(make_scene):
    scene = _failing(make_scene("1", scl=4), "B04")
    with pytest.raises(UnreachableError, match="check the network") as caught:
        read_location(Location(LATTICE, 3130, 32488), [scene], ["B02", "B04"], options=FAST)
    assert caught.value.reason.startswith("http://127.0.0.1:9/1_B04.tif: ")


def test_the_number_of_threads_changes_nothing(make_scene):
    scenes = [make_scene("1", blank=slice(100, 320)), make_scene("2", west=WEST + 600), make_scene("3")]
    days = {scenes[0].solar_day: scenes}
    one, many = (read_cube(_block(), days, list(BANDS), options=ReadOptions(threads=n, sign=str)) for n in (1, 7))
    assert one.identical(many)


def test_scenes_of_another_zone_step_back(make_scene):
    own, other = make_scene("1", scl=4), make_scene("2", scl=4)
    other = Scene(**{**vars(other), "epsg": 32634})
    cube = read_cube(_block(), {own.solar_day: [other, own]}, ["B02"], options=FAST)
    assert cube.item_ids.values.tolist() == ["1"]
    assert read_cube(_block(), {own.solar_day: [other]}, ["B02"], options=FAST).item_ids.values.tolist() == ["2"]


def test_days_that_were_handed_out_are_let_go(make_scene):
    scenes = [make_scene(str(n), day=n, scl=4) for n in range(1, 7)]
    cubes = []
    for day in iter_days(_block(), {scene.solar_day: [scene] for scene in scenes}, ["B02"], options=FAST):
        cubes.append(weakref.ref(day.cube))
        gc.collect()
        assert [cube() is not None for cube in cubes] == [False] * (len(cubes) - 1) + [True]


def test_no_more_than_one_day_is_read_ahead(make_scene):
    scenes = [make_scene(str(n), day=n, scl=4) for n in range(1, 7)]
    opened = set()

    def sign(href):
        opened.add(int(Path(href).name[0]))
        return href

    days = {scene.solar_day: [scene] for scene in scenes}
    for count, _ in enumerate(iter_days(_block(), days, ["B02"], options=ReadOptions(sign=sign)), start=1):
        time.sleep(0.02)
        assert max(opened) <= count + 1
    assert opened == set(range(1, 7))


def test_threads_end_with_the_iteration(make_scene):
    scenes = [make_scene(str(n), day=n, scl=4) for n in range(1, 5)]
    days = {scene.solar_day: [scene] for scene in scenes}
    before = set(threading.enumerate())
    reading = iter_days(_block(), days, ["B02"], options=FAST)
    next(reading)
    assert set(threading.enumerate()) > before
    reading.close()
    assert set(threading.enumerate()) == before


def test_a_location_is_read_with_its_margin(make_scene):
    scene, location = make_scene("1"), Location(LATTICE, 3130, 32488)
    cube = read_location(location, [scene], ["B04", "B11"], margin=5, options=FAST)
    assert cube.sizes == {"time": 1, "y": 26, "x": 26}
    block = Block(LATTICE, "around", 3129, 32487, np.ones((3, 3), bool))
    for band in ("B04", "B11"):
        np.testing.assert_array_equal(cube[band].values[0], _pixels(scene, band, block)[11:37, 11:37])
    west, south, east, north = LATTICE.bounds(3130, 32488)
    assert cube.rio.bounds() == (west - 50, south - 50, east + 50, north + 50)


def test_a_place_without_scenes_is_a_read_error(make_scene):
    scene = make_scene("1")
    with pytest.raises(ReadError, match=r"no pixel on 1 days.*choose other dates"):
        read_location(Location(LATTICE, 100, 32488), [scene], ["B04"], options=FAST)


@pytest.mark.real_data
def test_real_tiles_without_georeference_meet_on_the_lattice(shared_data):
    catalog = pystac.Catalog.from_file(str(shared_data / "earth-search-catalog" / "catalog.json"))
    items = list(catalog.get_items(recursive=True))
    for item in items:
        item.make_asset_hrefs_absolute()
    days = solar_days(resolve_scenes(items, ["B02", "B08"]))
    # 33TWM lies north of 33TWL, and they share the northings 5,090,220 to 5,100,000.
    block = _block(65, 652, 24, 10, Lattice(32633, 64, 120))
    cubes = {day: read_cube(block, {day: scenes}, ["B02", "B08"], options=FAST) for day, scenes in days.items()}
    assert len(cubes) == 4
    cube = max(cubes.values(), key=lambda cube: int((cube.scl == 4).sum()))
    assert check_cube(cube) == []
    assert len(cube.item_ids.item().split()) == 2
    assert set(np.unique(cube.source).tolist()) == {0, 1, 2}
    assert 150 < float(cube.B02.where(cube.scl == 4).median()) < 600  # vegetation is dark in blue: no double offset
    seam = np.nonzero((cube.source.values[0, :-1] != cube.source.values[0, 1:]) & (cube.source.values[0, 1:] > 0))
    steps = np.abs(np.diff(cube.B08.values[0].astype(int), axis=0))
    inner = (cube.source.values[0, :-1] > 0) & (cube.source.values[0, 1:] > 0)
    assert np.median(steps[seam][inner[seam]]) < 2 * np.median(steps[inner])
