"""The scene classification and its errors."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stac.simulation import covers
from stac.simulation.classify import (
    BARE,
    CIRRUS,
    CLOUD_HIGH,
    CLOUD_MEDIUM,
    DARK,
    SHADOW,
    SNOW,
    UNCLASSIFIED,
    VEGETATION,
    WATER,
    classify,
    erode,
)
from stac.simulation.sky import Sky, lay_sky
from stac.simulation.spectra import COVER_POOR, COVER_RICH, MATERIAL_SPECTRA

SHAPE = (30, 32)
ALL = tuple(range(len(covers.BANDS)))


def even(spectrum, shape=SHAPE):
    return np.broadcast_to(np.asarray(spectrum, np.float32)[:, None, None], (10, *shape)).copy()


def full(value):
    return np.full(SHAPE, value, dtype=np.float32)


CLEAR = Sky(full(0.0))


def classes(image, sky=CLEAR, doubt=0.0, speck=0.5):
    return classify(image, sky, full(doubt), full(speck))


def through(spectrum, **fields):
    sky = replace(CLEAR, **fields)
    image = even(spectrum)
    lay_sky(image, ALL, sky, MATERIAL_SPECTRA["cloud"], MATERIAL_SPECTRA["smoke"])
    return image, sky


@pytest.mark.parametrize(
    ("spectrum", "want"),
    [
        (COVER_RICH[covers.BROADLEAF], VEGETATION),
        (COVER_RICH[covers.CONIFER], VEGETATION),
        (COVER_POOR[covers.BARE], BARE),
        (COVER_POOR[covers.SAND], BARE),
        (COVER_RICH[covers.WATER], WATER),
        (COVER_RICH[covers.SEA], WATER),
        (MATERIAL_SPECTRA["snow"], SNOW),
        (MATERIAL_SPECTRA["cloud"], CLOUD_HIGH),
        (MATERIAL_SPECTRA["char"], DARK),
    ],
)
def test_pure_covers_have_their_class(spectrum, want):
    scl = classes(even(spectrum))
    assert scl.dtype == np.uint8
    assert (scl == want).all()


def test_white_roofs_are_taken_for_cloud():
    assert np.isin(classes(even(COVER_POOR[covers.ROOF_LIGHT])), (CLOUD_MEDIUM, CLOUD_HIGH)).all()


def test_sand_is_taken_for_cloud_where_the_classification_errs():
    sand = even(COVER_POOR[covers.SAND])
    assert (classes(sand) == BARE).all()
    assert np.isin(classes(sand, doubt=2.5), (UNCLASSIFIED, CLOUD_MEDIUM, CLOUD_HIGH)).all()


def test_dark_ground_is_taken_for_shadow_and_snow_for_cloud_where_it_errs():
    assert (classes(even(MATERIAL_SPECTRA["char"]), doubt=2.0) == SHADOW).all()
    assert np.isin(classes(even(MATERIAL_SPECTRA["snow"]), doubt=2.0), (CLOUD_MEDIUM, CLOUD_HIGH)).all()


def test_shaded_forest_becomes_dark_area():
    assert (classes(even(COVER_RICH[covers.CONIFER] * 0.25)) == DARK).all()


def test_masks_of_clouds_are_too_small_and_small_clouds_are_missed():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    big = np.clip(1.2 - (np.hypot(y - 15, x - 12) / 8), 0, 1)
    small = (np.hypot(y - 5, x - 27) < 1.2) * 1.0
    cloud = np.maximum(big, small).astype(np.float32)
    image, sky = through(COVER_RICH[covers.BROADLEAF], cloud=cloud, tops=full(1.0))
    found = np.isin(classes(image, sky), (CLOUD_MEDIUM, CLOUD_HIGH))
    assert found[15, 12]
    assert not found[2:9, 24:31].any()
    assert found.sum() < 0.8 * (cloud > 0.1).sum()
    assert not found[cloud == 0].any()


def test_shadows_are_found_in_part():
    image, sky = through(COVER_RICH[covers.BROADLEAF] * 0.8, shadow=full(1.0))
    assert (classes(image, sky) == SHADOW).all()
    assert (classes(image, sky, doubt=-1.5) != SHADOW).all()


def test_cirrus_is_found_where_it_is_thick_enough():
    for depth, want in ((0.2, True), (0.04, False)):
        image, sky = through(COVER_RICH[covers.BROADLEAF], cirrus=full(depth))
        assert (classes(image, sky) == CIRRUS).all() == want


def test_specks_of_bare_ground_stay_unclassified():
    assert (classes(even(COVER_POOR[covers.BARE]), speck=0.001) == UNCLASSIFIED).all()


def test_erosion_takes_the_least_of_nine():
    field = np.random.default_rng(1).random((6, 7), dtype=np.float32)
    small = erode(field)
    assert small[2, 3] == field[1:4, 2:5].min()
    assert small[0, 0] == field[:2, :2].min()


def test_torch_and_batches_classify_alike():
    rng = np.random.default_rng(2)
    rows = np.concatenate([COVER_POOR, COVER_RICH, *(row[None] for row in MATERIAL_SPECTRA.values())])
    image = np.moveaxis(rows[rng.integers(0, len(rows), (3, *SHAPE))], -1, 1).copy()
    doubt, cloud, shadow = (rng.normal(0, 1, (3, *SHAPE)).astype(np.float32) for _ in range(3))
    specks = rng.random((3, *SHAPE), dtype=np.float32)
    cloud, shadow = cloud.clip(0, 1), shadow.clip(0, 1)
    none = np.zeros_like(cloud)
    whole = classify(image, Sky(none, cloud, none, shadow, cloud * 0.3), doubt, specks)
    assert len(np.unique(whole)) > 7
    t = torch.from_numpy
    twin = classify(t(image), Sky(t(none), t(cloud), t(none), t(shadow), t(cloud * 0.3)), t(doubt), t(specks))
    assert twin.dtype == torch.uint8
    assert (twin.numpy() != whole).mean() < 1e-3
    for i in range(3):
        alone = classify(image[i], Sky(none[i], cloud[i], none[i], shadow[i], cloud[i] * 0.3), doubt[i], specks[i])
        np.testing.assert_array_equal(alone, whole[i])
