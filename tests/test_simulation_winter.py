"""Snow and ice: one process that remembers, for an area and its winters."""

from datetime import date, timedelta

import numpy as np
import pytest
import torch

from stac.simulation.biomes import BIOMES
from stac.simulation.covers import BROADLEAF, CONIFER, COVERS, GRASS, RIVER, SEA, WATER
from stac.simulation.spectra import MATERIAL_SPECTRA
from stac.simulation.winter import (
    Winters,
    freeze_laid_water,
    frozen_part,
    hidden_by_cover,
    hide_snow,
    laid_water,
    monthly,
    new_winters,
)

FIRST, DAYS = date(2020, 7, 1), 1095
MONTH = np.array([(FIRST + timedelta(days=n)).month for n in range(DAYS)])


@pytest.fixture(scope="module")
def histories() -> dict[str, Winters]:
    return {name: new_winters(BIOMES[name], FIRST, DAYS, 24, np.random.default_rng(4)) for name in BIOMES}


def lies(winters: Winters, height: float, *months: int) -> float:
    """Share of the days of some months on which a height lies under full snow."""
    return float((winters.snow_line[:, np.isin(MONTH, months)] < height - 110).mean())


def test_northern_ground_lies_under_snow_all_winter_and_never_in_summer(histories):
    boreal = histories["boreal"]
    low = BIOMES["boreal"].height[0]
    assert lies(boreal, low, 1, 2) > 0.93
    assert lies(boreal, low, 12, 3) > 0.75
    assert 0.1 < lies(boreal, low, 11) < 0.8
    assert np.isinf(boreal.snow_line[:, np.isin(MONTH, (7, 8))]).mean() > 0.99


def test_milder_country_has_short_spells_or_snow_on_mountains_only(histories):
    temperate, south = histories["temperate"], histories["mediterranean"]
    low, high = BIOMES["temperate"].height
    assert 0.05 < lies(temperate, low, 12, 1, 2) < 0.6
    assert lies(temperate, high, 12, 1, 2) > lies(temperate, low, 12, 1, 2) + 0.2
    low, high = BIOMES["mediterranean"].height
    assert lies(south, low, *range(1, 13)) < 0.005
    assert 0.15 < lies(south, high, 12, 1, 2) < 0.8
    for name in ("rainforest", "savanna", "desert"):
        assert np.isinf(histories[name].snow_line).all()
        assert not histories[name].ice.any()


def test_snow_remembers_from_day_to_day(histories):
    """What lies on a day lies five days later far oftener than on the same day of another winter."""
    line = histories["temperate"].snow_line
    low = BIOMES["temperate"].height[0] + 200
    bare = line > low
    days = np.flatnonzero(np.isin(MONTH[:-5], (12, 1, 2)))
    flips = (bare[:, days] != bare[:, days + 5]).mean()
    apart = (bare[:, days] != np.roll(bare, 1, axis=0)[:, days]).mean()
    assert flips < 0.5 * apart
    assert flips > 0.02  # and there are thaws and fresh falls


def test_the_line_climbs_in_spring_step_by_step(histories):
    line = histories["temperate"].snow_line
    means = [np.minimum(line[:, month == MONTH], 1_500).mean() for month in (2, 3, 4, 5)]
    assert means == sorted(means)
    melt = np.diff(np.minimum(line[:, MONTH == 4], 1_500), axis=1)
    assert 0 < np.quantile(melt[melt > 0], 0.5) < 150  # metres a day


