"""The site of a change: what its looks depend on, and how spectra are mixed as it ages.

assumed: the pace of regrowth by biome, from 0.25 (desert) to 2.2 (rainforest), temperate forest 1.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .covers import BROADLEAF, RAINFOREST, SHRUB
from .crops import SOIL_OF
from .season import Season
from .spectra import MATERIAL_SPECTRA, SOIL_SPECTRA
from .steps import mix, soften

Course = NDArray[np.float64]
"""(ages,), a figure by age."""
Spectra = NDArray[np.float64]
"""(ages, 10) or (1, 10), reflectance by age."""
Zone = tuple[Course, Spectra]
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


def stage_days(span: float, part: float, least: float, most: float) -> float:
    """Days until a stage of a work of `span` days, as a part of the whole, within limits."""
    return min(max(part * span, least), most)


@dataclass(frozen=True, eq=False)
class Site:
    """What a look depends on."""

    age: Course
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
        return stage_days(self.span, part, least, most)

    def since(self, start: float, length: float) -> Course:
        """0 until an age, 1 some days later."""
        return soften(self.age, start, length)

    def regrown(self, start: float, length: float) -> Course:
        """As `since`, at the biome's pace."""
        return soften(self.age, start / min(self.pace, 1.5), length / self.pace)

    def living(self, cover: int) -> Spectra:
        """A living cover as it is on the day drawn, (1, 10)."""
        poor, rich = self.season.poor[cover].astype(np.float64), self.season.rich[cover].astype(np.float64)
        spectrum: Spectra = (poor + float(self.season.green[cover]) * (rich - poor))[None, :]
        return spectrum

    def saplings(self) -> Spectra:
        """Young broadleaf growth on the day drawn, (1, 10)."""
        cover = RAINFOREST if self.biome == "rainforest" else SHRUB if self.biome == "desert" else BROADLEAF
        poor = self.season.poor[cover].astype(np.float64)[None, :]
        return mix(poor, material_spectrum("regrowth"), float(self.season.green[cover]))

    def ground(self, material: str, tint: float = 0.45) -> Spectra:
        """Bare earth in the colour of the biome's soil, (1, 10)."""
        bare, soil = material_spectrum(material), SOIL_SPECTRA[SOIL_OF[self.biome]].astype(np.float64)[None, :]
        return mix(bare, soil * (bare.mean() / soil.mean()), tint)

    def constant(self, value: float) -> Course:
        """One figure at all ages."""
        return np.full_like(self.age, value)


def material_spectrum(name: str) -> Spectra:
    """A material's reflectance, (1, 10)."""
    return MATERIAL_SPECTRA[name].astype(np.float64)[None, :]


def decay(age: Course, start: float, days: float) -> Course:
    """1 until an age, then e-folding."""
    course: Course = np.exp(-np.maximum(age - start, 0.0) / days)
    return course
