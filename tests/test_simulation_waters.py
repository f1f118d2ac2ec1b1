"""Waters: lines that cross the ground, lakes and seas that hang together, shores whose sign is the cover's."""

import numpy as np
import pytest
from scipy import ndimage

from stac.simulation.covers import RIVER, SEA, TIDAL_FLAT, WATER, WATERS
from stac.simulation.waters import (
    DRY,
    HIGHEST,
    distance_to,
    new_course,
    new_hollow_lakes,
    new_sea,
    new_waters,
)

SHAPE = (200, 260)
NEVER = np.full(SHAPE, np.inf, dtype=np.float32)
NONE = np.zeros(SHAPE, dtype=bool)
LEVEL = np.zeros(SHAPE, dtype=np.float32)


@pytest.mark.parametrize("side", [0, 1, 2, 3])
@pytest.mark.parametrize("bends", [0.6, 1.35])
def test_a_course_crosses_the_ground_without_a_gap(side: int, bends: float):
    line = new_course(SHAPE, np.random.default_rng(side), bends, side)
    assert np.hypot(*np.diff(line, axis=0).T).max() < 3
    river = distance_to(line, SHAPE) < 2
    parts, _ = ndimage.label(river, structure=np.ones((3, 3)))
    first, last = (parts[0], parts[-1]) if side % 2 == 0 else (parts[:, 0], parts[:, -1])
    assert set(first[first > 0]) & set(last[last > 0])


def test_the_river_is_one_water_and_always_stands():
    rng = np.random.default_rng(1)
    river = distance_to(new_course(SHAPE, rng, 1.0, 1), SHAPE)
    waters = new_waters(NONE, NONE, river, np.full(SHAPE, 3, dtype=np.float32), LEVEL, rng)
    stream = waters.cover == RIVER
    sizes = np.bincount(ndimage.label(stream)[0].ravel())[1:]
    assert sizes.max() > 0.95 * stream.sum()
    assert (waters.shore[stream] == -np.inf).all()
    assert (waters.shore[waters.cover == DRY] == np.inf).all()


def test_lakes_take_the_share_asked_for_and_lie_on_level_ground():
    slope = np.zeros(SHAPE, dtype=np.float32)
    slope[:, 130:] = 0.4
    lake = new_hollow_lakes(slope, NONE, (0.08, 40), np.random.default_rng(2))
    assert 0.03 < lake.mean() < 0.12
    assert lake[:, 150:].sum() == 0
    assert np.bincount(ndimage.label(lake)[0].ravel())[1:].min() >= 40


def test_a_lakes_shore_has_the_sign_of_its_cover_and_moves_by_pixels():
    lake = np.hypot(*np.mgrid[-100:100, -130:130]) < 50
    waters = new_waters(NONE, lake, NEVER, LEVEL, LEVEL, np.random.default_rng(0))
    np.testing.assert_array_equal(waters.shore < 0, waters.cover == WATER)
    for level in (-2.0, 2.0):
        moved = ((waters.shore < level) != lake).sum() / (2 * np.pi * 50)  # mean way of the line, pixels
        assert 1 < moved < 40


def test_the_season_neither_drowns_the_country_nor_empties_a_lake():
    y, x = np.mgrid[:200, :260]
    lake = (np.hypot(y - 100, x - 90) < 40) | (np.hypot(y - 40, x - 220) < 8)
    waters = new_waters(NONE, lake, NEVER, LEVEL, LEVEL, np.random.default_rng(0))
    high, low = waters.shore < HIGHEST, waters.shore < -HIGHEST
    assert ndimage.distance_transform_edt(~lake)[high].max() < 4
    parts, count = ndimage.label(lake)
    assert count == 2
    assert (ndimage.mean(low, parts, [1, 2]) > 0.2).all()


@pytest.mark.parametrize("side", [0, 1, 2, 3])
def test_the_sea_lies_at_its_edge_and_takes_about_a_third(side: int):
    sea = new_sea(SHAPE, np.random.default_rng(5), side)
    edge = {0: sea[0], 1: sea[:, -1], 2: sea[-1], 3: sea[:, 0]}[side]
    assert edge.mean() > 0.7
    assert 0.2 < sea.mean() < 0.5
    assert np.bincount(ndimage.label(~sea)[0].ravel())[1:].min() >= 14


def test_tides_bare_and_flood_the_flats():
    rng = np.random.default_rng(4)
    sea = new_sea(SHAPE, rng, 3)
    waters = new_waters(sea, NONE, NEVER, LEVEL, LEVEL, rng)
    np.testing.assert_array_equal(waters.shore < 0, np.isin(waters.cover, WATERS))
    flat = waters.shore[waters.cover == TIDAL_FLAT]
    assert flat.size > 100
    assert flat.min() > 0
    assert flat.max() <= 1.7
    assert (waters.shore < -1.5).sum() < (waters.cover == SEA).sum()
