"""What a pass meets: its sky, its haze, the water's level, the gain of its bands; both faces draw from the same ranges.

Figures without a source are assumed. Coverage is part of the ground below clouds. Softness is how far above the rim's
value the noise must rise for a cloud to be opaque. Noise is given as exponent, longest and shortest wavelength in
pixels of 20 m (see `noise.new_noise`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from .arrays import array_namespace
from .biomes import Biome
from .render import Array

COVERAGE: dict[str, tuple[float, float]] = {"cumulus": (0.02, 0.28), "broken": (0.28, 0.7), "overcast": (0.92, 0.999)}
"""Kind of sky → least and greatest coverage; kinds that are not here hold no clouds."""

SOFTNESS: dict[str, tuple[float, float]] = {"cumulus": (0.3, 1.1), "broken": (0.3, 1.1), "overcast": (0.8, 2.0)}

CLOUD_BASE = (700.0, 2_000.0)
"""Height of the clouds above the ground, metres."""

CLOUD_THICKNESS = (100.0, 900.0)
"""Metres from base to top."""

MIXED_SKIES: tuple[str, ...] = ("cumulus", "broken")
"""Skies that hold cirrus too, `CIRRUS_SHARE` of the times."""

CLEAR_SKIES: tuple[str, ...] = ("clear", "hazy")

CIRRUS_SHARE = 0.25

CIRRUS_OPACITY = (0.08, 0.36)
"""Of its thickest part."""

CIRRUS_RIM = (-1.5, 0.5)
"""Value of the streaks at which cirrus begins; it is thickest at `CIRRUS_CORE`."""

CIRRUS_CORE = 2.5

VEIL_SHARE = 0.5
"""Clear and hazy skies with cirrus too thin to be found.

Sen2Cor takes for cirrus what reflects more than 0.012 to 0.035 in B10 (its default thresholds), so that up to that much
stays in the visible bands of clear pixels. assumed: half the days; cirrus of any depth covers a sixth of the globe at a
time, more in storm tracks (K. Sassen, Z. Wang and D. Liu 2008, Journal of Geophysical Research 113, D00A12)."""

VEIL_OPACITY = (0.0, 0.04)

VEIL_RIM = (-4.0, -1.5)

HAZY = 1.6
"""Factor on the aerosol of a hazy sky."""

HAZE_SPREAD = 0.3
"""Spread of the aerosol over the ground, as a part of its mean."""

LUMPS = (2.9, (40.0, 140.0), 3.0)
"""Noise of single clouds; its longest wavelength is drawn from a range."""

BANKS_WEIGHT = 0.8
"""Weight of the noise that gathers clouds into banks."""

SMOKE_DEPTH = (0.6, 2.4)
"""Optical depth of smoke in B02 over a fire."""

SMOKE_WIDTH = (2.0, 6.0)
"""Least and greatest half width of a plume at the fire, pixels of 20 m."""

SMOKE_VEER = 20.0
"""Greatest angle, degrees, between the wind of a pass and the direction in which the fire ran as a whole."""

NOISES: dict[str, tuple[float, float, float]] = {
    "haze": (3.0, 400.0, 40.0),
    "doubt": (1.6, 60.0, 2.0),
    "ragged": (2.4, 120.0, 4.0),
    "torn": (2.4, 60.0, 3.0),
}
"""Noise of the aerosol, of the classification's errors, of the snow line and of smoke."""

GAIN = (0.025, 0.012, 0.006)
"""Spread of a pass's gain: of all bands together, of its tilt from B02 to B12, of each band alone.

Source: G. Doxani et al. 2018, Remote Sensing 10 (2), 352 (ACIX): processors differ from the reference by a few per cent
and about 0.01 over dark ground; the aim for Sentinel-2's level 2A is 0.05 ρ + 0.005. assumed: the split into these
parts; what aerosol leaves comes on top, as `new_weather` says."""

_TILT = (-1.0, -0.83, -0.6, -0.52, -0.45, -0.38, -0.3, -0.25, 0.58, 1.0)
"""Logarithm of the wavelength, from -1 to 1, by band of `covers.BANDS`."""


def new_gains(draws: Array) -> Array:
    """Factors (..., C) on the bands of a pass, from standard normal draws (..., 2 + C)."""
    xp = array_namespace(draws)
    tilt = xp.asarray(_TILT, dtype=draws.dtype, device=draws.device)
    return 1.0 + GAIN[0] * draws[..., :1] + GAIN[1] * draws[..., 1:2] * tilt + GAIN[2] * draws[..., 2:]


def new_weather(biome: Biome, month: int, rng: np.random.Generator) -> tuple[str, float]:
    """Sky and haze of a pass.

    Correction takes off what a model of the aerosol says; what stays is how far the day differs from it. assumed:
    errors of either sign, of 0.0065 and half the typical haze in B02, in hazy skies too little. Over one square
    kilometre of Romanian forest the medians of 43 summer dates of level 2A spread by 0.011 in B02, 0.010 in B03 and
    0.009 in B04 (1.4826 × median absolute deviation), the three together (correlations of 0.9) and without B08; Doxani
    et al. (2018, as for `GAIN`) find the same order against references.

    Args:
        biome: Its climate.
        month: 0 to 11.
        rng: Where chance comes from.

    Returns:
        One of `SKIES`; haze as in `Shot.haze`.
    """
    luck, kind, error = rng.random(), rng.random(), float(rng.standard_normal())
    if luck < biome.clear[month]:  # assumed: the shares within clear and partly cloudy
        sky = "clear" if kind < 0.85 else "hazy"
    elif luck > 1 - biome.cloudy[month]:
        sky = "overcast"
    else:
        sky = "cirrus" if kind < 0.25 else "cumulus" if kind < 0.65 else "broken"
    haze = (0.0065 + 0.5 * biome.haze) * error
    if sky == "hazy":
        haze = biome.haze + 0.3 * haze
    return sky, round(min(max(haze, -0.015), 0.03), 5)


def water_level(biome: Biome, when: datetime, years: Sequence[float]) -> float:
    """Water level above its mean, metres.

    On the sea the tide: the constituents M2 (12.4206 h) and S2 (12 h) (Pugh and Woodworth 2014, Sea-Level Science,
    chapter 4); a satellite that comes at one solar time sees S2 at one phase and M2 turn in 14.8 days. assumed:
    amplitudes of 1.3 m and 0.4 m, of the order of those in the southern North Sea. Elsewhere the seasons: assumed,
    highest in late spring, by 2 m in lakes (many are reservoirs) and 0.6 m in rivers, with wetter and drier years.

    Args:
        biome: Whether it has a sea, a lake, a southern winter.
        when: UTC.
        years: How wet the year and the next one begin, -1 to 1.
    """
    hours = (when - datetime(2021, 1, 1, tzinfo=UTC)).total_seconds() / 3600
    if biome.sea:
        turn = 2 * math.pi * hours
        return round(1.3 * math.cos(turn / 12.4206012) + 0.4 * math.cos(turn / 12), 3)
    through = (when.timetuple().tm_yday - 1) / 365.25
    season = math.cos(2 * math.pi * (through - 0.37 - (0.5 if biome.south else 0.0)))
    wet = years[0] + through * (years[1] - years[0])
    return round((2.0 if biome.lake else 0.6) * (0.75 * season + 0.5 * wet), 3)
