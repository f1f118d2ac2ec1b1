"""One pass over a ground, drawn with NumPy: what an archive's files hold.

Ground of the season, water level, changes, snow, light of the sun, area means of the 20 m bands, blur and shift, sky,
noise, whole numbers, classification. All chance comes from one generator; the formulas stand in `render`, `light`,
`optics`, `sky` and `classify`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import looks
from .arrays import array_namespace
from .biomes import Biome
from .change import Change
from .classify import classify
from .covers import BANDS, BANDS_20M, COVERS, SEA, WATER, WATERS
from .ground import Field, Ground
from .light import lay_light, shade
from .noise import new_noise
from .optics import BLUR_20M, add_noise, blur_and_shift, reference, to_10m, to_20m, to_dn
from .render import draw_ground, lay_changes, lay_flames, lay_ice, lay_snow, lay_water
from .season import Season
from .shot import Shot
from .sky import (
    Sky,
    add_halo,
    behind_offset,
    cast_shadow,
    cirrus_opacity,
    cloud_opacity,
    cloud_tops,
    displace,
    lay_sky,
)
from .smoke import new_smoke
from .spectra import MATERIAL_SPECTRA
from .weather import (
    BANKS_WEIGHT,
    CIRRUS_OPACITY,
    CIRRUS_RIM,
    CIRRUS_SHARE,
    CLEAR_SKIES,
    CLOUD_BASE,
    CLOUD_THICKNESS,
    COVERAGE,
    HAZE_SPREAD,
    HAZY,
    LUMPS,
    MIXED_SKIES,
    NOISES,
    SOFTNESS,
    VEIL_OPACITY,
    VEIL_RIM,
    VEIL_SHARE,
    new_gains,
)
from .winter import freeze_laid_water, frozen_part, hidden_by_cover, hide_snow, laid_water

BANDS_10M: tuple[str, ...] = ("B02", "B03", "B04", "B08")
"""Bands that are recorded at 10 m."""

_FINE = tuple(BANDS.index(name) for name in BANDS_10M)
_COARSE = tuple(BANDS.index(name) for name in BANDS_20M)

WATER_KINDS = ("reservoir_fill", "flood")
"""Changes that lay a level surface over slopes."""

WET_KINDS = (*WATER_KINDS, "mine")
"""Changes that lay water, which freezes: those and the ponds of mines."""

BAND_SHIFT = 0.03
"""Spread of the registration of each band, 10 m pixels.

assumed: so that two bands of an image differ by 0.04, as B06 and B07, B07 and B8A, B08 and B8A do in real chips (their
gradients regressed on each other); ESA requires 0.3 at 99.7 % confidence."""


@dataclass(frozen=True, eq=False)
class View:
    """What one pass saw: reflectance × 10,000 without any offset, at least 1."""

    bands10: NDArray[np.uint16]
    """(4, H, W): B02, B03, B04, B08."""
    bands20: NDArray[np.uint16]
    """(6, H/2, W/2), in the order of `covers.BANDS_20M`."""
    scl: NDArray[np.uint8]
    """(H/2, W/2), scene classification."""


def new_view(
    ground: Ground, changes: Sequence[Change], season: Season, biome: Biome, shot: Shot, rng: np.random.Generator
) -> View:
    """Draw one pass.

    Args:
        ground: The ground, of even height and width.
        changes: What happened on it; those yet to come leave no trace.
        season: How covers look on that day.
        biome: The kind of country.
        shot: The pass.
        rng: Where this pass's chance comes from.
    """
    image = _draw(ground, changes, season, biome, shot, rng)
    down, right = ([part + float(np.clip(rng.normal(0, BAND_SHIFT), -0.3, 0.3)) for _ in BANDS] for part in shot.shift)
    fine = blur_and_shift(image[list(_FINE)], [down[b] for b in _FINE], [right[b] for b in _FINE])
    coarse = np.stack([to_20m(image[b]) for b in _COARSE])
    coarse = blur_and_shift(coarse, [down[b] / 2 for b in _COARSE], [right[b] / 2 for b in _COARSE], BLUR_20M)
    sky = new_sky(ground.shape, shot, rng)
    smoke = new_smoke(changes, ground.shape, shot.time.date(), rng)
    sky = sky if smoke is None else replace(sky, smoke=smoke)
    white, grey = MATERIAL_SPECTRA["cloud"], MATERIAL_SPECTRA["smoke"]
    lay_sky(coarse, _COARSE, sky, white, grey)
    lay_sky(fine, _FINE, sky.at_10m(), white, grey)
    gains = new_gains(rng.standard_normal(2 + len(BANDS), dtype=np.float32))
    _record(fine, _FINE, gains, shot, rng)
    _record(coarse, _COARSE, gains, shot, rng)
    half = (ground.shape[0] // 2, ground.shape[1] // 2)
    seen = np.empty((len(BANDS), *half), dtype=np.float32)
    for place, b in enumerate(_COARSE):
        seen[b] = coarse[place]
    for place, b in enumerate(_FINE):
        seen[b] = to_20m(fine[place])
    doubt = new_noise(half, rng, *NOISES["doubt"])
    scl = classify(seen, sky, doubt, rng.random(half, dtype=np.float32))
    return View(_whole(fine), _whole(coarse), np.asarray(scl, dtype=np.uint8))


def _record(
    image: NDArray[np.float32], bands: Sequence[int], gains: NDArray[np.float32], shot: Shot, rng: np.random.Generator
) -> None:
    """Add what differs between passes and pixels: gain (C,) and noise, in place."""
    for place, b in enumerate(bands):
        image[place] *= gains[b]
        noise = rng.standard_normal(image.shape[1:], dtype=np.float32)
        add_noise(image[place], noise, *reference(BANDS[b], shot.sun_elevation))


def _whole(image: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Whole numbers of `to_dn`, band by band."""
    out = np.empty(image.shape, dtype=np.uint16)
    for place, band in enumerate(image):
        out[place] = to_dn(band)
    return out


