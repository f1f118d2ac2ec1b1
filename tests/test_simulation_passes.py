"""Passes and products: the rhythm of the satellites, weather by biome, gaps, baselines, duplicates, tides."""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from stac.simulation.areas import SIZES
from stac.simulation.biomes import BIOMES
from stac.simulation.passes import (
    LOWEST_SUN,
    baseline_of,
    cut_tile,
    plan_overpasses,
    refined_share,
    swath,
)
from stac.simulation.products import plan_products
from stac.simulation.shot import SKIES
from stac.simulation.weather import new_weather, water_level

DEMO = SIZES["demo"]
AREAS = {area.name: area for plan in SIZES.values() for area in plan.areas}


def overpasses(name="demo", seed=0, plan=DEMO):
    area = AREAS[name]
    return plan_overpasses(area, BIOMES[area.biome], plan, np.random.default_rng(seed))


def products(name="demo", seed=0, plan=DEMO):
    return plan_products(AREAS[name], overpasses(name, seed, plan), plan, np.random.default_rng([seed, 1]))


def days_between(found):
    times = [overpass.shot.time for overpass in found]
    return np.array([(b - a) / timedelta(days=1) for a, b in itertools.pairwise(times)])


def test_three_years_have_about_115_passes_on_the_satellites_rhythm():
    counts, missing = [], 0
    for seed in range(8):
        found = overpasses(seed=seed)
        steps = days_between(found)
        np.testing.assert_allclose(steps, 5 * np.round(steps / 5), atol=0.01)
        assert set(np.round(steps[steps < 11] / 5).tolist()) == {1, 2}
        assert (steps >= 20).sum() >= 2  # gaps of weeks
        missing += int(((steps > 11) & (steps < 20)).sum())  # and single passes
        assert all(DEMO.first <= o.shot.time.date() <= DEMO.last for o in found)
        assert [o.shot.index for o in found] == list(range(len(found)))
        counts.append(len(found))
    assert 108 < np.mean(counts) < 122
    assert missing > 8


@pytest.mark.parametrize("name", AREAS)
def test_the_satellite_comes_in_the_middle_of_the_morning(name):
    lon, lat = AREAS[name].centre
    local = overpasses(name)[0].shot.time + timedelta(hours=lon / 15)
    hour = local.hour + local.minute / 60
    assert 10 < hour < 11.8
    assert (hour > 10.5) == (lat > 0)  # it flies south-westwards: earlier the farther south
    assert local.date() == overpasses(name)[0].shot.time.date() or lon > 0


def test_the_satellites_take_turns():
    for found in products():
        assert {p.platform for p in found} == {"S2A" if found[0].overpass.slot % 2 == 0 else "S2B"}
    assert {p.platform for found in products() for p in found} == {"S2A", "S2B"}


def test_skies_snow_and_haze_follow_the_biome():
    def clear(name):
        found = [o.shot.sky for seed in range(4) for o in overpasses(name, seed)]
        assert set(found) == set(SKIES)
        return np.mean([sky in ("clear", "hazy") for sky in found])

    assert clear("desert") > clear("cropland") + 0.15 > clear("coast")
    snow = {name: [o.shot for o in overpasses(name) if np.isfinite(o.shot.snow_line)] for name in AREAS}
    assert not snow["rainforest"]
    assert len(snow["boreal"]) > 20
    assert all(shot.time.month not in (7, 8) for shot in snow["boreal"])
    haze = [o.shot.haze for o in overpasses("rainforest")]
    assert -0.015 <= min(haze) < 0 < max(haze) <= 0.03
    hazy = [o.shot.haze for seed in range(4) for o in overpasses("rainforest", seed) if o.shot.sky == "hazy"]
    assert np.median(hazy) == pytest.approx(BIOMES["rainforest"].haze, rel=0.3)


def test_haze_errs_to_either_side_and_clear_dates_are_as_many_as_the_biome_says():
    rng = np.random.default_rng(0)
    for name in ("temperate", "boreal"):
        biome = BIOMES[name]
        found = [new_weather(biome, n % 12, rng) for n in range(6_000)]
        clear = np.mean([sky in ("clear", "hazy") for sky, _ in found])
        assert clear == pytest.approx(np.mean(biome.clear), abs=0.02)
        assert np.mean([sky == "overcast" for sky, _ in found]) == pytest.approx(np.mean(biome.cloudy), abs=0.02)
        rest = np.array([haze for sky, haze in found if sky != "hazy"])
        assert abs(rest.mean()) < 0.0015
        assert 0.008 < rest.std() < 0.0125


