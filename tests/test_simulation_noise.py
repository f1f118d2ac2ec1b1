"""Noise: known statistics, and the small tools on fields."""

import numpy as np
import pytest
import torch

from stac.simulation.means import blur, sample
from stac.simulation.noise import new_noise
from stac.simulation.steps import smooth_step, soften


def test_noise_has_unit_spread_no_mean_and_repeats_with_its_seed():
    a, b = (new_noise((96, 81), np.random.default_rng(4), 2.0, 40) for _ in range(2))
    assert a.dtype == np.float32
    assert a.std() == pytest.approx(1, abs=1e-3)
    assert a.mean() == pytest.approx(0, abs=1e-3)
    np.testing.assert_array_equal(a, b)


def test_noise_differs_with_its_seed():
    a, b = (new_noise((64, 64), np.random.default_rng(s), 2.0, 40) for s in (1, 2))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.5


def test_steeper_spectrum_gives_smoother_noise():
    rough, smooth = (np.abs(np.diff(new_noise((128, 128), np.random.default_rng(1), b, 64))).mean() for b in (0.5, 3.0))
    assert smooth < rough / 3


@pytest.mark.parametrize("shape", [(128, 96), (97, 130)])
def test_noise_has_power_between_its_wavelengths_only(shape: tuple[int, int]):
    field = new_noise(shape, np.random.default_rng(2), 1.0, 24, 6)
    power = np.abs(np.fft.fft2(field)) ** 2
    wave = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :])
    inside = (wave >= 1 / 24.01) & (wave <= 1 / 5.99)
    assert power[~inside].sum() < 1e-6 * power[inside].sum()


def test_white_noise_is_as_strong_down_as_across():
    field = new_noise((256, 256), np.random.default_rng(3), 0.0, 1e9)
    down, across = np.diff(field, axis=0).std(), np.diff(field, axis=1).std()
    assert down == pytest.approx(across, rel=0.03)


def test_noise_without_a_wavelength_that_fits_is_zero():
    assert not new_noise((8, 8), np.random.default_rng(0), 2.0, 3, 4).any()


def test_smooth_step_is_bounded_and_rises():
    step = smooth_step(np.linspace(-1, 2, 31), 0, 1)
    assert step[0] == 0
    assert step[-1] == 1
    assert (np.diff(step) >= 0).all()
    assert step[15] == pytest.approx(0.5)


def test_smooth_step_keeps_the_kind_and_the_dtype_of_its_field():
    field = np.linspace(-1, 2, 31, dtype=np.float32)
    step = smooth_step(field, 0.2, 0.9)
    assert step.dtype == np.float32
    drawn = smooth_step(torch.from_numpy(field), 0.2, 0.9)
    np.testing.assert_allclose(drawn.numpy(), step, atol=1e-6)


def test_soften_takes_days_one_or_many():
    assert soften(95, 90, 10) == pytest.approx(0.5)
    np.testing.assert_allclose(soften(np.array([80.0, 100.0, 120.0]), np.array([90.0, 90.0, 120.0]), 20), [0, 0.5, 0])


def test_blur_is_the_mean_of_the_window():
    field = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    assert blur(field, 2, 1)[10, 12] == pytest.approx(field[8:13, 10:15].mean(), abs=1e-5)
    np.testing.assert_array_equal(blur(field, 0), field)


def test_sample_returns_the_field_at_whole_pixels_and_the_mean_between():
    field = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_allclose(sample(field, np.array([[1.0, 0.5]]), np.array([[2.0, 1.5]])), [[6.0, 3.5]])