def _draw(
    ground: Ground, changes: Sequence[Change], season: Season, biome: Biome, shot: Shot, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Reflectance (C, H, W) of the ground as the sun lights it, before the instrument and the sky."""
    image = draw_ground(ground.cover, ground.moist, ground.texture, ground.tint, ground.dryness, season)
    _move_water(image, ground, season, biome, shot.level)
    east, north = ground.relief.east, ground.relief.north
    snowy = bool(np.isfinite(shot.snow_line))
    frozen = frozen_part(ground.cover, shot.ice) if shot.ice > 0 else np.zeros(ground.shape, dtype=np.float32)
    if shot.ice > 0:
        lay_ice(image, frozen, MATERIAL_SPECTRA["snow"])
    hidden = _hidden(ground, shot, frozen) if snowy else None
    for change in changes:
        age = (shot.time.date() - change.start).days
        if age < 0:
            continue
        cut = change.window
        table = looks.new_looks(change.kind, season, biome, (change.end - change.start).days)
        weight = _lay_change(image[:, *cut], change, age, table, ground.texture[cut])
        if change.kind in WATER_KINDS:
            east, north = east.copy(), north.copy()
            east[cut] *= 1 - weight
            north[cut] *= 1 - weight
        if hidden is not None:
            hidden[cut] *= 1 - weight
        if change.kind in WET_KINDS and (snowy or shot.ice > 0):
            water = laid_water(image[:, *cut], weight)
            water = freeze_laid_water(image[:, *cut], water, shot.ice, MATERIAL_SPECTRA["snow"])
            if hidden is not None:
                hidden[cut] += water
    if hidden is not None:
        sunny = -ground.relief.north if biome.south else ground.relief.north
        ragged = to_10m(new_noise((ground.shape[0] // 2, ground.shape[1] // 2), rng, *NOISES["ragged"]))
        lay_snow(image, ground.relief.height, sunny, hidden, ragged, shot.snow_line, MATERIAL_SPECTRA["snow"])
    lay_light(image, shade(east, north, shot.sun_azimuth, shot.sun_elevation))
    return np.asarray(image, dtype=np.float32)


def _lay_change(part: NDArray[np.float32], change: Change, age: int, table: NDArray[np.float32], rough: Field) -> Field:
    """Draw a change of `age` days and its flames over its window (C, h, w), in place; how much it took, (h, w)."""
    span = (change.end - change.start).days
    weight = lay_changes(part, change.strength, change.onset, change.zone, table, rough, float(age), float(span))
    if change.kind == "wildfire":
        since = np.float32(age) - change.onset * np.float32(span)
        burning = change.strength * (since >= 0) * (since < 0.4) * (rough > 0.8)
        lay_flames(part, burning.astype(np.float32))
    return np.asarray(weight)


def _move_water(image: NDArray[np.float32], ground: Ground, season: Season, biome: Biome, level: float) -> None:
    """Draw the water's level where the shore is near it: only in the rectangle that can change."""
    rows, cols = (np.flatnonzero(np.isfinite(ground.shore).any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return
    cut = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)
    kind = SEA if biome.sea else WATER
    water = season.poor[kind] + season.green[kind] * (season.rich[kind] - season.poor[kind])
    wet = np.isin(ground.cover[cut], WATERS).astype(np.float32)
    lay_water(image[:, *cut], ground.shore[cut], wet, level, level_water(water), MATERIAL_SPECTRA["mud"])


def level_water(water: Any) -> Any:
    """Reflectance (..., C) of water that rises and falls. assumed: two fifths of it carry mud."""
    muddy = array_namespace(water).asarray(MATERIAL_SPECTRA["muddy water"], device=water.device)
    return 0.6 * water + 0.4 * muddy


def _hidden(ground: Ground, shot: Shot, frozen: Field) -> Field:
    """Part of each pixel whose snow is not seen, a new array."""
    table = np.zeros(max(len(COVERS), int(ground.cover.max()) + 1), dtype=np.float32)
    table[: len(COVERS)] = hidden_by_cover()
    return np.asarray(hide_snow(table[ground.cover], ground.relief.height, shot.laden_line, frozen), dtype=np.float32)


def new_sky(shape: tuple[int, int], shot: Shot, rng: np.random.Generator) -> Sky:
    """The sky of a pass over a ground of `shape` (H, W) at 10 m, drawn at 20 m, within the ranges of `weather`."""
    half = (shape[0] // 2, shape[1] // 2)
    spread = new_noise(half, rng, *NOISES["haze"])
    haze: Field = np.float32(shot.haze) * np.clip(1 + np.float32(HAZE_SPREAD) * spread, 0.2, 2)
    if shot.sky == "hazy":
        haze = haze * np.float32(HAZY)
    sky = Sky(haze)
    if shot.sky == "cirrus" or (shot.sky in MIXED_SKIES and rng.random() < CIRRUS_SHARE):
        depth = float(rng.uniform(*CIRRUS_OPACITY))
        sky = replace(sky, cirrus=cirrus_opacity(_streaks(half, rng), float(rng.uniform(*CIRRUS_RIM)), depth))
    elif shot.sky in CLEAR_SKIES and rng.random() < VEIL_SHARE:
        depth = float(rng.uniform(*VEIL_OPACITY))
        sky = replace(sky, cirrus=cirrus_opacity(_streaks(half, rng), float(rng.uniform(*VEIL_RIM)), depth))
    if shot.sky not in COVERAGE:
        return sky
    share = rng.uniform(*COVERAGE[shot.sky])
    overcast, (beta, longest, shortest) = shot.sky == "overcast", LUMPS
    field = new_noise(half, rng, beta, half[0] if overcast else rng.uniform(*longest), shortest)
    if not overcast:
        field += np.float32(BANKS_WEIGHT) * new_noise(half, rng, 2.0, half[0] / 2, 40)
    edge = float(np.quantile(field[::4, ::4], 1 - share))
    cloud = cloud_opacity(field, edge, float(rng.uniform(*SOFTNESS[shot.sky])))
    base, thick = float(rng.uniform(*CLOUD_BASE)), float(rng.uniform(*CLOUD_THICKNESS))
    behind = displace(field, *behind_offset(shot.sun_azimuth, shot.sun_elevation))
    return replace(
        sky,
        haze=add_halo(haze, field, edge),
        cloud=cloud,
        tops=cloud_tops(field, behind),
        shadow=cast_shadow(cloud, base, thick, shot.sun_azimuth, shot.sun_elevation),
    )


def _streaks(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Noise drawn out five times and slanted, as winds aloft draw cirrus; zero mean."""
    h, w = shape
    short = new_noise((h, w // 5 + 2), rng, 2.4, h, 4)
    at = np.arange(w) / 5
    left = at.astype(np.int64)
    part = (at - left).astype(np.float32)
    long = short[:, left] * (1 - part) + short[:, left + 1] * part
    slant = np.rint(rng.uniform(-1, 1) * np.arange(w)).astype(np.int64)
    field: Field = long[(np.arange(h)[:, None] + slant) % h, np.arange(w)]
    return field
