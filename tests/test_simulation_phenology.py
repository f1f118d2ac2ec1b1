"""Seasons: how green covers and fields are through the year, north and south, in wet years and in dry ones."""

import numpy as np
import pytest

from stac.errors import DataError
from stac.simulation.biomes import BIOMES
from stac.simulation.covers import (
    BANDS,
    BROADLEAF,
    CONIFER,
    COVERS,
    CROPS,
    GRASS,
    RAINFOREST,
    SHRUB,
    WATERS,
)
from stac.simulation.ground import Fields
from stac.simulation.phenology import Curve, level, new_season
from stac.simulation.spectra import ratio
from stac.simulation.years import AVERAGE, Years, new_years

MANY = 4  # fields of each crop


def same_crops(late=0.0, bright=1.0):
    crop = np.repeat(np.arange(len(CROPS)), MANY)
    return Fields(np.stack([crop] * 2), np.full(crop.size, late), np.full(crop.size, bright))


def same_years(wet=0.0, early=0.0, late=0.0, wander=0.0):
    return Years(*(np.full(1, value) for value in (wet, early, late, wander)))


def look(biome, day, year=0, fields=None, years=AVERAGE):
    season = new_season(BIOMES[biome], day, year, fields or same_crops(), years)
    return season.poor + season.green[:, None] * (season.rich - season.poor)


def ndvi(biome, day, year=0, fields=None, years=AVERAGE):
    return ratio(look(biome, day, year, fields, years), "B08", "B04")


def crop(values, name):
    """Of the fields of a crop, the last: it keeps no cover crop (the first of all does)."""
    return values[len(COVERS) + CROPS.index(name) * MANY + MANY - 1]


def course(biome, cover, year=0):
    return np.array([ndvi(biome, day, year)[cover] for day in range(8, 366, 14)])


@pytest.mark.parametrize("biome", BIOMES)
@pytest.mark.parametrize("day", [1, 60, 121, 183, 184, 250, 310, 366])
def test_seasons_are_whole_and_physical(biome, day):
    fields, years = same_crops(late=9.0, bright=1.2), new_years(np.random.default_rng(day))
    season = new_season(BIOMES[biome], day, 1, fields, years)
    count = len(COVERS) + fields.late.size
    assert season.poor.shape == season.rich.shape == (count, len(BANDS))
    for array in (season.poor, season.rich, season.green, season.eager, season.grain):
        assert array.dtype == np.float32
        assert len(array) == count
        assert np.isfinite(array).all()
        assert ((array >= 0) & (array <= 1)).all()
    assert season.poor.min() > 0


def test_a_ground_without_fields_has_a_season():
    none = Fields(np.zeros((2, 0), dtype=np.int64), np.zeros(0), np.zeros(0))
    assert len(new_season(BIOMES["boreal"], 100, 0, none).green) == len(COVERS)


@pytest.mark.parametrize(("day", "year"), [(0, 0), (367, 0), (5, -1)])
def test_days_that_are_none_are_refused(day, year):
    with pytest.raises(DataError):
        new_season(BIOMES["coast"], day, year, same_crops())


def test_curve_passes_its_dates_and_repeats():
    curve = Curve(0.1, 0.9, 110, 30, 290, 40)
    assert level(curve, 110) == pytest.approx(0.5, abs=0.01)
    assert level(curve, 290) == pytest.approx(0.5, abs=0.01)
    assert level(curve, 200) == pytest.approx(0.9, abs=0.01)
    assert level(curve, 20) == pytest.approx(0.1, abs=0.01)
    assert level(curve, 385) == pytest.approx(float(level(curve, 20)))
    days = np.arange(60, 160, dtype=np.float64)
    assert (np.diff(level(curve, days)) > 0).all()


