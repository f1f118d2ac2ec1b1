"""The scene classification (SCL), with the errors that the real one makes.

A short form of Sen2Cor's rules, applied to the drawn 20 m image, so that most errors come about as the real ones do:
white roofs and bright ground become cloud, thin edges of clouds are missed, burn scars and shade become dark area.
Source of the rules: J. Louis et al. 2016, Sentinel-2 Sen2Cor: L2A processor for users, ESA SP-740; and the processor's
default thresholds (L2A_CAL_SC_GIPP), which hold at the top of the air: `_PATH` is added to the drawn reflectance first.
Source of the errors: L. Baetens, C. Desjardins and O. Hagolle 2019, Remote Sensing 11 (4), 433: overall accuracy of
Sen2Cor's masks about 84 %, of MAJA's and Fmask's about 90 %; K. Tarrio et al. 2020, Science of Remote Sensing 2,
100010: omission of clouds and, more so, of shadows. assumed: how `doubt` spreads the thresholds.

For NumPy arrays and torch tensors with leading batch dimensions.
"""

from __future__ import annotations

from typing import Any

from .arrays import array_namespace
from .covers import BANDS
from .render import Array
from .sky import Sky

DARK, SHADOW, VEGETATION, BARE, WATER, UNCLASSIFIED, CLOUD_MEDIUM, CLOUD_HIGH, CIRRUS, SNOW = range(2, 12)
"""Classes of the SCL that are drawn."""

# assumed: what clean air adds at the top, as in a standard atmosphere with the sun at 45 degrees.
_PATH = {"B02": 0.06, "B03": 0.035, "B04": 0.02, "B8A": 0.005, "B11": 0.0, "B12": 0.0}


def ramp(value: Array, low: Any, high: Any) -> Array:
    """0 below `low`, 1 above `high`, straight between."""
    return array_namespace(value).clip((value - low) / (high - low), 0.0, 1.0)


def erode(field: Array) -> Array:
    """Least of 3 × 3 pixels; edges are continued."""
    xp = array_namespace(field)
    tall = xp.concat([field[..., :1, :], field, field[..., -1:, :]], axis=-2)
    field = xp.minimum(xp.minimum(tall[..., :-2, :], tall[..., 1:-1, :]), tall[..., 2:, :])
    wide = xp.concat([field[..., :1], field, field[..., -1:]], axis=-1)
    return xp.minimum(xp.minimum(wide[..., :-2], wide[..., 1:-1]), wide[..., 2:])


def _cloud_probability(blue: Array, green: Array, red: Array, near: Array, swir: Array, doubt: Array) -> Array:
    """Sen2Cor's cloud probability from brightness, snow index, greenness and the filter of bare soil."""
    probability = ramp(red, 0.06, 0.25)
    probability = probability * probability * ramp((green - swir) / (green + swir) + 0.04 * doubt, -0.24, -0.16)
    probability = probability * (1.0 - ramp((near - red) / (near + red), 0.36, 0.42))
    return probability * ramp(blue / swir + 0.14 * doubt, 0.7, 1.0)


def _snow_probability(blue: Array, green: Array, red: Array, near: Array, swir: Array) -> Array:
    """Sen2Cor's snow probability: snow index, near infrared, blue, blue over red."""
    probability = ramp((green - swir) / (green + swir), 0.3, 0.42) * ramp(near, 0.15, 0.35)
    return probability * ramp(blue, 0.18, 0.22) * ramp(blue / red, 0.85, 0.95)


def classify(image: Array, sky: Sky, doubt: Array, specks: Array) -> Array:
    """Scene classification of one pass.

    Args:
        image: (..., C, h, w), reflectance as seen through the sky, all bands of `covers.BANDS` at 20 m.
        sky: Fields at 20 m: shadows and cirrus are found from geometry and from B10, which the image lacks.
        doubt: (..., h, w), smooth noise with zero mean and unit spread: where the classification errs.
        specks: (..., h, w), uniform from 0 to 1.

    Returns:
        (..., h, w) uint8, classes 2 to 11.
    """
    xp = array_namespace(image)
    blue, green, red, near, swir = (
        xp.clip(image[..., BANDS.index(name), :, :] + _PATH[name], 1e-4, 3.0)
        for name in ("B02", "B03", "B04", "B8A", "B11")
    )
    index = (near - red) / (near + red)
    scl = xp.where((index > 0.39) & (near > 1.6 * green), VEGETATION, xp.full_like(specks, BARE, dtype=xp.uint8))
    scl = xp.where((specks < 0.002) & (scl == BARE), UNCLASSIFIED, scl)
    dark = (red < 0.1) & (near < xp.where(index > 0.39, 0.07, 0.13))
    scl = xp.where(dark, DARK, scl)
    water = (blue > 2.0 * swir) & (index < 0.15) & (near < 0.16) & ((doubt < 1.8) | (blue > 0.085))
    scl = xp.where(water, WATER, scl)
    scl = xp.where(dark & ~water & (doubt > 1.7), SHADOW, scl)
    if sky.shadow is not None:
        found = (sky.shadow + 0.1 * doubt > 0.4) & (near < 0.2) & (doubt > -0.9)
        scl = xp.where(found, SHADOW, scl)
    probability = _cloud_probability(blue, green, red, near, swir, doubt)
    if sky.cloud is not None:
        probability = xp.where(sky.cloud > 0.02, erode(probability), probability)
    snow = _snow_probability(blue, green, red, near, swir) > 0.12
    if sky.cirrus is not None:
        snow = snow & (sky.cirrus < 0.06)
    scl = xp.where((probability > 0.12) & ~snow, UNCLASSIFIED, scl)
    if sky.cirrus is not None:
        scl = xp.where(sky.cirrus + 0.02 * doubt > 0.07, CIRRUS, scl)
    scl = xp.where(probability > 0.35, CLOUD_MEDIUM, scl)
    scl = xp.where(probability > 0.65, CLOUD_HIGH, scl)
    return xp.where(snow & (doubt < 1.5), SNOW, scl)
