"""The simulated ground: every kind of cover, where it belongs."""

import numpy as np
import pytest

from stac.simulate_landscape import new_landscape
from stac.simulate_spectra import ASPHALT, CONIFER, COVERS, GRASS, RIVER, SHRUB, WATER


@pytest.fixture(scope="module")
def land():
    return new_landscape((400, 640), np.random.default_rng(11))


def test_the_ground_has_forest_grass_fields_water_and_roads(land):
    share = np.bincount(land.cover.ravel(), minlength=len(COVERS)) / land.cover.size
    assert share[CONIFER] > 0.03
    assert share[SHRUB] > 0.02
    assert share[GRASS] > 0.03
    assert share[RIVER] > 0.002
    assert share[ASPHALT] > 0.001
    assert (land.cover >= len(COVERS)).mean() > 0.1


def test_conifers_grow_higher_than_fields(land):
    fields = land.cover >= len(COVERS)
    assert land.relief.height[land.cover == CONIFER].mean() > land.relief.height[fields].mean() + 50


def test_every_field_number_has_a_calendar(land):
    numbers = np.unique(land.cover[land.cover >= len(COVERS)]) - len(COVERS)
    assert numbers.max() < land.fields.late.size
    assert land.fields.crop.shape == (3, land.fields.late.size)


def test_water_is_flat(land):
    wet = np.isin(land.cover, (WATER, RIVER))
    assert wet.any()
    assert not land.relief.east[wet].any()


def test_the_same_seed_gives_the_same_ground(land):
    again = new_landscape((400, 640), np.random.default_rng(11))
    np.testing.assert_array_equal(again.cover, land.cover)
    np.testing.assert_array_equal(again.texture, land.texture)
