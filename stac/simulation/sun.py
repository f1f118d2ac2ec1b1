"""Where the sun stands."""

from __future__ import annotations

from datetime import datetime

import numpy as np


def sun_angles(time: datetime, lon: float, lat: float) -> tuple[float, float]:
    """Azimuth (clockwise from north) and elevation of the sun, degrees.

    Source: J. W. Spencer 1971, Search 2 (5), 172: Fourier series of declination and equation of time, without
    the declination's third harmonic (0.18° at most).

    Args:
        time: UTC.
        lon: Degrees east.
        lat: Degrees north.
    """
    day = time.timetuple().tm_yday - 1 + (time.hour - 12) / 24
    g = 2 * np.pi * day / 365
    decl = 0.006918 - 0.399912 * np.cos(g) + 0.070257 * np.sin(g) - 0.006758 * np.cos(2 * g) + 0.000907 * np.sin(2 * g)
    late = 229.18 * (0.000075 + 0.001868 * np.cos(g) - 0.032077 * np.sin(g) - 0.014615 * np.cos(2 * g))
    late -= 229.18 * 0.040849 * np.sin(2 * g)
    minutes = time.hour * 60 + time.minute + time.second / 60 + late + 4 * lon
    hour, phi = np.radians(minutes / 4 - 180), np.radians(lat)
    up = np.sin(phi) * np.sin(decl) + np.cos(phi) * np.cos(decl) * np.cos(hour)
    east, north = -np.cos(decl) * np.sin(hour), np.cos(phi) * np.sin(decl) - np.sin(phi) * np.cos(decl) * np.cos(hour)
    return float(np.degrees(np.arctan2(east, north)) % 360), float(np.degrees(np.arcsin(up)))
