"""Spectra through the year: what every class must look like for the truth to be visible."""

import itertools

import numpy as np
import pytest

from stac.simulate_spectra import BANDS, CONIFER, COVERS, CROPS, GRASS, WATER, Fields, grass_green, new_season, rise

RED, NIR = BANDS.index("B04"), BANDS.index("B08")


@pytest.fixture
def fields():
    kinds = np.arange(len(CROPS))
    return Fields(np.stack([kinds] * 3), np.zeros(len(CROPS)), np.ones(len(CROPS)))


def ndvi(season, number):
    spectrum = season.poor[number] + season.green[number] * (season.rich[number] - season.poor[number])
    return (spectrum[NIR] - spectrum[RED]) / (spectrum[NIR] + spectrum[RED])


def test_grass_is_green_in_winter_and_golden_in_summer(fields):
    assert ndvi(new_season(60, 0, fields), GRASS) > 0.6
    assert ndvi(new_season(220, 0, fields), GRASS) < 0.35
    assert grass_green(60) == 1
    assert grass_green(220) == 0


def test_conifers_stay_green_and_water_never_is(fields):
    for day in (15, 105, 200, 300):
        season = new_season(day, 0, fields)
        assert ndvi(season, CONIFER) > 0.7
        assert ndvi(season, WATER) < 0


def test_fields_follow_their_own_calendars(fields):
    greens = {day: [ndvi(new_season(day, 0, fields), len(COVERS) + n) for n in range(len(CROPS))] for day in (90, 205)}
    summer, wheat, rice = (CROPS.index(name) for name in ("summer crop", "wheat", "rice"))
    assert greens[205][summer] > 0.6 > greens[90][summer]
    assert greens[90][wheat] > 0.6 > greens[205][wheat]
    assert greens[205][rice] > 0.6 > greens[90][rice]


@pytest.mark.parametrize("day", [1, 45, 100, 135, 190, 250, 300, 365])
def test_reflectances_stay_physical(fields, day):
    season = new_season(day, 1, fields)
    for spectra in (season.poor, season.rich):
        assert spectra.min() > 0
        assert spectra.max() < 0.6
    assert season.green.min() >= 0
    assert season.green.max() <= 1


def test_rise_is_monotone_from_zero_to_one():
    steps = [rise(day, 100, 40) for day in range(90, 150)]
    assert steps[0] == 0
    assert steps[-1] == 1
    assert all(b >= a for a, b in itertools.pairwise(steps))
