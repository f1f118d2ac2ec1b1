from __future__ import annotations

import numpy as np
import pytest

from encoder.per_pixel import GRID, PixelsEncoder
from stac.errors import WeightsError

BANDS = ("B04", "B08")


def _chips(side: int = 32, count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 9000, (count, len(BANDS), side, side), dtype=np.uint16)


def test_cells_are_means_of_reflectance():
    chips = _chips()
    cells = PixelsEncoder(BANDS).embed(chips).reshape(3, 2, GRID, GRID)
    step = 32 // GRID
    for row, col in [(0, 0), (3, 5), (7, 7)]:
        part = chips[:, :, row * step : (row + 1) * step, col * step : (col + 1) * step]
        np.testing.assert_allclose(cells[:, :, row, col], part.mean(axis=(2, 3)) / 10_000, rtol=1e-6)


@pytest.mark.parametrize("side", [20, 32, 33])
def test_any_side_keeps_the_order_of_places(side):
    chips = np.broadcast_to(np.arange(1, side + 1, dtype=np.uint16) * 100, (1, 2, side, side)).copy()
    cells = PixelsEncoder(BANDS).embed(chips).reshape(2, GRID, GRID)
    assert (np.diff(cells, axis=2) >= 0).all()  # brighter eastwards
    assert np.ptp(cells, axis=1).max() == 0
    assert 0.01 <= cells.min() < 0.1 * side / 100
    assert 0.9 * side / 100 < cells.max() <= side / 100


@pytest.mark.parametrize("side", [4, 8])
def test_small_chips_are_taken_pixel_by_pixel(side):
    chips = _chips(side)
    cells = PixelsEncoder(BANDS).embed(chips).reshape(3, 2, GRID, GRID)
    wide = chips.repeat(GRID // side, axis=2).repeat(GRID // side, axis=3)
    np.testing.assert_allclose(cells, wide / 10_000, rtol=1e-6)


def test_pixels_that_are_not_seen_count_for_nothing():
    chips, valid = _chips(), np.ones((3, 32, 32), bool)
    valid[0, 2, 1] = False
    cloudy = chips.copy()
    cloudy[0, :, 2, 1] = 9999  # under the mask
    cloudy[1, 1, 8, 8] = 0  # no data in one band
    encoder = PixelsEncoder(BANDS)
    found = encoder.embed(cloudy, valid).reshape(3, 2, GRID, GRID)
    cell = np.delete(chips[0, 0, :4, :4].ravel(), 2 * 4 + 1)
    assert found[0, 0, 0, 0] == pytest.approx(cell.mean() / 10_000, rel=1e-6)
    other = np.delete(chips[1, 0, 8:12, 8:12].ravel(), 0)
    assert found[1, 0, 2, 2] == pytest.approx(other.mean() / 10_000, rel=1e-6)
    assert np.array_equal(found[2], encoder.embed(chips[2:]).reshape(2, GRID, GRID))


def test_a_cell_that_is_not_seen_gets_the_chips_mean():
    chips, valid = _chips(count=2), np.ones((2, 32, 32), bool)
    valid[0, :4, :4] = False
    valid[1] = False
    found = PixelsEncoder(BANDS).embed(chips, valid).reshape(2, 2, GRID, GRID)
    mean = chips[0][:, valid[0]].mean(axis=1) / 10_000
    np.testing.assert_allclose(found[0, :, 0, 0], mean, rtol=1e-6)
    assert not found[1].any()


def test_a_chip_does_not_depend_on_its_batch():
    chips = _chips(count=300)
    encoder = PixelsEncoder(BANDS)
    assert np.array_equal(encoder.embed(chips)[257:258], encoder.embed(chips[257:258]))


def test_bands_name_the_encoder():
    first, second = PixelsEncoder(), PixelsEncoder(BANDS)
    assert (len(first.bands), first.dim) == (6, 6 * GRID**2)
    assert first.sha256 != second.sha256
    assert second.spec.sha256 == second.sha256
    with pytest.raises(WeightsError, match="B04 B08"):
        second.embed(_chips().astype(np.int32))
