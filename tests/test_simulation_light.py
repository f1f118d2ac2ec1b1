"""The sun's place and its light on slopes."""

from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from stac.simulation.light import lay_light, shade, sun_vector
from stac.simulation.sun import sun_angles


def slope(facing, steep=0.3, shape=(4, 5)):
    """Rise to the east and north of a slope that falls towards `facing` (degrees)."""
    away = np.radians(facing + 180)
    ones = np.ones(shape, dtype=np.float32)
    return np.float32(steep * np.sin(away)) * ones, np.float32(steep * np.cos(away)) * ones


@pytest.mark.parametrize("azimuth", [20.0, 110.0, 155.0, 230.0, 300.0])
def test_slopes_that_face_the_sun_are_brighter(azimuth):
    facing, away = (shade(*slope(azimuth + turn), azimuth, 40.0) for turn in (0, 180))
    side = shade(*slope(azimuth + 90), azimuth, 40.0)
    assert (facing > 1).all()
    assert (away < side).all()
    assert (side < facing).all()


@pytest.mark.parametrize("elevation", [12.0, 25.0, 50.0, 75.0])
def test_flat_ground_has_exactly_one(elevation):
    flat = np.zeros((3, 4), dtype=np.float32)
    np.testing.assert_array_equal(shade(flat, flat, 155.0, elevation), np.float32(1))
    image = np.full((10, 3, 4), 0.3, dtype=np.float32)
    lay_light(image, shade(flat, flat, 155.0, elevation))
    np.testing.assert_array_equal(image, np.float32(0.3))


def test_a_low_sun_makes_deeper_shade():
    east, north = slope(335.0)
    assert (shade(east, north, 155.0, 25.0) < shade(east, north, 155.0, 60.0)).all()


def test_shades_are_bluer_than_the_light():
    image = np.full((10, 4, 5), 0.3, dtype=np.float32)
    lay_light(image, shade(*slope(335.0), 155.0, 35.0))
    assert (image < 0.3).all()
    assert (image[0] > image[-1]).all()


def test_torch_and_batches_give_the_same_light():
    rng = np.random.default_rng(1)
    east, north = (rng.normal(0, 0.3, (3, 6, 7)).astype(np.float32) for _ in range(2))
    azimuth, elevation = np.array([30, 155, 250], np.float32), np.array([20, 45, 70], np.float32)
    whole = shade(east, north, azimuth, elevation)
    twin = shade(*(torch.from_numpy(x) for x in (east, north, azimuth, elevation)))
    np.testing.assert_allclose(twin.numpy(), whole, rtol=1e-5)
    for i in range(3):
        alone = shade(east[i], north[i], float(azimuth[i]), float(elevation[i]))
        np.testing.assert_allclose(alone, whole[i], rtol=1e-5)
    image, drawn = np.full((3, 10, 6, 7), 0.3, np.float32), torch.full((3, 10, 6, 7), 0.3)
    lay_light(image, whole)
    lay_light(drawn, twin)
    np.testing.assert_allclose(drawn.numpy(), image, rtol=1e-5)


def test_the_direction_to_the_sun_has_unit_length_and_points_to_it():
    assert sun_vector(90.0, 0.0) == pytest.approx((1, 0, 0), abs=1e-12)
    assert sun_vector(180.0, 45.0) == pytest.approx((0, -(0.5**0.5), 0.5**0.5), abs=1e-12)


@pytest.mark.parametrize(
    ("time", "lon", "lat", "azimuth", "elevation"),
    [
        (datetime(2021, 6, 21, 12, 2, tzinfo=UTC), 0.0, 45.0, 180.0, 68.4),
        (datetime(2021, 12, 21, 11, 58, tzinfo=UTC), 0.0, 45.0, 180.0, 21.6),
        (datetime(2021, 3, 20, 12, 8, tzinfo=UTC), 0.0, -30.0, 0.0, 60.0),
    ],
)
def test_the_noon_sun_stands_over_the_meridian(time, lon, lat, azimuth, elevation):
    seen = sun_angles(time, lon, lat)
    assert abs((seen[0] - azimuth + 180) % 360 - 180) < 1.5
    assert seen[1] == pytest.approx(elevation, abs=0.5)
