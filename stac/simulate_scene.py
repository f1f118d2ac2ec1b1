"""What the instrument sees of the simulated ground on one day: sun, seasons, haze, clouds, and the classification.

A pass is drawn once for the whole ground and then cut into tiles, so that overlapping tiles show identical ground, as
the tiles of one real datatake do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from .simulate_events import Event, apply_event
from .simulate_landscape import Landscape
from .simulate_spectra import BANDS, CLOUD, CONIFER, OAK, RIVER, SNOW, WATER, Season, new_season
from .simulate_terrain import Field, blur, new_noise, smooth_step

STEPS: tuple[int, ...] = (12, 12, 12, 24, 12, 12)
"""Reflectance × 10,000 is rounded to multiples of this, by band: about the noise, and the files are a third smaller."""

# assumed: path radiance left after atmospheric correction, relative to blue: falls with wavelength to about the -2.
_HAZE = np.array((1.0, 0.72, 0.50, 0.26, 0.07, 0.03), dtype=np.float32)

SKIES: tuple[str, ...] = ("clear", "hazy", "cirrus", "cumulus", "broken", "overcast")
"""Kinds of sky."""
_COVERAGE = {"clear": 0.0, "hazy": 0.0, "cirrus": 0.0, "cumulus": 0.10, "broken": 0.33, "overcast": 0.93}


@dataclass(frozen=True)
class Pass:
    """One overpass."""

    index: int
    """Number of the pass, from 0: the key of its chance."""
    time: datetime
    """UTC."""
    sky: str
    """One of `SKIES`."""
    snow_line: float
    """Height above which snow lies, metres; infinite for none."""
    sun_azimuth: float
    """Degrees clockwise from north."""
    sun_elevation: float
    """Degrees above the horizon."""


@dataclass(frozen=True, eq=False)
class _Sky:
    """What hangs over the ground, each (H, W) from 0 to 1."""

    cloud: Field
    """Opacity of clouds."""
    shadow: Field
    """Depth of their shadows."""
    cirrus: Field
    """Opacity of thin cirrus."""


@dataclass(frozen=True, eq=False)
class View:
    """What one pass saw, on the whole ground."""

    bands: NDArray[np.uint16]
    """(bands, H, W), reflectance × 10,000 without any offset, in the order of `simulate_spectra.BANDS`, all at 10 m."""
    scl: NDArray[np.uint8]
    """(H/2, W/2), scene classification at 20 m."""


def sun_angles(time: datetime, lon: float, lat: float) -> tuple[float, float]:
    """Azimuth (clockwise from north) and elevation of the sun, degrees.

    Source: J. W. Spencer 1971, Search 2 (5), 172: Fourier series of declination and equation of time (to about 0.1°).
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


def new_view(land: Landscape, events: Sequence[Event], shot: Pass, first_year: int, rng: np.random.Generator) -> View:
    """Draw one pass.

    Args:
        land: The ground.
        events: What happened on it; those yet to come leave no trace.
        shot: The pass.
        first_year: The year that counts as 0 for crops.
        rng: Where this pass's chance comes from.
    """
    day = shot.time.date()
    season = new_season(day.timetuple().tm_yday, day.year - first_year, land.fields)
    image = _ground(land, season)
    for event in events:
        apply_event(event, image, day, season, land.texture)
    snow = _lay_snow(image, land, shot, rng)
    image *= _light(land, shot)
    image = _optics(image, rng)
    scl = _classify_ground(image, np.isin(land.cover, (WATER, RIVER)), snow, rng)
    sky = _new_sky(land.shape, shot, rng)
    _veil(image, sky, shot, rng)
    _classify_sky(scl, sky, rng)
    step = np.array(STEPS, dtype=np.float32)[:, None, None]
    image *= np.float32(10_000 * (1 + rng.normal(0, 0.006))) / step
    image += 0.5
    grid = np.clip(image, 1, 14_000 / step).astype(np.uint16)
    grid *= step.astype(np.uint16)
    return View(grid, scl)


