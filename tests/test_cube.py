"""The cube's contract, and the chips cut from it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
import rioxarray  # noqa: F401  (registers the accessor that the cube is made for)
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from stac.bands import CLEAR_SCL
from stac.cube import (
    check_cube,
    chip_fraction,
    chip_scenes,
    clear_fraction,
    clear_mask,
    cut_chips,
    gather_chips,
    new_cube,
    open_cube,
    save_cube,
    view_chips,
)
from stac.errors import ReadError

TRANSFORM = Affine(10, 0, 499_840, 0, -10, 5_200_000)


def _cube(times=2, height=6, width=8):
    rng = np.random.default_rng(0)
    shape = (times, height, width)
    source = rng.integers(0, 3, shape).astype(np.uint8)
    bands = {name: np.where(source > 0, rng.integers(1, 9000, shape), 0).astype(np.uint16) for name in ("B04", "B11")}
    return new_cube(
        bands,
        rng.integers(0, 12, shape).astype(np.uint8),
        source,
        times=[datetime(2023, 1, 1 + day, 10, tzinfo=UTC) for day in range(times)],
        item_ids=["a b"] * times,
        baselines=["05.09"] * times,
        transform=TRANSFORM,
        epsg=32633,
    )


def test_a_new_cube_keeps_its_contract_and_its_georeference():
    cube = _cube()
    assert check_cube(cube) == []
    assert cube.rio.crs.to_epsg() == 32633
    assert cube.rio.transform() == TRANSFORM
    assert cube.rio.bounds() == (499_840, 5_199_940, 499_920, 5_200_000)


def test_a_new_cube_does_not_copy_pixels():
    pixels = np.ones((1, 4, 4), np.uint16)
    more = {"times": [datetime(2023, 1, 1, tzinfo=UTC)], "item_ids": ["a"], "baselines": ["05.09"]}
    ones = np.ones((1, 4, 4), np.uint8)
    cube = new_cube({"B02": pixels}, ones, ones, **more, transform=TRANSFORM, epsg=32633)
    assert np.shares_memory(cube["B02"].values, pixels)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda c: c.drop_vars("scl"), "variable 'scl' is missing"),
        (lambda c: c.drop_vars("item_ids"), "coordinate 'item_ids' along time is missing"),
        (lambda c: c.drop_vars(["B04", "B11"]), "there is no band"),
        (lambda c: c.assign(B04=c.B04.astype("float32")), "'B04' is float32 instead of uint16"),
        (lambda c: c.transpose("y", "x", "time"), "'B04' has dimensions y, x, time"),
        (lambda c: c.assign(haze=c.B04), "variable 'haze' is no Sentinel-2 band"),
        (lambda c: c.isel(time=[1, 0]), "'time' does not increase"),
        (lambda c: c.isel(y=slice(None, None, -1)), "'y' is not evenly spaced southwards"),
        (lambda c: c.assign(B04=c.B04 + 1), "'B04' has data where 'source' is 0"),
        (lambda c: c.assign(source=c.source + 1), "'source' reaches 3 at time 0, where there are 2 item ids"),
        (lambda c: c.assign(scl=c.scl + 200), "'scl' has classes above 11"),
        (lambda c: c.assign(B04=c.B04.assign_attrs(scale_factor=1e-4)), "'B04' has the attribute 'scale_factor'"),
    ],
)
def test_each_fault_of_a_cube_is_told(damage, fault):
    assert any(fault in told for told in check_cube(damage(_cube())))


def test_all_faults_are_told_at_once():
    cube = _cube().drop_vars(["scl", "processing_baseline"])
    cube["B04"].attrs["_FillValue"] = 0
    assert len(check_cube(cube)) == 3


def test_a_saved_cube_opens_as_it_was(tmp_path):
    cube = _cube()
    save_cube(cube, tmp_path / "cube.nc")
    again = open_cube(tmp_path / "cube.nc")
    assert again.equals(cube)
    assert again.rio.crs == cube.rio.crs
    assert {name: again[name].dtype for name in again.data_vars} == {name: cube[name].dtype for name in cube.data_vars}


def test_what_is_no_cube_is_refused(tmp_path):
    (tmp_path / "cube.nc").write_text("hello")
    with pytest.raises(ReadError, match="write it again"):
        open_cube(tmp_path / "cube.nc")
    with pytest.raises(ReadError, match="breaks the contract: variable 'scl' is missing"):
        save_cube(_cube().drop_vars("scl"), tmp_path / "new.nc")
    assert not (tmp_path / "new.nc").exists()


@given(rows=st.integers(1, 4), cols=st.integers(1, 4), chip=st.integers(1, 5), lead=st.sampled_from([(), (2,), (2, 3)]))
def test_chips_are_the_squares_of_the_image_in_order(rows, cols, chip, lead):
    image = np.arange(np.prod(lead, dtype=int) * rows * cols * chip**2).reshape(*lead, rows * chip, cols * chip)
    chips = cut_chips(image, chip)
    assert chips.shape == (rows * cols, *lead, chip, chip)
    for index in range(rows * cols):
        top, left = index // cols * chip, index % cols * chip
        np.testing.assert_array_equal(chips[index], image[..., top : top + chip, left : left + chip])


def test_a_view_of_chips_writes_through():
    image = np.zeros((6, 9), int)
    view_chips(image, 3)[np.array([[False, True, False], [True, False, False]])] = 1
    assert image[:3, 3:6].all()
    assert image[3:, :3].all()
    assert image.sum() == 18


def test_gathered_chips_equal_cut_ones():
    cube = _cube(1)
    every = cut_chips(np.stack([cube.B11.values[0], cube.B04.values[0]]), 2)
    rows, cols = np.array([2, 0, 1]), np.array([3, 1, 1])
    out = np.zeros((5, 2, 2, 2), np.uint16)
    for chips in (
        gather_chips(cube, ["B11", "B04"], 2, rows, cols),
        gather_chips(cube, ["B11", "B04"], 2, rows, cols, out),
    ):
        np.testing.assert_array_equal(chips, every[rows * 4 + cols])
    assert not out[3:].any()


@given(rows=st.integers(1, 3), cols=st.integers(1, 3), chip=st.integers(1, 6), seed=st.integers(0, 99))
def test_fractions_equal_a_pixel_loop(rows, cols, chip, seed):
    scl = np.random.default_rng(seed).integers(0, 12, (rows * chip, cols * chip)).astype(np.uint8)
    expected = np.zeros((rows, cols))
    for y in range(rows * chip):
        for x in range(cols * chip):
            expected[y // chip, x // chip] += (int(scl[y, x]) in CLEAR_SCL) / chip**2
    for got in (clear_fraction(scl, chip), chip_fraction(clear_mask(scl), chip)):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_fractions_are_exact_at_their_ends():
    mask = np.zeros((4, 1024), bool)
    mask[:, :512] = True
    assert chip_fraction(np.repeat(mask, 128, axis=0), 512).tolist() == [[1.0, 0.0]]


def test_counting_at_20_m_equals_counting_at_10_m():
    coarse = np.random.default_rng(3).integers(0, 12, (48, 64)).astype(np.uint8)
    fine = coarse.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(clear_fraction(coarse, 16), clear_fraction(fine, 32))


def test_scenes_of_a_chip_are_those_that_supplied_a_pixel():
    source = np.zeros((4, 4), np.uint8)
    source[0, 0], source[1, 1], source[3, 3] = 1, 2, 2
    assert chip_scenes(source, 2, 3).tolist() == [
        [[True, False], [False, False]],
        [[True, False], [False, True]],
        [[False, False], [False, False]],
    ]