def test_broadleaf_trees_flush_and_fall():
    """As a square kilometre of Romanian forest does: NDVI 0.51 in March, highest in June, 0.82 in late September."""
    march, june, september, december = (ndvi("temperate", day)[BROADLEAF] for day in (80, 165, 270, 345))
    assert 0.48 < march < december < 0.56
    assert june > 0.86
    assert 0.02 < june - september < 0.09
    days = np.arange(1, 366)
    assert 140 < days[np.argmax([ndvi("temperate", int(day))[BROADLEAF] for day in days])] < 180
    autumn = look("temperate", 290)[BROADLEAF]
    assert autumn[2] > 1.5 * look("temperate", 170)[BROADLEAF][2]  # red leaves in October


@pytest.mark.parametrize("biome", ["temperate", "boreal", "coast"])
def test_conifers_dip_a_little_in_winter(biome):
    year = course(biome, CONIFER)
    assert year.min() > 0.65
    assert 0.05 < year.max() - year.min() < 0.2


def test_mediterranean_grass_is_green_in_winter_and_golden_in_summer():
    assert ndvi("mediterranean", 60)[GRASS] > 0.6
    assert ndvi("mediterranean", 220)[GRASS] < 0.35
    assert ndvi("temperate", 220)[GRASS] > 0.6


def test_boreal_summer_is_short():
    days = {b: sum(ndvi(b, d)[BROADLEAF] > 0.75 for d in range(1, 366, 7)) * 7 for b in ("boreal", "temperate")}
    assert 80 < days["boreal"] < days["temperate"] - 25 < 190


def test_rainforest_hardly_moves_and_savanna_does():
    forest = course("rainforest", RAINFOREST)
    assert forest.min() > 0.82
    assert 0.005 < forest.max() - forest.min() < 0.08
    grass = course("savanna", GRASS)
    assert grass.max() - grass.min() > 0.35


def test_the_south_is_half_a_year_later():
    assert ndvi("savanna", 30)[GRASS] > 0.6 > 0.4 > ndvi("savanna", 220)[GRASS]
    maize = [crop(ndvi("savanna", d), "maize") for d in (40, 220)]
    assert maize[0] > 0.7 > 0.35 > maize[1]


def test_desert_is_bare():
    assert course("desert", SHRUB).max() < 0.5
    assert course("desert", SHRUB).min() < 0.25
    assert course("desert", COVERS.index("sand")).max() < 0.2


@pytest.mark.parametrize("biome", BIOMES)
def test_water_is_never_green(biome):
    for day in (20, 150, 290):
        assert (ndvi(biome, day)[list(WATERS)] < 0.05).all()


@pytest.mark.parametrize("biome", BIOMES)
def test_covers_do_not_jump_from_day_to_day(biome):
    covers = slice(0, len(COVERS))
    none = Fields(np.zeros((1, 0), dtype=np.int64), np.zeros(0), np.zeros(0))
    days = [(d, 0) for d in (*range(40, 50), *range(178, 190), *range(244, 254), 363, 364, 365)] + [(1, 1), (2, 1)]
    values = np.stack([look(biome, d, y, none)[covers] for d, y in days])
    near = [i for i in range(len(days) - 1) if (days[i + 1][0] - days[i][0]) % 365 == 1]
    assert np.abs(np.diff(values, axis=0))[near].max() < 0.02


@pytest.mark.parametrize(("biome", "day", "gap"), [("mediterranean", 130, 0.1), ("temperate", 235, 0.1),
                                                    ("savanna", 60, 0.1), ("desert", 80, 0.08)])  # fmt: skip
def test_dry_years_differ_from_wet_ones(biome, day, gap):
    dry, wet = (ndvi(biome, day, 1, years=same_years(wet=w)) for w in (-1, 1))
    assert wet[GRASS] - dry[GRASS] > gap
    for tree in set(BIOMES[biome].shares) & {CONIFER, BROADLEAF}:
        assert 0 < wet[tree] - dry[tree] < wet[GRASS] - dry[GRASS]


def test_leaves_come_early_in_some_years_and_fall_late():
    for anomaly, day in (("early", 117), ("late", 290)):
        more, less = (ndvi("temperate", day, 1, years=same_years(**{anomaly: a}))[BROADLEAF] for a in (0.5, -0.5))
        assert more > less + 0.05
        assert ndvi("temperate", 200, 1, years=same_years(**{anomaly: 0.5}))[BROADLEAF] == pytest.approx(
            ndvi("temperate", 200, 1)[BROADLEAF], abs=0.01
        )


