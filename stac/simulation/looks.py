"""How each class of change looks as it ages: opacity and reflectance by days since a pixel's own turn.

Sources of the stages and their lengths:

- wildfire: char is black at first and gone within months (in savanna within weeks: Trigg & Flasse 2000,
  International Journal of Remote Sensing 21, 3161; Pereira 2003, https://doi.org/10.1071/WF03028); NBR of conifer
  forests regains 30 to 44 % in five years and 47 to 72 % in ten (Bright et al. 2019,
  https://doi.org/10.1186/s42408-018-0021-9). Severe fires show a dNBR above 0.66, light ones 0.1 to 0.27 (Key & Benson
  2006, https://doi.org/10.2737/RMRS-GTR-164).
- clear-cut: assumed, 5 to 10 years to 80 % of the NBR, of the order of Canada's forests (White et al. 2017,
  https://doi.org/10.1016/j.rse.2017.03.035), faster in the tropics; in Amazonia the felled trees dry and are burnt,
  then pasture or crops are sown (Morton et al. 2008, https://doi.org/10.1111/j.1365-2486.2008.01652.x).
- logging: assumed, gaps are hardly seen after 1 to 3 years, of the order of their closing in the eastern Amazon (Asner
  et al. 2004, Global Change Biology 10, 765: 0.5 to 3.5 years after harvest).
- flood: silt behind the water, then crops and grass again. landslide: assumed, regreening takes years to
  decades (its first years in Taiwan: Lin et al. 2005, https://doi.org/10.1016/j.foreco.2005.02.026).
- assumed: stages of building sites, roads, solar farms, reservoirs and mines, by the usual order of works: clearing,
  earth for 2 to 6 months, then surfaces; silt settles in a new reservoir within a season; a mine does not go back.

assumed: the pace of regrowth by biome, from 0.25 (desert) to 2.2 (rainforest), temperate forest 1.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .biomes import Biome
from .change import AGES
from .covers import BROADLEAF, GARDEN, GRASS, GRAVEL, RAINFOREST, ROOF_TILE, SHRUB, TRACK
from .crops import SOIL_OF, soften
from .season import Season
from .spectra import MATERIAL_SPECTRA, SOIL_SPECTRA, WET_SOIL

_Course = NDArray[np.float64]
"""(ages,), a figure by age."""
_Spectra = NDArray[np.float64]
"""(ages, 10) or (1, 10), reflectance by age."""
_Zone = tuple[_Course, _Spectra]
"""Opacity and reflectance of one zone."""

PACE: dict[str, float] = {
    "mediterranean": 0.85,
    "temperate": 1.2,
    "boreal": 0.6,
    "rainforest": 2.2,
    "savanna": 1.3,
    "desert": 0.25,
    "cropland": 1.3,
    "coast": 1.15,
}
"""Biome → speed of regrowth, 1 for a mean of all land."""


@dataclass(frozen=True, eq=False)
class _Site:
    """What a look depends on."""

    age: _Course
    season: Season
    biome: str
    span: float
    """Days from the start of the work to its end."""

    @property
    def pace(self) -> float:
        """Speed of regrowth."""
        return PACE[self.biome]

    def stage(self, part: float, least: float, most: float) -> float:
        """Days until a stage of the work, as a part of the whole, within limits."""
        return min(max(part * self.span, least), most)

    def since(self, start: float, length: float) -> _Course:
        """0 until an age, 1 some days later."""
        return soften(self.age, start, length)

    def regrown(self, start: float, length: float) -> _Course:
        """As `since`, at the biome's pace."""
        return soften(self.age, start / min(self.pace, 1.5), length / self.pace)

    def living(self, cover: int) -> _Spectra:
        """A living cover as it is on the day drawn, (1, 10)."""
        poor, rich = self.season.poor[cover].astype(np.float64), self.season.rich[cover].astype(np.float64)
        spectrum: _Spectra = (poor + float(self.season.green[cover]) * (rich - poor))[None, :]
        return spectrum

    def saplings(self) -> _Spectra:
        """Young broadleaf growth on the day drawn, (1, 10)."""
        cover = RAINFOREST if self.biome == "rainforest" else SHRUB if self.biome == "desert" else BROADLEAF
        poor = self.season.poor[cover].astype(np.float64)[None, :]
        return _mix(poor, _material("regrowth"), float(self.season.green[cover]))

    def ground(self, material: str, tint: float = 0.45) -> _Spectra:
        """Bare earth in the colour of the biome's soil, (1, 10)."""
        bare, soil = _material(material), SOIL_SPECTRA[SOIL_OF[self.biome]].astype(np.float64)[None, :]
        return _mix(bare, soil * (bare.mean() / soil.mean()), tint)

    def constant(self, value: float) -> _Course:
        """One figure at all ages."""
        return np.full_like(self.age, value)


