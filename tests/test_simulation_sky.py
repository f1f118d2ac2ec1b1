"""Clouds, shadows, cirrus, haze and smoke."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stac.simulation.covers import BANDS
from stac.simulation.noise import new_noise
from stac.simulation.sky import (
    Sky,
    add_halo,
    behind_offset,
    cast_shadow,
    cloud_opacity,
    cloud_tops,
    displace,
    heading,
    lay_sky,
    plume,
)
from stac.simulation.spectra import MATERIAL_SPECTRA

CLOUD, SMOKE = MATERIAL_SPECTRA["cloud"], MATERIAL_SPECTRA["smoke"]
ALL = tuple(range(len(BANDS)))
SHAPE = (40, 48)
BLUE, SWIR = BANDS.index("B02"), BANDS.index("B12")


def one_cloud(row=50, col=60):
    y, x = np.mgrid[:100, :120]
    return ((y - row) ** 2 + (x - col) ** 2 < 36).astype(np.float32)


def centre(field):
    rows, cols = np.nonzero(field > 0.5)
    return rows.mean(), cols.mean()


@pytest.mark.parametrize("azimuth", [0.0, 45.0, 110.0, 155.0, 180.0, 260.0])
def test_shadows_lie_on_the_side_away_from_the_sun(azimuth):
    row, col = centre(cast_shadow(one_cloud(), 300.0, 0.0, azimuth, 45.0))
    far = 300 / 20
    assert row - 50 == pytest.approx(far * np.cos(np.radians(azimuth)), abs=0.7)
    assert col - 60 == pytest.approx(-far * np.sin(np.radians(azimuth)), abs=0.7)


def test_shadows_are_longer_for_higher_clouds_and_a_lower_sun():
    def away(height, elevation):
        return centre(cast_shadow(one_cloud(), height, 0.0, 180.0, elevation))[0]

    assert away(600.0, 45.0) < away(300.0, 45.0) < 50
    assert away(300.0, 25.0) < away(300.0, 45.0)


def test_the_sides_of_clouds_that_face_the_sun_are_brighter():
    y, x = np.mgrid[:41, :41] - 20.0
    field = (2 - np.hypot(y, x) / 6).astype(np.float32)
    tops = cloud_tops(field, displace(field, *behind_offset(90.0, 45.0)))
    assert tops[20, 30] > tops[20, 10]
    tops = cloud_tops(field, displace(field, *behind_offset(180.0, 45.0)))
    assert tops[30, 20] > tops[10, 20]


def test_clouds_are_thin_at_the_rim_and_the_halo_lies_around_them():
    field = np.linspace(-2, 2, 50, dtype=np.float32)[None]
    cloud = cloud_opacity(field, 0.5, 0.6)
    assert not cloud[field < 0.45].any()
    np.testing.assert_array_equal(cloud[field > 1.1], 1)
    assert ((cloud > 0) & (cloud < 1)).any()
    halo = add_halo(np.zeros_like(field), field, 0.5)
    assert (halo[(field > 0) & (field < 0.5)] > 0).all()
    assert not halo[field < -0.4].any()


def test_fields_move_by_whole_pixels_and_come_back_at_the_other_side():
    field = np.arange(20, dtype=np.float32).reshape(4, 5)
    np.testing.assert_array_equal(displace(field, 1, -2), np.roll(field, (1, -2), axis=(0, 1)))


def laid(sky, level=0.1, shape=SHAPE):
    image = np.full((len(BANDS), *shape), level, dtype=np.float32)
    lay_sky(image, ALL, sky, CLOUD, SMOKE)
    return image


def full(value, shape=SHAPE):
    return np.full(shape, value, dtype=np.float32)


CLEAN = Sky(full(0.0))


def test_a_clean_sky_leaves_the_ground_as_it_is():
    np.testing.assert_array_equal(laid(CLEAN), np.float32(0.1))


def test_haze_brightens_dark_ground_most_in_blue():
    change = laid(Sky(full(0.02)), 0.02)[:, 0, 0] - 0.02
    assert change[BLUE] == pytest.approx(0.02, rel=0.1)
    assert (np.diff(change[[0, 1, 2, 6, 8, 9]]) < 0).all()
    assert laid(Sky(full(0.02)), 0.6)[BLUE, 0, 0] < 0.6


def test_thick_cloud_hides_the_ground_in_all_bands():
    sky = replace(CLEAN, cloud=full(1.0), tops=full(1.0), shadow=full(1.0))
    np.testing.assert_allclose(laid(sky, 0.1), laid(sky, 0.4), rtol=1e-5)
    np.testing.assert_allclose(laid(sky)[:, 0, 0], CLOUD, rtol=1e-5)


def test_shadow_darkens_the_infrared_more_than_blue():
    left = laid(replace(CLEAN, shadow=full(1.0)))[:, 0, 0] / 0.1
    assert (left < 0.6).all()
    assert left[BLUE] > left[BANDS.index("B08")] > left[SWIR]


def test_cirrus_veils_less_in_the_shortwave_infrared():
    change = laid(replace(CLEAN, cirrus=full(0.3)))[:, 0, 0] - 0.1
    assert change[BLUE] > 2 * change[SWIR] > 0


def test_smoke_hides_blue_and_hardly_the_shortwave_infrared():
    sky = replace(CLEAN, smoke=full(1.5))
    contrast = (laid(sky, 0.3) - laid(sky, 0.1))[:, 0, 0] / 0.2
    assert contrast[BLUE] < 0.3
    assert contrast[SWIR] > 0.85
    assert (np.diff(contrast) > 0).all()


@pytest.mark.parametrize("wind", [0.0, 60.0, 135.0, 250.0])
def test_smoke_drifts_with_the_wind_and_thins_out(wind):
    smoke = plume(np.zeros((101, 101), np.float32), 50.0, 50.0, wind, 2.0, 3.0)
    down, right = -np.cos(np.radians(wind)), np.sin(np.radians(wind))
    near, far, before = (smoke[round(50 + d * down), round(50 + d * right)] for d in (8, 35, -12))
    assert near > 1.5 * far > 0
    assert before < 1e-3 * near


def ellipse(wind):
    """Onset and pixels of a fire on level ground that began at a focus, with the wind towards `wind` degrees."""
    y, x = np.mgrid[:81, :81] - 40.0
    far = np.hypot(y, x)
    ahead = (x * np.sin(np.radians(wind)) - y * np.cos(np.radians(wind))) / np.maximum(far, 1e-9)
    time = far * (1 - 0.87 * ahead)
    burnt = time < 5
    return np.where(burnt, time / 5, 0).astype(np.float32), burnt


@pytest.mark.parametrize("wind", [0.0, 50.0, 135.0, 200.0, 310.0])
def test_a_fire_ran_where_its_wind_blew(wind):
    found = float(heading(*ellipse(wind)))
    assert abs((found - wind + 180) % 360 - 180) < 4


def test_headings_of_batches_and_tensors_agree():
    onset, burnt = (np.stack(parts) for parts in zip(*(ellipse(wind) for wind in (20, 110, 275)), strict=True))
    alone = [float(heading(*pair)) for pair in zip(onset, burnt, strict=True)]
    np.testing.assert_allclose(heading(onset, burnt), alone)
    np.testing.assert_allclose(heading(torch.from_numpy(onset), torch.from_numpy(burnt)), alone)


def test_ten_metre_fields_have_twice_the_size():
    sky = replace(CLEAN, smoke=full(1.0)).at_10m()
    assert sky.smoke.shape == (80, 96)
    assert sky.cloud is None


def test_torch_and_batches_draw_the_same_sky():
    rng = np.random.default_rng(8)
    noise = np.stack([new_noise(SHAPE, rng, 2.5, 40, 3) for _ in range(3)])
    azimuth, elevation, edge, base = np.array(
        [[20, 152, 250], [20, 45, 60], [0.2, 0.5, 1.0], [400, 800, 1_500]], dtype=np.float32
    )
    row, col, wind = np.array([[10, 20, 30], [5, 25, 40], [30, 120, 260]], dtype=np.float32)

    def draw(noise, azimuth, elevation, edge, base, row, col, wind):
        cloud = cloud_opacity(noise, edge, 0.5)
        haze = add_halo(noise * 0 + 0.01, noise, edge)
        tops = cloud_tops(noise, displace(noise, *behind_offset(azimuth, elevation)))
        shadow = cast_shadow(cloud, base, 200.0, azimuth, elevation)
        return Sky(haze, cloud, tops, shadow, cloud * 0.3, plume(noise, row, col, wind, 2.0))

    numbers = (azimuth, elevation, edge, base, row, col, wind)
    image = np.full((3, len(BANDS), *SHAPE), 0.2, dtype=np.float32)
    twin = torch.from_numpy(image.copy())
    lay_sky(image, ALL, draw(noise, *numbers), CLOUD, SMOKE)
    spectra = torch.from_numpy(CLOUD.copy()), torch.from_numpy(SMOKE.copy())
    lay_sky(twin, ALL, draw(*(torch.from_numpy(x.copy()) for x in (noise, *numbers))), *spectra)
    np.testing.assert_allclose(twin.numpy(), image, rtol=1e-5, atol=1e-6)
    for i in range(3):
        alone = laid(draw(noise[i], *(float(x[i]) for x in numbers)), 0.2)
        np.testing.assert_allclose(alone, image[i], rtol=1e-5, atol=1e-6)