def test_weeks_of_rain_move_grass_more_than_trees():
    dry, mean = (ndvi("temperate", 185, 1, years=same_years(wander=w)) for w in (-1, 0))
    assert mean[GRASS] - dry[GRASS] > 0.02
    assert 0 < mean[BROADLEAF] - dry[BROADLEAF] < 0.015
    assert crop(mean, "pasture") - crop(dry, "pasture") > 0.02


def test_dry_grass_stands_below_the_trees_of_a_savanna():
    assert 0.3 < ndvi("savanna", 240)[BROADLEAF] < 0.5
    assert ndvi("savanna", 30)[BROADLEAF] > 0.8


def test_frost_bleaches_what_stays_in_the_fields():
    mild, hard = (ndvi(biome, 30) for biome in ("temperate", "cropland"))
    for name in ("pasture", "winter cereal"):
        assert crop(hard, name) < crop(mild, name)


def test_fields_follow_their_calendars():
    at = {day: ndvi("temperate", day) for day in (20, 75, 135, 160, 215, 225, 320)}
    assert crop(at[225], "maize") > 0.75 > 0.3 > crop(at[75], "maize")
    assert crop(at[135], "winter cereal") > 0.75 > 0.35 > crop(at[215], "winter cereal")
    assert 0.3 < crop(at[20], "winter cereal") < 0.75  # tillers in the cold
    assert crop(at[320], "winter cereal") > crop(at[320], "maize")  # next year's is up


def test_ripe_straw_and_ploughed_soil_differ():
    ripe, stubble, ploughed = (crop(look("temperate", d), "winter cereal") for d in (203, 225, 256))
    assert ripe[2] > 0.1
    assert ratio(ripe, "B08", "B04") < 0.4
    assert stubble[2] > 1.15 * ploughed[2]
    assert (ploughed < stubble).all()


def test_a_field_of_rape_turns_yellow_in_may():
    flower, green = (crop(look("temperate", d), "rapeseed") for d in (120, 100))
    assert flower[1] / flower[0] > 2
    assert flower[2] > 2.5 * green[2]


def test_rice_stands_in_water():
    flooded = crop(look("mediterranean", 136), "rice")
    assert ratio(flooded, "B03", "B11") > 0.4
    assert crop(ndvi("mediterranean", 205), "rice") > 0.7


def test_alfalfa_is_cut_about_monthly():
    year = np.array([crop(ndvi("desert", day), "alfalfa") for day in range(60, 300)])
    falls = int((np.diff(year) < -0.1).sum())
    assert 6 <= falls <= 10


def test_a_quarter_of_the_fields_keeps_a_cover_crop():
    one = Fields(np.zeros((1, 200), dtype=np.int64), np.zeros(200), np.ones(200))
    green = ndvi("temperate", 30, fields=one)[len(COVERS) :] > 0.5
    assert green.mean() == pytest.approx(0.25, abs=0.03)


def test_late_and_bright_fields_differ():
    day, plain = 140, same_crops()
    assert crop(ndvi("cropland", day, fields=same_crops(late=12.0)), "maize") < crop(ndvi("cropland", day), "maize")
    bare = [crop(look("cropland", 110, fields=f), "maize")[2] for f in (plain, same_crops(bright=1.3))]
    assert bare[1] == pytest.approx(1.3 * bare[0], rel=0.1)


def test_crops_rotate_by_year():
    crops = np.array([[CROPS.index("maize")], [CROPS.index("winter cereal")]])
    fields = Fields(crops, np.zeros(1), np.ones(1))
    first, second = (ndvi("temperate", 140, year, fields)[-1] for year in (0, 1))
    assert second > 0.7 > first
    assert ndvi("temperate", 140, 2, fields)[-1] == pytest.approx(first, abs=0.15)