def _ground(land: Landscape, season: Season) -> NDArray[np.float32]:
    """Reflectance (bands, H, W) of the living ground, lit evenly and without events."""
    green = season.green[land.cover] + season.eager[land.cover] * land.moist * 0.6
    np.clip(green, 0, 1, out=green)
    grain = season.grain[land.cover]
    light = 1 + grain * np.clip(land.texture, -2.2, 2.5) + 0.05 * np.clip(land.tint, -2, 2)
    near = light + 0.06 * np.clip(land.tint, -2, 2)
    image = np.empty((len(BANDS), *land.shape), dtype=np.float32)
    for b in range(len(BANDS)):
        poor, rich = season.poor[:, b], season.rich[:, b]
        image[b] = (poor[land.cover] + green * (rich - poor)[land.cover]) * (near if b == 3 else light)
    return image


def _lay_snow(image: NDArray[np.float32], land: Landscape, shot: Pass, rng: np.random.Generator) -> Field:
    """Cover high ground with snow, less so under trees; returns the part of each pixel that shows snow."""
    if not np.isfinite(shot.snow_line):
        return np.zeros(land.shape, dtype=np.float32)
    ragged = land.relief.height + 45 * new_noise(land.shape, rng, 2.0, 60, 2) - 60 * land.relief.north
    snow = smooth_step(ragged, shot.snow_line, shot.snow_line + 110)
    snow *= np.where(land.cover == CONIFER, 0.45, np.where(land.cover == OAK, 0.75, 0.95)).astype(np.float32)
    snow = np.asarray(np.clip(snow * np.clip(1 - 0.15 * land.texture, 0.4, 1.1), 0, 1), dtype=np.float32)
    for b in range(len(BANDS)):
        image[b] += snow * (SNOW[b] - image[b])
    return snow


def _light(land: Landscape, shot: Pass) -> Field:
    """Factor (H, W) of the terrain's light: cosine of incidence over its value on the flat, softened by the sky's."""
    azimuth, zenith = np.radians(shot.sun_azimuth), np.radians(90 - shot.sun_elevation)
    slant = land.relief.east * np.float32(np.sin(azimuth)) + land.relief.north * np.float32(np.cos(azimuth))
    incidence = (np.float32(np.cos(zenith)) - np.float32(np.sin(zenith)) * slant) / np.sqrt(
        1 + land.relief.east**2 + land.relief.north**2
    )
    # assumed: level 2A removes a third of the contrast that the bare cosine would give.
    relative = 0.36 + 0.64 * np.clip(incidence, 0, None) / np.float32(np.cos(zenith))
    return np.asarray(np.clip(relative, 0.30, 1.55), dtype=np.float32)


