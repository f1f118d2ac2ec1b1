"""Texture of chips: autocorrelation against distance, the spectrum's slope, and the numbers that a person can name.

Numbers are made in groups (`FEATURES`), so that a plain classifier on one group says what kind of thing tells simulated
chips from real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from realism_cover import KINDS
from realism_read import Chips

LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Distances, pixels of 10 m."""
RINGS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Edges of rings of spatial frequency, cycles a pixel: octaves from 320 m to 20 m."""
FEATURES = ("level and spread", "ratios and correlations of bands", "spectrum", "finest scale", "histogram tails")
LEAST_CHIPS = 5


def autocorrelation(pixels: NDArray[np.float32], lags: Sequence[int] = LAGS) -> NDArray[np.float64]:
    """(N, len(lags)) of one band (N, H, W): 1 − semivariance at the distance / variance of the chip.

    Mean of rows and columns. The variance is that of the chip itself (64 px), so the curve says how variance is shared
    between scales within a chip, not how much there is.
    """
    x = pixels.astype(np.float64)
    spread = np.maximum(x.var(axis=(1, 2)), 1e-10)
    table = []
    for lag in lags:
        along = ((x[:, :, lag:] - x[:, :, :-lag]) ** 2).mean(axis=(1, 2))
        across = ((x[:, lag:] - x[:, :-lag]) ** 2).mean(axis=(1, 2))
        table.append(1 - (along + across) / 4 / spread)
    return np.stack(table, axis=1)


def rings(pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, 4) log10 power of one band (N, H, W) in the octaves of `RINGS`, under a Hann window, mean taken off."""
    x = pixels.astype(np.float64)
    window = np.hanning(x.shape[-1])
    x = (x - x.mean(axis=(1, 2), keepdims=True)) * window[:, None] * window
    power = np.abs(np.fft.fft2(x)) ** 2
    grid = np.fft.fftfreq(x.shape[-1])
    radius = np.hypot(grid[:, None], grid)
    octaves = pairwise(RINGS)
    return np.log10(np.stack([power[:, (radius >= a) & (radius < b)].mean(axis=1) for a, b in octaves], axis=1) + 1e-9)


def slope(octaves: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) exponent of power against frequency: −2 halves the amplitude with each octave."""
    step = np.arange(octaves.shape[1]) * np.log10(2)
    step = step - step.mean()
    return np.asarray((octaves * step).sum(axis=1) / (step**2).sum())


def texture(chips: Chips, kind: NDArray[np.int8]) -> dict[str, dict[str, dict[str, object]]]:
    """Kind of chip → band → median autocorrelation, median slope, median standard deviation; `all` for every chip."""
    curves = {band: autocorrelation(chips.pixels[:, c]) for c, band in enumerate(chips.bands)}
    slopes = {band: slope(rings(chips.pixels[:, c])) for c, band in enumerate(chips.bands)}
    spread = {band: chips.pixels[:, c].std(axis=(1, 2)) for c, band in enumerate(chips.bands)}
    table = {}
    for number, name in [(-1, "all"), *enumerate(KINDS)]:
        own = np.ones(len(kind), bool) if number < 0 else kind == number
        if own.sum() < LEAST_CHIPS:
            continue
        table[name] = {
            band: {
                "autocorrelation": [round(float(v), 4) for v in np.median(curves[band][own], axis=0)],
                "slope": round(float(np.median(slopes[band][own])), 3),
                "spread": round(float(np.median(spread[band][own])), 5),
            }
            for band in chips.bands
        }
    return table


def features(chips: Chips, gsd: int = 10) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Group of `FEATURES` → name of a number → its (N,) values; `gsd` is the side of a pixel in metres."""
    band = {name: chips.pixels[:, c].astype(np.float64) for c, name in enumerate(chips.bands)}
    logs = {name: np.log(np.maximum(x, 0.002)) for name, x in band.items()}
    level: dict[str, NDArray[np.float64]] = {}
    relation: dict[str, NDArray[np.float64]] = {}
    spectrum: dict[str, NDArray[np.float64]] = {}
    finest: dict[str, NDArray[np.float64]] = {}
    tails: dict[str, NDArray[np.float64]] = {}
    for name, x in band.items():
        level[f"{name} log mean"] = np.log(x.mean(axis=(1, 2)))
        level[f"{name} log spread"] = np.log(x.std(axis=(1, 2)) + 1e-5)
        octaves = rings(x.astype(np.float32))
        for n, middle in enumerate((22.6, 11.3, 5.7, 2.8)):
            spectrum[f"{name} power at {middle * gsd:.0f} m"] = octaves[:, n] - octaves.mean(axis=1)
        spectrum[f"{name} autocorrelation at {2 * gsd} m"] = autocorrelation(x.astype(np.float32), (2,))[:, 0]
        finest |= _finest(name, x)
        tails |= _tails(name, logs[name])
    names = list(band)
    for n, a in enumerate(names):
        for b in names[n + 1 :]:
            relation[f"log {b}/{a} median"] = np.median(logs[b] - logs[a], axis=(1, 2))
            relation[f"{a} {b} correlation"] = correlation(band[a], band[b])
    return dict(zip(FEATURES, (level, relation, spectrum, finest, tails), strict=True))


def _finest(name: str, x: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """What is left at one or two pixels."""
    bend = x[:, 1:-1, :-2] + x[:, 1:-1, 2:] + x[:, :-2, 1:-1] + x[:, 2:, 1:-1] - 4 * x[:, 1:-1, 1:-1]
    size = np.abs(bend).reshape(len(x), -1)
    quiet, typical, loud = np.percentile(size, (10, 50, 99), axis=1) + 1e-5
    across, along = np.diff(x, axis=1).std(axis=(1, 2)), np.diff(x, axis=2).std(axis=(1, 2))
    return {
        f"{name} bend / spread": np.log(typical / (x.std(axis=(1, 2)) + 1e-5)),
        f"{name} quiet bend": np.log(quiet),
        f"{name} loud / typical bend": np.log(loud / typical),
        f"{name} rows / columns": np.log((across + 1e-5) / (along + 1e-5)),
    }


def _tails(name: str, x: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Shape of the histogram of log reflectance."""
    low, left, middle, right, high = np.percentile(x, (1, 25, 50, 75, 99), axis=(1, 2))
    width = right - left + 0.005
    z = (x - x.mean(axis=(1, 2), keepdims=True)) / (x.std(axis=(1, 2), keepdims=True) + 0.005)
    return {
        f"{name} dark tail": (middle - low) / width,
        f"{name} bright tail": (high - middle) / width,
        f"{name} skewness": (z**3).mean(axis=(1, 2)),
        f"{name} kurtosis": np.log((z**4).mean(axis=(1, 2)) + 0.1),
    }


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) correlation of two bands within each chip."""
    a = a - a.mean(axis=(1, 2), keepdims=True)
    b = b - b.mean(axis=(1, 2), keepdims=True)
    top = (a * b).mean(axis=(1, 2))
    return np.asarray(top / np.sqrt((a**2).mean(axis=(1, 2)) * (b**2).mean(axis=(1, 2)) + 1e-12))
