"""Relief: noise with known statistics, streams that run downhill."""

import numpy as np
import pytest

from stac.simulate_terrain import blur, new_noise, new_relief, sample, smooth_step


def test_noise_has_unit_spread_no_mean_and_repeats_with_its_seed():
    a, b = (new_noise((96, 80), np.random.default_rng(4), 2.0, 40) for _ in range(2))
    assert a.std() == pytest.approx(1, abs=1e-3)
    assert a.mean() == pytest.approx(0, abs=1e-3)
    np.testing.assert_array_equal(a, b)


def test_steeper_spectrum_gives_smoother_noise():
    rough, smooth = (np.abs(np.diff(new_noise((128, 128), np.random.default_rng(1), b, 64))).mean() for b in (0.5, 3.0))
    assert smooth < rough / 3


def test_blur_is_the_mean_of_the_window():
    field = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    assert blur(field, 2, 1)[10, 12] == pytest.approx(field[8:13, 10:15].mean(), abs=1e-5)
    assert blur(field, 2, 1).shape == field.shape


def test_sample_returns_the_field_at_whole_pixels_and_the_mean_between():
    field = np.arange(12, dtype=np.float32).reshape(3, 4)
    row, col = np.array([[1.0, 0.5]], dtype=np.float32), np.array([[2.0, 1.5]], dtype=np.float32)
    np.testing.assert_allclose(sample(field, row, col), [[6.0, 3.5]])


def test_smooth_step_is_flat_outside_and_half_in_the_middle():
    out = smooth_step(np.array([-1.0, 0.0, 0.5, 1.0, 2.0], dtype=np.float32), 0, 1)
    np.testing.assert_allclose(out, [0, 0, 0.5, 1, 1])


def test_water_gathers_in_valleys_and_hills_rise_in_the_west():
    river = np.full(240, 330, dtype=np.float32)
    relief = new_relief((240, 400), np.random.default_rng(2), river)
    assert relief.height[:, :80].mean() > relief.height[:, 320:].mean() + 80
    hills = relief.height[:, :200]
    wet = relief.drainage[:, :200] > 1.6
    near = blur(hills, 10, 1)
    assert wet.any()
    assert (hills - near)[wet].mean() < -1
    assert np.abs(relief.east).max() < 3
