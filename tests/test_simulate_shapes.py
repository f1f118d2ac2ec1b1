"""Shapes of events: connected fires that spare water, blocks of forest, long thin roads."""

import numpy as np
import pytest

from stac.simulate_landscape import new_landscape
from stac.simulate_shapes import MAKERS
from stac.simulate_spectra import CONIFER, OAK, RIVER, WATER


@pytest.fixture(scope="module")
def land():
    return new_landscape((400, 640), np.random.default_rng(3))


def first(kind, land, taken=None):
    """The first shape that chance finds, with its strength and onset."""
    taken = np.zeros(land.shape, dtype=bool) if taken is None else taken
    for seed in range(60):
        shape = MAKERS[kind](land, taken, np.random.default_rng(seed))
        if shape is not None:
            return shape
    raise LookupError(kind)


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_shapes_stay_in_their_range_and_off_taken_ground(land, kind):
    taken = np.zeros(land.shape, dtype=bool)
    taken[:, :60] = taken[:8] = taken[-8:] = taken[:, -8:] = True
    strength, onset = first(kind, land, taken)
    assert strength.shape == onset.shape == land.shape
    assert strength.min() == 0
    assert 0.5 < strength.max() <= 1
    assert onset.min() >= 0
    assert onset.max() <= 1
    if kind != "road":  # a road's middle stays off, its verge may reach in
        assert not strength[taken].any()


def test_fire_is_connected_spares_water_and_burns_unevenly(land):
    strength, onset = first("wildfire", land)
    burnt = strength > 0
    assert not np.isin(land.cover[burnt], (WATER, RIVER)).any()
    reached = np.zeros_like(burnt)
    reached[np.unravel_index(np.where(burnt, onset, 2).argmin(), burnt.shape)] = True
    for _ in range(burnt.size):
        grown = reached.copy()
        for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)):
            grown |= np.roll(reached, (down, right), (0, 1))
        grown &= burnt
        if (grown == reached).all():
            break
        reached = grown
    np.testing.assert_array_equal(reached, burnt)
    assert strength[burnt].std() > 0.05


def test_a_clear_cut_stands_in_forest(land):
    strength, _ = first("clear_cut", land)
    assert np.isin(land.cover[strength > 0], (CONIFER, OAK)).mean() > 0.7


def test_a_road_is_long_and_thin(land):
    strength, onset = first("road", land)
    rows, cols = np.nonzero(strength > 0)
    reach = np.hypot(np.ptp(rows), np.ptp(cols))
    assert reach > 60
    assert (strength > 0).sum() / reach < 12
    assert onset[strength > 0].max() > 0.9
