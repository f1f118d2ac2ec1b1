"""Grounds: the same for the same seed, sound in every biome and size, with covers that read as land."""

import numpy as np
import pytest
from scipy import ndimage

from stac.errors import DataError
from stac.simulation.biomes import BIOMES
from stac.simulation.covers import (
    ASPHALT,
    BUILT,
    COVERS,
    FORESTS,
    RIVER,
    SEA,
    TIDAL_FLAT,
    TRACK,
    WATER,
    WATERS,
)
from stac.simulation.ground import Ground, Relief
from stac.simulation.landscape import new_ground
from stac.simulation.noise import new_noise
from stac.simulation.texture import EVEN, FIELD, FOREST, classes, new_loudness, new_texture, new_waves
from stac.simulation.wild import new_moisture, new_wild_cover, without_salt

SMALL = (160, 224)


@pytest.fixture(scope="module")
def grounds() -> dict[str, Ground]:
    return {name: new_ground(biome, (256, 288), np.random.default_rng(8)) for name, biome in BIOMES.items()}


def test_the_same_seed_gives_the_same_ground():
    a, b = (new_ground(BIOMES["coast"], SMALL, np.random.default_rng(3)) for _ in range(2))
    for name in ("cover", "moist", "texture", "tint", "shore"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name
    for name in ("height", "east", "north", "drainage"):
        assert getattr(a.relief, name).tobytes() == getattr(b.relief, name).tobytes(), name
    assert a.fields.crop.tobytes() == b.fields.crop.tobytes()
    other = new_ground(BIOMES["coast"], SMALL, np.random.default_rng(4))
    assert (other.cover != a.cover).mean() > 0.3


@pytest.mark.parametrize("name", sorted(BIOMES))
def test_every_ground_keeps_its_contract(name: str, grounds: dict[str, Ground]):
    ground = grounds[name]
    assert ground.biome == name
    assert ground.cover.dtype == np.int16
    count = ground.fields.crop.shape[1]
    assert ground.fields.late.shape == ground.fields.bright.shape == (count,)
    assert ground.cover.min() >= 0
    assert ground.cover.max() < len(COVERS) + count
    relief = ground.relief
    for field in (relief.height, relief.east, relief.north, relief.drainage, ground.moist, ground.texture, ground.tint):
        assert field.shape == ground.shape
        assert field.dtype == np.float32
        assert np.isfinite(field).all()
    assert np.hypot(relief.east, relief.north).max() < 4
    water = np.isin(ground.cover, WATERS)
    assert not relief.east[water].any()
    assert not relief.north[water].any()
    assert np.abs(ground.moist).max() <= 1.2
    for field, on_water in ((ground.texture, 1.0), (ground.tint, EVEN), (ground.dryness, EVEN)):
        assert field.mean() == pytest.approx(0, abs=0.02)
        assert field[~water].std() == pytest.approx(1, abs=0.05)
        if water.sum() > 100:
            assert field[water].std() == pytest.approx(on_water, rel=0.1)


@pytest.mark.parametrize("name", sorted(BIOMES))
def test_the_shores_sign_is_the_covers(name: str, grounds: dict[str, Ground]):
    ground = grounds[name]
    assert ground.shore.dtype == np.float32
    assert not np.isnan(ground.shore).any()
    np.testing.assert_array_equal(ground.shore < 0, np.isin(ground.cover, WATERS))
    finite = np.isfinite(ground.shore)
    if np.isin(ground.cover, (SEA, WATER)).any():
        assert finite.sum() > 100
    assert (ground.cover[finite & (ground.shore > 0)] != ASPHALT).all()


@pytest.mark.parametrize("name", sorted(BIOMES))
def test_waters_are_those_of_the_biome_and_hang_together(name: str, grounds: dict[str, Ground]):
    ground, biome = grounds[name], BIOMES[name]
    has = {what: bool((ground.cover == what).any()) for what in (RIVER, WATER, SEA, TIDAL_FLAT)}
    assert has == {RIVER: biome.river, WATER: biome.lake, SEA: biome.sea, TIDAL_FLAT: biome.sea}
    parts, _ = ndimage.label(np.isin(ground.cover, (RIVER, SEA, ASPHALT)), structure=np.ones((3, 3)))  # with bridges
    stream = ground.cover == RIVER
    assert np.bincount(parts[stream]).max() > 0.9 * stream.sum()


@pytest.mark.parametrize("name", sorted(BIOMES))
def test_land_is_not_salted_with_single_pixels(name: str, grounds: dict[str, Ground]):
    cover = grounds[name].cover
    padded = np.pad(cover, 1, constant_values=-1)
    rows, cols = cover.shape
    like = np.zeros(cover.shape, dtype=int)
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            like += (padded[dy : dy + rows, dx : dx + cols] == cover) & ((dy, dx) != (1, 1))
    open_land = ~np.isin(cover, (*BUILT, TRACK))
    assert ((like == 0) & open_land).mean() < 0.01


@pytest.mark.parametrize("name", sorted(BIOMES))
def test_people_live_there(name: str, grounds: dict[str, Ground]):
    ground = grounds[name]
    assert np.isin(ground.cover, BUILT).mean() > 0.003
    assert (ground.cover == ASPHALT).mean() > 0.002
    flat = np.hypot(ground.relief.east, ground.relief.north) < 0.08
    farmed = (ground.cover >= len(COVERS)).mean()
    assert farmed < 1.4 * BIOMES[name].farmland * flat.mean()
    if BIOMES[name].farmland >= 0.4:
        assert farmed > 0.3 * BIOMES[name].farmland * flat.mean()


@pytest.mark.parametrize("name", sorted(BIOMES))
def test_wild_covers_take_about_their_shares(name: str):
    biome, shape = BIOMES[name], (200, 240)
    rng = np.random.default_rng(6)
    height = (100 * new_noise(shape, rng, 2.8, 200, 8)).astype(np.float32)
    slope = [0.1 * new_noise(shape, rng, 2.0, 60, 5) for _ in range(2)]
    relief = Relief(height, slope[0], slope[1], np.clip(new_noise(shape, rng, 2, 60, 4), 0, 1.4))
    moist = new_moisture(relief, biome.south, rng)
    cover = new_wild_cover(relief, moist, biome.shares, (np.zeros(shape, dtype=np.int32), 0.0), rng)
    total = sum(share for what, share in biome.shares.items() if what != TIDAL_FLAT)
    for what, share in biome.shares.items():
        if what != TIDAL_FLAT and share > 0.04:
            assert (cover == what).mean() == pytest.approx(share / total, rel=0.34), COVERS[what]


def test_salt_is_taken_away_and_nothing_else():
    cover = np.zeros((20, 20), dtype=np.int16)
    cover[5, 5] = 3
    cover[10:12, 10] = 4
    cover[0, 0] = 5
    clean = without_salt(cover)
    assert clean[5, 5] == 0
    assert clean[0, 0] == 0
    assert (clean[10:12, 10] == 4).all()
    assert (clean != cover).sum() == 2


def test_waves_are_short_and_run_one_way():
    waves = new_waves((128, 128), np.random.default_rng(0), 0.0, 4.6)
    power = np.abs(np.fft.fft2(waves)) ** 2
    down, across = np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128)[None, :]
    length = 1 / (power * np.hypot(down, across)).sum() * power.sum()
    assert 3 < length < 6.5
    assert (power * np.abs(across)).sum() > 2 * (power * np.abs(down)).sum()


