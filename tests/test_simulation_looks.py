"""Looks of changes: opacities, stages, recovery, severity."""

import numpy as np
import pytest

from stac.errors import DataError
from stac.simulation.biomes import BIOMES
from stac.simulation.change import AGES
from stac.simulation.covers import BROADLEAF, CONIFER, GRASS, RAINFOREST
from stac.simulation.events import LENGTHS
from stac.simulation.ground import Fields
from stac.simulation.looks import LOOKS, ZONES, finish_days, new_looks
from stac.simulation.phenology import new_season
from stac.simulation.spectra import ratio

NONE = Fields(np.zeros((1, 0), dtype=np.int64), np.zeros(0), np.zeros(0))


def season_of(biome, day=200):
    return new_season(BIOMES[biome], day, 0, NONE)


def looks(kind, biome="temperate", span=60, day=200):
    return new_looks(kind, season_of(biome, day), BIOMES[biome], span)


def at(table, zone, age):
    """Opacity and reflectance of a zone at an age."""
    row = table[zone, int(np.searchsorted(AGES, age, side="right")) - 1]
    return float(row[0]), row[1:]


def cover(biome, number, day=200):
    season = season_of(biome, day)
    return season.poor[number] + season.green[number] * (season.rich[number] - season.poor[number])


def drop(biome, number, zone, strength, age=0):
    """dNBR of a fire: before less after."""
    before = cover(biome, number)
    opacity, burnt = at(looks("wildfire", biome, 8), zone, age)
    after = before + strength * opacity * (burnt - before)
    return float(ratio(before, "B08", "B12") - ratio(after, "B08", "B12"))


@pytest.mark.parametrize("kind", LOOKS)
@pytest.mark.parametrize("biome", BIOMES)
def test_tables_are_whole_and_physical(kind, biome):
    for span in (0, 10, 200):
        table = looks(kind, biome, span)
        assert table.shape == (len(ZONES[kind]), len(AGES), 11)
        assert table.dtype == np.float32
        assert np.isfinite(table).all()
        assert ((table >= 0) & (table <= 1)).all()
        assert table[..., 1:].min() > 0.002
        assert table[:, 0, 0].min() > 0.75  # a turn is seen at once


@pytest.mark.parametrize("kind", LOOKS)
def test_opacity_never_grows_back(kind):
    assert (np.diff(looks(kind)[..., 0], axis=1) <= 1e-6).all()


@pytest.mark.parametrize("kind", ["urban", "mine", "reservoir_fill", "reservoir_drain"])
def test_what_is_built_stays(kind):
    assert (looks(kind)[..., 0] == 1).all()


def test_names_and_spans_that_are_none_are_refused():
    with pytest.raises(DataError):
        looks("meteorite")
    with pytest.raises(DataError):
        looks("road", span=-1)


@pytest.mark.parametrize(
    ("biome", "number"), [("temperate", CONIFER), ("boreal", CONIFER), ("mediterranean", BROADLEAF)]
)
def test_dnbr_goes_with_severity(biome, number):
    light, middle, severe = (drop(biome, number, 0, s) for s in (0.3, 0.6, 0.85))
    assert 0.1 <= light <= 0.3
    assert light < 0.27 + 0.05 < middle < 0.66
    assert 0.6 <= severe <= 0.9
    assert drop(biome, number, 0, 1.0) <= 1.0


def test_grass_burns_with_less_contrast_and_sooner_back():
    assert drop("savanna", GRASS, 1, 1.0) < drop("temperate", CONIFER, 0, 1.0) - 0.3
    assert drop("savanna", GRASS, 1, 1.0, 365) < 0.3 * drop("savanna", GRASS, 1, 1.0)


def test_forest_recovers_over_years_not_months():
    first = drop("boreal", CONIFER, 0, 1.0)
    year, four = (drop("boreal", CONIFER, 0, 1.0, age) for age in (365, 1_460))
    assert year > 0.7 * first
    assert 0.4 * first < four < 0.8 * first


@pytest.mark.parametrize("biome", BIOMES)
def test_burnt_grass_is_nearly_black_for_two_weeks(biome):
    table = looks("wildfire", biome, 5, 250)
    for age in (0, 7, 14):
        opacity, spectrum = at(table, 1, age)
        assert opacity > 0.9
        assert spectrum[:3].max() < 0.06
        assert spectrum[6] < 0.1 < spectrum[9] < 0.25
    assert at(table, 1, 90)[1][2] > 1.25 * at(table, 1, 0)[1][2]


def test_char_is_gone_within_a_year():
    table = looks("wildfire")
    fresh, old = at(table, 0, 0)[1], at(table, 0, 365)[1]
    assert fresh[:3].max() < 0.07
    assert ratio(fresh, "B08", "B12") < -0.2 < ratio(old, "B08", "B12")
    assert old[2] > fresh[2]


def test_flood_leaves_and_everything_returns():
    for biome in BIOMES:
        table = looks("flood", biome, 5)
        assert (table[:, -1, 0] == 0).all()
        assert (at(table, 0, 365)[0] > 0) & (at(table, 0, 365)[0] < 0.15)
        opacity, water = at(table, 0, 2)
        assert opacity > 0.95
        assert water[8] < 0.03
        assert at(table, 0, 70)[1][8] > 0.1  # mud
    gone = [next(a for a, o in zip(AGES, zone[:, 0], strict=True) if o < 0.9) for zone in looks("flood", span=5)[:4]]
    assert gone == sorted(gone, reverse=True)
    assert gone[0] > gone[-1] + 20  # weeks in the deep, days at the rim


