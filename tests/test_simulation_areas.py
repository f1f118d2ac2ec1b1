"""Areas and sizes: places on Sentinel-2's grid, true tile names, splits that no area straddles."""

import itertools
import math
from dataclasses import replace

import pytest
from pyproj import Geod

from stac.lattice import to_lonlat, utm_epsg
from stac.simulation.areas import SIZES
from stac.simulation.biomes import BIOMES
from stac.simulation.events import new_counts

AREAS = {area.name: area for plan in SIZES.values() for area in plan.areas}
COLUMNS = ("ABCDEFGH", "JKLMNPQR", "STUVWXYZ")


def square(epsg, easting, northing):
    """MGRS square of 100 km (DMA TM 8358.1, chapter 3)."""
    zone = epsg % 100
    _, lat = to_lonlat(epsg).transform(easting, northing)
    row = (math.floor(northing / 1e5) + (5 if zone % 2 == 0 else 0)) % 20
    column = COLUMNS[(zone - 1) % 3][math.floor(easting / 1e5) - 1]
    return f"{zone:02d}{'CDEFGHJKLMNPQRSTUVWX'[math.floor((lat + 80) / 8)]}{column}{'ABCDEFGHJKLMNPQRSTUV'[row]}"


@pytest.mark.parametrize(
    ("epsg", "easting", "northing", "name"),
    # Points in well-known tiles: Rome, Paris, Cape Town, Manaus.
    [
        (32633, 291_000, 4_640_000, "33TTG"),
        (32631, 452_000, 5_411_000, "31UDQ"),
        (32734, 262_000, 6_243_000, "34HBH"),
        (32720, 833_000, 9_655_000, "20MRB"),
    ],
)
def test_the_rule_for_names_knows_real_tiles(epsg, easting, northing, name):
    assert square(epsg, easting, northing) == name


@pytest.mark.parametrize("area", AREAS.values(), ids=AREAS)
def test_an_area_lies_on_the_grid_and_its_tiles_bear_true_names(area):
    for edge in (area.west, area.north):
        assert edge % 20 == 0
        assert edge % 320 != 0
    assert area.tile_px % 2 == area.step_px % 2 == 0
    assert 0 < area.step_px < area.tile_px
    assert area.biome in BIOMES
    assert utm_epsg(*area.centre) == area.epsg
    for tile in area.tiles:
        middle = area.west + 10 * (area.left(tile) + area.tile_px / 2), area.north - 5 * area.tile_px
        assert square(area.epsg, *middle) == tile
    assert BIOMES[area.biome].south == (area.centre[1] < 0)


def test_the_outline_is_as_large_as_the_ground():
    for area in AREAS.values():
        size, _ = Geod(ellps="WGS84").geometry_area_perimeter(area.outline)
        assert abs(size) == pytest.approx(100 * area.shape[0] * area.shape[1], rel=3e-3)


def test_areas_of_a_size_lie_far_apart_in_zones_and_squares_of_their_own():
    areas = SIZES["benchmark"].areas
    assert len({area.epsg for area in areas}) == len({area.name for area in areas}) == len(areas) == 8
    assert len({tile for area in areas for tile in area.tiles}) == 16
    for a, b in itertools.combinations(areas, 2):
        assert Geod(ellps="WGS84").inv(*a.centre, *b.centre)[2] > 300_000


def test_the_benchmark_has_every_biome_and_split_and_each_class_in_three_areas():
    plan = SIZES["benchmark"]
    assert {area.biome for area in plan.areas} == set(BIOMES)
    assert {area.split for area in plan.areas} == {"train", "val", "test"}
    counts = [new_counts(BIOMES[area.biome], plan.events) for area in plan.areas]
    assert sum(sum(c.values()) for c in counts) >= 400
    for kind in {kind for c in counts for kind in c}:
        assert sum(c.get(kind, 0) > 0 for c in counts) >= 3


def test_two_archives_hold_no_ground_twice():
    demo, others = SIZES["demo"].areas[0], SIZES["benchmark"].areas
    assert all(not demo.outline.intersects(area.outline) for area in others)
    assert demo.name not in {area.name for area in others}


def test_an_area_knows_its_tiles_only():
    area = replace(SIZES["demo"].areas[0], tiles=("10SEJ", "10SFJ"))
    assert [area.left(tile) for tile in area.tiles] == [0, area.step_px]
    with pytest.raises(ValueError, match="not in"):
        area.left("33TWL")
