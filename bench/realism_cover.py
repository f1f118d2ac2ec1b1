"""Land cover of pixels and chips by one plain rule, the same for simulated and real, and reflectance by class.

The rule sees the pixel's own reflectance only; it makes classes that can be compared, it is no map.

- *water*: NDVI < 0.2, and MNDWI = (B03 − B11) / (B03 + B11) > 0 (Xu 2006, doi:10.1080/01431160600589179) or B11 < 0.03
  (assumed: the sea of the real chips under glint, and dark rivers, where MNDWI is around 0).
- *dense dark*: NDVI ≥ 0.5 (Sobrino et al. 2004, doi:10.1016/j.rse.2004.02.003: full cover) and B12 < 0.10: the dark
  dense vegetation of Kaufman et al. 1997 (doi:10.1109/36.628795; 0.05 to 0.15 at 2.1 µm), forest above all.
- *dense bright*: NDVI ≥ 0.5 and B12 ≥ 0.10: crops, meadows.
- *sparse*: NDVI from 0.2 (bare soil, Sobrino et al. 2004) to 0.5.
- *bare*: NDVI < 0.2 and BSI = ((B11 + B04) − (B08 + B02)) / (B11 + B04 + B08 + B02) ≥ 0.1 (Rikimaru et al. 2002, Trop.
  Ecol. 43; assumed: the threshold, with which the fields of the real set are bare and its roofs are not).
- *built*: the rest: NDVI < 0.2 and BSI < 0.1: roofs, asphalt, and other grey.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from realism_read import Chips

CLASSES = ("water", "dense dark", "dense bright", "sparse", "bare", "built")
KINDS = ("open water", "shore", "forest", "field mosaic", "bare land", "town")
"""Classes of whole chips."""
QUANTILES = (5, 25, 50, 75, 95)
SHARP, OPEN = 0.3, 0.95
LEAST = 2000
"""assumed: fewer pixels of a class give no quantiles."""


def ratio(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """(a − b) / (a + b), kept from dividing by nothing."""
    return np.asarray((a - b) / np.maximum(a + b, 1e-4), np.float32)


def cover_of(chips: Chips) -> NDArray[np.int8]:
    """(N, H, W) index into `CLASSES` of every pixel."""
    band = dict(zip(chips.bands, chips.pixels.swapaxes(0, 1), strict=True))
    ndvi = ratio(band["B08"], band["B04"])
    bsi = ratio(band["B11"] + band["B04"], band["B08"] + band["B02"])
    dark = band["B12"] < 0.10
    tests = [water_of(chips), (ndvi >= 0.5) & dark, ndvi >= 0.5, ndvi >= 0.2, bsi >= 0.1]
    return np.select(tests, [0, 1, 2, 3, 4], 5).astype(np.int8)


def kind_of(chips: Chips, cover: NDArray[np.int8]) -> NDArray[np.int8]:
    """(N,) index into `KINDS` of every chip, by the shares of its pixels.

    assumed: nineteen twentieths water is open water, half is a shore; three tenths of pixels where blue bends by more
    than 0.03 from pixel to pixel is a town (roofs beside trees: no pixel rule finds towns); six tenths dense dark is a
    wood, six tenths bare or sparse is bare land, the rest is a mosaic of fields; set on the real chips by eye.
    """
    share = np.stack([(cover == n).mean(axis=(1, 2)) for n in range(len(CLASSES))])
    water, dark, _, sparse, bare, _ = share
    sharp = sharp_of(chips)[:, 1:-1, 1:-1].mean(axis=(1, 2))
    tests = [water >= OPEN, water >= 0.5, sharp >= SHARP, dark >= 0.6, bare + sparse >= 0.6]
    return np.select(tests, [0, 1, 5, 2, 4], 3).astype(np.int8)


def sharp_of(chips: Chips) -> NDArray[np.bool_]:
    """(N, H, W) where blue bends by more than 0.03 from pixel to pixel; never at the edge."""
    blue = chips.pixels[:, chips.bands.index("B02")]
    bend = np.zeros_like(blue)
    bend[:, 1:-1, 1:-1] = (
        blue[:, 1:-1, :-2] + blue[:, 1:-1, 2:] + blue[:, :-2, 1:-1] + blue[:, 2:, 1:-1] - 4 * blue[:, 1:-1, 1:-1]
    )
    return np.asarray(np.abs(bend) > 0.03)


def water_of(chips: Chips) -> NDArray[np.bool_]:
    """(N, H, W) water by the rule of this module."""
    band = dict(zip(chips.bands, chips.pixels.swapaxes(0, 1), strict=True))
    wet = (ratio(band["B03"], band["B11"]) > 0) | (band["B11"] < 0.03)
    return np.asarray(wet & (ratio(band["B08"], band["B04"]) < 0.2))


def quantiles(chips: Chips, cover: NDArray[np.int8]) -> dict[str, dict[str, list[float]]]:
    """Class → band → reflectance at `QUANTILES`; classes of fewer than `LEAST` pixels are left out."""
    table = {}
    for number, name in enumerate(CLASSES):
        spots = cover == number
        if spots.sum() < LEAST:
            continue
        table[name] = {
            band: [round(float(v), 5) for v in np.percentile(chips.pixels[:, c][spots], QUANTILES)]
            for c, band in enumerate(chips.bands)
        }
    return table


def differences(
    simulated: dict[str, dict[str, list[float]]], real: dict[str, dict[str, list[float]]]
) -> dict[str, Any]:
    """Band → mean absolute difference of log reflectance over classes and quantiles, and over each class.

    0.10 says that simulated quantiles lie 10 % off the real ones. Reflectance below 0.002 counts as 0.002: the noise of
    the atmospheric correction (assumed).
    """
    shared = [name for name in CLASSES if name in simulated and name in real]
    bands = list(next(iter(simulated.values())))
    gap = np.array([[_log(simulated[n][b]) - _log(real[n][b]) for b in bands] for n in shared])
    return {
        "band": {b: round(float(np.abs(gap[:, i]).mean()), 4) for i, b in enumerate(bands)},
        "class": {n: round(float(np.abs(gap[i]).mean()), 4) for i, n in enumerate(shared)},
        "median_shift": {
            n: {b: round(float(gap[i, j, 2]), 3) for j, b in enumerate(bands)} for i, n in enumerate(shared)
        },
        "all": round(float(np.abs(gap).mean()), 4),
    }


def _log(values: list[float]) -> NDArray[np.float64]:
    """Log reflectance, not below the noise."""
    return np.log(np.maximum(np.asarray(values, np.float64), 0.002))


def shares(labels: NDArray[np.int8], names: tuple[str, ...]) -> dict[str, float]:
    """Share of each class."""
    return {name: round(float((labels == n).mean()), 4) for n, name in enumerate(names)}
