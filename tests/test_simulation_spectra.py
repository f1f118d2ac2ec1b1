"""Reflectances: what physics says of plants, soils, water, snow and burns."""

import numpy as np
import pytest

from stac.simulation.covers import BANDS, COVERS, CROPS, FORESTS, GRASS, MATERIALS, RIPARIAN, SEA, WATERS
from stac.simulation.spectra import (
    COVER_POOR,
    COVER_RICH,
    CROP_SPECTRA,
    EAGER,
    GRAIN,
    MATERIAL_SPECTRA,
    SOIL_SPECTRA,
    STATE_SPECTRA,
    WET_SOIL,
    ratio,
)

B02, B03, B04, B05, B06, B07, B08, B8A, B11, B12 = range(len(BANDS))
GREEN = {
    **{COVERS[c]: COVER_RICH[c] for c in (*FORESTS, GRASS, RIPARIAN)},
    **{name: spectrum for name, spectrum in CROP_SPECTRA.items() if name != "fallow"},
}


def test_tables_cover_every_name_and_stay_physical():
    assert set(MATERIAL_SPECTRA) == set(MATERIALS)
    assert set(CROP_SPECTRA) == set(CROPS)
    assert COVER_POOR.shape == COVER_RICH.shape == (len(COVERS), len(BANDS))
    assert GRAIN.shape == EAGER.shape == (len(COVERS),)
    for table in (MATERIAL_SPECTRA, CROP_SPECTRA, STATE_SPECTRA, SOIL_SPECTRA):
        for name, spectrum in table.items():
            assert spectrum.shape == (len(BANDS),), name
            assert spectrum.dtype == np.float32, name
            assert ((spectrum > 0) & (spectrum < 1)).all(), name
    for array in (COVER_POOR, COVER_RICH, GRAIN):
        assert array.dtype == np.float32
        assert ((array > 0) & (array < 1)).all()


@pytest.mark.parametrize("name", GREEN)
def test_green_plants_have_a_red_edge(name):
    s = GREEN[name]
    assert s[B04] < s[B03] < s[B05]  # the green peak, then the foot of the edge
    assert s[B05] < 0.5 * s[B06] < 0.5 * s[B07]
    assert s[B07] < s[B08] <= s[B8A] < s[B08] + 0.02
    assert s[B12] < s[B11] < s[B08]  # water in the leaves
    assert ratio(s, "B08", "B04") > 0.7


def test_conifers_are_darker_than_broadleaf_trees():
    conifer, broadleaf = COVER_RICH[COVERS.index("conifer")], COVER_RICH[COVERS.index("broadleaf")]
    assert 0.16 < conifer[B08] < 0.27
    assert 0.33 < broadleaf[B08] < 0.46
    assert conifer[B04] < 0.03


@pytest.mark.parametrize("state", [COVER_POOR, COVER_RICH])
def test_water_is_dark_beyond_the_visible(state):
    for cover in WATERS:
        s = state[cover]
        glint = 0.01 if cover == SEA else 0.0  # of the sun on waves, the same in all bands
        assert s[B11] - glint <= 0.012
        assert s[B12] <= s[B11] <= s[B8A] <= s[B03]
        assert (s[B03] - s[B08]) / (s[B03] + s[B08] - 2 * glint) > 0.25
    muddy, clear = MATERIAL_SPECTRA["muddy water"], MATERIAL_SPECTRA["clear water"]
    assert muddy[B04] > 5 * clear[B04]
    assert muddy[B11] < 0.02


@pytest.mark.parametrize("name", SOIL_SPECTRA)
def test_soils_rise_to_b11_and_fall_at_b12(name):
    s = SOIL_SPECTRA[name]
    assert (np.diff(s[:9]) > 0).all()
    assert s[B12] < s[B11]
    assert 0 < ratio(s, "B08", "B04") < 0.3
    wet = s * WET_SOIL
    assert (wet < 0.75 * s).all()
    assert wet[B12] / wet[B08] < s[B12] / s[B08]  # water absorbs most there


def test_iron_reddens_and_humus_darkens():
    red, brown, dark = (SOIL_SPECTRA[n] for n in ("red", "brown", "dark"))
    assert red[B04] / red[B02] > brown[B04] / brown[B02]
    assert dark.mean() < 0.75 * brown.mean()


def test_snow_cloud_and_smoke_part_in_the_short_wave_infrared():
    snow, cloud, smoke = (MATERIAL_SPECTRA[n] for n in ("snow", "cloud", "smoke"))
    assert ratio(snow, "B03", "B11") > 0.6
    assert ratio(cloud, "B03", "B11") < 0.3
    assert (np.diff(smoke) < 0).all()
    assert smoke[B12] < 0.05


def test_char_rises_to_b12():
    char = MATERIAL_SPECTRA["char"]
    assert ratio(char, "B08", "B12") < -0.2
    assert char[:3].max() < 0.06
    assert ratio(char, "B08", "B04") < 0.35
    assert ratio(MATERIAL_SPECTRA["ash"], "B08", "B04") < 0.15
