"""The instrument: blur, misregistration, area means at 20 m, noise, whole numbers.

For NumPy arrays and torch tensors with leading batch dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .arrays import array_namespace
from .covers import BANDS
from .render import Array

REFERENCE_RADIANCE = (128.0, 128.0, 108.0, 74.5, 68.0, 67.0, 103.0, 52.5, 4.0, 1.5)
"""Radiance at which the signal-to-noise ratio is specified, W m⁻² sr⁻¹ µm⁻¹, by band of `covers.BANDS`.

Source: ESA, Sentinel-2 User Handbook, issue 1 revision 2, 2015, table of spectral bands and signal-to-noise ratios."""

SNR = (154.0, 168.0, 142.0, 117.0, 89.0, 105.0, 174.0, 72.0, 100.0, 100.0)
"""Signal-to-noise ratio specified at the reference radiance. Source: as above."""

SOLAR_IRRADIANCE = (1941.63, 1822.61, 1512.79, 1425.56, 1288.32, 1163.19, 1036.39, 955.19, 245.59, 85.25)
"""Sunlight above the air, W m⁻² µm⁻¹. Source: SOLAR_IRRADIANCE in the metadata of Sentinel-2A level-1C products
as they were first issued; later ones give slightly different values (1 % in B02)."""

# Share of the noise's variance that does not grow with the signal. assumed: SNR is specified at one radiance only.
_FIXED_NOISE = 0.3

# Reflectance of the air itself under an overhead sun, by band: level 2A takes its light off, its noise stays.
# assumed: 0.386 times the optical depth of Rayleigh scattering (single scattering at 140 degrees; depth by J. E. Hansen
# and L. D. Travis 1974, Space Science Reviews 16, 527, equation 2.30) and a quarter more for repeated scattering and
# aerosol, times 0.77, the sine of a sun at 50 degrees.
_PATH = (0.055, 0.033, 0.018, 0.014, 0.012, 0.009, 0.007, 0.006, 0.001, 0.0005)

# Part of the light that passes the air twice, by band: level 2A divides by it, which makes the noise larger. assumed:
# exp(-1.15 times the optical depths) of Rayleigh scattering as above, with 5 % off for aerosol and, by band, for ozone
# and water vapour.
_CLEAR = (0.78, 0.80, 0.88, 0.89, 0.91, 0.92, 0.92, 0.95, 0.93, 0.90)

_VARIETY = 0.012
"""Part of the signal by which a band differs from its neighbours pixel by pixel. assumed: so that B06 told from B07 by
regression leaves 1 % of the signal, as in real forest; the instrument's noise alone leaves half of it."""

_SIDE = 0.1
"""Weight of each neighbour along rows and along columns with which noise is mixed: products are resampled from the
detectors' grid to the map's, which takes away the noise's finest scale. assumed: so that the noise of calm lakes has
the autocorrelation of real ones at one pixel (0.20 to 0.32 in B02, B03 and B04), and chips their power between 14 and
17 m, where white noise would have five times as much."""
_KERNEL: list[Any] = [0.0, 0.0, _SIDE, 1 - 2 * _SIDE, _SIDE, 0.0, 0.0]

BLUR = 0.87
"""B of the cubic that samples and blurs at once; C = (1 − B) / 2.

At shift 0 it takes B/6 = 0.145 of each neighbour, a transfer of 0.42 at the Nyquist frequency, 0.27 together with the
square pixel's own 0.64. assumed: within the 0.15 to 0.30 that ESA's mission requirements ask of the 10 m bands.
Source of the cubic: D. P. Mitchell and A. N. Netravali 1988, Computer Graphics 22 (4), 221."""

BLUR_20M = (0.6, 0.6, 0.6, 0.6, 1.0, 1.0)
"""The same for each of `covers.BANDS_20M`, in their own pixels: transfers at the Nyquist frequency of 0.6 in the red
edge and 0.33 in short-wave infrared, 0.38 and 0.21 with the square pixel's. assumed: the same telescope
blurs less of a larger pixel, and more at long waves."""

REACH = 3
"""Taps on each side of the middle: shifts up to 2 pixels."""


def taps(shift: Any, blur: float = BLUR) -> list[Any]:
    """Weights of the pixels −REACH to REACH for a shift.

    Args:
        shift: Pixels by which the picture moves towards higher rows or columns, at most 2; a number, or an array.
        blur: B of the cubic.

    Returns:
        2·REACH + 1 numbers, or arrays of the shift's shape.
    """
    b, c = blur, (1 - blur) / 2
    weights = []
    for place in range(-REACH, REACH + 1):
        if isinstance(shift, int | float):
            x = abs(place + shift)
            near, far = _cubic(x, min(x, 2.0), b, c)
            weights.append(near if x < 1 else far if x < 2 else 0.0)
            continue
        xp = array_namespace(shift)
        x = xp.abs(place + shift)
        near, far = _cubic(x, xp.clip(x, 0.0, 2.0), b, c)
        weights.append(xp.where(x < 1, near, far))
    return weights


def _cubic(x: Any, y: Any, b: float, c: float) -> tuple[Any, Any]:
    """Inner part (x below 1) and outer part (y from 1 to 2) of Mitchell and Netravali's cubic."""
    near = ((12 - 9 * b - 6 * c) * x * x * x + (-18 + 12 * b + 6 * c) * x * x + (6 - 2 * b)) / 6
    far = ((-b - 6 * c) * y * y * y + (6 * b + 30 * c) * y * y + (-12 * b - 48 * c) * y + (8 * b + 24 * c)) / 6
    return near, far


