"""Biomes: shares and probabilities that sum, months that are possible, classes that exist."""

import pytest

from stac.simulation.biomes import BIOMES
from stac.simulation.covers import COVERS, CROPS, ROOF_DARK, ROOF_LIGHT, ROOF_TILE
from stac.simulation.crops import CLIMATES, SOIL_OF
from stac.simulation.looks import LOOKS
from stac.simulation.site import PACE


@pytest.mark.parametrize("biome", BIOMES.values(), ids=BIOMES)
def test_shares_and_probabilities_are_whole(biome):
    assert BIOMES[biome.name] is biome
    for mapping, names in (
        (biome.shares, range(len(COVERS))),
        (biome.crops, CROPS),
        (biome.roofs, (ROOF_LIGHT, ROOF_DARK, ROOF_TILE)),
        (biome.events, LOOKS),
    ):
        assert sum(mapping.values()) == pytest.approx(1)
        assert set(mapping) <= set(names)
        assert min(mapping.values()) > 0
    for clear, cloudy in zip(biome.clear, biome.cloudy, strict=True):
        assert clear + cloudy <= 1
    for months in (biome.clear, biome.cloudy, biome.snow, biome.dry):
        assert len(months) == 12
        assert all(0 <= month <= 1 for month in months)
    assert max(biome.dry) == 1
    assert biome.height[0] < biome.height[1]
    assert min(biome.rain) >= 0
    assert len(biome.warmth) == len(biome.rain) == 12
    assert biome.south == (biome.lat < 0)


def test_every_class_every_crop_and_every_biome_is_served():
    assert set().union(*(b.events for b in BIOMES.values())) == set(LOOKS)
    assert set().union(*(b.crops for b in BIOMES.values())) == set(CROPS)
    assert set(BIOMES) == set(CLIMATES) == set(SOIL_OF) == set(PACE)


def test_climates_differ_as_they_should():
    july = {name: biome.clear[6] for name, biome in BIOMES.items()}
    assert july["mediterranean"] > 0.7 > july["temperate"]
    wet, dry = BIOMES["rainforest"].clear[1], BIOMES["rainforest"].clear[6]
    assert dry > 3 * wet
    for biome in BIOMES.values():
        coldest = biome.warmth.index(min(biome.warmth))
        assert (coldest in (5, 6)) == biome.south or biome.name == "rainforest"
    assert BIOMES["boreal"].snow[0] > 0.9
    assert BIOMES["boreal"].snow[6] == 0
    assert sum(BIOMES["rainforest"].snow + BIOMES["savanna"].snow) == 0
