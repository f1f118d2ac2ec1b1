"""The simulated ground's contract: fields over one grid of 10 m pixels, north up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""A field over the ground, (H, W), float32."""


@dataclass(frozen=True, eq=False)
class Relief:
    """The ground's shape."""

    height: Field
    """(H, W), metres above the sea."""
    east: Field
    """(H, W), rise towards the east, metres per metre; 0 on water."""
    north: Field
    """(H, W), rise towards the north, metres per metre; 0 on water."""
    drainage: Field
    """(H, W), log10 of the area that drains through a pixel, in cells of 40 m."""


@dataclass(frozen=True, eq=False)
class Fields:
    """The farmed fields, N of them (N may be 0)."""

    crop: NDArray[np.int64]
    """(years, N), number in `covers.CROPS`, by year: crops rotate; later years repeat."""
    late: NDArray[np.float64]
    """(N,), days by which a field's calendar is late."""
    bright: NDArray[np.float64]
    """(N,), factor on the reflectance of its soil."""


@dataclass(frozen=True, eq=False)
class Ground:
    """A piece of invented country without dates: what covers it, and its shape."""

    biome: str
    """Name in `biomes.BIOMES`."""
    relief: Relief
    cover: NDArray[np.int16]
    """(H, W), number in `covers.COVERS`, or len(COVERS) + field."""
    moist: Field
    """(H, W), about -1 (dry) to 1 (moist): where green stays longer."""
    texture: Field
    """(H, W), zero mean, unit spread: crowns, tussocks, roofs, at the scale of a pixel or two."""
    tint: Field
    """(H, W), zero mean, unit spread (a quarter on water): broad differences within a cover."""
    dryness: Field
    """(H, W), zero mean, unit spread (a quarter on water): litter, leaves and soil that hold less water."""
    shore: Field
    """(H, W), height above the mean water level, metres, where water comes and goes (tidal flats, shores of lakes and
    reservoirs); +inf on ground that is never drowned, -inf where water always stands."""
    fields: Fields

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return int(self.cover.shape[0]), int(self.cover.shape[1])
