"""How building sites and mines look as they age.

assumed: their stages, by the usual order of works: clearing, earth for 2 to 6 months, then surfaces; a mine does not go
back.
"""

from __future__ import annotations

import numpy as np

from .covers import GARDEN, GRASS, GRAVEL, ROOF_TILE, TRACK
from .site import Site, Zone, material_spectrum
from .spectra import SOIL_SPECTRA
from .steps import mix

LAST_STAGES: dict[str, tuple[tuple[float, float, float], float]] = {
    "road": ((0.4, 25, 110), 10),
    "urban": ((0.45, 60, 180), 25),
    "solar_farm": ((0.4, 30, 120), 30),
    "mine": ((0.2, 20, 90), 45),
}
"""Class → days from a pixel's turn to its last stage, as `Site.stage` takes them, and days that this stage takes."""


def road(site: Site) -> list[Zone]:
    """Cleared, graded, surfaced; the verges green again."""
    laid = site.stage(*LAST_STAGES["road"][0])
    dirt = mix(site.living(TRACK), site.ground("earthwork", 0.7), 0.5)
    gravel = mix(site.living(GRAVEL), dirt, 0.35)
    surface = {"rainforest": dirt, "savanna": dirt, "boreal": gravel}.get(site.biome, material_spectrum("road surface"))
    earth = mix(site.ground("cleared soil"), site.ground("earthwork"), site.since(4, 14))
    bed = mix(earth, surface, site.since(laid, 10))
    verge = mix(earth, site.living(GRASS), 0.8 * site.regrown(laid + 40, 450))
    return [(site.constant(1.0), bed), (site.constant(0.95) - 0.3 * site.regrown(200, 900), verge)]


def urban(site: Site) -> list[Zone]:
    """Earth for 2 to 6 months, then streets, roofs of several colours, and gardens that green within two years."""
    built = site.stage(*LAST_STAGES["urban"][0])
    earth = mix(site.ground("cleared soil"), site.ground("earthwork"), site.since(5, 20))
    roofed, full = site.since(built, 25), site.constant(1.0)
    tile = site.season.poor[ROOF_TILE].astype(np.float64)[None, :]
    roofs = [mix(earth, roof, roofed) for roof in (material_spectrum("roof"), material_spectrum("dark roof"), tile)]
    street = mix(earth, material_spectrum("street"), site.since(0.7 * built, 15))
    yard = mix(
        mix(earth, material_spectrum("yard"), site.since(built + 5, 20)),
        site.living(GARDEN),
        site.since(built + 60, 500),
    )
    return [*((full, roof) for roof in roofs), (full, street), (full, yard)]


def solar_farm(site: Site) -> list[Zone]:
    """Graded, then panels row by row; grass below them where it grows."""
    built = site.stage(*LAST_STAGES["solar_farm"][0])
    earth = mix(site.ground("cleared soil"), site.ground("earthwork"), site.since(3, 20))
    glass = material_spectrum("panel") * np.array(
        (1.2, 1.06, *[0.94] * 8)
    )  # assumed: bluish, as crystalline silicon is
    rows = mix(earth, glass, site.since(built, 24))
    rows = mix(rows, site.living(GRASS), 0.18 * site.regrown(built + 80, 400))
    track = mix(earth, site.living(GRAVEL), 0.7 * site.since(built, 30))
    return [(site.constant(0.97), rows), (site.constant(1.0), track)]


def mine(site: Site) -> list[Zone]:
    """Topsoil off, rock or earth of four colours, grey heaps, ponds that stay brown in rainforest: never back."""
    opened, full = site.stage(*LAST_STAGES["mine"][0]), site.constant(1.0)
    bare, rock, soil = site.ground("cleared soil"), material_spectrum("fresh rock"), site.ground("earthwork", 0.7)
    red = mix(SOIL_SPECTRA["red"].astype(np.float64)[None, :] * 1.35, soil, 0.15)
    dug = [0.72 * rock, mix(rock * 1.3, soil, 0.1), red, 0.36 * material_spectrum("spoil")]
    grey, white, red, dark = (mix(bare, mix(kind, soil, 0.08), site.since(opened, 40)) for kind in dug)
    spoil = mix(bare, mix(material_spectrum("spoil"), soil, 0.25), site.since(10, 40))
    spoil = mix(spoil, site.living(GRASS), 0.1 * site.regrown(500, 1_500))
    brown = 0.05 if site.biome == "rainforest" else 0.6
    water = mix(
        material_spectrum("muddy water"), material_spectrum("clear water"), brown * site.since(opened + 60, 300)
    )
    pond = mix(mix(bare, material_spectrum("mud"), site.since(opened, 15)), water, site.since(opened + 25, 20))
    return [(full, spectra) for spectra in (grey, spoil, pond, white, red, dark)]
