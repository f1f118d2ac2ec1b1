"""How each class of change looks as it ages: opacity and reflectance by days since a pixel's own turn.

Stages, their lengths and sources: `looks_land`, `looks_water`, `looks_works`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from . import looks_land, looks_water, looks_works
from .biomes import Biome
from .change import AGES
from .season import Season
from .site import Site, Zone, stage_days


@dataclass(frozen=True)
class Look:
    """How one class of change looks."""

    zones: tuple[str, ...]
    """Names of the parts of its site, by `Change.zone`."""
    course: Callable[[Site], list[Zone]]
    """Draws each zone's opacity and reflectance by age."""


LOOKS: dict[str, Look] = {
    "wildfire": Look(("crown", "ground"), looks_land.wildfire),
    "road": Look(("bed", "verge"), looks_works.road),
    "clear_cut": Look(("block", "landing"), looks_land.clear_cut),
    "logging": Look(("gap", "trail"), looks_land.logging),
    "urban": Look(("roof light", "roof dark", "roof tile", "street", "yard"), looks_works.urban),
    "solar_farm": Look(("panel", "track"), looks_works.solar_farm),
    "reservoir_fill": Look(("water", "dam", "old water"), looks_water.reservoir_fill),
    "reservoir_drain": Look(("bed", "rim"), looks_water.reservoir_drain),
    "flood": Look(("deep", "middle", "shallow", "rim", "channel"), looks_water.flood),
    "landslide": Look(("scar", "deposit"), looks_land.landslide),
    "mine": Look(("grey rock", "spoil", "pond", "white rock", "red earth", "dark rock"), looks_works.mine),
}
"""Every class of change, by name."""

ZONES: dict[str, tuple[str, ...]] = {kind: look.zones for kind, look in LOOKS.items()}
"""Class → names of the parts of its site; a pixel's `Change.zone` counts them."""


def finish_days(kind: str, span: int) -> int:
    """Days from a pixel's turn until what is built there stands, as looks are tabled; 0 where nothing is built.

    Args:
        kind: One of `LOOKS`.
        span: Days from the change's start to its end.
    """
    if kind not in looks_works.LAST_STAGES:
        return 0
    stage, length = looks_works.LAST_STAGES[kind]
    return next(age for age in AGES if age >= stage_days(span, *stage) + length)


def new_looks(kind: str, season: Season, biome: Biome, span: int) -> NDArray[np.float32]:
    """How a change looks on a day, for every age that a pixel of it may have.

    Args:
        kind: One of `LOOKS`.
        season: How the living covers look on the day drawn: regrowth follows the seasons.
        biome: Gives the soil's colour and the pace of regrowth.
        span: Days from the change's start to its end.

    Returns:
        (zones, len(AGES), 11): column 0 is the opacity, 0 to 1, times which `Change.strength` is mixed in; columns 1 to
        10 are the reflectance of `covers.BANDS`.

    Raises:
        DataError: No class has that name, or the span is negative.
    """
    if kind not in LOOKS or span < 0:
        raise DataError(
            f"a change of class {kind!r} over {span} days", f"one of {', '.join(LOOKS)}", "choose one of them"
        )
    ages = np.array(AGES, dtype=np.float64)
    zones = LOOKS[kind].course(Site(ages, season, biome.name, float(span)))
    table = np.empty((len(zones), len(AGES), 11))
    for i, (opacity, spectra) in enumerate(zones):
        table[i, :, 0], table[i, :, 1:] = opacity, spectra
    return np.clip(table, 0.0, 1.0).astype(np.float32)
