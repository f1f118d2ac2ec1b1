"""What covers the simulated ground: names and numbers that every part of the generator shares."""

from __future__ import annotations

BANDS: tuple[str, ...] = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
"""The simulated bands, in the order of every spectrum: 10 m bands are drawn at 10 m, the others recorded at 20 m."""

BANDS_20M: tuple[str, ...] = ("B05", "B06", "B07", "B8A", "B11", "B12")

COVERS: tuple[str, ...] = (
    "conifer",
    "broadleaf",
    "rainforest",
    "shrub",
    "grass",
    "riparian",
    "wetland",
    "bare soil",
    "sand",
    "rock",
    "water",
    "river",
    "sea",
    "tidal flat",
    "roof light",
    "roof dark",
    "roof tile",
    "garden",
    "asphalt",
    "concrete",
    "track",
    "gravel",
)
"""Names of the covers; a cover's number is its place here. Fields follow: number len(COVERS) + field."""

(
    CONIFER,
    BROADLEAF,
    RAINFOREST,
    SHRUB,
    GRASS,
    RIPARIAN,
    WETLAND,
    BARE,
    SAND,
    ROCK,
    WATER,
    RIVER,
    SEA,
    TIDAL_FLAT,
    ROOF_LIGHT,
    ROOF_DARK,
    ROOF_TILE,
    GARDEN,
    ASPHALT,
    CONCRETE,
    TRACK,
    GRAVEL,
) = range(len(COVERS))

FORESTS: tuple[int, ...] = (CONIFER, BROADLEAF, RAINFOREST)
WATERS: tuple[int, ...] = (WATER, RIVER, SEA)
BUILT: tuple[int, ...] = (ROOF_LIGHT, ROOF_DARK, ROOF_TILE, GARDEN, ASPHALT, CONCRETE)

CROPS: tuple[str, ...] = (
    "maize",
    "winter cereal",
    "rapeseed",
    "rice",
    "alfalfa",
    "orchard",
    "pasture",
    "cotton",
    "soy",
    "fallow",
)
"""What grows in a field; a crop's number is its place here."""

MATERIALS: tuple[str, ...] = (
    "char",
    "ash",
    "burnt soil",
    "slash",
    "cleared soil",
    "earthwork",
    "road surface",
    "panel",
    "roof",
    "dark roof",
    "street",
    "yard",
    "clear water",
    "muddy water",
    "mud",
    "landslide debris",
    "fresh rock",
    "spoil",
    "regrowth",
    "snow",
    "cloud",
    "smoke",
)
"""What changes lay bare, build or bring, and what hides the ground: spectra in `spectra.MATERIAL_SPECTRA`."""