def test_winters_differ_and_chance_repeats():
    biome = BIOMES["cropland"]
    one, again, other = (new_winters(biome, FIRST, 400, 6, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for name in ("snow_line", "laden_line", "ice"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert (one.snow_line != other.snow_line).any()
    cover = (one.snow_line < biome.height[0]).mean(axis=1)
    assert cover.max() > cover.min() + 0.05


def test_trees_bear_snow_for_days_after_it_fell(histories):
    boreal = histories["boreal"]
    low = BIOMES["boreal"].height[0]
    white = (boreal.laden_line < low)[:, np.isin(MONTH, (1, 2))]
    assert 0.1 < white.mean() < 0.6
    assert (boreal.laden_line >= boreal.snow_line - 55)[np.isfinite(boreal.laden_line)].mean() > 0.95


def test_lakes_freeze_in_late_autumn_and_open_in_may(histories):
    ice = histories["boreal"].ice
    assert (ice[:, np.isin(MONTH, (1, 2, 3))] > 8).mean() > 0.95
    assert 0.1 < (ice[:, MONTH == 11] > 8).mean() < 0.9
    assert (ice[:, np.isin(MONTH, (6, 7, 8, 9))] == 0).mean() > 0.98
    assert 0.25 < np.median(ice[:, MONTH == 3]) / 100 < 0.8  # metres
    assert (histories["temperate"].ice[:, MONTH == 1] > 8).mean() < 0.5


def test_snow_in_january_fell_in_autumn():
    winters = new_winters(BIOMES["boreal"], date(2021, 1, 1), 5, 20, np.random.default_rng(0))
    assert (winters.snow_line[:, 0] < BIOMES["boreal"].height[0]).mean() > 0.9
    assert (winters.ice[:, 0] > 5).mean() > 0.9


def test_a_months_figure_is_met_in_its_middle():
    warmth = BIOMES["boreal"].warmth
    assert monthly(warmth, date(2021, 3, 16)) == pytest.approx(warmth[2], abs=0.1)
    assert monthly(warmth, date(2021, 1, 1)) == pytest.approx((warmth[11] + warmth[0]) / 2, abs=0.1)


def test_ice_takes_lakes_first_rivers_in_hard_frost_and_never_the_sea():
    cover = np.array([[WATER, RIVER, SEA, GRASS]])
    np.testing.assert_array_equal(frozen_part(cover, 0.0), 0)
    np.testing.assert_array_equal(frozen_part(cover, 12.0), [[1, 0, 0, 0]])
    np.testing.assert_array_equal(frozen_part(cover, 60.0), [[1, 1, 0, 0]])


def test_laden_trees_and_frozen_lakes_show_more_snow():
    table = hidden_by_cover()
    assert table.shape == (len(COVERS),)
    cover = np.array([[CONIFER, BROADLEAF, GRASS, WATER]])
    hidden, height = table[cover], np.full((1, 4), 500, dtype=np.float32)
    none, ice = np.zeros((1, 4), np.float32), frozen_part(cover, 20.0)
    assert min(hidden[0, :2]) > 0.8 > hidden[0, 2] == 0
    np.testing.assert_array_equal(hide_snow(hidden, height, np.inf, none), hidden)
    laden = hide_snow(hidden, height, 300.0, none)
    assert (laden[0, :2] < 0.8 * hidden[0, :2]).all()
    np.testing.assert_array_equal(laden[0, 2:], hidden[0, 2:])
    assert hide_snow(hidden, height, np.inf, ice)[0, 3] == 0


def test_torch_and_batches_hide_the_same():
    rng = np.random.default_rng(2)
    cover = rng.integers(0, len(COVERS), (3, 6, 7))
    height = rng.uniform(100, 900, cover.shape).astype(np.float32)
    line, ice = np.array([300, 600, np.inf], np.float32), np.array([0, 6, 30], np.float32)
    frozen = frozen_part(cover, ice)
    whole = hide_snow(hidden_by_cover()[cover], height, line, frozen)
    t = torch.from_numpy
    twin = hide_snow(t(hidden_by_cover())[t(cover)], t(height), t(line), frozen_part(t(cover), t(ice)))
    np.testing.assert_allclose(twin.numpy(), whole, rtol=1e-5)
    for i in range(3):
        alone = hide_snow(hidden_by_cover()[cover[i]], height[i], float(line[i]), frozen_part(cover[i], float(ice[i])))
        np.testing.assert_allclose(alone, whole[i], rtol=1e-6)


def laid(*names: str) -> np.ndarray:
    """An image (C, 1, n), each pixel of one material."""
    return np.stack([MATERIAL_SPECTRA[name] for name in names], axis=1)[:, None, :].astype(np.float32)


def test_laid_water_is_told_from_mud_and_rock_and_freezes_as_lakes_do():
    image = laid("clear water", "muddy water", "mud", "spoil", "earthwork", "muddy water")
    water = laid_water(image, np.array([[1, 1, 1, 1, 1, 0.25]], np.float32))
    np.testing.assert_array_equal(water, [[1, 1, 0, 0, 0, 0.25]])
    for ice in (0.0, 3.0, 6.0, 30.0):
        part = float(frozen_part(np.array([[WATER]]), ice)[0, 0])
        after = image.copy()
        left = freeze_laid_water(after, water, ice, MATERIAL_SPECTRA["snow"])
        np.testing.assert_allclose(left, water * (1 - part), atol=1e-6)
        grey = 0.4 * MATERIAL_SPECTRA["snow"]
        np.testing.assert_allclose(after[:, 0, 0], image[:, 0, 0] * (1 - part) + grey * part, rtol=1e-5)
        np.testing.assert_array_equal(after[:, 0, 2:5], image[:, 0, 2:5])


def test_torch_and_batches_freeze_laid_water_alike():
    rng = np.random.default_rng(3)
    images = rng.uniform(0.01, 0.4, (3, 10, 5, 6)).astype(np.float32)
    weight, ice = rng.random((3, 5, 6), dtype=np.float32), np.array([0, 5, 30], np.float32)
    t, snow = torch.from_numpy, MATERIAL_SPECTRA["snow"].astype(np.float32)
    twin = t(images.copy())
    left = freeze_laid_water(twin, laid_water(twin, t(weight)), t(ice), t(snow))
    for i in range(3):
        alone = images[i].copy()
        ours = freeze_laid_water(alone, laid_water(alone, weight[i]), float(ice[i]), snow)
        np.testing.assert_allclose(left[i].numpy(), ours, atol=1e-6)
        np.testing.assert_allclose(twin[i].numpy(), alone, atol=1e-6)
