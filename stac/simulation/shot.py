"""One overpass: what is decided about a day before anything is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

SKIES: tuple[str, ...] = ("clear", "hazy", "cirrus", "cumulus", "broken", "overcast")
"""Kinds of sky, by falling share of clear ground."""


@dataclass(frozen=True)
class Shot:
    """One overpass of one area."""

    index: int
    """Number of the pass within its area, from 0: the key of its chance."""
    time: datetime
    """UTC."""
    sky: str
    """One of `SKIES`."""
    haze: float
    """Aerosol left after atmospheric correction: reflectance in B02, -0.015 (corrected too far) to 0.03 (thick)."""
    snow_line: float
    """Height above which snow lies, metres; infinite for none."""
    level: float
    """Water level above its mean, metres: the tide, or the season of a lake."""
    sun_azimuth: float
    """Degrees clockwise from north."""
    sun_elevation: float
    """Degrees above the horizon."""
    shift: tuple[float, float]
    """Misregistration of this pass, pixels of 10 m down and right: up to 0.3 long, 1.2 in old baselines, 1.9 in the
    first of two deliveries."""
    laden_line: float = math.inf
    """Height above which trees bear fresh snow, metres; infinite for none."""
    ice: float = 0.0
    """Thickness of the ice on lakes, cm."""
