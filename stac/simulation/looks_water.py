"""How reservoirs and flooded ground look as they age.

- flood: weeks of water (see `_STAY`), silt behind it, then crops and grass again.
- reservoirs: assumed, silt settles in a new one within a season; a bed laid bare dries, then weeds come.
"""

from __future__ import annotations

import numpy as np

from .covers import GRASS, GRAVEL, RIVER, SHRUB, WATER
from .site import Site, Zone, decay, material_spectrum
from .steps import mix


def reservoir_fill(site: Site) -> list[Zone]:
    """Mud and drowned plants, then muddy water that clears within a season and goes with the lakes of the country.

    What was water before is muddy at once.
    """
    muddy = mix(material_spectrum("muddy water"), site.living(WATER), 0.3)
    water = mix(muddy, site.living(WATER), 0.95 * site.since(10, 130))
    full = site.constant(1.0)
    dam = mix(site.ground("earthwork", 0.7), site.living(GRAVEL), 0.6 * site.since(20, 120))
    dam = mix(dam, site.living(GRASS), 0.35 * site.regrown(120, 500))
    return [(full, mix(material_spectrum("mud"), water, site.since(0, 6))), (full, dam), (full, water)]


def reservoir_drain(site: Site) -> list[Zone]:
    """Wet mud that dries, cracks and pales, then weeds and grass; the old shore dries to grass and shrubs."""
    dry = mix(site.ground("cleared soil", 0.5) * 1.1, material_spectrum("mud") * 1.4, 0.5)
    bed = mix(material_spectrum("mud"), dry, site.since(8, 70))
    bed = mix(bed, site.living(GRASS), 0.75 * site.regrown(60, 420))
    bed = mix(bed, site.saplings(), 0.25 * site.regrown(500, 1_500))
    rim = mix(site.living(GRASS), site.living(SHRUB), 0.3 + 0.4 * site.regrown(100, 900))
    return [(site.constant(1.0), bed), (site.constant(1.0), rim)]


_STAY: tuple[tuple[float, float, float], ...] = (
    (1.0, 36, 0.85),
    (0.7, 25, 0.8),
    (0.4, 15, 0.65),
    (0.15, 6, 0.45),
)
"""Zones of a flood, deep to rim: how long water stays, in parts of the rise and days after it; part that silt hides.

assumed: one to five weeks, as on the plains of large rivers. Floods of more than three weeks count as long, those of
one to three as moderate in Najibi & Devineni 2018, https://doi.org/10.5194/esd-9-757-2018."""


def flood(site: Site) -> list[Zone]:
    """Muddy water for weeks, which settles; wet mud, dry silt, then back to what was. Rivers are muddy, then as before.

    assumed: floods that rise slowly leave slowly, by the root of the rise.
    """
    slow = float(np.clip(np.sqrt(site.span / 5), 0.75, 1.3))
    zones = []
    for part, days, silt in _STAY:
        stay = part * site.span + slow * days
        gone = site.since(stay, 8)
        water = mix(material_spectrum("muddy water"), site.living(RIVER), 0.55 * site.since(5, 24))
        wet = mix(water, material_spectrum("mud"), gone)
        dry = mix(wet, site.ground("cleared soil", 0.6), 0.8 * site.since(stay + 8, 35))
        spectra = mix(dry, site.living(GRASS), 0.45 * site.regrown(stay + 22, 130))
        residue = silt * decay(site.age, stay + 8, 50 / min(max(site.pace, 0.6), 1.6)) + 0.06
        zones.append(((1 - gone * (1 - residue)) * (1 - site.since(500, 600)), spectra))
    zones.append((1 - site.since(site.span + 4, 26 * slow), material_spectrum("muddy water")))
    return zones