@pytest.mark.parametrize("biome", BIOMES)
@pytest.mark.parametrize("span", LENGTHS["flood"])
def test_two_weeks_after_its_rise_a_flood_still_stands(biome, span):
    table = looks("flood", biome, span)
    for zone in (0, 1):
        opacity, water = at(table, zone, span + 14)
        assert opacity > 0.95
        assert ratio(water, "B03", "B08") > 0
        assert water[8] < 0.05


@pytest.mark.parametrize("biome", BIOMES)
def test_what_was_water_stays_water(biome):
    for kind, zone, span in (("flood", 4, 5), ("reservoir_fill", 2, 120)):
        table = looks(kind, biome, span)[zone]
        seen = table[table[:, 0] > 0, 1:]
        assert (ratio(seen, "B03", "B08") > 0).all()
        assert (seen[:, 8] < 0.03).all()
    assert at(looks("flood", biome, 5), 4, 60)[0] == 0  # the river is as it was


def test_sites_are_earth_before_they_are_built():
    for kind, zone in (("urban", 0), ("solar_farm", 0), ("road", 0)):
        table = looks(kind, span=150)
        earth, done = at(table, zone, 26)[1], at(table, zone, 400)[1]
        assert earth[8] > 0.3
        assert done[8] < earth[8] * 0.9, kind
        assert np.abs(done - earth).max() > 0.05
    panel = at(looks("solar_farm", "desert", 150), 0, 400)[1]
    assert panel[:3].max() < 0.08


def test_roofs_have_colours_and_yards_green():
    light, dark, tile, _street, yard = (at(looks("urban", span=120), zone, 900)[1] for zone in range(5))
    assert light[:3].min() > 0.25 > 0.1 > dark[:3].max()
    assert tile[2] / tile[0] > 1.7
    assert ratio(yard, "B08", "B04") > 0.55


def test_new_reservoirs_clear_and_empty_ones_green():
    table = looks("reservoir_fill")
    muddy, clear = at(table, 0, 14)[1], at(table, 0, 300)[1]
    assert muddy[2] > 2 * clear[2]
    assert clear[8] < 0.01
    bed = looks("reservoir_drain")
    wet, dry, green = (at(bed, 0, age)[1] for age in (0, 80, 700))
    assert wet[8] < 0.6 * dry[8]
    assert ratio(green, "B08", "B04") > ratio(dry, "B08", "B04") + 0.2


def test_regrowth_is_fast_in_rainforest_and_slow_in_desert():
    green = {b: float(ratio(at(looks("logging", b, 30, 40), 0, 420)[1], "B08", "B04")) for b in BIOMES}
    assert green["rainforest"] == max(green.values())
    assert green["desert"] == min(green.values())


def test_regrowth_follows_the_season():
    summer, winter = (at(looks("clear_cut", day=day), 0, 1_000)[1] for day in (180, 20))
    assert ratio(summer, "B08", "B04") > ratio(winter, "B08", "B04") + 0.1


def test_felled_rainforest_burns_and_turns_to_pasture():
    table = looks("clear_cut", "rainforest", 30, 40)
    slash, black, pasture = (at(table, 0, age)[1] for age in (30, 60, 500))
    assert black[6] < 0.75 * slash[6]
    assert ratio(pasture, "B08", "B04") > 0.6
    assert ratio(pasture, "B08", "B12") < ratio(cover("rainforest", RAINFOREST, 40), "B08", "B12")


def test_a_mine_does_not_go_back():
    table = looks("mine")
    pit, spoil, pond = (at(table, zone, 1_400)[1] for zone in range(3))
    assert ratio(pit, "B08", "B04") < 0.15
    assert ratio(spoil, "B08", "B04") < 0.25
    assert pond[8] < 0.02


def test_mines_have_rock_of_four_colours_and_ponds_that_stay_brown_where_gold_is_washed():
    grey, white, red, dark = (at(looks("mine"), zone, 700)[1] for zone in (0, 3, 4, 5))
    assert dark[:3].max() < 0.08 < grey[:3].min() < grey[:3].max() < white[:3].min()
    assert red[2] > 2 * red[0]
    assert white[2] < 1.5 * white[0]
    brown, clear = (at(looks("mine", biome), 2, 700)[1] for biome in ("rainforest", "temperate"))
    assert brown[2] > 1.8 * clear[2]


def test_landslides_regreen_slowly():
    table = looks("landslide")
    greens = [[float(ratio(at(table, zone, age)[1], "B08", "B04")) for age in (0, 365, 1_400)] for zone in (0, 1)]
    assert greens[0] == sorted(greens[0])
    assert greens[0][-1] < greens[1][-1] < 0.65


@pytest.mark.parametrize("kind", ["road", "urban", "solar_farm", "mine"])
def test_what_is_built_stands_once_its_last_stage_is_over(kind):
    built = {"road": (0,), "urban": (0, 1, 2, 3, 4), "solar_farm": (0, 1), "mine": (0, 3, 4, 5)}[kind]
    for span in LENGTHS[kind]:
        table, done = looks(kind, span=span), finish_days(kind, span)
        for zone in built:
            stands, later, half = (at(table, zone, age)[1] for age in (done, done + 30, done // 2))
            assert np.abs(np.log(later / stands)).max() < 0.12, (zone, span)  # gardens begin to green
            if not (kind == "mine" and zone == 0):  # grey rock is like the earth it was under
                assert np.abs(np.log(half / stands)).max() > 0.12, (zone, span)


def test_nothing_is_built_where_something_burns_or_falls():
    assert {kind for kind in LOOKS if finish_days(kind, 100)} == {"road", "urban", "solar_farm", "mine"}
