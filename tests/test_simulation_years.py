"""The weather of the years: drawn for each area, within bounds, held from one day to the next."""

import numpy as np
import pytest

from stac.simulation.biomes import BIOMES
from stac.simulation.years import AVERAGE, Weather, new_years, weather


def many(seeds=400):
    return [new_years(np.random.default_rng(seed)) for seed in range(seeds)]


def test_the_seed_decides_which_year_is_dry():
    one, same, other = (new_years(np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.wet, same.wet)
    np.testing.assert_array_equal(one.wander, same.wander)
    assert abs(np.corrcoef(one.wet, other.wet)[0, 1]) < 0.5
    driest = {int(np.argmin(years.wet[2:5])) for years in many(40)}
    assert driest == {0, 1, 2}


def test_one_year_in_six_is_dry_and_dry_years_follow_dry_ones():
    wet = np.stack([years.wet for years in many()])
    assert np.abs(wet).max() == 1
    assert (wet < -0.5).mean() == pytest.approx(1 / 6, abs=0.02)
    assert np.corrcoef(wet[:, :-1].ravel(), wet[:, 1:].ravel())[0, 1] == pytest.approx(0.3, abs=0.03)
    early = np.stack([years.early for years in many()])
    assert abs(np.corrcoef(early.ravel(), wet.ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(early[:, :-1].ravel(), early[:, 1:].ravel())[0, 1]) < 0.03


def test_the_wander_fades_within_weeks():
    wander = np.stack([years.wander for years in many(60)])
    assert wander.std() == pytest.approx(1, abs=0.08)
    assert wander.mean() == pytest.approx(0, abs=0.06)
    week, season = (np.corrcoef(wander[:, :-lag].ravel(), wander[:, lag:].ravel())[0, 1] for lag in (1, 9))
    assert week > 0.6
    assert season < 0.15


@pytest.mark.parametrize("biome", BIOMES.values(), ids=BIOMES)
def test_weather_does_not_jump(biome):
    years = new_years(np.random.default_rng(1))
    days = [weather(years, biome, day, year) for year in (0, 1, 2) for day in range(1, 366)]
    for name, most in (("wet", 0.06), ("early", 0.06), ("late", 0.06), ("wander", 0.4)):
        values = np.array([getattr(day, name) for day in days])
        assert np.ptp(values) > 0.1
        assert np.abs(np.diff(values)).max() < most


def test_any_year_has_weather():
    years = new_years(np.random.default_rng(2))
    assert weather(years, BIOMES["coast"], 200, -1) != weather(years, BIOMES["coast"], 200, 0)
    assert isinstance(weather(years, BIOMES["coast"], 366, 500), Weather)
    assert weather(AVERAGE, BIOMES["savanna"], 60, 3) == Weather()
