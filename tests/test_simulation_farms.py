"""Farms: parcels that tile the land, fields of about the size asked for, pivots, edges, crops that rotate."""

import numpy as np
import pytest

from stac.simulation.biomes import BIOMES
from stac.simulation.covers import ASPHALT, COVERS, CROPS, GRASS, TRACK
from stac.simulation.farms import LASTING, MANNERS, Farmland, manner_of, plant_farms
from stac.simulation.parcels import Pattern, means, new_districts, new_parcels, outlines, split

SHAPE = (320, 400)


def farm(name: str, share: float = 0.6, seed: int = 0) -> tuple[np.ndarray, Farmland]:
    cover = np.full(SHAPE, GRASS, dtype=np.int16)
    rng = np.random.default_rng(seed)
    return cover, plant_farms(cover, BIOMES[name], np.zeros(SHAPE, dtype=np.float32), share, rng)


def test_split_tiles_its_box_with_pieces_of_about_the_size_asked_for():
    boxes = split((0, 0, 300, 400), np.random.default_rng(1), 200.0, 1.0, 0.3)
    seen = np.zeros((300, 400), dtype=int)
    for top, left, bottom, right in boxes:
        seen[top:bottom, left:right] += 1
    assert (seen == 1).all()
    assert 120 < np.median([(box[2] - box[0]) * (box[3] - box[1]) for box in boxes]) < 330


def test_split_makes_long_pieces_where_asked():
    boxes = np.array(split((0, 0, 400, 400), np.random.default_rng(1), 200.0, 5.0, 0.1))
    assert np.median((boxes[:, 3] - boxes[:, 1]) / (boxes[:, 2] - boxes[:, 0])) > 2.5


def test_parcels_end_at_their_districts_and_are_numbered_without_gaps():
    rng = np.random.default_rng(2)
    districts = new_districts(SHAPE, rng, 80, 6.0)
    parcels = new_parcels(SHAPE, rng, Pattern(200.0, (1.0, 3.0), 0.3, 3.0, False), districts)
    for labels in (districts, parcels):
        np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))
    np.testing.assert_allclose(means(districts.astype(np.float32), parcels)[parcels], districts)
    assert (outlines(parcels) | ~outlines(districts)).all()


def test_means_are_those_of_each_parcel():
    labels = np.array([[0, 0, 1], [1, 1, 2]], dtype=np.int32)
    np.testing.assert_allclose(means(np.array([[1, 3, 4], [6, 8, 5]], dtype=np.float32), labels), [2, 6, 5])


@pytest.mark.parametrize("name", sorted(BIOMES))
def test_fields_are_of_about_the_median_size_asked_for(name: str):
    sizes = []
    for seed in range(3):
        cover, land = farm(name, 0.85, seed)
        assert cover.max() < len(COVERS) + land.fields.crop.shape[1]
        sizes += np.bincount(cover[cover >= len(COVERS)] - len(COVERS)).tolist()
    wanted = BIOMES[name].field_ha * 100
    assert 0.5 * wanted < np.median(np.array(sizes)[np.array(sizes) > 0]) < 2.0 * wanted


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_farms_take_about_their_share(share: float):
    cover, land = farm("temperate", share)
    assert 0.6 * share < (cover >= len(COVERS)).mean() < 1.25 * share
    assert (land.farmed | (cover < len(COVERS))).all()


def test_nothing_is_farmed_where_it_cannot_be():
    fit = np.zeros(SHAPE, dtype=np.float32)
    fit[:, 200:] = -np.inf
    cover = np.full(SHAPE, GRASS, dtype=np.int16)
    plant_farms(cover, BIOMES["temperate"], fit, 0.4, np.random.default_rng(0))
    assert (cover[:, 200:] == GRASS).all()
    assert (cover[:, :200] >= len(COVERS)).mean() > 0.4
    none = plant_farms(cover, BIOMES["temperate"], fit, 0.0, np.random.default_rng(0))
    assert none.fields.crop.shape[1] == 0


def test_pivots_are_discs():
    cover, _ = farm("desert", 1.0, 1)
    best = 0.0
    for field in range(len(COVERS), cover.max() + 1):
        row, col = np.nonzero(cover == field)
        if row.size > 800:
            reach = np.hypot(row - (row.min() + row.max()) / 2, col - (col.min() + col.max()) / 2).max()
            best = max(best, row.size / (np.pi * reach**2))
    assert best > 0.85  # a square holds 2/π of the disc around it


def test_strips_are_longer_than_sections():
    def stretch(name: str) -> float:
        cover, _ = farm(name, 0.85)
        out = []
        for field in range(len(COVERS), cover.max() + 1):
            at = np.argwhere(cover == field)
            if len(at) > 30:
                low, high = np.linalg.eigvalsh(np.cov(at.T))
                out.append(np.sqrt(high / low))
        return float(np.quantile(out, 0.8))

    assert stretch("coast") > stretch("cropland")


def test_lanes_are_roads_between_districts():
    cover, land = farm("temperate", 0.8)
    assert np.isin(cover[land.lanes], (ASPHALT, TRACK)).mean() > 0.95
    assert (outlines(land.districts) | ~land.lanes).all()


def test_crops_are_those_of_the_biome_and_rotate_where_they_are_sown_yearly():
    _, land = farm("temperate", 0.85)
    crop = land.fields.crop
    assert {CROPS[c] for c in np.unique(crop)} <= set(BIOMES["temperate"].crops)
    lasting = np.isin(crop[0], LASTING)
    assert (crop[:, lasting] == crop[0, lasting]).all()
    assert (crop[1, ~lasting] != crop[0, ~lasting]).mean() > 0.3
    for name, wanted in BIOMES["temperate"].crops.items():
        assert abs((crop[0] == CROPS.index(name)).mean() - wanted) < 0.08


def test_every_biome_has_its_manner():
    assert set(MANNERS) == set(BIOMES)
    assert manner_of(BIOMES["desert"]).square