def test_nothing_is_delivered_in_the_polar_night():
    shots = [o.shot for seed in range(4) for o in overpasses("boreal", seed)]
    assert min(shot.sun_elevation for shot in shots) >= LOWEST_SUN
    assert not [shot for shot in shots if shot.time.month == 12]
    assert [shot for shot in shots if shot.time.month == 2]
    assert all(o.shot.sun_elevation > 15 for o in overpasses())
    dark = replace(DEMO, first=date(2021, 12, 10), last=date(2021, 12, 20))
    assert overpasses("boreal", plan=dark)  # one pass there is, whatever the plan


def test_snow_and_ice_are_those_of_one_winter():
    """Snow lies in a boreal valley on nearly each pass of deep winter, and seldom comes or goes between two passes."""
    for seed in range(3):
        shots = [o.shot for o in overpasses("boreal", seed)]
        deep = [shot for shot in shots if shot.time.month in (1, 2)]
        assert np.mean([shot.snow_line < 220 for shot in deep]) > 0.85
        assert all(shot.ice > 10 for shot in shots if shot.time.month == 2)
        assert not any(shot.ice for shot in shots if shot.time.month in (7, 8, 9))
        lain = [shot.snow_line < 220 for shot in shots]
        assert np.mean([a != b for a, b in itertools.pairwise(lain)]) < 0.25


def test_the_sun_stands_lower_in_winter_and_in_the_north_of_southern_skies():
    by_month = {o.shot.time.month: o.shot for o in overpasses()}
    assert by_month[6].sun_elevation > by_month[12].sun_elevation + 25
    assert all(90 < shot.sun_azimuth < 180 for shot in by_month.values())
    june = next(o.shot for o in overpasses("savanna") if o.shot.time.month == 6)
    assert june.sun_azimuth < 90


def test_a_tide_seen_at_one_solar_time_turns_in_a_fortnight():
    times = [datetime(2021, 1, 1, 10, 30, tzinfo=UTC) + timedelta(days=n) for n in range(1024)]
    levels = np.array([water_level(BIOMES["coast"], when, [0, 0]) for when in times])
    power = np.abs(np.fft.rfft(levels - levels.mean())) ** 2
    assert 1024 / power.argmax() == pytest.approx(14.77, abs=0.1)
    assert 0.8 < levels.std() < 1.1


def test_lakes_are_high_in_spring_and_in_wet_years():
    def level(month, biome="temperate", wet=0.0):
        return water_level(BIOMES[biome], datetime(2021, month, 15, tzinfo=UTC), [wet, wet])

    assert level(5) > level(10) + 1
    assert level(5, "savanna") < level(10, "savanna") - 1
    assert level(5, wet=1) > level(5) > level(5, wet=-1)


@pytest.mark.parametrize(
    ("day", "baseline"),
    [
        (date(2021, 1, 4), "02.14"),
        (date(2021, 6, 30), "03.01"),
        (date(2022, 1, 24), "03.01"),
        (date(2022, 1, 25), "04.00"),
    ],
)
def test_days_have_their_own_baseline(day, baseline):
    assert baseline_of(day) == baseline


def test_every_way_of_the_offset_is_there_and_the_date_tells_nothing():
    found = [p for group in products() for p in group]
    assert {p.baseline >= "04.00" for p in found if p.shot.time.year == 2021} == {False, True}
    for product in found:
        claimed = product.baseline >= "04.00" and not product.offset_applied
        assert product.offset == (1000 if claimed and not product.mistagged else 0)
        assert not product.mistagged or (claimed and product.sequence == 0)
        assert not (product.offset_applied and product.baseline < "04.00")
    assert {p.offset_applied for p in found if p.shot.time.year == 2023} == {False, True}


