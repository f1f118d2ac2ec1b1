"""The instrument: blur, shift, means at 20 m, noise, whole numbers."""

import numpy as np
import pytest
import torch

from stac.simulation.covers import BANDS
from stac.simulation.optics import (
    _CLEAR,
    _PATH,
    _SIDE,
    _VARIETY,
    REFERENCE_RADIANCE,
    SNR,
    SOLAR_IRRADIANCE,
    add_noise,
    blur_and_shift,
    reference,
    taps,
    to_10m,
    to_20m,
    to_dn,
)


@pytest.fixture
def image():
    return np.random.default_rng(4).random((2, 3, 20, 24), dtype=np.float32)


@pytest.mark.parametrize("shift", [-1.5, -0.5, 0.0, 0.3, 1.0, 2.0])
def test_taps_sum_to_one_and_lie_where_the_shift_is(shift):
    weights = np.array(taps(shift))
    assert weights.sum() == pytest.approx(1)
    assert (weights * np.arange(-3, 4)).sum() == pytest.approx(-shift)
    np.testing.assert_allclose([float(w) for w in taps(np.array(shift))], weights, atol=1e-12)


def test_a_shift_moves_the_picture_down_and_right():
    image = np.zeros((1, 21, 21), dtype=np.float32)
    image[0, 10, 10] = 1
    moved = blur_and_shift(image, [1.0], [-0.4])[0]
    rows, cols = np.mgrid[:21, :21]
    assert (moved * rows).sum() == pytest.approx(11, abs=1e-4)
    assert (moved * cols).sum() == pytest.approx(9.6, abs=1e-4)


def test_the_blur_lets_through_0_42_of_the_finest_stripes():
    stripes = np.where(np.arange(40) % 2, 1.0, -1.0).astype(np.float32) * np.ones((1, 30, 1), np.float32)
    seen = blur_and_shift(stripes, [0.0], [0.0])[0, 10:-10, 10:-10]
    np.testing.assert_allclose(np.abs(seen), 0.42, atol=0.001)


def test_even_ground_stays_even():
    np.testing.assert_allclose(blur_and_shift(np.full((1, 9, 9), 0.3, np.float32), [0.37], [-1.2]), 0.3, rtol=1e-6)


def test_blur_is_the_same_in_torch_and_in_batches(image):
    down, right = np.random.default_rng(1).uniform(-1.5, 1.5, (2, 2, 3)).astype(np.float32)
    whole = blur_and_shift(image, down, right)
    twin = blur_and_shift(*(torch.from_numpy(x) for x in (image, down, right)))
    np.testing.assert_allclose(twin.numpy(), whole, rtol=1e-5, atol=1e-6)
    for i in range(2):
        alone = blur_and_shift(image[i], down[i].tolist(), right[i].tolist())
        np.testing.assert_allclose(alone, whole[i], rtol=1e-5, atol=1e-6)


def test_20m_pixels_are_means_of_four(image):
    want = image.reshape(2, 3, 10, 2, 12, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(to_20m(image), want, rtol=1e-6)
    np.testing.assert_allclose(to_20m(torch.from_numpy(image)).numpy(), want, rtol=1e-5)


def test_twice_the_resolution_keeps_ramps_and_bounds(image):
    ramp = np.arange(12, dtype=np.float32) * np.ones((10, 1), dtype=np.float32)
    fine = to_10m(ramp)
    np.testing.assert_allclose(fine[:, 1:-1], np.broadcast_to(np.arange(22) * 0.5 + 0.25, (20, 22)), rtol=1e-6)
    fine = to_10m(image)
    assert fine.shape == (2, 3, 40, 48)
    assert fine.min() >= image.min()
    assert fine.max() <= image.max()
    np.testing.assert_allclose(to_10m(torch.from_numpy(image)).numpy(), fine, rtol=1e-5)


@pytest.mark.parametrize("name", BANDS)
def test_noise_has_the_specified_ratio_at_the_sensor(name):
    place = BANDS.index(name)
    seen = np.pi * REFERENCE_RADIANCE[place] / SOLAR_IRRADIANCE[place] / np.sin(np.radians(50.0))
    path = _PATH[place] / np.sin(np.radians(50.0))
    ground = (seen - path) / _CLEAR[place]
    band = np.full((300, 300), ground, dtype=np.float32)
    noise = np.random.default_rng(2).standard_normal((300, 300), dtype=np.float32)
    add_noise(band, noise, *reference(name, 50.0))
    left = 1 - 4 * _SIDE + 6 * _SIDE**2  # of the standard deviation, once neighbours are mixed
    instrument = np.sqrt((band.std() / left) ** 2 - (_VARIETY * ground) ** 2)
    assert seen / (_CLEAR[place] * instrument) == pytest.approx(SNR[place], rel=0.02)


def test_noise_is_resampled_and_loses_its_finest_scale():
    band = np.full((256, 256), 0.1, dtype=np.float32)
    noise = np.random.default_rng(5).standard_normal((256, 256), dtype=np.float32)
    add_noise(band, noise, *reference("B02", 50.0))
    band -= band.mean()
    assert (band[1:] * band[:-1]).mean() / band.var() == pytest.approx(0.24, abs=0.02)
    power = np.abs(np.fft.fft2(band)) ** 2
    assert power[118:138, 118:138].mean() < 0.45 * power[:20, 118:138].mean()


def test_dark_ground_is_less_noisy_and_a_low_sun_is_noisier():
    level, sigma = reference("B02", 50.0)
    noise = np.random.default_rng(2).standard_normal((100, 100), dtype=np.float32)
    dark, bright = np.full((2, 100, 100), 0.02, dtype=np.float32)
    bright[:] = 0.5
    add_noise(dark, noise, level, sigma)
    add_noise(bright, noise, level, sigma)
    assert dark.std() < 0.7 * bright.std()
    assert reference("B02", 20.0)[1] > 2 * reference("B02", 60.0)[1]


def test_noise_is_the_same_in_torch(image):
    noise = np.random.default_rng(3).standard_normal(image.shape, dtype=np.float32)
    band, twin = image.copy(), torch.from_numpy(image.copy())
    add_noise(band, noise, 0.2, 0.002)
    add_noise(twin, torch.from_numpy(noise), 0.2, 0.002)
    np.testing.assert_allclose(twin.numpy(), band, rtol=1e-5)


def test_numbers_are_whole_and_at_least_one():
    band = np.array([-0.1, 0.0, 0.00012, 0.12344, 0.12346, 5.0], dtype=np.float32)
    want = [1, 1, 1, 1234, 1235, 20_000]
    assert to_dn(band).tolist() == want
    assert to_dn(torch.from_numpy(band)).tolist() == want
