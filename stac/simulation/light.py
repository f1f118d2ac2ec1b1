"""The light of the sun on slopes, for NumPy arrays and torch tensors with leading batch dimensions."""

from __future__ import annotations

import math
from typing import Any

from .arrays import array_namespace
from .render import Array, per_image

# assumed: level 2A removes a third of the contrast that the bare cosine would give.
_CONTRAST = 0.64

# assumed: softness of the cosine near 0.
_SKYLIGHT = 0.1

_LOWEST = math.sin(math.radians(20.0))
"""Sine of the lowest sun that counts."""

# Shades hold skylight, which is blue: the contrast of slopes falls towards short waves.
# assumed: ±12 % about the mean, by band of `covers.BANDS`.
_BY_BAND = (0.88, 0.92, 0.95, 0.97, 0.98, 1.0, 1.02, 1.02, 1.1, 1.12)


def sun_vector(azimuth: Any, elevation: Any) -> tuple[Any, Any, Any]:
    """Direction to the sun as parts east, north and up of a unit vector.

    Args:
        azimuth: Degrees clockwise from north; a number, or an array.
        elevation: Degrees above the horizon; the same.

    Returns:
        Plain numbers for numbers, otherwise float32 arrays, computed in float64.
    """
    if isinstance(azimuth, int | float) and isinstance(elevation, int | float):
        a, e = math.radians(azimuth), math.radians(elevation)
        return math.sin(a) * math.cos(e), math.cos(a) * math.cos(e), math.sin(e)
    xp = array_namespace(azimuth)
    wide = xp.astype(azimuth, xp.float64) * (math.pi / 180), xp.astype(elevation, xp.float64) * (math.pi / 180)
    flat = xp.cos(wide[1])
    parts = (xp.sin(wide[0]) * flat, xp.cos(wide[0]) * flat, xp.sin(wide[1]))
    return tuple(xp.astype(part, xp.float32) for part in parts)


def shade(east: Array, north: Array, azimuth: Any, elevation: Any) -> Array:
    """Light on a slope over light on the flat, (..., H, W), 1 where the ground is flat.

    The cosine of incidence over its value on the flat, softened by skylight.
    Source: the cosine correction of P. M. Teillet, B. Guindon and D. G. Goodenough 1982, Canadian Journal of Remote
    Sensing 8 (2), 84, turned about.
    assumed: skylight and neighbouring slopes reach every pixel, so that the cosine falls to 0 softly; light above that
    of the flat is held back by 0.7 of itself; a sun below 20 degrees shades as one at 20 degrees.

    Args:
        east: (..., H, W), rise towards the east, metres per metre.
        north: (..., H, W), rise towards the north.
        azimuth: Of the sun, degrees clockwise from north; a number, or (...).
        elevation: Of the sun, degrees; a number, or (...).
    """
    xp = array_namespace(east)
    to_east, to_north, up = sun_vector(azimuth, elevation)
    up = max(up, _LOWEST) if isinstance(up, float) else xp.clip(up, _LOWEST, 1.0)
    cosine = 1.0 - (east * per_image(to_east / up) + north * per_image(to_north / up))
    cosine /= xp.sqrt(1.0 + east * east + north * north)
    soft = 0.5 * (cosine + xp.sqrt(cosine * cosine + _SKYLIGHT))
    extra = _CONTRAST * (soft - 0.5 * (1.0 + math.sqrt(1.0 + _SKYLIGHT)))
    return xp.where(cosine == 1.0, 1.0, 1.0 + extra / (1.0 + 0.7 * xp.clip(extra, 0.0, 9.0)))


def lay_light(image: Array, factor: Array) -> None:
    """Light an image (..., C, H, W) by the factor (..., H, W) of `shade`, in place; blue shades are less deep."""
    extra = factor - 1.0
    for b in range(image.shape[-3]):
        band = image[..., b, :, :]
        band *= 1.0 + _BY_BAND[b] * extra
