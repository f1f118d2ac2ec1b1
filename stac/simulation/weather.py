"""What a sky may hold, by its kind: ranges that both faces of the generator draw from. All figures are assumed.

Coverage is part of the ground below clouds. Softness is how far above the rim's value the noise must rise for a cloud
to be opaque. Noise is given as exponent, longest and shortest wavelength in pixels of 20 m (see `noise.new_noise`).
"""

from __future__ import annotations

COVERAGE: dict[str, tuple[float, float]] = {"cumulus": (0.02, 0.28), "broken": (0.28, 0.7), "overcast": (0.86, 0.995)}
"""Kind of sky → least and greatest coverage; kinds that are not here hold no clouds."""

SOFTNESS: dict[str, tuple[float, float]] = {"cumulus": (0.3, 1.1), "broken": (0.3, 1.1), "overcast": (0.8, 2.0)}

CLOUD_BASE = (700.0, 2_000.0)
"""Height of the clouds above the ground, metres."""

CLOUD_THICKNESS = (100.0, 900.0)
"""Metres from base to top."""

MIXED_SKIES: tuple[str, ...] = ("cumulus", "broken")
"""Skies that hold cirrus too, `CIRRUS_SHARE` of the times."""

CIRRUS_SHARE = 0.25

CIRRUS_OPACITY = (0.08, 0.36)
"""Of its thickest part."""

CIRRUS_RIM = (-1.5, 0.5)
"""Value of the streaks at which cirrus begins; it is thickest at `CIRRUS_CORE`."""

CIRRUS_CORE = 2.5

HAZY = 1.6
"""Factor on the aerosol of a hazy sky."""

HAZE_SPREAD = 0.3
"""Spread of the aerosol over the ground, as a part of its mean."""

LUMPS = (2.9, (40.0, 140.0), 3.0)
"""Noise of single clouds; its longest wavelength is drawn from a range."""

BANKS_WEIGHT = 0.8
"""Weight of the noise that gathers clouds into banks."""

SMOKE_DEPTH = (0.8, 3.0)
"""Optical depth of smoke in B02 over a fire."""

SMOKE_WIDTH = (3.0, 8.0)
"""Half width of a plume at the fire, pixels of 20 m."""

NOISES: dict[str, tuple[float, float, float]] = {
    "haze": (3.0, 400.0, 40.0),
    "doubt": (1.6, 60.0, 2.0),
    "ragged": (2.4, 120.0, 4.0),
    "torn": (2.4, 60.0, 3.0),
}
"""Noise of the aerosol, of the classification's errors, of the snow line and of smoke."""
