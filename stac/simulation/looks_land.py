"""How burnt, felled and slid ground looks as it ages.

- wildfire: char is black at first and gone within months (in savanna within weeks: Trigg & Flasse 2000,
  International Journal of Remote Sensing 21, 3161; Pereira 2003, https://doi.org/10.1071/WF03028). Fresh char of a
  Californian grass fire (median of the scar): 0.03, 0.04, 0.06 in B02 to B04, 0.08 in B08, 0.21 in B12. NBR of conifer
  forests regains 30 to 44 % in five years and 47 to 72 % in ten (Bright et al. 2019,
  https://doi.org/10.1186/s42408-018-0021-9). Severe fires show a dNBR above 0.66, light ones 0.1 to 0.27 (Key & Benson
  2006, https://doi.org/10.2737/RMRS-GTR-164).
- clear-cut: assumed, 5 to 10 years to 80 % of the NBR, of the order of Canada's forests (White et al. 2017,
  https://doi.org/10.1016/j.rse.2017.03.035), faster in the tropics; in Amazonia the felled trees dry and are burnt,
  then pasture or crops are sown (Morton et al. 2008, https://doi.org/10.1111/j.1365-2486.2008.01652.x).
- logging: assumed, gaps are hardly seen after 1 to 3 years, of the order of their closing in the eastern Amazon (Asner
  et al. 2004, Global Change Biology 10, 765: 0.5 to 3.5 years after harvest).
- landslide: assumed, regreening takes years to decades (its first years in Taiwan: Lin et al. 2005,
  https://doi.org/10.1016/j.foreco.2005.02.026).
"""

from __future__ import annotations

import numpy as np

from .covers import GRASS, SHRUB
from .site import Site, Zone, decay, material_spectrum
from .spectra import WET_SOIL
from .steps import mix

_FRESH_CHAR = np.array((0.5, 0.6, 0.72, 0.74, 0.75, 0.76, 0.77, 0.78, 0.92, 0.96))
"""Factor on char by band in the first weeks, before wind and rain take the soot. assumed: near the darkest tenth of a
Californian grass fire, 0.01, 0.01, 0.02 in B02 to B04, 0.03 in B08, 0.13 in B12, and its median (see above)."""


def wildfire(site: Site) -> list[Zone]:
    """Char and ash, then washed soil, herbs in the next growing season, shrubs and saplings over years.

    Grass burns to soot, nearly black for two weeks; trees leave more ash and scorched crowns.
    """
    wash = 120 if site.biome in ("rainforest", "savanna") else 240  # assumed: charred stems keep scars of forest dark
    soil = site.ground("burnt soil", 0.3)
    char = material_spectrum("char")
    soot = mix(char, char * _FRESH_CHAR, decay(site.age, 10, 40))
    black = mix(mix(char, soot, 0.5), material_spectrum("ash"), 0.08 * decay(site.age, 0, 14))
    crown = mix(soil, black, decay(site.age, 20, wash))
    crown = mix(crown, site.living(GRASS), 0.34 * site.regrown(130, 800))
    crown = mix(crown, site.saplings(), 0.22 * site.regrown(420, 2_400))
    thin = mix(soil, soot, 0.94 * decay(site.age, 14, 35 if site.biome == "savanna" else 70))
    thin = mix(thin, site.living(GRASS), 0.9 * site.regrown(45, 330))
    # assumed: the trees and shrubs of savanna outlive most fires and leaf out with the next rains.
    healed = 0.8 * site.regrown(60, 500) if site.biome == "savanna" else 0.14 * site.regrown(250, 2_600)
    return [
        (1 - healed, crown),
        (0.95 - 0.8 * site.regrown(60, 700), thin),
    ]


def clear_cut(site: Site) -> list[Zone]:
    """Slash and soil, herbs in the second summer, saplings later; in rainforest burnt, then pasture."""
    block = mix(site.ground("slash", 0.15), site.ground("cleared soil"), 0.25 + 0.35 * site.since(10, 90))
    if site.biome == "rainforest":
        block = mix(block, material_spectrum("char"), 0.7 * site.since(50, 6) * decay(site.age, 56, 45))
        block = mix(block, site.living(GRASS), 0.85 * site.since(110, 260))
    else:
        block = mix(block, site.living(GRASS), 0.6 * site.regrown(70, 720))
        block = mix(block, site.saplings(), 0.5 * site.regrown(330, 2_000))
    landing = mix(site.ground("cleared soil"), site.ground("earthwork"), 0.4 * site.since(0, 20))
    landing = mix(landing, site.living(GRASS), 0.45 * site.regrown(150, 1_400))
    return [(site.constant(0.97), block), (site.constant(1.0), landing)]


def logging(site: Site) -> list[Zone]:
    """Gaps full of slash that close within a few years; trails of bare soil."""
    gap = mix(site.ground("slash", 0.15), site.living(SHRUB), 0.3 * site.regrown(90, 500))
    gap = mix(gap, site.saplings(), 0.75 * site.regrown(200, 1_300))
    trail = mix(site.ground("cleared soil"), site.living(GRASS), 0.5 * site.regrown(200, 1_000))
    trail = mix(trail, site.saplings(), 0.4 * site.regrown(300, 1_700))
    return [
        (0.95 - 0.7 * site.regrown(200, 1_900), gap),
        (0.97 - 0.55 * site.regrown(260, 2_100), trail),
    ]


def landslide(site: Site) -> list[Zone]:
    """Fresh debris, wet at first; a scar of rock and subsoil regreens over decades, the deposit sooner."""
    debris = site.ground("landslide debris", 0.35)
    scar = mix(debris, material_spectrum("fresh rock"), 0.4)
    scar = mix(scar, site.living(GRASS), 0.35 * site.regrown(180, 2_600))
    deposit = mix(debris * WET_SOIL.astype(np.float64)[None, :], debris, site.since(4, 30))
    deposit = mix(deposit, site.living(GRASS), 0.5 * site.regrown(120, 1_700))
    return [(site.constant(1.0), scar), (site.constant(1.0), deposit)]
