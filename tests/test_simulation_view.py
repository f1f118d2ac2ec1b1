"""One pass: everything together, with NumPy."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from stac.simulation import covers
from stac.simulation.biomes import BIOMES
from stac.simulation.change import Change
from stac.simulation.ground import Fields, Ground, Relief
from stac.simulation.noise import new_noise
from stac.simulation.season import Season
from stac.simulation.shot import Shot
from stac.simulation.spectra import COVER_POOR, COVER_RICH, EAGER, GRAIN
from stac.simulation.view import new_sky, new_view

SHAPE = (160, 192)
BIOME = BIOMES["mediterranean"]
START, END = date(2021, 7, 10), date(2021, 7, 20)
LAKE = (slice(100, 150), slice(10, 70))


@pytest.fixture(scope="module")
def ground():
    rng = np.random.default_rng(1)
    height = 600 + 150 * new_noise(SHAPE, rng, 3.2, 160, 12)
    south, east = np.gradient(height, 10.0)
    cover = np.full(SHAPE, covers.CONIFER, dtype=np.int16)
    cover[:, 110:] = covers.GRASS
    shore = np.full(SHAPE, np.inf, dtype=np.float32)
    y, x = np.mgrid[: LAKE[0].stop - LAKE[0].start, : LAKE[1].stop - LAKE[1].start]
    shore[LAKE] = (np.hypot(y - 25, x - 30) - 18) * 0.5
    cover[LAKE] = np.where(shore[LAKE] < 0, covers.WATER, covers.BARE)
    for slope in (east, south):
        slope[LAKE] = 0
    relief = Relief(height, east.astype(np.float32), -south.astype(np.float32), np.zeros(SHAPE, np.float32))
    moist, texture, tint = (new_noise(SHAPE, rng, beta, 40) for beta in (2.0, 0.5, 2.0))
    none = Fields(np.zeros((1, 0), np.int64), np.zeros(0), np.zeros(0))
    return Ground(BIOME.name, relief, cover, moist, texture, tint, tint, shore, none)


@pytest.fixture(scope="module")
def season():
    return Season(COVER_POOR, COVER_RICH, np.full(len(covers.COVERS), 0.8, np.float32), EAGER, GRAIN)


def shot(sky="clear", **other):
    usual = {
        "index": 0,
        "time": datetime(2021, 7, 15, 18, 50, tzinfo=UTC),
        "haze": 0.005,
        "snow_line": float("inf"),
        "level": 0.0,
        "sun_azimuth": 140.0,
        "sun_elevation": 60.0,
        "shift": (0.0, 0.0),
    }
    return Shot(sky=sky, **{**usual, **other})


def fire():
    y, x = np.mgrid[:60, :60] - 29.5
    far = np.hypot(y, x) / 30
    strength = np.clip((1 - far) * 6, 0, 1).astype(np.float32)
    onset = np.clip(far, 0, 1).astype(np.float32)
    return Change("wildfire-01", "wildfire", START, END, 20, 20, strength, onset, np.zeros((60, 60), np.uint8))


@pytest.fixture(scope="module")
def look(ground, season):
    def draw(changes=(), seed=3, **other):
        return new_view(ground, changes, season, BIOME, shot(**other), np.random.default_rng(seed))

    return draw


@pytest.fixture(scope="module")
def clear(look):
    return look()


def cloudy(view):
    return np.isin(view.scl, (8, 9)).mean()


def test_bands_have_their_sizes_and_hold_data_everywhere(clear):
    assert clear.bands10.shape == (4, *SHAPE)
    assert clear.bands20.shape == (6, 80, 96)
    assert clear.scl.shape == (80, 96)
    assert {clear.bands10.dtype, clear.bands20.dtype} == {np.dtype(np.uint16)}
    assert clear.scl.dtype == np.uint8
    assert min(clear.bands10.min(), clear.bands20.min()) >= 1
    assert set(np.unique(clear.scl)) <= set(range(2, 12))


@pytest.mark.parametrize("sky", ["clear", "broken"])
def test_the_same_chance_draws_the_same_pass(look, sky):
    first, again, other = look(sky=sky), look(sky=sky), look(sky=sky, seed=4)
    for name in ("bands10", "bands20", "scl"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.bands10 != other.bands10).mean() > 0.5


def test_numbers_are_not_rounded_to_steps(clear):
    for band in (*clear.bands10, *clear.bands20):
        assert len(np.unique(band)) > 0.5 * (np.quantile(band, 0.9) - np.quantile(band, 0.1))


def test_covers_have_their_reflectance_and_class(clear):
    conifer = clear.bands10[:, 5:95, 5:100].reshape(4, -1)
    blue, green, red, near = np.median(conifer, axis=1) / 10_000
    assert 0.01 < blue < 0.04
    assert red < green < near
    assert near > 0.12
    assert (clear.scl[5:40, 5:50] == 4).mean() > 0.8
    assert (clear.scl[60:64, 18:22] == 6).all()


def test_the_instrument_was_where_the_shift_says(look):
    still, moved = look(), look(shift=(0.0, 1.0))
    near = 3
    here = np.abs(moved.bands10[near].astype(float) - still.bands10[near]).mean()
    back = np.abs(moved.bands10[near, :, 1:].astype(float) - still.bands10[near, :, :-1]).mean()
    assert back < 0.6 * here


def test_a_fire_shows_from_its_start_and_only_in_its_window(look, clear):
    before = look([fire()], time=datetime.combine(START - timedelta(days=1), datetime.min.time()))
    np.testing.assert_array_equal(before.bands10, clear.bands10)
    after = look([fire()], time=datetime.combine(END + timedelta(days=5), datetime.min.time()))
    centre = np.s_[3, 40:60, 40:60]
    assert after.bands10[centre].mean() < 0.75 * clear.bands10[centre].mean()
    beyond = np.s_[:, 90:, :]
    np.testing.assert_array_equal(after.bands10[beyond], clear.bands10[beyond])


def test_smoke_hides_blue_downwind_while_the_fire_burns(look, clear):
    burning = look([fire()])
    downwind, upwind = np.s_[40:60, 84:105], np.s_[40:60, 2:12]
    rise = burning.bands10[0].astype(float) - clear.bands10[0]
    assert rise[downwind].mean() > 300
    swir = (burning.bands20[5].astype(float) - clear.bands20[5])[20:30, 43:52]
    assert np.median(swir) < 0.3 * rise[downwind].mean()
    quiet = look([fire()], time=datetime.combine(END + timedelta(days=1), datetime.min.time()))
    assert abs((quiet.bands10[0].astype(float) - clear.bands10[0])[downwind].mean()) < 20
    assert abs(rise[upwind].mean()) < 50


def test_water_rises_and_falls_with_its_level(look):
    wet = [int((look(level=level).scl[50:75, 5:35] == 6).sum()) for level in (-4.0, 0.0, 4.0)]
    assert wet[0] < 0.7 * wet[1]
    assert wet[2] > 1.2 * wet[1]


def test_snow_lies_above_its_line(look, ground):
    line = float(np.median(ground.relief.height))
    scl = look(snow_line=line, sun_elevation=30.0).scl
    height = ground.relief.height[::2, ::2]
    grass = np.s_[:, 60:]
    assert (scl[grass][height[grass] > line + 200] == 11).mean() > 0.7
    assert (scl[grass][height[grass] < line - 200] == 11).mean() < 0.01


def test_frozen_lakes_are_white_and_open_ones_are_not(look):
    lake = np.s_[58:66, 16:24]
    open_, frozen, snowy = look(), look(ice=30.0), look(ice=30.0, snow_line=-500.0)
    assert (open_.scl[lake] == 6).all()
    assert (frozen.scl[lake] == 11).mean() > 0.8
    red = [np.median(view.bands10[2, 116:132, 32:48]) for view in (open_, frozen, snowy)]
    assert red[0] < 1_000 < red[1] < red[2]


def test_conifers_stay_dark_between_snow_and_are_white_after_a_fall(look):
    trees, grass = np.s_[2, 5:95, 5:100], np.s_[2, :, 115:]
    bare, snowy, laden = look(), look(snow_line=-500.0), look(snow_line=-500.0, laden_line=-500.0)
    assert 2 * np.median(bare.bands10[trees]) < np.median(snowy.bands10[trees]) < 2_500
    assert np.median(laden.bands10[trees]) > 1.5 * np.median(snowy.bands10[trees])
    assert np.median(snowy.bands10[grass]) > 5_000
    assert (snowy.scl[:, 60:] == 11).mean() > 0.8


def test_clear_skies_hold_cirrus_that_is_too_thin_to_be_found():
    rng = np.random.default_rng(0)
    skies = [new_sky((64, 64), shot(), rng) for _ in range(60)]
    veils = [sky.cirrus for sky in skies if sky.cirrus is not None]
    assert 15 < len(veils) < 45
    assert 0 < max(float(veil.max()) for veil in veils) <= 0.05


def test_passes_differ_in_gain_and_tilt(look):
    views = [look(seed=seed) for seed in range(24)]
    means = np.array([[*view.bands10.mean(axis=(1, 2)), *view.bands20.mean(axis=(1, 2))] for view in views])
    logs = np.log(means[:, 3:])  # B08 and the bands of 20 m: haze moves them least
    spread = logs.std(axis=0)
    assert (spread > 0.008).all()
    assert (spread < 0.05).all()
    near = (logs[:, 0] - logs[:, 4]).std()  # B08 and B8A see nearly the same light
    assert near < (logs[:, 0] - logs[:, 6]).std()  # B12 far away


def test_more_cloud_hangs_in_cloudier_skies(look):
    shares = {
        sky: np.mean([cloudy(look(sky=sky, seed=s)) for s in (5, 6)])
        for sky in ("clear", "cumulus", "broken", "overcast")
    }
    assert shares["clear"] < 0.03
    assert shares["clear"] < shares["cumulus"] < shares["broken"] < shares["overcast"]
    assert shares["overcast"] > 0.65


@pytest.mark.parametrize("seed", range(3))
def test_shares_of_cloud_stay_within_their_bounds(seed):
    rng = np.random.default_rng(seed)
    for sky, low, high in (("cumulus", 0, 0.35), ("broken", 0.15, 0.8), ("overcast", 0.75, 1)):
        opaque = (new_sky(SHAPE, shot(sky), rng).cloud > 0.05).mean()
        assert low < opaque <= high


def test_haze_brightens_blue(look, clear):
    hazy = look(sky="hazy", haze=0.02)
    assert hazy.bands10[0].mean() > clear.bands10[0].mean() + 100


def test_a_new_lake_is_level(look, ground):
    y, x = np.mgrid[:60, :60] - 29.5
    full = (np.hypot(y, x) < 28).astype(np.float32)
    flood = replace(fire(), kind="reservoir_fill", strength=full, onset=np.zeros_like(full))
    wet = look([flood], seed=3, time=datetime(2021, 7, 24, tzinfo=UTC), sun_elevation=25.0)
    dry = look(sun_elevation=25.0)
    inside = np.s_[3, 35:65, 35:65]
    slant = ground.relief.north[35:65, 35:65].ravel()
    dry_link, wet_link = (abs(np.corrcoef(slant, view.bands10[inside].ravel())[0, 1]) for view in (dry, wet))
    assert wet_link < 0.5 * dry_link


def planted(kind, start, zone=0):
    """A change that takes all of a disc in the forest at once, over five days."""
    y, x = np.mgrid[:60, :60] - 29.5
    full = (np.hypot(y, x) < 28).astype(np.float32)
    zones = np.full(full.shape, zone, np.uint8)
    return Change(f"{kind}-01", kind, start, start + timedelta(days=5), 20, 20, full, np.zeros_like(full), zones)


INSIDE, ON_LAKE = np.s_[1, 40:60, 40:60], np.s_[1, 116:132, 32:48]
"""The middle of a planted change and of the lake, in B03."""


@pytest.mark.parametrize(("kind", "zone", "days"), [("reservoir_fill", 0, 200), ("flood", 0, 12), ("mine", 2, 900)])
def test_planted_water_freezes_and_bears_snow_as_the_lake_beside_it(look, kind, zone, days):
    water = [planted(kind, datetime(2021, 7, 15).date() - timedelta(days=days), zone)]
    summer, cold = look(water), look(water, snow_line=-500.0)
    frozen, white = look(water, ice=30.0), look(water, ice=30.0, snow_line=-500.0)
    for view in (summer, cold):
        assert np.median(view.bands10[INSIDE]) < 1_500
    if kind != "mine":
        np.testing.assert_allclose(cold.bands10[INSIDE], summer.bands10[INSIDE], atol=250)
    for view, least in ((frozen, 2_000), (white, 5_500)):
        ours, lake = (np.median(view.bands10[place]) for place in (INSIDE, ON_LAKE))
        assert ours > least
        assert ours == pytest.approx(lake, rel=0.35 if kind == "mine" else 0.2)  # ponds of mines lie on slopes
    thin = np.median(look(water, ice=4.0).bands10[INSIDE])
    assert np.median(summer.bands10[INSIDE]) + 300 < thin < np.median(frozen.bands10[INSIDE]) - 300


@pytest.mark.parametrize(("kind", "days"), [("reservoir_drain", 150), ("flood", 200)])
def test_what_has_drained_is_land_and_bears_snow_without_ice(look, kind, days):
    change = planted(kind, datetime(2021, 7, 15).date() - timedelta(days=days))
    if kind == "reservoir_drain":
        change = replace(change, top=95, left=10)
    where = ON_LAKE if kind == "reservoir_drain" else INSIDE
    open_, iced, white = look([change]), look([change], ice=30.0), look([change], snow_line=-500.0)
    np.testing.assert_array_equal(iced.bands10[where], open_.bands10[where])
    if kind == "reservoir_drain":
        assert np.median(open_.bands10[where]) < 2_500
        assert np.median(white.bands10[where]) > 6_000
        assert np.median(look(snow_line=-500.0).bands10[where]) < 1_500  # the lake that was there
    else:
        assert np.median(white.bands10[where]) > 1.5 * np.median(open_.bands10[where])


def test_a_dam_is_land_and_bears_snow(look):
    dam = [planted("reservoir_fill", date(2021, 1, 1), 1)]
    np.testing.assert_array_equal(look(dam, ice=30.0).bands10[INSIDE], look(dam).bands10[INSIDE])
    assert np.median(look(dam, ice=30.0, snow_line=-500.0).bands10[INSIDE]) > 6_000
