"""Reflectance of everything on the simulated ground: covers, soils, crops, materials, in ten bands of Sentinel-2.

Sources, named at each row by these letters:

- S: USGS Spectral Library Version 7 (Kokaly et al. 2017, https://doi.org/10.3133/ds1035), with the entry or chapter.
- E: ECOSTRESS library 1.0 (Meerdink et al. 2019, https://doi.org/10.1016/j.rse.2019.05.015), with the class.
- P: PROSAIL (Jacquemoud et al. 2009, https://doi.org/10.1016/j.rse.2008.01.026), with the leaf area index (LAI) and
  chlorophyll (Cab, µg/cm²) of a canopy of such a spectrum.
- C: conifer stands, with shadows and a green floor (Rautiainen et al. 2018, https://doi.org/10.3390/rs10020207).
- D: dry plants (Nagler et al. 2000, https://doi.org/10.1016/S0034-4257(99)00082-6; Asner 1998,
  https://doi.org/10.1016/S0034-4257(98)00014-5).
- B: bare soils (Stoner & Baumgardner 1981, Soil Science Society of America Journal 45, 1161: moist soils from 0.52 µm
  on), with the form of the curve; assumed: wet soil has 0.5 to 0.7 of the reflectance of dry soil, of the order of
  Lobell & Asner 2002, https://doi.org/10.2136/sssaj2002.7220.
- W: water absorbs all beyond 0.7 µm (Pope & Fry 1997, https://doi.org/10.1364/AO.36.008710; Kou et al. 1993,
  https://doi.org/10.1364/AO.32.003531), sediment shifts its reflectance to red and B08 (Doxaran et al. 2002,
  https://doi.org/10.1016/S0034-4257(01)00341-8). assumed: glint adds 0.004 to 0.008 in all bands.
- U: town materials (Herold et al. 2004, https://doi.org/10.1016/j.rse.2004.02.013; Kotthaus et al. 2014,
  https://doi.org/10.1016/j.isprsjprs.2014.05.005), with the class.
- K: burns (Key & Benson 2006, https://doi.org/10.2737/RMRS-GTR-164, chapter LA; Lentile et al. 2006,
  https://doi.org/10.1071/WF05097); ash (Smith et al. 2005, https://doi.org/10.1016/j.rse.2005.04.014).
- I: solar modules (Ji et al. 2021, https://doi.org/10.1016/j.rse.2021.112692).
- N: snow, pure and with dust (Warren & Wiscombe 1980, https://doi.org/10.1175/1520-0469(1980)037<2734:AMFTSA>2.0.CO;2).
- L: clouds (Nakajima & King 1990, https://doi.org/10.1175/1520-0469(1990)047<1878:DOTOTA>2.0.CO;2); smoke, which is
  clear at 2 µm (Kaufman & Remer 1994, https://doi.org/10.1109/36.297984).

assumed: every number is a rounded value set by judgement near the middle of its source's range (or of the range at its
row), for a pixel of 10 m: a mixture with shadows, darker than a leaf or a brick in the laboratory. They were compared
with medians of real level-2A pixels of Europe in summer (conifers: red 0.015 to 0.027, B08 0.16 to 0.25; broadleaf: red
0.018 to 0.032, B08 0.34 to 0.46; crops: B08 0.46 to 0.56; soil: red 0.14 to 0.28, B11 0.24 to 0.45; lakes and sea: 0.02
to 0.03 in blue, 0.01 to 0.02 beyond 0.7 µm; B8A above B08 by about 0.01), with leafless broadleaf forest (red 0.04 to
0.06, B08 0.18 to 0.22) and with ten Californian burns (after: B08 0.06 to 0.10, B12 0.12 to 0.22).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .covers import BANDS, COVERS, MATERIALS

Spectrum = NDArray[np.float32]
"""(10,), reflectance (0 to 1) in the order of `covers.BANDS`."""

_Row = tuple[int, ...]
"""Thousandths of reflectance: B02, B03, B04, B05, B06, B07, B08, B8A, B11, B12."""

# Each cover: its poor state, then its rich state. Covers that do not live have one row twice.
_POOR: dict[str, _Row] = {
    "conifer": (17, 31, 27, 58, 126, 147, 157, 167, 92, 47),  # C: winter, less chlorophyll, long shadows
    "broadleaf": (32, 45, 54, 82, 134, 160, 180, 194, 205, 125),  # D, E tree bark: leafless stems over litter
    "rainforest": (18, 41, 25, 74, 238, 298, 320, 327, 143, 64),  # P: LAI 4, Cab 40
    "shrub": (37, 56, 67, 100, 145, 165, 180, 192, 200, 130),  # S chapter V, shrubs: half stems and litter; D
    "grass": (70, 105, 145, 180, 225, 248, 262, 275, 330, 235),  # S "Grass_Golden_Dry GDS480"; D
    "riparian": (33, 51, 58, 90, 150, 178, 198, 210, 200, 118),  # D: leafless, herbs below
    "wetland": (33, 50, 60, 82, 112, 128, 138, 148, 122, 76),  # S chapter V, marsh plants, dry; over wet peat
    "bare soil": (111, 154, 207, 237, 264, 282, 297, 314, 405, 341),  # B form 2, dry
    "sand": (160, 220, 290, 318, 338, 350, 362, 372, 450, 410),  # E soil, quartz sand, dry
    "rock": (105, 130, 152, 165, 178, 188, 198, 205, 262, 232),  # E rock, weathered granite and limestone; half shade
    "water": (24, 27, 17, 15, 11, 11, 10, 9, 6, 5),  # W: clear lake
    "river": (60, 88, 82, 82, 46, 46, 36, 30, 10, 7),  # W: 30 to 60 mg/l of sediment
    "sea": (
        22,
        24,
        21,
        20,
        18,
        18,
        18,
        18,
        16,
        15,
    ),  # W: clear shelf sea, and 0.015 of sun glint in all bands: a breeze
    "tidal flat": (68, 82, 94, 102, 108, 112, 114, 116, 90, 68),  # B wet silt; assumed: 0.05 to 0.15 in red
    "roof light": (389, 428, 441, 442, 445, 448, 456, 455, 430, 378),  # U bright membrane and metal; 0.25 to 0.55
    "roof dark": (113, 125, 137, 151, 169, 180, 189, 198, 240, 226),  # U bitumen, slate, gravel
    "roof tile": (103, 143, 213, 240, 260, 269, 276, 282, 375, 336),  # U red clay tile, with half of shaded slopes
    "garden": (54, 76, 84, 113, 167, 189, 203, 216, 216, 151),  # D, U: leafless trees, lawn, paths
    "asphalt": (119, 132, 142, 153, 167, 175, 180, 188, 222, 204),  # U weathered asphalt
    "concrete": (228, 268, 301, 317, 331, 341, 349, 356, 392, 361),  # U concrete road, S chapter A, concrete
    "track": (68, 98, 128, 158, 192, 208, 221, 234, 272, 214),  # B form 2, trodden, half of the pixel; shrubs
    "gravel": (140, 165, 185, 196, 206, 214, 220, 226, 262, 238),  # E rock: mixed limestone and quartz
}
_RICH: dict[str, _Row] = {
    "conifer": (14, 34, 20, 64, 178, 210, 223, 232, 104, 49),  # C: summer; P clumped, LAI 3, Cab 45
    "broadleaf": (19, 45, 24, 79, 288, 370, 394, 400, 156, 72),  # P: LAI 5, Cab 45
    "rainforest": (17, 42, 20, 74, 270, 344, 368, 375, 146, 61),  # P: LAI 6, Cab 50, deep gaps between crowns
    "shrub": (27, 50, 41, 88, 190, 225, 245, 255, 172, 94),  # P: LAI 1.5 to 2, Cab 35, dry soil below
    "grass": (29, 65, 39, 109, 298, 362, 388, 396, 210, 108),  # S "Lawn_Grass GDS91 (green)"; P: LAI 3, Cab 35
    "riparian": (20, 48, 26, 84, 290, 368, 394, 400, 160, 75),  # P: LAI 5, Cab 40
    "wetland": (22, 45, 34, 84, 190, 225, 248, 255, 140, 72),  # P: LAI 2, Cab 35, wet peat below
    "bare soil": (81, 120, 149, 194, 261, 290, 310, 325, 363, 271),  # B form 2, moist, with P of LAI 0.4
    "sand": (140, 194, 250, 280, 312, 328, 341, 352, 410, 358),  # as poor, with P of LAI 0.2
    "rock": (96, 122, 140, 158, 182, 196, 208, 216, 258, 220),  # as poor, with lichens and herbs: LAI 0.2
    "water": (26, 42, 26, 35, 19, 19, 15, 13, 7, 6),  # W: algae, 20 mg/m³ of chlorophyll: green, and a peak in B05
    "river": (38, 56, 40, 42, 22, 22, 17, 15, 8, 6),  # W: 5 to 15 mg/l of sediment, low water
    "sea": (24, 29, 23, 22, 19, 19, 18, 18, 16, 15),  # W: plankton and some silt, with the glint
    "tidal flat": (56, 74, 72, 92, 122, 132, 138, 140, 95, 68),  # as poor, with a film of diatoms
    "roof light": (389, 428, 441, 442, 445, 448, 456, 455, 430, 378),
    "roof dark": (113, 125, 137, 151, 169, 180, 189, 198, 240, 226),
    "roof tile": (103, 143, 213, 240, 260, 269, 276, 282, 375, 336),
    "garden": (41, 70, 54, 108, 232, 275, 297, 308, 205, 121),  # P: LAI 3 over two thirds, U paving over the rest
    "asphalt": (119, 132, 142, 153, 167, 175, 180, 188, 222, 204),
    "concrete": (228, 268, 301, 317, 331, 341, 349, 356, 392, 361),
    "track": (56, 86, 98, 139, 215, 245, 262, 272, 242, 173),  # as poor, with a strip of grass
    "gravel": (132, 158, 174, 189, 212, 224, 232, 238, 256, 226),  # as poor, with herbs: LAI 0.2
}

# assumed: crowns and their shadows, roofs and tussocks spread most, water and closed swards least.
_GRAIN: dict[str, float] = {
    "conifer": 0.14, "broadleaf": 0.13, "rainforest": 0.15, "shrub": 0.12, "grass": 0.06, "riparian": 0.13,
    "wetland": 0.08, "bare soil": 0.05, "sand": 0.04, "rock": 0.12, "water": 0.02, "river": 0.02, "sea": 0.16,
    "tidal flat": 0.05, "roof light": 0.22, "roof dark": 0.2, "roof tile": 0.18, "garden": 0.18, "asphalt": 0.07,
    "concrete": 0.09, "track": 0.06, "gravel": 0.09,
}  # fmt: skip
# assumed: shallow roots follow the moisture of a place, trees much less, what does not live not at all.
_EAGER: dict[str, float] = {
    "conifer": 0.1, "broadleaf": 0.15, "rainforest": 0.1, "shrub": 0.28, "grass": 0.45, "riparian": 0.15,
    "wetland": 0.2, "bare soil": 0.25, "sand": 0.15, "rock": 0.2, "garden": 0.15, "tidal flat": 0.2, "track": 0.2,
    "gravel": 0.1,
}  # fmt: skip

_MATERIALS: dict[str, _Row] = {
    "char": (36, 40, 47, 56, 66, 74, 84, 94, 150, 152),  # K: black, rising to B12
    "ash": (150, 162, 175, 185, 195, 202, 208, 215, 245, 240),  # K: white ash, mixed with grey
    "burnt soil": (58, 76, 100, 116, 132, 142, 152, 163, 258, 232),  # K, B: char washed off, soil reddened
    "slash": (58, 80, 106, 134, 170, 188, 202, 215, 285, 205),  # D: needles, bark and branches on soil
    "cleared soil": (75, 105, 148, 172, 195, 210, 222, 235, 320, 265),  # B form 2 with litter
    "earthwork": (125, 165, 215, 240, 262, 276, 288, 298, 375, 330),  # B: subsoil, poor in humus, dry
    "road surface": (80, 88, 95, 102, 110, 116, 120, 126, 148, 138),  # U new asphalt (0.05) with lighter shoulders
    "panel": (60, 58, 59, 67, 79, 87, 95, 101, 138, 126),  # I: modules (0.04 to 0.06 in the visible) and shaded ground
    "roof": (262, 284, 297, 301, 306, 310, 314, 314, 310, 278),  # U new metal and light membrane
    "dark roof": (70, 77, 84, 93, 104, 112, 118, 124, 150, 140),  # U new bitumen, with installations
    "street": (96, 108, 118, 127, 137, 143, 148, 154, 182, 168),  # U new asphalt and paving
    "yard": (56, 80, 86, 120, 178, 202, 218, 230, 238, 170),  # B and S "Lawn_Grass", half and half
    "clear water": (24, 27, 17, 14, 11, 11, 10, 9, 6, 5),  # W
    "muddy water": (85, 118, 130, 128, 92, 94, 78, 62, 14, 9),  # W: 200 to 500 mg/l of sediment
    "mud": (70, 90, 110, 120, 130, 136, 142, 148, 146, 106),  # B: wet silt: water's absorption at B11 and B12
    "landslide debris": (98, 126, 157, 175, 191, 201, 210, 219, 282, 245),  # B subsoil with E broken rock
    "fresh rock": (190, 222, 252, 264, 274, 282, 288, 294, 335, 300),  # E rock, unweathered limestone and granite
    "spoil": (120, 142, 166, 178, 190, 199, 207, 214, 262, 232),  # E rock and B, mixed and crushed
    "regrowth": (26, 56, 33, 98, 278, 338, 362, 371, 200, 98),  # P: LAI 3.5, Cab 35: young leaves, few shadows
    "snow": (800, 805, 800, 790, 775, 765, 755, 742, 110, 85),  # N: grains of 0.3 to 0.5 mm; 0.7 to 0.95 in blue
    "cloud": (600, 592, 590, 600, 612, 622, 632, 636, 430, 330),  # L: water cloud of optical depth 20 to 30
    "smoke": (300, 258, 222, 205, 188, 176, 172, 163, 62, 34),  # L: thick, optical depth 2 to 3
}

_CROPS: dict[str, _Row] = {
    "maize": (24, 56, 30, 95, 338, 428, 456, 465, 206, 92),  # P: LAI 4, Cab 50
    "winter cereal": (24, 56, 30, 96, 346, 436, 468, 474, 192, 86),  # P: LAI 5, Cab 45
    "rapeseed": (28, 64, 35, 110, 350, 428, 456, 464, 200, 94),  # P: LAI 4, Cab 40
    "rice": (27, 56, 35, 92, 284, 348, 376, 383, 150, 70),  # P: LAI 3.5, Cab 38, over water
    "alfalfa": (24, 60, 31, 106, 388, 478, 508, 513, 202, 92),  # P: LAI 5, Cab 42, flat leaves
    "orchard": (30, 54, 45, 90, 218, 262, 285, 294, 190, 108),  # P: LAI 3 over half, B and grass between
    "pasture": (29, 68, 41, 112, 308, 372, 398, 406, 216, 112),  # S "Lawn_Grass"; P: LAI 3, Cab 35
    "cotton": (32, 64, 45, 108, 328, 398, 426, 434, 222, 118),  # P: LAI 3, Cab 40, gaps
    "soy": (26, 68, 33, 116, 416, 506, 534, 540, 212, 92),  # P: LAI 5.5, Cab 38, flat leaves
    "fallow": (46, 82, 68, 127, 246, 286, 306, 316, 256, 156),  # P: LAI 1.5, B: weeds over soil and straw
}

_STATES: dict[str, _Row] = {
    "ripe": (82, 125, 175, 218, 266, 289, 305, 315, 343, 225),  # S "Grass_Golden_Dry GDS480", D: standing dry crop
    "stubble": (123, 172, 217, 260, 315, 340, 355, 368, 415, 324),  # S "Grass_Golden_Dry GDS480", D, over dry soil
    "flower": (
        52,
        132,
        122,
        170,
        325,
        385,
        412,
        420,
        216,
        108,
    ),  # Sulik & Long 2015, Int. J. Remote Sensing 36: 2751
    "bolls": (110, 142, 158, 190, 262, 292, 310, 320, 290, 205),  # D with open cotton, defoliated; 0.1 to 0.2 in blue
    "flooded": (60, 76, 72, 71, 54, 53, 50, 46, 22, 15),  # W: shallow muddy water, with clods and stubble
    "mown": (50, 92, 82, 138, 250, 285, 304, 316, 282, 178),  # S "Lawn_Grass", D: cut sward, pale stems
    "winter grass": (40, 68, 66, 112, 186, 216, 234, 246, 232, 144),  # P: LAI 1.2, D: grazed, wet, half dead
    "autumn leaves": (
        28,
        56,
        72,
        116,
        212,
        252,
        274,
        287,
        210,
        110,
    ),  # Gitelson & Merzlyak 1994, J. Plant Physiology 143: 286, chlorophyll gone
    "old grass": (84, 122, 164, 200, 240, 262, 276, 288, 356, 272),  # D: bleached, half bare; arid
    "moist litter": (34, 52, 60, 92, 146, 168, 184, 197, 205, 126),  # D: dead herbs under snowmelt
}

_SOILS: dict[str, _Row] = {
    "brown": (115, 161, 215, 250, 281, 300, 317, 335, 432, 363),  # B form 2 (minimally altered)
    "dark": (48, 64, 82, 98, 116, 128, 140, 152, 222, 190),  # B form 1 (rich in humus): prairie
    "red": (54, 82, 144, 172, 192, 204, 214, 228, 300, 250),  # B form 5 (rich in iron): savanna, tropics
    "pale": (128, 172, 222, 246, 264, 276, 286, 295, 366, 330),  # B form 2, dry, calcareous: desert
    "grey": (105, 139, 175, 201, 227, 244, 262, 279, 381, 322),  # assumed: near B form 2, marsh clay, till
}


# assumed: how much brighter bare and paved ground is than its row says, towards the quantiles of real summer chips in
# Europe: libraries measure single samples, the rows above lean to dark ones.
_DRY_SOIL = 1.15
_BRIGHTER = dict.fromkeys(("bare soil", "sand", "rock", "roof dark", "asphalt", "concrete", "gravel"), 1.18)


def _spectrum(row: _Row, factor: float = 1.0) -> Spectrum:
    """A row as reflectance, times a factor."""
    return (np.array(row, dtype=np.float64) * (factor / 1_000)).astype(np.float32)


def _table(rows: Mapping[str, _Row], factor: float = 1.0) -> dict[str, Spectrum]:
    """Rows as reflectance, by name."""
    return {name: _spectrum(row, factor) for name, row in rows.items()}


COVER_POOR: NDArray[np.float32] = np.stack([_spectrum(_POOR[name], _BRIGHTER.get(name, 1.0)) for name in COVERS])
"""(covers, 10), reflectance of each cover where its greenness is 0."""
COVER_RICH: NDArray[np.float32] = np.stack([_spectrum(_RICH[name], _BRIGHTER.get(name, 1.0)) for name in COVERS])
"""(covers, 10), reflectance of each cover where its greenness is 1."""
GRAIN: NDArray[np.float32] = np.array([_GRAIN[name] for name in COVERS], dtype=np.float32)
"""(covers,), spread of the texture, as a part of the reflectance."""
EAGER: NDArray[np.float32] = np.array([_EAGER.get(name, 0.0) for name in COVERS], dtype=np.float32)
"""(covers,), how far a moist or dry place moves the greenness."""
MATERIAL_SPECTRA: dict[str, Spectrum] = {name: _spectrum(_MATERIALS[name]) for name in MATERIALS}
"""Reflectance of each of `covers.MATERIALS`."""
CROP_SPECTRA: dict[str, Spectrum] = _table(_CROPS)
"""Reflectance of each of `covers.CROPS`, green and full grown."""
STATE_SPECTRA: dict[str, Spectrum] = _table(_STATES)
"""Reflectance of what is neither green nor bare: ripe, stubble, flooded, in flower, mown, brown."""
SOIL_SPECTRA: dict[str, Spectrum] = _table(_SOILS, _DRY_SOIL)
"""Reflectance of dry tilled soils."""
WET_SOIL: Spectrum = np.array((0.66, 0.65, 0.64, 0.64, 0.64, 0.64, 0.64, 0.64, 0.6, 0.54), dtype=np.float32)
"""(10,), factor on the reflectance of dry soil when it is wet: water absorbs more at B11 and B12 (B)."""


def ratio(spectra: NDArray[np.float32], high: str, low: str) -> NDArray[np.float32]:
    """Normalised difference of two bands: NDVI of B08 and B04, NBR of B08 and B12, NDWI of B03 and B08.

    Args:
        spectra: (..., 10), reflectance.
        high: Band that counts as positive.
        low: Band that counts as negative.

    Returns:
        (...), from -1 to 1.
    """
    a, b = spectra[..., BANDS.index(high)], spectra[..., BANDS.index(low)]
    quotient: NDArray[np.float32] = (a - b) / (a + b)
    return quotient