def _material(name: str) -> _Spectra:
    """A material's reflectance, (1, 10)."""
    return MATERIAL_SPECTRA[name].astype(np.float64)[None, :]


def _mix(low: _Spectra, high: _Spectra, part: _Course | float) -> _Spectra:
    """Between two spectra, by age."""
    weight = np.asarray(part, dtype=np.float64).reshape(-1, 1)
    mixed: _Spectra = low + weight * (high - low)
    return mixed


def _decay(age: _Course, start: float, days: float) -> _Course:
    """1 until an age, then e-folding."""
    course: _Course = np.exp(-np.maximum(age - start, 0.0) / days)
    return course


def _wildfire(site: _Site) -> list[_Zone]:
    """Char and ash, then washed soil, herbs in the next growing season, shrubs and saplings over years."""
    rain = 1.4 if site.biome == "rainforest" else 1.0
    soil = site.ground("burnt soil", 0.3)
    black = _mix(_material("char"), _material("ash"), 0.1 * _decay(site.age, 0, 14))
    crown = _mix(soil, black, _decay(site.age, 20, 150 / rain))
    crown = _mix(crown, site.living(GRASS), 0.34 * site.regrown(130, 800))
    crown = _mix(crown, site.saplings(), 0.22 * site.regrown(420, 2_400))
    thin = _mix(soil, black, _decay(site.age, 6, 30 if site.biome == "savanna" else 60))
    thin = _mix(thin, site.living(GRASS), 0.9 * site.regrown(45, 330))
    return [
        (1 - 0.14 * site.regrown(250, 2_600), crown),
        (0.95 - 0.8 * site.regrown(60, 700), thin),
    ]


def _road(site: _Site) -> list[_Zone]:
    """Cleared, graded, surfaced; the verges green again."""
    laid = site.stage(0.4, 25, 110)
    dirt = _mix(site.living(TRACK), site.ground("earthwork", 0.7), 0.5)
    gravel = _mix(site.living(GRAVEL), dirt, 0.35)
    surface = {"rainforest": dirt, "savanna": dirt, "boreal": gravel}.get(site.biome, _material("road surface"))
    earth = _mix(site.ground("cleared soil"), site.ground("earthwork"), site.since(4, 14))
    bed = _mix(earth, surface, site.since(laid, 10))
    verge = _mix(earth, site.living(GRASS), 0.8 * site.regrown(laid + 40, 450))
    return [(site.constant(1.0), bed), (site.constant(0.95) - 0.3 * site.regrown(200, 900), verge)]