def _optics(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Blur of the instrument, with the pass's own shift of up to 0.3 pixels: this is where mixed pixels come from.

    assumed: taps of 0.22 beside the middle, near the modulation transfer of the 10 m bands.
    """
    for axis in (1, 2):
        shift = float(rng.uniform(-0.3, 0.3))
        before, after = 0.22 + max(-shift, 0) * 0.56, 0.22 + max(shift, 0) * 0.56
        for b in range(len(image)):
            field = np.pad(image[b], [(1, 1), (0, 0)] if axis == 1 else [(0, 0), (1, 1)], mode="edge")
            low, high = (field[:-2], field[2:]) if axis == 1 else (field[:, :-2], field[:, 2:])
            image[b] *= np.float32(1 - before - after)
            image[b] += np.float32(before) * low
            image[b] += np.float32(after) * high
    return image


def _new_sky(shape: tuple[int, int], shot: Pass, rng: np.random.Generator) -> _Sky:
    """The clouds of a pass; shadows lie away from the sun, as far as the clouds' height asks for."""
    half = (shape[0] // 2, shape[1] // 2)
    none = np.zeros(shape, dtype=np.float32)
    if shot.sky == "cirrus":
        streaks = new_noise(half, rng, 2.8, half[0] * 1.5, 6) + 0.4 * new_noise((half[0], 1), rng, 2.0, half[0] / 2, 4)
        return _Sky(none, none, _double(smooth_step(streaks, 0.2, 2.2)) * np.float32(0.4))
    share = _COVERAGE[shot.sky] * rng.uniform(0.75, 1.2)
    if share <= 0:
        return _Sky(none, none, none)
    big = new_noise(half, rng, 2.0, half[0] / 2, 40) if shot.sky != "overcast" else np.zeros(half, dtype=np.float32)
    lumps = new_noise(half, rng, 2.9, 90 if shot.sky != "overcast" else half[0], 3)
    field = lumps + np.float32(0.8) * big
    edge = float(np.quantile(field, max(1 - share, 0.01)))
    opacity = smooth_step(field, edge - 0.05, edge + 0.55)
    base = rng.uniform(900, 1600)  # height of the clouds above the ground, metres
    far = base / np.tan(np.radians(shot.sun_elevation)) / 20
    azimuth = np.radians(shot.sun_azimuth)
    down, right = round(float(far * np.cos(azimuth))), round(float(-far * np.sin(azimuth)))
    shadow = blur(np.roll(opacity, (down, right), axis=(0, 1)), 1, 1)
    return _Sky(_double(opacity), _double(shadow), none)


def _double(field: Field) -> Field:
    """A field at twice the resolution, softly."""
    return blur(np.repeat(np.repeat(field, 2, axis=0), 2, axis=1), 1, 1)


def _veil(image: NDArray[np.float32], sky: _Sky, shot: Pass, rng: np.random.Generator) -> None:
    """Haze, shadows, cirrus, clouds and the instrument's noise, in that order; changes `image`."""
    thick = {"hazy": 0.016, "cirrus": 0.008}.get(shot.sky, 0.003) * rng.uniform(0.6, 1.3)
    slope = np.linspace(rng.uniform(0.6, 1), rng.uniform(1, 1.4), image.shape[2], dtype=np.float32)
    cloud, shadow, cirrus = sky.cloud, sky.shadow, sky.cirrus
    cloudy, veiled = bool(cloud.any()), bool(cirrus.any())
    tops = (0.80 + 0.22 * new_noise(cloud.shape, rng, 2.2, 50, 4)).clip(0.6, 1.25) if cloudy else cloud
    noise = rng.standard_normal(image.shape[1:], dtype=np.float32) * np.float32(0.0005)
    for b in range(len(image)):
        band = image[b]
        if cloudy:
            band *= 1 - np.float32(0.74 - 0.08 * _HAZE[b]) * shadow
        band += np.float32(thick * _HAZE[b]) * slope
        if veiled:
            band += cirrus * np.float32(0.55) * (CLOUD[b] * np.float32(0.8 if b < 4 else 0.35) - band)
        if cloudy:
            band += cloud * (CLOUD[b] * tops - band)
        band += np.roll(noise, int(rng.integers(0, image.shape[2])), axis=1)


def _classify_ground(
    image: NDArray[np.float32], water: NDArray[np.bool_], snow: Field, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Scene classification (H/2, W/2) of the ground below the sky, with errors that the real one makes.

    Burn scars and steep shade are dark area (2), bare bright ground is now and then cloud of medium probability (8),
    a few pixels are unclassified (7).
    """
    blue, red, nir = _halve(image[0]), _halve(image[2]), _halve(image[3])
    scl = np.where((nir - red) > 0.36 * (nir + red), 4, 5).astype(np.uint8)
    scl[nir < 0.085] = 2
    scl[_halve(water.astype(np.float32)) > 0.5] = 6
    scl[_halve(snow) > 0.3] = 11
    specks = rng.random(scl.shape, dtype=np.float32)
    scl[(specks < 0.002) & (scl == 5)] = 7
    scl[(blue > 0.145) & (specks > 0.9) & (scl == 5)] = 8
    return scl


def _classify_sky(scl: NDArray[np.uint8], sky: _Sky, rng: np.random.Generator) -> None:
    """Write clouds, shadows and cirrus into the classification: masks are a little too small or too large."""
    slack = float(rng.uniform(-0.12, 0.10))
    scl[_halve(sky.cirrus) > 0.11] = 10
    if not sky.cloud.any():
        return
    scl[_halve(sky.shadow) > 0.30 + slack] = 3
    opacity = _halve(sky.cloud)
    scl[opacity > 0.05 + max(slack, 0)] = 7
    scl[opacity > 0.16 + slack] = 8
    scl[opacity > 0.55 + slack] = 9


def _halve(field: Field) -> Field:
    """Means of 2 × 2 pixels."""
    total = field[::2, ::2] + field[1::2, ::2] + field[::2, 1::2] + field[1::2, 1::2]
    return np.asarray(total / np.float32(4), dtype=np.float32)


def to_20m(band: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Means of 2 × 2 pixels of reflectance × 10,000, rounded to multiples of 16: what the 20 m bands record."""
    total = band[::2, ::2].astype(np.uint32) + band[1::2, ::2] + band[::2, 1::2] + band[1::2, 1::2]
    return ((total + 32) // 64 * 16).astype(np.uint16)