def blur_and_shift(image: Array, down: Any, right: Any, blur: float | Sequence[float] = BLUR) -> Array:
    """Blur of the instrument together with a shift by parts of a pixel; edges are continued.

    Args:
        image: (..., C, H, W) float32.
        down: Shift towards higher rows, pixels, at most 2: numbers by band, or an array (..., C).
        right: Shift towards higher columns, likewise.
        blur: B of the cubic; one number, or one for each band.

    Returns:
        A new image of the same shape.
    """
    xp = array_namespace(image)
    out = xp.empty(image.shape, dtype=image.dtype, device=image.device)
    plain = isinstance(down, list | tuple)
    for b in range(image.shape[-3]):
        own = blur if isinstance(blur, float) else blur[b]
        rows = taps(float(down[b]) if plain else down[..., b], own)
        cols = taps(float(right[b]) if plain else right[..., b], own)
        out[..., b, :, :] = weigh(weigh(image[..., b, :, :], rows, -2), cols, -1)
    return out


def weigh(band: Array, weights: list[Any], axis: int) -> Array:
    """Weighted sum of a band's neighbours along one axis (−2 or −1)."""
    xp = array_namespace(band)
    length = band.shape[axis]
    ends = band[..., :1, :], band[..., -1:, :]
    if axis == -1:
        ends = band[..., :1], band[..., -1:]
    wide = xp.concat([ends[0]] * REACH + [band] + [ends[1]] * REACH, axis=axis)
    total = None
    for place, weight in enumerate(weights):
        if isinstance(weight, float) and weight == 0.0:
            continue
        part = wide[..., place : place + length, :] if axis == -2 else wide[..., place : place + length]
        part = part * (weight if isinstance(weight, float) else weight[..., None, None])
        if total is None:
            total = part
        else:
            total += part
    return total


def to_20m(field: Array) -> Array:
    """Means of 2 × 2 pixels, (..., H, W) to (..., H/2, W/2)."""
    total = field[..., ::2, ::2] + field[..., 1::2, ::2]
    total += field[..., ::2, 1::2]
    total += field[..., 1::2, 1::2]
    total *= 0.25
    return total


def to_10m(field: Array) -> Array:
    """A field at twice the resolution, bilinear, (..., h, w) to (..., 2h, 2w); its 20 m means keep the range."""
    xp = array_namespace(field)
    h, w = field.shape[-2], field.shape[-1]
    tall = xp.empty((*field.shape[:-2], 2 * h, w), dtype=field.dtype, device=field.device)
    up = xp.concat([field[..., :1, :], field[..., :-1, :]], axis=-2)
    down = xp.concat([field[..., 1:, :], field[..., -1:, :]], axis=-2)
    tall[..., 0::2, :] = 0.75 * field + 0.25 * up
    tall[..., 1::2, :] = 0.75 * field + 0.25 * down
    out = xp.empty((*field.shape[:-2], 2 * h, 2 * w), dtype=field.dtype, device=field.device)
    left = xp.concat([tall[..., :1], tall[..., :-1]], axis=-1)
    right = xp.concat([tall[..., 1:], tall[..., -1:]], axis=-1)
    out[..., 0::2] = 0.75 * tall + 0.25 * left
    out[..., 1::2] = 0.75 * tall + 0.25 * right
    return out


def reference(band: str, elevation: float) -> tuple[float, float]:
    """Numbers of a band's noise for `add_noise`, in reflectance of the ground.

    At the sensor, reflectance = π · radiance / (irradiance · sin(elevation)), and the noise's variance is
    σ² (0.3 + 0.7 ρ / level) with σ = level / SNR. Level 2A takes ρ = path + clear · ground, so that the ground's noise
    has the same form with other numbers: more of it is fixed, above all in blue. A low sun is noisier.

    Args:
        band: One of `covers.BANDS`.
        elevation: Of the sun, degrees; taken as 15 where it is less.

    Returns:
        Reflectance of the ground at which `add_noise` gives `sigma`, and `sigma`: the standard deviation before the
        noise is resampled.
    """
    place = BANDS.index(band)
    up = math.sin(math.radians(max(elevation, 15.0)))
    overhead = math.pi * REFERENCE_RADIANCE[place] / SOLAR_IRRADIANCE[place]
    more = 1 + (1 - _FIXED_NOISE) / _FIXED_NOISE * _PATH[place] / overhead
    level = overhead / up * more / _CLEAR[place]
    return level, overhead / up / SNR[place] / _CLEAR[place] * math.sqrt(more)


def add_noise(band: Array, noise: Array, level: Any, sigma: Any) -> None:
    """Add noise to one band, in place: the instrument's, fixed and growing with the signal (photons), and `_VARIETY`.

    Resampling to the map's grid mixes the noise of neighbours (`_SIDE`), which leaves 0.66 of its standard deviation.

    Args:
        band: (..., H, W), reflectance.
        noise: (..., H, W), standard normal.
        level: Reflectance at which the noise is `sigma`, see `reference`; a number, or fits the band.
        sigma: Standard deviation there, before resampling; likewise.
    """
    xp = array_namespace(band)
    growth = xp.clip(band, 0.0, 2.0)
    growth *= (1 - _FIXED_NOISE) / level
    growth += _FIXED_NOISE
    variety = band * (_VARIETY / sigma)
    growth += variety * variety
    growth = xp.sqrt(growth)
    growth *= weigh(weigh(noise, _KERNEL, -2), _KERNEL, -1)
    growth *= sigma
    band += growth


def to_dn(band: Array) -> Array:
    """Whole numbers, reflectance × 10,000, from 1 (0 is no data) to 20,000; still floating point.

    assumed: level-2A reflectance of cloud reaches 2 at the most.
    """
    xp = array_namespace(band)
    return xp.clip(xp.round(band * 10_000.0), 1.0, 20_000.0)
