"""Drawing the ground: one set of formulas for NumPy and torch, for one image and for batches."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from stac.simulation.change import AGES
from stac.simulation.covers import BANDS, BARE, BROADLEAF, COVERS
from stac.simulation.render import change_weight, draw_ground, lay_changes, lay_flames, lay_ice, lay_snow, lay_water
from stac.simulation.spectra import COVER_POOR, COVER_RICH, EAGER, GRAIN, MATERIAL_SPECTRA

SHAPE = (3, 14, 18)
C = len(BANDS)


def as_torch(value):
    return torch.from_numpy(value.copy())


@pytest.fixture
def fields():
    rng = np.random.default_rng(5)
    normal = {
        name: rng.standard_normal(SHAPE, dtype=np.float32) for name in ("moist", "texture", "tint", "dryness", "noise")
    }
    normal["cover"] = rng.integers(0, len(COVERS), SHAPE).astype(np.int16)
    return normal


@pytest.fixture
def tables():
    rng = np.random.default_rng(6)
    factor = rng.uniform(0.8, 1.2, (3, 1, 1)).astype(np.float32)
    return SimpleNamespace(
        poor=COVER_POOR * factor,
        rich=COVER_RICH * factor,
        green=rng.random((3, len(COVERS)), dtype=np.float32),
        eager=np.tile(EAGER, (3, 1)),
        grain=np.tile(GRAIN, (3, 1)),
    )


def one(tables, i):
    return SimpleNamespace(**{name: value[i] for name, value in vars(tables).items()})


def flat_image(level=0.2, shape=SHAPE):
    return np.full((*shape[:-2], C, *shape[-2:]), level, dtype=np.float32)


def draw(fields, tables):
    return draw_ground(fields["cover"], fields["moist"], fields["texture"], fields["tint"], fields["dryness"], tables)


def test_a_batch_is_its_images_one_by_one(fields, tables):
    whole = draw(fields, tables)
    assert whole.shape == (3, C, 14, 18)
    assert whole.dtype == np.float32
    for i in range(3):
        np.testing.assert_array_equal(whole[i], draw({k: v[i] for k, v in fields.items()}, one(tables, i)))


def test_torch_draws_the_same_ground(fields, tables):
    twin = SimpleNamespace(**{name: as_torch(value) for name, value in vars(tables).items()})
    drawn = draw({k: as_torch(v) for k, v in fields.items()}, twin)
    np.testing.assert_allclose(drawn.numpy(), draw(fields, tables), rtol=1e-5, atol=1e-7)


def test_one_table_may_serve_a_batch(fields, tables):
    first = one(tables, 0)
    whole = draw(fields, first)
    np.testing.assert_array_equal(whole[2], draw({k: v[2] for k, v in fields.items()}, first))


def test_ground_has_the_spectrum_of_its_cover_on_average(tables):
    zero = np.zeros((200, 200), dtype=np.float32)
    season = one(tables, 0)
    texture = np.random.default_rng(1).standard_normal((200, 200), dtype=np.float32)
    image = draw_ground(np.full((200, 200), BARE, dtype=np.int16), zero, texture, zero, zero, season)
    green = season.green[BARE]
    want = season.poor[BARE] + green * (season.rich[BARE] - season.poor[BARE])
    np.testing.assert_allclose(image.mean(axis=(1, 2)), want, rtol=2e-3)  # texture moves no mean


def test_texture_darkens_all_bands_and_moisture_greens_what_is_eager(tables):
    zero, ones = np.zeros((4, 4), dtype=np.float32), np.ones((4, 4), dtype=np.float32)
    cover = np.full((4, 4), BROADLEAF, dtype=np.int16)
    season = one(tables, 0)
    season.green = np.full(len(COVERS), 0.5, dtype=np.float32)
    season.eager = np.where(np.arange(len(COVERS)) == BROADLEAF, 0.5, 0).astype(np.float32)
    plain = draw_ground(cover, zero, zero, zero, zero, season)
    dark = draw_ground(cover, zero, -ones, zero, zero, season)
    assert (dark < plain).all()
    near = BANDS.index("B08")
    moist = draw_ground(cover, ones, zero, zero, zero, season)
    assert (moist[near] > plain[near]).all()
    dry = draw_ground(cover, zero, zero, zero, ones, season)
    gain = (dry / plain)[:, 0, 0]
    assert BANDS[int(gain.argmax())] == "B12"  # water absorbs there most
    assert gain[near] < 1 < gain[BANDS.index("B11")]


def test_near_infrared_sees_the_texture_further_north(tables):
    zero = np.zeros((120, 120), dtype=np.float32)
    texture = gaussian_filter(np.random.default_rng(3).standard_normal((120, 120)), 1.0)
    texture = (texture / texture.std()).astype(np.float32)
    image = draw_ground(np.full((120, 120), BROADLEAF, dtype=np.int16), zero, texture, zero, zero, one(tables, 0))
    red, near = (image[BANDS.index(name)] - image[BANDS.index(name)].mean() for name in ("B04", "B08"))
    up, down = (red[1:] * near[:-1]).mean(), (red[:-1] * near[1:]).mean()
    assert up > 1.3 * down
    blue = image[BANDS.index("B02")] - image[BANDS.index("B02")].mean()
    assert (red[1:] * blue[:-1]).mean() == pytest.approx((red[:-1] * blue[1:]).mean(), rel=0.05)


@pytest.fixture
def site():
    rng = np.random.default_rng(7)
    looks = rng.random((3, 2, len(AGES), 1 + C), dtype=np.float32)
    looks[..., 0] = 1
    return SimpleNamespace(
        strength=rng.random(SHAPE, dtype=np.float32),
        onset=rng.random(SHAPE, dtype=np.float32),
        zone=rng.integers(0, 2, SHAPE).astype(np.uint8),
        looks=looks,
        texture=np.zeros(SHAPE, dtype=np.float32),
    )


def lay(site, image, age, span):
    weight = lay_changes(image, site.strength, site.onset, site.zone, site.looks, site.texture, age, span)
    return image, weight


def pick(site, i):
    return SimpleNamespace(**{name: value[i] for name, value in vars(site).items()})


def test_a_change_starts_where_its_turn_has_come_and_nowhere_else(site):
    small = pick(site, 0)
    image, weight = lay(small, flat_image(shape=SHAPE[1:]), 10.0, 20.0)
    begun = small.onset * 20 <= 10
    assert begun.any()
    assert not begun.all()
    np.testing.assert_array_equal(weight, np.where(begun, small.strength, 0))
    np.testing.assert_array_equal(image[:, ~begun], np.float32(0.2))
    assert (np.abs(image[:, begun] - 0.2).max(axis=0) > 0).all()


def test_before_the_start_nothing_shows(site):
    image, weight = lay(pick(site, 1), flat_image(shape=SHAPE[1:]), -1.0, 20.0)
    assert not weight.any()
    np.testing.assert_array_equal(image, np.float32(0.2))


def test_a_pixel_takes_the_last_age_that_is_not_above_its_own(site):
    small = pick(site, 0)
    small.strength, small.onset = np.ones_like(small.strength), np.zeros_like(small.onset)
    for age in (0.0, 1.0, 2.0, 59.0, 245.0, 9_000.0):
        entry = max(i for i, first in enumerate(AGES) if first <= age)
        image, _ = lay(small, flat_image(shape=SHAPE[1:]), age, 20.0)
        want = np.moveaxis(small.looks[small.zone, entry, 1:], -1, 0)
        np.testing.assert_allclose(image, want, rtol=1e-5)


def test_changes_in_batches_and_in_torch_are_the_same(site):
    age, span = np.array([5.0, 30.0, 400.0], dtype=np.float32), np.array([10.0, 60.0, 20.0], dtype=np.float32)
    image, weight = lay(site, flat_image(), age, span)
    for i in range(3):
        alone, part = lay(pick(site, i), flat_image(shape=SHAPE[1:]), float(age[i]), float(span[i]))
        np.testing.assert_array_equal(image[i], alone)
        np.testing.assert_array_equal(weight[i], part)
    twin = SimpleNamespace(**{name: as_torch(value) for name, value in vars(site).items()})
    drawn, _ = lay(twin, as_torch(flat_image()), as_torch(age), as_torch(span))
    np.testing.assert_allclose(drawn.numpy(), image, rtol=1e-5)
    taken = change_weight(site.strength, site.onset, site.zone, site.looks, age, span)
    np.testing.assert_array_equal(taken, weight)


SHORE = np.linspace(-3, 3, 18, dtype=np.float32) * np.ones((14, 1), dtype=np.float32)
CLEAR, MUD = MATERIAL_SPECTRA["clear water"], MATERIAL_SPECTRA["mud"]


def water_at(level):
    image = flat_image(0.3, SHAPE[1:])
    lay_water(image, SHORE, np.zeros_like(SHORE), level, CLEAR, MUD)
    return image


def test_water_follows_its_level():
    near = BANDS.index("B11")
    counts = []
    for level in (-4.0, -1.0, 0.0, 1.5):
        wet = water_at(level)[near] < 0.15
        np.testing.assert_array_equal(wet, level > SHORE)
        counts.append(wet.sum())
    assert counts == sorted(set(counts))


def test_shallow_water_shows_its_bed_in_blue_and_not_in_the_infrared():
    depth = 0.4
    image = flat_image(0.3, SHAPE[1:])
    lay_water(image, np.full(SHAPE[1:], -depth, np.float32), np.zeros(SHAPE[1:], np.float32), 0.0, CLEAR, MUD)
    seen = (image[:, 0, 0] - CLEAR) / (0.3 - CLEAR)
    assert seen[BANDS.index("B02")] > 0.6
    assert seen[BANDS.index("B08")] < 0.15
    assert seen[BANDS.index("B11")] < 0.01


def test_water_that_falls_leaves_mud_and_ground_that_never_drowns_stays():
    wet = np.ones(SHAPE[1:], dtype=np.float32)
    image = flat_image(0.02, SHAPE[1:])
    lay_water(image, SHORE, wet, -1.0, CLEAR, MUD)
    bare = SHORE > -0.8
    np.testing.assert_allclose(image[:, bare], np.broadcast_to(MUD[:, None], (C, bare.sum())), rtol=1e-5)
    np.testing.assert_array_equal(image[:, SHORE < -1], np.float32(0.02))
    for shore, cover in ((np.inf, 0), (-np.inf, 1)):
        image = flat_image(0.3, SHAPE[1:])
        lay_water(image, np.full(SHAPE[1:], shore, np.float32), wet * cover, 2.0, CLEAR, MUD)
        np.testing.assert_array_equal(image, np.float32(0.3))


def test_water_is_the_same_in_torch_and_in_batches():
    rng = np.random.default_rng(3)
    shore = rng.normal(0, 2, SHAPE).astype(np.float32)
    shore[:, :2], shore[:, -2:] = np.inf, -np.inf
    wet = (rng.random(SHAPE) > 0.5).astype(np.float32)
    level = np.array([-1, 0, 1.5], dtype=np.float32)
    image = flat_image()
    lay_water(image, shore, wet, level, CLEAR, MUD)
    drawn = as_torch(flat_image())
    lay_water(drawn, as_torch(shore), as_torch(wet), as_torch(level), as_torch(CLEAR), as_torch(MUD))
    np.testing.assert_allclose(drawn.numpy(), image, rtol=1e-5, atol=1e-7)
    alone = flat_image(shape=SHAPE[1:])
    lay_water(alone, shore[2], wet[2], 1.5, CLEAR, MUD)
    np.testing.assert_array_equal(alone, image[2])


def snow_on(height, hidden=0.0, sunny=0.0, noise=None, line=1_000.0):
    image = flat_image(0.2, height.shape)
    still = np.zeros(height.shape, dtype=np.float32)
    noise = still if noise is None else noise
    share = lay_snow(image, height, still + sunny, still + hidden, noise, line, MATERIAL_SPECTRA["snow"])
    return image, share


def test_snow_lies_above_its_line_only():
    height = np.linspace(500, 1_500, 40, dtype=np.float32) * np.ones((3, 1), dtype=np.float32)
    image, share = snow_on(height)
    assert not share[height <= 1_000].any()
    assert (share[height > 1_110] > 0.9).all()
    np.testing.assert_array_equal(image[:, height <= 1_000], np.float32(0.2))
    assert not snow_on(height, line=np.inf)[1].any()


def test_trees_and_sunny_slopes_show_less_snow():
    height = np.full((4, 4), 1_060, dtype=np.float32)
    open_, forest, sunny = (snow_on(height, *args)[1][0, 0] for args in ((), (0.6,), (0.0, 0.4)))
    assert forest < 0.5 * open_
    assert sunny < open_


def test_snow_is_the_same_in_torch_and_in_batches():
    rng = np.random.default_rng(3)
    height = rng.uniform(800, 1_300, SHAPE).astype(np.float32)
    sunny, noise = rng.normal(0, 0.2, SHAPE).astype(np.float32), rng.standard_normal(SHAPE, dtype=np.float32)
    hidden = rng.random(SHAPE, dtype=np.float32)
    line = np.array([900, 1_000, np.inf], dtype=np.float32)
    snow = MATERIAL_SPECTRA["snow"]
    image, drawn = flat_image(), as_torch(flat_image())
    lay_snow(image, height, sunny, hidden, noise, line, snow)
    lay_snow(drawn, *(as_torch(x) for x in (height, sunny, hidden, noise, line, snow)))
    np.testing.assert_allclose(drawn.numpy(), image, rtol=1e-5, atol=1e-6)
    alone = flat_image(shape=SHAPE[1:])
    lay_snow(alone, height[1], sunny[1], hidden[1], noise[1], 1_000.0, snow)
    np.testing.assert_array_equal(alone, image[1])


def test_bare_ice_is_grey_and_the_same_in_torch_and_in_batches():
    frozen = np.random.default_rng(3).random(SHAPE, dtype=np.float32)
    frozen[:, 0], frozen[:, 1] = 0, 1
    snow = MATERIAL_SPECTRA["snow"]
    image, drawn, alone = flat_image(0.02), as_torch(flat_image(0.02)), flat_image(0.02, SHAPE[1:])
    lay_ice(image, frozen, snow)
    lay_ice(drawn, as_torch(frozen), as_torch(snow))
    lay_ice(alone, frozen[2], snow)
    np.testing.assert_allclose(drawn.numpy(), image, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(alone, image[2])
    np.testing.assert_array_equal(image[:, :, 0], np.float32(0.02))
    assert (image[:, BANDS.index("B04"), 1] < 0.6 * snow[BANDS.index("B04")]).all()
    assert (image[:, BANDS.index("B04"), 1] > 0.2).all()


def test_flames_glow_in_the_shortwave_infrared_only():
    image, burning = flat_image(0.1), np.zeros(SHAPE, dtype=np.float32)
    burning[:, 4, 5] = 1
    lay_flames(image, burning)
    changed = np.argwhere(image != np.float32(0.1))
    assert {BANDS[b] for b in changed[:, 1]} == {"B11", "B12"}
    assert {tuple(place) for place in changed[:, 2:]} == {(4, 5)}


def test_water_that_a_change_brings_is_smoother_than_the_earth_it_lays_bare():
    shape, spread = SHAPE[1:], []
    grain = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    for name in ("muddy water", "cleared soil"):
        image, full = flat_image(shape=shape), np.ones(shape, dtype=np.float32)
        looks = np.ones((1, len(AGES), 1 + C), dtype=np.float32)
        looks[..., 1:] = MATERIAL_SPECTRA[name]
        lay_changes(image, full, full * 0, np.zeros(shape, dtype=np.uint8), looks, grain, 3.0, 1.0)
        spread.append(float(image[0].std() / image[0].mean()))
    assert spread[0] < 0.5 * spread[1]
