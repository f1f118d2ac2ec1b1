"""One pass over the simulated ground: sun, clouds with shadows, snow, and the classification that goes with them."""

from datetime import UTC, datetime

import numpy as np
import pytest

from stac.simulate_landscape import new_landscape
from stac.simulate_scene import Pass, new_view, sun_angles, to_20m
from stac.simulate_spectra import BANDS, CONIFER, WATER


@pytest.fixture(scope="module")
def land():
    ground = new_landscape((256, 416), np.random.default_rng(3))
    ground.cover[20:60, 20:60] = WATER
    ground.relief.height[100:140, 20:100] = 900
    return ground


def view(land, sky="clear", month=7, snow_line=float("inf"), seed=0):
    time = datetime(2022, month, 18, 18, 49, tzinfo=UTC)
    shot = Pass(0, time, sky, snow_line, *sun_angles(time, -122.6, 39.6))
    return new_view(land, [], shot, 2021, np.random.default_rng(seed)), shot


@pytest.mark.parametrize(
    ("time", "azimuth", "elevation"),
    # Equinox and solstices at solar noon: due south, 90 - latitude + declination.
    [
        (datetime(2022, 3, 20, 20, 18, tzinfo=UTC), 180, 50.4),
        (datetime(2022, 6, 21, 20, 12, tzinfo=UTC), 180, 73.8),
        (datetime(2022, 12, 21, 20, 8, tzinfo=UTC), 180, 27.0),
    ],
)
def test_the_sun_stands_in_the_south_at_noon(time, azimuth, elevation):
    assert sun_angles(time, -122.6, 39.6) == pytest.approx((azimuth, elevation), abs=1.5)


def test_the_sun_stands_in_the_south_east_when_the_satellite_passes():
    azimuth, elevation = sun_angles(datetime(2022, 7, 18, 19, 0, tzinfo=UTC), -122.6, 39.6)
    assert 110 < azimuth < 150
    assert 55 < elevation < 70


def test_forest_and_water_have_their_reflectance(land):
    seen, _ = view(land)
    forest = land.cover == CONIFER
    blue, nir = np.median(seen.bands[BANDS.index("B02")][forest]), np.median(seen.bands[BANDS.index("B08")][forest])
    assert 100 < blue < 450
    assert 1400 < nir < 3200
    assert seen.bands[BANDS.index("B08")][30:50, 30:50].mean() < 300
    assert (seen.scl[15:25, 15:25] == 6).all()


def test_clear_ground_is_vegetation_or_bare_or_water(land):
    seen, _ = view(land)
    assert np.isin(seen.scl, (2, 4, 5, 6)).mean() > 0.98


def test_clouds_are_bright_and_classed_as_cloud(land):
    seen, _ = view(land, "broken", seed=2)
    cloud = (seen.scl == 9).repeat(2, 0).repeat(2, 1)
    blue = seen.bands[0]
    assert 0.05 < cloud.mean() < 0.7
    assert np.median(blue[cloud]) > 3000 > np.median(blue[~cloud])


def test_shadows_are_darker_and_lie_away_from_the_sun(land):
    seen, shot = view(land, "cumulus", seed=4)
    clear, _ = view(land, "clear", seed=4)
    shadow = (seen.scl == 3).repeat(2, 0).repeat(2, 1)
    assert shadow.any()
    assert seen.bands[3][shadow].mean() < 0.75 * clear.bands[3][shadow].mean()
    cloud = np.isin(seen.scl, (8, 9)).astype(float)
    best, score = (0, 0), -1.0
    for down in range(-60, 61, 4):
        for right in range(-60, 61, 4):
            match = float((np.roll(cloud, (down, right), (0, 1)) * (seen.scl == 3)).sum())
            if match > score:
                best, score = (down, right), match
    assert shot.sun_azimuth < 180  # the sun is in the south-east, so shadows fall to the north-west
    assert best[0] < 0
    assert best[1] < 0


def test_overcast_hides_nearly_everything(land):
    seen, _ = view(land, "overcast")
    assert np.isin(seen.scl, (8, 9)).mean() > 0.6


def test_cirrus_has_its_own_class(land):
    seen, _ = view(land, "cirrus", seed=1)
    assert 0.02 < (seen.scl == 10).mean() < 0.9
    assert not (seen.scl == 9).any()


def test_snow_lies_above_its_line_only(land):
    seen, _ = view(land, "clear", month=1, snow_line=600.0)
    snow = (seen.scl == 11).repeat(2, 0).repeat(2, 1)
    assert snow[105:135, 25:95].mean() > 0.5
    assert not snow[land.relief.height < 350].any()


def test_every_pixel_holds_data(land):
    seen, _ = view(land, "broken")
    assert seen.bands.min() > 0
    assert seen.scl.min() > 0
    assert seen.bands.shape == (len(BANDS), 256, 416)
    assert seen.scl.shape == (128, 208)


def test_20_m_pixels_are_means_rounded_to_16():
    band = np.array([[100, 200], [300, 404]], dtype=np.uint16)
    np.testing.assert_array_equal(to_20m(band), [[256]])
