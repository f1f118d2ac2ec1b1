"""Towns and roads: built where they may stand, with streets that hang together, joined by roads that lead somewhere."""

import numpy as np
import pytest
from scipy import ndimage

from stac.simulation.biomes import BIOMES
from stac.simulation.covers import ASPHALT, BUILT, GRASS, ROOF_DARK, ROOF_LIGHT, ROOF_TILE
from stac.simulation.ground import Relief
from stac.simulation.roads import Roads, new_cost, new_roads
from stac.simulation.towns import Town, build_town, choose_towns

SHAPE = (256, 320)
ROOFS = (ROOF_LIGHT, ROOF_DARK, ROOF_TILE)


def build(radius: float, name: str = "temperate", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    cover = np.full(SHAPE, GRASS, dtype=np.int16)
    free = np.ones(SHAPE, dtype=bool)
    built = build_town(cover, Town(128, 160, radius), BIOMES[name], free, np.random.default_rng(seed))
    return cover, built


@pytest.mark.parametrize("radius", [5.0, 12.0, 35.0, 70.0])
def test_a_town_is_about_as_large_as_asked(radius: float):
    cover, built = build(radius)
    assert 0.25 * np.pi * radius**2 < built.sum() < 1.5 * np.pi * radius**2
    assert (cover[~built] == GRASS).all()
    assert np.isin(cover[built], BUILT).mean() > 0.5


def test_a_town_has_streets_roofs_and_gardens_and_is_densest_in_its_middle():
    cover, built = build(60)
    roofs = np.isin(cover, ROOFS)
    away = np.hypot(*np.mgrid[-128:128, -160:160])
    assert 0.12 < roofs[built].mean() < 0.6
    assert 0.1 < (cover[built] == ASPHALT).mean() < 0.45
    assert roofs[away < 12].mean() > roofs[built & (away > 40)].mean()


def test_streets_hang_together():
    cover, built = build(50)
    parts, _ = ndimage.label((cover == ASPHALT) & built, structure=np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    assert sizes.max() > 0.6 * sizes.sum()  # yards are paved as well


def test_roofs_follow_their_probabilities():
    counts = np.zeros(3)
    for seed in range(4):
        cover, built = build(22, "savanna", seed)
        counts += [(cover[built] == roof).sum() for roof in ROOFS]
    assert counts.argmax() == 0  # light roofs, 0.65
    assert (counts > 0).all()


def test_nothing_is_built_where_it_may_not_be():
    cover = np.full(SHAPE, GRASS, dtype=np.int16)
    free = np.zeros(SHAPE, dtype=bool)
    free[:, :150] = True
    build_town(cover, Town(128, 160, 40), BIOMES["coast"], free, np.random.default_rng(0))
    assert (cover[:, 150:] == GRASS).all()
    assert (cover[:, :150] != GRASS).any()


def test_towns_stand_apart_on_ground_that_suits_them():
    fit = np.zeros((640, 640), dtype=np.float32)
    fit[:, 320:] = -np.inf
    towns = choose_towns(BIOMES["temperate"], fit, np.random.default_rng(1))
    assert len(towns) >= 4
    assert towns[0].radius == max(town.radius for town in towns)
    assert all(town.col < 320 for town in towns)
    gaps = [np.hypot(a.row - b.row, a.col - b.col) for k, a in enumerate(towns) for b in towns[:k]]
    assert min(gaps) > 15


def network(seed: int, wall: bool = False) -> tuple[Roads, np.ndarray]:
    rng = np.random.default_rng(seed)
    zero = np.zeros(SHAPE, dtype=np.float32)
    lake = np.zeros(SHAPE, dtype=bool)
    lake[60:200, 150:170] = wall
    cost = new_cost(Relief(zero, zero, zero, zero), lake, np.zeros(SHAPE, dtype=bool), rng)
    return new_roads(cost, [(128, 60), (40, 250), (200, 260)], SHAPE, 6, rng), lake


@pytest.mark.parametrize("seed", range(4))
def test_every_road_leads_to_a_town_or_the_edge_and_all_hang_together(seed: int):
    roads, _ = network(seed)
    for mask in (roads.paved, roads.paved | roads.tracks):
        parts, count = ndimage.label(mask, structure=np.ones((3, 3)))
        assert count == 1
        edge = np.concatenate((parts[0], parts[-1], parts[:, 0], parts[:, -1]))
        assert edge.any()
        for row, col in ((128, 60), (40, 250), (200, 260)):
            assert parts[row - 4 : row + 5, col - 4 : col + 5].any()
    ends = ndimage.convolve(roads.paved.astype(int), np.ones((3, 3), int), mode="constant")
    for row, col in np.argwhere(roads.minor & ~roads.highway & (ends == 2)):  # a pixel with one neighbour
        at_edge = min(row, col, SHAPE[0] - 1 - row, SHAPE[1] - 1 - col) < 2
        assert at_edge or min(np.hypot(row - r, col - c) for r, c in ((128, 60), (40, 250), (200, 260))) < 8


def test_the_highway_crosses_from_edge_to_edge_and_is_wider():
    roads, _ = network(1)
    parts, _ = ndimage.label(roads.highway, structure=np.ones((3, 3)))
    sides = [set(np.unique(side[side > 0])) for side in (parts[0], parts[-1], parts[:, 0], parts[:, -1])]
    assert sum(map(bool, sides)) >= 2
    assert ndimage.binary_erosion(roads.highway, np.ones((2, 2))).sum() > 0.2 * roads.highway.sum()
    minor = roads.minor & ~roads.highway
    assert ndimage.binary_erosion(minor, np.ones((2, 2))).sum() < 0.2 * max(minor.sum(), 1)


def test_roads_go_round_a_lake():
    roads, lake = network(2, wall=True)
    assert (roads.paved & lake).sum() == 0
    assert roads.paved[:, 160].any()