def test_duplicates_are_older_worse_placed_and_brighter():
    found = [p for group in products() for p in group]
    late = [p for p in found if p.sequence == 1]
    assert 0.02 < len(late) / len(found) < 0.05
    assert len({p.item_id for p in found}) == len(found)
    for product in late:
        (first,) = [p for p in found if (p.tile, p.shot.time) == (product.tile, product.shot.time) and p.sequence == 0]
        assert first.baseline < product.baseline
        assert 1.02 <= first.gain <= 1.05
        assert product.gain == 1
        assert 1.95 > np.hypot(*first.shot.shift) > 1.25 > 0.31 > np.hypot(*product.shot.shift)
        assert first.shot.haze >= 0.012
        assert replace(first.shot, shift=product.shot.shift, haze=product.shot.haze) == product.shot


def test_a_campaign_delivers_each_product_of_its_days_again_and_the_first_ones_mostly_deny_their_offset():
    plan = replace(DEMO, campaign_days=300)
    for seed in range(3):
        found = [p for group in products(seed=seed, plan=plan) for p in group]
        passes = {p.shot.time: set() for p in found}
        for product in found:
            passes[product.shot.time].add((product.tile, product.sequence))
        doubled = sorted(t for t, seen in passes.items() if {(tile, 1 - n) for tile, n in seen} == seen)
        runs = [len(list(run)) for same, run in itertools.groupby(sorted(passes), key=doubled.__contains__) if same]
        assert max(runs) > 20  # passes of 300 days, less the gaps
        late = [p for p in found if p.sequence == 1 and p.baseline == "05.10"]
        assert len({p.item_id for p in found}) == len(found)
        assert 0.15 < len(late) / len(found) < 0.35
        first = [p for p in found if p.sequence == 0 and p.shot.time in doubled and p.baseline == "04.00"]
        assert 0.55 < np.mean([p.mistagged for p in first]) < 0.85
        good = [p for p in first if p.gain == 1]
        assert len(good) > 0.8 * len(first)
        assert all(np.hypot(*p.shot.shift) < 0.31 for p in good)


def test_new_products_are_placed_well_and_old_ones_badly():
    lengths = {True: [], False: []}
    for overpass in overpasses():
        refined = overpass.shot.time.date() >= date(2021, 8, 23) or overpass.baseline >= "05.00"
        lengths[refined].append(np.hypot(*overpass.shot.shift))
    assert max(lengths[True]) < 0.31
    assert max(lengths[False]) > 0.6
    early = [o for seed in range(6) for o in overpasses(seed=seed) if o.shot.time.date() < date(2021, 8, 23)]
    share = np.mean([np.hypot(*o.shot.shift) < 0.301 for o in early])
    assert share == pytest.approx(refined_share(date(2021, 5, 1)), abs=0.13)
    assert refined_share(date(2022, 5, 1)) == 1


def test_tiles_are_missing_now_and_then_and_no_pass_is_without_any():
    groups = [group for seed in range(4) for group in products(seed=seed)]
    tiles = [len({p.tile for p in group}) for group in groups]
    assert set(tiles) == {1, 2}
    assert 0.01 < np.mean(np.array(tiles) == 1) < 0.15


def test_a_swath_ends_on_a_slanted_line_that_both_tiles_share():
    area = AREAS["demo"]
    found = [o for seed in range(4) for o in overpasses(seed=seed) if o.edge is not None]
    assert found
    assert swath(area, replace(found[0], edge=None)) is None
    for side in (1, -1):
        seen = swath(area, replace(found[0], edge=(400.0, side)))
        assert seen.shape == (area.shape[0] // 2, area.shape[1] // 2)
        assert seen[0, 0] == (side == 1)
        width = seen.sum(axis=1) * side
        assert (np.diff(width) <= 0).all()  # the track runs from north-north-east to south-south-west
        assert 30 < abs(int(width[0]) - int(width[-1])) < 120
        west, east = (cut_tile(area, tile, seen, 2) for tile in area.tiles)
        np.testing.assert_array_equal(west[:, area.step_px // 2 :], east[:, : (area.tile_px - area.step_px) // 2])


def test_a_short_plan_has_passes_too_and_chance_repeats():
    plan = replace(DEMO, last=date(2021, 4, 1))
    assert 6 < len(overpasses(plan=plan)) < 19
    assert overpasses(plan=replace(DEMO, last=DEMO.first))
    assert products(seed=3) == products(seed=3)
    assert products(seed=3) != products(seed=4)