def test_forests_are_rougher_than_fields():
    cover = np.zeros((128, 256), dtype=np.int16)
    cover[:, 128:] = len(COVERS)
    kind = classes(cover)
    assert {FOREST, FIELD} == set(np.unique(kind).tolist())
    texture = new_texture(cover, kind, np.random.default_rng(0))
    likeness = [np.corrcoef(part[:, :-1].ravel(), part[:, 1:].ravel())[0, 1] for part in np.split(texture, 2, axis=1)]
    assert likeness[0] < likeness[1]


def test_forests_have_stands_of_different_age(grounds: dict[str, Ground]):
    ground = grounds["boreal"]
    tint = ground.tint[np.isin(ground.cover, FORESTS)]
    assert np.quantile(tint, 0.97) > 1.3


@pytest.mark.parametrize("shape", [(96, 96), (130, 301)])
def test_odd_and_small_shapes_work(shape: tuple[int, int]):
    assert new_ground(BIOMES["temperate"], shape, np.random.default_rng(0)).shape == shape


def test_a_ground_too_small_is_refused():
    with pytest.raises(DataError, match="at least 96"):
        new_ground(BIOMES["coast"], (64, 640), np.random.default_rng(0))


def test_some_fields_are_rougher_than_others():
    rows, cols = np.mgrid[:200, :200]
    cover = (len(COVERS) + rows // 25 * 8 + cols // 25).astype(np.int16)
    loud = new_loudness(cover, 0.7, np.random.default_rng(4))
    assert loud.min() > 0
    assert np.log(loud).std() == pytest.approx(0.7, rel=0.2)
    of_fields = [np.log(loud[cover == field]).mean() for field in np.unique(cover)]
    assert np.std(of_fields) > 0.4
