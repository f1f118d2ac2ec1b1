"""One window of one raster on a pixel grid: copied where the edges agree, resampled where they do not."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from stac.items import Asset
from stac.pixels import harmonise, repeat_pixels
from stac.raster import Georeference, ReadOptions
from stac.window import Fill, Grid, Placement, place

WEST, NORTH = 499_980, 5_200_020
FAST = ReadOptions(threads=1, sign=str)


def _write(path, pixels, gsd, block=(32, 64)):
    transform = Affine(gsd, 0, WEST, 0, -gsd, NORTH)
    size = {"width": pixels.shape[1], "height": pixels.shape[0], "count": 1, "dtype": pixels.dtype, "nodata": 0}
    tiles = {"tiled": True, "blockxsize": block[1], "blockysize": block[0], "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32633", transform=transform, **size, **tiles) as out:
        out.write(pixels, 1)
    return Asset(str(path), 32633, transform, pixels.shape)


def _fill(asset, grid, dtype=np.uint16, parts=3, **more):
    out, source = np.zeros(grid.shape, dtype), np.ones(grid.shape, np.uint8)
    fill = Fill(asset, grid, out, source, wanted=1, **more)
    for part in range(parts):
        fill.run(part, parts, FAST)
    return out


def _random(shape, dtype=np.uint16, high=4000, seed=0):
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


@given(
    value=st.integers(0, 65535),
    offset=st.sampled_from([-1000, -1, 0, 1, 1000]),
    others=st.lists(st.integers(0, 65535), max_size=8),
)
def test_harmonising_follows_its_definition(value, offset, others):
    numbers = [value, *others]
    pixels = np.array([numbers, numbers], np.uint16)
    harmonise(pixels, offset)
    expected = [min(max(n + offset, 1), 65535) if n > 0 else 0 for n in numbers]
    assert pixels.tolist() == [expected, expected]


@settings(max_examples=60)
@given(
    step=st.integers(1, 6),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    crop=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    cut=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    dtype=st.sampled_from([np.uint8, np.uint16]),
)
def test_repeating_pixels_equals_numpys_repeat(step, size, crop, cut, dtype):
    own = _random(size, dtype, 250)
    fine = own.repeat(step, axis=0).repeat(step, axis=1)
    top, left = (min(c, step - 1) for c in crop)
    expected = fine[top : fine.shape[0] - min(cut[0], step - 1), left : fine.shape[1] - min(cut[1], step - 1)]
    out = np.zeros((max(0, expected.shape[0]), max(0, expected.shape[1])), dtype)
    repeat_pixels(own, step, (top, left), out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("gsd", "west", "epsg", "grid_gsd", "step"),
    [
        (10, WEST, 32633, 10, 1),
        (20, WEST, 32633, 10, 2),
        (60, WEST, 32633, 10, 6),
        (20, WEST, 32633, 20, 1),
        (10, WEST, 32633, 20, None),
        (10, WEST + 5, 32633, 10, None),
        (10, WEST, 32634, 10, None),
        (120, WEST, 32633, 120, None),
    ],
)
def test_rasters_are_copied_only_where_pixel_edges_agree(gsd, west, epsg, grid_gsd, step):
    geo = Georeference(CRS.from_epsg(epsg), Affine(gsd, 0, west, 0, -gsd, NORTH), (50, 50))
    placement = place(geo, (32, 64), Grid(32633, 480_000, 5_160_000, grid_gsd, (20, 20)))
    assert (placement.step if placement else None) == step


@given(
    step=st.integers(1, 6),
    start=st.tuples(st.integers(-90, 90), st.integers(-90, 90)),
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    block=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    grid=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_strips_and_columns_cover_exactly_what_both_share(step, start, shape, block, grid):
    placement = Placement(step, *start, shape, block)
    own = np.zeros(shape, int)
    for row0, row1 in placement.strips(grid):
        for col0, col1 in placement.columns(np.ones(grid[1], bool), grid[1]):
            own[row0:row1, col0:col1] += 1
    rows, cols = (start[axis] + np.arange(shape[axis]) * step for axis in (0, 1))
    touches = [(first + step > 0) & (first < size) for first, size in zip((rows, cols), grid, strict=True)]
    np.testing.assert_array_equal(own, np.outer(*touches).astype(int))


@pytest.mark.parametrize("offset", [0, -1000])
@pytest.mark.parametrize(("gsd", "step"), [(10, 1), (20, 2), (60, 6)])
def test_a_window_equals_the_whole_file_cut(tmp_path, gsd, step, offset):
    pixels = _random((240 // step, 300 // step))
    asset = _write(tmp_path / "a.tif", pixels, gsd)
    # Reaches over the file's south and east edges, and cuts pixels of 60 m in two.
    grid = Grid(32633, WEST + 70, NORTH - 50, 10, (250, 320))
    fine = pixels.repeat(step, axis=0).repeat(step, axis=1)[5:255, 7:327].astype(int)
    expected = np.zeros(grid.shape, int)
    expected[: fine.shape[0], : fine.shape[1]] = np.where(fine > 0, np.maximum(fine + offset, 1), 0)
    np.testing.assert_array_equal(_fill(asset, grid, offset=offset), expected)


def test_only_wanted_pixels_are_written(tmp_path):
    pixels = _random((200, 200)) + 1
    asset = _write(tmp_path / "a.tif", pixels, 10)
    source = _random((200, 200), np.uint8, 3)
    out = np.full((200, 200), 9, np.uint16)
    Fill(asset, Grid(32633, WEST, NORTH, 10, (200, 200)), out, source, wanted=2).run(0, 1, FAST)
    np.testing.assert_array_equal(out, np.where(source == 2, pixels, 9))


def test_blocks_without_wanted_pixels_are_not_decoded(tmp_path):
    shape = (2048, 128)
    pixels = _random(shape) + 1
    asset = _write(tmp_path / "a.tif", pixels, 10, block=(1024, 64))
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[: len(data) // 3])  # of the four blocks the first one is left
    source, out = np.zeros(shape, np.uint8), np.zeros(shape, np.uint16)
    source[3, 5] = source[1000, 60] = 1
    for part in range(4):
        Fill(asset, Grid(32633, WEST, NORTH, 10, shape), out, source, wanted=1).run(part, 4, FAST)
    np.testing.assert_array_equal(out, np.where(source == 1, pixels, 0))


def test_half_a_pixel_of_phase_is_interpolated(tmp_path):
    ramp = np.tile(1000 + 10 * np.arange(64), (64, 1)).astype(np.uint16)
    asset = _write(tmp_path / "a.tif", ramp, 120)
    grid = Grid(32633, WEST + 60 + 1200, NORTH - 60 - 1200, 120, (40, 40))
    np.testing.assert_array_equal(_fill(asset, grid), np.tile(1105 + 10 * np.arange(40), (40, 1)))


def test_no_data_takes_no_part_in_resampling(tmp_path):
    pixels = np.full((64, 64), 3000, np.uint16)
    pixels[:, :20] = 0
    asset = _write(tmp_path / "a.tif", pixels, 120)
    grid = Grid(32633, WEST + 60, NORTH - 60, 120, (60, 60))
    assert set(np.unique(_fill(asset, grid)).tolist()) == {0, 3000}
    other_zone = Grid(32634, 45_000, 5_199_000, 100, (60, 60))
    assert set(np.unique(_fill(asset, other_zone)).tolist()) <= {0, 3000}


def test_a_coarser_grid_takes_the_average_and_classes_the_majority(tmp_path):
    pixels = np.zeros((64, 64), np.uint16)
    pixels[0::2, 0::2], pixels[0::2, 1::2], pixels[1::2, 0::2], pixels[1::2, 1::2] = 100, 200, 300, 400
    grid = Grid(32633, WEST, NORTH, 20, (32, 32))
    assert set(_fill(_write(tmp_path / "a.tif", pixels, 10), grid).ravel().tolist()) == {250}
    classes = np.where(pixels == 100, 9, 4).astype(np.uint8)
    assert set(_fill(_write(tmp_path / "b.tif", classes, 10), grid, np.uint8, mark=1).ravel().tolist()) == {4}


def test_classes_are_never_mixed(tmp_path):
    classes = np.random.default_rng(2).choice([3, 8, 11], (64, 64)).astype(np.uint8)
    asset = _write(tmp_path / "scl.tif", classes, 120)
    read = _fill(asset, Grid(32633, WEST + 60, NORTH - 60, 120, (60, 60)), np.uint8, mark=1)
    assert set(np.unique(read).tolist()) == {3, 8, 11}


def test_values_that_are_no_class_become_defective(tmp_path):
    classes = np.array([[0, 4], [11, 12]], np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    asset = _write(tmp_path / "scl.tif", classes, 20)
    for gsd in (20, 10):
        read = _fill(asset, Grid(32633, WEST, NORTH, gsd, (640 // gsd, 640 // gsd)), np.uint8, mark=1)
        np.testing.assert_array_equal(np.unique(read), [0, 1, 4, 11])


@pytest.mark.parametrize("moved", [(0, 0), (-30, 50), (40, -20), (500, 0), (0, -500)])
def test_where_a_raster_does_not_reach_there_is_no_data(tmp_path, moved):
    pixels = np.full((60, 70), 7, np.uint16)
    asset = _write(tmp_path / "short.tif", pixels, 10)
    down, right = moved
    grid = Grid(32633, WEST + right * 10, NORTH - down * 10, 10, (90, 100))
    out = np.full(grid.shape, 999, np.uint16)  # as memory that held another day
    source = np.ones(grid.shape, np.uint8)
    source[:, 5] = 2
    fill = Fill(asset, grid, out, source, wanted=1)
    for part in range(2):
        fill.run(part, 2, FAST)
    expected = np.zeros_like(out)
    rows, cols = (np.arange(size) + move for size, move in zip(grid.shape, moved, strict=True))
    inside = ((rows >= 0) & (rows < 60))[:, None] & ((cols >= 0) & (cols < 70))[None]
    expected[inside] = 7
    expected[:, 5] = 999  # another scene's
    assert np.array_equal(out, expected)