def _clear_cut(site: _Site) -> list[_Zone]:
    """Slash and soil, herbs in the second summer, saplings later; in rainforest burnt, then pasture."""
    block = _mix(site.ground("slash", 0.15), site.ground("cleared soil"), 0.25 + 0.35 * site.since(10, 90))
    if site.biome == "rainforest":
        block = _mix(block, _material("char"), 0.7 * site.since(50, 6) * _decay(site.age, 56, 45))
        block = _mix(block, site.living(GRASS), 0.85 * site.since(110, 260))
    else:
        block = _mix(block, site.living(GRASS), 0.6 * site.regrown(70, 720))
        block = _mix(block, site.saplings(), 0.5 * site.regrown(330, 2_000))
    landing = _mix(site.ground("cleared soil"), site.ground("earthwork"), 0.4 * site.since(0, 20))
    landing = _mix(landing, site.living(GRASS), 0.45 * site.regrown(150, 1_400))
    return [(site.constant(0.97), block), (site.constant(1.0), landing)]


def _logging(site: _Site) -> list[_Zone]:
    """Gaps full of slash that close within a few years; trails of bare soil."""
    gap = _mix(site.ground("slash", 0.15), site.living(SHRUB), 0.4 * site.regrown(40, 300))
    gap = _mix(gap, site.saplings(), 0.75 * site.regrown(90, 900))
    trail = _mix(site.ground("cleared soil"), site.living(GRASS), 0.5 * site.regrown(120, 900))
    trail = _mix(trail, site.saplings(), 0.4 * site.regrown(300, 1_500))
    return [
        (0.8 - 0.6 * site.regrown(90, 1_500), gap),
        (0.92 - 0.5 * site.regrown(200, 1_900), trail),
    ]


def _urban(site: _Site) -> list[_Zone]:
    """Earth for 2 to 6 months, then streets, roofs of several colours, and gardens that green within two years."""
    built = site.stage(0.45, 60, 180)
    earth = _mix(site.ground("cleared soil"), site.ground("earthwork"), site.since(5, 20))
    roofed, full = site.since(built, 25), site.constant(1.0)
    tile = site.season.poor[ROOF_TILE].astype(np.float64)[None, :]
    roofs = [_mix(earth, roof, roofed) for roof in (_material("roof"), _material("dark roof"), tile)]
    street = _mix(earth, _material("street"), site.since(0.7 * built, 15))
    yard = _mix(
        _mix(earth, _material("yard"), site.since(built + 20, 60)), site.living(GARDEN), site.since(built + 60, 500)
    )
    return [*((full, roof) for roof in roofs), (full, street), (full, yard)]


def _solar_farm(site: _Site) -> list[_Zone]:
    """Graded, then panels row by row; grass below them where it grows."""
    built = site.stage(0.4, 30, 120)
    earth = _mix(site.ground("cleared soil"), site.ground("earthwork"), site.since(3, 20))
    rows = _mix(earth, _material("panel"), site.since(built, 24))
    rows = _mix(rows, site.living(GRASS), 0.18 * site.regrown(built + 80, 400))
    track = _mix(earth, site.living(GRAVEL), 0.7 * site.since(built, 30))
    return [(site.constant(0.97), rows), (site.constant(1.0), track)]


def _reservoir_fill(site: _Site) -> list[_Zone]:
    """Mud and drowned plants, then muddy water that clears within a season."""
    water = _mix(_material("muddy water"), _material("clear water"), 0.92 * site.since(15, 150))
    return [(site.constant(1.0), _mix(_material("mud"), water, site.since(0, 6)))]


def _reservoir_drain(site: _Site) -> list[_Zone]:
    """Wet mud that dries and cracks, then weeds and grass."""
    dry = site.ground("cleared soil", 0.5) * 1.1
    bed = _mix(_material("mud"), dry, site.since(8, 70))
    bed = _mix(bed, site.living(GRASS), 0.75 * site.regrown(60, 420))
    bed = _mix(bed, site.saplings(), 0.25 * site.regrown(500, 1_500))
    return [(site.constant(1.0), bed)]


