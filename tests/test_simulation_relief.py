"""Relief: streams that run downhill, heights in the range asked for, slopes that are those of the heights."""

import numpy as np
import pytest

from stac.simulation.relief import fill_pits, new_relief, slopes, upstream
from stac.simulation.waters import distance_to, new_course

SHAPE = (160, 224)


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(3)
    low = np.maximum(distance_to(new_course(SHAPE, rng, 1.0, 1), SHAPE) - 2, 0).astype(np.float32)
    relief, drained = new_relief((100, 400), 0.05, low, np.zeros(SHAPE, dtype=bool), rng)
    return low, relief, drained


def test_heights_span_the_range_that_fits_the_ground(made):
    _, relief, _ = made
    assert relief.height.min() > 90
    span = min(300, 0.085 * 10 * max(SHAPE))
    assert 0.6 * span < np.quantile(relief.height, 0.99) - relief.height.min() < 1.3 * span


def test_land_rises_from_the_river(made):
    low, relief, _ = made
    assert relief.height[low == 0].mean() < relief.height[low > 40].mean() - 5


def test_every_cell_drains_to_where_water_leaves(made):
    _, _, drained = made
    ahead = drained.receiver.copy()
    for _ in range(20):
        ahead = ahead[ahead]
    ends = np.unique(ahead)
    assert (drained.receiver[ends] == ends).all()
    assert drained.area.ravel()[ends].sum() == drained.area.size


def test_streams_gather_water(made):
    _, _, drained = made
    area = drained.area.ravel()
    moving = drained.receiver != np.arange(area.size)
    assert (area[drained.receiver[moving]] > area[moving]).all()


def test_upstream_counts_as_many_cells_as_drain_through(made):
    _, _, drained = made
    moving = np.flatnonzero(drained.receiver != np.arange(drained.area.size))
    cell = int(moving[drained.area.ravel()[moving].argmax()])
    assert upstream(drained.receiver, cell).sum() == drained.area.ravel()[cell]


def test_fill_pits_leaves_no_hollow():
    height = np.random.default_rng(0).normal(size=(30, 40))
    outlet = np.zeros(height.shape, dtype=bool)
    outlet[:, 0] = True
    filled = fill_pits(height, outlet)
    assert (filled >= height).all()
    padded = np.pad(filled, 1, constant_values=np.inf)
    lowest = np.min([padded[1 + a : 31 + a, 1 + b : 41 + b] for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b], axis=0)
    assert (lowest[~outlet] < filled[~outlet]).all()


def test_slopes_are_those_of_a_plane():
    row, col = np.mgrid[0:40, 0:50]
    east, north = slopes((3.0 * col - 2.0 * row).astype(np.float32))
    np.testing.assert_allclose(east[5:-5, 5:-5], 0.3, atol=1e-5)
    np.testing.assert_allclose(north[5:-5, 5:-5], 0.2, atol=1e-5)