def _flood(site: _Site) -> list[_Zone]:
    """Muddy water for days to weeks, drying mud, then back to what was."""
    zones = []
    for part, least, most, silt in ((0.7, 5, 45, 0.85), (0.35, 3, 20, 0.6)):
        stay = site.stage(part, least, most)
        gone = site.since(stay, 4)
        wet = _mix(_material("muddy water"), _material("mud"), gone)
        dry = _mix(wet, site.ground("cleared soil", 0.6), 0.8 * site.since(stay + 6, 40))
        spectra = _mix(dry, site.living(GRASS), 0.4 * site.regrown(stay + 25, 160))
        residue = silt * _decay(site.age, stay + 4, 55 / min(max(site.pace, 0.6), 1.6)) + 0.06
        zones.append((np.minimum(1 - gone * (1 - residue), 1.0) * (1 - site.since(500, 600)), spectra))
    return zones


def _landslide(site: _Site) -> list[_Zone]:
    """Fresh debris, wet at first; a scar of rock and subsoil regreens over decades, the deposit sooner."""
    debris = site.ground("landslide debris", 0.35)
    scar = _mix(debris, _material("fresh rock"), 0.25)
    scar = _mix(scar, site.living(GRASS), 0.35 * site.regrown(180, 2_600))
    deposit = _mix(debris * WET_SOIL.astype(np.float64)[None, :], debris, site.since(4, 30))
    deposit = _mix(deposit, site.living(GRASS), 0.5 * site.regrown(120, 1_700))
    return [(site.constant(1.0), scar), (site.constant(1.0), deposit)]


def _mine(site: _Site) -> list[_Zone]:
    """Topsoil off, fresh rock, grey heaps, ponds: never back."""
    opened = site.stage(0.2, 20, 90)
    bare = site.ground("cleared soil")
    pit = _mix(bare, _mix(_material("fresh rock"), site.ground("earthwork", 0.7), 0.3), site.since(opened, 40))
    spoil = _mix(bare, _mix(_material("spoil"), site.ground("earthwork", 0.7), 0.25), site.since(10, 40))
    spoil = _mix(spoil, site.living(GRASS), 0.1 * site.regrown(500, 1_500))
    water = _mix(_material("muddy water"), _material("clear water"), 0.45 * site.since(opened + 60, 300))
    pond = _mix(_mix(bare, _material("mud"), site.since(opened, 15)), water, site.since(opened + 25, 20))
    full = site.constant(1.0)
    return [(full, pit), (full, spoil), (full, pond)]


@dataclass(frozen=True)
class Look:
    """How one class of change looks."""

    zones: tuple[str, ...]
    """Names of the parts of its site, by `Change.zone`."""
    course: Callable[[_Site], list[_Zone]]
    """Draws each zone's opacity and reflectance by age."""


LOOKS: dict[str, Look] = {
    "wildfire": Look(("crown", "ground"), _wildfire),
    "road": Look(("bed", "verge"), _road),
    "clear_cut": Look(("block", "landing"), _clear_cut),
    "logging": Look(("gap", "trail"), _logging),
    "urban": Look(("roof light", "roof dark", "roof tile", "street", "yard"), _urban),
    "solar_farm": Look(("panel", "track"), _solar_farm),
    "reservoir_fill": Look(("water",), _reservoir_fill),
    "reservoir_drain": Look(("bed",), _reservoir_drain),
    "flood": Look(("deep", "shallow"), _flood),
    "landslide": Look(("scar", "deposit"), _landslide),
    "mine": Look(("pit", "spoil", "pond"), _mine),
}
"""Every class of change, by name."""

ZONES: dict[str, tuple[str, ...]] = {kind: look.zones for kind, look in LOOKS.items()}
"""Class → names of the parts of its site; a pixel's `Change.zone` counts them."""


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
    zones = LOOKS[kind].course(_Site(ages, season, biome.name, float(span)))
    table = np.empty((len(zones), len(AGES), 11))
    for i, (opacity, spectra) in enumerate(zones):
        table[i, :, 0], table[i, :, 1:] = opacity, spectra
    return np.clip(table, 0.0, 1.0).astype(np.float32)
